package detect

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// said is how sure an event was of its name, and whether that was right.
type said struct {
	confidence float64
	right      bool
}

// bin sums up what was said with confidences from one bound to the next.
type bin struct {
	n, right int
	mean     float64 // of the confidences
	low, up  float64 // of the share that was right, with 95 % (Wilson 1927)
}

var bounds = []float64{0, 0.5, 0.7, 0.85, 0.93, 0.97, 1.01}

func bins(all []said) (out []bin) {
	for i := range len(bounds) - 1 {
		b := bin{}
		for _, s := range all {
			if s.confidence >= bounds[i] && s.confidence < bounds[i+1] {
				b.n++
				b.mean += s.confidence
				if s.right {
					b.right++
				}
			}
		}
		if b.n == 0 {
			continue
		}
		const z = 1.96
		n := float64(b.n)
		p := float64(b.right) / n
		middle, half := (p+z*z/(2*n))/(1+z*z/n), z/(1+z*z/n)*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
		b.mean, b.low, b.up = b.mean/n, middle-half, middle+half
		out = append(out, b)
	}
	return out
}

// reliability is a table of what was said and how often that was right.
func reliability(all []said) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%6s %6s %6s %6s %14s\n", "said", "events", "right", "share", "95 %")
	for _, x := range bins(all) {
		fmt.Fprintf(&b, "%6.2f %6d %6d %6.2f %6.2f to %.2f\n", x.mean, x.n, x.right, float64(x.right)/float64(x.n), x.low, x.up)
	}
	var of [2][]float64
	brier := 0.0
	for _, s := range all {
		k, truth := 0, 0.0
		if s.right {
			k, truth = 1, 1
		}
		of[k] = append(of[k], s.confidence)
		brier += (s.confidence - truth) * (s.confidence - truth) / float64(len(all))
	}
	for k, name := range []string{"wrong", "right"} {
		if slices.Sort(of[k]); len(of[k]) > 0 {
			fmt.Fprintf(&b, "median confidence of %s namings: %.2f (%d)\n", name, of[k][len(of[k])/2], len(of[k]))
		}
	}
	fmt.Fprintf(&b, "Brier score %.3f\n", brier)
	return b.String()
}

// plot draws the bins as SVG: where what was said was right so often, the points are on the line.
func plot(all []said) []byte {
	var b bytes.Buffer
	const size, edge = 320.0, 48.0
	x := func(v float64) float64 { return edge + v*size }
	y := func(v float64) float64 { return 16 + (1-v)*size }
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12"><rect width="100%%" height="100%%" fill="#fff"/>`, edge+size+24, size+64)
	for v := 0.0; v < 1.01; v += 0.2 {
		fmt.Fprintf(&b, `<path d="M%g %gV%gM%g %gH%g" stroke="#ddd"/><text x="%g" y="%g" text-anchor="middle">%.1f</text><text x="%g" y="%g" text-anchor="end">%.1f</text>`,
			x(v), y(0), y(1), x(0), y(v), x(1), x(v), y(0)+16, v, x(0)-6, y(v)+4, v)
	}
	fmt.Fprintf(&b, `<path d="M%g %gL%g %g" stroke="#888" stroke-dasharray="4 3"/>`, x(0), y(0), x(1), y(1))
	for _, p := range bins(all) {
		share := float64(p.right) / float64(p.n)
		fmt.Fprintf(&b, `<path d="M%.1f %.1fV%.1f" stroke="#1f5f8b" stroke-width="2"/><circle cx="%.1f" cy="%.1f" r="4" fill="#1f5f8b"><title>said %.2f, right %d of %d</title></circle>`,
			x(p.mean), y(p.low), y(p.up), x(p.mean), y(share), p.mean, p.right, p.n)
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g" text-anchor="middle">confidence that was said</text><text transform="translate(14 %g) rotate(-90)" text-anchor="middle">share that was right</text></svg>`,
		x(0.5), y(0)+38, y(0.5))
	b.WriteByte('\n')
	return b.Bytes()
}

func TestReliability(t *testing.T) {
	var all []said
	for i := range 100 {
		all = append(all, said{0.8, i < 80}, said{0.95, true})
	}
	got := bins(all)
	if len(got) != 2 || got[0].n != 100 || got[0].right != 80 || math.Abs(got[0].low-0.711) > 1e-3 || math.Abs(got[0].up-0.867) > 1e-3 || !(got[1].up > 0.999) {
		t.Errorf("%+v", got)
	}
	if text := reliability(all); !strings.Contains(text, "median confidence of wrong namings: 0.80 (20)") || !strings.Contains(text, "Brier score 0.081") {
		t.Error(text)
	}
}
