package main

import (
	"flag"
	"fmt"
	"testing"

	"stirwatch/cmd/stirwatch/play"
	"stirwatch/dynamics"
)

var update = flag.Bool("update", false, "learn the demo's model again")

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
