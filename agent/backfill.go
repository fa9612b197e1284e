package agent

import (
	"math"
	"sync"
	"time"

	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// backfill finds runs in samples that come all at once, long after they were measured: a log that was written before the
// agent was started, messages that a broker has kept. The tick sees only the newest of them. Such a run is marked by the
// stamps of its samples; nothing is estimated for it.
type backfill struct {
	mu      sync.Mutex // sources emit side by side
	speed   signal
	runs    phase.Detector
	at      int64 // stamp of the newest sample of the speed, 0: none yet
	arrival int64 // of that sample
	begun   int64 // stamp at which the present run began
	read    bool  // the present run began in backfill
	keep    func(begin, end int64)
}

const (
	backfillAge = 10 * time.Second // a sample that differs from its arrival by more has waited; a device's clock may also be ahead
	atOnce      = 10               // samples that come this many times faster than they were measured come all at once
	unwatched   = 2 * time.Minute  // longest gap between two samples of one run: beyond, the spindle may have stopped
	readFor     = 30 * time.Second // after this long without a sample the backfill counts as read
)

// take looks for the spindle speed among the samples that a source hands over.
func (b *backfill) take(samples []sensors.Sample) {
	if !b.speed.known {
		return
	}
	for i := range samples {
		if s := &samples[i]; s.Channel == b.speed.id {
			b.mu.Lock()
			b.step(s)
			b.mu.Unlock()
		}
	}
}

func (b *backfill) step(s *sensors.Sample) {
	dt, took := s.Time-b.at, s.Arrival-b.arrival
	switch {
	case b.at == 0:
		dt, took = 0, 0
	case dt <= 0 && -dt < int64(unwatched):
		return // late, or a second time
	case dt <= 0 || dt > int64(unwatched):
		b.end()
		dt = 0
	}
	waited := time.Duration(s.Arrival-s.Time).Abs() > backfillAge && took*atOnce <= dt
	b.at, b.arrival = s.Time, s.Arrival
	v := math.NaN()
	if s.Status.IsGood() {
		v = b.speed.unit.Apply(s.Value)
	}
	was := b.begun
	switch b.runs.Step(float64(dt)/1e9, phase.Signals{Speed: v}) {
	case phase.Began:
		b.begun, b.read = s.Time-int64(b.runs.Ago*1e9), waited
	case phase.Ended:
		b.found(was)
	}
}

// found hands over the run that has just ended, if it began in backfill.
func (b *backfill) found(begun int64) {
	if b.read {
		b.keep(begun, b.at-int64(b.runs.Ago*1e9))
	}
	b.read = false
}

// end ends the present run, since nothing is known of what follows.
func (b *backfill) end() {
	if b.runs.Stop() == phase.Ended {
		b.found(b.begun)
	}
	b.runs = phase.Detector{}
}

// finish ends the present run when the agent ends.
func (b *backfill) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
}

// look ends a run of which no more samples come. now is the arrival clock's, ns since the Unix epoch.
func (b *backfill) look(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read && now-b.arrival > int64(readFor) && time.Duration(now-b.at).Abs() > unwatched {
		b.end()
	}
}

// taken gives the true begin of the run that the tick has seen begin at an instant: the one in the backfill that it continues,
// if there is one.
func (b *backfill) taken(at int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read && b.runs.Running && time.Duration(at-b.at).Abs() < unwatched {
		b.read, at = false, min(at, b.begun)
	}
	return at
}
