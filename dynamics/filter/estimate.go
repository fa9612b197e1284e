package filter

// Estimate explains a frame. Slices are made by the Estimator on first use and then reused.
type Estimate struct {
	X, SD []float64 // by state, as Model.States

	// One entry per measurement (Model.Outputs), for the last Step. A missing measurement has
	// NaN in all of them and is not rejected.
	Innov    []float64 // measured less expected, in the output's unit
	InnovSD  []float64 // its standard deviation
	Ratio    []float64 // (Innov/InnovSD)²/gate²: above 1 is rejected
	Rejected []bool

	Blind   bool     // no measurement for too long, none yet, or inputs gone: X is a guess
	Outside []string // inputs and outputs outside the training range
	Missing []string // inputs that are missing now, held or not
}

// CopyTo makes dst say the same, in slices of its own.
func (e *Estimate) CopyTo(dst *Estimate) {
	own := *dst
	*dst = *e
	dst.X, dst.SD = append(own.X[:0], e.X...), append(own.SD[:0], e.SD...)
	dst.Innov, dst.InnovSD = append(own.Innov[:0], e.Innov...), append(own.InnovSD[:0], e.InnovSD...)
	dst.Ratio, dst.Rejected = append(own.Ratio[:0], e.Ratio...), append(own.Rejected[:0], e.Rejected...)
	dst.Outside, dst.Missing = append(own.Outside[:0], e.Outside...), append(own.Missing[:0], e.Missing...)
}
