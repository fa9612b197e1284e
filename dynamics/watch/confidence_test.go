package watch

import (
	"math"
	"os"
	"testing"
)

// flagged is one flag: what is known of it at its end, and whether a fault was there.
type flagged struct {
	score float64
	rows  int
	right bool
}

// flagsOf judges plants, half of them without a fault, and gives their flags.
func flagsOf(t *testing.T, from, plants uint64) (all []flagged) {
	t.Helper()
	for seed := from; seed < from+plants; seed++ {
		kind := ""
		if seed%2 == 0 {
			kind = faultKinds[seed/2%uint64(len(faultKinds))]
		}
		p := simulate(seed, kind)
		flags, verdicts, err := p.run(Options{})
		if err != nil {
			t.Fatal(err)
		}
		var now *flagged
		for i, f := range flags {
			switch {
			case !f:
				now = nil
			case now == nil:
				all = append(all, flagged{right: p.label[i]})
				now = &all[len(all)-1]
				fallthrough
			default:
				now.rows++
				now.score = max(now.score, verdicts[i].Score)
			}
		}
	}
	return all
}

// TestFitConfidence prints the constants of Confidence, learned from plants that no other test scores:
// STIRWATCH_FIT=1 go test ./dynamics/watch -run FitConfidence -v
func TestFitConfidence(t *testing.T) {
	if os.Getenv("STIRWATCH_FIT") == "" {
		t.Skip("STIRWATCH_FIT=1 fits the constants anew")
	}
	all := flagsOf(t, 100_000, 1600)
	var w [3]float64
	for range 20_000 {
		var g [3]float64
		for _, f := range all {
			x := [3]float64{1, math.Log(max(f.score, 1)), math.Log(float64(f.rows))}
			y := 0.0
			if f.right {
				y = 1
			}
			p := 1 / (1 + math.Exp(-(w[0]*x[0] + w[1]*x[1] + w[2]*x[2])))
			for k := range g {
				g[k] += (y - p) * x[k] / float64(len(all))
			}
		}
		for k := range w {
			w[k] += 0.2 * g[k]
		}
	}
	t.Logf("%d flags: at %.2f, score %.2f, rows %.2f", len(all), w[0], w[1], w[2])
}

// A confidence of 0.8 is right four times in five, near enough.
func TestConfidenceIsReliable(t *testing.T) {
	const bins = 4
	var n [bins]int
	var said, right [bins]float64
	for _, f := range flagsOf(t, 300_000, 160) {
		c := Confidence(f.score, f.rows)
		k := min(int(c*bins), bins-1)
		n[k]++
		said[k] += c
		if f.right {
			right[k]++
		}
	}
	for k := range n {
		if n[k] == 0 {
			continue
		}
		s, r := said[k]/float64(n[k]), right[k]/float64(n[k])
		t.Logf("confidence %.2f: right %.2f of %d", s, r, n[k])
		if off := math.Abs(s - r); off > 0.1+2*math.Sqrt(s*(1-s)/float64(n[k])) {
			t.Errorf("confidence %.2f is right in %.2f of %d flags", s, r, n[k])
		}
	}
}
