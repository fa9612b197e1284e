// Package dynamics learns how a process moves, and uses what it learned: numbers in, numbers out.
// It knows slices and time steps, no channels, clocks or logs.
//
// People propose terms in a file of [Hypotheses]; [Learn] finds out which of them the runs bear out,
// fits all parameters on forecasts, and gives a [Model], a readable document. An [Estimator] follows
// the process with it and forecasts; [ForecastRun] and [Score] tell how well. docs/model.md has the
// equation and the method, docs/hypotheses.md the language.
package dynamics

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stirwatch/sensors/unit"
)

// Format and Version of the model document that this package reads and writes.
const (
	Format  = "stirwatch model"
	Version = 5
)

// Model is a learned governing equation with all that is needed to use and to judge it.
// It is not changed by use and may be shared.
type Model struct {
	Format      string       `json:"format"`
	Version     int          `json:"version"`
	Process     string       `json:"process"`
	Inputs      []Input      `json:"inputs"`
	Outputs     []Output     `json:"outputs"`
	States      []State      `json:"states"`
	Parameters  []Parameter  `json:"parameters"`
	Definitions []Definition `json:"definitions"`
	Terms       []Term       `json:"terms"`
	DeadTime    string       `json:"dead_time,omitempty"` // the parameter that is the time from inputs to their effect
	Plan        *Plan        `json:"plan,omitempty"`
	Intervals   []Interval95 `json:"intervals,omitempty"` // by horizon, rising
	Provenance  Provenance   `json:"provenance"`
	Skill       []Skill      `json:"skill,omitempty"`
	Evidence    *Evidence    `json:"evidence,omitempty"`

	// Hypotheses is the file that the model was learned with, word for word.
	Hypotheses string `json:"hypotheses,omitempty"`
}

// Input is one measured quantity that drives the model; its Name is the role of a channel.
type Input struct {
	Name   string  `json:"name"`
	Symbol string  `json:"symbol"`
	Unit   string  `json:"unit"`
	Min    float64 `json:"min"` // training range
	Max    float64 `json:"max"`

	Default *float64 `json:"default,omitempty"` // what it is where nobody measures it; nil: it must be measured
}

// Output is one measurement of a state.
type Output struct {
	Name  string  `json:"name"`
	State string  `json:"state"` // symbol of the state that it shows
	Unit  string  `json:"unit"`
	SD    float64 `json:"sd"`  // measurement noise, in Unit
	Min   float64 `json:"min"` // training range
	Max   float64 `json:"max"`

	// ScoreAbove is the reading above which a row is an origin of a forecast; 0: every row is.
	ScoreAbove float64 `json:"score_above,omitempty"`
}

// State is one number that the filter carries.
type State struct {
	Name   string `json:"name"`
	Symbol string `json:"symbol"`
	Unit   string `json:"unit"`

	// Start is an expression over parameters and the first reading ("reading").
	Start   string  `json:"start"`
	StartSD float64 `json:"start_sd"` // in Unit

	// What the terms cannot explain: a random walk of Noise per √s, and a further one of NoiseShare
	// of the present rate of change, per √s.
	Noise      float64 `json:"noise,omitempty"`
	NoiseShare float64 `json:"noise_share,omitempty"`
}

