// Package dynamics learns how a tool's temperature moves, and uses what it learned: numbers in,
// numbers out. It knows slices and time steps, no channels, clocks or logs.
//
// [Learn] fits a governing equation to recorded runs and gives a [Model], a readable document.
// An [Estimator] follows the temperature with it and forecasts; [ForecastRun] and [Score] tell
// how well. docs/model.md has the equation and the method.
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
)

// Format and Version of the model document that this package reads and writes.
const (
	Format  = "stirwatch model"
	Version = 1
)

// Model is a learned governing equation with all that is needed to use and to judge it.
// It is not changed by use and may be shared.
type Model struct {
	Format     string      `json:"format"`
	Version    int         `json:"version"`
	Inputs     []Input     `json:"inputs"`
	Outputs    []Output    `json:"outputs"`
	States     []State     `json:"states"`
	Parameters []Parameter `json:"parameters"`
	Terms      []Term      `json:"terms"`
	SensorLag  float64     `json:"sensor_lag_s"` // first order, temperature to reading
	DeadTime   float64     `json:"dead_time_s"`  // inputs to temperature
	Noise      Noise       `json:"noise"`
	Provenance Provenance  `json:"provenance"`
	Skill      []Skill     `json:"skill"`
}

// Input is one measured quantity that drives the model; its Name is the role of a channel.
type Input struct {
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	Min  float64 `json:"min"` // training range
	Max  float64 `json:"max"`
}

// Output is one measurement of a state.
type Output struct {
	Name string  `json:"name"`
	Unit string  `json:"unit"`
	SD   float64 `json:"sd"`  // measurement noise, in Unit
	Min  float64 `json:"min"` // training range
	Max  float64 `json:"max"`
}

// State is one number that the filter carries.
type State struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
}

// The states of version 1 and their order in Estimate.X.
const (
	StateTool        = iota // tool temperature, °C
	StateBody               // body behind the tool face, °C
	StateReading            // what the thermocouple shows, °C
	StateDisturbance        // what the terms cannot explain, K/s
	stateCount
)

var stateTable = [stateCount]State{
	{ToolTemperature, "°C"}, {"tool body temperature", "°C"}, {"thermocouple reading", "°C"}, {"disturbance", "K/s"},
}

// Parameter is a number inside the terms, chosen by its forecasts and not by regression.
type Parameter struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Text  string  `json:"text,omitempty"`
}

// Term is one summand of dT/dt: Sign·Coefficient·Expression.
type Term struct {
	State       string  `json:"state"`
	Expression  string  `json:"expression"`
	Mode        string  `json:"mode"` // where it acts: always, contact, spinning
	Sign        int     `json:"sign"` // +1 or -1; fixed by physics before the fit
	Coefficient float64 `json:"coefficient"`
	StdErr      float64 `json:"std_err"`
	Unit        string  `json:"unit"`
}

// Noise is what the filter assumes, and what its intervals are widened by.
type Noise struct {
	Tool        float64  `json:"tool_K_per_sqrt_s"`          // random walk of the temperature
	Rate        float64  `json:"rate_share_per_sqrt_s"`      // the same, as a share of dT/dt
	Disturbance float64  `json:"disturbance_K_per_s_sqrt_s"` // random walk of the disturbance
	Spread      []Spread `json:"spread"`                     // by horizon, rising
}

// Spread widens the filter's 95 % interval at one horizon, on each side, until it covers 95 % of
// the errors seen in learning. The sides differ: most of what a forecast with held inputs misses
// are stops, after which it was too high.
type Spread struct {
	Horizon float64   `json:"horizon_s"`
	Known   SideScale `json:"known"` // with the future inputs given
	Held    SideScale `json:"held"`  // with the inputs frozen
}

// SideScale is the factor on either side of an interval.
type SideScale struct {
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
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
}

