package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"stirwatch/cmd/stirwatch/play"
	"stirwatch/dynamics"
)

var update = flag.Bool("update", false, "learn the demo's model again")

// Check accepts the demo's configuration, which has a source of each live kind.
func TestCheckOfSources(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.yaml")
	for name, b := range map[string][]byte{path: demoConfig(dir, "127.0.0.1:1"), filepath.Join(dir, "model.json"): demoModel} {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if code := execute(t.Context(), []string{"config", "check", path}); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The demo's model can be loaded and was learned from runs that the demo does not play.
func TestDemoModel(t *testing.T) {
	const path = "demo_model.json"
	if *update {
		var runs []dynamics.Run
		for _, seed := range []uint64{3, 4, 5} {
			r, err := toRun(play.Synthetic(seed, 25))
			if err != nil {
				t.Fatal(err)
			}
			r.Name = fmt.Sprintf("synthetic-%d", seed)
			runs = append(runs, r.Run)
		}
		m, err := dynamics.Learn(runs, dynamics.Options{Inputs: inputNames()})
		if err == nil {
			err = m.Save(path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := dynamics.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range m.Provenance.Runs {
		if r.Name == fmt.Sprintf("synthetic-%d", demoSeed) {
			t.Error("the demo plays a run that its model was learned from")
		}
	}
}
