package demo

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/history"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors/runlog"
)

var update = flag.Bool("update", false, "learn the demo's model again")

// The demo's configuration can be assembled; it has a source of each live kind.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "model.json"), modelJSON, 0o644); err != nil {
		t.Fatal(err)
	}
	conf, err := config.Parse(filepath.Join(dir, "agent.yaml"), configuration(dir, "127.0.0.1:1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := assemble.Check(conf); err != nil {
		t.Error(err)
	}
}

// The loop that the demo closes is shown beside the machine's own controller, and keeps the goal better.
func TestClosedLoop(t *testing.T) {
	var out strings.Builder
	if err := CloseLoop(t.Context(), &out); err != nil {
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
	if !(led > 0 && led < 0.8*own) || !regexp.MustCompile(`(?m)^limit violations +0 +0 +1$`).MatchString(out.String()) {
		t.Errorf("its own controller %g K, prediction %g K\n%s", own, led, &out)
	}
}

// The demo's model can be loaded; the demo shows a build with another seed than those it was learned from.
func TestModel(t *testing.T) {
	const path = "model.json"
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
		var inputs []string
		for _, in := range model.KnownInputs() {
			inputs = append(inputs, in.Name)
		}
		m, err := learn.Learn(t.Context(), all, learn.Options{Inputs: inputs})
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