// Skill is one row of the table of forecast errors, °C.
type Skill struct {
	Run         string  `json:"run"`
	Way         string  `json:"way"`     // known, held
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

// Read reads and checks a model document. Unknown fields, units, inputs or terms, another
// version, and numbers that cannot be, are errors; all that are found are reported together.
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
		return nil, fmt.Errorf("version is %d, this program reads version %d: learn the model again, or use the program that wrote it", head.Version, Version)
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

// Check reports everything that makes the document unusable, nil if nothing does.
func (m *Model) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if m.Format != Format || m.Version != Version {
		bad("format %q version %d, want %q version %d", m.Format, m.Version, Format, Version)
	}
	known := make([]string, inCount)
	for i := range inputSlots {
		known[i] = inputSlots[i].name
	}
	seen := map[string]bool{}
	for _, in := range m.Inputs {
		slot := inputSlot(in.Name)
		switch {
		case slot < 0:
			bad("input %q is unknown; known are %s", in.Name, strings.Join(known, ", "))
		case seen[in.Name]:
			bad("input %q is there twice", in.Name)
		case in.Unit != inputSlots[slot].unit:
			bad("input %q has unit %q, must be %q", in.Name, in.Unit, inputSlots[slot].unit)
		case !finite(in.Min, in.Max) || in.Min > in.Max:
			bad("input %q: training range %g to %g is not a range", in.Name, in.Min, in.Max)
		}
		seen[in.Name] = true
	}
	if len(m.Outputs) == 0 {
		bad("no outputs: at least one measurement of %q is needed", ToolTemperature)
	}
	for _, out := range m.Outputs {
		switch {
		case out.Name != ToolTemperature:
			bad("output %q is unknown; known is %s", out.Name, ToolTemperature)
		case out.Unit != "°C":
			bad("output %q has unit %q, must be °C", out.Name, out.Unit)
		case !finite(out.SD) || out.SD <= 0:
			bad("output %q: sd %g must be positive", out.Name, out.SD)
		case !finite(out.Min, out.Max) || out.Min > out.Max:
			bad("output %q: training range %g to %g is not a range", out.Name, out.Min, out.Max)
		}
	}
	if !slices.Equal(m.States, stateTable[:]) {
		bad("states are %v, version %d has %v", m.States, Version, stateTable)
	}
	params := map[string]bool{}
	for _, p := range m.Parameters {
		i := slices.IndexFunc(paramSlots[:], func(s struct {
			name, unit string
			min, max   float64
			text       string
		}) bool {
			return s.name == p.Name
		})
		switch {
		case i < 0:
			bad("parameter %q is unknown", p.Name)
		case p.Unit != paramSlots[i].unit:
			bad("parameter %q has unit %q, must be %q", p.Name, p.Unit, paramSlots[i].unit)
		case !(p.Value >= paramSlots[i].min && p.Value <= paramSlots[i].max):
			bad("parameter %q is %g %s, must be %g to %g", p.Name, p.Value, p.Unit, paramSlots[i].min, paramSlots[i].max)
		}
		params[p.Name] = true
	}
	for _, s := range paramSlots {
		if !params[s.name] {
			bad("parameter %q (%s) is missing", s.name, s.text)
		}
	}
	if len(m.Terms) == 0 {
		bad("no terms")
	}
	terms := map[string]bool{}
	for _, t := range m.Terms {
		k, ok := termByExpression(t.Expression)
		if !ok {
			all := make([]string, termCount)
			for i := range library {
				all[i] = library[i].expression
			}
			bad("term %q is unknown; known are %s", t.Expression, strings.Join(all, "; "))
			continue
		}
		lib := &library[k]
		switch {
		case terms[t.Expression]:
			bad("term %q is there twice", t.Expression)
		case t.State != ToolTemperature:
			bad("term %q acts on %q, must be %q", t.Expression, t.State, ToolTemperature)
		case t.Unit != lib.unit:
			bad("term %q: coefficient has unit %q, must be %q", t.Expression, t.Unit, lib.unit)
		case t.Sign != lib.sign:
			bad("term %q has sign %+d, physics says %+d", t.Expression, t.Sign, lib.sign)
		case t.Mode != lib.mode:
			bad("term %q has mode %q, must be %q", t.Expression, t.Mode, lib.mode)
		case !finite(t.Coefficient) || t.Coefficient < 0:
			bad("term %q: coefficient %g must be finite and not negative", t.Expression, t.Coefficient)
		case !finite(t.StdErr) || t.StdErr < 0:
			bad("term %q: standard error %g must be finite and not negative", t.Expression, t.StdErr)
		}
		for _, slot := range lib.needs {
			if !seen[inputSlots[slot].name] {
				bad("term %q needs input %q, which is missing", t.Expression, inputSlots[slot].name)
			}
		}
		terms[t.Expression] = true
	}
	if !finite(m.SensorLag) || m.SensorLag < 0 || m.SensorLag > 60 {
		bad("sensor_lag_s is %g, must be 0 to 60", m.SensorLag)
	}
	if !finite(m.DeadTime) || m.DeadTime < 0 || m.DeadTime > 60 {
		bad("dead_time_s is %g, must be 0 to 60", m.DeadTime)
	}
	n := m.Noise
	if !finite(n.Tool, n.Rate, n.Disturbance) || n.Tool <= 0 || n.Rate < 0 || n.Disturbance < 0 {
		bad("noise: tool %g must be positive, rate %g and disturbance %g not negative", n.Tool, n.Rate, n.Disturbance)
	}
	last := 0.0
	for _, s := range n.Spread {
		if k, h := s.Known, s.Held; !finite(s.Horizon, k.Lower, k.Upper, h.Lower, h.Upper) || s.Horizon <= last || min(k.Lower, k.Upper, h.Lower, h.Upper) <= 0 {
			bad("noise: spread at %g s: horizons must rise and factors be positive", s.Horizon)
		}
		last = s.Horizon
	}
	return errors.Join(errs...)
}

// compile makes the model ready for arithmetic. The model must have passed Check.
func (m *Model) compile() *equation {
	e := new(equation)
	for i := range e.in {
		e.in[i] = slices.IndexFunc(m.Inputs, func(in Input) bool { return in.Name == inputSlots[i].name })
	}
	for _, p := range m.Parameters {
		for i := range paramSlots {
			if paramSlots[i].name == p.Name {
				e.p[i] = p.Value
			}
		}
	}
	for _, t := range m.Terms {
		if k, ok := termByExpression(t.Expression); ok {
			e.coef[k] += float64(t.Sign) * t.Coefficient
		}
	}
	return e
}
