package serialport

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"stirwatch/sensors/wire"
)

const (
	// listenFirst is how much is heard, at most, before the format is guessed.
	listenFirst     = 4096
	listenFirstTime = 2 * time.Second
	// perSecond bounds what is shown of a fast stream.
	perSecond = 20
)

// Listen shows on w what a port is saying, until ctx ends: first a guess at the format, with a
// snippet for agent.yaml, then the messages: lines as text, DAQ frames decoded, anything else in
// hexadecimal. It shows at most 20 messages a second and says how many it left out. It fails if
// the port cannot be opened or goes away, or w cannot be written.
func Listen(ctx context.Context, port string, baud int, w io.Writer) error {
	if baud == 0 {
		baud = DefaultBaud
	}
	p, err := open(port, baud)
	if err != nil {
		return err
	}
	defer p.Close()
	e := &ear{w: w, port: port, baud: baud, opened: time.Now()}
	fmt.Fprintf(w, "listening to %s at %d baud\n", port, baud)
	chunk := make([]byte, 1<<13)
	for ctx.Err() == nil {
		n, err := read(p, chunk)
		e.hear(time.Now(), chunk[:n])
		if e.err != nil {
			return e.err
		}
		if err != nil {
			return fmt.Errorf("serial port %s: %w", port, gone(err))
		}
	}
	e.guess()
	return e.err
}

// ear makes talk readable.
type ear struct {
	w    io.Writer
	port string
	baud int
	err  error // of w

	opened, began time.Time // of listening, of the first byte
	told          bool      // that nothing comes
	held          []byte    // until the format is guessed; then the start of a message
	guessed       bool
	format        string
	names         []string // of DAQ channels

	second      time.Time
	shown, more int
}

func (e *ear) print(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}

// hear takes what came, or nothing, and the time.
func (e *ear) hear(now time.Time, b []byte) {
	if now.Sub(e.second) >= time.Second {
		if e.more > 0 {
			e.print("… and %d more\n", e.more)
		}
		e.second, e.shown, e.more = now, 0, 0
	}
	if len(b) == 0 && e.began.IsZero() {
		if !e.told && now.Sub(e.opened) > 3*time.Second {
			e.told = true
			e.print("nothing is coming: is the device on, the right port chosen, the receive line connected? Some devices answer only when asked.\n")
		}
		return
	}
	if e.began.IsZero() {
		e.began = now
	}
	e.held = append(e.held, b...)
	if !e.guessed {
		if len(e.held) < listenFirst && now.Sub(e.began) < listenFirstTime {
			return
		}
		e.guess()
	}
	e.show()
}

// guess prints what the talk so far looks like.
func (e *ear) guess() {
	if e.guessed || len(e.held) == 0 {
		return
	}
	e.guessed = true
	g := GuessFormat(e.held)
	e.format = g.Format
	if g.Format == "" {
		e.print("no format recognised: %s\n", g.Why)
		if odd(e.held)*3 <= len(e.held) {
			e.format = "text"
		}
	} else {
		e.print("looks like %s: %s\nfor agent.yaml:\n\n%s\n", g.Format, g.Why, g.Snippet(e.port, e.baud))
	}
}

// show prints the whole messages of what is held.
func (e *ear) show() {
	const row = 16
	for e.err == nil {
		switch {
		case e.format == "":
			if len(e.held) < row {
				return
			}
			e.item(func() string { return hexRow(e.held[:row]) })
			e.held = e.held[row:]
			continue
		case e.format == "daq":
			n := delimiter(COBS, e.held)
			if n < 0 {
				break
			}
			if n > 0 {
				e.frame(e.held[:n])
			}
			e.held = e.held[n+1:]
			continue
		default:
			n := delimiter(Lines, e.held)
			if n < 0 {
				break
			}
			if n > 0 {
				e.item(func() string { return readable(e.held[:n]) })
			}
			e.held = e.held[n+1:]
			continue
		}
		if len(e.held) > DefaultMaxLine {
			e.item(func() string { return fmt.Sprintf("%d bytes without an end of message", len(e.held)) })
			e.held = nil
		}
		e.held = bytes.Clone(e.held) // lets go of what was shown
		return
	}
}

func (e *ear) item(text func() string) {
	if e.shown++; e.shown > perSecond {
		e.more++
		return
	}
	e.print("%s\n", text())
}

// readable is text as it is, with everything that a terminal would obey made visible.
func readable(b []byte) string {
	q := strconv.QuoteToGraphic(string(b))
	return strings.ReplaceAll(strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`), `\t`, "\t")
}

func hexRow(b []byte) string {
	text := bytes.Clone(b)
	for i, c := range text {
		if c < ' ' || c > '~' {
			text[i] = '.'
		}
	}
	return fmt.Sprintf("% x  %s", b, text)
}

func (e *ear) frame(b []byte) {
	plain, err := wire.DecodeCOBS(nil, b)
	var f wire.DAQFrame
	if err == nil {
		f, err = wire.ParseDAQ(plain)
	}
	if err != nil {
		e.item(func() string { return fmt.Sprintf("not readable: %v: % x", err, b[:min(len(b), 16)]) })
		return
	}
	at := fmt.Sprintf("#%d %.6f s ", f.Sequence, float64(f.Micros)/1e6)
	switch f.Type {
	case wire.DAQDescription:
		c := f.Description()
		if len(e.names) != c.Count {
			e.names = make([]string, c.Count)
		}
		e.names[c.Index] = c.Name + " [" + c.Unit + "]"
		e.item(func() string {
			return fmt.Sprintf("%schannel %d of %d is %q in %q, firmware %q", at, c.Index+1, c.Count, c.Name, c.Unit, c.Firmware)
		})
	case wire.DAQHeartbeat:
		reset, dropped := f.Heartbeat()
		e.item(func() string {
			return fmt.Sprintf("%sheartbeat, reset cause %d, %d frames dropped", at, reset, dropped)
		})
	case wire.DAQData:
		e.item(func() string {
			var s strings.Builder
			s.WriteString(at)
			for i := range f.Channels() {
				name := strconv.Itoa(i + 1)
				if i < len(e.names) && e.names[i] != "" {
					name = e.names[i]
				}
				v, fault := f.Value(i)
				fmt.Fprintf(&s, " %s %g", readable([]byte(name)), v)
				switch {
				case fault&wire.FaultNotNew != 0:
					s.WriteString(" (not new)")
				case fault != 0:
					fmt.Fprintf(&s, " (%s)", fault.Status())
				}
			}
			return s.String()
		})
	}
}
