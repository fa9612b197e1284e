package sensors

import (
	"math"
	"sync"
	"time"
)

// Frame is all that is known at one tick; slices are indexed by [ChannelID].
type Frame struct {
	Tick   uint64
	Time   int64 // ns since the Unix epoch, on the clock that rules
	Value  []float64
	Age    []time.Duration // Time less the sample's own time; meaningless where Status is missing
	Status []Status
}

// NewFrame makes a frame for n channels, all missing.
func NewFrame(n int) *Frame {
	return &Frame{Value: make([]float64, n), Age: make([]time.Duration, n), Status: make([]Status, n)}
}

// Board holds the newest sample of each channel. Put is for sources, Gather for the tick; both
// hold its lock for the copy alone.
type Board struct {
	reg    *Registry
	mu     sync.Mutex
	latest []Sample
	newest Sample // the sample with the latest Time, whatever its channel
}

// NewBoard makes an empty board.
func NewBoard(reg *Registry) *Board {
	return &Board{reg: reg, latest: make([]Sample, reg.Len())}
}

// Put judges each sample against its channel (range, rate of change, NaN), writes the verdict
// into its Status where it was good, and keeps the newest per channel. A sample older than the
// one held (a redelivery, a resend) is judged but does not replace it.
func (b *Board) Put(samples []Sample) {
	b.mu.Lock()
	for i := range samples {
		s := &samples[i]
		held := &b.latest[s.Channel]
		s.Status = judge(b.reg.Channel(s.Channel), held, s)
		if s.Time >= held.Time {
			*held = *s
		}
		if s.Time >= b.newest.Time {
			b.newest = *s
		}
	}
	b.mu.Unlock()
}

func judge(c *Channel, held, s *Sample) Status {
	switch {
	case math.IsNaN(s.Value) || math.IsInf(s.Value, 0):
		if s.Status.Signal == Good || s.Status.Signal == Missing {
			return Status{Failure, NotANumber}
		}
	case !s.Status.IsGood():
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

// Newest is the sample with the latest time stamp; its Status is missing before the first one.
func (b *Board) Newest() Sample {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.newest
}

// Shift moves every held stamp by d, so that ages stay right when the clock that rules has stepped by d.
func (b *Board) Shift(d time.Duration) {
	b.mu.Lock()
	for i := range b.latest {
		if b.latest[i].Status.Signal != Missing {
			b.latest[i].Time += int64(d)
			b.latest[i].Arrival += int64(d)
		}
	}
	b.newest.Time += int64(d)
	b.newest.Arrival += int64(d)
	b.mu.Unlock()
}

// Gather fills f for the instant now (ns since the Unix epoch, same clock as the samples' Time).
// A channel never seen, or older than its max age, is missing. It does not allocate.
func (b *Board) Gather(f *Frame, now int64) {
	f.Time = now
	b.mu.Lock()
	for i := range b.latest {
		s := &b.latest[i]
		age := time.Duration(now - s.Time)
		f.Value[i], f.Age[i], f.Status[i] = s.Value, age, s.Status
		switch maxAge := b.reg.channels[i].MaxAge; {
		case s.Status.Signal == Missing:
			f.Value[i], f.Age[i], f.Status[i] = math.NaN(), 0, Status{Missing, NeverSeen}
		case maxAge > 0 && age > maxAge:
			f.Status[i] = Status{Missing, Stale}
		}
	}
	b.mu.Unlock()
}
