package mqtt

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/sensors"
)

// This file subscribes, and notices what the broker refuses, forgets or no longer sends.

// connected is called by the link, before any message, when the broker has accepted us. s.mu is held.
func (s *Source) connected(sessionPresent bool) {
	text := "connected to " + s.name
	switch {
	case sessionPresent:
		text += ", session resumed"
	default:
		text += ", new session"
		if s.everUp && !s.o.CleanSession && s.gapFrom == 0 {
			s.gapFrom = cmp.Or(s.last, s.o.Clock())
		}
	}
	s.everUp, s.reported = true, false
	s.sink.Event(sensors.Event{Time: s.o.Clock(), Source: s.o.Name, Kind: sensors.Connected, Text: text})
}

// subscribe subscribes to every topic, and again to those that the broker refuses, until it has
// all or the connection ends.
func (s *Source) subscribe(ctx context.Context, client paho.Client, l *link, to sensors.Sink) bool {
	want := map[string]byte{}
	for _, t := range s.o.Topics {
		want[t.Filter] = t.QoS
	}
	told := false
	for retry := firstRetry; ; retry = min(2*retry, lastRetry) {
		token := client.SubscribeMultiple(want, nil).(*paho.SubscribeToken)
		var err error
		select {
		case <-ctx.Done():
			return false
		case <-l.closed:
			return false
		case <-time.After(connectLimit):
			err = fmt.Errorf("no answer within %v", connectLimit)
		case <-token.Done():
			if err = token.Error(); err == nil {
				err = refused(want, token.Result())
			}
		}
		if err == nil {
			break
		}
		err = fmt.Errorf("subscribing at %s: %w", s.name, err)
		s.health.Fail(err)
		if !told {
			told = true
			to.Event(sensors.Event{Time: s.o.Clock(), Source: s.o.Name, Kind: sensors.Rejected, Count: s.health.Rejected.Load(), Text: err.Error()})
		}
		select {
		case <-ctx.Done():
			return false
		case <-l.closed:
			return false
		case <-time.After(retry):
		}
	}
	now := s.o.Clock()
	s.up.Store(now)
	s.mu.Lock()
	from := s.gapFrom
	s.gapFrom = 0
	s.mu.Unlock()
	if from != 0 {
		const layout = "2006-01-02T15:04:05.000Z"
		s.health.Gaps.Add(1)
		to.Event(sensors.Event{Time: now, Source: s.o.Name, Kind: sensors.Gap, Text: fmt.Sprintf(
			"the broker lost its session: messages published between %s and %s may be missing",
			time.Unix(0, from).UTC().Format(layout), time.Unix(0, now).UTC().Format(layout))})
	}
	return true
}

// refused removes the granted filters from want and names the others.
func refused(want, granted map[string]byte) error {
	var not []string
	for f := range want {
		if qos, ok := granted[f]; ok && qos <= 2 {
			delete(want, f)
		} else {
			not = append(not, f)
		}
	}
	if len(not) == 0 {
		return nil
	}
	slices.Sort(not)
	return fmt.Errorf("the broker refuses %q: check its access rules", not)
}

// watch reports topics that have gone silent while the connection stands.
func (s *Source) watch(ctx context.Context, to sensors.Sink) {
	tick := time.NewTicker(min(max(s.o.Silence/4, 10*time.Millisecond), time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		up := s.up.Load()
		if up == 0 {
			continue
		}
		now := s.o.Clock()
		for _, sub := range s.router.subs {
			age := time.Duration(now - max(up, sub.last.Load()))
			if age > s.o.Silence && sub.silent.CompareAndSwap(false, true) {
				to.Event(sensors.Event{Time: now, Source: s.o.Name, Kind: sensors.Silent,
					Text: fmt.Sprintf("no message on %q for %v", sub.Filter, age.Round(time.Millisecond))})
			}
		}
	}
}
