package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/history"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors/runlog"
)

// Seeds of the builds of a family, fixed before any was scored; those of a material stand apart.
const (
	familySeed  = 20001
	familyParts = 3 // builds to learn from, and as many to score
)

// TestFamilyOfBuilds learns from three simulated builds and scores three others, again and again: materials,
// and builds as different as operators set them up (twin.RandomBuild). FAMILY=n scores n builds and prints the
// distributions; without it the demo's model is tried on three:
//
//	FAMILY=200 go test ./cmd/stirwatch -run FamilyOfBuilds -v -timeout 2h
func TestFamilyOfBuilds(t *testing.T) {
	scored, err := strconv.Atoi(os.Getenv("FAMILY"))
	demo := err != nil
	if demo {
		scored = familyParts
	}
	type key struct {
		material string
		way      filter.Way
		horizon  float64
	}
	rmse, inside, count := map[key][]float64{}, map[key]float64{}, map[key]float64{}
	whatever, all := map[float64]float64{}, map[float64]float64{} // of live, over all rows
	worse := map[float64]int{}                                    // builds of which the plan is worse than held, by horizon
	builds := 0
	for group := 0; builds < scored; group++ {
		material := twin.Materials()[group%len(twin.Materials())]
		logs := make([]runs.Run, 2*familyParts)
		for i := range logs {
			if i >= familyParts || !demo {
				logs[i] = *familyBuild(t, material, uint64(familySeed+1000*group+i))
			}
		}
		m, err := model.Load(demoModel)
		if !demo {
			m, err = learn.Learn(t.Context(), logs[:familyParts], learn.Options{Inputs: inputNames(), Unjudged: true})
		}
		if err != nil {
			t.Fatalf("%s from seed %d: %v", material, familySeed+1000*group, err)
		}
		for i := familyParts; i < 2*familyParts && builds < scored; i++ {
			builds++
			of := map[filter.Way][]model.Skill{}
			for _, way := range filter.Ways {
				skill, err := score.Score(m, &logs[i], way, score.Horizons, 0, len(logs[i].Time))
				if err != nil {
					t.Fatal(err)
				}
				of[way] = skill[:len(score.Horizons)] // all rows
				for _, s := range of[way] {
					k := key{material, way, s.Horizon}
					rmse[k] = append(rmse[k], s.RMSE)
					k.material = ""
					if g := s.GoesOn; g != nil { // builds end and reload without notice: judged by what it says, if nothing stops
						inside[k] += g.Coverage * float64(g.Count)
						count[k] += float64(g.Count)
						whatever[s.Horizon] += s.Coverage * float64(s.Count)
						all[s.Horizon] += float64(s.Count)
						continue
					}
					inside[k] += s.Coverage * float64(s.Count)
					count[k] += float64(s.Count)
				}
			}
			for h, at := range score.Horizons {
				if p, held := of[filter.Planned][h].RMSE, of[filter.Held][h].RMSE; at >= 10 && p > held {
					worse[at]++
				}
			}
		}
	}
	t.Logf("%d builds scored, of none of which anything was learned", builds)
	for _, material := range twin.Materials() {
		if len(rmse[key{material, filter.Known, score.Horizons[0]}]) == 0 {
			continue
		}
		for _, way := range filter.Ways {
			line := fmt.Sprintf("%s %-5s RMSE median (95 %%), °C:", material, way)
			for _, at := range score.Horizons {
				v := rmse[key{material, way, at}]
				slices.Sort(v)
				line += fmt.Sprintf("  %g s %.2f (%.2f)", at, v[len(v)/2], v[min(len(v)-1, len(v)*95/100)])
			}
			t.Log(line)
		}
	}
	for _, way := range filter.Ways {
		var parts []string
		for _, at := range score.Horizons {
			k := key{"", way, at}
			share := inside[k] / count[k]
			parts = append(parts, fmt.Sprintf("%g s %.1f %%", at, 100*share))
			if (way == filter.Live || way == filter.Planned) && (share < 0.85 || share > 0.999) {
				t.Errorf("%s, %g s: the 95 %% intervals hold %.1f %% of %.0f rows", way, at, 100*share, count[k])
			}
		}
		t.Logf("%s: inside the 95 %% interval: %s", way, strings.Join(parts, ", "))
	}
	for _, at := range score.Horizons {
		t.Logf("live, %g s, stops and reloads included: %.1f %% inside", at, 100*whatever[at]/all[at])
	}
	for _, at := range score.Horizons {
		if at >= 10 {
			t.Logf("by plan worse than held at %g s: %d of %d builds", at, worse[at], builds)
		}
		if float64(worse[at]) > 0.05*float64(builds) {
			t.Errorf("by plan worse than held at %g s: %d of %d builds", at, worse[at], builds)
		}
	}
}

// familyBuild is a build of the family, out of its log.
func familyBuild(t *testing.T, material string, seed uint64) *runs.Run {
	t.Helper()
	p, err := twin.Load(material)
	if err != nil {
		t.Fatal(err)
	}
	return simulated(t, twin.RandomBuild(p, seed, false))
}

// simulated is a build out of the log that the twin writes of it; builds of different seeds are of different times.
func simulated(t *testing.T, c twin.Config) *runs.Run {
	t.Helper()
	dir := t.TempDir()
	begin := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(c.Seed) * time.Hour)
	if _, err := twin.Run(t.Context(), twin.Options{Config: c, LogDir: dir, Begin: begin}); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	return logged(t, found[0])
}

// logged is a run in a log of the machine.
func logged(t *testing.T, path string) *runs.Run {
	t.Helper()
	log, err := runlog.Read(path, runlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := history.FromLog(log, model.DefaultHypotheses().Channels())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func inputNames() []string {
	var names []string
	for _, in := range model.KnownInputs() {
		names = append(names, in.Name)
	}
	return names
}
