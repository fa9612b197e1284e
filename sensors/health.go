package sensors

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Health counts what a source has done; its fields may be read while the source runs.
type Health struct {
	Connected  atomic.Bool
	Connects   atomic.Uint64 // times the device was opened
	Bytes      atomic.Uint64
	Messages   atomic.Uint64 // lines, frames or payloads taken
	Samples    atomic.Uint64
	Rejected   atomic.Uint64 // messages that could not be read
	Gaps       atomic.Uint64 // times the device's sequence jumped
	Lost       atomic.Uint64 // messages missing in those gaps
	Duplicates atomic.Uint64 // redeliveries that were recognised
	LastData   atomic.Int64  // arrival of the last message, ns since the Unix epoch
	SkewNS     atomic.Int64  // arrival less device stamp of the last message that had one
	Tap        Tap           // the last messages, while somebody looks

	mu        sync.Mutex
	lastError string
	lastBad   string
	nextLog   int64
}

// Snapshot is a copy of a [Health] at one moment.
type Snapshot struct {
	Connected  bool          `json:"connected"`
	Connects   uint64        `json:"connects"`
	Bytes      uint64        `json:"bytes"`
	Messages   uint64        `json:"messages"`
	Samples    uint64        `json:"samples"`
	Rejected   uint64        `json:"rejected"`
	Gaps       uint64        `json:"gaps"`
	Lost       uint64        `json:"lost"`
	Duplicates uint64        `json:"duplicates"`
	LastData   time.Time     `json:"last_data,omitzero"`   // zero: nothing yet
	Skew       time.Duration `json:"skew_ns"`              // arrival less device stamp
	LastError  string        `json:"last_error,omitempty"` // last failure
	LastBad    string        `json:"last_bad,omitempty"`   // last rejected message, shortened, secrets hidden
}

// Snapshot copies the counters.
func (h *Health) Snapshot() Snapshot {
	s := Snapshot{
		Connected: h.Connected.Load(), Connects: h.Connects.Load(), Bytes: h.Bytes.Load(), Messages: h.Messages.Load(),
		Samples: h.Samples.Load(), Rejected: h.Rejected.Load(), Gaps: h.Gaps.Load(), Lost: h.Lost.Load(),
		Duplicates: h.Duplicates.Load(), Skew: time.Duration(h.SkewNS.Load()),
	}
	if ns := h.LastData.Load(); ns != 0 {
		s.LastData = time.Unix(0, ns)
	}
	h.mu.Lock()
	s.LastError, s.LastBad = h.lastError, h.lastBad
	h.mu.Unlock()
	return s
}

// Fail keeps the text of the last failure for people to read.
func (h *Health) Fail(err error) {
	h.mu.Lock()
	h.lastError = err.Error()
	h.mu.Unlock()
}

// rejectEvery bounds how often a rejected message becomes an event; all of them are counted.
const rejectEvery = 10 * time.Second

// Reject counts a message that could not be read and, at most every 10 s, records it as an
// event with the reason and the start of the message. It reports whether it did.
func (h *Health) Reject(to Sink, source string, at int64, raw []byte, why error) (told bool) {
	n, text, due := h.reject(raw, why), "", false
	h.mu.Lock()
	if due = at >= h.nextLog || at < h.nextLog-int64(rejectEvery); due { // the clock may have been set back
		h.nextLog = at + int64(rejectEvery)
	}
	text = h.lastBad
	h.mu.Unlock()
	if due {
		to.Event(Event{Time: at, Source: source, Kind: Rejected, Count: n, Text: text})
	}
	return due
}

// RejectKnown counts a message that could not be read for a lasting reason, which has been recorded already.
func (h *Health) RejectKnown(raw []byte, why error) { h.reject(raw, why) }

func (h *Health) reject(raw []byte, why error) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lastBad = excerpt(why.Error(), raw)
	return h.Rejected.Add(1)
}

// Doubts tells what is wrong in messages that count anyway, such as one value that is no number.
type Doubts struct{ seen map[string]uint64 }

// Tell counts a doubt and records the first, tenth, hundredth … of its kind as an event with the start of
// the message. Kinds differ in the text of why before its first colon: what the doubt is about.
func (d *Doubts) Tell(to Sink, source string, at int64, raw []byte, why error) {
	text := why.Error()
	about, _, _ := strings.Cut(text, ":")
	if d.seen == nil {
		d.seen = map[string]uint64{}
	}
	n := d.seen[about] + 1
	d.seen[about] = n
	for n%10 == 0 {
		n /= 10
	}
	if n == 1 {
		to.Event(Event{Time: at, Source: source, Kind: Doubted, Count: d.seen[about], Text: excerpt(text, raw)})
	}
}

// excerpt is what is told of a message: what is wrong in it, and its start, secrets hidden.
func excerpt(why string, raw []byte) string {
	return fmt.Sprintf("%s: %.80q", HideSecrets(why), HideSecrets(string(raw[:min(len(raw), 400)])))
}

// EventKind names what happened to a source.
type EventKind string

const (
	Connected    EventKind = "connected"
	Disconnected EventKind = "disconnected"
	Gap          EventKind = "gap"      // messages are missing; Count says how many, 0 if that cannot be known
	Rejected     EventKind = "rejected" // a message could not be read; Count is the total so far
	Silent       EventKind = "silent"   // connected, but nothing comes
	Resumed      EventKind = "resumed"  // data again after silence
	Detected     EventKind = "detected" // something was found out, e.g. a log's units
	Doubted      EventKind = "doubted"  // something is wrong in what is read, or may mean two things
	ClockStep    EventKind = "clock_step"
)

// Event is something that happened to a source; it goes into the record.
type Event struct {
	Time   int64 // ns since the Unix epoch
	Source string
	Kind   EventKind
	Count  uint64
	Text   string
}
