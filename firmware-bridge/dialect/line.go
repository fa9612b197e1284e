package dialect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	bridge "stirwatch/firmware-bridge"
)

// Line speaks to whatever takes a line and answers with lines, or with nothing: lab kits, bench
// controllers, instruments. What is said stands in templates.
//
// A device may also talk by itself. Its lines are told apart by their form: one that no reply can
// have is passed over wherever it comes.
type Line struct {
	link
	o       LineOptions
	words   map[string]lineWord
	probe   *pattern // nil: any line
	refusal *pattern // nil: none
	replies []*pattern
	cut     bool // the next line may be the rest of one that was thrown away
}

// LineOptions configure [Line].
type LineOptions struct {
	Port  *Port
	End   string              // sent after every line; default CR LF
	Words map[string]LineWord // by target or reading
	Probe LineQuestion        // identity or status, for people
	// Refusal is the pattern of a line by which the device refuses, e.g. "ERR{any}".
	Refusal string
	// Sync is sent to find the beat again after a reply was lost: something harmless whose answer is
	// thrown away; "": only silence is waited for.
	Sync string
	// Quiet is how long nothing must come that looks like a reply before the device counts as having
	// finished: longer than it takes to answer; default 100 ms.
	Quiet time.Duration
}

// LineWord is how one target, or one value that is only read, is spoken of. In what is sent,
// {value} is the number: {value:.1f}, {value:+06.2f} and {value:d} say how it is written. In
// replies, {value} is a number, {any} any text, and everything else stands for itself.
type LineWord struct {
	Set       string       // "Q1 {value:.1f}"; "": this is only read
	Reply     string       // of Set; "": it answers nothing, and Get tells. A {value} in it must be the one that was sent
	Get       LineQuestion // reads the value back; Send "": it cannot be read back
	Safe      string       // sent for the safe state instead of Set, e.g. "OFF"
	SafeReply string       // of Safe; "": it answers nothing, and Get tells
	Scale     float64      // number on the wire = value · Scale; 0 = 1
}

// LineQuestion is a line and where the answer stands.
type LineQuestion struct {
	Send  string
	Reply string // pattern of the line that holds the answer; default {value}
	Lines int    // the device answers so many lines; 0 = 1
	Line  int    // and the answer is in this one, counted from 1; 0 = 1
}

type lineWord struct {
	LineWord
	format           *template
	reply, safeReply *pattern
	value            *pattern
}

