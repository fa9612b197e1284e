package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/history"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors/runlog"
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

// The loop that the demo closes is shown beside the machine's own controller, and keeps the goal better.
func TestDemoClosesTheLoop(t *testing.T) {
	var out strings.Builder
	if err := demoAuto(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	var own, led float64
	for line := range strings.Lines(out.String()) {
		if rest, ok := strings.CutPrefix(line, "mean absolute error"); ok {
			if _, err := fmt.Sscan(rest, &own, &led); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !(led > 0 && led < 0.8*own) || !strings.Contains(out.String(), "limit violations            0               0") {
		t.Errorf("its own controller %g K, prediction %g K\n%s", own, led, &out)
	}
}

// The demo's model can be loaded; the demo shows a build with another seed than those it was learned from.
func TestDemoModel(t *testing.T) {
	const path = "demo_model.json"
	if *update {
		var all []runs.Run
		dir := t.TempDir()
		for _, seed := range []uint64{1, 2, 3} {
			begin := time.Date(2026, 1, int(seed), 8, 0, 0, 0, time.UTC)
			if _, err := twin.Run(t.Context(), twin.Options{Config: twin.Config{Seed: seed, Vary: true}, LogDir: dir, Begin: begin}); err != nil {
				t.Fatal(err)
			}
		}
		logs, err := filepath.Glob(filepath.Join(dir, "*.csv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range logs {
			log, err := runlog.Read(path, runlog.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := history.FromLog(log, model.DefaultHypotheses().Channels())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, *r)
		}
		m, err := learn.Learn(t.Context(), all, learn.Options{Inputs: inputNames()})
		if err == nil {
			err = m.Save(path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := model.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Provenance.Runs) < 2 {
		t.Errorf("learned from %d runs", len(m.Provenance.Runs))
	}
}
func inputNames() []string {
	var names []string
	for _, in := range model.KnownInputs() {
		names = append(names, in.Name)
	}
	return names
}
