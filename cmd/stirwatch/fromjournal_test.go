package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// smallHypotheses are learned in a moment.
const smallHypotheses = `process: a small equation for tests
inputs:
  - {symbol: P, is: spindle power, unit: W}
  - {symbol: n, is: spindle speed, unit: rpm}
outputs:
  - {is: tool temperature, state: R, unit: °C, sd: 0.05, score_above: 200}
parameters:
  - {name: Ta, value: 22, unit: °C, fixed: true}
  - {name: Tm, value: 560, unit: °C, fixed: true}
  - {name: lag, value: 1.5, unit: s, fixed: true}
  - {name: tau_d, value: 3, unit: s, fixed: true}
states:
  - {symbol: T, is: tool face, unit: °C, start: reading, start_sd: 5, noise: 0.2}
  - {symbol: R, is: reading, unit: °C, start: reading, start_sd: 1}
  - {symbol: d, is: disturbance, unit: K/s, start: "0", start_sd: 0.2, noise: 0.2}
terms:
  - {of: T, name: heat, sign: +, expression: "P*(Tm - T)", unit: 1/J, start: 1.0e-5, opinion: require}
  - {of: T, name: loss, sign: -, expression: "T - Ta", unit: 1/s, start: 0.01}
  - {of: T, name: unexplained, sign: +, expression: "d", fixed: true}
  - {of: R, name: lag, sign: +, expression: "(T - R)/lag", fixed: true}
  - {of: d, name: memory, sign: -, expression: "d/tau_d", fixed: true}
`

// handRecord is a journal made by hand, of the usual channels.
type handRecord struct {
	t    testing.TB
	path string
	conf string
}

var metric = [][2]string{{"tool_temperature", "°C"}, {"spindle_speed", "rpm"}, {"spindle_power", "W"}, {"set_point", "°C"}}

// newRecord writes agent.yaml with the channels' roles.
func newRecord(t testing.TB) *handRecord {
	dir := t.TempDir()
	r := &handRecord{t, filepath.Join(dir, "journal.db"), filepath.Join(dir, "agent.yaml")}
	var b strings.Builder
	b.WriteString("machine: m\nchannels:\n")
	for _, x := range metric {
		is := strings.ReplaceAll(x[0], "_", " ")
		if is == "set point" {
			is = "set-point"
		}
		fmt.Fprintf(&b, "  %s: {is: %s, unit: %s, max_age: 3 s}\n", x[0], is, x[1])
	}
	b.WriteString("sources: {log: {log: {path: log.csv}}}\njournal: {path: journal.db}\n")
	write(t, r.conf, b.String())
	return r
}

// open begins to record.
func (r *handRecord) open() *journal.Journal {
	r.t.Helper()
	var all []sensors.Channel
	for _, x := range metric {
		all = append(all, sensors.Channel{Name: x[0], Unit: unit.MustParse(x[1])}) // names alone count in a record
	}
	reg, err := sensors.NewRegistry(all)
	if err != nil {
		r.t.Fatal(err)
	}
	j, err := journal.Open(r.path, journal.Options{Machine: "m", Registry: reg, Hold: -1})
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

// recordBuild records seconds of a run from begin on: heat up and hold.
func recordBuild(t testing.TB, j *journal.Journal, begin time.Time, seconds int, end bool) {
	t.Helper()
	if _, err := j.BeginRun(begin.Format("20060102-150405"), "", begin.UnixNano()); err != nil {
		t.Fatal(err)
	}
	var s []sensors.Sample
	for i := range seconds {
		at := begin.Add(time.Duration(i) * time.Second).UnixNano()
		for id, v := range []float64{450 - 430*math.Exp(-float64(i)/60) + 5*math.Sin(float64(i)/7), 400, 5000 + 500*math.Sin(float64(i)/9), 450} {
			s = append(s, sensors.Sample{Time: at, Value: v, Channel: sensors.ChannelID(id), Status: sensors.OK})
		}
	}
	journaltest.Keep(j, s)
	if end {
		if err := j.EndRun(begin.Add(time.Duration(seconds) * time.Second).UnixNano()); err != nil {
			t.Fatal(err)
		}
	}
}

// read takes runs with the flags given, and gives what was said.
func (r *handRecord) read(t testing.TB, flags ...string) (found []*runs.Run, said string, err error) {
	t.Helper()
	h, err := model.ReadHypotheses(strings.NewReader(smallHypotheses))
	if err != nil {
		t.Fatal(err)
	}
	var from journalRuns
	var out bytes.Buffer
	var logs logFlags
	c := &cobra.Command{Use: "x", SilenceErrors: true, SilenceUsage: true, Args: from.args}
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		found, err = from.read(cmd, args, logs, h.Channels())
		return err
	}
	from.flags(c, 5)
	logs.add(c)
	c.SetErr(&out)
	c.SetArgs(append([]string{"--from-journal", "-c", r.conf}, flags...))
	err = c.ExecuteContext(t.Context())
	return found, out.String(), err
}

