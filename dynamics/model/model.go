// Package model is what is known of a process, as documents: the hypotheses that people propose and the
// model that was learned from them, with its checks and as an equation for people. docs/model.md and
// docs/hypotheses.md explain both.
package model

import (
	"math"
	"slices"

	"stirwatch/dynamics/phase"
)

const (
	RangeMargin = 0.10 // share of the training range that counts as inside beyond its ends
)

// StateTool is the first state of a model; with the built-in hypotheses, the tool temperature.
const StateTool = 0

// MaxInput bounds the magnitude of an input, in its unit: a value beyond it is no measurement.
const MaxInput = 1e9

// Format and Version of the model document that this package reads and writes.
const (
	Format  = "stirwatch model"
	Version = 6
)

// Model is a learned governing equation with all that is needed to use and to judge it.
// It is not changed by use and may be shared.
type Model struct {
	Format      string             `json:"format"`
	Version     int                `json:"version"`
	Process     string             `json:"process"`
	Inputs      []Input            `json:"inputs"`
	Outputs     []Output           `json:"outputs"`
	Leading     string             `json:"leading,omitempty"` // name of the output that leads, see LeadingIndex; "": the first
	States      []State            `json:"states"`
	Parameters  []Parameter        `json:"parameters"`
	Definitions []Definition       `json:"definitions"`
	Terms       []Term             `json:"terms"`
	DeadTime    string             `json:"dead_time,omitempty"` // the parameter that is the time from inputs to their effect
	Plan        *Plan              `json:"plan,omitempty"`
	Controllers []Controller       `json:"controllers,omitempty"`
	Spindle     *phase.ContactRule `json:"spindle,omitempty"`         // of a machine that is not like that of phase.DefaultContactRule
	StartTorque float64            `json:"start_torque_Nm,omitempty"` // see [phase.Spindle.Start], of the middle one of the runs; 0: not known
	Usual       []Usual            `json:"usual,omitempty"`           // by phase, then name
	Intervals   []Interval95       `json:"intervals,omitempty"`       // by horizon, rising
	Experience  []Experience       `json:"experience,omitempty"`
	Provenance  Provenance         `json:"provenance"`
	Skill       []Skill            `json:"skill,omitempty"`
	NotJudged   []NotJudged        `json:"not_judged,omitempty"`
	Evidence    *Evidence          `json:"evidence,omitempty"`

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

// Output is one measurement of a state. All are forecast; see [Model.LeadingIndex] for which one leads.
type Output struct {
	Name  string  `json:"name"`
	State string  `json:"state"` // symbol of the state that it shows
	Unit  string  `json:"unit"`
	SD    float64 `json:"sd"`  // measurement noise, in Unit
	Min   float64 `json:"min"` // training range
	Max   float64 `json:"max"`

	// ScoreAbove is the reading above which forecasts of it are judged, and of the leading output that
	// above which a row is an origin of forecasts at all; 0: every row is.
	ScoreAbove float64 `json:"score_above,omitempty"`
}

// State is one number that the filter carries.
type State struct {
	Name   string `json:"name"`
	Symbol string `json:"symbol"`
	Unit   string `json:"unit"`

	// Start is an expression over parameters and the first reading of the leading output ("reading").
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
	Prior  *Prior  `json:"prior,omitempty"` // nil where nothing is known beforehand
}

// Prior is what is known of a number before a run is seen, in its unit.
type Prior struct {
	Value float64 `json:"value"`
	SD    float64 `json:"sd"`
}

// Above is the reading from which forecasts are judged.
func (o *Output) Above() float64 {
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
	Prior       *Prior  `json:"prior,omitempty"` // of the coefficient; nil where nothing is known beforehand

	// Shared is the symbol of a coefficient that several terms have in common; "": it is this term's own.
	Shared string `json:"shared,omitempty"`
}

// Interval95 widens the filter's 95 % interval at one horizon, on each side, until it covers 95 % of
// the errors on rows held out in learning. The sides differ: most of what a forecast with held inputs misses
// are stops, after which it was too high.
type Interval95 struct {
	Output  string    `json:"output,omitempty"` // its name; "": the leading one
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

// Experience is how well the experts of live forecasts did on rows held out in learning, in windows without a change of
// phase: what is believed of them in a new run.
type Experience struct {
	Output  string             `json:"output"`
	Phase   string             `json:"phase"`
	Horizon float64            `json:"horizon_s"`
	Windows float64            `json:"windows"` // independent ones: those that overlap count by what is new
	RMSE    map[string]float64 `json:"rmse"`    // by expert, in the output's unit; those that had nothing to say are missing
}

// ParameterNamed is the parameter of a name, nil if there is none.
func (m *Model) ParameterNamed(name string) *Parameter {
	if i := slices.IndexFunc(m.Parameters, func(p Parameter) bool { return p.Name == name }); i >= 0 {
		return &m.Parameters[i]
	}
	return nil
}

// StateIndex is the place of the state of a symbol, −1 if there is none.
func (m *Model) StateIndex(symbol string) int {
	return slices.IndexFunc(m.States, func(s State) bool { return s.Symbol == symbol })
}

// Sharing is the first of the terms that have the coefficient of term i in common: i itself where it is its own.
func (m *Model) Sharing(i int) int {
	if s := m.Terms[i].Shared; s != "" {
		return slices.IndexFunc(m.Terms, func(t Term) bool { return t.Shared == s })
	}
	return i
}

// Assumed is the default of input i, 0 where it has none.
func (m *Model) Assumed(i int) float64 {
	if d := m.Inputs[i].Default; d != nil {
		return *d
	}
	return 0
}

// InputIndex is the place of the input of a name (a role), −1 if there is none.
func (m *Model) InputIndex(name string) int {
	return slices.IndexFunc(m.Inputs, func(in Input) bool { return in.Name == name })
}
