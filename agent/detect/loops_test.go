package detect

import (
	"bufio"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stirwatch/sensors/runlog"
)

// loopKinds are what may be wrong with a simulated pump loop, "none" nothing.
var loopKinds = []string{"none", "valve", "mean shift", "variance", "correlation", "slow drift", "dropout", "stuck"}

// loop is a simulated pump loop's log, and whether something is wrong in each row.
type loop struct {
	path  string
	kind  string
	wrong []bool
}

const (
	loopRows = 1100
	loopGood = 400
)

// memory is noise of standard deviation 1 that remembers its last value by a share.
type memory struct {
	r     *rand.Rand
	share float64
	v     float64
}

func (m *memory) next() float64 {
	m.v = m.share*m.v + math.Sqrt(1-m.share*m.share)*m.r.NormFloat64()
	return m.v
}

// heavy is noise with tails like a t distribution of five degrees of freedom.
func heavy(r *rand.Rand) float64 {
	s := 0.0
	for range 5 {
		x := r.NormFloat64()
		s += x * x
	}
	return r.NormFloat64() / math.Sqrt(s/5)
}

// pumpLoop writes the log of a pump loop at 1 Hz as test rigs write theirs: semicolons, two columns of labels, vibrations with heavy tails,
// a supply that wanders, a motor and a fluid that warm up, pressure and mostly flow in coarse steps, a second left out now and then, and some outliers
// among the good rows. Much of it moves with a load that nobody measures.
func pumpLoop(t testing.TB, dir string, seed uint64) *loop {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 'l'))
	between := func(a, b float64) float64 { return a + (b-a)*r.Float64() }
	l := &loop{kind: loopKinds[seed%uint64(len(loopKinds))], path: filepath.Join(dir, fmt.Sprintf("loop%d.csv", seed))}
	from := 520 + r.IntN(100)
	to := from + 250 + r.IntN(170)
	closes, opens := between(5, 40), between(3, 15)
	size := between(0.6, 1.5)
	if r.IntN(2) == 0 {
		size = -size
	}
	which, zeros := r.IntN(8), r.IntN(2) == 0
	stuck := []int{0, 1, 2, 4, 6}[r.IntN(5)]
	wholeFlow := r.IntN(2) == 0
	heat, tau, warms := between(-6, 6), between(400, 2000), between(-1.5, 1.5)
	load, other, supply := memory{r, 0.95, 0}, memory{r, 0.95, 0}, memory{r, 0.98, 0}
	wander, fluid := 0.0, 0.0
	scale := [8]float64{0.002, 0.002, 0.25, 0.3, 0.2, 0.05, 8, 0.4}
	var held [8]float64

	f, err := os.Create(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;Volume Flow RateRMS;anomaly;changepoint")
	at := time.Date(2020, 3, 9, 10, 14, 33, 0, time.UTC)
	for i := range loopRows {
		wrong := i >= from && i < to && l.kind != "none"
		ramp := 0.0
		if i >= from {
			ramp = min(float64(i-from)/closes, 1)
		}
		if i >= to {
			ramp *= max(1-float64(i-to)/opens, 0)
		}
		p, q := load.next(), other.next()
		restless, felt := 1.0, p
		switch {
		case wrong && l.kind == "variance":
			restless = 1 + 2*math.Abs(size)
		case wrong && l.kind == "correlation":
			felt = q
		}
		wander, fluid = wander+0.02*r.NormFloat64(), fluid+0.006*r.NormFloat64()
		x := [8]float64{
			0.027 * (1 + 0.03*felt) * math.Exp(0.06*restless*heavy(r)),
			0.040 * (1 + 0.04*p) * math.Exp(0.05*restless*heavy(r)),
			1 + 0.25*(0.7*felt+0.6*restless*r.NormFloat64()),
			0.05 + 0.27*r.NormFloat64(),
			75 + heat*-math.Expm1(-float64(i)/tau) + wander + 0.15*r.NormFloat64(),
			26 + warms*float64(i)/loopRows + fluid + 0.03*r.NormFloat64(),
			230 + 5*supply.next() + 6*r.NormFloat64(),
			32 + 0.4*(0.8*p+0.4*r.NormFloat64()),
		}
		switch l.kind {
		case "valve":
			x[7] -= 2 * math.Abs(size) * ramp
			x[3] += 0.35 * math.Abs(size) * ramp
			x[2] -= 0.2 * math.Abs(size) * ramp
			x[0] *= 1 + 0.1*size*ramp
			x[1] *= 1 + 0.08*size*ramp
		case "mean shift":
			c := []int{2, 7, 1}[which%3]
			x[c] += size * ramp * []float64{0.9, 1.6, 0.008}[which%3]
		case "slow drift":
			if wrong {
				d := size * float64(i-from) / 150
				x[7], x[2], x[0] = x[7]+0.8*d, x[2]+0.4*d, x[0]*(1+0.05*d)
			}
		}
		if i < loopGood {
			for c := range x {
				if r.Float64() < 0.01 {
					x[c] += 6 * scale[c] * r.NormFloat64()
				}
			}
		}
		x[3] = math.Round((x[3]+0.27)/0.326)*0.326 - 0.27
		if wholeFlow {
			x[7] = math.Round(x[7])
		}
		if i == from {
			held = x
		}
		if wrong && l.kind == "stuck" {
			x[stuck] = held[stuck]
		}
		if wrong && l.kind == "dropout" && r.IntN(2) == 0 {
			if x[which] = math.NaN(); zeros {
				x[which] = 0
			}
		}
		if at = at.Add(time.Second); r.Float64() < 0.03 {
			at = at.Add(time.Second)
		}
		cells := []string{at.Format("2006-01-02 15:04:05")}
		for _, v := range x {
			if cell := fmt.Sprintf("%.6g", v); v == v {
				cells = append(cells, cell)
			} else {
				cells = append(cells, "")
			}
		}
		label, change := 0.0, 0.0
		if wrong {
			label = 1
		}
		if i > 0 && wrong != l.wrong[i-1] {
			change = 1
		}
		l.wrong = append(l.wrong, wrong)
		fmt.Fprintf(w, "%s;%.1f;%.1f\n", strings.Join(cells, ";"), label, change)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return l
}

// hits are rows flagged rightly, for nothing, and missed.
type hits struct{ right, wrong, missed, quiet int }

func (h *hits) add(flagged, wrong bool) {
	switch {
	case flagged && wrong:
		h.right++
	case flagged:
		h.wrong++
	case wrong:
		h.missed++
	default:
		h.quiet++
	}
}

// f1 is the harmonic mean of precision and recall, over rows.
func (h *hits) f1() float64 {
	return 2 * float64(h.right) / max(float64(2*h.right+h.wrong+h.missed), 1)
}

func (h *hits) String() string {
	return fmt.Sprintf("F1 %.2f, recall %.2f, of good rows flagged %.1f %%", h.f1(), float64(h.right)/max(float64(h.right+h.missed), 1), 100*float64(h.wrong)/max(float64(h.wrong+h.quiet), 1))
}

// score judges the loops of seeds as `detect --train 400` does.
func scoreLoops(t testing.TB, from, n uint64) (all *hits, of map[string]*hits) {
	t.Helper()
	dir := t.TempDir()
	all, of = &hits{}, map[string]*hits{}
	for seed := from; seed < from+n; seed++ {
		l := pumpLoop(t, dir, seed)
		r, reg, err := Open(l.path, runlog.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Columns) != 8 {
			t.Fatalf("%d columns are read, labels among them", len(r.Columns))
		}
		s := Session{Good: Stretch{To: loopGood}, Options: Options{FalseAlarms: 0.001}, Told: func(string) {}}
		if of[l.kind] == nil {
			of[l.kind] = &hits{}
		}
		one := hits{}
		if _, err := s.Judge(r, reg, func(row int, f Flag) {
			all.add(f.Anomaly, l.wrong[row])
			of[l.kind].add(f.Anomaly, l.wrong[row])
			one.add(f.Anomaly, l.wrong[row])
		}); err != nil {
			t.Fatal(err)
		}
		if os.Getenv("STIRWATCH_LOOPS") != "" {
			t.Logf("%d %s: %s", seed, l.kind, &one)
		}
		if err := os.Remove(l.path); err != nil {
			t.Fatal(err)
		}
	}
	return all, of
}

// Files of pump loops are judged by nothing but what their sensors show, and what is wrong with them is found, from beginning to end:
// STIRWATCH_LOOPS=SEED:N prints the table of docs/detect.md.
func TestPumpLoops(t *testing.T) {
	from, n := uint64(2000), uint64(8)
	if _, err := fmt.Sscanf(os.Getenv("STIRWATCH_LOOPS"), "%d:%d", &from, &n); err != nil && os.Getenv("STIRWATCH_LOOPS") != "" {
		t.Fatal("STIRWATCH_LOOPS=SEED:N says which")
	}
	all, of := scoreLoops(t, from, n)
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		t.Logf("%-12s %s", kind, of[kind])
	}
	t.Logf("%-12s %s", "all", all)
	if all.f1() < 0.6 {
		t.Errorf("all: %s", all)
	}
}
