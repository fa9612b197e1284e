package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// NewKeyValue reads lines such as "T1=474.3 F=12.1", "T1:474,3;F:12,1" or "Cold Junction Temp: 31.42 °C":
// pairs apart by blanks, comma or semicolon. A key may have blanks in it. A comma between digits belongs to
// the number. A unit behind the number, with or without a blank, is converted to the channel's. Words
// without '=' or ':' are passed over; an empty value is missing, as is an absent key, but a line without a
// single one of the keys is an error. Of repeated keys the last counts. NMEA checksums are verified, and '#'
// lines skipped, as in [NewCSV].
func NewKeyValue(o Options) Decoder {
	d := &keyValue{table: newTable(o), slots: map[string][]int{}}
	d.strict, d.lists = true, true
	for slot := range d.found {
		key := d.key(slot)
		d.slots[key] = append(d.slots[key], slot)
		if n := len(key); strings.ContainsAny(key, " \t") && !slices.Contains(d.phrases, n) {
			d.phrases = append(d.phrases, n)
		}
	}
	slices.SortFunc(d.phrases, func(a, b int) int { return b - a })
	return d
}

type keyValue struct {
	table
	slots   map[string][]int
	phrases []int // lengths of keys with blanks in them, the longest first
}

func (d *keyValue) Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error) {
	line, err := d.content(msg)
	if err != nil || len(line) == 0 {
		return dst, err
	}
	clear(d.found)
	for p := (pairs{line: line}); ; {
		word, s, err := p.next()
		if err != nil {
			return dst, err
		}
		if word.to == 0 {
			break
		}
		for _, slot := range d.slot(line, word) {
			d.found[slot] = s
		}
	}
	return d.build(dst, arrival, line)
}

// slot finds the fields of the key that ends with a word.
func (d *keyValue) slot(line []byte, word span) []int {
	for _, n := range d.phrases {
		if from := word.to - n; from >= 0 && (from == 0 || parts(line[from-1])) {
			if slots := d.slots[string(line[from:word.to])]; slots != nil {
				return slots
			}
		}
	}
	return d.slots[string(line[word.from:word.to])]
}

// pairs walks the pairs of a line.
type pairs struct {
	line []byte
	i    int
}

// next gives the last word of the next key, empty at the end, and its value.
func (p *pairs) next() (word, value span, err error) {
	line, i := p.line, p.i
	for i < len(line) {
		from := i
		for i < len(line) && !parts(line[i]) && line[i] != '=' && line[i] != ':' {
			i++
		}
		word = span{from: from, to: i}
		i = blank(line, i)
		if i >= len(line) {
			break
		}
		if line[i] != '=' && line[i] != ':' {
			if parts(line[i]) {
				i++
			}
			continue
		}
		s := span{kind: '"'}
		i++
		s.from = blank(line, i)
		if s.from < len(line) && line[s.from] == '"' {
			n := bytes.IndexByte(line[s.from+1:], '"')
			if n < 0 {
				return word, s, fmt.Errorf("key %q: a quote is not closed", line[word.from:word.to])
			}
			s.from++
			s.to = s.from + n
			i = s.to + 1
		} else {
			for s.to = s.from; s.to < len(line) && (!parts(line[s.to]) || decimalComma(line, s.to)); s.to++ {
			}
			if s.from > i && bytes.IndexByte(line[s.from:s.to], '=') >= 0 {
				s.to = s.from // "T1= F=12": the next pair, T1 is empty
			}
			s.to = pointApart(line, s.from, thousandsApart(line, s.from, s.to))
			i = s.to
			s.unitFrom, s.unitTo = unitApart(line, i)
		}
		if s.to == s.from {
			s.kind = 'n'
		}
		p.i = i
		if word.to == 0 {
			continue // "=3" has no key
		}
		return word, s, nil
	}
	p.i = len(line)
	return span{}, span{}, nil
}

