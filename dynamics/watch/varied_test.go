package watch

import (
	"math"
	"math/rand/v2"
	"testing"
)

// variedKinds are the faults of varied.
var variedKinds = []string{"mean shift", "shift of one channel", "variance", "correlation", "slow drift", "dropout", "stuck", "two steps"}

// varied makes a process of random make: 4 to 10 channels that follow one to three common causes with slow or fast dynamics, units
// from thousandths to thousands, coarse steps, a channel that stands still, one that warms up, a load that is moved now and then,
// outliers in the good stretch. A fault of the kind ("" is none) takes 10 to 60 % of the rows after the good stretch, grows within up
// to 30 rows and is followed by recovery; what is warm by then cools slowly.
func varied(seed uint64, kind string) *plant {
	r := rand.New(rand.NewPCG(seed, 4711))
	rows := 900 + r.IntN(500)
	rest := rows - plantTrain
	length := int(float64(rest) * (0.1 + 0.5*r.Float64()))
	from := plantTrain + 30 + r.IntN(max(rest-length-60, 1))
	to := min(from+length, rows-10)
	channels := 4 + r.IntN(7)
	causes := 1 + r.IntN(3)
	size := 0.7 + 1.3*r.Float64()
	ramp := 1 + r.IntN(30)

	tau := make([]float64, causes) // rows that a cause remembers
	for k := range tau {
		tau[k] = math.Exp(r.Float64() * math.Log(60))
	}
	mix := make([][]float64, channels)
	own := make([]float64, channels)    // share of the channel's own noise
	memory := make([]float64, channels) // of that
	unit, base, grain := make([]float64, channels), make([]float64, channels), make([]float64, channels)
	warm, drift := make([]float64, channels), make([]float64, channels)
	shift := make([]float64, channels)
	for c := range mix {
		mix[c] = make([]float64, causes)
		norm := 0.0
		for k := range mix[c] {
			mix[c][k] = r.NormFloat64()
			norm += mix[c][k] * mix[c][k]
		}
		own[c] = 0.3 + 0.7*r.Float64()
		for k := range mix[c] {
			mix[c][k] *= math.Sqrt((1 - own[c]*own[c]) / norm)
		}
		memory[c] = math.Exp(-1 / math.Exp(r.Float64()*math.Log(20)))
		if r.IntN(2) == 0 {
			memory[c] = 0
		}
		unit[c] = math.Pow(10, 6*r.Float64()-3)
		base[c] = unit[c] * 20 * r.Float64()
		if r.IntN(4) == 0 {
			grain[c] = unit[c] * (0.3 + 1.7*r.Float64())
		}
		if r.IntN(3) == 0 {
			warm[c] = 5 * r.NormFloat64()
		}
		if r.IntN(3) == 0 {
			drift[c] = 0.03 * r.Float64()
		}
		shift[c] = r.NormFloat64()
	}
	still := -1
	if r.IntN(3) == 0 {
		still = r.IntN(channels)
	}
	which := r.IntN(channels)
	for which == still {
		which = r.IntN(channels)
	}
	sign := float64(2*r.IntN(2) - 1)
	warmFor := 150 * math.Exp(r.Float64()*math.Log(10))
	spoilt := r.IntN(3) == 0

	p := &plant{kind: kind, columns: make([][]float64, channels)}
	cause, noise, walk := make([]float64, causes), make([]float64, channels), make([]float64, channels)
	for k := range cause {
		cause[k] = r.NormFloat64()
	}
	after := make([]float64, channels) // what a fault leaves
	var held float64
	t := 0.0
	for i := range rows {
		t++
		if r.IntN(100) == 0 {
			t++
		}
		in := kind != "" && i >= from && i < to
		grow := min(float64(i-from+1)/float64(ramp), 1)
		for k := range cause {
			a := math.Exp(-1 / tau[k])
			cause[k] = a*cause[k] + math.Sqrt(1-a*a)*r.NormFloat64()
		}
		p.at, p.label = append(p.at, t), append(p.label, in)
		for c := range channels {
			noise[c] = memory[c]*noise[c] + math.Sqrt(1-memory[c]*memory[c])*r.NormFloat64()
			walk[c] += drift[c] * r.NormFloat64()
			v := walk[c] - warm[c]*math.Exp(-float64(i)/warmFor)
			n, off := own[c]*noise[c], 0.0
			common := 0.0
			for k := range cause {
				common += mix[c][k] * cause[k]
			}
			if in {
				switch kind {
				case "mean shift":
					off = sign * 1.3 * size * grow * shift[c]
				case "shift of one channel":
					if c == which {
						off = sign * 3.5 * size * grow
					}
				case "variance":
					if c%2 == which%2 {
						n *= 1 + 1.3*size*grow
					}
				case "correlation":
					if c%2 == which%2 {
						common = math.Sqrt(1-own[c]*own[c]) * r.NormFloat64() * (0.8 + 0.5*size)
					}
				case "slow drift":
					if c == which || c == (which+1)%channels {
						off = sign * 5 * size * min(float64(i-from)/200, 1)
					}
				case "two steps":
					off = sign * 1.3 * size * shift[c] * grow
					if i > (from+to)/2 {
						off *= 1.6
					}
				}
			}
			if warm[c] != 0 { // heat stays
				after[c] += (off - after[c]) / 25
				off = after[c]
			}
			x := base[c] + unit[c]*(v+common+n+off)
			if spoilt && i < plantTrain && r.IntN(50*channels) == 0 {
				x += unit[c] * 30 * r.NormFloat64()
			}
			if grain[c] > 0 {
				x = math.Round(x/grain[c]) * grain[c]
			}
			if c == still {
				x = base[c]
			}
			if c == which && in {
				switch {
				case kind == "stuck" && i == from:
					held = x
				case kind == "stuck":
					x = held
				case kind == "dropout":
					switch r.IntN(3) {
					case 0:
						x = math.NaN()
					case 1:
						x = 0
					}
				}
			}
			p.columns[c] = append(p.columns[c], x)
		}
	}
	return p
}

