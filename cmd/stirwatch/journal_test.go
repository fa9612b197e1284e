package main

import (
	"path/filepath"
	"strings"
	"testing"

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
