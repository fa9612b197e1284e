package twin

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"time"
)

// Trace is a run as equally named columns, one value a row; lengths in mm, speeds mm/min, torque
// N·m, power W, temperatures °C, time s since the first row.
type Trace struct {
	Name                                                                      string
	At, Temp, RPM, Torque, Power, SetPoint, Feed, FeedTrq, Path, X, Y, Z, Low []float64
}

// ReadTrace reads a controller's log that is in inch mode throughout.
func ReadTrace(path string) (*Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("run log %s: %w", path, err)
	}
	column := map[string]int{}
	for i, name := range head {
		column[name] = i
	}
	t := &Trace{Name: path}
	fields := []struct {
		name  string
		scale float64
		to    *[]float64
	}{
		{"ToolTemp", 1, &t.Temp}, {"SpinVel", 1, &t.RPM}, {"SpinTrq", footPound, &t.Torque}, {"SpinPwr", 1, &t.Power}, {"SpinSP", 1, &t.SetPoint},
		{"FeedVel", inch, &t.Feed}, {"FeedTrq", 1, &t.FeedTrq}, {"PathVel", inch, &t.Path}, {"XPos", inch, &t.X}, {"YPos", inch, &t.Y}, {"ZPos", inch, &t.Z}, {"Low", 1, &t.Low},
	}
	for _, f := range fields {
		if _, ok := column[f.name]; !ok {
			return nil, fmt.Errorf("run log %s has no column %s", path, f.name)
		}
	}
	var begin time.Time
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("run log %s: %w", path, err)
		}
		if len(rec) < len(head) {
			continue // the last line of a log that was cut off
		}
		at, err := time.Parse("2006-01-02 15:04:05", rec[column["Date"]]+" "+rec[column["Time"]])
		if err != nil {
			continue
		}
		if begin.IsZero() {
			begin = at
		}
		t.At = append(t.At, at.Sub(begin).Seconds())
		for _, f := range fields {
			v, err := strconv.ParseFloat(rec[column[f.name]], 64)
			if err != nil {
				v = math.NaN()
			}
			*f.to = append(*f.to, v*f.scale)
		}
	}
	if len(t.At) < 300 {
		return nil, fmt.Errorf("run log %s has %d rows; a comparison needs a whole build", path, len(t.At))
	}
	return t, nil
}

const (
	inch      = 25.4
	footPound = 1.3558179483314004
)

// Add appends a row.
func (t *Trace) Add(r *Row) {
	for _, f := range []struct {
		to *[]float64
		v  float64
	}{
		{&t.At, r.At}, {&t.Temp, r.ToolTemp}, {&t.RPM, r.RPM}, {&t.Torque, r.Torque}, {&t.Power, r.Power}, {&t.SetPoint, r.SetPoint},
		{&t.Feed, r.FeedVel}, {&t.FeedTrq, r.FeedTrq}, {&t.Path, r.PathVel}, {&t.X, r.X}, {&t.Y, r.Y}, {&t.Z, r.Z}, {&t.Low, r.Low},
	} {
		*f.to = append(*f.to, f.v)
	}
}

// Replay runs a twin on a recorded plan: set-point, feed, traverse and height as recorded, row by
// row; spindle speed comes from the twin's own controller, everything else from its physics.
func Replay(p *Params, seed uint64, plan *Trace) (*Trace, error) {
	q := *p
	q.Controller.Min = 200
	m, err := New(Config{Params: &q, Seed: seed, Program: []Code{{Name: "M42", S: 1e9, HasS: true}}, Limit: 1e9})
	if err != nil {
		return nil, err
	}
	m.rpm = plan.RPM[0]
	m.command = m.rpm
	t := &Trace{Name: "twin"}
	var r Row
	ended := false
	for i := range plan.At {
		m.speedCommand, m.feedCommand = plan.Path[i]/60, plan.Feed[i]/60
		_, _, _, _, pace := m.path.at(m.lap - math.Floor(m.lap))
		m.speedCommand /= pace
		if on := plan.SetPoint[i] > 0; on && plan.SetPoint[i] != m.setPoint {
			err = m.Do(Code{Name: "M41", S: plan.SetPoint[i], HasS: true})
		} else if !on && m.pid {
			err = errors.Join(m.Do(Code{Name: "M41"}), m.Do(Code{Name: "M05"}))
		}
		if err != nil {
			return nil, err
		}
		// The tool leaves the deposit when the recorded height first rises by more than a layer.
		if i > 5 && plan.Z[i]-plan.Z[i-5] > 3 && !ended {
			ended = true
			m.liftGoal = 240
		}
		if ended {
			m.speedCommand = 0
		}
		until := int64(math.Round((plan.At[i] + 1) / dt))
		for m.steps < until {
			m.step()
		}
		m.row(&r)
		r.At = plan.At[i]
		t.Add(&r)
	}
	return t, nil
}

