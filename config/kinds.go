package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"stirwatch/sensors/unit"
)

// kind is how one type of single value is read, printed, bounded and described.
type kind struct {
	parse   func(string) (any, *complaint)
	print   func(any) string
	measure func(any) float64 // for min and max; nil = unbounded
	words   string            // what it is, e.g. `a temperature such as 80 °C`
	pattern string            // regular expression (ECMA 262) of what may be written
	enum    []string          // every value, where they are few
	known   []string          // values that editors propose, where others may stand too
	json    string            // JSON Schema type; "" = string
}

// complaint is a [Problem] before its place is known.
type complaint struct{ message, allowed, nearest string }

var kinds = map[reflect.Type]*kind{
	reflect.TypeFor[string]():  text[string]("text", nil),
	reflect.TypeFor[Path]():    text[Path]("a file name", checkPath),
	reflect.TypeFor[URL]():     text[URL]("an address", nil), // schemes differ: see decoder.url
	reflect.TypeFor[Key]():     text[Key]("a name, number or JSON path", nil),
	reflect.TypeFor[Role]():    {parse: parseRole, print: plain[Role], words: "a kind of channel", pattern: freeRole, known: Roles()},
	reflect.TypeFor[bool]():    {parse: parseBool, print: plain[bool], words: "true or false", json: "boolean"},
	reflect.TypeFor[int]():     {parse: parseInt, print: plain[int], measure: func(v any) float64 { return float64(v.(int)) }, words: "a whole number", json: "integer"},
	reflect.TypeFor[float64](): {parse: parseFloat, print: func(v any) string { return number(v.(float64)) }, measure: func(v any) float64 { return v.(float64) }, words: "a number", json: "number"},

	reflect.TypeFor[time.Duration](): {
		parse:   func(s string) (any, *complaint) { v, c := parseWhole(s, durations, "2 s"); return time.Duration(v), c },
		print:   func(v any) string { return inLargest(int64(v.(time.Duration)), durations) },
		measure: func(v any) float64 { return float64(v.(time.Duration)) },
		words:   "a duration such as 2 s (us, ms, s, min, h, d)", pattern: quantityPattern(names(durations)),
	},
	reflect.TypeFor[Size](): {
		parse:   func(s string) (any, *complaint) { v, c := parseWhole(s, sizes, "2 GB"); return Size(v), c },
		print:   func(v any) string { return v.(Size).String() },
		measure: func(v any) float64 { return float64(v.(Size)) },
		words:   "a size such as 500 MB (B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)", pattern: quantityPattern(names(sizes)),
	},
	reflect.TypeFor[Temperature](): quantity(unit.Temperature, "80 °C", "a temperature", func(q unit.Quantity) any { return Temperature{q} }),
	reflect.TypeFor[AngularRate](): quantity(unit.AngularRate, "450 rpm", "a rotation speed", func(q unit.Quantity) any { return AngularRate{q} }),
	reflect.TypeFor[Frequency]():   quantity(unit.Frequency, "10 Hz", "a frequency", func(q unit.Quantity) any { return Frequency{q} }),

	reflect.TypeFor[unit.Unit](): {
		parse: parseUnit, print: plain[unit.Unit], words: "a unit such as °C, rpm or N·m", enum: spellings(nil),
	},
	reflect.TypeFor[unit.Quantity](): {
		parse: parseAnyQuantity, print: plain[unit.Quantity], words: "a number with a unit of the channel's kind, such as 80 °C",
		pattern: quantityPattern(append(spellings(nil), "")),
	},
	reflect.TypeFor[Difference](): {
		parse: parseDifference, print: plain[Difference], words: "a difference of the channel's kind, such as 0.5 K",
		pattern: quantityPattern(append(spellings(nil), "")),
	},
	reflect.TypeFor[Rate](): {
		parse: parseRate, print: plain[Rate], words: "a change per time of the channel's kind, such as 150 K/s",
		pattern: ratePattern(),
	},
}

func plain[T any](v any) string { return fmt.Sprint(v) }

func text[T ~string](words string, check func(string) *complaint) *kind {
	return &kind{
		parse: func(s string) (any, *complaint) {
			if check != nil {
				if c := check(s); c != nil {
					return nil, c
				}
			}
			return T(s), nil
		},
		print: func(v any) string { return string(v.(T)) },
		words: words,
	}
}

