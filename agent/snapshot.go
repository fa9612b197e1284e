package agent

import (
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/phase"
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
	Phase     phase.Phase
	Running   bool            // a run is going on
	Estimate  filter.Estimate // empty without a model
	Outputs   []string        // names of the model's outputs
	Leading   int             // the place of the leading one
	Unit      string          // and its unit
	lead      int             // the channel that feeds it, below 0: none
	Forecast  filter.Forecast
	Why       []filter.Attribution // by output: of the change in WhyAhead
	WhyAhead  float64              // s
	Anomalies []anomaly.Anomaly    // those that stand
	Advice    control.Recommendation
	Model     string // that it rests on, with when it was learned
	Program   Programmed
}

func (s *Snapshot) init(channels int, e *estimator) {
	s.Value = make([]float64, channels)
	s.Age = make([]time.Duration, channels)
	s.Status = make([]sensors.Status, channels)
	s.adopt(e)
}

// adopt takes over the outputs of e, which may be nil.
func (s *Snapshot) adopt(e *estimator) {
	s.lead, s.Outputs, s.Forecast, s.Why = -1, s.Outputs[:0], filter.Forecast{}, nil
	if e == nil {
		return
	}
	for i := range e.model.Outputs {
		s.Outputs = append(s.Outputs, e.model.Outputs[i].Name)
	}
	s.Leading = e.filter.Leading()
	s.Unit = e.model.Outputs[s.Leading].Unit
	if x := &e.out[s.Leading]; x.known {
		s.lead = int(x.id)
	}
	s.WhyAhead = e.forecast.Horizon[e.whyAt]
}

// fill copies what the tick holds.
func (s *Snapshot) fill(a *Agent) {
	f := a.frame
	s.Tick, s.Time, s.Phase, s.Running = f.Tick, f.Time, a.phases.Phase, a.phases.Running
	copy(s.Value, f.Value)
	copy(s.Age, f.Age)
	copy(s.Status, f.Status)
	if a.estimator != nil {
		a.estimator.estimate.CopyTo(&s.Estimate)
		a.estimator.forecast.CopyTo(&s.Forecast)
		s.Why = filter.CopyAttributions(s.Why, a.estimator.why)
	}
	s.Anomalies = a.watch.set.Standing(s.Anomalies[:0])
	s.Program.fill(a.programs)
	if a.advisor != nil {
		s.Advice, s.Model = a.advisor.advice, a.advisor.model
	}
}

// CopyTo makes dst say the same, in slices of its own.
func (s *Snapshot) CopyTo(dst *Snapshot) {
	own := *dst
	*dst = *s
	dst.Value = append(own.Value[:0], s.Value...)
	dst.Age = append(own.Age[:0], s.Age...)
	dst.Status = append(own.Status[:0], s.Status...)
	dst.Anomalies = append(own.Anomalies[:0], s.Anomalies...)
	dst.Estimate, dst.Forecast, dst.Why, dst.Program = own.Estimate, own.Forecast, own.Why, own.Program
	s.Program.CopyTo(&dst.Program)
	s.Estimate.CopyTo(&dst.Estimate)
	s.Forecast.CopyTo(&dst.Forecast)
	dst.Why = filter.CopyAttributions(dst.Why, s.Why)
	dst.Outputs = append(own.Outputs[:0], s.Outputs...)
}

// Snapshot copies the state of the last tick into dst, reusing its slices. Safe for concurrent use.
func (a *Agent) Snapshot(dst *Snapshot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.snap.CopyTo(dst)
}
