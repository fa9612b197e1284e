package serialport

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

// Guess is what a stretch of a device's talk looks like, in the words of agent.yaml.
type Guess struct {
	Format    string // csv, keyvalue, json, daq; "" if nothing fits
	Separator byte   // of csv
	Messages  int    // that fit the format
	Why       string // for people
	TimeKey   string // "" if no time stamp was recognised
	TimeUnit  wire.TimeUnit
	Fields    []GuessedField

	spoiled int // values without a number in most messages: the separator may be another
}

// GuessedField is one value of a message.
type GuessedField struct {
	Key     string // as agent.yaml wants it
	Name    string // a channel name made of what the device calls it
	Unit    string // symbol, if the device tells it
	Example string // the last value seen
}

// GuessFormat looks at bytes from the middle of a stream: the first and the last message may be
// torn.
func GuessFormat(b []byte) Guess {
	if g := guessDAQ(b); g.Messages > 0 {
		return g
	}
	if len(b) == 0 {
		return Guess{Why: "nothing was received"}
	}
	if odd(b)*3 > len(b) {
		return Guess{Why: fmt.Sprintf("%d of %d bytes are not text: a wrong baud rate, or a binary protocol", odd(b), len(b))}
	}
	lines := wholeLines(b)
	if len(lines) == 0 {
		return Guess{Why: "text without an end of line"}
	}
	best := guessJSON(lines)
	for _, g := range []Guess{guessKeyValue(lines), guessCSV(lines, ','), guessCSV(lines, ';'), guessCSV(lines, '\t'), guessCSV(lines, ' ')} {
		if cmp.Or(g.Messages-best.Messages, best.spoiled-g.spoiled, len(g.Fields)-len(best.Fields)) > 0 {
			best = g
		}
	}
	if best.Messages*2 < len(lines) || len(best.Fields) == 0 {
		return Guess{Why: fmt.Sprintf("text, but of %d lines no half are numbers in one order", len(lines))}
	}
	return best
}

func wholeLines(b []byte) [][]byte {
	var lines [][]byte
	parts := bytes.FieldsFunc(b, func(r rune) bool { return r == '\n' || r == '\r' })
	if len(parts) > 1 {
		parts = parts[1:]
	}
	if end := b[len(b)-1]; end != '\n' && end != '\r' && len(parts) > 0 {
		parts = parts[:len(parts)-1]
	}
	for _, p := range parts {
		if p = wire.Plain(p); len(p) > 0 {
			lines = append(lines, p)
		}
	}
	return lines
}

func guessDAQ(b []byte) Guess {
	g := Guess{Format: "daq", Why: "COBS frames of stirwatch's own format"}
	named := map[int]wire.DAQChannel{}
	var values []string
	for _, part := range bytes.Split(b, []byte{0}) {
		plain, err := wire.DecodeCOBS(nil, part)
		if err != nil {
			continue
		}
		f, err := wire.ParseDAQ(plain)
		if err != nil {
			continue
		}
		g.Messages++
		switch f.Type {
		case wire.DAQDescription:
			c := f.Description()
			named[c.Index] = c
		case wire.DAQData:
			values = values[:0]
			for i := range f.Channels() {
				v, _ := f.Value(i)
				values = append(values, strconv.FormatFloat(float64(v), 'g', -1, 32))
			}
		}
	}
	for i, v := range values {
		field := GuessedField{Key: strconv.Itoa(i + 1), Example: v}
		if c, ok := named[i]; ok {
			field.Key, field.Unit = c.Name, c.Unit
		}
		field.Name = channelName(field.Key)
		g.Fields = append(g.Fields, field)
	}
	return g
}

// column gathers what was seen of one value.
type column struct {
	last   string
	first  float64
	latest float64
	seen   int
	bad    int  // texts that are no numbers
	rising bool // strictly, from message to message
	unit   string
}

func (c *column) add(text string) bool {
	v, in, ok := wire.Number([]byte(text))
	if !ok {
		c.bad++
		return false
	}
	c.unit = in
	if c.seen == 0 {
		c.first, c.rising = v, true
	}
	c.rising = c.rising && (c.seen == 0 || v > c.latest)
	c.last, c.latest = text, v
	c.seen++
	return true
}

