package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

// bed is an agent with a serial line on which the test says what eight sensors measure.
type bed struct {
	*site
	line  *os.File
	value map[string]string
	agent *process
}

var bedChannels = []string{"a", "b", "c", "d", "e", "f", "g"}

func newBed(t *testing.T, more string) *bed {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	dir := t.TempDir()
	b := &bed{site: &site{t: t, conf: filepath.Join(dir, "agent.yaml"), journal: filepath.Join(dir, "journal.db")}, line: master, value: map[string]string{}}
	var channels strings.Builder
	for _, c := range bedChannels {
		fmt.Fprintf(&channels, "  %s: {unit: °C, min: 0 °C, max: 100 °C, max_rate: 1000000 K/s, max_age: 0 s}\n", c)
		b.value[c] = "20"
	}
	write(t, b.conf, fmt.Sprintf(`machine: cell-1
channels:
%ssources:
  daq:
    serial:
      port: %s
      format: keyvalue
      silence: 0 s
      fields: {a: a, b: b, c: c, d: d, e: e, f: f, g: {key: g, sentinel: [-2]}}
journal: {path: journal.db, commit: 10 ms}
api: {socket: agent.sock}
alarms:
  codes:
    source.missing: {priority: none}
    sensor.missing: {priority: none}
    sensor.out_of_range: {off_delay: 0 s}
    sensor.failure: {when: run}
    clock.wrong: {out_of_service: the clock has no battery}
%s`, channels.String(), slave.Name(), more))
	return b
}

// says sends a line in which the sensors named measure something else than before.
func (b *bed) says(values ...string) {
	b.t.Helper()
	for i := 0; i+1 < len(values); i += 2 {
		b.value[values[i]] = values[i+1]
	}
	var all []string
	for _, c := range bedChannels {
		all = append(all, c+"="+b.value[c])
	}
	if _, err := b.line.WriteString(strings.Join(all, ",") + "\n"); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) up() {
	b.t.Helper()
	b.agent = b.run()
	wait(b.t, "the agent answers", func() bool { return exec.Command(program(b.t), "alarms", "list", "-c", b.conf).Run() == nil })
	b.says()
}

// list is what `alarms list` prints, of a running agent or of the journal.
func (b *bed) list() string {
	b.t.Helper()
	out, err := exec.Command(program(b.t), "alarms", "list", "-c", b.conf).Output()
	if err != nil {
		b.t.Fatalf("alarms list: %v", err)
	}
	return string(out)
}

var blanks = regexp.MustCompile(`  +`)

// states says of each alarm of a list its state.
func states(list string) map[string]string {
	all := map[string]string{}
	for _, l := range strings.Split(list, "\n") {
		if f := blanks.Split(l, -1); len(f) > 3 && f[0] != "" && f[0] != "PRIORITY" {
			all[f[3]] = f[1]
		}
	}
	return all
}

// becomes waits until an alarm is in a state, in the running agent and in its journal.
func (b *bed) becomes(name, state string) {
	b.t.Helper()
	wait(b.t, name+" is "+state, func() bool {
		l, err := alarmsOf(b.journal)
		for _, a := range l.Alarms {
			if err == nil && a.Key.String() == name {
				return a.State.String() == state
			}
		}
		return err == nil && state == "normal"
	})
}

// killed kills the agent with SIGKILL and starts it again: alarms must stand as before, in between in the
// journal and afterwards in the agent.
func (b *bed) killed() {
	b.t.Helper()
	before := states(b.list())
	b.agent.end(syscall.SIGKILL)
	if got := states(b.list()); fmt.Sprint(got) != fmt.Sprint(before) {
		b.t.Fatalf("in the journal of the killed agent %v, before %v", got, before)
	}
	b.up()
	if got := states(b.list()); fmt.Sprint(got) != fmt.Sprint(before) {
		b.t.Fatalf("after the kill %v, before %v", got, before)
	}
}

