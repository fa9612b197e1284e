// Package runs holds recorded runs as columns in the units of a model, and finds their active part.
package runs

import (
	"fmt"
	"math"
	"slices"
	"time"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/program"
)

// Run is one recording in the units of the model, all columns of one length.
type Run struct {
	Name   string // file name without extension
	SHA256 string
	Began  time.Time   // when Time is 0; zero, or of 1970 in a log that counts from its own start, where unknown
	Time   []float64   // s, rising
	U      [][]float64 // one column per input; NaN is missing
	Z      [][]float64 // one column per output; NaN is missing

	// Chosen tells that a person has chosen the rows: all of them are active.
	Chosen bool

	// Number is the 0-based data row of the log by row, where lines were left out; nil: the row itself.
	Number []int

	// Blind (nil or one per row) names the input of which the record has no number in that row though it has text: nobody
	// knows what acted, and the row's readings are left out of Z. "" where there is none.
	Blind []string

	// Inputs and Outputs name the columns of U and Z; nil: they are as Model.Inputs and Model.Outputs.
	Inputs, Outputs []string

	// SetPoint (nil or one per row, in the unit of the leading output) is a baseline to score against and
	// what the machine's own controller aims at.
	SetPoint []float64

	// Shown (nil or one per row) is what the machine shows of the program that it runs, and Program that program,
	// where one is given: what is known of the inputs to come is then what it says.
	Shown   []program.Now
	Program *program.Program
}

// Check reports columns that do not fit each other, and a time that does not rise.
func (r *Run) Check(inputs, outputs int) error {
	n := len(r.Time)
	if len(r.U) != inputs || len(r.Z) != outputs {
		return fmt.Errorf("run %s has %d inputs and %d outputs, want %d and %d", r.Name, len(r.U), len(r.Z), inputs, outputs)
	}
	for _, col := range append(append([][]float64{}, r.U...), r.Z...) {
		if len(col) != n {
			return fmt.Errorf("run %s: a column has %d rows, the time has %d", r.Name, len(col), n)
		}
	}
	if r.SetPoint != nil && len(r.SetPoint) != n {
		return fmt.Errorf("run %s: the set-point has %d rows, the time has %d", r.Name, len(r.SetPoint), n)
	}
	if r.Shown != nil && len(r.Shown) != n {
		return fmt.Errorf("run %s: the program line has %d rows, the time has %d", r.Name, len(r.Shown), n)
	}
	for i := 1; i < n; i++ {
		if !(r.Time[i] > r.Time[i-1]) {
			return fmt.Errorf("run %s: time does not rise at row %d (%g s after %g s)", r.Name, i, r.Time[i], r.Time[i-1])
		}
	}
	return nil
}

// Source says which recording r is.
func (r *Run) Source() model.RunSource {
	s := model.RunSource{Name: r.Name, SHA256: r.SHA256, Rows: len(r.Time)}
	if r.Began.Year() > 1970 && len(r.Time) > 0 {
		s.Began = r.Began.Add(time.Duration(r.Time[0] * float64(time.Second))).UTC().Format(time.RFC3339Nano)
		s.Lasted = r.Time[len(r.Time)-1] - r.Time[0]
	}
	return s
}

// For gives run with its inputs and outputs as those of m. An input that nobody has measured is its default, where it has
// one, as on the tick.
func (r *Run) For(m *model.Model) (*Run, error) {
	inputs, outputs := len(m.Inputs), len(m.Outputs)
	if r.Inputs != nil {
		inputs = len(r.Inputs)
	}
	if r.Outputs != nil {
		outputs = len(r.Outputs)
	}
	if err := r.Check(inputs, outputs); err != nil {
		return nil, err
	}
	c := *r
	if r.Inputs != nil {
		c.U, c.Inputs = nil, nil
	}
	for _, in := range m.Inputs {
		if r.Inputs == nil {
			break
		}
		i := slices.Index(r.Inputs, in.Name)
		if i >= 0 && in.Default != nil && !slices.ContainsFunc(r.U[i], func(v float64) bool { return num.Finite(v) }) {
			i = -1 // nobody has measured it
		}
		if i < 0 && in.Name == model.Contact {
			c.U = append(c.U, r.contact(m.Spindle))
			continue
		}
		if i < 0 && in.Default != nil {
			c.U = append(c.U, slices.Repeat([]float64{*in.Default}, len(r.Time)))
			continue
		}
		if i < 0 {
			return nil, fmt.Errorf("run %s has no %s, which the model needs", r.Name, in.Name)
		}
		c.U = append(c.U, r.U[i])
	}
	if r.Outputs != nil {
		c.Z, c.Outputs = nil, nil
		for _, out := range m.Outputs {
			i := slices.Index(r.Outputs, out.Name)
			if i < 0 {
				return nil, fmt.Errorf("run %s has no %s, which the model needs", r.Name, out.Name)
			}
			c.Z = append(c.Z, r.Z[i])
		}
	}
	return &c, nil
}