// Parameter is a number inside expressions.
type Parameter struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	StdErr float64 `json:"std_err,omitempty"`
	Unit   string  `json:"unit"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Fixed  bool    `json:"fixed,omitempty"`
	Text   string  `json:"text,omitempty"`
}

// above is the reading from which forecasts are judged.
func (o *Output) above() float64 {
	if o.ScoreAbove != 0 {
		return o.ScoreAbove
	}
	return math.Inf(-1)
}

// Definition names an expression, so that terms stay short.
type Definition struct {
	Name       string `json:"name"`
	Expression string `json:"expression"`
	Text       string `json:"text,omitempty"`
}

// Term is one summand of the rate of a state: Sign·Coefficient·Expression.
type Term struct {
	State       string  `json:"state"` // symbol
	Name        string  `json:"name"`
	Expression  string  `json:"expression"`
	Mode        string  `json:"mode,omitempty"` // where it acts, for people
	Sign        int     `json:"sign"`           // +1 or -1; fixed by physics before the fit
	Coefficient float64 `json:"coefficient"`
	StdErr      float64 `json:"std_err,omitempty"`
	Unit        string  `json:"unit"` // of the coefficient
	Max         float64 `json:"max,omitempty"`
	Fixed       bool    `json:"fixed,omitempty"` // the coefficient is not learned: it is 1
}

// Interval95 widens the filter's 95 % interval at one horizon, on each side, until it covers 95 % of
// the errors on rows held out in learning. The sides differ: most of what a forecast with held inputs misses
// are stops, after which it was too high.
type Interval95 struct {
	Horizon float64   `json:"horizon_s"`
	Known   SideScale `json:"known"` // with the future inputs given
	Held    SideScale `json:"held"`  // with the inputs frozen
	Plan    SideScale `json:"plan"`  // with feed, path and stops given
}

// SideScale is the factor on either side of an interval.
type SideScale struct {
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
	// NIS is the power of the filter's smoothed normalised innovation squared by which the variance grows: 0
	// not at all, 1 in proportion.
	NIS float64 `json:"nis"`
}

// Provenance says what a model was learned from.
type Provenance struct {
	Learned string      `json:"learned"` // RFC 3339, from Options.Date
	Runs    []RunSource `json:"runs"`
}

// RunSource is one run that was learned from.
type RunSource struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Rows   int    `json:"rows"`

	// Start says by how much each hidden node began away from its start, by symbol, in its unit.
	Start map[string]float64 `json:"start,omitempty"`
}

// Skill is one row of the table of forecast errors, in the unit of the output.
type Skill struct {
	Run         string  `json:"run"`
	Way         string  `json:"way"`     // known, held, plan
	Windows     string  `json:"windows"` // all rows, one phase
	HeldOut     bool    `json:"held_out"`
	Horizon     float64 `json:"horizon_s"`
	Count       int     `json:"count"`
	RMSE        float64 `json:"rmse"`
	MAE         float64 `json:"mae"`
	Bias        float64 `json:"bias"`
	Persistence float64 `json:"persistence_rmse"`
	SetPoint    float64 `json:"set_point_rmse,omitempty"` // 0 where no set-point was recorded
	Coverage    float64 `json:"coverage_95"`
}

// Load reads the model document at path.
func Load(path string) (*Model, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open model: %w", err)
	}
	defer f.Close()
	m, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	return m, nil
}

// maxDocument bounds what Read takes in.
const maxDocument = 4 << 20

// Read reads and checks a model document. Unknown fields, units or symbols, another version, and
// numbers that cannot be, are errors; all that are found are reported together.
func Read(r io.Reader) (*Model, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("document is larger than %d bytes", maxDocument)
	}
	var head struct {
		Format  string `json:"format"`
		Version int    `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("not a model document: %w", err)
	}
	if head.Format != Format {
		return nil, fmt.Errorf("format is %q, not %q: is this a model document?", head.Format, Format)
	}
	if head.Version != Version {
		return nil, fmt.Errorf("version is %d, this program reads version %d: make it anew from its runs with `stirwatch learn`, or use the program that wrote it", head.Version, Version)
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	d.DisallowUnknownFields()
	m := new(Model)
	if err := d.Decode(m); err != nil {
		return nil, err
	}
	return m, m.Check()
}

// Save writes the document to path; a reader sees the old one or the new one, never a part.
func (m *Model) Save(path string) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return nil
}

func finite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return false
		}
	}
	return true
}

// Sizes that a document may have.
const (
	maxStates = 12
	maxNames  = 100
)

// startSymbol stands for the first reading in State.Start.
const startSymbol = "reading"

