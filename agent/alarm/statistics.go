package alarm

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
)

// Statistics are what shows whether the alarms of a span of time can be managed (ISA-18.2-2016, clause 16; EEMUA 191).
type Statistics struct {
	From       int64          `json:"from"` // ns since the Unix epoch
	To         int64          `json:"to"`
	Raised     int            `json:"raised"`     // put before people
	Per10Min   float64        `json:"per_10_min"` // on average; 1 is acceptable, 2 manageable
	Peak10Min  int            `json:"peak_10_min"`
	FloodPart  float64        `json:"flood_part"`  // of the time in ten-minute spans with more than 10
	Standing   int            `json:"standing"`    // at the end of the span
	Stale      int            `json:"stale"`       // of those, standing for more than a day
	ToAckS     float64        `json:"to_ack_s"`    // from raised to acknowledged, median; 0 where none was
	Chattering []Bad          `json:"chattering"`  // raised three times or more within a minute
	Top        []Bad          `json:"top"`         // the ten that are raised most
	ByPriority map[string]int `json:"by_priority"` // raised; aim for 80 % low, 15 % medium, 5 % high
	HeldBack   int            `json:"held_back"`   // suppressed by design: no run, or a flood
	Shelved    int            `json:"times_shelved"`
}

// Bad is an alarm that comes often.
type Bad struct {
	Key
	Times int     `json:"times"`
	Part  float64 `json:"part"` // of all that are raised
}

const (
	stale       = 24 * time.Hour
	chatter     = 3
	chatterSpan = time.Minute
	worst       = 10
	floodOf     = 10 // more than this within [FloodSpan] (ISA-18.2, 16.5.2)
)

// Count makes the statistics of rows, which are in order of time, from begins on until to. Rows before from say
// what stood then.
func Count(rows []record.Alarm, from, to int64) Statistics {
	s := Statistics{From: from, To: to, ByPriority: map[string]int{}, Chattering: []Bad{}, Top: []Bad{}}
	last := map[Key]record.Alarm{}
	raised := map[Key][]int64{}
	var at []int64
	var waits []time.Duration
	for _, r := range rows {
		if r.Time >= to {
			continue
		}
		k := Key{anomaly.Code(r.Code), r.Subject}
		last[k] = r
		if r.Time < from {
			continue
		}
		switch {
		case r.State == Unacknowledged.String() && r.Was != r.State:
			s.Raised++
			s.ByPriority[anomaly.Priority(r.Priority).String()]++
			raised[k] = append(raised[k], r.Time)
			at = append(at, r.Time)
		case r.Event == string(Ack) && r.Raised > 0:
			waits = append(waits, time.Duration(r.Time-r.Raised))
		case r.Event == string(Shelve):
			s.Shelved++
		case r.State == Suppressed.String() && r.Was != r.State:
			s.HeldBack++
		}
	}
	spans := float64(to-from) / float64(FloodSpan)
	if spans > 0 {
		s.Per10Min = float64(s.Raised) / max(spans, 1)
	}
	s.Peak10Min, s.FloodPart = peaks(at, from, to)
	for _, r := range last {
		if r.Active && (r.State == Unacknowledged.String() || r.State == Acknowledged.String()) {
			s.Standing++
			if time.Duration(to-r.Raised) > stale {
				s.Stale++
			}
		}
	}
	if len(waits) > 0 {
		slices.Sort(waits)
		s.ToAckS = waits[len(waits)/2].Seconds()
	}
	s.rank(raised)
	return s
}

// rank fills Top and Chattering from the instants at which each alarm was raised, in order.
func (s *Statistics) rank(raised map[Key][]int64) {
	for k, times := range raised {
		bad := Bad{k, len(times), float64(len(times)) / float64(s.Raised)}
		s.Top = append(s.Top, bad)
		for i := chatter - 1; i < len(times); i++ {
			if time.Duration(times[i]-times[i-chatter+1]) <= chatterSpan {
				s.Chattering = append(s.Chattering, bad)
				break
			}
		}
	}
	order := func(x, y Bad) int {
		return cmp.Or(cmp.Compare(y.Times, x.Times), strings.Compare(x.Key.String(), y.Key.String()))
	}
	slices.SortFunc(s.Top, order)
	slices.SortFunc(s.Chattering, order)
	s.Top = s.Top[:min(len(s.Top), worst)]
}

// peaks counts by spans of ten minutes from the beginning on.
func peaks(at []int64, from, to int64) (most int, flood float64) {
	counts := map[int64]int{}
	for _, t := range at {
		counts[(t-from)/int64(FloodSpan)]++
	}
	floods := 0
	for _, n := range counts {
		most = max(most, n)
		if n > floodOf {
			floods++
		}
	}
	if spans := (to - from + int64(FloodSpan) - 1) / int64(FloodSpan); spans > 0 {
		flood = float64(floods) / float64(spans)
	}
	return most, flood
}