// NewLine makes the dialect; it fails where a template cannot be read.
func NewLine(o LineOptions) (*Line, error) {
	if o.End == "" {
		o.End = "\r\n"
	}
	if o.Quiet <= 0 {
		o.Quiet = 100 * time.Millisecond
	}
	l := &Line{link: link{port: o.Port}, o: o, words: make(map[string]lineWord)}
	var errs []error
	compile := func(name, s string) *pattern {
		if s == "" {
			return nil
		}
		p, err := newPattern(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			return nil
		}
		l.replies = append(l.replies, p)
		return p
	}
	for name, w := range o.Words {
		if w.Scale == 0 {
			w.Scale = 1
		}
		errs = append(errs, w.Get.check(name))
		if w.Get.Reply == "" {
			w.Get.Reply = plain
		}
		c := lineWord{LineWord: w, reply: compile(name, w.Reply), safeReply: compile(name, w.SafeReply)}
		if w.Get.Send != "" {
			if c.value = compile(name, w.Get.Reply); c.value != nil && !c.value.hasValue {
				errs = append(errs, fmt.Errorf("%s: the reply %q has no {value}", name, w.Get.Reply))
			}
		} else if w.Set != "" && w.Reply == "" || w.Safe != "" && w.SafeReply == "" {
			errs = append(errs, fmt.Errorf("%s: nothing tells that a command arrived: it needs the pattern of its reply, or a get that reads the value back", name))
		}
		if w.Set != "" {
			var err error
			if c.format, err = newTemplate(w.Set); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		} else if w.Get.Send == "" {
			errs = append(errs, fmt.Errorf("%s: neither set nor get", name))
		}
		for _, s := range []string{w.Set, w.Get.Send, w.Safe} {
			if strings.ContainsAny(s, "\r\n") {
				errs = append(errs, fmt.Errorf("%s: %q holds a line end; it is added when the line is sent", name, s))
			}
		}
		l.words[name] = c
	}
	errs = append(errs, l.o.Probe.check("probe"))
	l.refusal, l.probe = compile("refusal", o.Refusal), compile("probe", o.Probe.Reply)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// plain is the reply that is a number and nothing else.
const plain = "{value}"

func (q *LineQuestion) check(name string) error {
	if q.Lines == 0 {
		q.Lines = 1
	}
	if q.Line == 0 {
		q.Line = 1
	}
	if q.Lines < 1 || q.Lines > 1000 || q.Line < 1 || q.Line > q.Lines {
		return fmt.Errorf("%s: line %d of %d does not exist", name, q.Line, q.Lines)
	}
	return nil
}

func (l *Line) word(target string) (lineWord, error) {
	w, ok := l.words[target]
	if !ok {
		return w, fmt.Errorf("%w: %s; there are %s", bridge.ErrNoTarget, target, strings.Join(slices.Sorted(maps.Keys(l.words)), ", "))
	}
	return w, nil
}

func (l *Line) text(op bridge.Op, target string, v float64) (string, error) {
	if op == bridge.OpProbe {
		if l.o.Probe.Send == "" {
			return "", errors.New("this dialect is not configured with a question to probe by")
		}
		return l.o.Probe.Send, nil
	}
	w, err := l.word(target)
	switch {
	case err != nil:
		return "", err
	case op == bridge.OpGet && w.Get.Send == "":
		return "", bridge.ErrNoReadBack
	case op == bridge.OpGet:
		return w.Get.Send, nil
	case op == bridge.OpSafe && w.Safe != "":
		return w.Safe, nil
	case w.format == nil:
		return "", fmt.Errorf("%s is only read", target)
	}
	return w.format.text(v * w.Scale), nil
}

// Show implements [bridge.Dialect].
func (l *Line) Show(op bridge.Op, target string, v float64) (string, error) {
	s, err := l.text(op, target, v)
	return strconv.Quote(s + l.o.End), err
}

// Resolution implements [bridge.Dialect]: what the number format can express.
func (l *Line) Resolution(target string) float64 {
	w, err := l.word(target)
	if err != nil || w.format == nil || w.format.decimals < 0 {
		return 0
	}
	return grid(w.format.decimals) / math.Abs(w.Scale)
}

// Set implements [bridge.Dialect].
func (l *Line) Set(ctx context.Context, target string, v float64) error {
	s, err := l.text(bridge.OpSet, target, v)
	if err != nil {
		return err
	}
	if err := l.resync(ctx); err != nil {
		return err
	}
	w := l.words[target]
	return l.command(ctx, s, w.reply, v*w.Scale, w.format)
}

// command sends one line and waits for its reply, if it has one.
func (l *Line) command(ctx context.Context, s string, reply *pattern, sent float64, format *template) error {
	if err := l.write(ctx, []byte(s+l.o.End)); err != nil {
		return err
	}
	if reply == nil { // nothing should come; if something does, it answers no question that follows
		err := l.hush(ctx)
		l.stale = err != nil
		return err
	}
	answer, err := l.await(ctx, s, reply)
	if err != nil {
		return err
	}
	if v, _ := reply.match(answer); reply.hasValue && format != nil {
		if tiny := 1e-9 * math.Max(1, math.Abs(sent)); math.Abs(v-sent) > tiny && math.Abs(v-sent) > 0.51*format.step() {
			return fmt.Errorf("%s: %q was answered by %q: another value; of a device that rounds let the reply be {any}, and a get with the tolerance tell", l.port.Name, s, answer)
		}
	}
	l.stale = false
	return nil
}

// await waits for a line of the form of the reply, nil for any, to the request. Other lines are
// passed over; the error tells the last of them. A refusal is a [*bridge.DeviceError].
func (l *Line) await(ctx context.Context, request string, reply *pattern) (string, error) {
	said := ""
	for {
		answer, err := l.line(ctx)
		if err == nil && l.cut {
			l.cut, said = false, answer
			continue
		}
		switch {
		case err != nil && said != "":
			return "", fmt.Errorf("%s: %q was answered by %.80q instead of %q: %w", l.port.Name, request, said, reply.text, err)
		case err != nil:
			return "", err
		case l.refusal.matches(answer):
			l.stale = false
			return "", &bridge.DeviceError{Request: request, Reply: answer}
		case reply == nil || reply.matches(answer):
			return answer, nil
		}
		said = answer
	}
}

// resync makes sure that nothing is to come but the answer to the next request. After a reply was lost
// or a connection made, it waits until the device has nothing more to say; otherwise the device must
// have said no more than it was asked: with a doubled line, the last answer may have been another one's.
func (l *Line) resync(ctx context.Context) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	switch odd := l.stray(); {
	case !l.stale && odd != "":
		l.stale = true
		return fmt.Errorf("%s: out of step: nobody asked for %.80q; %s", l.port.Name, odd, talkative)
	case !l.stale && len(l.buf) == 0:
		return nil
	case l.stale && l.o.Sync != "":
		if err := l.write(ctx, []byte(l.o.Sync+l.o.End)); err != nil {
			return err
		}
	}
	err := l.hush(ctx)
	l.stale = err != nil
	return err
}