func checkPath(s string) *complaint {
	if strings.ContainsAny(s, "\x00\r\n") {
		return &complaint{message: "a file name cannot hold a line break", allowed: "the name of a file"}
	}
	return nil
}

// checkURL wants scheme://host with nothing secret in it.
func checkURL(s string, schemes []string) *complaint {
	allowed := "an address that starts with " + strings.Join(schemes, "://, ") + "://"
	u, err := url.Parse(s)
	switch {
	case err == nil && (u.User != nil || u.RawQuery != "" || u.Fragment != ""):
		return &complaint{message: "an address cannot hold a user, a password, a token or parameters", allowed: "the address alone; username and password, or token, under their own keys"}
	case err != nil || u.Host == "" || u.Hostname() == "":
		return &complaint{message: "not an address", allowed: allowed}
	case !slices.Contains(schemes, u.Scheme):
		c := &complaint{message: fmt.Sprintf("the scheme %q is not supported here", u.Scheme), allowed: allowed}
		if n := nearest(u.Scheme, schemes); n != "" {
			c.nearest = n + strings.TrimPrefix(s, u.Scheme)
		}
		return c
	}
	return nil
}

// freeRole is what a kind of channel may be called that only a model knows.
const freeRole = `^\S(.{0,62}\S)?$`

var freeRoles = regexp.MustCompile(freeRole)

// misspelt is the edit distance up to which a kind is taken for a known one misspelt. A digit that the known one lacks tells
// them apart: temperature 2.
const misspelt = 2

func parseRole(s string) (any, *complaint) {
	if slices.Contains(Roles(), s) {
		return Role(s), nil
	}
	allowed := strings.Join(Roles(), ", ") + ", or the name that a model gives to what it needs"
	if !freeRoles.MatchString(s) || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return nil, &complaint{message: "not a name", allowed: allowed}
	}
	known := nearest(s, Roles())
	off := distance(fold(s), fold(known))
	if known != "" && (off == 0 || off <= misspelt && !strings.ContainsAny(s, "0123456789")) {
		return nil, &complaint{"not a known kind of channel, and too much like one to be another", allowed, known}
	}
	return Role(s), nil
}

func parseBool(s string) (any, *complaint) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, &complaint{message: "neither true nor false", allowed: "true, false",
		nearest: map[string]string{"yes": "true", "on": "true", "no": "false", "off": "false"}[strings.ToLower(s)]}
}

func parseInt(s string) (any, *complaint) {
	v, err := strconv.Atoi(s)
	if err != nil {
		return nil, &complaint{message: "not a whole number"}
	}
	return v, nil
}

func parseFloat(s string) (any, *complaint) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return nil, &complaint{message: "not a number"}
	}
	return v, nil
}

func parseUnit(s string) (any, *complaint) {
	u, err := unit.Parse(s)
	if err != nil {
		return nil, &complaint{"unknown unit", strings.Join(unit.Symbols(), ", "), unit.Nearest(s)}
	}
	return u, nil
}

// split cuts "450 rpm" into number and unit.
func split(s string) (value float64, name string, c *complaint) {
	s = strings.TrimSpace(s)
	n := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("+-.0123456789eE", r) })
	if n < 0 {
		n = len(s)
	}
	value, err := strconv.ParseFloat(s[:n], 64)
	if err != nil || math.IsInf(value, 0) {
		return 0, "", &complaint{message: "not a number with a unit"}
	}
	name = strings.TrimSpace(s[n:])
	if strings.HasPrefix(name, ",") {
		return 0, "", &complaint{message: "a decimal comma", nearest: strings.Replace(s, ",", ".", 1)}
	}
	return value, name, nil
}

// quantity is the kind of a quantity of one dimension.
func quantity(d unit.Dimension, example, words string, wrap func(unit.Quantity) any) *kind {
	units := strings.Join(unit.Of(d), ", ")
	return &kind{
		parse: func(s string) (any, *complaint) {
			_, name, c := split(s)
			if c != nil {
				c.allowed = words + " such as " + example + ", in " + units
				return nil, c
			}
			if name == "" {
				return nil, &complaint{"the unit is missing", units, strings.TrimSpace(s) + " " + strings.Fields(example)[1]}
			}
			q, err := unit.ParseQuantity(s, d)
			switch {
			case errors.Is(err, unit.ErrUnknown):
				return nil, &complaint{"unknown unit", units, nearestQuantity(s, name, unit.Of(d))}
			case err != nil:
				return nil, &complaint{message: "not " + words, allowed: units}
			}
			return wrap(q), nil
		},
		print:   func(v any) string { return fmt.Sprint(v) },
		measure: func(v any) float64 { return v.(interface{ SI() float64 }).SI() },
		words:   words + " such as " + example + " (" + units + ")",
		pattern: quantityPattern(spellings(&d)),
	}
}