// Check reports everything that makes the document unusable, nil if nothing does.
func (m *Model) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if m.Format != Format || m.Version != Version {
		bad("format %q version %d, want %q version %d", m.Format, m.Version, Format, Version)
	}
	if len(m.States) == 0 || len(m.States) > maxStates {
		bad("%d states, must be 1 to %d", len(m.States), maxStates)
	}
	if max(len(m.Inputs), len(m.Parameters), len(m.Definitions), len(m.Terms), len(m.Outputs), len(m.Intervals)) > maxNames {
		bad("more than %d entries in a list", maxNames)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	dims := map[string]unit.Dimension{}
	declare := func(what, name, unitName string) (u unit.Unit) {
		u, err := ParseUnit(unitName)
		switch _, twice := dims[name]; {
		case !isName(name):
			bad("%s %q: a symbol is letters, digits and _ and does not begin with a digit", what, name)
		case isFunction(name) || name == startSymbol:
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
		case !finite(in.Min, in.Max) || in.Min > in.Max:
			bad("input %q: training range %g to %g is not a range", in.Name, in.Min, in.Max)
		case in.Default != nil && !(finite(*in.Default) && math.Abs(*in.Default) <= maxInput):
			bad("input %q: default %g is no value for it", in.Name, *in.Default)
		}
		seen[in.Name] = true
	}
	for _, p := range m.Parameters {
		declare("parameter", p.Name, p.Unit)
		if !finite(p.Value, p.Min, p.Max, p.StdErr) || !(p.Value >= p.Min && p.Value <= p.Max) || p.StdErr < 0 {
			bad("parameter %q is %g %s, must be %g to %g", p.Name, p.Value, p.Unit, p.Min, p.Max)
		}
	}
	if p := m.parameter(m.DeadTime); m.DeadTime != "" && (p == nil || p.Unit != "s" || p.Value < 0 || p.Value > 60) {
		bad("dead_time %q must be a parameter in s, 0 to 60", m.DeadTime)
	}
	for _, s := range m.States {
		declare("state", s.Symbol, s.Unit)
		if s.Name == "" {
			bad("state %q has no name", s.Symbol)
		}
		if !finite(s.StartSD, s.Noise, s.NoiseShare) || min(s.StartSD, s.Noise, s.NoiseShare) < 0 {
			bad("state %q: start_sd %g, noise %g and noise_share %g must not be negative", s.Symbol, s.StartSD, s.Noise, s.NoiseShare)
		}
	}
	of := func(name string) (unit.Dimension, bool) { d, ok := dims[name]; return d, ok }
	for _, d := range m.Definitions {
		if _, twice := dims[d.Name]; twice || !isName(d.Name) || isFunction(d.Name) || d.Name == startSymbol {
			bad("definition %q: not a symbol, or there already", d.Name)
			continue
		}
		n, err := parseExpr(d.Expression)
		if err == nil {
			dims[d.Name], err = n.dimension(of) // over what stands above it only, so that there is no circle
		}
		if err != nil {
			bad("definition %q: %w", d.Name, err)
			dims[d.Name] = unit.None
		}
	}
	for _, s := range m.States {
		u, _ := ParseUnit(s.Unit)
		n, err := parseExpr(s.Start)
		if err == nil {
			var dim unit.Dimension
			dim, err = n.dimension(func(name string) (unit.Dimension, bool) {
				if name == startSymbol && len(m.Outputs) > 0 {
					u, err := ParseUnit(m.Outputs[0].Unit)
					return u.Dim, err == nil
				}
				if p := m.parameter(name); p != nil {
					return of(name)
				}
				return unit.None, false
			})
			if err == nil && dim != u.Dim && !n.isZero() {
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
	for _, t := range m.Terms {
		i := m.state(t.State)
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
		case !finite(t.Coefficient) || t.Coefficient < 0:
			bad("term %q: coefficient %g must be finite and not negative", t.Name, t.Coefficient)
		case !finite(t.StdErr, t.Max) || t.StdErr < 0 || t.Max < 0:
			bad("term %q: standard error %g and max %g must be finite and not negative", t.Name, t.StdErr, t.Max)
		case t.Fixed && t.Coefficient != 1:
			bad("term %q is fixed: its coefficient must be 1", t.Name)
		}
		want, err := m.coefficientDimension(&t, of)
		if err != nil {
			bad("term %q: %w", t.Name, err)
			continue
		}
		u, err := ParseUnit(t.Unit)
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
	for _, out := range m.Outputs {
		i := m.state(out.State)
		switch {
		case i < 0:
			bad("output %q shows %q, which is no state", out.Name, out.State)
		case out.Unit != m.States[i].Unit:
			bad("output %q has unit %q, must be %q as its state", out.Name, out.Unit, m.States[i].Unit)
		case !finite(out.SD, out.ScoreAbove) || out.SD <= 0:
			bad("output %q: sd %g must be positive", out.Name, out.SD)
		case !finite(out.Min, out.Max) || out.Min > out.Max:
			bad("output %q: training range %g to %g is not a range", out.Name, out.Min, out.Max)
		}
	}
	if m.Plan != nil {
		errs = append(errs, m.Plan.check(m, of)...)
	}
	last := 0.0
	for _, s := range m.Intervals {
		ok := finite(s.Horizon) && s.Horizon > last
		for _, k := range []SideScale{s.Known, s.Held, s.Plan} {
			ok = ok && finite(k.Lower, k.Upper) && min(k.Lower, k.Upper) > 0 && k.NIS >= 0 && k.NIS <= 1
		}
		if !ok {
			bad("intervals at %g s: horizons must rise, factors be positive and nis lie from 0 to 1", s.Horizon)
		}
		last = s.Horizon
	}
	return errors.Join(errs...)
}

// coefficientDimension is what the coefficient of t must be in, so that t is in the state's unit per s.
func (m *Model) coefficientDimension(t *Term, of func(string) (unit.Dimension, bool)) (unit.Dimension, error) {
	n, err := parseExpr(t.Expression)
	if err != nil {
		return unit.None, err
	}
	d, err := n.dimension(of)
	if err != nil {
		return unit.None, err
	}
	i := m.state(t.State)
	if i < 0 {
		return unit.None, fmt.Errorf("%q is no state", t.State)
	}
	u, err := ParseUnit(m.States[i].Unit)
	return u.Dim.Over(unit.Time).Over(d), err
}

func isName(s string) bool {
	n, err := parseExpr(s)
	return err == nil && n.isSymbol(s)
}

func (m *Model) parameter(name string) *Parameter {
	if i := slices.IndexFunc(m.Parameters, func(p Parameter) bool { return p.Name == name }); i >= 0 {
		return &m.Parameters[i]
	}
	return nil
}

func (m *Model) state(symbol string) int {
	return slices.IndexFunc(m.States, func(s State) bool { return s.Symbol == symbol })
}

// assumed is the default of input i, 0 where it has none.
func (m *Model) assumed(i int) float64 {
	if d := m.Inputs[i].Default; d != nil {
		return *d
	}
	return 0
}

func (m *Model) input(name string) int {
	return slices.IndexFunc(m.Inputs, func(in Input) bool { return in.Name == name })
}
