package watch

import (
	"math"
	"math/rand/v2"
)

// plant is a simulated pump loop: eight channels at 1 Hz of very different scale, with noise that remembers,
// coarse steps, a motor that warms up, and flow, current and vibration that move together.
type plant struct {
	at      []float64
	columns [][]float64
	label   []bool
	kind    string
}

const (
	plantRows  = 1100
	plantTrain = 400
)

var faultKinds = []string{"mean shift", "shift of one channel", "variance", "correlation", "slow drift", "dropout", "stuck", "ramp of the load"}

// simulate makes a plant with one stretch of a fault of the kind; "" is none.
func simulate(seed uint64, kind string) *plant {
	r := rand.New(rand.NewPCG(seed, 77))
	from := 480 + r.IntN(250)
	to := min(from+120+r.IntN(300), plantRows-30)
	size := 0.7 + 1.3*r.Float64() // of the fault
	which := r.IntN(8)
	sign := 1.0
	if r.IntN(2) == 0 {
		sign = -1
	}
	load, slowLoad, heat, wander := 0.0, 0.0, 0.0, 0.0
	ar := make([]float64, 8)
	heatTo := 8 * r.NormFloat64()
	heatTau := 300 + 900*r.Float64()
	coarse := []float64{0, 0, 0, 0.33, 0, 0, 0, 0.1}
	unit := []float64{0.0005, 0.0008, 0.25, 0.25, 0.35, 0.03, 6, 0.5}
	base := []float64{0.027, 0.040, 1.0, 0.05, 79, 26, 230, 32}
	mix := [][2]float64{{0.6, 0}, {0.7, 0}, {0.8, 0}, {0.3, 0}, {0, 1}, {0, 0.3}, {-0.3, 0}, {0.8, 0}}
	memory := []float64{0.3, 0.3, 0.1, 0, 0.2, 0.5, 0.1, 0.6}
	p := &plant{kind: kind, columns: make([][]float64, 8)}
	stuckAt := make([]float64, 8)
	t := 0.0
	for i := range plantRows {
		in := i >= from && i < to
		grow := min(float64(i-from)/15, 1) // a valve takes its time
		slowLoad += 0.03*r.NormFloat64() - 0.01*slowLoad
		load = 0.9*load + math.Sqrt(1-0.81)*r.NormFloat64()
		heat += (heatTo - heat) / heatTau
		wander += 0.02 * r.NormFloat64()
		t++
		if r.Float64() < 0.01 {
			t++ // a row is missing now and then
		}
		p.at = append(p.at, t)
		p.label = append(p.label, in && kind != "")
		for c := range 8 {
			ar[c] = memory[c]*ar[c] + math.Sqrt(1-memory[c]*memory[c])*r.NormFloat64()
			l, noise, shift := load+slowLoad, ar[c], 0.0
			if in {
				switch kind {
				case "mean shift":
					shift = sign * size * 1.6 * grow * []float64{1, 1, -0.7, 0.3, 0, 0, 0.2, -1.2}[c]
				case "shift of one channel":
					if c == which {
						shift = sign * size * 4 * grow
					}
				case "variance":
					if c < 3 || c == 7 {
						noise *= 1 + 1.5*size
					}
				case "correlation":
					if c == 0 || c == 1 || c == 2 || c == 7 {
						l = 0.9 * r.NormFloat64() * (1 + size)
					}
				case "slow drift":
					shift = sign * size * 4 * float64(i-from) / 150 * []float64{0.5, 0, 1, 0, 0, 0, 0, -1}[c]
				case "ramp of the load":
					l += sign * size * 5 * min(float64(i-from)/80, 1)
				}
			}
			v := mix[c][0]*l + mix[c][1]*(heat+wander)/0.35*0.35 + math.Sqrt(1-mix[c][0]*mix[c][0])*noise + shift
			v = base[c] + unit[c]*v
			if coarse[c] > 0 {
				v = math.Round(v/coarse[c]) * coarse[c]
			}
			if i == from {
				stuckAt[c] = v
			}
			if in && kind == "stuck" && c == []int{0, 1, 2, 4, 6}[which%5] {
				v = stuckAt[c]
			}
			if in && kind == "dropout" && c == which {
				switch r.IntN(3) {
				case 0:
					v = math.NaN()
				case 1:
					v = 0
				}
			}
			p.columns[c] = append(p.columns[c], v)
		}
	}
	return p
}

