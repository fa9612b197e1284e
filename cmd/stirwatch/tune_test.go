package main

import (
	"bytes"
	"strings"
	"testing"
)

// tune proposes a PID on the set-point of the machine's own controller from what the model has learned of that, and one on the spindle, in the line that a
// configuration takes, with margins and a simulated step.
func TestTuneProposesAPID(t *testing.T) {
	tune := func(args ...string) (string, error) {
		c := tuneCommand()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&out)
		c.SetArgs(append([]string{"-m", "../demo/model.json"}, args...))
		err := c.Execute()
		return out.String(), err
	}
	out, err := tune("--set-point", "--every", "0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"nothing was commanded", "controller turns the spindle by 0.353 rpm for 1 K and 0.391 rpm/s for 1 K", "pid: {gain: 1.", ", derivative: ", "gain margin 2.", "phase margin ", "target moved by"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out, err = tune("--every", "0.1"); err != nil || !strings.Contains(out, "time constants of 1.4") || !strings.Contains(out, "pid: {gain: 6.") || !strings.Contains(out, ", derivative: 0.7") {
		t.Errorf("%v; on the spindle\n%s", err, out)
	}
	if out, err := tune("--set-point", "--moves", "spindle power"); err == nil || !strings.Contains(err.Error(), "leave --moves and --output out") {
		t.Errorf("%v\n%s", err, out)
	}
}
