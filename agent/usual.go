package agent

import (
	"slices"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// usual scores readings against the ranges that were usual in the runs that the model was learned from.
type usual struct {
	ranges []usualRange
	places []int // in the set, of each channel
}

type usualRange struct {
	signal
	in        phase.Phase
	low, high float64
	margin    float64
	place     int // in places
	mean      phase.Mean
}

// A mean is unusual beyond the range by this share of its width, or by this share of its size where the range is narrower. The range of a few
// runs is narrower than that of all to come: with n of them, by unusualRuns/n² of its width.
const (
	unusualWidth = 0.25
	unusualSize  = 0.03
	unusualRuns  = 12.0
)

// isSetting reports whether a role is set by the program or by people. Such a value may differ from build to build.
func isSetting(role sensors.Role) bool {
	switch role {
	case sensors.SetPoint, sensors.FeedVelocity, sensors.PathVelocity, sensors.FeedOverride, sensors.XVelocity, sensors.YVelocity, sensors.ZVelocity,
		sensors.XPosition, sensors.YPosition, sensors.ZPosition, sensors.FeedPosition, sensors.ProgramLine:
		return true
	}
	return false
}

// newUsual makes one of the ranges of m, which may be nil.
func newUsual(m *model.Model, reg *sensors.Registry, set *anomaly.Set) (*usual, error) {
	u := &usual{}
	ranges, err := usualRanges(m, reg)
	if err != nil {
		return nil, err
	}
	u.take(ranges, set)
	return u, nil
}

// usualRanges are those of m, which may be nil, that channels measure.
func usualRanges(m *model.Model, reg *sensors.Registry) (all []usualRange, err error) {
	if m == nil {
		return nil, nil
	}
	width := unusualWidth
	if n := len(m.Provenance.Runs); n > 0 {
		width += unusualRuns / float64(n*n)
	}
	for _, x := range m.Usual {
		role := sensors.Role(x.Name)
		s, err := signalFor(reg, role, x.Unit)
		if err != nil {
			return nil, err
		}
		in := phase.Unknown
		for p := phase.Stopped; p <= phase.Deposit; p++ {
			if p.String() == x.Phase {
				in = p
			}
		}
		if !s.known || in == phase.Unknown || isSetting(role) {
			continue
		}
		size := max(x.High, -x.Low)
		all = append(all, usualRange{signal: s, in: in, low: x.Low, high: x.High, margin: max(width*(x.High-x.Low), unusualSize*size, 1e-9)})
	}
	return all, nil
}

// take judges by these ranges from now on. A channel that has none any more is no longer unusual.
func (u *usual) take(ranges []usualRange, set *anomaly.Set) {
	u.ranges = ranges
	for i := range u.ranges {
		r := &u.ranges[i]
		place := set.Place(anomaly.ProcessUnusual, int(r.id))
		if r.place = slices.Index(u.places, place); r.place < 0 {
			r.place = len(u.places)
			u.places = append(u.places, place)
		}
	}
}

// judge takes the frame dt after the last one. It does not allocate.
func (u *usual) judge(dt time.Duration, f *sensors.Frame, now phase.Phase, set *anomaly.Set) {
	lasted := min(dt, longestFrame).Seconds()
	for k, place := range u.places {
		score := 0.0
		for i := range u.ranges {
			if r := &u.ranges[i]; r.place == k && r.mean.Step(lasted, now, r.value(f)) && now == r.in {
				score = max(score, max(r.low-r.mean.Value, r.mean.Value-r.high)/r.margin)
			}
		}
		set.Step(place, lasted, score)
	}
}
