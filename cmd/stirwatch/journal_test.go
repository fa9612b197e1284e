package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
)

// The journal's state and what a server refused are told, and refused lines are sent again on request.
func TestJournalCommands(t *testing.T) {
	t.Parallel()
	r := newRecord(t)
	j := r.open()
	recordBuild(t, j, journaltest.Dawn, 100, true)
	dir := filepath.Dir(r.path)
	run := func(args string, code int, says ...string) {
		t.Helper()
		got, stdout, stderr := command(t, dir, strings.Fields(args)...)
		for _, text := range says {
			if got != code || !strings.Contains(stdout+stderr, text) {
				t.Errorf("stirwatch %s: exit code %d, want %d, with %q:\n%s%s", args, got, code, text, stdout, stderr)
			}
		}
	}
	run("journal status", 0, "journal.db: last record")
	run("journal resend", 0, "no line was refused")
	if err := j.SetAside([]journal.Refused{
		{Batch: 1, Line: "events,source=x text=1 1", Reason: "field type conflict", At: 1},
		{Batch: 1, Line: "events,source=x text=1 2", Reason: "field type conflict", At: 1},
	}); err != nil {
		t.Fatal(err)
	}
	run("journal status", 4, "refused by InfluxDB: 2 lines of events: field type conflict", "stirwatch journal resend")
	run("doctor --patience 1s", 4, "InfluxDB has refused 2 lines of events: field type conflict. Mend the cause, then: stirwatch journal resend")
	run("journal resend", 0, "2 lines will be sent again")
	run("journal status", 4, "2 of them will be sent again")
	run("journal status --journal no-such.db", 1, "no-such.db")
	run("journal resend -c no-such.yaml", 1, "stirwatch config init")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// After a long stop what is too old by the clock stays until a person confirms it, through the agent that runs
// or on a journal that nobody records into; doctor and status tell what waits.
func TestTheClockIsConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf, clock := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "clock")
	if err := os.WriteFile(conf, []byte(`machine: own
channels: {n: {unit: 1, max_age: 0 s}}
sources: {log: {log: {path: run.csv, format: csv, clock: arrival, fields: {n: n}}}}
journal: {path: j.db}
api: {socket: agent.sock}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	set := func(by time.Duration) {
		t.Helper()
		if err := os.WriteFile(clock, []byte(by.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	with := func(args ...string) *process {
		p := &process{t: t, name: args[0], cmd: exec.Command(program(t), args...)}
		p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), setClock+"="+clock)
		p.cmd.Stdout, p.cmd.Stderr = p, p
		p.run()
		return p
	}
	says := func(code int, text string, args ...string) {
		t.Helper()
		p := with(args...)
		if got := p.ended(); got != code || !strings.Contains(p.said(), text) {
			t.Errorf("stirwatch %s: exit code %d, want %d with %q:\n%s", strings.Join(args, " "), got, code, text, p.said())
		}
	}
	const oneDay = 24 * time.Hour
	run := func() *process {
		agent := with("run")
		agent.says("stirwatch starts", 1)
		wait(t, "it answers", func() bool { return exec.Command(program(t), "control", "status", "-c", conf).Run() == nil })
		return agent
	}
	run().end(syscall.SIGTERM)
	says(0, "0.0 days since", "journal", "confirm-clock", "--why", "try")
	set(100 * oneDay)
	agent := run()
	agent.says("until the clock is confirmed (stirwatch journal confirm-clock)", 1)
	says(0, "by the clock 100 days have passed", "journal", "status")
	says(4, "by the clock 100 days have passed", "doctor", "--patience", "100ms")
	says(2, "why?", "journal", "confirm-clock")
	says(0, "100.0 days since", "journal", "confirm-clock", "--why", "off over the summer", "--who", "ann")
	agent.says("the clock is confirmed", 1)
	says(0, "nothing has waited for it", "journal", "confirm-clock", "--why", "again")
	agent.end(syscall.SIGTERM)
	set(150 * oneDay)
	says(0, "50.0 days since", "journal", "confirm-clock", "--why", "off again", "--who", "bo")
	agent = run()
	says(0, "last record", "journal", "status")
	if code := agent.end(syscall.SIGTERM); code != 0 || strings.Contains(agent.said(), "far from the end of the record") {
		t.Errorf("exit code %d", code)
	}
	r, err := journal.OpenReader(filepath.Join(dir, "j.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	trail, err := r.AuditTrail()
	if got := fmt.Sprint(trail); err != nil || !strings.Contains(got, "ann confirms the clock off over the summer") || !strings.Contains(got, "bo confirms the clock off again") {
		t.Errorf("audit %v, %v", trail, err)
	}
}