// clock guesses the unit of a column of time stamps: by their size, or by the column's name if they rise. It is NoTime for
// any other column.
func (c *column) clock(name string) wire.TimeUnit {
	if !c.rising || c.seen < 2 {
		return wire.NoTime
	}
	switch v := c.latest; {
	case v > 1e18 && v < 4e18:
		return wire.Nanoseconds
	case v > 1e15 && v < 4e15:
		return wire.Microseconds
	case v > 1e12 && v < 4e12:
		return wire.Milliseconds
	case v > 1e9 && v < 4e9 && c.latest-c.first < 3600:
		return wire.Seconds
	}
	switch strings.ToLower(name) {
	case "us", "micros", "t_us", "time_us", "uptime_us":
		return wire.UptimeMicros
	case "ms", "millis", "t_ms", "time_ms", "uptime_ms":
		return wire.UptimeMillis
	case "s", "sec", "t_s", "time_s", "uptime_s", "uptime":
		return wire.UptimeSeconds
	}
	return wire.NoTime
}

// settle turns columns into fields, and takes the first clock among them as the time.
func (g *Guess) settle(keys []string, columns map[string]*column, name func(key string) string) {
	for _, k := range keys {
		c := columns[k]
		if c.seen == 0 {
			continue
		}
		if u := c.clock(name(k)); u != wire.NoTime && g.TimeKey == "" {
			g.TimeKey, g.TimeUnit = k, u
			continue
		}
		f := GuessedField{Key: k, Name: channelName(name(k)), Example: c.last}
		if u, err := unit.Parse(c.unit); err == nil && c.unit != "" {
			f.Unit = u.Symbol
		}
		g.Fields = append(g.Fields, f)
	}
}

