// Package anomaly has the codes of anomalies and the detectors that raise and clear them.
package anomaly

// Code names a kind of anomaly. The words are the same in the record, in InfluxDB and on screen.
type Code string

// Codes of anomalies.
const (
	SensorMissing    Code = "sensor.missing"
	SensorFailure    Code = "sensor.failure"
	SensorOutOfRange Code = "sensor.out_of_range"
	SensorRate       Code = "sensor.rate"
	Innovation       Code = "innovation"
	OutsideTraining  Code = "model.outside_training"
	ModelBlind       Code = "model.blind"
)

// Text says what a code means, for an operator.
func (c Code) Text() string {
	switch c {
	case SensorMissing:
		return "no value from the sensor"
	case SensorFailure:
		return "the sensor reports a failure"
	case SensorOutOfRange:
		return "the value is outside the sensor's range"
	case SensorRate:
		return "the value changes faster than is possible"
	case Innovation:
		return "the temperature is not what the model expects"
	case OutsideTraining:
		return "the process is outside what the model was trained on"
	case ModelBlind:
		return "the estimate rests on no measurement"
	}
	return string(c)
}

// Anomaly is what an estimate cannot explain, or a sensor that cannot be right.
type Anomaly struct {
	Code   Code
	Index  int     // what it is about: an index that the caller gave to NewDetector
	Since  float64 // s that the condition has lasted; once cleared, that it had lasted
	Score  float64 // by how much it is wrong, in the unit of Limit: the worst while it lasts
	Limit  float64
	Active bool
}

// Detector raises an anomaly once a score has been above its limit for a while, and clears it
// once it has been below for a while, so that one bad value is no anomaly and one good value does
// not end one. It has no memory beyond its few numbers and does not allocate.
type Detector struct {
	onDelay, offDelay float64
	above, below      float64 // s in this condition without interruption
	a                 Anomaly
}

// NewDetector makes a detector of code about index. The score must exceed limit for onDelay
// seconds to raise, and stay at or below it for offDelay seconds to clear.
func NewDetector(code Code, index int, limit, onDelay, offDelay float64) *Detector {
	return &Detector{onDelay: onDelay, offDelay: offDelay, a: Anomaly{Code: code, Index: index, Limit: limit}}
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

// Anomaly is the state after the last Step.
func (d *Detector) Anomaly() Anomaly { return d.a }
