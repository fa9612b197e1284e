package model

import (
	"fmt"
	"strings"
)

// Evidence says how sure the data are of every candidate that people proposed, and which experiment
// would tell more. It is part of the model document.
type Evidence struct {
	Seed      uint64    `json:"seed"`
	Resamples int       `json:"resamples"` // of the bootstrap
	Horizons  []float64 `json:"horizons_s"`
	// Base is the RMSE by horizon of the model itself, with known inputs, over rows that were held out
	// in turn (halves of each run; whole runs from four on), in the unit of the leading output; errors of others are
	// weighed by its noise against theirs.
	Base       []float64     `json:"base_rmse"`
	Candidates []Candidate   `json:"candidates"`
	Doubtful   []Combination `json:"doubtful,omitempty"`    // what the data can hardly tell, worst first
	Advice     []Experiment  `json:"experiments,omitempty"` // what would tell more, best first
}

// Verdicts on a candidate.
const (
	Kept      = "kept"
	Dropped   = "dropped"
	Forbidden = "forbidden"
	NoData    = "no data" // an input of it is missing or constant
)

// Candidate is what the data say of one proposed term, or of one free parameter inside expressions
// (State is empty then).
type Candidate struct {
	State      string `json:"state,omitempty"`
	Name       string `json:"name"`
	Expression string `json:"expression,omitempty"`
	Sign       int    `json:"sign,omitempty"`
	Mode       string `json:"mode,omitempty"`
	Opinion    string `json:"opinion,omitempty"` // propose, require, forbid
	Verdict    string `json:"verdict"`
	Why        string `json:"why,omitempty"`

	Inclusion   float64 `json:"inclusion"` // share of the resamples in which it stays
	Coefficient float64 `json:"coefficient"`
	StdErr      float64 `json:"std_err"`
	Unit        string  `json:"unit,omitempty"`

	// Identifiability is the share of what the data say of it that no other candidate could say as
	// well: 1 − R² of its sensitivity on those of all others; 0 cannot be told at all.
	Identifiability float64 `json:"identifiability"`
	// LeftOut is by how much the RMSE of rows held out grows at each of Evidence.Horizons when it is
	// left out and the rest is learned again; empty where that was not tried.
	LeftOut []float64 `json:"left_out,omitempty"`
	Rivals  []Rival   `json:"rivals,omitempty"` // strongest first

	// WeakForm is the second opinion on a term of the first state.
	WeakForm *WeakForm `json:"weak_form,omitempty"`
}

// Rival is a candidate that acts alike in the data: the correlation of the two estimates.
type Rival struct {
	Name        string  `json:"name"`
	Correlation float64 `json:"correlation"`
}

// Combination is a direction in which the parameters can move together while the forecasts hardly
// change: each by Weight times its own value, and the data know the sum no better than SD.
type Combination struct {
	Parts []Part  `json:"parts"`
	SD    float64 `json:"sd"` // relative: 0.1 is 10 %
}

// Part is one member of a Combination.
type Part struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
}

// Experiment is a run that would settle something: at the usual working point, move one input for a
// while.
type Experiment struct {
	Input   string   `json:"input"`
	From    float64  `json:"from"` // the usual value
	To      float64  `json:"to"`
	Unit    string   `json:"unit"`
	Hold    float64  `json:"hold_s"`
	Settles []string `json:"settles"` // names whose standard errors shrink most
	// Gain is the factor by which the standard error of the first of them shrinks.
	Gain float64 `json:"gain"`
	// Worth is what an hour of it would tell, in e-folds of the standard errors of all that is poorly
	// known: what experiments are ranked by.
	Worth float64 `json:"worth"`
	Text  string  `json:"text"`
}

// Table prints the evidence for people.
func (e *Evidence) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "candidate                    verdict    kept in  identifiable  weak form  without it, RMSE on rows held out (°C at")
	for _, h := range e.Horizons {
		fmt.Fprintf(&b, " %g", h)
	}
	b.WriteString(" s)\n")
	for _, c := range e.Candidates {
		name := c.Name
		if c.State != "" {
			name = CandidateName(c.State, c.Name)
		}
		fmt.Fprintf(&b, "  %-26s %-9s", name, c.Verdict)
		if c.Verdict == Forbidden || c.Verdict == NoData {
			fmt.Fprintf(&b, "  %s\n", c.Why)
			continue
		}
		fmt.Fprintf(&b, " %6.0f %% %11.3f  %9s", 100*c.Inclusion, c.Identifiability, c.WeakForm)
		for _, v := range c.LeftOut {
			fmt.Fprintf(&b, " %+8.2f", v)
		}
		if len(c.Rivals) > 0 {
			fmt.Fprintf(&b, "  rival: %s (%.2f)", c.Rivals[0].Name, c.Rivals[0].Correlation)
		}
		b.WriteByte('\n')
	}
	for i, d := range e.Doubtful {
		if i == 0 {
			b.WriteString("\nwhat the data can hardly tell\n")
		}
		var parts []string
		for _, p := range d.Parts {
			parts = append(parts, fmt.Sprintf("%+.2f %s", p.Weight, p.Name))
		}
		fmt.Fprintf(&b, "  %s: known to %s\n", strings.Join(parts, " "), known(d.SD))
	}
	for i, x := range e.Advice {
		if i == 0 {
			b.WriteString("\nwhat would tell more\n")
		}
		fmt.Fprintf(&b, "  %d. %s\n", i+1, x.Text)
	}
	return b.String()
}

// known writes a relative standard deviation.
func known(sd float64) string {
	if sd >= 10 {
		return "nothing like its own size"
	}
	return fmt.Sprintf("± %.0f %% of itself", 100*sd)
}

// CandidateName names a term among all.
func CandidateName(state, name string) string { return name + " of " + state }

// WeakForm is what a regression in weak form says of a term of the first state: a second opinion, which
// knows nothing of forecasts. Coefficient and StdErr are in the unit of the term's coefficient, 0 where it is
// dropped.
type WeakForm struct {
	Kept        bool    `json:"kept"`
	Coefficient float64 `json:"coefficient"`
	StdErr      float64 `json:"std_err"`
}

// String says kept or dropped, – where the weak form was not asked.
func (w *WeakForm) String() string {
	switch {
	case w == nil:
		return "–"
	case w.Kept:
		return Kept
	}
	return Dropped
}
