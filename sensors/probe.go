package sensors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// settle is how long a source that has given enough goes on: what was waiting for it, a log say, is read to its end, so that
// what is told is of the newest.
const settle = 300 * time.Millisecond

// probe runs src until it has given enough samples and what was waiting, or ctx ends. It acknowledges
// no message: they are for whoever keeps them. The error is the source's own, nil where it was ended.
func probe(ctx context.Context, src Source, device bool, enough int) (*listener, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &listener{device: device, enough: enough, done: cancel}
	err := src.Run(ctx, l)
	if ctx.Err() != nil {
		err = nil
	}
	return l, err
}

// Try runs src for as long as patience lets it and says in words what came, or as an error why nothing
// did. place is what it reads, as people call it: a port, a broker, a file. Stamps that are ahead of the arrival are an
// error too, unless the devices' clock rules (device).
func Try(ctx context.Context, src Source, place string, device bool, patience time.Duration) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	l, err := probe(ctx, src, device, 3)
	h := src.Health().Snapshot()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.samples > 0:
		text = fmt.Sprintf("%d samples in %d messages, %d rejected, skew %v", l.samples, h.Messages, h.Rejected, h.Skew.Round(time.Millisecond))
		if l.ahead > MaxAhead {
			return "", fmt.Errorf("%s; %s", text, StampedAhead(l.ahead))
		}
		if l.bad > 0 {
			text += fmt.Sprintf("; %d samples are no good values, the first: %s", l.bad, unusable(&l.first))
		}
		if h.Rejected > 0 {
			text += "; the last rejected: " + h.LastBad
		}
		if text = strings.Join(append([]string{text}, l.said.all()...), "; "); l.bad == l.samples {
			return "", errors.New(text)
		}
		return text, nil
	case err != nil:
		return "", err
	case h.Rejected > 0:
		return "", fmt.Errorf("%d messages came and none could be read; the last: %s", h.Rejected, h.LastBad)
	case h.LastError != "":
		return "", errors.New(h.LastError)
	case len(l.said.texts) > 0:
		return "", fmt.Errorf("%s is open, but no value came within %v: %s", place, patience, strings.Join(l.said.all(), "; "))
	case h.Connects > 0:
		return "", fmt.Errorf("%s is open, but nothing came within %v; is the device sending, and are names and topics right?", place, patience)
	default:
		return "", fmt.Errorf("%s is not there within %v", place, patience)
	}
}

// StampedAhead says for people what to look for where a source's newest stamp is ahead of its arrival by more than [MaxAhead].
func StampedAhead(by time.Duration) string {
	return fmt.Sprintf("the newest is stamped %v ahead of this computer's clock, and is of no use: is the zone, the unit or the epoch of the time another, or a clock wrong?", by.Round(time.Second))
}

// listener counts what a source gives and keeps nothing of it.
type listener struct {
	device bool // the devices' clock rules, by which no stamp is of the future
	enough int
	done   context.CancelFunc

	mu           sync.Mutex
	samples, bad int
	first        Sample        // of those that are no good values
	ahead        time.Duration // of the newest sample's stamp before its arrival
	said         said
}

// Emit implements [Sink].
func (l *listener) Emit(samples []Sample, _ Acker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range samples {
		if !l.device {
			l.ahead = time.Duration(samples[i].Time - samples[i].Arrival)
		}
		if x := samples[i].Status; !x.IsGood() && x.Reason != Unwired {
			if l.bad++; l.bad == 1 {
				l.first = samples[i]
			}
		}
	}
	before := l.samples
	if l.samples += len(samples); before < l.enough && l.samples >= l.enough {
		time.AfterFunc(settle, l.done)
	}
}

// Event implements [Sink].
func (l *listener) Event(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said.event(e)
}
