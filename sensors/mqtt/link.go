package mqtt

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"stirwatch/sensors"
)

const (
	bufferSize = 128 << 10 // bytes read at once; holds the longest topic
	burstMax   = 4096      // samples handed over at once
	// ackDelay gathers the acknowledgements of bursts that become durable together.
	ackDelay   = time.Millisecond
	writeLimit = 10 * time.Second // a broker that takes nothing for so long is gone
)

// link is the network connection that paho works on. It takes the PUBLISH packets out of the
// stream, decodes them where they lie and writes their acknowledgements; every other packet
// passes through, so that paho keeps connect, subscriptions, keep-alive and the second half of
// QoS 2. Through paho a message costs five goroutine hops and a dozen allocations.
//
// Read is for one goroutine at a time; Write, Close and the bursts' Ack for any.
type link struct {
	net.Conn
	src *Source

	buf     []byte
	r, w    int    // buf[r:w] is not yet taken
	pass    []byte // the packet that paho is reading
	skip    int    // bytes to come of a message that is too large
	arrived int64  // clock at the last read
	burst   *burst // being filled

	writeMu sync.Mutex

	ackMu   sync.Mutex
	queue   []*burst // handed over, in order; queue[:first] is gone
	first   int
	free    []*burst
	out     []byte // acknowledgements to be sent
	spare   []byte
	armed   bool // timer runs
	timer   *time.Timer
	dead    bool
	resting chan struct{} // not nil while someone waits for the queue to be empty

	leaving atomic.Bool // messages are not taken any more
	parting sync.Once
	once    sync.Once
	closed  chan struct{}
	cause   error // why it was closed; read it after closed
}

// burst is what was read at once; it acknowledges its messages to the link they came by.
type burst struct {
	link *link
	acks []byte // PUBACK and PUBREC packets
	done bool
}

// newLink makes a link that reads through a buffer of so many bytes; with 0 it only acknowledges.
func newLink(c net.Conn, src *Source, buffer int) *link {
	l := &link{Conn: c, src: src, buf: make([]byte, buffer), closed: make(chan struct{})}
	l.timer = time.AfterFunc(time.Hour, l.sendAcks)
	l.timer.Stop()
	l.burst = &burst{link: l}
	return l
}

// Read gives paho the next bytes of the packets that are its own.
func (l *link) Read(p []byte) (int, error) {
	for len(l.pass) == 0 {
		need, err := l.take()
		if err == nil && len(l.pass) == 0 {
			err = l.fill(need)
		}
		if err != nil {
			l.handOver()
			l.fail(err)
			return 0, err
		}
	}
	n := copy(p, l.pass)
	l.pass = l.pass[n:]
	return n, nil
}

// take consumes the complete packets of the buffer, up to the first one that is paho's. need is
// how many bytes the packet at the front will take.
func (l *link) take() (need int, err error) {
	l.src.mu.Lock()
	defer l.src.mu.Unlock()
	for {
		if n := min(l.skip, l.w-l.r); n > 0 {
			l.skip -= n
			l.r += n
		}
		b := l.buf[l.r:l.w]
		head, body, err := fixedHeader(b)
		if err != nil || head == 0 {
			return 0, err
		}
		size := head + body
		if b[0]>>4 != typePublish {
			switch {
			case size > bufferSize:
				return 0, fmt.Errorf("control packet of type %d has %d bytes: at most %d", b[0]>>4, size, bufferSize)
			case len(b) < size:
				return size, nil
			case b[0]>>4 == typeConnack && body == 2 && b[3] == 0:
				l.src.connected(b[2]&1 == 1)
			}
			l.pass = b[:size]
			l.r += size
			return 0, nil
		}
		if l.leaving.Load() { // the broker keeps what is not acknowledged
			n := min(size, len(b))
			l.skip = size - n
			l.r += n
			continue
		}
		p, used, err := variableHeader(b[0], b[head:min(size, len(b))], body)
		switch {
		case err != nil:
			return 0, err
		case used == 0:
			return min(size, bufferSize), nil
		case size > l.src.o.MaxPacket:
			p.payload = b[head+used : min(size, len(b))]
			l.src.refuse(l, &p, size)
			n := min(size, len(b))
			l.skip = size - n
			l.r += n
			continue
		case len(b) < size:
			return size, nil
		}
		p.payload = b[head+used : size]
		l.src.receive(l, &p, size)
		l.r += size
	}
}

