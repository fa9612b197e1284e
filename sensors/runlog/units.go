package runlog

import (
	"fmt"
	"math"
	"slices"
)

// Detection says in which units a stretch of rows was written, and how that is known.
type Detection struct {
	From, To   int     // rows of [Log.Time], counted from 1, both included; To is 0 while a tail goes on
	Units      Mode    //
	By         string  // "ratio", "position jump" or "given"
	Ratio      float64 // median of SpinPwr/(SpinTrq·ω) over the rows used; 0 if none
	Rows       int     // rows that had steady power enough to tell
	Confidence float64 // share of those rows that stand on this side; 1 where the units were given
}

// String is e.g. "rows 1–1098: inch, by ratio: SpinPwr/(SpinTrq·ω) = 1.378 over 1041 rows, 100 % agree".
func (d Detection) String() string {
	to := "…"
	if d.To > 0 {
		to = fmt.Sprint(d.To)
	}
	s := fmt.Sprintf("rows %d–%s: %s", d.From, to, d.Units)
	if d.By == "given" {
		return s + ", as given"
	}
	s += ", by " + d.By
	if d.Rows > 0 {
		s += fmt.Sprintf(": SpinPwr/(SpinTrq·ω) = %.3f over %d rows, %.0f %% agree", d.Ratio, d.Rows, 100*d.Confidence)
	}
	return s
}

// The ratio SpinPwr/(SpinTrq·ω) is 1.02 (losses of drive and gear) when the torque is in N·m
// and 1.02·1.3558 when it is in ft·lbf: measured on recordings.
const (
	lossRatio = 1.02
	footPound = 1.3558179483314004 // N·m
	perInch   = 25.4               // mm

	minPower = 300.0 // W of both electric and mechanical power, below which the ratio is noise
	steady   = 0.05  // largest relative change of speed from row to row: acceleration costs power too
	certain  = 6.0   // summed evidence at which the mode is settled: six clear rows
	minPos   = 0.05  // a position nearer to zero tells nothing about a jump
	forget   = 10    // rows without power after which a suspicion is dropped: coasting down looks odd
	maxKept  = 4096  // ratios kept per stretch for the median
)

var (
	ratioMiddle = math.Log(lossRatio) + math.Log(footPound)/2
	ratioHalf   = math.Log(footPound) / 2
)

// detector tells row by row in which mode a controller writes.
//
// Each row of steady power adds evidence −1 … +1 (the log of its ratio, from mm to inch, clamped
// so that no outlier counts more than a clear row). The mode is settled when the sum reaches
// ±certain; it is overturned when the evidence against it has grown to 2·certain, and then from
// the row on at which the sum was highest (a CUSUM change point: Page, Biometrika 41, 1954). A
// jump of the positions by 25.4 overturns it at once and at exactly that row. Rows without power
// inherit the mode before them, those at the beginning the one after.
type detector struct {
	n        int     // rows seen
	settled  int     // rows before this one have their final mode
	mode     Mode    // of the newest stretch; Auto: not known yet
	sum      float64 // Auto: evidence for inch; otherwise for mode, at most certain
	best     float64 // highest sum since the mode was last certain
	bestAt   int     // the row after it
	stretch  []Detection
	logs     []evidence // of the newest stretch and of rows in doubt
	idle     int        // rows since the last evidence
	prevRPM  float64
	prevPos  [4]float64
	haveLast bool
}

type evidence struct {
	row int
	log float64
}

// newDetector starts with a given mode (never questioned) or, with Auto, an open mind.
func newDetector(given Mode) *detector {
	d := &detector{mode: given}
	if given != Auto {
		d.stretch = []Detection{{From: 1, Units: given, By: "given", Confidence: 1}}
	}
	return d
}

func (m Mode) other() Mode {
	if m == Inch {
		return Millimetre
	}
	return Inch
}

func (m Mode) sign() float64 {
	if m == Millimetre {
		return -1
	}
	return 1
}

// add takes the next row: speed in rpm, torque and positions as the file has them, power in W;
// NaN where a value is missing.
func (d *detector) add(rpm, torque, power float64, pos *[4]float64) {
	row := d.n
	d.n++
	if len(d.stretch) == 1 && d.stretch[0].By == "given" {
		d.settled = d.n
		return
	}
	if to := d.jump(pos); to != Auto && to != d.mode {
		if d.mode == Auto {
			d.begin(0, to.other(), "position jump")
		}
		d.begin(row, to, "position jump")
		d.trust(row)
	}
	if mech := torque * rpm * math.Pi / 30; mech*power > 0 && math.Abs(mech) >= minPower && math.Abs(power) >= minPower &&
		d.haveLast && math.Abs(rpm-d.prevRPM) <= steady*math.Abs(rpm) {
		d.weigh(row, math.Log(power/mech))
		d.idle = 0
	} else if d.idle++; d.idle >= forget && d.mode != Auto {
		d.trust(row)
	}
	if d.mode != Auto && d.sum >= certain {
		d.settled = d.n
		d.trim()
	}
	d.prevRPM, d.prevPos, d.haveLast = rpm, *pos, true
}

