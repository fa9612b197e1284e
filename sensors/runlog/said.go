package runlog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"stirwatch/sensors/unit"
)

// This file finds out what columns that the options map to channels say of their units, and what follows from it.

// saying is what a column says of its unit.
type saying struct {
	text  string // "" where it says nothing
	unit  unit.Unit
	known bool // text is a unit
	loose bool // it is the last part of a name, and stands in no brackets
}

// bracketed finds what stands in brackets.
var bracketed = regexp.MustCompile(`\[([^\]]*)\]|\(((?:[^()]|\([^)]*\))*)\)|\{([^}]*)\}|<([^>]*)>`)

// says finds what the name of a column says of its unit, which is from where nobody says another: in brackets, in any place of
// the name, or behind " / "; else as the last part of the name, if that is a unit of from's kind ("SPDL_RPM", "Torque ft-lbs", "PowerKW").
func (d *decoder) says(cell string, from unit.Unit) (s saying) {
	var texts []string
	for _, m := range bracketed.FindAllStringSubmatch(cell, -1) {
		texts = append(texts, strings.Join(m[1:], ""))
	}
	if _, behind, ok := strings.Cut(cell, " / "); ok && texts == nil {
		texts = append(texts, behind)
	}
	for _, text := range texts {
		if s = d.saying(text, from); s.known {
			return s
		}
	}
	name := strings.TrimSpace(bracketed.ReplaceAllString(cell, "")) // Temp, °F (S/N 1234)
	if u, text, ok := unit.Behind(name, from.Dim); ok {
		return saying{text, u, true, true}
	}
	if len(texts) > 0 {
		return d.saying(texts[0], from)
	}
	return saying{}
}

// saying reads a text in brackets: a unit, or words with one among them ("°F avg", "% rated"), from's kind of unit first.
func (d *decoder) saying(text string, from unit.Unit) (s saying) {
	if s = d.word(text); s.known {
		return s
	}
	for i, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,;:", r) }) {
		p := d.word(part)
		if p.unit.Symbol == "1" || i > 0 && p.letter() { // a number, or a name: zone F
			continue
		}
		if _, err := unit.Between(p.unit, from); p.known && (err == nil || !s.known && !p.letter()) {
			if s = p; err == nil {
				return s
			}
		}
	}
	return s
}

// word reads one unit.
func (d *decoder) word(text string) (s saying) {
	if s.text = strings.TrimSpace(text); s.text == "" {
		return s
	}
	u, err := d.parseUnit(s.text)
	s.unit, s.known = u, err == nil
	return s
}

// likely reports whether a text that is no unit that is known looks like one: it has a sign or a prefix of units, kVA, mm/rev.
func (s saying) likely() bool {
	return strings.ContainsAny(s.text, "/°µμ%^²³·*Ω") || prefixed.MatchString(s.text)
}

var prefixed = regexp.MustCompile(`^[kMGmµun][A-Z][A-Za-z]?$`)

// letter reports whether a unit is said with one letter, which may be a label as well: T1 (A), Temp_K.
func (s saying) letter() bool {
	return utf8.RuneCountInString(s.text) == 1 && unicode.IsLetter([]rune(s.text)[0])
}

// takeUnit gives a column the unit that it says it is in. Where the options say another they are right, and it is told. One of something
// else is not believed where it may be a label; else the values are none of the channel's. What is no unit at all is told.
func (d *decoder) takeUnit(c *column, line int, s saying) {
	doubt := func(format string, args ...any) {
		d.remarks = append(d.remarks, note{line, fmt.Sprintf("column %q "+format, append([]any{c.Key}, args...)...), true})
	}
	from := c.named
	if s.text == "" || s.known && (s.unit.Symbol == "1" || from.Symbol == "1") {
		return
	}
	m, err := unit.Between(s.unit, from)
	switch {
	case !s.known && (c.given || !s.likely()):
	case !s.known:
		doubt("says %q, which is no unit that is known: it is read as %s, as configured; say so, or what it is (unit)", s.text, from)
	case err != nil && (c.given || s.letter()):
		doubt("seems to be in %s: it is read as %s, as configured", s.text, from)
	case err != nil:
		c.wrong = true
		doubt("is in %s, and its channel in %s: its values are failures, unless unit says in what they are", s.unit, from)
	case m == unit.Identity:
		c.said, c.wrong = true, false
	case c.given:
		doubt("says %s: it is read as %s, as configured (unit)", s.text, from)
	case s.loose && s.letter() && s.text != "F" && s.text != "C": // Temp_K may be of a thermocouple of type K
		c.wrong = true
		doubt("may be in %s or in %s: its values are failures until unit says which", s.unit, from)
	default:
		c.said, c.wrong = true, false
		d.remarks = append(d.remarks, note{line, fmt.Sprintf("column %q is read as %s, as it says itself", c.Key, s.unit), false})
		if d.rows > 0 { // below a header inside the log
			c.again = m
			return
		}
		c.named = s.unit
		c.inch, _ = unit.Between(s.unit, c.Unit) // of one dimension
		c.mm = c.inch
	}
}

// takeUnits takes the row of units that was split: those of columns whose unit nobody has said.
func (d *decoder) takeUnits(line int) {
	if d.meld {
		return
	}
	if d.named {
		d.otherUnits(line)
		return
	}
	for i := range d.cols {
		if c := &d.cols[i]; c.index >= 0 && !c.byMode {
			d.takeUnit(c, line, d.saying(inBrackets(d.fields[c.index]), c.named))
		}
	}
	d.tellRemarks(line)
}

// inBrackets is what stands in a cell of a row of units, which may have brackets of its own.
func inBrackets(cell []byte) string {
	if n := len(cell); n > 1 && (cell[0] == '[' && cell[n-1] == ']' || cell[0] == '(' && cell[n-1] == ')') {
		cell = cell[1 : n-1]
	}
	return string(cell)
}

// isUnits reports whether the line that was split is a row of units; in columns that are not read any word may stand. Of those
// that are read each must be in a unit where they say themselves what they are; else one of them must be in one that its
// channel may have, or the time.
func (d *decoder) isUnits(reads func(i int) bool) bool {
	if d.meld || d.clock >= 0 && (startsNumber(d.fields[d.clock]) || d.stampAt(d.clock)) {
		return false
	}
	known := 0
	for i, f := range d.fields {
		switch {
		case len(f) == 0 || i == d.clock || i == d.date:
		case startsNumber(f) && !strings.HasPrefix(string(f), "1/"):
			return false
		case !reads(i):
		default:
			u, err := d.parseUnit(inBrackets(f))
			k := slices.IndexFunc(d.cols, func(c column) bool { return c.index == i })
			if d.named || k < 0 {
				if err != nil {
					return false
				}
			} else if err == nil {
				_, err = unit.Between(u, d.cols[k].named)
			}
			if err == nil {
				known++
			}
		}
	}
	return known > 0 || d.clock >= 0 && len(d.cols) > 0 && !d.named && countUnits[strings.ToLower(inBrackets(d.fields[d.clock]))] != 0
}

// unitsAbove takes the line above the header as a row of units, if it is one.
func (d *decoder) unitsAbove(above []byte, line int) {
	if text, _ := uncommented(above); above == nil || d.named || d.meld || !d.split(text) || len(d.fields) != len(d.header) || !d.isUnits(d.reads) {
		return
	}
	for i := range d.cols {
		if c := &d.cols[i]; !c.said {
			d.takeUnit(c, line, d.saying(inBrackets(d.fields[c.index]), c.named))
		}
	}
}
