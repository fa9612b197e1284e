package sensors

import (
	"cmp"
	"math"
	"sync"
	"time"
)

// Frame is all that is known at one tick; slices are indexed by [ChannelID].
type Frame struct {
	Tick   uint64
	Time   int64 // ns since the Unix epoch, on the clock that rules
	Value  []float64
	Age    []time.Duration // since the value was measured, by stamp or by arrival, whichever is longer; 0 where never seen
	Fresh  []bool          // a sample came since the frame before
	Status []Status
}

// NewFrame makes a frame for n channels, all missing.
func NewFrame(n int) *Frame {
	return &Frame{Value: make([]float64, n), Age: make([]time.Duration, n), Fresh: make([]bool, n), Status: make([]Status, n)}
}

// MaxAhead is how far a sample's stamp may be ahead of the clock that rules: clocks run minutes fast,
// and one that misses the end of summer time an hour. Beyond it the stamp is a fault: [FutureStamp].
const MaxAhead = 90 * time.Minute

// clockTrust is how long a stamp stands against older ones that keep coming, where a channel's max
// age does not say it.
const clockTrust = 10 * time.Second

// Board holds the newest sample of each channel. Put is for sources, Gather for the tick; both
// hold its lock for the copy alone.
type Board struct {
	reg    *Registry
	device bool // the devices' clock rules
	mu     sync.Mutex
	latest []Sample
	fresh  []bool // put since the last Gather
	newest Sample // the sample with the latest Time, whatever its channel
}

// NewBoard makes an empty board. The present instant is that of the arrival clock or, with
// deviceClock, the newest stamp of the devices.
func NewBoard(reg *Registry, deviceClock bool) *Board {
	return &Board{reg: reg, device: deviceClock, latest: make([]Sample, reg.Len()), fresh: make([]bool, reg.Len())}
}

// Put judges each sample against its channel (stamp, range, rate of change, NaN), writes the verdict
// into its Status where it was good, and keeps the newest per channel. A sample older than the
// one held (a redelivery, a resend) is judged but does not replace it, unless the stamp held turns
// out to be wrong.
func (b *Board) Put(samples []Sample) {
	b.mu.Lock()
	for i := range samples {
		s := &samples[i]
		c, held := b.reg.Channel(s.Channel), &b.latest[s.Channel]
		now := b.now(s.Arrival)
		ahead := s.Time > now+int64(MaxAhead) && !b.adopts(s.Arrival)
		s.Status = judge(c, held, s, ahead)
		at := max(0, s.Time)
		if ahead {
			at = now // its own stamp would hide what comes after it
		}
		if at >= held.Time || held.doubted(at, now, s.Arrival, cmp.Or(c.MaxAge, clockTrust)) {
			if at != held.Time || held.Status.Signal == Missing {
				b.fresh[s.Channel] = true
			}
			*held = *s
			held.Time = at
		}
		if n := &b.newest; n.Status.Signal == Missing || !ahead && (at >= n.Time || n.doubted(at, now, s.Arrival, clockTrust)) {
			*n = *s
			n.Time = at
		}
	}
	b.mu.Unlock()
}

// now is the instant of an arrival on the clock that rules.
func (b *Board) now(arrival int64) int64 {
	if b.device && b.newest.Status.Signal != Missing {
		return b.newest.Time + max(0, arrival-b.newest.Arrival)
	}
	return arrival
}

// adopts reports whether a stamp may be any, since the devices' clock rules and has told nothing
// credible for long: it has been set.
func (b *Board) adopts(arrival int64) bool {
	return b.device && b.newest.Status.Signal != Missing && arrival-b.newest.Arrival > int64(clockTrust)
}

// doubted reports whether the stamp of the sample held gives way to an older one, at, that has arrived
// since: it was refused, it is in the future while the other is not, or nothing newer has come for so
// long that the device's clock must have been set back.
func (s *Sample) doubted(at, now, arrival int64, trust time.Duration) bool {
	return s.Status.Reason == FutureStamp || at <= now && now < s.Time || arrival-s.Arrival > int64(trust)
}

func judge(c *Channel, held, s *Sample, ahead bool) Status {
	switch {
	case math.IsNaN(s.Value) || math.IsInf(s.Value, 0):
		if s.Status.Signal == Good || s.Status.Signal == Missing {
			return Status{Failure, NotANumber}
		}
	case !s.Status.IsGood():
	case ahead:
		return Status{Failure, FutureStamp}
	case Absurd(s.Value, c.Unit):
		return Status{Failure, OutOfRange}
	case (c.Min != 0 || c.Max != 0) && (s.Value < c.Min || s.Value > c.Max):
		return Status{OutOfSpecification, OutOfRange}
	case c.MaxRate > 0 && held.Status.IsGood() && s.Time > held.Time:
		dt := float64(s.Time-held.Time) / 1e9
		if math.Abs(s.Value-held.Value) > c.MaxRate*dt {
			return Status{OutOfSpecification, RateOfChange}
		}
	}
	return s.Status
}

// Now is the instant of an arrival on the clock that rules; false before the first sample if that is
// the devices'.
func (b *Board) Now(arrival int64) (int64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now(arrival), !b.device || b.newest.Status.Signal != Missing
}

// Shift follows a step of the arrival clock by d: arrivals move, and stamps where they are arrivals; a
// device's own stamps stay. It returns how far the clock that rules has moved.
func (b *Board) Shift(d time.Duration) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.latest {
		b.latest[i].shift(d)
	}
	before := b.newest.Time
	b.newest.shift(d)
	if b.device {
		return time.Duration(b.newest.Time - before)
	}
	return d
}

func (s *Sample) shift(d time.Duration) {
	if s.Status.Signal == Missing {
		return
	}
	if s.Time == s.Arrival {
		s.Time += int64(d)
	}
	s.Arrival += int64(d)
}

// Gather fills f for the instant now, on the clock that rules, and arrival, the same instant on the
// arrival clock (both ns since the Unix epoch). A channel never seen, or older than its max age by
// either clock, is missing: the stamps of a device whose clock is fast stay young when it has
// stopped, and what arrives late is old already. It does not allocate.
func (b *Board) Gather(f *Frame, now, arrival int64) {
	f.Time = now
	b.mu.Lock()
	for i := range b.latest {
		s := &b.latest[i]
		age := time.Duration(max(now-s.Time, arrival-s.Arrival))
		f.Value[i], f.Age[i], f.Status[i] = s.Value, age, s.Status
		if s.Status.Signal == Missing {
			f.Value[i], f.Age[i], f.Status[i] = math.NaN(), 0, Status{Missing, NeverSeen}
		} else if maxAge := b.reg.channels[i].MaxAge; maxAge > 0 && age > maxAge {
			f.Status[i] = Status{Missing, Stale}
		}
	}
	copy(f.Fresh, b.fresh)
	clear(b.fresh)
	b.mu.Unlock()
}
