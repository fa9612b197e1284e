package agent

import (
	"math"
	"sync"
	"time"

	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// earlier finds runs in what comes long after it was measured and all at once: a log that was written before the agent was
// started, what a broker has kept. The tick sees only the last of it. Such a run is marked as the stamps of its
// samples tell; nothing is estimated of it.
type earlier struct {
	mu      sync.Mutex // sources emit side by side
	speed   signal
	runs    phase.Detector
	at      int64 // stamp of the newest sample of the speed, 0: none yet
	arrival int64 // of it
	begun   int64 // stamp at which the run that is going on began
	read    bool  // it began in what came at once
	keep    func(begin, end int64)
}

const (
	earlierFrom = 10 * time.Second // age of a sample that was waiting somewhere; a device's clock may also be ahead
	atOnce      = 10               // times faster than it was measured: it came at once
	unwatched   = 2 * time.Minute  // between two samples: nobody knows whether the spindle turned
	readFor     = 30 * time.Second // without a sample: what there was has been read
)

// take looks at what a source hands over.
func (e *earlier) take(samples []sensors.Sample) {
	if !e.speed.known {
		return
	}
	for i := range samples {
		if s := &samples[i]; s.Channel == e.speed.id {
			e.mu.Lock()
			e.step(s)
			e.mu.Unlock()
		}
	}
}

func (e *earlier) step(s *sensors.Sample) {
	dt, took := s.Time-e.at, s.Arrival-e.arrival
	switch {
	case e.at == 0:
		dt, took = 0, 0
	case dt <= 0 && -dt < int64(unwatched):
		return // late, or again
	case dt <= 0 || dt > int64(unwatched):
		e.end()
		dt = 0
	}
	waited := time.Duration(s.Arrival-s.Time).Abs() > earlierFrom && took*atOnce <= dt
	e.at, e.arrival = s.Time, s.Arrival
	v := math.NaN()
	if s.Status.IsGood() {
		v = e.speed.unit.Apply(s.Value)
	}
	was := e.begun
	switch e.runs.Step(float64(dt)/1e9, phase.Signals{Speed: v}) {
	case phase.Began:
		e.begun, e.read = s.Time-int64(e.runs.Ago*1e9), waited
	case phase.Ended:
		e.found(was)
	}
}

// found hands over the run that has just ended, if it is one of those that came at once.
func (e *earlier) found(begun int64) {
	if e.read {
		e.keep(begun, e.at-int64(e.runs.Ago*1e9))
	}
	e.read = false
}

// end ends the run that is going on: it is not known what comes next.
func (e *earlier) end() {
	if e.runs.Stop() == phase.Ended {
		e.found(e.begun)
	}
	e.runs = phase.Detector{}
}

// finish ends what is going on when the agent ends.
func (e *earlier) finish() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end()
}

// look ends a run that has no more samples to come. now is the arrival clock's.
func (e *earlier) look(now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read && now-e.arrival > int64(readFor) && time.Duration(now-e.at).Abs() > unwatched {
		e.end()
	}
}

// taken gives where the run that the tick has just seen begin at an instant really began: it goes on with what was read.
func (e *earlier) taken(at int64) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read && e.runs.Running && time.Duration(at-e.at).Abs() < unwatched {
		e.read, at = false, min(at, e.begun)
	}
	return at
}
