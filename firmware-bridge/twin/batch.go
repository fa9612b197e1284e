package twin

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// RandomBuild is a build as an operator would set it up, drawn from a seed: set-point, feed,
// traverse, layers, overrides, and cell properties that vary from build to build. With fault it
// has one fault, at a time when the process it disturbs is under way. Equal seeds give equal
// builds.
func RandomBuild(p *Params, seed uint64, fault bool) Config {
	r := rand.New(rand.NewPCG(seed, 'b'))
	between := func(a, b float64) float64 { return a + (b-a)*r.Float64() }
	setPoint := math.Round(p.Build.SetPoint + between(-15, 5))
	feed := between(350, 500)
	path := feed * between(1.85, 2.2)
	laps := math.Round(between(4, 9))
	code := func(name string, s float64) Code { return Code{Name: name, S: math.Round(s), HasS: true} }
	program := []Code{
		code("M40", 3), code("M75", 250), code("M76", 450), {Name: "M60"}, code("M24", 241), code("M06", 200),
		code("M41", setPoint-10), code("M43", setPoint-30), {Name: "G1", F: 381, L: 2}, code("M24", 305), code("M41", setPoint), {Name: "G1", F: math.Round(path * 0.6), L: 1},
		code("M24", feed), {Name: "G1", F: math.Round(path), L: laps},
		{Name: "M25"}, {Name: "G4", P: math.Round(between(25, 60))}, code("M24", 241), {Name: "G4", P: 12},
		code("M24", feed), {Name: "G1", F: math.Round(path), L: math.Round(between(3, 6))},
		{Name: "M25"}, code("M41", 0), {Name: "M05"}, {Name: "G0", Z: 240}, {Name: "G4", P: 60}, {Name: "M61"}, {Name: "M30"},
	}
	cfg := Config{Params: p, Seed: seed, Program: program, Vary: true, Limit: 3600}
	for at := between(150, 250); at < 600; at += between(60, 200) {
		cfg.Operator = append(cfg.Operator, Timed{math.Round(at), code("M52", between(90, 112))})
	}
	kind := Kinds[r.IntN(len(Kinds))]
	f := Fault{Kind: kind, At: math.Round(between(220, 420)), For: math.Round(between(20, 60)), Severity: math.Round(between(0.5, 1)*100) / 100}
	switch kind {
	case ColdStart:
		f.At, f.For = 0, 30
	case Wear, Coolant, Drift, Unreachable:
		f.For = math.Round(between(90, 200))
	}
	if fault {
		cfg.Faults = []Fault{f}
	}
	return cfg
}

// BatchSummary is what many builds gave.
type BatchSummary struct {
	Builds, Faulty int
	Rows           int
	Simulated      time.Duration
	Took           time.Duration
	Held           float64 // °C, mean over builds without fault of the std in the second half of steady deposition
	Error          float64 // °C, mean absolute error there
	AtLimit        float64 // share of deposition with the law at a limit
	Hottest        float64 // °C of the face
	Checksum       uint64  // of all readings: equal for equal seeds
}

// String is the summary for people, on four lines.
func (s BatchSummary) String() string {
	return fmt.Sprintf("simulated %.1f h in %v: %.0f build-hours an hour\n", s.Simulated.Hours(), s.Took.Round(time.Millisecond), s.Simulated.Hours()/s.Took.Hours()) +
		fmt.Sprintf("rows %d, checksum %016x\n", s.Rows, s.Checksum) +
		fmt.Sprintf("without fault, steady deposition: standard deviation %.2f °C, mean absolute error %.2f °C\n", s.Held, s.Error) +
		fmt.Sprintf("all: spindle at a limit in %.1f %% of deposition, hottest tool face %.0f °C", 100*s.AtLimit, s.Hottest)
}

// Batch runs builds of seeds seed, seed+1, … on all processors; every second one has a fault.
// each, which may be nil, is called for each row from several goroutines, with the number of the
// build.
func Batch(ctx context.Context, p *Params, builds int, seed uint64, each func(build int, m *Machine, r *Row) error) (BatchSummary, error) {
	type result struct {
		rows                       int
		seconds                    float64
		n, sum, square, abs, limit float64
		deposit                    float64
		hottest                    float64
		check                      uint64
		err                        error
	}
	results := make([]result, builds)
	next := make(chan int)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	var wg sync.WaitGroup
	for range min(builds, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				out := &results[i]
				cfg := RandomBuild(p, seed+uint64(i), i%2 == 1)
				steady := 0.0
				out.err = Simulate(ctx, cfg, func(m *Machine, r *Row) error {
					out.rows++
					out.seconds = r.At
					out.hottest = max(out.hottest, r.True.Face)
					out.check = out.check*1099511628211 + math.Float64bits(r.ToolTemp) ^ math.Float64bits(r.Torque)
					if r.True.Phase == Deposit {
						steady++
						out.deposit++
						if r.True.AtLimit {
							out.limit++
						}
						if steady > 150 && len(cfg.Faults) == 0 {
							e := r.ToolTemp - r.SetPoint
							out.n, out.sum, out.square, out.abs = out.n+1, out.sum+e, out.square+e*e, out.abs+math.Abs(e)
						}
					} else {
						steady = 0
					}
					if each != nil {
						return each(i, m, r)
					}
					return nil
				})
				if out.err != nil {
					cancel()
				}
			}
		})
	}
feed:
	for i := range builds {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	s := BatchSummary{Builds: builds, Took: time.Since(start)}
	var held, seconds, deposit, limit float64
	for i := range results {
		r := &results[i]
		if r.err != nil {
			return s, fmt.Errorf("build %d: %w", i, r.err)
		}
		s.Rows += r.rows
		s.Faulty += i % 2
		seconds += r.seconds
		deposit, limit = deposit+r.deposit, limit+r.limit
		s.Hottest = max(s.Hottest, r.hottest)
		s.Checksum = s.Checksum*1099511628211 + r.check
		if r.n > 60 {
			mean := r.sum / r.n
			s.Held += math.Sqrt(max(0, r.square/r.n-mean*mean))
			s.Error += r.abs / r.n
			held++
		}
	}
	s.Simulated = time.Duration(seconds * float64(time.Second))
	s.Held, s.Error, s.AtLimit = s.Held/max(1, held), s.Error/max(1, held), limit/max(1, deposit)
	return s, ctx.Err()
}