// Processes of random make that nothing was chosen on: what is found stays flagged while it lasts, and good rows are left alone.
func TestVariedProcesses(t *testing.T) {
	const seeds = 20
	var all rivals
	found, lost := 0, 0
	for k, kind := range append([]string{""}, variedKinds...) {
		var of rivals
		for seed := range uint64(seeds) {
			p := varied(2_000_000+1000*uint64(k)+seed, kind)
			flags, _, err := p.run(Options{})
			if err != nil {
				t.Fatal(err)
			}
			p.judge(flags, &all, &of)
			f, l := heldTo(flags, p.label)
			found, lost = found+f, lost+l
		}
		if kind == "" {
			t.Logf("%-22s false %.3f   T² %.3f   3 sigma %.3f", "none", of.own.far(), of.t2.far(), of.sigma.far())
			continue
		}
		t.Logf("%-22s F1 %.2f (false %.3f missed %.3f)   T² %.2f (%.3f, %.3f)   3 sigma %.2f", kind, of.own.f1(), of.own.far(), of.own.mar(), of.t2.f1(), of.t2.far(), of.t2.mar(), of.sigma.f1())
	}
	t.Logf("%-22s F1 %.2f (false %.3f missed %.3f)   T² %.2f   3 sigma %.2f", "all", all.own.f1(), all.own.far(), all.own.mar(), all.t2.f1(), all.sigma.f1())
	t.Logf("%d faults flagged for ten rows, of which %d no more in their last ten", found, lost)
	if all.own.f1() < 0.75 || all.own.far() > 0.05 || all.own.f1() < all.t2.f1()+0.15 || all.own.f1() < all.sigma.f1()+0.15 {
		t.Errorf("F1 %.3f at %.3f false rows, T² %.3f, three sigma %.3f", all.own.f1(), all.own.far(), all.t2.f1(), all.sigma.f1())
	}
	if found < 80 || lost > found/10 {
		t.Errorf("%d of %d faults were not flagged to their end", lost, found)
	}
}

