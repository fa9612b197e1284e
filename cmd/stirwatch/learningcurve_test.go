package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stirwatch/agent/history"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
	"stirwatch/sensors/runlog"
)

// How much worse a run that is added may make the forecasts of one that is left out.
const worseAtMost = 1.05

// TestLearningCurve learns from every one, pair and triple of the recordings and two simulated builds, and scores each
// model on the others with known inputs: what a run that is added does to those left out. It takes minutes of processor
// time, so that it runs where LEARNING_CURVE is set:
//
//	LEARNING_CURVE=1 go test ./cmd/stirwatch -run LearningCurve -v -timeout 1h
func TestLearningCurve(t *testing.T) {
	if os.Getenv("LEARNING_CURVE") == "" {
		t.Skip("LEARNING_CURVE is not set")
	}
	var all []*runs.Run
	for _, r := range []struct {
		name     string
		from, to int
	}{{"20250707144618", 1360, 1524}, {"20250707151600", 5, 1030}, {"20250708104310", 2, 1098}} {
		path := filepath.Join("..", "..", "..", "shared", "data", r.name+".csv")
		log, err := runlog.Read(path, runlog.Options{})
		if err != nil {
			t.Skipf("the recording %s.csv is not in ../shared/data: %v", r.name, err)
		}
		run, err := history.FromLog(log, model.DefaultHypotheses().Channels())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, run.Rows(r.from, r.to))
	}
	for i := range 2 {
		r := familyBuild(t, "6061", uint64(familySeed+500+i))
		r.Name = fmt.Sprintf("build %d", i+1)
		all = append(all, r)
	}
	rmse := map[uint][][]float64{} // by set of runs learned from (bits): by run and horizon, nil of those in it
	for set := uint(1); set < 1<<len(all); set++ {
		var given []runs.Run
		for i, r := range all {
			if set>>i&1 != 0 {
				given = append(given, *r)
			}
		}
		if len(given) > 3 {
			continue
		}
		m, err := learn.Learn(t.Context(), given, learn.Options{Inputs: inputNames(), Unjudged: true})
		if err != nil {
			t.Logf("from %s: %v", inSet(all, set), err)
			continue
		}
		rmse[set] = make([][]float64, len(all))
		for i, r := range all {
			if set>>i&1 != 0 {
				continue
			}
			skill, err := score.Score(m, r, filter.Known, score.Horizons, 0, len(r.Time))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range skill[:len(score.Horizons)] {
				rmse[set][i] = append(rmse[set][i], s.RMSE)
			}
			t.Logf("%-60s → %-15s %6.2f", inSet(all, set), r.Name, rmse[set][i])
		}
	}
	worse, of, sum := 0, 0, 0.0
	for set, found := range rmse {
		for added := range all {
			before := rmse[set&^(1<<added)]
			if set>>added&1 == 0 || before == nil {
				continue
			}
			for i := range all {
				if found[i] == nil || before[i] == nil {
					continue
				}
				for h, at := range score.Horizons {
					ratio := found[i][h] / before[i][h]
					of, sum = of+1, sum+math.Log(ratio)
					if ratio > worseAtMost {
						worse++
						t.Logf("%g s, %s: %.2f by %s, with %s %.2f (%+.0f %%)", at, all[i].Name, before[i][h], inSet(all, set&^(1<<added)), all[added].Name, found[i][h], 100*(ratio-1))
					}
				}
			}
		}
	}
	if of == 0 {
		t.Fatal("nothing was learned")
	}
	t.Logf("a run added makes a run left out worse by more than %.0f %% in %d of %d cases; on average it makes it %+.1f %% worse", 100*(worseAtMost-1), worse, of, 100*math.Expm1(sum/float64(of)))
	if share := float64(worse) / float64(of); share > 0.1 || sum > 0.01*float64(of) {
		t.Errorf("a run that is added makes those left out worse in %.0f %% of cases, want 10 at most, and 1 %% on average", 100*share)
	}
}

// inSet are the names of the runs in a set.
func inSet(all []*runs.Run, set uint) string {
	var in []string
	for i, r := range all {
		if set>>i&1 != 0 {
			in = append(in, r.Name)
		}
	}
	slices.Sort(in)
	return strings.Join(in, " + ")
}
