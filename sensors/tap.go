package sensors

import (
	"sync"
	"sync/atomic"
	"time"
)

// Tap keeps the last messages of a source as they came, while somebody looks at them. Otherwise a message
// costs the load of one atomic. The zero Tap is ready.
type Tap struct {
	open atomic.Bool

	mu     sync.Mutex
	close  *time.Timer
	looked time.Time
	ring   []tapped // made by the first look
	heard  int      // messages since it was opened
}

// Message is one that was tapped.
type Message struct {
	At    int64  // arrival, ns since the Unix epoch
	About string // its topic; "" where the source has none
	Raw   []byte // without what delimits it; the first bytes of a long one
	Size  int    // bytes of the whole
}

type tapped struct {
	at         int64
	size       int
	about, raw []byte
}

const (
	tapMessages = 50
	tapRaw      = 400 // bytes of a message that are kept
	tapAbout    = 200
	tapFor      = 15 * time.Second // after the last look
)

// Open reports whether somebody looks: a source that would have to build the message for [Tap.Hear] can ask first.
func (t *Tap) Open() bool { return t.open.Load() }

// Hear takes a message in, if somebody looks. It keeps nothing of the slices, and does not allocate once all places have
// been used.
func (t *Tap) Hear(at int64, about, raw []byte) {
	if t.open.Load() {
		t.hear(at, about, raw)
	}
}

func (t *Tap) hear(at int64, about, raw []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ring) == 0 {
		return
	}
	m := &t.ring[t.heard%len(t.ring)]
	m.at, m.size = at, len(raw)
	m.about = append(m.about[:0], about[:min(len(about), tapAbout)]...)
	m.raw = append(m.raw[:0], raw[:min(len(raw), tapRaw)]...)
	t.heard++
}

// Look gives the last messages, the oldest first, and has those that come kept for 15 s more. The first look finds none.
func (t *Tap) Look() (all []Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ring == nil {
		t.ring = make([]tapped, tapMessages)
	}
	if t.looked = time.Now(); t.close == nil {
		t.close = time.AfterFunc(tapFor, t.end)
	}
	t.open.Store(true)
	for i := max(0, t.heard-len(t.ring)); i < t.heard; i++ {
		m := &t.ring[i%len(t.ring)]
		all = append(all, Message{At: m.at, About: string(m.about), Raw: append([]byte(nil), m.raw...), Size: m.size})
	}
	return all
}

// end forgets all once nobody looks any more.
func (t *Tap) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if left := tapFor - time.Since(t.looked); left > 0 {
		t.close.Reset(left)
		return
	}
	t.open.Store(false)
	t.ring, t.heard, t.close = nil, 0, nil
}
