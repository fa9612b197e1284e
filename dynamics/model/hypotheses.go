package model

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"stirwatch/dynamics/expr"
	"stirwatch/dynamics/num"
	"stirwatch/sensors/unit"
)

// shipped are the files that come with the program, by the name without .yaml. afsd is built in: what is taken
// where nobody says another; docs/hypotheses.md has it line by line.
//
//go:embed afsd.yaml afsd-build.yaml tclab.yaml
var shipped embed.FS

const builtIn = "afsd"

// Hypotheses is what people propose about a process: symbols, hidden states and candidate terms.
// docs/hypotheses.md explains every key.
type Hypotheses struct {
	// Extends names a shipped file whose entries hold too, but for those that this file has of the same name.
	Extends     string                 `yaml:"extends,omitempty"`
	Process     string                 `yaml:"process"`
	Inputs      []HypothesisInput      `yaml:"inputs"`
	Outputs     []HypothesisOutput     `yaml:"outputs"`
	Parameters  []HypothesisParameter  `yaml:"parameters"`
	DeadTime    string                 `yaml:"dead_time,omitempty"`
	Definitions []HypothesisDefined    `yaml:"definitions"`
	States      []HypothesisState      `yaml:"states"`
	Terms       []HypothesisTerm       `yaml:"terms"`
	Plan        *HypothesisPlan        `yaml:"plan,omitempty"`
	Controllers []HypothesisController `yaml:"controllers,omitempty"`

	text string // as it was read
}

// Text is the file of hypotheses as it was read.
func (h *Hypotheses) Text() string { return h.text }

// Assuming gives the hypotheses with the inputs named by absent taken as their defaults; controllers that need one of
// them are left out.
func (h *Hypotheses) Assuming(absent []string) *Hypotheses {
	if len(absent) == 0 {
		return h
	}
	c := *h
	c.Inputs, c.Parameters = nil, slices.Clone(h.Parameters)
	for _, in := range h.Inputs {
		if !slices.Contains(absent, in.Symbol) {
			c.Inputs = append(c.Inputs, in)
			continue
		}
		c.Parameters = append(c.Parameters, HypothesisParameter{Name: in.Symbol, Value: *in.Default, Unit: in.Unit, Fixed: true, Text: in.Is + ", not measured"})
	}
	c.Controllers = nil
	for _, k := range h.Controllers {
		if !slices.Contains(absent, k.Moves) && !slices.Contains(absent, k.Follows) {
			c.Controllers = append(c.Controllers, k)
		}
	}
	return &c
}

// Unbound gives the hypotheses without what they know beforehand of one machine: no number has a standard deviation or
// factor any more, learning starts where it does elsewhere, and limits and power of a plan are those that runs show.
func (h *Hypotheses) Unbound() *Hypotheses {
	c := *h
	c.Parameters, c.Terms, c.States = slices.Clone(h.Parameters), slices.Clone(h.Terms), slices.Clone(h.States)
	for i := range c.Parameters {
		q := &c.Parameters[i]
		q.SD = 0
		if e := q.Elsewhere; e != nil {
			q.Value, q.Min, q.Max, q.Fixed = e.Value, e.Min, e.Max, false
		}
	}
	for i := range c.Terms {
		t := &c.Terms[i]
		t.SD = 0
		if t.Elsewhere != 0 {
			t.Start = t.Elsewhere
		}
	}
	for i := range c.States {
		c.States[i].NoiseFactor = 0
	}
	if h.Plan != nil {
		plan := *h.Plan
		plan.Min, plan.Max, plan.Softening, plan.Slope, plan.Smooth, plan.Ripple = 0, 0, 0, 0, 0, 0
		c.Plan = &plan
	}
	return &c
}

// Sized gives the hypotheses for a machine whose spindle takes so many times the free torque of [phase.DefaultContactRule]: parameters that are
// sized start at as many times their value, may be anything between 0 and as many times their largest, and nothing is known of them beforehand, since
// what runs show of a free spin is rough. So is the power of a plan's free spin.
func (h *Hypotheses) Sized(times float64) *Hypotheses {
	c := *h
	c.Parameters = slices.Clone(h.Parameters)
	for i := range c.Parameters {
		if p := &c.Parameters[i]; p.Sized {
			p.Value, p.Min, p.Max, p.SD = times*p.Value, 0, times*p.Max, 0
			p.Elsewhere = nil // of another size
		}
	}
	if h.Plan != nil {
		plan := *h.Plan
		plan.Free *= times
		c.Plan = &plan
	}
	return &c
}

