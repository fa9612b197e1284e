package watch

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// Simulated plants that nothing was chosen on: the watch finds more of what is wrong, at fewer false rows, than T² of all
// channels or three sigma of any.
func TestAgainstPlainBaselines(t *testing.T) {
	var all rivals
	for k, kind := range faultKinds {
		var of rivals
		for seed := range uint64(10) {
			p := simulate(700_000+1000*uint64(k)+seed, kind)
			flags, _, err := p.run(Options{})
			if err != nil {
				t.Fatal(err)
			}
			p.judge(flags, &all, &of)
		}
		t.Logf("%-22s F1 %.2f (false %.3f missed %.3f)   T² %.2f   3 sigma %.2f", kind, of.own.f1(), of.own.far(), of.own.mar(), of.t2.f1(), of.sigma.f1())
	}
	t.Logf("%-22s F1 %.2f (false %.3f missed %.3f)   T² %.2f   3 sigma %.2f", "all", all.own.f1(), all.own.far(), all.own.mar(), all.t2.f1(), all.sigma.f1())
	if all.own.f1() < 0.8 || all.own.f1() < all.t2.f1()+0.05 || all.own.f1() < all.sigma.f1()+0.05 {
		t.Errorf("F1 %.3f, T² %.3f, three sigma %.3f", all.own.f1(), all.t2.f1(), all.sigma.f1())
	}
	if all.own.far() > 0.06 {
		t.Errorf("%.3f of the good rows are flagged", all.own.far())
	}
}

// noise is stationary: p channels that share a part.
func noise(seed uint64, p, n int) (at []float64, channels [][]float64) {
	r := rand.New(rand.NewPCG(seed, 3))
	channels = make([][]float64, p)
	for i := range n {
		at = append(at, float64(i))
		common := r.NormFloat64()
		for c := range channels {
			channels[c] = append(channels[c], 100*float64(c)+math.Pow(10, float64(c))*(0.6*common+0.8*r.NormFloat64()))
		}
	}
	return at, channels
}

func head(channels [][]float64, n int) (first [][]float64) {
	for _, c := range channels {
		first = append(first, c[:n])
	}
	return first
}

// judge gives the verdicts of a watch trained on the first rows.
func judge(t *testing.T, at []float64, channels [][]float64, train int, opt Options) []Verdict {
	t.Helper()
	f, err := Train(at[:train], head(channels, train), opt)
	if err != nil {
		t.Fatal(err)
	}
	w := f.Watch()
	row := make([]float64, len(channels))
	var all []Verdict
	for i := range at {
		for c := range row {
			row[c] = channels[c][i]
		}
		dt := 0.0
		if i > 0 {
			dt = at[i] - at[i-1]
		}
		var v Verdict
		w.Step(&v, dt, row)
		all = append(all, v)
	}
	return all
}

// The share of good rows beyond a limit is what was asked for, or less.
func TestFalseAlarmRate(t *testing.T) {
	for _, rate := range []float64{0.01, 0.001} {
		beyond, flags, n := 0, 0, 0
		for seed := range uint64(3) {
			at, channels := noise(seed, 6, 12_000)
			for _, v := range judge(t, at, channels, 2000, Options{FalseAlarms: rate})[2000:] {
				n++
				if v.Score > 1 {
					beyond++
				}
				if v.Flag {
					flags++
				}
			}
		}
		t.Logf("asked %.4f: %.5f of %d good rows beyond a limit, %.5f flagged", rate, float64(beyond)/float64(n), n, float64(flags)/float64(n))
		if float64(beyond) > 1.5*rate*float64(n) {
			t.Errorf("%d of %d good rows are beyond a limit, asked was %g", beyond, n, rate)
		}
	}
}

// Parts add up to the statistic, none is negative, and the channel that is off has the most.
func TestContributionsAddUp(t *testing.T) {
	at, channels := noise(9, 6, 900)
	for i := 600; i < 900; i++ {
		channels[3][i] += 3 * 1000
	}
	seen := map[Statistic]bool{}
	for i, v := range judge(t, at, channels, 500, Options{}) {
		sum := 0.0
		for _, p := range v.Part {
			if p < 0 {
				t.Fatalf("row %d: %v", i, v.Part)
			}
			sum += p
		}
		if (v.Flag || v.Score > 1) && math.Abs(sum-v.Value) > 1e-9*(1+v.Value) {
			t.Fatalf("row %d, %s: parts %v are %g of %g", i, v.Statistic, v.Part, sum, v.Value)
		}
		if v.Flag {
			seen[v.Statistic] = true
		}
		if i > 660 && (!v.Flag || slices.Index(v.Part, slices.Max(v.Part)) != 3) {
			t.Fatalf("row %d: flag %v, %s, parts %v", i, v.Flag, v.Statistic, v.Part)
		}
	}
	if len(seen) < 2 {
		t.Errorf("only %v were the worst in any row", seen)
	}
}