// fill reads from the socket, making room for need bytes at the front.
func (l *link) fill(need int) error {
	switch {
	case l.r == l.w:
		l.r, l.w = 0, 0
	case need > len(l.buf)-l.r || l.w > len(l.buf)/2:
		l.w = copy(l.buf, l.buf[l.r:l.w])
		l.r = 0
	}
	if need > len(l.buf) {
		l.buf = append(make([]byte, 0, need), l.buf[:l.w]...)[:need]
	}
	n, err := l.Conn.Read(l.buf[l.w:])
	l.w += n
	l.arrived = l.src.o.Clock()
	if n > 0 {
		return nil // an error will come again
	}
	return err
}

// handOver gives the sink what was decoded since the last time.
func (l *link) handOver() {
	l.src.mu.Lock()
	l.src.handOver(l)
	l.src.mu.Unlock()
}

// enqueue notes that b awaits its Ack, and gives an empty burst for the next messages.
func (l *link) enqueue(b *burst) *burst {
	l.ackMu.Lock()
	defer l.ackMu.Unlock()
	if l.first == len(l.queue) {
		l.queue, l.first = l.queue[:0], 0
	} else if l.first > len(l.queue)/2 && len(l.queue) == cap(l.queue) {
		l.queue, l.first = append(l.queue[:0], l.queue[l.first:]...), 0
	}
	l.queue = append(l.queue, b)
	if n := len(l.free); n > 0 {
		next := l.free[n-1]
		l.free = l.free[:n-1]
		return next
	}
	return &burst{link: l}
}

// Ack implements [sensors.Acker]. Acknowledgements leave in the order of the messages (MQTT
// 3.1.1, section 4.6), whatever the order of the calls, and never by another connection: there
// the same identifier may stand for another message. It does not wait for the network.
func (b *burst) Ack() {
	l := b.link
	l.ackMu.Lock()
	defer l.ackMu.Unlock()
	b.done = true
	for ; l.first < len(l.queue) && l.queue[l.first].done; l.first++ {
		d := l.queue[l.first]
		if !l.dead {
			l.out = append(l.out, d.acks...)
		}
		d.acks, d.done = d.acks[:0], false
		l.free = append(l.free, d)
	}
	if l.resting != nil && l.first == len(l.queue) {
		close(l.resting)
		l.resting = nil
	}
	if len(l.out) > 0 && !l.armed && !l.dead {
		l.armed = true
		l.timer.Reset(ackDelay)
	}
}

var _ sensors.Acker = (*burst)(nil)

// rest closes the channel that it returns once every burst handed over is acknowledged.
func (l *link) rest() <-chan struct{} {
	c := make(chan struct{})
	l.ackMu.Lock()
	if l.first == len(l.queue) {
		close(c)
	} else {
		l.resting = c
	}
	l.ackMu.Unlock()
	return c
}

func (l *link) sendAcks() {
	if _, err := l.Write(nil); err != nil {
		l.fail(err)
	}
}

// Write sends the acknowledgements that are due, then p, which is a whole packet of paho's.
func (l *link) Write(p []byte) (int, error) {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	l.ackMu.Lock()
	acks := l.out
	l.out, l.spare = l.spare[:0], nil
	l.armed = false
	l.ackMu.Unlock()
	var n int
	err := l.Conn.SetWriteDeadline(time.Now().Add(writeLimit))
	if err == nil && len(acks) > 0 {
		_, err = l.Conn.Write(acks)
	}
	if err == nil && len(p) > 0 {
		n, err = l.Conn.Write(p)
	}
	if len(l.buf) == 0 { // the connection is a client's, to whom the library writes too, perhaps long after this
		l.Conn.SetWriteDeadline(time.Time{})
	}
	l.ackMu.Lock()
	l.spare = acks[:0]
	l.ackMu.Unlock()
	return n, err
}

// fail closes the link for a reason; the first one counts.
func (l *link) fail(why error) {
	l.once.Do(func() {
		l.cause = why
		l.ackMu.Lock()
		l.dead, l.out = true, nil
		l.timer.Stop()
		if l.resting != nil {
			close(l.resting)
			l.resting = nil
		}
		l.ackMu.Unlock()
		close(l.closed)
		l.Conn.Close()
	})
}

// Close implements [net.Conn]. When leaving, it ends our side alone and lets the broker end its
// own, which is an orderly end: closing with bytes unread resets the connection, and a broker may
// then forget the acknowledgements that it has not read.
func (l *link) Close() error {
	half, ok := l.Conn.(interface{ CloseWrite() error })
	if !ok || !l.leaving.Load() {
		l.fail(net.ErrClosed)
		return nil
	}
	l.parting.Do(func() {
		if l.Conn.SetReadDeadline(time.Now().Add(farewell)) != nil || half.CloseWrite() != nil {
			l.fail(net.ErrClosed)
		}
	})
	return nil
}