func namesOf(found []*runs.Run) (all []string) {
	for _, r := range found {
		all = append(all, r.Name)
	}
	return all
}

func TestJournalRunsAreChosen(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	if _, _, err := r.read(t); err == nil || !strings.Contains(err.Error(), "journal.db") {
		t.Errorf("without a journal: %v", err)
	}
	j := r.open()
	if _, _, err := r.read(t); err == nil || !strings.Contains(err.Error(), "no run yet") {
		t.Errorf("without a run: %v", err)
	}
	for i := range 3 {
		recordBuild(t, j, journaltest.Dawn.Add(time.Duration(i)*time.Hour), 300, true)
	}
	recordBuild(t, j, journaltest.Dawn.Add(3*time.Hour), 30, true)
	recordBuild(t, j, journaltest.Dawn.Add(4*time.Hour), 200, false) // the agent still records
	for _, c := range []struct {
		flags string
		want  []string
		says  string // else the error
	}{
		{"", []string{"20260701-060000", "20260701-070000", "20260701-080000"}, "20260701-090000 is left out: it has 30 usable rows of tool temperature, at least 60"},
		{"", []string{"20260701-060000", "20260701-070000", "20260701-080000"}, "20260701-100000 is left out: it is still going on"},
		{"--last 2", []string{"20260701-070000", "20260701-080000"}, ""},
		{"--from 2026-07-01T06:30:00Z", []string{"20260701-070000", "20260701-080000"}, ""},
		{"--from 2026-06-01 --last 1", []string{"20260701-080000"}, ""},
		{"--run 20260701-070000 --run 20260701-060000", []string{"20260701-060000", "20260701-070000"}, "300 rows"},
		{"--run last", nil, "run 20260701-100000 of journal"},
		{"--run last", nil, "still going on"},
		{"--run yesterday", nil, `no run "yesterday"; 'stirwatch export --list'`},
		{"--from 2026-08-01", nil, "no run since 2026-08-01 00:00:00; its newest, of 5, is 20260701-100000"},
		{"--since 2026-07-01T09:00:00Z", nil, "none of the 2 runs"},
		{"--since July", nil, "2026-07-01"},
		{"--last 0", nil, "--last 0"},
		{"--last 2 --run last", nil, "either --run or --last"},
		{"--units inch", nil, "--units"},
		{"a.db b.db", nil, "one journal, not 2"},
	} {
		runs, said, err := r.read(t, strings.Fields(c.flags)...)
		if c.want == nil {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q", c.flags, err, c.says)
			}
			continue
		}
		if err != nil || !slices.Equal(namesOf(runs), c.want) || !strings.Contains(said, c.says) {
			t.Errorf("%s: %v, %v, want %v\n%s", c.flags, namesOf(runs), err, c.want, said)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLearnFromJournal puts a recorded build through the agent and learns from the record: the
// equation is that learned from the log.
func TestLearnFromJournal(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and learns")
	}
	t.Parallel()
	path := recording(t, watched)
	s := newLogSite(t, path, "none.json")
	s.conf = s.with("model: {file: \"none.json\"}\n", "")
	dir := filepath.Dir(s.conf)
	hypotheses := filepath.Join(dir, "small.yaml")
	write(t, hypotheses, smallHypotheses)
	// Both recordings in one journal, the older first.
	for _, name := range []string{learned, watched} {
		plainly(t, "replay", "-c", s.conf, "--into", s.journal, recording(t, name))
	}
	learn := func(args ...string) (string, *model.Model) {
		t.Helper()
		to := filepath.Join(dir, fmt.Sprintf("model%d.json", len(args)))
		out, err := plain(t, append([]string{"learn", "--hypotheses", hypotheses, "-o", to}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		m, err := model.Load(to)
		if err != nil {
			t.Fatal(err)
		}
		return string(out), m
	}
	_, fromLog := learn(path)
	_, fromRecord := learn("--from-journal", "-c", s.conf, "--run", "last")
	for i, a := range fromLog.Terms {
		b := fromRecord.Terms[i]
		if a.Name != b.Name || math.Abs(a.Coefficient-b.Coefficient) > 1e-3*math.Abs(a.Coefficient) {
			t.Errorf("%s: %g from the log, %g from the journal", a.Name, a.Coefficient, b.Coefficient)
		}
	}
	for i, a := range fromLog.Skill {
		b := fromRecord.Skill[i]
		if a.Count != b.Count || math.Abs(a.RMSE-b.RMSE) > 1e-2*a.RMSE {
			t.Errorf("%g s: RMSE %.3f in %d windows from the log, %.3f in %d from the journal", a.Horizon, a.RMSE, a.Count, b.RMSE, b.Count)
		}
	}
	p := fromRecord.Provenance.Runs
	if len(p) != 1 || len(p[0].SHA256) != 64 || !strings.HasPrefix(p[0].Name, "20250708-1043") || p[0].Rows < 1000 {
		t.Errorf("provenance %+v", p)
	}

	// The model in use was learned from the newest run: the comparison says that it proves nothing.
	inUse := filepath.Join(dir, "model5.json")
	said, all := learn("--from-journal", "-c", s.conf, "--compare", inUse)
	for _, says := range []string{"left out for it", inUse + " was learned from it: this proves nothing", "Nothing can be said of the new model"} {
		if !strings.Contains(said, says) {
			t.Errorf("learn --compare does not say %q:\n%s", says, said)
		}
	}
	if n := len(all.Provenance.Runs); n < 2 {
		t.Errorf("the model written was learned from %d runs", n)
	}

	// A log is a run like any other, and this one neither was learned from by its checksum.
	older := filepath.Join(dir, "older.json")
	if out, err := plain(t, "learn", "--hypotheses", hypotheses, "-o", older, recording(t, learned)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	worse := filepath.Join(dir, "worse.json")
	text, err := os.ReadFile(older)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := model.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range bad.Terms {
		if !bad.Terms[i].Fixed {
			bad.Terms[i].Coefficient *= 3
		}
	}
	if err := bad.Save(worse); err != nil {
		t.Fatal(err)
	}
	said = stirwatch(t, "compare", "-m", older, "--with", worse, "--from-journal", "-c", s.conf, "--last", "1")
	for _, says := range []string{"neither model names it", "older.json is better at", "the new model is better.", "One build is little to go by"} {
		if !strings.Contains(said, says) {
			t.Errorf("compare does not say %q:\n%s", says, said)
		}
	}
	if again := stirwatch(t, "compare", "-m", older, "--with", worse, "--from-journal", "-c", s.conf, "--last", "1"); again != said {
		t.Error("compare says something else the second time")
	}
	if said = stirwatch(t, "compare", "-m", inUse, "--with", older, "--from-journal", "-c", s.conf, "--last", "1"); !strings.Contains(said, "Nothing can be said") {
		t.Errorf("compare does not know what was learned from:\n%s", said)
	}
	if said = stirwatch(t, "compare", worse, older, path); !strings.Contains(said, "no reason to switch") {
		t.Errorf("compare finds no fault:\n%s", said)
	}
}

// TestLearnWhileTheAgentRecords reads the journal of an agent that runs.
func TestLearnWhileTheAgentRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and learns")
	}
	t.Parallel()
	s := newLogSite(t, recording(t, learned), "none.json")
	s.conf = s.with("model: {file: \"none.json\"}\n", "")
	hypotheses := filepath.Join(filepath.Dir(s.conf), "small.yaml")
	write(t, hypotheses, smallHypotheses)
	plainly(t, "replay", "-c", s.conf, "--into", s.journal, recording(t, learned)) // marks the runs
	run := s.run()                                                                 // and every sample comes once more
	run.says("source is exhausted", 1)
	to := filepath.Join(filepath.Dir(s.conf), "new.json")
	out, err := plain(t, "learn", "--from-journal", "-c", s.conf, "--hypotheses", hypotheses, "--last", "1", "-o", to).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := model.Load(to); err != nil {
		t.Error(err)
	}
	// There is one run and no second to judge by.
	out, err = plain(t, "learn", "--from-journal", "-c", s.conf, "--hypotheses", hypotheses, "--last", "1", "--compare", to, "-o", to).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No fair comparison") {
		t.Errorf("%v\n%s", err, out)
	}
	if code := run.end(syscall.SIGTERM); code != 0 {
		t.Errorf("the agent ends with code %d", code)
	}
}

// TestLearnFromAFastThermocouple has the tool temperature ten times a second, of its own clock, and
// inputs each second beside it: the equation is nearly that of the log, which has all at once.
func TestLearnFromAFastThermocouple(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and learns")
	}
	t.Parallel()
	log := readLog(t, watched)
	r := newRecord(t)
	j := r.open()
	var s []sensors.Sample
	for id, x := range metric {
		i, ok := log.Column(x[0])
		if !ok {
			t.Fatalf("no column %s", x[0])
		}
		for row, at := range log.Time {
			v, last := log.Value[i][row], row+1 == len(log.Time)
			if !log.Status[i][row].IsGood() || last {
				continue
			}
			if id > 0 {
				s = append(s, sensors.Sample{Time: at, Value: v, Channel: sensors.ChannelID(id), Status: sensors.OK})
				continue
			}
			for k := range 10 {
				part := (float64(k) + 0.3) / 10
				s = append(s, sensors.Sample{Time: at + int64(part*float64(log.Time[row+1]-at)), Value: v + part*(log.Value[i][row+1]-v), Status: sensors.OK})
			}
		}
	}
	if _, err := j.BeginRun("fast", "", log.Time[0]); err != nil {
		t.Fatal(err)
	}
	journaltest.Keep(j, s)
	j.EndRun(log.Time[len(log.Time)-1])
	j.Close()

	dir := filepath.Dir(r.conf)
	hypotheses := filepath.Join(dir, "small.yaml")
	write(t, hypotheses, smallHypotheses)
	var models [2]*model.Model
	for i, args := range [][]string{{recording(t, watched)}, {"--from-journal", "-c", r.conf}} {
		to := filepath.Join(dir, fmt.Sprintf("model%d.json", i))
		out, err := plain(t, append([]string{"learn", "--hypotheses", hypotheses, "-o", to}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		if models[i], err = model.Load(to); err != nil {
			t.Fatal(err)
		}
	}
	if rows := models[1].Provenance.Runs[0].Rows; rows < len(log.Time)-20 || rows > len(log.Time) {
		t.Errorf("learned from %d rows, the log has %d", rows, len(log.Time))
	}
	for i, a := range models[0].Skill {
		b := models[1].Skill[i]
		t.Logf("%s, %s, %g s: RMSE %.2f from the log, %.2f from the journal", a.Way, a.Windows, a.Horizon, a.RMSE, b.RMSE)
		if a.Horizon >= 5 && math.Abs(a.RMSE-b.RMSE) > 0.15*a.RMSE {
			t.Errorf("%s, %s, %g s: RMSE %.2f from the log, %.2f from the journal", a.Way, a.Windows, a.Horizon, a.RMSE, b.RMSE)
		}
	}
	for i, a := range models[0].Terms {
		t.Logf("%s: %.4g and %.4g", a.Name, a.Coefficient, models[1].Terms[i].Coefficient)
	}
}
