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

// startSymbol stands for the first reading in State.Start.
const StartSymbol = "reading"

// Check reports everything that makes the document unusable, nil if nothing does.
func (m *Model) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if m.Format != Format || m.Version != Version {
		bad("format %q version %d, want %q version %d", m.Format, m.Version, Format, Version)
	}
	if len(m.States) == 0 || len(m.States) > MaxStates {
		bad("%d states, must be 1 to %d", len(m.States), MaxStates)
	}
	if max(len(m.Inputs), len(m.Parameters), len(m.Definitions), len(m.Terms), len(m.Outputs), len(m.Intervals)) > maxNames {
		bad("more than %d entries in a list", maxNames)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	dims := map[string]unit.Dimension{}
	declare := func(what, name, unitName string) (u unit.Unit) {
		u, err := expr.ParseUnit(unitName)
		switch _, twice := dims[name]; {
		case !isName(name):
			bad("%s %q: a symbol is letters, digits and _ and does not begin with a digit", what, name)
		case expr.IsFunction(name) || name == StartSymbol:
			bad("%s %q: the name is taken", what, name)
		case twice:
			bad("%s %q: the symbol is there twice", what, name)
		case unitName == "":
			bad("%s %q has no unit; write \"1\" for a plain number", what, name)
		case err != nil:
			bad("%s %q: %w", what, name, err)
		}
		dims[name] = u.Dim
		return u
	}
	seen := map[string]bool{}
	for _, in := range m.Inputs {
		u := declare("input", in.Symbol, in.Unit)
		switch want, ok := roleUnits[in.Name]; {
		case in.Name == "":
			bad("input %q: its name says which channel it is; it is missing", in.Symbol)
		case seen[in.Name]:
			bad("input %q is there twice", in.Name)
		case ok && u.Symbol != want:
			bad("input %q has unit %q, must be %q", in.Name, in.Unit, want)
		case !num.Finite(in.Min, in.Max) || in.Min > in.Max:
			bad("input %q: training range %g to %g is not a range", in.Name, in.Min, in.Max)
		case in.Default != nil && !(num.Finite(*in.Default) && math.Abs(*in.Default) <= MaxInput):
			bad("input %q: default %g is no value for it", in.Name, *in.Default)
		}
		seen[in.Name] = true
	}
	for _, p := range m.Parameters {
		declare("parameter", p.Name, p.Unit)
		if !num.Finite(p.Value, p.Min, p.Max, p.StdErr) || !(p.Value >= p.Min && p.Value <= p.Max) || p.StdErr < 0 {
			bad("parameter %q is %g %s, must be %g to %g", p.Name, p.Value, p.Unit, p.Min, p.Max)
		}
	}
	if p := m.ParameterNamed(m.DeadTime); m.DeadTime != "" && (p == nil || p.Unit != "s" || p.Value < 0 || p.Value > 60) {
		bad("dead_time %q must be a parameter in s, 0 to 60", m.DeadTime)
	}
	for _, s := range m.States {
		declare("state", s.Symbol, s.Unit)
		if s.Name == "" {
			bad("state %q has no name", s.Symbol)
		}
		if !num.Finite(s.StartSD, s.Noise, s.NoiseShare) || min(s.StartSD, s.Noise, s.NoiseShare) < 0 {
			bad("state %q: start_sd %g, noise %g and noise_share %g must not be negative", s.Symbol, s.StartSD, s.Noise, s.NoiseShare)
		}
	}
	of := func(name string) (unit.Dimension, bool) { d, ok := dims[name]; return d, ok }
	for _, d := range m.Definitions {
		if _, twice := dims[d.Name]; twice || !isName(d.Name) || expr.IsFunction(d.Name) || d.Name == StartSymbol {
			bad("definition %q: not a symbol, or there already", d.Name)
			continue
		}
		n, err := expr.Parse(d.Expression)
		if err == nil {
			dims[d.Name], err = n.Dimension(of) // over what stands above it only, so that there is no circle
		}
		if err != nil {
			bad("definition %q: %w", d.Name, err)
			dims[d.Name] = unit.None
		}
	}
	for _, s := range m.States {
		u, _ := expr.ParseUnit(s.Unit)
		n, err := expr.Parse(s.Start)
		if err == nil {
			var dim unit.Dimension
			dim, err = n.Dimension(func(name string) (unit.Dimension, bool) {
				if name == StartSymbol && len(m.Outputs) > 0 {
					u, err := expr.ParseUnit(m.Outputs[m.LeadingIndex()].Unit)
					return u.Dim, err == nil
				}
				if p := m.ParameterNamed(name); p != nil {
					return of(name)
				}
				return unit.None, false
			})
			if err == nil && dim != u.Dim && !n.IsZero() {
				err = fmt.Errorf("%s is in %s, the state in %s", s.Start, dim, u.Dim)
			}
		}
		if err != nil {
			bad("state %q, start: %w", s.Symbol, err)
		}
	}
	if len(m.Terms) == 0 {
		bad("no terms")
	}
	terms := map[[2]string]bool{}
	for at, t := range m.Terms {
		i := m.StateIndex(t.State)
		if i < 0 {
			bad("term %q acts on %q, which is no state", t.Name, t.State)
			continue
		}
		key := [2]string{t.State, t.Name}
		if t.Name == "" || terms[key] {
			bad("term %q of %s: it has no name, or the name is there twice", t.Name, t.State)
		}
		terms[key] = true
		switch {
		case t.Sign != 1 && t.Sign != -1:
			bad("term %q has sign %+d, must be +1 or -1", t.Name, t.Sign)
		case !num.Finite(t.Coefficient) || t.Coefficient < 0:
			bad("term %q: coefficient %g must be finite and not negative", t.Name, t.Coefficient)
		case !num.Finite(t.StdErr, t.Max) || t.StdErr < 0 || t.Max < 0:
			bad("term %q: standard error %g and max %g must be finite and not negative", t.Name, t.StdErr, t.Max)
		case t.Fixed && t.Coefficient != 1:
			bad("term %q is fixed: its coefficient must be 1", t.Name)
		}
		if first := m.Terms[m.Sharing(at)]; t.Shared != "" {
			switch _, taken := dims[t.Shared]; {
			case !isName(t.Shared) || expr.IsFunction(t.Shared) || t.Shared == StartSymbol || taken:
				bad("term %q: coefficient %q is no symbol, or one that is taken", t.Name, t.Shared)
			case t.Fixed:
				bad("term %q is fixed: it has no coefficient to share", t.Name)
			case t.Coefficient != first.Coefficient || t.Unit != first.Unit || t.Max != first.Max || (t.Prior == nil) != (first.Prior == nil) || t.Prior != nil && *t.Prior != *first.Prior:
				bad("terms %q of %s and %q of %s share coefficient %s: unit, value, max and what is known of it must be the same", first.Name, first.State, t.Name, t.State, t.Shared)
			}
		}
		want, err := m.coefficientDimension(&t, of)
		if err != nil {
			bad("term %q: %w", t.Name, err)
			continue
		}
		u, err := expr.ParseUnit(t.Unit)
		switch {
		case err != nil:
			bad("term %q: %w", t.Name, err)
		case u.Dim != want:
			bad("term %q: coefficient has unit %q (%s), must be in %s", t.Name, t.Unit, u.Dim, want)
		}
	}
	if len(m.Outputs) == 0 {
		bad("no outputs: at least one measurement is needed")
	}
	if m.Leading != "" && m.OutputIndex(m.Leading) < 0 {
		bad("leading %q is no output", m.Leading)
	}
	named := map[string]bool{}
	for _, out := range m.Outputs {
		i := m.StateIndex(out.State)
		switch {
		case out.Name == "" || named[out.Name]:
			bad("output %q: it has no name, or the name is there twice", out.Name)
		case i < 0:
			bad("output %q shows %q, which is no state", out.Name, out.State)
		case out.Unit != m.States[i].Unit:
			bad("output %q has unit %q, must be %q as its state", out.Name, out.Unit, m.States[i].Unit)
		case !num.Finite(out.SD, out.ScoreAbove) || out.SD <= 0:
			bad("output %q: sd %g must be positive", out.Name, out.SD)
		case !num.Finite(out.Min, out.Max) || out.Min > out.Max:
			bad("output %q: training range %g to %g is not a range", out.Name, out.Min, out.Max)
		}
		named[out.Name] = true
	}
	errs = append(errs, m.checkControllers()...)
	if m.Plan != nil {
		errs = append(errs, m.Plan.check(m, of)...)
	}
	last := map[string]float64{} // by output
	for _, s := range m.Intervals {
		if s.Output != "" && m.OutputIndex(s.Output) < 0 {
			bad("intervals of %q, which is no output", s.Output)
		}
		ok := num.Finite(s.Horizon) && s.Horizon > last[s.Output]
		for _, k := range []SideScale{s.Known, s.Held, s.Plan} {
			ok = ok && num.Finite(k.Lower, k.Upper) && min(k.Lower, k.Upper) > 0 && k.NIS >= 0 && k.NIS <= 1
		}
		if !ok {
			bad("intervals at %g s: horizons must rise, factors be positive and nis lie from 0 to 1", s.Horizon)
		}
		last[s.Output] = s.Horizon
	}
	for _, x := range m.Experience {
		ok := m.OutputIndex(x.Output) >= 0 && num.Finite(x.Horizon, x.Windows) && x.Horizon > 0 && x.Windows > 0
		for _, rmse := range x.RMSE {
			ok = ok && num.Finite(rmse) && rmse >= 0
		}
		if !ok {
			bad("experience of %q at %g s: an output, a horizon, windows and errors that are not negative are needed", x.Output, x.Horizon)
		}
	}
	return errors.Join(errs...)
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
