package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"stirwatch/agent/record"
	"stirwatch/sensors/runlog"
)

// newLogSite is a site whose only source is a run log.
func newLogSite(t testing.TB, log, model string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, conf: filepath.Join(dir, "agent.yaml"), journal: filepath.Join(dir, "journal.db")}
	write(t, s.conf, fmt.Sprintf(`machine: cell-1
tick: {rate: 10 Hz, clock: device}
%ssources:
  machine_log: {log: {path: %q, follow: false}}
process:
  set_point: {min: 300 °C, max: 480 °C}
  spindle: {min: 300 rpm, max: 450 rpm}
  ceiling: 577 °C
model: {file: %q}
journal: {path: journal.db}
`, channelSection(), log, model))
	return s
}

// samplesOf is every reading in a journal; twice counts those that stand there more than once.
func samplesOf(t testing.TB, path string) (all map[instant]reading, twice int) {
	t.Helper()
	all = map[instant]reading{}
	records(t, path, func(r *record.Sample) {
		at := instant{r.Channel, r.Time}
		if _, ok := all[at]; ok {
			twice++
		}
		all[at] = reading{r.Value, r.Quality, r.Reason}
	})
	return all, twice
}

var realTime = regexp.MustCompile(`([\d.]+) times real time`)

// TestReplaySpeed puts a build through the whole agent as fast as it goes. Its record holds every
// reading that the same agent takes from the log as a source, and an estimate for each second.
// How fast is for [BenchmarkReplay] to say.
func TestReplaySpeed(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and learns a model")
	}
	t.Parallel()
	log, path := readLog(t, watched), recording(t, watched)
	s := newLogSite(t, path, learnedOnce(t))
	replayed := filepath.Join(t.TempDir(), "replay.db")
	said := stirwatch(t, "replay", "-c", s.conf, "--speed", "0", "--into", replayed, path)
	factor := realTime.FindStringSubmatch(said)
	if factor == nil {
		t.Fatalf("replay does not say how fast it was: %s", said)
	}
	t.Logf("%s times real time", factor[1])

	got, twice := samplesOf(t, replayed)
	readings, unwired := 0, 0
	for i := range log.Columns {
		for row := range log.Time {
			if log.Value[i][row] == log.Value[i][row] {
				readings++
				if _, sent := got[instant{log.Columns[i].Name, log.Time[row]}]; !sent {
					t.Fatalf("row %d of %s is not there", row+1, log.Columns[i].Name)
				}
			}
		}
	}
	for at, want := range expected(log) {
		if !got[at].same(want) {
			t.Fatalf("%v: %v, want %v", at, got[at], want)
		}
	}
	for _, r := range got {
		if r.reason == "unwired" {
			unwired++
		}
	}
	t.Logf("%d readings, %d of them of inputs that are not wired", len(got), unwired)
	if len(got) != readings || twice != 0 {
		t.Errorf("%d readings, want %d; %d of them twice", len(got), readings, twice)
	}

	begun := log.Time[len(log.Time)-1]/1e9 - log.Time[0]/1e9 + 1
	seconds := map[int64]int{}
	records(t, replayed, func(r *record.Estimate) {
		if r.State == "tool temperature" {
			seconds[r.Time/1e9]++
		}
	})
	for _, n := range seconds {
		if n > 1 {
			t.Errorf("%d estimates in one second", n)
			break
		}
	}
	if n := int64(len(seconds)); n != begun {
		t.Errorf("estimates in %d seconds of %d", n, begun)
	}

	run := s.run()
	run.says("source is exhausted", 1)
	if code := run.end(syscall.SIGTERM); code != 0 {
		t.Errorf("run ends with code %d", code)
	}
	taken, again := samplesOf(t, s.journal)
	if again != 0 || !maps.EqualFunc(taken, got, reading.same) {
		t.Errorf("run takes %d readings from the log, %d of them twice; replay %d: not the same", len(taken), again, len(got))
		for _, at := range slices.SortedFunc(maps.Keys(got), func(a, b instant) int { return int(a.time - b.time) }) {
			if !got[at].same(taken[at]) {
				t.Errorf("the first: %v: %v, in the replay %v", at, taken[at], got[at])
				break
			}
		}
	}
}

// BenchmarkReplay puts a build through the whole agent, with a model, an estimate and a forecast
// ten times a second, advice and the journal. Budget: more than 500 times real time.
func BenchmarkReplay(b *testing.B) {
	path, model := recording(b, watched), learnedOnce(b)
	log, err := runlog.Read(path, runlog.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s := newLogSite(b, path, model)
	n := 0
	for b.Loop() {
		n++
		root := rootCommand()
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		root.SetArgs([]string{"replay", "-c", s.conf, "--into", filepath.Join(b.TempDir(), "replay.db"), path})
		if err := root.ExecuteContext(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	span := float64(log.Time[len(log.Time)-1]-log.Time[0]) / 1e9
	b.ReportMetric(span*float64(n)/b.Elapsed().Seconds(), "x-realtime")
}

// A run is not replayed into a journal that has it already.
func TestReplayTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log strings.Builder
	log.WriteString("time,tool_temperature\n")
	for i := range 30 {
		fmt.Fprintf(&log, "2026-07-01T06:00:%02dZ,%d\n", i, 20+i)
	}
	write(t, filepath.Join(dir, "run.csv"), log.String())
	write(t, filepath.Join(dir, "agent.yaml"), "machine: m\nchannels: {tool_temperature: {is: tool temperature, unit: °C}}\nsources: {l: {log: {path: run.csv, time: {key: time, unit: rfc3339}}}}\njournal: {path: own.db}\n")
	count := func() (n int) {
		records(t, filepath.Join(dir, "r.db"), func(*record.Sample) { n++ })
		return n
	}
	for _, step := range []struct {
		args string
		code int
		says string
	}{
		{"replay --into r.db run.csv", 0, ""},
		{"replay --into r.db run.csv", 1, "--replace"},
		{"replay --into r.db --replace run.csv", 0, ""},
		{"replay --into own.db --replace run.csv", 2, "the journal of the machine"},
	} {
		code, _, stderr := command(t, dir, strings.Fields(step.args)...)
		if code != step.code || !strings.Contains(stderr, step.says) {
			t.Errorf("stirwatch %s: code %d, want %d: %s", step.args, code, step.code, stderr)
		}
		if n := count(); n != 30 {
			t.Errorf("stirwatch %s: %d readings in the journal", step.args, n)
		}
	}
}
