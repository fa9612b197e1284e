package anomaly

// Detector raises an anomaly once a score has been above its limit for a while, and clears it
// once it has been below for a while, so that one bad value is no anomaly and one good value does
// not end one. It has no memory beyond its few numbers and does not allocate.
type Detector struct {
	onDelay, offDelay float64
	above, below      float64 // s in this condition without interruption
	now               float64 // the last score that is a number
	a                 Anomaly
}

// NewDetector makes a detector. The score must exceed limit for onDelay seconds to raise, and stay at or
// below it for offDelay seconds to clear.
func NewDetector(limit, onDelay, offDelay float64) *Detector {
	return &Detector{onDelay: onDelay, offDelay: offDelay, a: Anomaly{Limit: limit}}
}

// Change is what a step of a Detector did.
type Change uint8

const (
	Unchanged Change = iota
	Raised
	Cleared
)

// Step takes the score that held for the last dt seconds. A score that is NaN says nothing: time
// passes, but for neither side.
func (d *Detector) Step(dt, score float64) Change {
	if !(dt > 0) {
		dt = 0
	}
	if score == score {
		d.now = score
	}
	switch {
	case score > d.a.Limit:
		if d.above == 0 && !d.a.Active {
			d.a.Score = score
		}
		d.above += dt
		d.below = 0
		d.a.Score = max(d.a.Score, score)
	case score <= d.a.Limit:
		d.below += dt
		if !d.a.Active {
			d.above = 0
		}
	}
	switch {
	case d.a.Active:
		d.a.Since += dt
		if d.below > 0 && d.below >= d.offDelay {
			d.a.Active, d.above = false, 0
			return Cleared
		}
	case score > d.a.Limit && d.above >= d.onDelay:
		d.a.Active, d.a.Since = true, d.above
		return Raised
	}
	return Unchanged
}

// Explain tells that a cause accounts for what the score says: the condition is as if it had never been.
func (d *Detector) Explain() Change {
	d.above, d.below = 0, 0
	if d.a.Active {
		d.a.Active = false
		return Cleared
	}
	return Unchanged
}

// Anomaly is the state after the last Step.
func (d *Detector) Anomaly() Anomaly { return d.a }
