package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/firmware-bridge/twin"
)

// The simulated machine's controller is commanded with the manual's MELD section.
func TestBridgeCommandsTheTwin(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five seconds of real time")
	}
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "controller")
	params, err := twin.Load("6061")
	if err != nil {
		t.Fatal(err)
	}
	program, err := twin.ParseProgram("M40 S3\nM41 S400\nG4 P600\n")
	if err != nil {
		t.Fatal(err)
	}
	ctx := controllerOf(t, twin.Options{Config: twin.Config{Params: params, Program: program, Seed: 1}, Controller: link, Speed: 1})
	var section string
	for _, s := range manualSections(t) {
		if strings.Contains(s, "meld:") {
			section = strings.NewReplacer("/dev/serial/by-id/usb-controller", link, "slew: 5 ", "slew: 100 ").Replace(s)
		}
	}
	path := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(path, []byte(bridgeHead+section), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		args []string
		want []string
	}{
		{[]string{"probe"}, []string{"state=RUN", "set_point  400 °C", "tool "}},
		{[]string{"set", "set_point", "448 °C", "--for", "3s", "--why", "the twin obeys"}, []string{"accepted", "reached", "reads back 448 °C", "released", "reverted   given 300 °C"}},
	} {
		c := bridgeCommand()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetArgs(append(step.args, "-c", path))
		err := c.ExecuteContext(ctx)
		for _, w := range step.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%v: no %q in\n%s", step.args, w, out.String())
			}
		}
		if err != nil {
			t.Errorf("%v: %v\n%s", step.args, err, out.String())
		}
		t.Logf("%v\n%s", step.args, out.String())
	}
}
