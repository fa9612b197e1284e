package model

import (
	"errors"
	"fmt"
	"math"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/num"
	"stirwatch/sensors/unit"
)

// dimensions knows the symbols of the model; for those that are wrong it has nothing.
func (m *Model) dimensions() func(string) (unit.Dimension, bool) {
	dims := map[string]unit.Dimension{}
	of := func(name string) (unit.Dimension, bool) { d, ok := dims[name]; return d, ok }
	add := func(name, unitName string) {
		if u, err := expr.ParseUnit(unitName); err == nil {
			dims[name] = u.Dim
		}
	}
	for _, in := range m.Inputs {
		add(in.Symbol, in.Unit)
	}
	for _, p := range m.Parameters {
		add(p.Name, p.Unit)
	}
	for _, s := range m.States {
		add(s.Symbol, s.Unit)
	}
	for _, d := range m.Definitions {
		if n, err := expr.Parse(d.Expression); err == nil {
			if dim, err := n.Dimension(of); err == nil {
				dims[d.Name] = dim
			}
		}
	}
	return of
}

// Sizes that a document may have.
const (
	MaxStates = 12
	maxNames  = 100
)

// StartSymbol stands for the first reading in State.Start.
const StartSymbol = "reading"

// faults gathers what makes a document unusable.
type faults []error