// Figures are what a run is compared by.
type Figures struct {
	TakeOff        float64   // s from contact to 60 °C
	HeatRate       float64   // °C/s, largest rise in a second
	To400          float64   // s from 60 to 400 °C
	Mean, Std, MAE float64   // °C in the held part; mean and absolute error against the set-point
	Slope          float64   // °C/s, std of change in a second
	Peaks          []float64 // s, periods of the largest lines of the spectrum, largest first
	Amplitude      float64   // °C of the largest
	Power, Speed   float64   // W and rpm, mean in the held part
	Torque         float64   // N·m
	TorqueStd      float64
	SpeedStd       float64
	Exponent       float64 // of torque against speed in the held part
	CoolTau        float64 // s, first 25 s after the tool was lifted, towards 25 °C
	Feed           float64 // mean feed torque number
}

// Measure takes the figures of a run whose rows are a second apart. held is the part, in s, where
// the temperature is held.
func Measure(t *Trace, from, to float64) Figures {
	var f Figures
	n := len(t.At)
	at := func(level float64) float64 {
		for i := range t.Temp {
			if t.Temp[i] >= level {
				return t.At[i]
			}
		}
		return math.NaN()
	}
	f.TakeOff, f.To400 = at(60), at(400)-at(60)
	for i := 1; i < n; i++ {
		f.HeatRate = max(f.HeatRate, t.Temp[i]-t.Temp[i-1])
	}
	a, b := 0, n
	for i := range t.At {
		if t.At[i] <= from {
			a = i
		}
		if t.At[i] <= to {
			b = i
		}
	}
	held := t.Temp[a:b]
	f.Mean, f.Std = meanStd(held)
	for i := a; i < b; i++ {
		f.MAE += math.Abs(t.Temp[i]-t.SetPoint[i]) / float64(b-a)
	}
	d := make([]float64, 0, b-a)
	for i := a + 1; i < b; i++ {
		d = append(d, t.Temp[i]-t.Temp[i-1])
	}
	_, f.Slope = meanStd(d)
	f.Power, _ = meanStd(t.Power[a:b])
	f.Speed, f.SpeedStd = meanStd(t.RPM[a:b])
	f.Torque, f.TorqueStd = meanStd(t.Torque[a:b])
	f.Feed, _ = meanStd(t.FeedTrq[a:b])
	f.Exponent = exponent(t.RPM[a:b], t.Torque[a:b])
	f.Peaks, f.Amplitude = peaks(t.At[a:b], held)
	// The lift: the torque has gone and the spindle stops.
	for i := b; i < n; i++ {
		if t.SetPoint[i] == 0 {
			k := min(n-1, i+25)
			f.CoolTau = (t.At[k] - t.At[i]) / math.Log((t.Temp[i]-25)/(t.Temp[k]-25))
			break
		}
	}
	return f
}

func meanStd(x []float64) (mean, std float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		std += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, math.Sqrt(std)
}