// nearestQuantity is s with its unit replaced by the known one nearest to it.
func nearestQuantity(s, name string, known []string) string {
	n := unit.Nearest(name)
	if !slices.Contains(known, n) {
		if n = nearest(name, known); n == "" {
			return ""
		}
	}
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), name)) + " " + n
}

// parseAnyQuantity leaves it to the caller to compare the unit with the channel's.
func parseAnyQuantity(s string) (any, *complaint) {
	v, name, c := split(s)
	if c != nil {
		return nil, c
	}
	u, err := unit.Parse(name)
	if err != nil {
		return nil, &complaint{"unknown unit", strings.Join(unit.Symbols(), ", "), nearestQuantity(s, name, spellings(nil))}
	}
	return unit.Quantity{Value: v, Unit: u}, nil
}

// parseRate leaves it to the caller to compare the unit with the channel's.
func parseRate(s string) (any, *complaint) {
	v, name, c := split(s)
	switch {
	case c != nil:
		return nil, c
	case v <= 0:
		return nil, &complaint{message: "not above zero"}
	case name == "":
		return nil, &complaint{message: "the unit is missing"}
	}
	return Rate{v, name}, nil
}

// parseDifference leaves it to the caller to compare the unit with the channel's.
func parseDifference(s string) (any, *complaint) {
	v, name, c := split(s)
	switch {
	case c != nil:
		return nil, c
	case v < 0:
		return nil, &complaint{message: "below zero"}
	}
	u, err := unit.Parse(name)
	if err != nil {
		return nil, &complaint{"unknown unit", strings.Join(unit.Symbols(), ", "), nearestQuantity(s, name, spellings(nil))}
	}
	if name == "" {
		name = u.Symbol // of a bare number, so that it is compared with the channel's
	}
	return Difference{v, name}, nil
}

// whole is a unit of time or size: so many nanoseconds or bytes. Lists go from small to large;
// the names after the first of a size are not used for printing.
type whole struct {
	name string
	n    int64
}

var durations = []whole{
	{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9},
}

var sizes = []whole{
	{"B", 1}, {"kB", 1e3}, {"KiB", 1 << 10}, {"MB", 1e6}, {"MiB", 1 << 20}, {"GB", 1e9}, {"GiB", 1 << 30}, {"TB", 1e12}, {"TiB", 1 << 40},
}

func names(ws []whole) []string {
	var s []string
	for _, w := range ws {
		s = append(s, w.name)
	}
	return s
}

func parseWhole(s string, ws []whole, example string) (int64, *complaint) {
	v, name, c := split(s)
	units := strings.Join(names(ws), ", ")
	if c != nil {
		c.allowed = "a number with one of " + units + ", such as " + example
		return 0, c
	}
	if name == "" {
		return 0, &complaint{"the unit is missing", units, strings.TrimSpace(s) + " " + strings.Fields(example)[1]}
	}
	i := slices.IndexFunc(ws, func(w whole) bool { return w.name == name })
	if i < 0 {
		near := map[string]string{"m": "min", "sec": "s", "hr": "h", "hours": "h", "days": "d", "day": "d", "hour": "h", "seconds": "s", "minutes": "min"}[name]
		if near == "" || ws[0].name != "ns" {
			near = nearest(name, names(ws))
		}
		if near != "" {
			near = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), name)) + " " + near
		}
		return 0, &complaint{"unknown unit", units, near}
	}
	n := math.Round(v * float64(ws[i].n))
	if math.Abs(n) > 1<<62 {
		return 0, &complaint{message: "too large"}
	}
	return int64(n), nil
}

// inLargest prints n in the largest unit that needs no fraction, decimal sizes before binary ones.
func inLargest(n int64, ws []whole) string {
	best := ws[0]
	for _, w := range ws {
		if n != 0 && n%w.n == 0 && (n/w.n >= 1 || n/w.n <= -1) && w.name != "µs" {
			best = w
		}
	}
	if n == 0 && best.name == "ns" {
		return "0 s"
	}
	return strconv.FormatInt(n/best.n, 10) + " " + best.name
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
