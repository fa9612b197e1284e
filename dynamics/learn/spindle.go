package learn

import (
	"slices"

	"stirwatch/dynamics/num"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/runs"
)

// learnSpindle is the rule by which the machine of runs tells contact, by what its spindle shows in the middle one of them: nil for that of
// [phase.DefaultContactRule] and its like. start is the torque (N·m) of a start on cold metal in the middle one of those that have one, 0 without
// any: one hard start among them does not count. Runs have names for their inputs and outputs.
func learnSpindle(all []runs.Run) (rule *phase.ContactRule, start float64) {
	var free, work, least, starts []float64
	for i := range all {
		s := all[i].Spindle()
		if s.Free > 0 {
			free = append(free, s.Free)
		}
		if s.Work > 0 {
			work = append(work, s.Work)
		}
		if s.Least > 0 {
			least = append(least, s.Least)
		}
		if s.Start > 0 {
			starts = append(starts, s.Start)
		}
	}
	if slices.Sort(starts); len(starts) > 0 {
		start = rounded(starts[(len(starts)-1)/2])
	}
	s := phase.Spindle{Free: num.Median(free), Work: num.Median(work), Least: num.Median(least)}
	if s.Like() {
		return nil, start
	}
	r := s.Rule()
	for _, x := range []*float64{&r.FreeTorque, &r.Inertia, &r.From, &r.Full} {
		*x = rounded(*x)
	}
	return &r, start
}