func (f *faults) bad(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// checker looks for the faults of a model.
type checker struct {
	*Model
	faults
	dims map[string]unit.Dimension // of the symbols that stand above
}

func (c *checker) of(name string) (unit.Dimension, bool) { d, ok := c.dims[name]; return d, ok }

// Check reports everything that makes the document unusable, nil if nothing does.
func (m *Model) Check() error {
	c := &checker{Model: m, dims: map[string]unit.Dimension{}}
	if c.size(); len(c.faults) == 0 {
		c.inputs()
		c.parameters()
		c.states()
		c.definitions()
		c.starts()
		c.terms()
		c.outputs()
		c.faults = append(c.faults, m.checkControllers()...)
		if m.Plan != nil {
			c.faults = append(c.faults, m.Plan.check(m, c.of)...)
		}
		c.intervals()
		c.experience()
		c.usual()
	}
	return errors.Join(c.faults...)
}

// size looks at what no other check would survive.
func (c *checker) size() {
	if c.Format != Format || c.Version != Version {
		c.bad("format %q version %d, want %q version %d", c.Format, c.Version, Format, Version)
	}
	if len(c.States) == 0 || len(c.States) > MaxStates {
		c.bad("%d states, must be 1 to %d", len(c.States), MaxStates)
	}
	if max(len(c.Inputs), len(c.Parameters), len(c.Definitions), len(c.Terms), len(c.Outputs), len(c.Intervals)) > maxNames {
		c.bad("more than %d entries in a list", maxNames)
	}
}

// declare takes a symbol, with its unit.
func (c *checker) declare(what, name, unitName string) (u unit.Unit) {
	u, err := expr.ParseUnit(unitName)
	switch _, twice := c.dims[name]; {
	case !isName(name):
		c.bad("%s %q: a symbol is letters, digits and _ and does not begin with a digit", what, name)
	case expr.IsFunction(name) || name == StartSymbol:
		c.bad("%s %q: the name is taken", what, name)
	case twice:
		c.bad("%s %q: the symbol is there twice", what, name)
	case unitName == "":
		c.bad("%s %q has no unit; write \"1\" for a plain number", what, name)
	case err != nil:
		c.bad("%s %q: %w", what, name, err)
	}
	c.dims[name] = u.Dim
	return u
}

func (c *checker) inputs() {
	seen := map[string]bool{}
	for _, in := range c.Inputs {
		u := c.declare("input", in.Symbol, in.Unit)
		switch want, ok := roleUnits[in.Name]; {
		case in.Name == "":
			c.bad("input %q: its name says which channel it is; it is missing", in.Symbol)
		case seen[in.Name]:
			c.bad("input %q is there twice", in.Name)
		case ok && u.Symbol != want:
			c.bad("input %q has unit %q, must be %q", in.Name, in.Unit, want)
		case !num.Finite(in.Min, in.Max) || in.Min > in.Max:
			c.bad("input %q: training range %g to %g is not a range", in.Name, in.Min, in.Max)
		case in.Default != nil && !(num.Finite(*in.Default) && math.Abs(*in.Default) <= MaxInput):
			c.bad("input %q: default %g is no value for it", in.Name, *in.Default)
		}
		seen[in.Name] = true
	}
}

func (c *checker) parameters() {
	for _, p := range c.Parameters {
		c.declare("parameter", p.Name, p.Unit)
		if !num.Finite(p.Value, p.Min, p.Max, p.StdErr) || !(p.Value >= p.Min && p.Value <= p.Max) || p.StdErr < 0 {
			c.bad("parameter %q is %g %s, must be %g to %g", p.Name, p.Value, p.Unit, p.Min, p.Max)
		}
	}
	if p := c.ParameterNamed(c.DeadTime); c.DeadTime != "" && (p == nil || p.Unit != "s" || p.Value < 0 || p.Value > 60) {
		c.bad("dead_time %q must be a parameter in s, 0 to 60", c.DeadTime)
	}
}

func (c *checker) states() {
	for _, s := range c.States {
		c.declare("state", s.Symbol, s.Unit)
		if s.Name == "" {
			c.bad("state %q has no name", s.Symbol)
		}
		if !num.Finite(s.StartSD, s.Noise, s.NoiseShare) || min(s.StartSD, s.Noise, s.NoiseShare) < 0 {
			c.bad("state %q: start_sd %g, noise %g and noise_share %g must not be negative", s.Symbol, s.StartSD, s.Noise, s.NoiseShare)
		}
	}
}

func (c *checker) definitions() {
	for _, d := range c.Definitions {
		if _, twice := c.dims[d.Name]; twice || !isName(d.Name) || expr.IsFunction(d.Name) || d.Name == StartSymbol {
			c.bad("definition %q: not a symbol, or there already", d.Name)
			continue
		}
		n, err := expr.Parse(d.Expression)
		if err == nil {
			c.dims[d.Name], err = n.Dimension(c.of) // over what stands above it only, so that there is no circle
		}
		if err != nil {
			c.bad("definition %q: %w", d.Name, err)
			c.dims[d.Name] = unit.None
		}
	}
}

// starts looks at what states start from: parameters, and the first reading of the leading output.
func (c *checker) starts() {
	for _, s := range c.States {
		u, _ := expr.ParseUnit(s.Unit)
		n, err := expr.Parse(s.Start)
		if err == nil {
			var dim unit.Dimension
			dim, err = n.Dimension(func(name string) (unit.Dimension, bool) {
				if name == StartSymbol && len(c.Outputs) > 0 {
					u, err := expr.ParseUnit(c.Outputs[c.LeadingIndex()].Unit)
					return u.Dim, err == nil
				}
				if p := c.ParameterNamed(name); p != nil {
					return c.of(name)
				}
				return unit.None, false
			})
			if err == nil && dim != u.Dim && !n.IsZero() {
				err = fmt.Errorf("%s is in %s, the state in %s", s.Start, dim, u.Dim)
			}
		}
		if err != nil {
			c.bad("state %q, start: %w", s.Symbol, err)
		}
	}
}

func (c *checker) terms() {
	if len(c.Terms) == 0 {
		c.bad("no terms")
	}
	terms := map[[2]string]bool{}
	for at, t := range c.Terms {
		i := c.StateIndex(t.State)
		if i < 0 {
			c.bad("term %q acts on %q, which is no state", t.Name, t.State)
			continue
		}
		key := [2]string{t.State, t.Name}
		if t.Name == "" || terms[key] {
			c.bad("term %q of %s: it has no name, or the name is there twice", t.Name, t.State)
		}
		terms[key] = true
		switch {
		case t.Sign != 1 && t.Sign != -1:
			c.bad("term %q has sign %+d, must be +1 or -1", t.Name, t.Sign)
		case !num.Finite(t.Coefficient) || t.Coefficient < 0:
			c.bad("term %q: coefficient %g must be finite and not negative", t.Name, t.Coefficient)
		case !num.Finite(t.StdErr, t.Max) || t.StdErr < 0 || t.Max < 0:
			c.bad("term %q: standard error %g and max %g must be finite and not negative", t.Name, t.StdErr, t.Max)
		case t.Fixed && t.Coefficient != 1:
			c.bad("term %q is fixed: its coefficient must be 1", t.Name)
		}
		c.shared(at)
		c.coefficient(&t)
	}
}

// shared looks at the coefficient that term number at has in common with others.
func (c *checker) shared(at int) {
	t := &c.Terms[at]
	if t.Shared == "" {
		return
	}
	first := &c.Terms[c.Sharing(at)]
	switch _, taken := c.dims[t.Shared]; {
	case !isName(t.Shared) || expr.IsFunction(t.Shared) || t.Shared == StartSymbol || taken:
		c.bad("term %q: coefficient %q is no symbol, or one that is taken", t.Name, t.Shared)
	case t.Fixed:
		c.bad("term %q is fixed: it has no coefficient to share", t.Name)
	case t.Coefficient != first.Coefficient || t.Unit != first.Unit || t.Max != first.Max || (t.Prior == nil) != (first.Prior == nil) || t.Prior != nil && *t.Prior != *first.Prior:
		c.bad("terms %q of %s and %q of %s share coefficient %s: unit, value, max and what is known of it must be the same", first.Name, first.State, t.Name, t.State, t.Shared)
	}
}

// coefficient looks at the unit of the coefficient of t.
func (c *checker) coefficient(t *Term) {
	want, err := c.coefficientDimension(t, c.of)
	if err != nil {
		c.bad("term %q: %w", t.Name, err)
		return
	}
	u, err := expr.ParseUnit(t.Unit)
	switch {
	case err != nil:
		c.bad("term %q: %w", t.Name, err)
	case u.Dim != want:
		c.bad("term %q: coefficient has unit %q (%s), must be in %s", t.Name, t.Unit, u.Dim, want)
	}
}

func (c *checker) outputs() {
	if len(c.Outputs) == 0 {
		c.bad("no outputs: at least one measurement is needed")
	}
	if c.Leading != "" && c.OutputIndex(c.Leading) < 0 {
		c.bad("leading %q is no output", c.Leading)
	}
	named := map[string]bool{}
	for _, out := range c.Outputs {
		i := c.StateIndex(out.State)
		switch {
		case out.Name == "" || named[out.Name]:
			c.bad("output %q: it has no name, or the name is there twice", out.Name)
		case i < 0:
			c.bad("output %q shows %q, which is no state", out.Name, out.State)
		case out.Unit != c.States[i].Unit:
			c.bad("output %q has unit %q, must be %q as its state", out.Name, out.Unit, c.States[i].Unit)
		case !num.Finite(out.SD, out.ScoreAbove) || out.SD <= 0:
			c.bad("output %q: sd %g must be positive", out.Name, out.SD)
		case !num.Finite(out.Min, out.Max) || out.Min > out.Max:
			c.bad("output %q: training range %g to %g is not a range", out.Name, out.Min, out.Max)
		}
		named[out.Name] = true
	}
}

func (c *checker) intervals() {
	last := map[string]float64{} // by output
	for _, s := range c.Intervals {
		if s.Output != "" && c.OutputIndex(s.Output) < 0 {
			c.bad("intervals of %q, which is no output", s.Output)
		}
		ok := num.Finite(s.Horizon) && s.Horizon > last[s.Output]
		for _, k := range []SideScale{s.Known, s.Held, s.Plan} {
			ok = ok && num.Finite(k.Lower, k.Upper) && min(k.Lower, k.Upper) > 0 && k.NIS >= 0 && k.NIS <= 1
		}
		if !ok {
			c.bad("intervals at %g s: horizons must rise, factors be positive and nis lie from 0 to 1", s.Horizon)
		}
		last[s.Output] = s.Horizon
	}
}

func (c *checker) experience() {
	for _, x := range c.Experience {
		ok := c.OutputIndex(x.Output) >= 0 && num.Finite(x.Horizon, x.Windows) && x.Horizon > 0 && x.Windows > 0
		for _, rmse := range x.RMSE {
			ok = ok && num.Finite(rmse) && rmse >= 0
		}
		if !ok {
			c.bad("experience of %q at %g s: an output, a horizon, windows and errors that are not negative are needed", x.Output, x.Horizon)
		}
	}
}

// coefficientDimension is what the coefficient of t must be in, so that t is in the state's unit per s.
func (m *Model) coefficientDimension(t *Term, of func(string) (unit.Dimension, bool)) (unit.Dimension, error) {
	n, err := expr.Parse(t.Expression)
	if err != nil {
		return unit.None, err
	}
	d, err := n.Dimension(of)
	if err != nil {
		return unit.None, err
	}
	i := m.StateIndex(t.State)
	if i < 0 {
		return unit.None, fmt.Errorf("%q is no state", t.State)
	}
	u, err := expr.ParseUnit(m.States[i].Unit)
	return u.Dim.Over(unit.Time).Over(d), err
}

func isName(s string) bool {
	n, err := expr.Parse(s)
	return err == nil && n.IsSymbol(s)
}