// contact tells from the columns of r whether the tool presses on the build, by row; by a rule, or where that is nil by what the
// spindle shows in the whole run.
func (r *Run) contact(rule *phase.ContactRule) []float64 {
	column := func(name string) func(i int) float64 {
		if k := slices.Index(r.Inputs, name); k >= 0 {
			return func(i int) float64 { return r.U[k][i] }
		}
		return func(int) float64 { return math.NaN() }
	}
	speed, power, up := column(model.SpindleSpeed), column(model.SpindlePower), column(model.ZVelocity)
	out := make([]float64, len(r.Time))
	var c phase.Contact
	if rule == nil {
		s := r.Spindle()
		learned := s.Rule()
		rule = &learned
	}
	c.Rule = *rule
	for i := range out {
		dt := 0.0
		if i > 0 {
			dt = r.Time[i] - r.Time[i-1]
		}
		out[i] = c.Step(dt, speed(i), power(i), up(i))
	}
	return out
}

// Spindle is what the spindle shows in r.
func (r *Run) Spindle() (s phase.Spindle) {
	column := func(all [][]float64, names []string, name string) []float64 {
		if k := slices.Index(names, name); k >= 0 {
			return all[k]
		}
		return nil
	}
	speed, power, path := column(r.U, r.Inputs, model.SpindleSpeed), column(r.U, r.Inputs, model.SpindlePower), column(r.U, r.Inputs, model.PathVelocity)
	tool := column(r.Z, r.Outputs, model.ToolTemperature)
	if speed == nil || power == nil || path == nil || tool == nil {
		return s
	}
	last := math.NaN()
	for i := range r.Time {
		dt := 0.0
		if i > 0 {
			dt = r.Time[i] - r.Time[i-1]
		}
		if num.Finite(tool[i]) {
			last = tool[i]
		}
		s.Step(dt, speed[i], power[i], path[i], last)
	}
	return s
}

// WithContact is r with the column of contact, where it has none, by a rule, or where that is nil by what the spindle shows in r.
func (r *Run) WithContact(rule *phase.ContactRule) *Run {
	if slices.Contains(r.Inputs, model.Contact) {
		return r
	}
	c := *r
	c.U, c.Inputs = append(slices.Clone(r.U), r.contact(rule)), append(slices.Clone(r.Inputs), model.Contact)
	return &c
}

// Rows is a part of a run.
func (r *Run) Rows(from, to int) *Run {
	c := *r
	c.Time = r.Time[from:to]
	c.U, c.Z = make([][]float64, len(r.U)), make([][]float64, len(r.Z))
	for i := range r.U {
		c.U[i] = r.U[i][from:to]
	}
	for i := range r.Z {
		c.Z[i] = r.Z[i][from:to]
	}
	if r.SetPoint != nil {
		c.SetPoint = r.SetPoint[from:to]
	}
	if r.Shown != nil {
		c.Shown = r.Shown[from:to]
	}
	if r.Blind != nil {
		c.Blind = r.Blind[from:to]
	}
	c.Number = make([]int, to-from)
	for i := range c.Number {
		c.Number[i] = r.NumberOf(from + i)
	}
	return &c
}

// NumberOf is the 0-based data row of the log at row i.
func (r *Run) NumberOf(i int) int {
	if r.Number == nil {
		return i
	}
	return r.Number[i]
}

// Only is the run with its readings missing in the rows that mask leaves out.
func (r *Run) Only(mask []bool) *Run {
	c := *r
	c.Z = nil
	for _, z := range r.Z {
		z = slices.Clone(z)
		for i := range z {
			if !mask[i] {
				z[i] = math.NaN()
			}
		}
		c.Z = append(c.Z, z)
	}
	return &c
}

// LogTime is the time of row i in s: as the log counts it or, where it says the day, since its first row.
func (r *Run) LogTime(i int) float64 {
	if r.Began.IsZero() || r.Began.Year() > 1970 {
		return r.Time[i]
	}
	return float64(r.Began.UnixNano())/1e9 + r.Time[i]
}