// run judges a plant trained on its first rows.
func (p *plant) run(opt Options) ([]bool, []Verdict, error) {
	first := make([][]float64, len(p.columns))
	for c := range first {
		first[c] = p.columns[c][:plantTrain]
	}
	f, err := Train(p.at[:plantTrain], first, opt)
	if err != nil {
		return nil, nil, err
	}
	w := f.Watch()
	row := make([]float64, len(p.columns))
	var flags []bool
	var all []Verdict
	for i := range p.at {
		for c := range row {
			row[c] = p.columns[c][i]
		}
		dt := 1.0
		if i > 0 {
			dt = p.at[i] - p.at[i-1]
		}
		var v Verdict
		w.Step(&v, dt, row)
		flags = append(flags, v.Flag)
		all = append(all, v)
	}
	return flags, all, nil
}

// classic are the two plain baselines: T² of all channels with the χ² limit, and three sigma of any channel.
func (p *plant) classic() (t2, sigma []bool) {
	first := make([][]float64, len(p.columns))
	mean, sd := make([]float64, len(p.columns)), make([]float64, len(p.columns))
	for c := range first {
		n := 0.0
		for _, v := range p.columns[c][:plantTrain] {
			mean[c] += v / plantTrain
			n++
		}
		for _, v := range p.columns[c][:plantTrain] {
			sd[c] += (v - mean[c]) * (v - mean[c]) / plantTrain
		}
		sd[c] = math.Sqrt(sd[c])
	}
	z := make([][]float64, len(p.columns))
	use := make([]bool, plantTrain)
	for c := range z {
		for i, v := range p.columns[c] {
			if math.IsNaN(v) {
				v = mean[c]
			}
			z[c] = append(z[c], (v-mean[c])/sd[c])
			if i < plantTrain {
				use[i] = true
			}
		}
	}
	v, lambda := principal(covariance(z, use))
	limit := chi2(len(z), 0.001)
	for i := range p.at {
		d, off := 0.0, false
		for k := range v {
			t := 0.0
			for c := range z {
				t += v[k][c] * z[c][i]
			}
			d += t * t / lambda[k]
		}
		for c := range z {
			off = off || math.Abs(z[c][i]) > 3
		}
		t2, sigma = append(t2, d > limit), append(sigma, off)
	}
	return t2, sigma
}

// rivals are the hits of the watch, of T² of all channels and of three sigma of any.
type rivals struct{ own, t2, sigma counted }

// judge adds what the watch's flags and the plain ones are worth on this plant to each of the sums.
func (p *plant) judge(flags []bool, sums ...*rivals) {
	t2, sigma := p.classic()
	for _, r := range sums {
		r.own.add(flags, p.label)
		r.t2.add(t2, p.label)
		r.sigma.add(sigma, p.label)
	}
}

// counted is a table of hits.
type counted struct{ tp, fp, fn, tn int }

func (c *counted) add(flags, label []bool) {
	for i, f := range flags {
		switch {
		case f && label[i]:
			c.tp++
		case f:
			c.fp++
		case label[i]:
			c.fn++
		default:
			c.tn++
		}
	}
}

func (c counted) f1() float64  { return 2 * float64(c.tp) / float64(2*c.tp+c.fp+c.fn) }
func (c counted) far() float64 { return float64(c.fp) / float64(c.fp+c.tn) }
func (c counted) mar() float64 { return float64(c.fn) / float64(c.tp+c.fn) }