// talkative is the way out where a device's own lines cannot be told from its replies.
const talkative = "if it says such lines by itself, give the replies patterns that nothing else matches, or make it say nothing unasked"

// stray takes away the lines that have come so far and returns the last one that looks like a reply.
// The beginning of another one is kept: cut off, its end might look like one.
func (l *Line) stray() (odd string) {
	for l.more() {
	}
	for {
		end := bytes.IndexAny(l.buf, "\r\n")
		if end < 0 {
			if len(l.buf) > maxReply {
				l.buf = nil
			}
			return odd
		}
		line, rest := string(bytes.TrimSpace(l.buf[:end])), l.cut
		l.buf, l.cut = l.buf[end+1:], false
		if line != "" && !rest && slices.ContainsFunc(l.replies, func(p *pattern) bool { return p.matches(line) }) {
			odd = line
		}
	}
}

// hush waits until nothing that looks like a reply has come for [LineOptions.Quiet], and no line is
// under way. Half a line that nobody ends is thrown away; where it stops within a number, what comes
// up to the next line end may be the rest of it and is no answer: of 23.699 the 699 would be one.
func (l *Line) hush(ctx context.Context) error {
	t := time.NewTimer(l.o.Quiet)
	defer t.Stop()
	last, half := l.stray(), -1 // bytes of a line that was under way when the time was over
	for {
		select {
		case b := <-l.conn.in:
			l.buf = append(l.buf, b...)
			if odd := l.stray(); odd != "" {
				last, half = odd, -1
				t.Reset(l.o.Quiet)
			} else if half >= 0 && len(l.buf) == 0 {
				return nil
			}
		case <-t.C:
			if len(l.buf) == 0 || len(l.buf) == half {
				l.cut = l.cut || len(l.buf) > 0 && bytes.ContainsAny(l.buf[len(l.buf)-1:], "0123456789.+-")
				l.buf = nil
				return nil
			}
			half = len(l.buf)
			t.Reset(l.o.Quiet)
		case <-ctx.Done():
			if last == "" {
				return fmt.Errorf("%s: no time to wait for silence: %w", l.port.Name, ctx.Err())
			}
			return fmt.Errorf("%s: it does not stop saying lines that look like replies, such as %.80q; %s: %w", l.port.Name, last, talkative, ctx.Err())
		}
	}
}