// exponent is the slope of log torque over log speed.
func exponent(rpm, torque []float64) float64 {
	var sx, sy, sxx, sxy, n float64
	for i := range rpm {
		if rpm[i] > 10 && torque[i] > 1 {
			x, y := math.Log(rpm[i]), math.Log(torque[i])
			sx, sy, sxx, sxy, n = sx+x, sy+y, sxx+x*x, sxy+x*y, n+1
		}
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// spectrum is the amplitude of a wave of each period.
func spectrum(at, v []float64, periods []float64) []float64 {
	mean, _ := meanStd(v)
	out := make([]float64, len(periods))
	for k, p := range periods {
		var c, s float64
		w := 2 * math.Pi / p
		for i := range v {
			c += (v[i] - mean) * math.Cos(w*at[i])
			s += (v[i] - mean) * math.Sin(w*at[i])
		}
		out[k] = 2 * math.Hypot(c, s) / float64(len(v))
	}
	return out
}

var periods = func() []float64 {
	var p []float64
	for x := 12.0; x < 70; x *= 1.015 {
		p = append(p, x)
	}
	return p
}()

// peaks are the periods of the highest lines, largest first, and the amplitude of the largest.
func peaks(at, v []float64) ([]float64, float64) {
	a := spectrum(at, v, periods)
	var out []float64
	best := 0.0
	for range 4 {
		k := -1
		for i := 1; i+1 < len(a); i++ {
			if a[i] >= a[i-1] && a[i] >= a[i+1] && (k < 0 || a[i] > a[k]) {
				near := false
				for _, p := range out {
					near = near || math.Abs(p/periods[i]-1) < 0.08
				}
				if !near {
					k = i
				}
			}
		}
		if k < 0 {
			break
		}
		best = max(best, a[k])
		out = append(out, periods[k])
	}
	return out, best
}

// HeldFrom and HeldTo bound the twelve minutes held near 475 °C in the recording, s.
const HeldFrom, HeldTo = 340, 1045

// Trials are the figures of machine states that a held build does not show.
type Trials struct {
	FreeSpin float64 // W at 450 rpm, warm bearing
	Contact  float64 // s, cooling constant standing on the deposit, over 40 s towards ambient
	Spinning float64 // s, spinning in air
	Lifted   float64 // s, lifted and standing
	Tail     float64 // s, the same from 120 to 300 s after the lift
}

// Try holds a build at 475 °C for six minutes and then cools it in three ways.
func Try(p *Params) (Trials, error) {
	var out Trials
	for _, c := range []struct {
		stop, lift bool
		tau        *float64
	}{{true, false, &out.Contact}, {false, true, &out.Spinning}, {true, true, &out.Lifted}} {
		m, err := New(Config{Params: p, Seed: 1, Program: []Code{{Name: "M42", S: 1e9, HasS: true}}, Limit: 1e9})
		if err != nil {
			return out, err
		}
		m.feedCommand, m.speedCommand = 300/60.0, 0
		if err := m.Do(Code{Name: "M41", S: 475, HasS: true}); err != nil {
			return out, err
		}
		for m.Time() < 360 {
			if m.Time() > 25 {
				m.feedCommand, m.speedCommand = 381/60.0, 800/60.0
			}
			m.step()
		}
		m.feedCommand, m.speedCommand = 0, 0
		m.pid = false
		m.command = 450
		if c.stop {
			m.command = 0
		}
		if c.lift {
			m.liftGoal = 100
		}
		after := func(s float64) float64 {
			for m.Time() < 360+s {
				m.step()
			}
			return m.reading - m.p.Build.Ambient
		}
		a := after(5)
		b := after(45)
		*c.tau = 40 / math.Log(a/b)
		if c.lift && c.stop {
			a, b := after(120), after(300)
			out.Tail = 180 / math.Log(a/b)
		} else if c.lift {
			out.FreeSpin = p.Spindle.Meter * m.torque * m.rpm * math.Pi / 30
		}
	}
	return out, nil
}

// Figure is one line of a comparison.
type Figure struct {
	Name, Unit     string
	Recorded, Twin float64
	Low, High      float64 // the twin should be between
	Source         string  // of the recorded figure, if not the recording
}

// OK reports whether the twin is inside its band.
func (f Figure) OK() bool { return f.Twin >= f.Low && f.Twin <= f.High }

// Comparison is twin and recording side by side.
type Comparison struct {
	Recorded, Twin   *Trace
	Figures          []Figure
	PeaksRec, PeaksT []float64
}

// Compare replays the plan of a recorded build on the twin and measures both.
func Compare(p *Params, seed uint64, path string) (*Comparison, error) {
	rec, err := ReadTrace(path)
	if err != nil {
		return nil, err
	}
	t, err := Replay(p, seed, rec)
	if err != nil {
		return nil, err
	}
	trials, err := Try(p)
	if err != nil {
		return nil, err
	}
	a, b := Measure(rec, HeldFrom, HeldTo), Measure(t, HeldFrom, HeldTo)
	lap := func(peaks []float64, low, high float64) float64 {
		for _, p := range peaks {
			if p >= low && p <= high {
				return p
			}
		}
		return math.NaN()
	}
	c := &Comparison{Recorded: rec, Twin: t, PeaksRec: a.Peaks, PeaksT: b.Peaks}
	add := func(name, unit string, x, y, low, high float64) {
		c.Figures = append(c.Figures, Figure{Name: name, Unit: unit, Recorded: x, Twin: y, Low: low, High: high})
	}
	known := func(name, unit string, x, y, low, high float64, source string) {
		c.Figures = append(c.Figures, Figure{name, unit, x, y, low, high, source})
	}
	add("contact to 60 °C", "s", a.TakeOff, b.TakeOff, 7, 14)
	add("fastest heating", "°C/s", a.HeatRate, b.HeatRate, 40, 70)
	add("60 to 400 °C", "s", a.To400, b.To400, 6, 13)
	add("held: mean", "°C", a.Mean, b.Mean, 473, 478)
	add("held: standard deviation", "°C", a.Std, b.Std, 3.6, 5.6)
	add("held: mean absolute error", "°C", a.MAE, b.MAE, 2.8, 4.8)
	add("held: change in a second, std", "°C", a.Slope, b.Slope, 1, 2)
	add("held: half-lap line, period", "s", lap(a.Peaks, 21, 26), lap(b.Peaks, 21, 26), 21, 26)
	add("held: half-lap line, amplitude", "°C", a.Amplitude, b.Amplitude, 1.5, 4)
	add("held: lap line, period", "s", lap(a.Peaks, 36, 52), lap(b.Peaks, 36, 52), 36, 52)
	add("held: power", "W", a.Power, b.Power, 7000, 8400)
	add("held: torque", "N·m", a.Torque, b.Torque, 190, 240)
	add("held: speed", "rpm", a.Speed, b.Speed, 310, 370)
	add("held: speed, std", "rpm", a.SpeedStd, b.SpeedStd, 15, 40)
	known("held: torque over speed, exponent", "1", a.Exponent, b.Exponent, -1.3, -0.5, "elsewhere −0.94")
	add("held: feed torque", "1", a.Feed, b.Feed, 25, 40)
	add("lifted at the end: cooling constant", "s", a.CoolTau, b.CoolTau, 36, 58)
	known("free spin at 450 rpm", "W", 1580, trials.FreeSpin, 1400, 1800, "1460 to 1700")
	known("cooling on the deposit", "s", 44, trials.Contact, 25, 60, "about 44")
	known("cooling spinning in air", "s", 52, trials.Spinning, 38, 66, "42 to 62")
	known("cooling lifted", "s", 53, trials.Lifted, 42, 66, "49 to 58")
	known("cooling lifted, tail", "s", 190, trials.Tail, 80, 260, "46 + 190, two exponentials")
	return c, nil
}

// Mismatch is the root mean square of the difference of one-minute means over the deposition, °C
// and rpm: how far the twin's slow course is from the recorded one.
func (c *Comparison) Mismatch() (temp, rpm float64) {
	n := 0.0
	for i := 90; i+60 < 1050 && i+60 < len(c.Twin.At); i += 30 {
		a, _ := meanStd(c.Recorded.Temp[i : i+60])
		b, _ := meanStd(c.Twin.Temp[i : i+60])
		temp += (a - b) * (a - b)
		a, _ = meanStd(c.Recorded.RPM[i : i+60])
		b, _ = meanStd(c.Twin.RPM[i : i+60])
		rpm += (a - b) * (a - b)
		n++
	}
	return math.Sqrt(temp / n), math.Sqrt(rpm / n)
}

// Table writes the comparison as a Markdown table.
func (c *Comparison) Table(w io.Writer) error {
	fmt.Fprintln(w, "| figure | unit | recorded | twin | band | |\n|---|---|---|---|---|---|")
	for _, f := range c.Figures {
		recorded := number(f.Recorded)
		if f.Source != "" {
			recorded += " (" + f.Source + ")"
		}
		mark := "ok"
		if !f.OK() {
			mark = "OUTSIDE"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s to %s | %s |\n", f.Name, f.Unit, recorded, number(f.Twin), number(f.Low), number(f.High), mark)
	}
	t, n := c.Mismatch()
	_, err := fmt.Fprintf(w, "\nOne-minute means differ by %.1f °C and %.0f rpm (root mean square, from 90 s on).\n", t, n)
	return err
}

func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "none"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