// thousandsApart is the end of a number whose thousands blanks may part: a word of figures behind one of at most three
// belongs to it, if it is no key.
func thousandsApart(line []byte, from, to int) int {
	figures := func(from, to int, signs string) bool {
		for _, c := range line[from:to] {
			if c-'0' > 9 && strings.IndexByte(signs, c) < 0 {
				return false
			}
		}
		return to > from
	}
	if first := from + signLength(line[from:to]); to-first > 3 || !figures(first, to, "") {
		return to
	}
	for to < len(line) && line[to] == ' ' {
		next := to + 1
		end := next
		for end < len(line) && (!parts(line[end]) || decimalComma(line, end)) && line[end] != '=' && line[end] != ':' {
			end++
		}
		if n := blank(line, end); !figures(next, end, ".,") || n < len(line) && (line[n] == '=' || line[n] == ':') {
			break
		}
		to = end
	}
	return to
}

// pointApart is the end of a number whose decimals stand apart from its point, as a device writes that pads them with blanks
// ("471. 9" for 471.09): it is no number, and 471 even less.
func pointApart(line []byte, from, to int) int {
	if to-from < 2 || line[to-1] != '.' || line[to-2]-'0' > 9 {
		return to
	}
	next := blank(line, to)
	end := next
	for end < len(line) && line[end]-'0' <= 9 {
		end++
	}
	if n := blank(line, end); next == to || end == next || n < len(line) && (line[n] == '=' || line[n] == ':') {
		return to
	}
	return end
}

// decimalComma tells whether the comma at i stands between two digits.
func decimalComma(b []byte, i int) bool {
	return b[i] == ',' && i > 0 && i+1 < len(b) && b[i-1]-'0' <= 9 && b[i+1]-'0' <= 9
}

// unitApart finds a word behind a number and a blank that is no key: it may be the unit.
func unitApart(line []byte, i int) (_, _ int32) {
	if i >= len(line) || line[i] != ' ' {
		return 0, 0
	}
	from := blank(line, i)
	if from >= len(line) || line[from] < 0x80 && line[from] != '%' && (line[from]|0x20 < 'a' || line[from]|0x20 > 'z') {
		return 0, 0
	}
	to := from
	for ; to < len(line) && !parts(line[to]); to++ {
		if line[to] == '=' || line[to] == ':' {
			return 0, 0
		}
	}
	if n := blank(line, to); to > from && n < len(line) && (line[n] == '=' || line[n] == ':') {
		return 0, 0
	}
	switch string(line[from:to]) {
	case "deg", "deg.", "degree", "degrees", "°", "\xb0", "Grad": // C, if that is no key
		next := blank(line, to)
		end := next
		for end < len(line) && !parts(line[end]) && line[end] != '=' && line[end] != ':' {
			end++
		}
		if n := blank(line, end); end-next == 1 && (n == len(line) || line[n] != '=' && line[n] != ':') {
			to = end
		}
	}
	return int32(from), int32(to)
}

// Pairs calls each for every pair of a line as [NewKeyValue] reads it; key is the longest that it could
// have, all words since the pair before. It stops where the line cannot be read.
func Pairs(line []byte, each func(key, value string)) {
	line = trim(line)
	end := 0
	for p := (pairs{line: line}); ; {
		word, value, err := p.next()
		if err != nil || word.to == 0 {
			return
		}
		from := word.from
		for from > end && line[from-1] == ' ' { // words of letters before it belong to it
			before := bytes.TrimRight(line[end:from], " ")
			start := end + bytes.LastIndexByte(before, ' ') + 1
			if bytes.ContainsFunc(before[start-end:], func(r rune) bool { return !unicode.IsLetter(r) }) || len(before) == 0 {
				break
			}
			from = start
		}
		text := string(value.bytes(line))
		if _, err := unit.Parse(string(line[value.unitFrom:value.unitTo])); value.unitTo > 0 && err == nil {
			text += " " + string(line[value.unitFrom:value.unitTo])
		}
		each(string(line[from:word.to]), text)
		end = max(value.to, int(value.unitTo))
		for end < len(line) && (parts(line[end]) || line[end] == '"') {
			end++
		}
	}
}

// parts tells whether c stands between pairs.
func parts(c byte) bool { return c == ' ' || c == '\t' || c == ',' || c == ';' }

func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}
