package agent

import (
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/sensors"
)

// Snapshot is what the agent knew at one tick, for screens. Slices over channels are indexed by
// [sensors.ChannelID].
type Snapshot struct {
	Tick      uint64
	Time      int64 // ns since the Unix epoch
	Value     []float64
	Age       []time.Duration
	Status    []sensors.Status
	Running   bool
	Estimate  filter.Estimate // empty without a model
	Forecast  filter.Forecast
	Why       filter.Attribution // of the change in the next 30 s
	Anomalies []anomaly.Anomaly  // those that stand
	Advice    control.Recommendation
}

func (s *Snapshot) init(channels int, e *estimator) {
	s.Value = make([]float64, channels)
	s.Age = make([]time.Duration, channels)
	s.Status = make([]sensors.Status, channels)
}

// fill copies what the tick holds.
func (s *Snapshot) fill(a *Agent) {
	f := a.frame
	s.Tick, s.Time, s.Running = f.Tick, f.Time, a.runs.running
	copy(s.Value, f.Value)
	copy(s.Age, f.Age)
	copy(s.Status, f.Status)
	if a.estimator != nil {
		a.estimator.estimate.CopyTo(&s.Estimate)
		a.estimator.forecast.CopyTo(&s.Forecast)
		a.estimator.why.CopyTo(&s.Why)
	}
	s.Anomalies = a.watch.standing(s.Anomalies[:0])
	if a.advisor != nil {
		s.Advice = a.advisor.advice
	}
}

// Snapshot copies the state of the last tick into dst, reusing its slices. Safe for concurrent use.
func (a *Agent) Snapshot(dst *Snapshot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &a.snap
	dst.Tick, dst.Time, dst.Running, dst.Advice = s.Tick, s.Time, s.Running, s.Advice
	dst.Value = append(dst.Value[:0], s.Value...)
	dst.Age = append(dst.Age[:0], s.Age...)
	dst.Status = append(dst.Status[:0], s.Status...)
	dst.Anomalies = append(dst.Anomalies[:0], s.Anomalies...)
	s.Estimate.CopyTo(&dst.Estimate)
	s.Forecast.CopyTo(&dst.Forecast)
	s.Why.CopyTo(&dst.Why)
}
