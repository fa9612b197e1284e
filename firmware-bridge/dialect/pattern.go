package dialect

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

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

// match reports whether the line is such a reply, and the number in it.
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

// matches reports whether the line is such a reply; nil matches nothing.
func (p *pattern) matches(line string) bool {
	if p == nil {
		return false
	}
	_, ok := p.match(line)
	return ok
}
