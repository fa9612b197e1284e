package learn

import (
	"slices"

	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
)

// learnSpindle is the rule by which the machine of runs tells contact, by what its spindle shows in the middle one of them: nil for that of
// [phase.DefaultContactRule] and its like. Runs have names for their inputs and outputs.
func learnSpindle(all []runs.Run) *phase.ContactRule {
	var free, work []float64
	for i := range all {
		s := all[i].Spindle()
		if s.Free > 0 {
			free = append(free, s.Free)
		}
		if s.Work > 0 {
			work = append(work, s.Work)
		}
	}
	middle := func(v []float64) float64 {
		if len(v) == 0 {
			return 0
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	s := phase.Spindle{Free: middle(free), Work: middle(work)}
	if s.Like() {
		return nil
	}
	rule := s.Rule()
	for _, x := range []*float64{&rule.FreeTorque, &rule.Inertia, &rule.From, &rule.Full} {
		*x = rounded(*x)
	}
	return &rule
}