// notNumbers are words that JSON does not have, where a value should be; what reads the lines takes them as no numbers.
var notNumbers = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([:,\[]\s*)-?(?:NaN|nan|Infinity|inf|None)\b`)
})

func guessJSON(lines [][]byte) Guess {
	g := Guess{Format: "json", Why: "one JSON object a line"}
	columns := map[string]*column{}
	for _, line := range lines {
		var doc map[string]any
		d := json.NewDecoder(bytes.NewReader(notNumbers().ReplaceAll(line, []byte("${1}null"))))
		d.UseNumber()
		if d.Decode(&doc) == nil && !d.More() {
			g.Messages++
			flatten("", doc, columns)
		}
	}
	keys := slices.Sorted(maps.Keys(columns))
	g.settle(keys, columns, func(k string) string { return k })
	return g
}

// flatten notes every number of a document under its path.
func flatten(path string, v any, columns map[string]*column) {
	below := func(name string) string {
		if path == "" {
			return name
		}
		return path + "." + name
	}
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			flatten(below(k), inner, columns)
		}
	case []any:
		for i, inner := range v {
			flatten(below(strconv.Itoa(i)), inner, columns)
		}
	case json.Number:
		note(columns, path, v.String())
	case string:
		if _, _, ok := wire.Number([]byte(v)); ok {
			note(columns, path, v)
		}
	}
}

func note(columns map[string]*column, key, text string) bool {
	c := columns[key]
	if c == nil {
		c = &column{}
	}
	if !c.add(text) {
		return false
	}
	columns[key] = c
	return true
}

func guessKeyValue(lines [][]byte) Guess {
	g := Guess{Format: "keyvalue", Why: "key=value pairs"}
	columns := map[string]*column{}
	var keys []string
	for _, line := range lines {
		if line[0] == '{' || line[0] == '[' {
			continue
		}
		hit := false
		wire.Pairs(line, func(key, value string) {
			if key != "" && note(columns, key, value) {
				hit = true
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		})
		if hit {
			g.Messages++
		}
	}
	g.settle(keys, columns, func(k string) string { return k })
	return g
}

// cells are the columns of a line; a separator in quotes parts none.
func cells(line string, separator byte) (all []string) {
	from, quoted := 0, false
	for i := range len(line) {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == separator && !quoted:
			all, from = append(all, line[from:i]), i+1
		}
	}
	all = append(all, line[from:])
	for i := range all {
		all[i] = strings.Trim(all[i], " \t\"")
	}
	return all
}

func guessCSV(lines [][]byte, separator byte) Guess {
	g := Guess{Format: "csv", Separator: separator}
	split := func(line []byte) []string {
		if separator == ' ' {
			return strings.Fields(string(line))
		}
		return cells(string(line), separator)
	}
	// The width that most lines have is the device's; a line of words as wide is its header.
	widths := map[int]int{}
	for _, line := range lines {
		widths[len(split(line))]++
	}
	width := 0
	for _, w := range slices.Sorted(maps.Keys(widths)) {
		if widths[w] >= widths[width] {
			width = w
		}
	}
	names := make([]string, width)
	columns, keys := map[string]*column{}, []string{}
	for i := range names {
		names[i] = strconv.Itoa(i + 1)
		keys = append(keys, names[i])
		columns[names[i]] = &column{}
	}
	for _, line := range lines {
		cells := split(line)
		if len(cells) != width {
			continue
		}
		numbers := 0
		for i, cell := range cells {
			if separator == ',' && i == 2 && width == 3 && (cells[0] == "ST" || cells[0] == "US") {
				cell, _, _ = strings.Cut(cell, " ") // a weight indicator names its unit
			}
			if columns[keys[i]].add(cell) {
				numbers++
			}
		}
		switch {
		case numbers > 0:
			g.Messages++
		case !slices.Contains(cells, ""):
			copy(names, cells)
		}
	}
	for _, c := range columns {
		if c.bad > c.seen {
			g.spoiled++
		}
	}
	g.Why = fmt.Sprintf("lines of %d columns separated by %q", width, separator)
	if separator == ',' && width%2 == 0 && !slices.ContainsFunc(lines, func(l []byte) bool { return bytes.ContainsAny(l, ".\"") }) {
		g.Why += `; where the commas are decimal ones, take separator: ";"`
	}
	if width == 1 {
		g.Why, g.Separator = "lines of one number", ','
	}
	g.settle(keys, columns, func(k string) string { i, _ := strconv.Atoi(k); return names[i-1] })
	return g
}

// channelName makes a name for agent.yaml: small letters, digits and underscores.
func channelName(s string) string {
	name := strings.Map(func(r rune) rune {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToLower(r)
		}
		return '_'
	}, s)
	name = strings.Trim(name, "_")
	if name == "" || unicode.IsDigit(rune(name[0])) {
		name = "value_" + name
	}
	return strings.TrimSuffix(name, "_")
}

// Snippet is a source for agent.yaml.
func (g Guess) Snippet(port string, baud int) string {
	if g.Format == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "sources:\n  my_device:\n    serial:\n      port: %s\n      baud: %d\n      format: %s\n", scalar(port), baud, g.Format)
	if g.Format == "csv" && g.Separator != ',' {
		fmt.Fprintf(&b, "      separator: %q\n", string(g.Separator))
	}
	if g.TimeKey != "" {
		fmt.Fprintf(&b, "      time: {key: %s, unit: %s}\n", scalar(g.TimeKey), g.TimeUnit)
	}
	b.WriteString("      fields:                # left of the colon: names of your channels\n")
	for _, f := range g.Fields {
		value := scalar(f.Key)
		if f.Unit != "" {
			value = fmt.Sprintf("{key: %s, unit: %s}", value, scalar(f.Unit))
		}
		fmt.Fprintf(&b, "        %s: %s", f.Name, value)
		if f.Example != "" {
			fmt.Fprintf(&b, "    # now %s", f.Example)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// scalar quotes what YAML would not read as the same text.
func scalar(s string) string {
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_./-°·", r) {
			return strconv.Quote(s)
		}
	}
	if s == "" || s[0] == '-' || strings.EqualFold(s, "y") || strings.EqualFold(s, "n") || strings.EqualFold(s, "on") || strings.EqualFold(s, "off") {
		return strconv.Quote(s)
	}
	return s
}