func (d *detector) weigh(row int, log float64) {
	d.logs = append(d.logs, evidence{row, log})
	x := max(-1, min(1, (log-ratioMiddle)/ratioHalf))
	if d.mode == Auto {
		d.sum += x
		if math.Abs(d.sum) >= certain {
			m := Inch
			if d.sum < 0 {
				m = Millimetre
			}
			d.begin(0, m, "ratio")
			d.trust(row)
		}
		return
	}
	d.sum = min(certain, d.sum+x*d.mode.sign())
	if d.sum >= certain {
		d.best, d.bestAt = certain, row+1
	} else if d.sum >= d.best {
		d.best, d.bestAt = d.sum, row+1
	}
	if d.sum <= -certain {
		// The rows between the last one that agreed and the first that did not had no power:
		// they stay with the mode before them.
		first := row
		for _, e := range d.logs {
			if e.row >= d.bestAt {
				first = e.row
				break
			}
		}
		d.begin(first, d.mode.other(), "ratio")
		d.trust(row)
	}
}

// trust settles the mode up to a row.
func (d *detector) trust(row int) { d.sum, d.best, d.bestAt = certain, certain, row+1 }

// begin ends the newest stretch before row and starts another.
func (d *detector) begin(row int, m Mode, by string) {
	if n := len(d.stretch); n > 0 {
		d.stretch[n-1].To = row
		d.close(&d.stretch[n-1])
	}
	d.mode = m
	d.stretch = append(d.stretch, Detection{From: row + 1, Units: m, By: by})
}

// close fills in ratio, rows and confidence of a stretch from the evidence up to its end.
func (d *detector) close(s *Detection) {
	end := s.To
	if end == 0 {
		end = d.n
	}
	n := 0
	for n < len(d.logs) && d.logs[n].row < end {
		n++
	}
	s.measure(d.logs[:n])
	d.logs = slices.Delete(d.logs, 0, n)
}

func (s *Detection) measure(e []evidence) {
	if len(e) == 0 {
		return
	}
	logs := make([]float64, len(e))
	agree := 0
	for i := range e {
		logs[i] = e[i].log
		if (e[i].log-ratioMiddle)*s.Units.sign() > 0 {
			agree++
		}
	}
	slices.Sort(logs)
	s.Ratio = math.Exp(logs[len(logs)/2])
	s.Rows += len(e)
	s.Confidence = float64(agree) / float64(len(e))
}

// trim bounds the memory of a tail that runs for days: the older half of the evidence goes.
func (d *detector) trim() {
	if len(d.logs) >= maxKept {
		d.stretch[len(d.stretch)-1].Rows += maxKept / 2
		d.logs = slices.Delete(d.logs, 0, maxKept/2)
	}
}

// jump compares the positions with those of the row before: the mode after a jump by 25.4,
// Auto where there is none. The feed position, or two others, must show it and none deny it.
func (d *detector) jump(pos *[4]float64) Mode {
	if !d.haveLast {
		return Auto
	}
	up, down, feed := 0, 0, false
	for i, b := range pos {
		a := d.prevPos[i]
		if !(math.Abs(a) >= minPos && math.Abs(b) >= minPos) { // NaN too
			continue
		}
		switch r := b / a; {
		case math.Abs(r/perInch-1) < 0.1:
			up++
			feed = feed || i == 0
		case math.Abs(r*perInch-1) < 0.1:
			down++
			feed = feed || i == 0
		case r > 0.5 && r < 2:
			return Auto // stayed where it was; anything else may be a fast move near zero
		}
	}
	switch {
	case down == 0 && (up >= 2 || up == 1 && feed):
		return Millimetre
	case up == 0 && (down >= 2 || down == 1 && feed):
		return Inch
	}
	return Auto
}

// end settles the rows still in doubt with what is known and returns the stretches. It fails if
// nothing is.
func (d *detector) end() ([]Detection, error) {
	d.settled = d.n
	if d.mode == Auto {
		return nil, fmt.Errorf("%w: no stretch of steady spindle power in %d rows (%d rows above %g W, %g wanted); say which: units inch or mm",
			ErrUnits, d.n, len(d.logs), minPower, certain)
	}
	last := &d.stretch[len(d.stretch)-1]
	d.close(last)
	last.To = d.n
	return d.stretch, nil
}

// modeAt is the mode of a settled row, counted from 0.
func (d *detector) modeAt(row int) Mode {
	for i := len(d.stretch) - 1; i > 0; i-- {
		if d.stretch[i].From-1 <= row {
			return d.stretch[i].Units
		}
	}
	return d.stretch[0].Units
}
