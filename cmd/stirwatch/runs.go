package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// This file holds the runs that commands are given, and the part of each that is meant.

// recorded is a run, of a log or of the journal, in the units of the models, with its rows' places
// in the file.
type recorded struct {
	runs.Run
	line  []int
	zero  float64 // what the log itself says when Time is 0, s: 0 where it says the day
	blind []bool  // rows whose readings are not used, since an input is unknown; nil: none
}

// row is the 0-based data row of the file at index i.
func (r *recorded) row(i int) int { return r.line[i] - 2 }

// at is the time of index i in s: as the log counts it or, where it says the day, since its first row.
func (r *recorded) at(i int) float64 { return r.zero + r.Time[i] }

// segment is the part of the run to learn from or to score, as indices: that of segments, else
// the longest stretch in which the process is active.
func (r *recorded) segment(m *model.Model, segments map[string][2]int) (from, to int, err error) {
	rows, ok := segments[r.Name]
	if !ok {
		return runs.ActiveRows(m, &r.Run)
	}
	from, to = -1, -1
	for i := range r.line {
		if row := r.row(i); row >= rows[0] && row < rows[1] {
			if from < 0 {
				from = i
			}
			to = i + 1
		}
	}
	if from < 0 {
		return 0, 0, fmt.Errorf("run %s has no rows %d:%d", r.Name, rows[0], rows[1])
	}
	return from, to, nil
}

// brings tells if the run has every input that the model needs.
func (r *recorded) brings(m *model.Model) error {
	for _, in := range m.Channels().Inputs {
		i := slices.Index(r.Inputs, in.Name)
		if in.Default == nil && (i < 0 || !slices.ContainsFunc(r.U[i], func(v float64) bool { return v == v })) {
			return fmt.Errorf("run %s has no %s, which the model needs", r.Name, in.Name)
		}
	}
	return nil
}

func rowsFlag(c *cobra.Command, rows *[]string) {
	c.Flags().StringArrayVar(rows, "rows", nil, "LOG=A:B sets the segment of a run by 0-based data rows, end exclusive, instead of finding it; repeatable")
}

// parseRows reads LOG=A:B settings.
func parseRows(settings []string) (map[string][2]int, error) {
	m := map[string][2]int{}
	for _, s := range settings {
		name, span, ok := strings.Cut(s, "=")
		a, b, ok2 := strings.Cut(span, ":")
		from, err1 := strconv.Atoi(a)
		to, err2 := strconv.Atoi(b)
		if !ok || !ok2 || err1 != nil || err2 != nil || from < 0 || to <= from {
			return nil, coded{fmt.Errorf("--rows %q: write LOG=A:B, for example build=2:1098", s), exitUsage}
		}
		m[name] = [2]int{from, to}
	}
	return m, nil
}

// named checks that every segment is of a run there is, and says to w which reach beyond its end.
func named(w io.Writer, segments map[string][2]int, runs []*recorded) error {
	for name, rows := range segments {
		i := slices.IndexFunc(runs, func(r *recorded) bool { return r.Name == name })
		if i < 0 {
			return coded{fmt.Errorf("--rows %s: no such run is given", name), exitUsage}
		}
		if n := runs[i].row(len(runs[i].line)-1) + 1; rows[1] > n {
			fmt.Fprintf(w, "%s ends at row %d: of --rows %d:%d what lies beyond is left out\n", name, n, rows[0], rows[1])
		}
	}
	return nil
}
