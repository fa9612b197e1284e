package program

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"stirwatch/dynamics/gcode"
)

// EventKind is a kind of [Event].
type EventKind uint8

const (
	LayerStarts     EventKind = iota
	Reload                    // the feed stops, and goes on later
	FeedChanges               // Value: mm/min
	SetPointChanges           // Value: °C, 0 is off
	WaitsFor                  // Value: °C of the tool, NaN for something else
	Retreats                  // the tool leaves the build upwards
	BuildEnds                 // the feed stops for good
	SpindleStops
	ProgramEnds
	kinds
)

// String is the kind in a word or two, as the record has it.
func (k EventKind) String() string {
	return [...]string{"layer", "reload", "feed", "set-point", "wait", "retreat", "build ends", "spindle stops", "program ends"}[k]
}

// Event is something that the program will do.
type Event struct {
	Kind  EventKind
	In    float64 // s from now; NaN where a wait of unknown length comes before
	Value float64 // what Kind says; the number of the layer
}

// String describes the event to an operator: "layer 4 starts in 31 s".
func (e Event) String() string {
	what := e.Kind.String()
	switch {
	case e.Kind == LayerStarts:
		what = fmt.Sprintf("layer %.0f starts", e.Value)
	case e.Kind == FeedChanges:
		what = fmt.Sprintf("feed %.0f mm/min", e.Value)
	case e.Kind == SetPointChanges && e.Value == 0:
		what = "set-point off"
	case e.Kind == SetPointChanges:
		what = fmt.Sprintf("set-point %.0f °C", e.Value)
	case e.Kind == WaitsFor && !math.IsNaN(e.Value):
		what = fmt.Sprintf("wait for %.0f °C", e.Value)
	}
	if math.IsNaN(e.In) {
		return what + " after a wait"
	}
	return fmt.Sprintf("%s in %.0f s", what, e.In)
}

// event is one of the program's.
type event struct {
	step  int32
	value float64
	word  feedWord
}

const leaves = 4.0 // mm upwards in one go that are no layer

// find notes where events are.
func (p *Program) find() {
	add := func(k EventKind, i int, value float64, w feedWord) {
		p.events[k] = append(p.events[k], event{int32(i), value, w})
	}
	offs := -1 // step where the feed stopped, until it goes on
	stopped := false
	for i := range p.steps {
		t := &p.steps[i]
		switch {
		case t.length > 0 && t.up*t.length > leaves && t.up > 0.5 && p.begunBefore(i):
			add(Retreats, i, 0, feedWord{})
			continue
		case t.Kind != gcode.Code:
			continue
		}
		switch t.m {
		case 24, 34:
			now := feedWord{t.m, t.s, t.feed.in}
			if i+1 < len(p.steps) {
				now = p.steps[i+1].feed
			}
			switch {
			case !now.on() && t.feed.on():
				offs, stopped = i, false
			case now.on() && offs >= 0 && !stopped:
				add(Reload, offs, 0, feedWord{})
				add(FeedChanges, i, 0, now)
			case now.on() && t.feed.on() && now != t.feed:
				add(FeedChanges, i, 0, now)
			}
			if now.on() {
				offs = -1
			}
		case 25, 35:
			if t.feed.on() {
				offs, stopped = i, false
			}
		case 41:
			if t.s != t.aim && (math.IsNaN(t.mode) || t.mode == 3) && !(t.s == 0 && math.IsNaN(t.aim)) {
				add(SetPointChanges, i, t.s, feedWord{})
			}
			if t.s == 0 {
				stopped = true
			}
		case 43:
			add(WaitsFor, i, t.s, feedWord{})
		case 0, 1, 42:
			add(WaitsFor, i, math.NaN(), feedWord{})
		case 5:
			stopped = true
			if t.aim > 0 || t.spindle != 0 {
				add(SpindleStops, i, 0, feedWord{})
			}
		}
	}
	if offs >= 0 {
		add(BuildEnds, offs, 0, feedWord{})
	}
	for _, l := range p.Layers {
		add(LayerStarts, int(l.step), float64(l.Number), feedWord{})
	}
	end := len(p.steps)
	for i := range p.steps {
		if t := &p.steps[i]; t.Kind == gcode.Code && (t.m == 2 || t.m == 30) {
			end = i
			break
		}
	}
	add(ProgramEnds, end, 0, feedWord{})
}

// begunBefore reports whether the tool has been fed before a step: what rises earlier is no retreat.
func (p *Program) begunBefore(i int) bool { return p.steps[i].feed.m != 0 }

// Next fills dst, whose elements are overwritten, with the next event of each kind, the nearest first. It is
// empty while the tracker does not follow.
func (t *Tracker) Next(dst []Event) []Event {
	dst = dst[:0]
	if t.State() != Following {
		return dst
	}
	for k := range kinds {
		list := t.p.events[k]
		i := sort.Search(len(list), func(i int) bool { return int(list[i].step) > t.at })
		if i == len(list) {
			continue
		}
		e := Event{Kind: k, In: t.until(int(list[i].step)), Value: list[i].value}
		if k == FeedChanges {
			e.Value = t.fed(list[i].word)
		}
		dst = append(dst, e)
	}
	slices.SortStableFunc(dst, func(a, b Event) int {
		switch an, bn := math.IsNaN(a.In), math.IsNaN(b.In); {
		case an && bn:
			return 0
		case an:
			return 1
		case bn:
			return -1
		}
		return cmp.Compare(a.In, b.In)
	})
	return dst
}

// until is how long it takes until a later step begins, s; NaN where nobody knows.
func (t *Tracker) until(step int) float64 {
	p := t.p
	left, at := t.left(), t.at
	if math.IsInf(left, 1) || p.endless[step] > p.endless[at+1] {
		return math.NaN()
	}
	return left + (p.moves[step]-p.moves[at+1])/t.rate() + p.waits[step] - p.waits[at+1]
}
