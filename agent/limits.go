package agent

import (
	"fmt"
	"math"
	"slices"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// Limit is what people want a channel to stay within.
type Limit struct {
	Channel   string
	Low, High float64       // in the channel's unit, infinite for none
	Deadband  float64       // how far a value must be back before it counts as back
	On, Off   time.Duration // how long it must be beyond, and back
	Phases    []phase.Phase // in which the limit holds; nil: always
}

// limits judges channels against what people have set.
type limits struct {
	sides []side
}

// side is one side of one limit.
type side struct {
	Limit
	id      sensors.ChannelID
	sign    float64 // +1: above High, −1: below Low
	bound   float64
	place   int // in the set
	beyond  bool
	differs time.Duration // for which it has been otherwise than stands
	stands  bool
}

func newLimits(all []Limit, reg *sensors.Registry, set *anomaly.Set) (*limits, error) {
	l := &limits{}
	for _, x := range all {
		id, ok := reg.Lookup(x.Channel)
		if !ok {
			return nil, fmt.Errorf("limits: there is no channel %s", x.Channel)
		}
		about := anomaly.Subject{Source: anomaly.None, Channel: int(id)}
		if !math.IsInf(x.High, 1) {
			l.sides = append(l.sides, side{Limit: x, id: id, sign: 1, bound: x.High, place: set.Add(anomaly.LimitHigh, about)})
		}
		if !math.IsInf(x.Low, -1) {
			l.sides = append(l.sides, side{Limit: x, id: id, sign: -1, bound: x.Low, place: set.Add(anomaly.LimitLow, about)})
		}
	}
	return l, nil
}

// of gives the limits of a channel, nil where there is none.
func (l *limits) of(id sensors.ChannelID) (low, high *Number) {
	for i := range l.sides {
		switch s, bound := &l.sides[i], Number(l.sides[i].bound); {
		case s.id != id:
		case s.sign > 0:
			high = &bound
		default:
			low = &bound
		}
	}
	return low, high
}

// judge takes the frame dt after the last one. It does not allocate. A value that is not good says nothing; out of the limit's
// phases it is within it.
func (l *limits) judge(dt time.Duration, f *sensors.Frame, now phase.Phase, set *anomaly.Set) {
	for i := range l.sides {
		s := &l.sides[i]
		over := s.sign * (f.Value[s.id] - s.bound)
		switch {
		case s.Phases != nil && !slices.Contains(s.Phases, now):
			s.beyond = false
		case !f.Status[s.id].IsGood():
		case over > 0:
			s.beyond = true
		case over <= -s.Deadband:
			s.beyond = false
		}
		wait := s.On
		if s.stands {
			wait = s.Off
		}
		if s.beyond == s.stands {
			s.differs = 0
		} else if s.differs += min(dt, longestFrame); s.differs >= wait {
			s.stands, s.differs = s.beyond, 0
		}
		set.Step(s.place, dt.Seconds(), score(s.stands))
	}
}
