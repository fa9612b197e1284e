package agent

import (
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
)

// Detector judges recorded rows as the tick judges frames, and keeps no record of them.
type Detector struct {
	a     *Agent
	stand []anomaly.Anomaly
}

// longestWait is how often a detector judges between rows that are further apart, so that a missing channel is noticed, ns.
const longestWait = int64(time.Second)

// NewDetector makes a detector for the channels of reg, with a model (nil: none) and the limits that people have set.
func NewDetector(reg *sensors.Registry, m *model.Model, set []Limit) (*Detector, error) {
	a := &Agent{
		opt:   Options{Registry: reg},
		board: sensors.NewBoard(reg, false),
		frame: sensors.NewFrame(reg.Len()),
		watch: newWatch(reg, nil, m, func(anomaly.Code) bool { return false }),
	}
	var err error
	if a.machine, err = newMachine(reg, a.watch.set); err != nil {
		return nil, err
	}
	if a.limits, err = newLimits(set, reg, a.watch.set); err != nil {
		return nil, err
	}
	if a.usual, err = newUsual(m, reg, a.watch.set); err != nil {
		return nil, err
	}
	if m != nil {
		if a.estimator, err = newEstimator(m, reg, time.Second); err != nil {
			return nil, err
		}
	}
	if a.phases, err = newPhases(reg, m); err != nil {
		return nil, err
	}
	return &Detector{a: a}, nil
}

// Standing puts a row through and gives the anomalies that stand after it; they are valid until the next row.
func (d *Detector) Standing(row Row) []anomaly.Anomaly {
	a := d.a
	for last := a.frame.Time; last > 0 && row.Time-last > 2*longestWait && row.Time-last < 600*longestWait; last = a.frame.Time {
		d.tick(last + longestWait)
	}
	a.board.Put(row.Samples)
	d.tick(row.Time)
	d.stand = a.watch.set.Standing(d.stand[:0])
	return d.stand
}

func (d *Detector) tick(now int64) {
	if d.a.gather(now) {
		d.a.judge()
	}
}

// Unjudged says what could not be judged in the run so far, "" where all could.
func (d *Detector) Unjudged() string { return d.a.machine.unjudged() }

// Lacks says which faults are never judged, and which signals these would need; "" where all are judged.
func (d *Detector) Lacks() string { return d.a.machine.lacks }

// Subject is the channel that an anomaly is about, "" where it is about none.
func (d *Detector) Subject(a anomaly.Anomaly) string { return d.a.watch.subject(a) }

// Carried calls each with every channel that contributes to an anomaly now, and its share; the shares add up to 1.
func (d *Detector) Carried(a anomaly.Anomaly, each func(channel string, share float64)) {
	if d.a.machine.carriers(a.Code, func(in *signal, share float64) {
		name := in.name
		if in.known {
			name = d.a.opt.Registry.Channel(in.id).Name
		}
		each(name, share)
	}) {
		return
	}
	if name := d.Subject(a); name != "" {
		each(name, 1)
	}
}