// heldTo reports whether a fault was flagged for ten rows, and whether the flag had gone by its last ten.
func heldTo(flags, label []bool) (found, lost int) {
	in, last, rows := 0, 0, 0
	for i, l := range label {
		if l {
			rows, last = rows+1, i
			if flags[i] {
				in++
			}
		}
	}
	if rows == 0 || in < 10 {
		return 0, 0
	}
	for i := last - 9; i <= last; i++ {
		if flags[i] {
			return 1, 0
		}
	}
	return 1, 1
}

// Temperatures of machines alone, every 5 minutes over two and a half months: they wander over days by as much as a tenth of
// their height, some have a daily cycle, coarse steps, gaps, a good stretch that begins cold. A shutdown, a failure that comes
// within two days, one that comes within hours, and a breakdown.
func TestMonthsOfATemperature(t *testing.T) {
	const rows, train = 22_000, 3400
	found, faults, events, late := 0, 0, 0, 0.0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 41))
		slow, mid := 0.0, 0.0
		days := 288 * (1 + 3*r.Float64()) // that the slow wandering remembers
		sd, midSD, cycle := 3+6*r.Float64(), 1+2*r.Float64(), 5*float64(seed%2)*r.Float64()
		type fault struct {
			from, to, grow int
			by             float64
		}
		f := []fault{{3900 + r.IntN(500), 0, 5, 60}, {9000 + r.IntN(1000), 0, 576, 45}, {15_000 + r.IntN(500), 0, 60, 40}, {19_300 + r.IntN(400), 0, 20, 70}}
		for k := range f {
			f[k].to = f[k].from + f[k].grow + 100 + r.IntN(150)
		}
		at, v := []float64{}, []float64{}
		time := 0.0
		for i := range rows {
			slow += -slow/days + sd*math.Sqrt(2/days)*r.NormFloat64()
			mid += -mid/40 + midSD*math.Sqrt(2.0/40)*r.NormFloat64()
			x := 88 + slow + mid + cycle*math.Sin(2*math.Pi*float64(i)/288) + 0.6*r.NormFloat64() - 25*math.Exp(-float64(i)/60)
			for _, f := range f {
				if i >= f.from && i < f.to {
					x -= f.by * min(float64(i-f.from)/float64(f.grow), 1)
				}
			}
			if seed%3 == 0 {
				x = math.Round(x)
			}
			if time += 300; r.IntN(2000) == 0 {
				time += 3600 * float64(r.IntN(20))
			}
			at, v = append(at, time), append(v, x)
		}
		began := false
		first := make([]int, len(f))
		for i, verdict := range judge(t, at, [][]float64{v}, train, Options{}) {
			in := false
			for k, f := range f {
				if i >= f.from && i < f.to+60 {
					in = true
					if verdict.Flag && first[k] == 0 {
						first[k] = i - f.from + 1
					}
				}
			}
			if verdict.Flag && !began && !in && i >= train {
				events++
			}
			began = verdict.Flag
		}
		for k, n := range first {
			faults++
			if n > 0 {
				found++
			}
			if k == 1 && n > 0 {
				late += float64(n) / 12 / 12
			}
		}
		t.Logf("seed %d: sd %.1f over %.1f days, cycle %.1f: rows to the flags %v", seed, sd, days/288, cycle, first)
	}
	months := 12.0 * (rows - train) / 288 / 30
	t.Logf("%d of %d faults found, %.1f false events a month, failures of two days after %.0f h", found, faults, float64(events)/months, late)
	if found < faults*85/100 || float64(events) > 1.5*months {
		t.Errorf("%d of %d faults found, %d false events in %.0f months", found, faults, events, months)
	}
}
