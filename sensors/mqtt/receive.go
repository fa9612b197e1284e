package mqtt

import (
	"fmt"

	"stirwatch/sensors"
)

// receive decodes a message. s.mu is held.
func (s *Source) receive(l *link, p *publish, size int) {
	at, rt := s.admit(l, p, size)
	switch {
	case rt.told:
		s.health.RejectKnown(p.payload, rt.err)
		return
	case rt.err != nil:
		rt.told = s.reject(p, at, rt.err)
		return
	}
	n := len(s.samples)
	var err error
	if s.samples, err = rt.decoder.Decode(s.samples, at, p.payload); err != nil {
		s.reject(p, at, err)
		return
	}
	var device int64
	if rt.stamped != nil {
		if device = rt.stamped.DeviceTime(); device != 0 {
			s.skew = at - device
		}
	}
	if device == 0 {
		s.apart.Move(s.samples[n:])
	}
	if rt.doubter != nil {
		if why := rt.doubter.Doubt(); why != nil {
			rt.doubts.Tell(s.sink, s.o.Name, at, p.payload, fmt.Errorf("%w (topic %.200q)", why, p.topic))
		}
	}
	if p.retain {
		s.retained(s.samples[n:], at, device)
	}
	if len(s.samples) >= burstMax {
		s.handOver(l)
	}
}

// refuse rejects a message for its size. s.mu is held.
func (s *Source) refuse(l *link, p *publish, size int) {
	at, _ := s.admit(l, p, size)
	s.reject(p, at, fmt.Errorf("packet of %d bytes: at most %d", size, s.o.MaxPacket))
}

// admit counts a message and takes its acknowledgement into the burst: an unreadable one too,
// or the broker would send it forever.
func (s *Source) admit(l *link, p *publish, size int) (at int64, rt *route) {
	at, rt = l.arrived, s.router.find(p.topic)
	s.last = at
	s.health.Tap.Hear(at, p.topic, p.payload)
	s.count.messages++
	s.count.bytes += uint64(size)
	if p.dup {
		s.count.duplicates++
	}
	l.burst.acks = appendAck(l.burst.acks, p)
	if sub := rt.sub; sub != nil {
		sub.last.Store(at)
		if sub.silent.Load() && sub.silent.CompareAndSwap(true, false) {
			s.sink.Event(sensors.Event{Time: at, Source: s.o.Name, Kind: sensors.Resumed, Text: fmt.Sprintf("messages on %q again", sub.Filter)})
		}
	}
	return at, rt
}

// reject reports whether the rejection went on record.
func (s *Source) reject(p *publish, at int64, why error) bool {
	return s.health.Reject(s.sink, s.o.Name, at, p.payload, fmt.Errorf("topic %.200q: %w", p.topic, why))
}

// retained marks values that the broker kept from before we subscribed, unless the device's
// stamp shows that they are fresh.
func (s *Source) retained(samples []sensors.Sample, at, device int64) {
	for i := range samples {
		maxAge := s.o.Registry.Channel(samples[i].Channel).MaxAge
		if device != 0 && (maxAge == 0 || at-device <= int64(maxAge)) {
			continue
		}
		if samples[i].Status.IsGood() {
			samples[i].Status = sensors.Status{Signal: sensors.FunctionCheck, Reason: sensors.Retained}
		}
	}
}

// handOver gives the sink what was decoded, with the acknowledgements of the same messages. s.mu
// is held.
func (s *Source) handOver(l *link) {
	if s.count.messages == 0 {
		return
	}
	h := &s.health
	h.Messages.Add(s.count.messages)
	h.Bytes.Add(s.count.bytes)
	h.Duplicates.Add(s.count.duplicates)
	h.Samples.Add(uint64(len(s.samples)))
	h.LastData.Store(s.last)
	h.SkewNS.Store(s.skew)
	s.count = struct{ messages, bytes, duplicates uint64 }{}
	samples, b := s.samples, l.burst
	s.samples = samples[:0]
	switch {
	case len(b.acks) == 0:
		if len(samples) > 0 {
			s.sink.Emit(samples, nil)
		}
	case len(samples) == 0:
		l.burst = l.enqueue(b)
		b.Ack() // leaves when those before it do
	default:
		l.burst = l.enqueue(b)
		s.sink.Emit(samples, b)
	}
}