// Safe implements [bridge.Dialect].
func (l *Line) Safe(ctx context.Context, target string, v float64) error {
	s, err := l.text(bridge.OpSafe, target, v)
	if err != nil {
		return err
	}
	if err := l.connect(ctx); err != nil {
		return err
	}
	w := l.words[target]
	reply, format := w.reply, w.format
	if w.Safe != "" {
		reply, format = w.safeReply, nil
	}
	if odd := l.stray(); !l.stale && odd == "" && reply != nil {
		return l.command(ctx, s, reply, v*w.Scale, format)
	}
	if l.torn {
		s = l.o.End + s // ends half a line; whatever it meant, the safe state follows at once
	}
	if err := l.command(ctx, s, nil, 0, nil); err != nil {
		return err
	}
	return bridge.ErrUnsure
}

// Get implements [bridge.Dialect].
func (l *Line) Get(ctx context.Context, target string) (float64, error) {
	s, err := l.text(bridge.OpGet, target, 0)
	if err != nil {
		return 0, err
	}
	w := l.words[target]
	answer, err := l.question(ctx, s, w.Get, w.value)
	if err != nil {
		return 0, err
	}
	v, _ := w.value.match(answer)
	return v / w.Scale, nil
}

// Tell implements [bridge.Teller]: what one question asks for is asked once, as "SCAN" whose four lines
// are four values.
func (l *Line) Tell(ctx context.Context, targets []string, values []float64) error {
	var failed error
	for i, name := range targets {
		w, err := l.word(name)
		if err != nil || w.Get.Send == "" {
			failed = cmp.Or(err, fmt.Errorf("%s: %w", name, bridge.ErrNoReadBack))
			continue
		}
		if slices.ContainsFunc(targets[:i], func(other string) bool { return l.together(l.words[other].Get, w.Get) }) {
			continue // told with that one
		}
		lines, err := l.ask(ctx, w.Get.Send, w.Get, w.value)
		if err != nil {
			return err
		}
		for k := i; k < len(targets); k++ {
			other := l.words[targets[k]]
			if !l.together(other.Get, w.Get) {
				continue
			}
			v, ok := other.value.match(lines[other.Get.Line-1])
			if !ok {
				failed = fmt.Errorf("%s: %q was answered by %.80q instead of %q", l.port.Name, w.Get.Send, lines[other.Get.Line-1], other.value.text)
				continue
			}
			values[k] = v / other.Scale
		}
	}
	return failed
}

// together reports whether one question answers both.
func (l *Line) together(a, b LineQuestion) bool {
	return a.Send != "" && a.Send == b.Send && a.Lines == b.Lines && (a.Reply == plain) == (b.Reply == plain)
}

// question sends a line and returns the line of the reply that holds the answer.
func (l *Line) question(ctx context.Context, s string, q LineQuestion, reply *pattern) (answer string, err error) {
	lines, err := l.ask(ctx, s, q, reply)
	if err != nil {
		return "", err
	}
	answer = lines[q.Line-1]
	if reply != nil && !reply.matches(answer) { // whose answer was it?
		l.stale = true
		return "", fmt.Errorf("%s: %q was answered by %.80q instead of %q", l.port.Name, s, answer, reply.text)
	}
	return answer, nil
}

// ask sends a line and returns the lines of the reply.
func (l *Line) ask(ctx context.Context, s string, q LineQuestion, reply *pattern) (lines []string, err error) {
	if err := l.resync(ctx); err != nil {
		return nil, err
	}
	if err := l.write(ctx, []byte(s+l.o.End)); err != nil {
		return nil, err
	}
	each := reply // lines of numbers alone are counted, whatever stands between them
	if q.Lines > 1 && q.Reply != plain {
		each = nil
	}
	for range q.Lines {
		line, err := l.await(ctx, s, each)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	l.stale = false
	return lines, nil
}

// Probe implements [bridge.Dialect].
func (l *Line) Probe(ctx context.Context) (string, error) {
	s, err := l.text(bridge.OpProbe, "", 0)
	if err != nil {
		return "", err
	}
	answer, err := l.question(ctx, s, l.o.Probe, l.probe)
	if err != nil && l.probe != nil {
		err = fmt.Errorf("%w: is this another device?", err)
	}
	return answer, err
}
