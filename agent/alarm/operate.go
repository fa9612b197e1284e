package alarm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file has what people do with the alarms of a board, and what they see of them.

// Refusals, for [errors.Is].
var (
	ErrUnknown = errors.New("no such alarm")
	ErrRefused = errors.New("refused")
)

// All stands for every alarm that a call may be about.
const All = "all"

// Listing is the state of a board at one instant.
type Listing struct {
	Time   int64   `json:"time"`  // ns since the Unix epoch
	Flood  bool    `json:"flood"` // alarms of low priority are kept back
	Alarms []Alarm `json:"alarms"`
}

// List gives every alarm that is not normal: what nobody has seen first, then by priority, the newest first.
// It is as of the last step.
func (b *Board) List() Listing {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := Listing{Time: b.now, Flood: b.flood, Alarms: []Alarm{}}
	for i := range b.points {
		p := &b.points[i]
		if p.State != Normal && !(p.State == Suppressed && !p.Active) {
			l.Alarms = append(l.Alarms, p.Alarm)
		}
	}
	Sort(l.Alarms)
	return l
}

// Sort puts alarms in the order in which an operator needs them.
func Sort(all []Alarm) {
	rank := func(a Alarm) int {
		switch {
		case a.State == Unacknowledged:
			return 0
		case a.State.Unseen():
			return 1
		case a.State == Acknowledged, a.State == LatchedAcknowledged:
			return 2
		}
		return 3
	}
	slices.SortFunc(all, func(x, y Alarm) int {
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(x.Priority, y.Priority), cmp.Compare(y.Raised, x.Raised), strings.Compare(x.Key.String(), y.Key.String()))
	})
}

// Version changes with every step of an alarm.
func (b *Board) Version() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.version
}

// Ack acknowledges the alarms that name means: [All], a code, or a code with its subject as [Key.String]
// writes it. It gives those that it changed. It fails where there are none, or nobody's name is given.
func (b *Board) Ack(now int64, name, who, why string) ([]Alarm, error) {
	return b.operate(now, name, who, Ack, func(p *point) bool { return b.do(p, Ack, who, why) },
		"nobody needs to acknowledge it: it is")
}

// Reset returns latched alarms that are acknowledged to normal.
func (b *Board) Reset(now int64, name, who, why string) ([]Alarm, error) {
	return b.operate(now, name, who, Reset, func(p *point) bool { return b.do(p, Reset, who, why) },
		"only what is latched and acknowledged can be reset; it is")
}

// Shelve puts alarms away for a time, at most [Options.Shelf]: they come back by themselves. It needs a
// reason. One that is not raised can be shelved beforehand, by its full name.
func (b *Board) Shelve(now int64, name string, length time.Duration, who, why string) ([]Alarm, error) {
	switch {
	case strings.TrimSpace(why) == "":
		return nil, fmt.Errorf("%w: shelving needs a reason", ErrRefused)
	case length <= 0 || length > b.opt.Shelf:
		return nil, fmt.Errorf("%w: an alarm can be shelved for up to %v, not %v", ErrRefused, b.opt.Shelf, length)
	}
	return b.operate(now, name, who, Shelve, func(p *point) bool {
		if p.State == OutOfService || name == All && p.State != Unacknowledged && p.State != Acknowledged && p.State != Returned {
			return false
		}
		p.Until = max(b.now, now) + int64(length)
		return b.do(p, Shelve, who, why)
	}, "it cannot be shelved: it is")
}

// Unshelve brings alarms back before their time.
func (b *Board) Unshelve(now int64, name, who, why string) ([]Alarm, error) {
	return b.operate(now, name, who, Unshelve, func(p *point) bool { return b.do(p, Unshelve, who, why) }, "it is not shelved, but")
}

// operate does something to every alarm that name means.
func (b *Board) operate(now int64, name, who string, e Event, do func(*point) bool, refusal string) ([]Alarm, error) {
	if strings.TrimSpace(who) == "" {
		return nil, fmt.Errorf("%w: a name is needed of who does it", ErrRefused)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = max(b.now, now)
	var changed []Alarm
	var last *point
	for i := range b.points {
		p := &b.points[i]
		if name != All && name != string(p.Code) && name != p.Key.String() {
			continue
		}
		last = p
		if do(p) {
			changed = append(changed, p.Alarm)
		}
	}
	switch {
	case last == nil && name != All:
		return nil, fmt.Errorf("%w: %q; `stirwatch alarms list --all` has the names", ErrUnknown, name)
	case len(changed) == 0 && name == All:
		return nil, fmt.Errorf("%w: there is no alarm to %s", ErrRefused, e)
	case len(changed) == 0:
		return nil, fmt.Errorf("%w: %s: %s %s", ErrRefused, last.Key, refusal, last.State)
	}
	return changed, nil
}

// Names lists every alarm of the board, whatever its state.
func (b *Board) Names() []Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Alarm, len(b.points))
	for i := range b.points {
		all[i] = b.points[i].Alarm
	}
	return all
}

// Remarks are lines about an alarm to show below its text: what to do, who has acknowledged or shelved it, until when.
func (a *Alarm) Remarks() (lines []string) {
	if a.State.Unseen() || a.State == Acknowledged {
		lines = append(lines, "do: "+a.Response)
	}
	if a.First != "" {
		lines = append(lines, "after "+a.First)
	}
	by := a.Who
	if a.Why != "" {
		by = strings.TrimPrefix(by+": "+a.Why, ": ")
	}
	if a.State == Shelved {
		by += ", until " + time.Unix(0, a.Until).Format("15:04")
	}
	if by != "" {
		lines = append(lines, "("+by+")")
	}
	return lines
}
