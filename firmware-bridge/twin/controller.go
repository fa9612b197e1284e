package twin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"stirwatch/firmware-bridge/twin/device"
)

// maxLine is the longest command that the controller takes.
const maxLine = 80

// panel is the controller's serial line: commands in, replies out; docs/twin.md has the dialect.
// It belongs to the goroutine of the machine; only listen runs beside it.
type panel struct {
	pending Code    // a code that waits for its condition; Name "" for none
	since   float64 // s of the machine when it came
}

// line answers one line; a code that waits is answered later by [panel.poll].
func (p *panel) line(m *Machine, text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	if text == "?" {
		return p.status(m)
	}
	c, err := ParseCode(text, false)
	if err != nil {
		return "error: " + err.Error() + "\r\n"
	}
	reply := ""
	if p.pending.Name != "" {
		if stop := c.Name == "M05" || c.Name == "M25" || c.Name == "M41" && c.S == 0; !stop {
			return fmt.Sprintf("error: busy with %s S%g\r\n", p.pending.Name, p.pending.S)
		}
		reply = fmt.Sprintf("error: %s stopped by %s\r\n", p.pending.Name, c.Name)
		p.pending = Code{}
	}
	if err := m.Do(c); err != nil {
		return reply + "error: " + c.Name + ": " + err.Error() + "\r\n"
	}
	if codes[c.Name].wait && !m.Done(&c, 0) {
		p.pending, p.since = c, m.Time()
		return reply
	}
	return reply + "ok\r\n"
}

// poll answers the code that waits once its condition holds.
func (p *panel) poll(m *Machine) string {
	if p.pending.Name == "" || !m.Done(&p.pending, m.Time()-p.since) {
		return ""
	}
	p.pending = Code{}
	return "ok\r\n"
}

// status is the reply to "?".
func (p *panel) status(m *Machine) string {
	busy, pid, sp, state := "-", 0, 0.0, "RUN"
	if p.pending.Name != "" {
		busy = fmt.Sprintf("%s:%g", p.pending.Name, p.pending.S)
	}
	if m.pid {
		pid, sp = 1, m.setPoint
	}
	if m.Ended() {
		state = "END"
	}
	return fmt.Sprintf("state=%s mode=%d pid=%d sp=%.1f temp=%.1f rpm=%.1f torque=%.1f feed=%.1f override=%.0f path=%.1f min=%.0f max=%.0f line=%d busy=%s\r\n",
		state, m.mode, pid, sp, m.reading, m.rpm, m.torque, m.feed*60, m.override, m.speed*60, m.law.Min, m.law.Max, m.line, busy)
}

var errLong = fmt.Errorf("a command has at most %d characters", maxLine)

// listen reads lines until ctx ends. A line that is too long comes as errLong, once.
func listen(ctx context.Context, port *device.Port, to func(string, error)) error {
	buf := make([]byte, 256)
	var line []byte
	skip := false
	for {
		n, err := port.Read(ctx, buf, 50*time.Millisecond)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		for _, c := range buf[:n] {
			switch {
			case c == '\n' || c == '\r':
				if len(line) > 0 && !skip {
					to(string(line), nil)
				}
				line, skip = line[:0], false
			case skip:
			case len(line) >= maxLine:
				skip = true
				to("", errLong)
			default:
				line = append(line, c)
			}
		}
	}
}
