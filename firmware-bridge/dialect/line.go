package dialect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	bridge "stirwatch/firmware-bridge"
)

// Line speaks to whatever takes a line and answers with lines, or with nothing: lab kits, bench
// controllers, instruments. What is said stands in templates.
type Line struct {
	link
	o       LineOptions
	words   map[string]lineWord
	refusal *pattern
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
	// Quiet is how long the device must be silent before it counts as having finished; default 100 ms.
	Quiet time.Duration
}

// LineWord is how one target, or one value that is only read, is spoken of. In what is sent,
// {value} is the number: {value:.1f}, {value:+06.2f} and {value:d} say how it is written. In
// replies, {value} is a number, {any} any text, and everything else stands for itself.
type LineWord struct {
	Set       string       // "Q1 {value:.1f}"; "": this is only read
	Reply     string       // of Set; "": it answers nothing. A {value} in it must be the one that was sent
	Get       LineQuestion // reads the value back; Send "": it cannot be read back
	Safe      string       // sent for the safe state instead of Set, e.g. "OFF"
	SafeReply string       // of Safe; "": it answers nothing
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
		}
		return p
	}
	for name, w := range o.Words {
		if w.Scale == 0 {
			w.Scale = 1
		}
		errs = append(errs, w.Get.check(name))
		if w.Get.Reply == "" {
			w.Get.Reply = "{value}"
		}
		c := lineWord{LineWord: w, reply: compile(name, w.Reply), safeReply: compile(name, w.SafeReply), value: compile(name, w.Get.Reply)}
		if c.value != nil && !c.value.hasValue && w.Get.Send != "" {
			errs = append(errs, fmt.Errorf("%s: the reply %q has no {value}", name, w.Get.Reply))
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
	errs = append(errs, o.Probe.check("probe"))
	l.refusal = compile("refusal", o.Refusal)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

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
	if err := l.inStep(); err != nil {
		return err
	}
	w := l.words[target]
	return l.command(ctx, s, w.reply, v*w.Scale, w.format)
}

// command sends one line and waits for its reply, if it has one.
func (l *Line) command(ctx context.Context, s string, reply *pattern, sent float64, format *template) error {
	l.drain()
	if err := l.write(ctx, []byte(s+l.o.End)); err != nil {
		return err
	}
	if reply == nil {
		l.stale = false // nothing will come
		return nil
	}
	answer, err := l.line(ctx)
	if err != nil {
		return err
	}
	v, ok := reply.match(answer)
	switch {
	case ok && !reply.hasValue:
	case ok:
		if format == nil {
			break
		}
		if tiny := 1e-9 * math.Max(1, math.Abs(sent)); math.Abs(v-sent) > tiny && math.Abs(v-sent) > 0.51*format.step() {
			return fmt.Errorf("%s: %q was answered by %q: another value", l.port.Name, s, answer)
		}
	case l.refused(answer):
		l.stale = false
		return &bridge.DeviceError{Request: s, Reply: answer}
	default:
		return fmt.Errorf("%s: %q was answered by %.80q instead of %q", l.port.Name, s, answer, reply.text)
	}
	l.stale = false
	return nil
}

func (l *Line) refused(answer string) bool {
	if l.refusal == nil {
		return false
	}
	_, ok := l.refusal.match(answer)
	return ok
}

// resync waits, after a reply was lost or a connection made, until the device has nothing more to
// say.
func (l *Line) resync(ctx context.Context) error {
	if err := l.connect(ctx); err != nil {
		return err
	}
	if !l.stale {
		return nil
	}
	if l.o.Sync != "" {
		if err := l.write(ctx, []byte(l.o.Sync+l.o.End)); err != nil {
			return err
		}
	}
	if err := l.quiet(ctx, l.o.Quiet); err != nil {
		return err
	}
	l.stale = false
	return nil
}

// inStep makes sure that the device has said no more than it was asked: with a doubled line, the
// last answer may have been another one's.
func (l *Line) inStep() error {
	if extra := l.drain(); len(bytes.TrimSpace(extra)) > 0 {
		l.stale = true
		return fmt.Errorf("%s: out of step: nobody asked for %.80q", l.port.Name, extra)
	}
	return nil
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
	if !l.stale {
		return l.command(ctx, s, reply, v*w.Scale, format)
	}
	if l.torn {
		s = l.o.End + s // ends half a line; whatever it meant, the safe state follows at once
	}
	l.drain()
	if err := l.write(ctx, []byte(s+l.o.End)); err != nil {
		return err
	}
	if err := l.quiet(ctx, l.o.Quiet); err != nil {
		return err
	}
	l.stale = false
	return bridge.ErrUnsure
}

// Get implements [bridge.Dialect].
func (l *Line) Get(ctx context.Context, target string) (float64, error) {
	s, err := l.text(bridge.OpGet, target, 0)
	if err != nil {
		return 0, err
	}
	w := l.words[target]
	answer, err := l.question(ctx, s, w.Get)
	if err != nil {
		return 0, err
	}
	v, ok := w.value.match(answer)
	if !ok {
		l.stale = true // whose answer was it?
		if l.refused(answer) {
			return 0, &bridge.DeviceError{Request: s, Reply: answer}
		}
		return 0, fmt.Errorf("%s: %q was answered by %.80q instead of %q", l.port.Name, s, answer, w.Get.Reply)
	}
	return v / w.Scale, nil
}

// question sends a line and returns the line of the reply that holds the answer.
func (l *Line) question(ctx context.Context, s string, q LineQuestion) (answer string, err error) {
	if err := l.resync(ctx); err != nil {
		return "", err
	}
	if err := l.inStep(); err != nil {
		return "", err
	}
	if err := l.write(ctx, []byte(s+l.o.End)); err != nil {
		return "", err
	}
	for i := 1; i <= max(q.Lines, 1); i++ {
		reply, err := l.line(ctx)
		if err != nil {
			return "", err
		}
		if l.refused(reply) {
			return "", &bridge.DeviceError{Request: s, Reply: reply}
		}
		if i == max(q.Line, 1) {
			answer = reply
		}
	}
	l.stale = false
	return answer, nil
}

// Probe implements [bridge.Dialect].
func (l *Line) Probe(ctx context.Context) (string, error) {
	s, err := l.text(bridge.OpProbe, "", 0)
	if err != nil {
		return "", err
	}
	answer, err := l.question(ctx, s, l.o.Probe)
	if err == nil && l.o.Probe.Reply != "" {
		p, bad := newPattern(l.o.Probe.Reply)
		if bad != nil {
			return "", bad
		}
		if _, ok := p.match(answer); !ok {
			return "", fmt.Errorf("%s: %q was answered by %.80q instead of %q: is this another device?", l.port.Name, s, answer, l.o.Probe.Reply)
		}
	}
	return answer, err
}

// template writes a number into a line.
type template struct {
	before, after, verb string
	decimals            int // of the number; -1: as many as it takes. Never fewer digits than that: rounding must not pass a limit
}

var inTemplate = regexp.MustCompile(`^([^{}]*)\{value(?::([+ 0-]{0,3}[0-9]{0,2})(?:\.([0-9]))?([fd]))?\}([^{}]*)$`)

func newTemplate(s string) (*template, error) {
	m := inTemplate.FindStringSubmatch(s)
	if m == nil {
		return nil, fmt.Errorf("%q cannot be sent: it needs one {value}, {value:.1f} or {value:d}", s)
	}
	t := &template{before: m[1], after: m[5], decimals: -1}
	switch m[4] {
	case "":
		t.verb = ""
	case "d":
		t.verb, t.decimals = "%"+m[2]+".0f", 0
	case "f":
		t.decimals = 6
		if m[3] != "" {
			t.decimals = int(m[3][0] - '0')
		}
		t.verb = "%" + m[2] + "." + strconv.Itoa(t.decimals) + "f"
	}
	return t, nil
}

func (t *template) text(v float64) string {
	if v == 0 {
		v = 0 // not −0
	}
	number := strconv.FormatFloat(v, 'g', -1, 64)
	if t.verb != "" {
		number = fmt.Sprintf(t.verb, v)
	}
	return t.before + number + t.after
}

// step is the smallest step the number can express; 0: any.
func (t *template) step() float64 {
	if t.decimals < 0 {
		return 0
	}
	return grid(t.decimals)
}

// pattern recognises a reply.
type pattern struct {
	text     string
	exp      *regexp.Regexp
	hasValue bool
}

var inPattern = regexp.MustCompile(`\{[^{}]*\}`)

func newPattern(s string) (*pattern, error) {
	p := &pattern{text: s}
	var b strings.Builder
	b.WriteString(`^\s*`)
	rest := s
	for {
		loc := inPattern.FindStringIndex(rest)
		if loc == nil {
			break
		}
		b.WriteString(regexp.QuoteMeta(rest[:loc[0]]))
		switch word := rest[loc[0]:loc[1]]; {
		case word == "{any}":
			b.WriteString(`.*?`)
		case word == "{value}" && !p.hasValue:
			p.hasValue = true
			b.WriteString(`\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)`)
		default:
			return nil, fmt.Errorf("%q: %s means nothing here; {value} may stand once, {any} often", s, word)
		}
		rest = rest[loc[1]:]
	}
	b.WriteString(regexp.QuoteMeta(rest) + `\s*$`)
	var err error
	p.exp, err = regexp.Compile(b.String())
	return p, err
}

// match tells whether the line is such a reply, and the number in it.
func (p *pattern) match(line string) (v float64, ok bool) {
	m := p.exp.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	if p.hasValue {
		v, err := number(m[1])
		return v, err == nil
	}
	return 0, true
}
