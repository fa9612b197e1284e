package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one mistake in a configuration file.
type Problem struct {
	File         string
	Line, Column int    // counted from 1; the column in characters
	Key          string // path such as sources.thermocouple.serial.baud; "" for the file as a whole
	Value        string // as written, shortened; "" where there is none or it may be a secret
	Message      string // what is wrong
	Allowed      string // what may stand there
	Nearest      string // what was probably meant
}

// String is one line: file:line:column: key: value: what is wrong; allowed: …; did you mean "…"?
func (p Problem) String() string {
	s := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Key != "" {
		s += p.Key + ": "
	}
	if p.Value != "" {
		s += p.Value + ": "
	}
	s += p.Message
	if p.Allowed != "" {
		s += "; allowed: " + p.Allowed
	}
	if p.Nearest != "" {
		s += fmt.Sprintf("; did you mean %q?", p.Nearest)
	}
	return s
}

// Problems are all mistakes of one file, in the order of the file.
type Problems []Problem

// Error prints one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// printable makes a value fit for one line of a terminal: first line only, at most 60
// characters, control characters replaced.
func printable(s string) string {
	s, _, cut := strings.Cut(s, "\n")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 60 {
		s, cut = string(r[:60]), true
	}
	if cut {
		s += "…"
	}
	return s
}

// nearest is the known word closest to s by edit distance, "" if none is near. Case, spaces,
// hyphens and underscores do not count.
func nearest(s string, known []string) string {
	if len(s) > 64 {
		return ""
	}
	a, best, at := fold(s), "", 4
	for _, k := range known {
		b := fold(k)
		if max(len(a)-len(b), len(b)-len(a)) >= at {
			continue // the edit distance is no smaller
		}
		if d := distance(a, b); d < at && d <= max(len(b), len(a))/3 {
			best, at = k, d
		}
	}
	return best
}

// fold drops what does not count in a comparison of words.
func fold(s string) []rune {
	r := make([]rune, 0, len(s))
	for _, c := range s {
		if c != '_' && c != '-' && c != ' ' {
			r = append(r, unicode.ToLower(c))
		}
	}
	return r
}

// distance is the edit distance in which a swap of neighbours counts one (optimal string
// alignment: Damerau, Comm. ACM 7(3), 1964, without repeated edits).
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