// Ordered gives the hypotheses with the outputs in the order of [Model.OutputOrder].
func (h *Hypotheses) Ordered() *Hypotheses {
	c := *h
	c.Outputs = nil
	for _, o := range h.Draft(nil).OutputOrder() {
		c.Outputs = append(c.Outputs, h.Outputs[o])
	}
	return &c
}

// HypothesisInput is a measured quantity that terms may use.
type HypothesisInput struct {
	Symbol string `yaml:"symbol"`
	Is     string `yaml:"is"` // role of a channel
	Unit   string `yaml:"unit"`

	// Default is what it is taken to be where nobody measures it; nil: then terms that need it go.
	Default *float64 `yaml:"default,omitempty"`
}

// HypothesisOutput is a measurement of a state.
type HypothesisOutput struct {
	Is    string  `yaml:"is"`
	State string  `yaml:"state"`
	Unit  string  `yaml:"unit"`
	SD    float64 `yaml:"sd"`

	ScoreAbove float64 `yaml:"score_above,omitempty"` // forecasts are judged from readings above this

	// Possible is the range that a reading can be in, nil: any. What is outside is no reading, and is
	// not learned from.
	Possible *[2]float64 `yaml:"possible,omitempty,flow"`
}

// HypothesisParameter is a number inside expressions, learned within its bounds unless fixed.
type HypothesisParameter struct {
	Name  string  `yaml:"name"`
	Value float64 `yaml:"value"` // where learning starts
	Min   float64 `yaml:"min,omitempty"`
	Max   float64 `yaml:"max,omitempty"`
	Unit  string  `yaml:"unit"`
	Fixed bool    `yaml:"fixed,omitempty"`
	SD    float64 `yaml:"sd,omitempty"`    // how far from Value it may well be, where that is known; 0: not known
	Sized bool    `yaml:"sized,omitempty"` // it grows with the torques of the machine, see [Hypotheses.Sized]
	Text  string  `yaml:"text,omitempty"`

	// Elsewhere is what takes the place of value and bounds on a machine of which what is known beforehand does not hold,
	// nil: these. A fixed number that has it is learned there.
	Elsewhere *HypothesisElsewhere `yaml:"elsewhere,omitempty,flow"`
}

// HypothesisElsewhere is where learning of a number starts, and its bounds, on a machine of which little is known.
type HypothesisElsewhere struct {
	Value float64 `yaml:"value"`
	Min   float64 `yaml:"min"`
	Max   float64 `yaml:"max"`
}

// HypothesisDefined names an expression.
type HypothesisDefined struct {
	Name       string `yaml:"name"`
	Expression string `yaml:"expression"`
	Text       string `yaml:"text,omitempty"`
}

// HypothesisState is a quantity with a rate of change, measured or hidden.
type HypothesisState struct {
	Symbol     string  `yaml:"symbol"`
	Is         string  `yaml:"is"`
	Unit       string  `yaml:"unit"`
	Start      string  `yaml:"start"`
	StartSD    float64 `yaml:"start_sd"`
	Noise      float64 `yaml:"noise,omitempty"`
	NoiseShare float64 `yaml:"noise_share,omitempty"`

	// NoiseFactor is by how much Noise and NoiseShare may well be off, either way, where that is known: one
	// standard deviation of their logarithms. 0: not known.
	NoiseFactor float64 `yaml:"noise_factor,omitempty"`
}

// HypothesisTerm is a candidate for a summand of a state's rate.
type HypothesisTerm struct {
	Of         string  `yaml:"of"`
	Name       string  `yaml:"name"`
	Sign       string  `yaml:"sign"` // + or -
	Expression string  `yaml:"expression"`
	Unit       string  `yaml:"unit,omitempty"`
	Start      float64 `yaml:"start,omitempty"`
	SD         float64 `yaml:"sd,omitempty"` // how far from Start it may well be, where that is known; 0: not known
	Max        float64 `yaml:"max,omitempty"`
	Fixed      bool    `yaml:"fixed,omitempty"`     // no coefficient: the expression is the whole term
	Elsewhere  float64 `yaml:"elsewhere,omitempty"` // as of parameters; 0: at Start
	Mode       string  `yaml:"mode,omitempty"`
	Opinion    string  `yaml:"opinion,omitempty"` // propose (default), require, forbid

	// Coefficient is the symbol of a coefficient that other terms have too, "": it is the term's own.
	// What shares one is kept or dropped together.
	Coefficient string `yaml:"coefficient,omitempty"`
}

func (t *HypothesisTerm) opinion() string {
	if t.Opinion == "" {
		return Propose
	}
	return t.Opinion
}