// The real program is killed in every state of an alarm, right after a person or a sensor has brought it there.
func TestAlarmsSurviveAKillInEveryState(t *testing.T) {
	t.Parallel()
	const is = "sensor.out_of_range "
	b := newBed(t, "")
	b.up()
	b.becomes("clock.wrong", "out of service")
	b.killed() // normal, and out of service
	if got := states(b.list()); got["clock.wrong"] != "out of service" || len(got) != 1 {
		t.Fatalf("%v of\n%s", got, b.list())
	}
	b.says("a", "500", "b", "500", "c", "500", "d", "500")
	b.becomes(is+"d", "unacknowledged")
	b.killed()
	do := func(args ...string) {
		t.Helper()
		stirwatch(t, append([]string{"alarms"}, append(args, "-c", b.conf)...)...)
	}
	do("ack", "sensor.out_of_range", "b", "--who", "Ann", "--why", "cable on its way")
	b.killed()
	do("shelve", "sensor.out_of_range", "d", "--for", "2h", "--why", "probe is changed", "--who", "Ben")
	b.killed()
	b.says("c", "20")
	b.becomes(is+"c", "returned")
	b.killed()
	b.says("g", "-2")
	b.becomes("sensor.failure g", "suppressed")
	b.killed()
	list := b.list()
	for _, want := range []string{"(Ann: cable on its way)", "(Ben: probe is changed, until ", "(no run)", "do: compare with a second reading"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not say %q:\n%s", want, list)
		}
	}
	do("unshelve", "sensor.out_of_range", "d")
	do("ack", "all", "--who", "Ann")
	b.killed()
	got := states(b.list())
	for name, want := range map[string]string{"a": "acknowledged", "b": "acknowledged", "c": "", "d": "acknowledged"} {
		if got[is+name] != want {
			t.Errorf("%s is %q, want %q", name, got[is+name], want)
		}
	}
	b.agent.end(syscall.SIGTERM)

	history := stirwatch(t, "alarms", "history", "-c", b.conf)
	for _, want := range []string{"shelve      shelved         sensor.out_of_range d  Ben; probe is changed", "Ann; cable on its way"} {
		if !strings.Contains(history, want) && !strings.Contains(blanks.ReplaceAllString(history, "  "), blanks.ReplaceAllString(want, "  ")) {
			t.Errorf("the history does not say %q:\n%s", want, history)
		}
	}
	if n := strings.Count(history, "raise "); n != 4 {
		t.Errorf("%d raised, want 4: a kill raises nothing twice\n%s", n, history)
	}
	stats := stirwatch(t, "alarms", "stats", "-c", b.conf)
	for _, want := range []string{"5 (high 0, medium 5, low 0)", "standing", "3, of which 0", "most often"} {
		if !strings.Contains(stats, want) {
			t.Errorf("the statistics do not say %q:\n%s", want, stats)
		}
	}
	out, err := exec.Command(program(t), "alarms", "ack", "all", "-c", b.conf).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no agent runs here") || !strings.Contains(string(out), "stirwatch run -c") {
		t.Errorf("without an agent: %v, %s", err, out)
	}
}

// What is latched stays over kills until it is acknowledged and reset.
func TestLatchedAlarmsSurviveAKill(t *testing.T) {
	t.Parallel()
	b := newBed(t, "    sensor.rate: {priority: none}\n")
	text, err := os.ReadFile(b.conf)
	if err != nil {
		t.Fatal(err)
	}
	write(t, b.conf, strings.Replace(string(text), "{off_delay: 0 s}", "{off_delay: 0 s, latch: true}", 1))
	b.up()
	b.says("e", "500")
	b.becomes("sensor.out_of_range e", "unacknowledged")
	b.says("e", "20")
	b.becomes("sensor.out_of_range e", "latched")
	b.killed()
	do := func(what, says string) {
		t.Helper()
		if out := stirwatch(t, "alarms", what, "all", "-c", b.conf, "--who", "Ann"); !strings.Contains(out, says) {
			t.Errorf("%s: %s", what, out)
		}
	}
	do("ack", "sensor.out_of_range e: latched acknowledged")
	b.killed()
	do("reset", "sensor.out_of_range e: normal")
	b.killed()
	if got := states(b.list()); got["sensor.out_of_range e"] != "" {
		t.Errorf("%v", got)
	}
}

// What `alarms codes` prints, agent.yaml takes, and it is the same again; a code that there is not is refused.
func TestAlarmCodesReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	base := "machine: m\nchannels: {t: {unit: °C}}\nsources: {a: {log: {path: a.csv}}}\n"
	printed := stirwatch(t, "alarms", "codes")
	write(t, path, base+printed)
	conf, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	setting, err := assemble.AlarmSettings(conf)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range anomaly.Definitions() {
		if got, want := setting(d.Code), alarm.Default(&d); got != want {
			t.Errorf("%s: %+v, want %+v", d.Code, got, want)
		}
	}
	write(t, path, base+"alarms: {codes: {sensor.rat: {priority: high}}}\n")
	if code := execute(t.Context(), []string{"config", "check", path}); code != exitConfig {
		t.Errorf("exit code %d", code)
	}
}