// What is said of a row does not depend on later ones.
func TestCausal(t *testing.T) {
	p := simulate(7, "mean shift")
	full, _, err := p.run(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(full, true) {
		t.Fatal("nothing is flagged")
	}
	for _, n := range []int{450, 700, 900} {
		cut := *p
		cut.at, cut.columns = p.at[:n], head(p.columns, n)
		part, _, err := cut.run(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(part, full[:n]) {
			t.Errorf("the flags of %d rows differ from those of all", n)
		}
	}
}

// Outliers in a twentieth of the good stretch hide no fault.
func TestOutliersInTheGoodStretch(t *testing.T) {
	at, channels := noise(4, 5, 1000)
	r := rand.New(rand.NewPCG(1, 1))
	for range 25 {
		channels[r.IntN(5)][r.IntN(500)] *= 30
	}
	for i := 700; i < 1000; i++ {
		channels[1][i] += 3 * 10
		channels[2][i] -= 3 * 100
	}
	all := judge(t, at, channels, 500, Options{})
	before, after := 0, 0
	for i, v := range all[500:] {
		if v.Flag && i < 200 {
			before++
		}
		if v.Flag && i >= 200 {
			after++
		}
	}
	if before > 4 || after < 270 {
		t.Errorf("%d of 200 good rows and %d of 300 bad ones are flagged", before, after)
	}
}

// What cannot be watched is named, and too little to train on is refused.
func TestWhatCannotBeWatched(t *testing.T) {
	at, channels := noise(2, 2, 300)
	still, empty, count := make([]float64, 300), make([]float64, 300), make([]float64, 300)
	for i := range at {
		still[i], empty[i], count[i] = 7, math.NaN(), float64(3*i)
	}
	f, err := Train(at, append(channels, still, empty, count), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.Watched(), []int{0, 1}) || len(f.Unwatched()) != 3 {
		t.Errorf("watched %v, not %v", f.Watched(), f.Unwatched())
	}
	for i, want := range []string{"does not move", "values in 0 of the 300 rows", "only counts"} {
		if u := f.Unwatched()[i]; u.Channel != 2+i || !strings.Contains(u.Why, want) {
			t.Errorf("%+v, want %q", u, want)
		}
	}
	if _, err := Train(at[:10], head(channels, 10), Options{}); err == nil || !strings.Contains(err.Error(), "at least 20") {
		t.Errorf("ten rows: %v", err)
	}
	if _, err := Train(at, [][]float64{still}, Options{}); err == nil || !strings.Contains(err.Error(), "no channel moves") {
		t.Errorf("nothing moves: %v", err)
	}
	if _, err := Train(at[:25], head(channels, 25), Options{}); err != nil {
		t.Errorf("25 rows: %v", err)
	}
}

// A channel that falls silent is an anomaly of that channel; short gaps as in the good stretch are none.
func TestMissing(t *testing.T) {
	at, channels := noise(5, 4, 900)
	for i := 50; i < 900; i += 40 {
		channels[1][i], channels[1][i+1] = math.NaN(), math.NaN()
	}
	for i := 700; i < 800; i++ {
		channels[2][i] = math.Inf(1)
	}
	all := judge(t, at, channels, 500, Options{})
	for i, v := range all {
		switch {
		case i < 700 && v.Flag:
			t.Fatalf("row %d is flagged: %s", i, v.Statistic)
		case i > 710 && i < 800 && (!v.Flag || v.Statistic != Missing || v.Part[2] != v.Value):
			t.Fatalf("row %d: %+v", i, v)
		case i > 830 && v.Flag:
			t.Fatalf("row %d is still flagged: %s", i, v.Statistic)
		}
	}
}

// A level that is not flagged is followed where that is asked for, and else not, unless the good stretch itself
// seems to wander: that a short stretch of noise seems so is rare.
func TestAdapt(t *testing.T) {
	still, follows := 0, 0
	for seed := range uint64(6) {
		at, channels := noise(seed, 3, 10_000)
		for i := range at {
			channels[0][i] += 3 * float64(i) / 10_000 // slow wear
		}
		flagged := func(opt Options) (n int) {
			for _, v := range judge(t, at, channels, 500, opt) {
				if v.Flag {
					n++
				}
			}
			return n
		}
		if flagged(Options{}) > 3000 {
			still++
		}
		if flagged(Options{Adapt: 300}) < 200 {
			follows++
		}
	}
	if still < 4 || follows < 5 {
		t.Errorf("of 6 slow wears %d are flagged with a fixed reference, and %d are followed", still, follows)
	}
}

// After a long gap the level begins anew: what was before it is no neighbour.
func TestGap(t *testing.T) {
	at, channels := noise(8, 3, 800)
	for i := 600; i < 800; i++ {
		at[i] += 1e5
	}
	for i, v := range judge(t, at, channels, 400, Options{}) {
		if v.Flag {
			t.Fatalf("row %d is flagged: %s", i, v.Statistic)
		}
	}
}

// A temperature of a machine over months, every 5 minutes, with a daily cycle and slow wandering: a shutdown, a failure that
// announces itself, and a breakdown are found, and little else.
func TestMachineTemperature(t *testing.T) {
	faults := [][2]int{{4000, 4170}, {16_000, 16_150}, {19_400, 19_600}}
	false_, hits := 0, 0
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 40))
		slow, mid := 0.0, 0.0
		var at, v []float64
		for i := range 22_000 {
			slow = 0.9995*slow + 0.25*r.NormFloat64()
			mid = 0.985*mid + 0.8*r.NormFloat64()
			x := 86 + slow + mid + 4*math.Sin(2*math.Pi*float64(i)/288) + 0.8*r.NormFloat64()
			for k, f := range faults {
				if i >= f[0] && i < f[1] {
					x -= []float64{50, 25, 75}[k] * min(float64(i-f[0])/20, 1)
				}
			}
			at, v = append(at, 300*float64(i)), append(v, x)
		}
		var found [3]bool
		began := false
		for i, verdict := range judge(t, at, [][]float64{v}, 3400, Options{}) {
			in := false
			for k, f := range faults {
				if i >= f[0] && i < f[1]+40 {
					in = true
					found[k] = found[k] || verdict.Flag
				}
			}
			if verdict.Flag && !began && !in {
				false_++
			}
			began = verdict.Flag
		}
		for _, f := range found {
			if f {
				hits++
			}
		}
	}
	t.Logf("%d of 12 faults found, %d false flags in 10 months", hits, false_)
	if hits < 11 || false_ > 4 {
		t.Errorf("%d of 12 faults found, %d false flags", hits, false_)
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	at, channels := noise(1, 8, 400)
	f, err := Train(at, channels, Options{Adapt: 1000})
	if err != nil {
		t.Fatal(err)
	}
	w := f.Watch()
	var v Verdict
	row := make([]float64, 8)
	i := 0
	if n := testing.AllocsPerRun(500, func() {
		for c := range row {
			row[c] = channels[c][i%400] * float64(1+i%7/6) // wrong now and then
		}
		i++
		w.Step(&v, 1, row)
	}); n != 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// Budget: 20 µs for 32 channels, a fifth of what a tick may take.
func BenchmarkStep32(b *testing.B) {
	at, channels := noise(1, 32, 2000)
	for c := range channels { // ten powers are enough
		for i := range channels[c] {
			channels[c][i] /= math.Pow(10, float64(c))
		}
	}
	f, err := Train(at, channels, Options{})
	if err != nil {
		b.Fatal(err)
	}
	w := f.Watch()
	var v Verdict
	row := make([]float64, 32)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for c := range row {
			row[c] = channels[c][i%2000]
		}
		w.Step(&v, 1, row)
	}
}

