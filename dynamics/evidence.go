package dynamics

// Evidence says how sure the data are of every candidate that people proposed, and which experiment
// would tell more. It is part of the model document.
type Evidence struct {
	Seed      uint64    `json:"seed"`
	Resamples int       `json:"resamples"` // of the bootstrap
	Horizons  []float64 `json:"horizons_s"`
	// Base is the RMSE by horizon of the model itself, with known inputs, over runs that were held
	// out in turn (over halves of the run, where there is one alone), in the unit of the output.
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
	// LeftOut is by how much the RMSE of held-out runs grows at each of Evidence.Horizons when it is
	// left out and the rest is learned again; empty where that was not tried.
	LeftOut []float64 `json:"left_out,omitempty"`
	Rivals  []Rival   `json:"rivals,omitempty"` // strongest first
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
	Text string  `json:"text"`
}