// Opinions on a term.
const (
	Propose = "propose"
	Require = "require"
	Forbid  = "forbid"
)

// Modes that a term may act in.
var modes = []string{"", "always", "contact", "free spin", "coast-down", "heating", "cooling"}

// DefaultHypotheses are those for additive friction stir deposition.
func DefaultHypotheses() *Hypotheses {
	h, err := readShipped(builtIn)
	if err != nil {
		panic("dynamics: built-in hypotheses: " + err.Error())
	}
	return h
}

// DefaultHypothesesText is the built-in file as it stands.
func DefaultHypothesesText() string { return DefaultHypotheses().text }

// ShippedHypotheses are the names of the files that come with the program.
func ShippedHypotheses() []string {
	entries, _ := shipped.ReadDir(".") // it is part of the program
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

func readShipped(name string) (*Hypotheses, error) {
	data, err := shipped.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no hypotheses named %q come with the program; these do: %s", name, strings.Join(ShippedHypotheses(), ", "))
	}
	return ReadHypotheses(bytes.NewReader(data))
}

// LoadHypotheses reads the file at path or, where there is none, what comes with the program under that name.
func LoadHypotheses(path string) (*Hypotheses, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && slices.Contains(ShippedHypotheses(), path) {
		return readShipped(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open hypotheses: %w (with the program come %s)", err, strings.Join(ShippedHypotheses(), ", "))
	}
	defer f.Close()
	h, err := ReadHypotheses(f)
	if err != nil {
		return nil, fmt.Errorf("hypotheses %s: %w", path, err)
	}
	return h, nil
}

// extend adds what a shipped file says and h does not. An entry of the same name stands where that of the shipped file stood.
func (h *Hypotheses) extend() error {
	base, err := readShipped(h.Extends)
	if err != nil {
		return fmt.Errorf("extends: %w", err)
	}
	if h.Process == "" {
		h.Process = base.Process
	}
	if h.DeadTime == "" {
		h.DeadTime = base.DeadTime
	}
	if h.Plan == nil {
		h.Plan = base.Plan
	}
	h.Inputs = over(base.Inputs, h.Inputs, func(x HypothesisInput) string { return x.Symbol })
	h.Outputs = over(base.Outputs, h.Outputs, func(x HypothesisOutput) string { return x.Is })
	h.Parameters = over(base.Parameters, h.Parameters, func(x HypothesisParameter) string { return x.Name })
	h.Definitions = over(base.Definitions, h.Definitions, func(x HypothesisDefined) string { return x.Name })
	h.States = over(base.States, h.States, func(x HypothesisState) string { return x.Symbol })
	h.Controllers = over(base.Controllers, h.Controllers, func(x HypothesisController) string { return x.Moves })
	h.Terms = over(base.Terms, h.Terms, func(x HypothesisTerm) string { return CandidateName(x.Of, x.Name) })
	return nil
}

// over is base with what more has of the same name in its place, and the rest of more behind.
func over[T any](base, more []T, name func(T) string) []T {
	out := slices.Clone(base)
	for _, x := range more {
		if i := slices.IndexFunc(base, func(y T) bool { return name(x) == name(y) }); i >= 0 {
			out[i] = x
		} else {
			out = append(out, x)
		}
	}
	return out
}

// maxHypotheses bounds what ReadHypotheses takes in.
const maxHypotheses = 256 << 10

// ReadHypotheses reads and checks a file of hypotheses. Unknown keys, symbols and units, units that
// do not fit, and contradictions are errors; all that are found are reported together.
func ReadHypotheses(r io.Reader) (*Hypotheses, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxHypotheses+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxHypotheses {
		return nil, fmt.Errorf("file is larger than %d bytes", maxHypotheses)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	h := new(Hypotheses)
	if err := d.Decode(h); err != nil {
		return nil, fmt.Errorf("not a file of hypotheses: %w", err)
	}
	h.text = string(data)
	if h.Extends != "" {
		if err := h.extend(); err != nil {
			return nil, err
		}
	}
	return h, h.Check()
}

// Check reports everything that makes the hypotheses unusable, nil if nothing does.
func (h *Hypotheses) Check() error {
	var f faults
	for i := range h.Terms {
		h.checkTerm(&f, &h.Terms[i])
	}
	h.checkOpinions(&f)
	for _, o := range h.Outputs {
		if p := o.Possible; p != nil && !(p[0] < p[1]) {
			f.bad("output %q: possible %g to %g is no range", o.Is, p[0], p[1])
		}
	}
	for _, c := range h.Controllers {
		h.checkController(&f, c)
	}
	for _, in := range h.Inputs {
		if in.Default != nil && !num.Finite(*in.Default) {
			f.bad("input %q: default %g is no number", in.Symbol, *in.Default)
		}
	}
	for _, p := range h.Parameters {
		if !p.Fixed && !(p.Min < p.Max) {
			f.bad("parameter %q: give min and max (or `fixed: true`)", p.Name)
		}
		if e := p.Elsewhere; e != nil && !(e.Min < e.Max && e.Min <= e.Value && e.Value <= e.Max) {
			f.bad("parameter %q: elsewhere: give value, min and max, with min < max and value between them", p.Name)
		}
	}
	for _, x := range h.States {
		if x.NoiseFactor != 0 && !(x.NoiseFactor > 1 && num.Finite(x.NoiseFactor)) {
			f.bad("state %q: noise_factor %g must be above 1: by how much the noise may well be off, either way", x.Symbol, x.NoiseFactor)
		}
	}
	if h.Plan != nil && h.Plan.Controller != "spindle" {
		f.bad("plan: controller %q is unknown; known is spindle", h.Plan.Controller)
	}
	if p := h.Plan; p != nil && (min(p.RateGain, p.ErrorGain, p.Min, p.Max, p.Slew, p.Free, p.Softening, p.Slope, p.Smooth, p.Ripple) < 0 || p.Min > p.Max) {
		f.bad("plan: no number of it may be negative, and min not above max")
	}
	if len(f) == 0 {
		if err := h.Draft(nil).Check(); err != nil {
			return err
		}
	}
	return errors.Join(f...)
}

func (h *Hypotheses) checkTerm(f *faults, t *HypothesisTerm) {
	switch {
	case t.Sign != "+" && t.Sign != "-":
		f.bad("term %q: sign %q must be + or -", t.Name, t.Sign)
	case t.Opinion != "" && t.Opinion != Propose && t.Opinion != Require && t.Opinion != Forbid:
		f.bad("term %q: opinion %q must be %s, %s or %s", t.Name, t.Opinion, Propose, Require, Forbid)
	case !slices.Contains(modes, t.Mode):
		f.bad("term %q: mode %q must be one of %q", t.Name, t.Mode, modes[1:])
	case !t.Fixed && t.Unit == "":
		f.bad("term %q: the unit of its coefficient is missing (or `fixed: true`, if it has none)", t.Name)
	case t.Fixed && (t.Unit != "" || t.Start != 0 || t.Elsewhere != 0 || t.Max != 0):
		f.bad("term %q is fixed: it has no coefficient, so no unit, start, elsewhere or max", t.Name)
	case !t.Fixed && min(t.Start, t.Elsewhere) < 0, t.Max < 0, t.Max > 0 && max(t.Start, t.Elsewhere) > t.Max:
		f.bad("term %q: start %g and elsewhere %g must lie between 0 and its max %g; the sign says which way it acts", t.Name, t.Start, t.Elsewhere, t.Max)
	}
	for _, u := range h.Terms {
		if t.Coefficient != "" && u.Coefficient == t.Coefficient && u.Elsewhere != t.Elsewhere {
			f.bad("terms %q and %q share coefficient %s: elsewhere must be the same", t.Name, u.Name, t.Coefficient)
		}
		if t.Coefficient != "" && u.Coefficient == t.Coefficient && u.opinion() != t.opinion() {
			f.bad("term %q: opinion %s, but %q has the same coefficient %s and opinion %s", t.Name, t.opinion(), u.Name, t.Coefficient, u.opinion())
			break
		}
	}
}

// checkOpinions looks for what cannot be wanted together: the same expression twice, required and forbidden, or required
// with both signs.
func (h *Hypotheses) checkOpinions(f *faults) {
	opinion := map[[2]string]string{}
	for _, t := range h.Terms {
		key := [2]string{t.Of, t.Expression}
		if n, err := expr.Parse(t.Expression); err == nil {
			key[1] = t.Sign + n.String()
		}
		before, twice := opinion[key]
		switch {
		case twice && (before == Require) != (t.Opinion == Require) && (before == Forbid || t.Opinion == Forbid):
			f.bad("term %q: the same expression of %s is required and forbidden", t.Name, t.Of)
		case twice:
			f.bad("term %q: the same expression of %s stands there twice", t.Name, t.Of)
		}
		opinion[key] = t.Opinion
	}
	for _, t := range h.Terms {
		if t.Opinion != Require || t.Sign != "+" {
			continue
		}
		for _, u := range h.Terms {
			if u.Opinion == Require && u.Sign == "-" && u.Of == t.Of && sameExpr(t.Expression, u.Expression) {
				f.bad("terms %q and %q: the same expression of %s is required with both signs, and the data can only tell their difference", t.Name, u.Name, t.Of)
			}
		}
	}
}

func (h *Hypotheses) checkController(f *faults, c HypothesisController) {
	in := func(symbol string) *HypothesisInput {
		if i := slices.IndexFunc(h.Inputs, func(x HypothesisInput) bool { return x.Symbol == symbol }); i >= 0 {
			return &h.Inputs[i]
		}
		return nil
	}
	out := slices.IndexFunc(h.Outputs, func(o HypothesisOutput) bool { return o.Is == c.Holds })
	switch moves, follows := in(c.Moves), in(c.Follows); {
	case moves == nil || follows == nil || moves == follows:
		f.bad("controllers: moves %q and follows %q must be symbols of two inputs", c.Moves, c.Follows)
	case out < 0:
		f.bad("controllers: holds %q is no output", c.Holds)
	case follows.Unit != h.Outputs[out].Unit:
		f.bad("controllers: %q is in %s, must be in %s as the %s that it is the set-point of", c.Follows, follows.Unit, h.Outputs[out].Unit, c.Holds)
	case c.Slew < 0 || c.Min > c.Max:
		f.bad("controllers: slew %g must not be negative, and min %g not above max %g", c.Slew, c.Min, c.Max)
	}
}

// sameExpr reports whether two expressions read the same; one that cannot be read is like no other.
func sameExpr(a, b string) bool {
	x, errX := expr.Parse(a)
	y, errY := expr.Parse(b)
	return errX == nil && errY == nil && x.String() == y.String()
}

func prior(value, sd float64) *Prior {
	if sd == 0 {
		return nil
	}
	return &Prior{value, sd}
}

// Draft is the model with every term that keep allows (nil: all), at its starting values.
func (h *Hypotheses) Draft(keep func(t *HypothesisTerm) bool) *Model {
	m := &Model{Format: Format, Version: Version, Process: h.Process, DeadTime: h.DeadTime}
	for _, in := range h.Inputs {
		q := Input{Name: in.Is, Symbol: in.Symbol, Unit: in.Unit, Default: in.Default}
		if q.Default == nil && slices.ContainsFunc(h.Controllers, func(c HypothesisController) bool { return c.Follows == in.Symbol }) {
			q.Default = new(float64) // a set-point that nobody records is off
		}
		m.Inputs = append(m.Inputs, q)
	}
	for _, o := range h.Outputs {
		m.Outputs = append(m.Outputs, Output{Name: o.Is, State: o.State, Unit: o.Unit, SD: o.SD, ScoreAbove: o.ScoreAbove})
	}
	for _, p := range h.Parameters {
		q := Parameter{Name: p.Name, Value: p.Value, Unit: p.Unit, Min: p.Min, Max: p.Max, Fixed: p.Fixed, Text: p.Text, Prior: prior(p.Value, p.SD)}
		if p.Fixed {
			q.Min, q.Max = p.Value, p.Value
		}
		m.Parameters = append(m.Parameters, q)
	}
	for _, d := range h.Definitions {
		m.Definitions = append(m.Definitions, Definition(d))
	}
	for _, s := range h.States {
		m.States = append(m.States, State{s.Is, s.Symbol, s.Unit, s.Start, s.StartSD, s.Noise, s.NoiseShare})
	}
	for i := range h.Terms {
		t := &h.Terms[i]
		sign := 1
		if t.Sign == "-" {
			sign = -1
		}
		q := Term{State: t.Of, Name: t.Name, Expression: t.Expression, Mode: t.Mode, Sign: sign, Coefficient: t.Start, Unit: t.Unit, Max: t.Max, Fixed: t.Fixed, Prior: prior(t.Start, t.SD), Shared: t.Coefficient}
		if t.Fixed {
			q.Coefficient, q.Unit = 1, "1"
			if d, err := m.coefficientDimension(&q, m.dimensions()); err == nil && d != unit.None {
				q.Unit = "" // Check says what is wrong
			}
		}
		m.Terms = append(m.Terms, q)
	}
	if len(m.Outputs) > 0 {
		m.Leading = m.leads() // by all terms, so that it is the same whichever are kept
	}
	if keep != nil {
		all := m.Terms
		m.Terms = nil
		for i := range all {
			if keep(&h.Terms[i]) {
				m.Terms = append(m.Terms, all[i])
			}
		}
	}
	return m
}