// A channel of coarse steps that stands still for rows at a time, as it does in the good stretch, is not stuck; one that stands for
// many times as long is.
func TestACoarseChannelRests(t *testing.T) {
	rests, stuck := 0, 0
	for seed := range uint64(8) {
		at, channels := noise(seed, 3, 1300)
		r := rand.New(rand.NewPCG(seed, 12))
		flow := 0.0
		for i := range at {
			flow = 0.97*flow + math.Sqrt(1-0.97*0.97)*r.NormFloat64()
			channels[2][i] = 32 + math.Round(0.8*flow)
			if i >= 1000 {
				channels[2][i] = channels[2][1000]
			}
		}
		for i, v := range judge(t, at, channels, 400, Options{}) {
			switch {
			case i >= 400 && i < 1000 && v.Flag && v.Still:
				rests++
			case i == 1299 && v.Flag && v.Still && v.Part[2] == v.Value:
				stuck++
			}
		}
	}
	if rests > 24 || stuck < 7 {
		t.Errorf("%d rows of 4800 in which it rests are flagged as still, and it is stuck in %d of 8", rests, stuck)
	}
}

// A level that walks, and goes further while another channel is off, stays where it has gone to: when that other one is back the flag ends.
func TestWhatWalksMeanwhile(t *testing.T) {
	found, ended := 0, 0
	for seed := range uint64(20) {
		at, channels := noise(seed, 4, 1500)
		r := rand.New(rand.NewPCG(seed, 13))
		walk := 0.0
		for i := range at {
			walk += 0.02 * r.NormFloat64()
			if i >= 550 && i < 1000 {
				channels[0][i] += 5
				walk += 0.005
			}
			channels[3][i] = 75 + walk + 0.15*r.NormFloat64()
		}
		all := judge(t, at, channels, 500, Options{})
		if all[900].Flag {
			found++
		}
		last := 0
		for i, v := range all[1000:1200] {
			if v.Flag {
				last = i
			}
		}
		if last < 120 {
			ended++
		}
	}
	if found < 20 || ended < 17 {
		t.Errorf("%d of 20 faults are flagged, and %d flags end soon after them", found, ended)
	}
}
