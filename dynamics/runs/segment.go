package runs

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"stirwatch/dynamics/model"
)

// Segments are parts of runs that a person has chosen, by the name of the run: the first data row of the
// log and the one at which it ends ([Run.NumberOf]).
type Segments map[string][2]int

// ParseSegments reads settings of the form RUN=A:B.
func ParseSegments(settings []string) (Segments, error) {
	all := Segments{}
	for _, s := range settings {
		name, span, ok := strings.Cut(s, "=")
		a, b, ok2 := strings.Cut(span, ":")
		from, err1 := strconv.Atoi(a)
		to, err2 := strconv.Atoi(b)
		if !ok || !ok2 || err1 != nil || err2 != nil || from < 0 || to <= from {
			return nil, fmt.Errorf("%q: write LOG=A:B, for example build=2:1098", s)
		}
		all[name] = [2]int{from, to}
	}
	return all, nil
}

// Check fails if a segment is of no run among runs, and writes to w which segments reach beyond the end of theirs.
func (s Segments) Check(w io.Writer, runs []*Run) error {
	for name, rows := range s {
		i := slices.IndexFunc(runs, func(r *Run) bool { return r.Name == name })
		if i < 0 {
			return fmt.Errorf("rows of %s are chosen, and no run of this name is given", name)
		}
		if n := runs[i].NumberOf(len(runs[i].Time)-1) + 1; rows[1] > n {
			fmt.Fprintf(w, "%s ends at row %d: of its rows %d:%d what lies beyond is left out\n", name, n, rows[0], rows[1])
		}
	}
	return nil
}

// Of is the part of a run to learn from or to score, as rows from ≤ i < to: the one chosen, else the
// longest stretch in which the process is active ([ActiveRows]).
func (s Segments) Of(m *model.Model, r *Run) (from, to int, err error) {
	if _, ok := s[r.Name]; !ok {
		return ActiveRows(m, r)
	}
	return s.chosen(r)
}

func (s Segments) chosen(r *Run) (from, to int, err error) {
	rows := s[r.Name]
	from, to = -1, -1
	for i := range r.Time {
		if n := r.NumberOf(i); n >= rows[0] && n < rows[1] {
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

// Cut is a run to learn from, with these inputs alone: the segment, where one is chosen, else all of it.
func (s Segments) Cut(r *Run, inputs []string) (*Run, error) {
	cut := *r
	if _, ok := s[r.Name]; ok {
		from, to, err := s.chosen(r)
		if err != nil {
			return nil, err
		}
		cut = *r.Rows(from, to)
		cut.Chosen = true
	}
	columns := cut.U
	cut.Inputs, cut.U = inputs, nil
	for _, name := range inputs { // a run may hold more, for another model
		cut.U = append(cut.U, columns[slices.Index(r.Inputs, name)])
	}
	return &cut, nil
}

// Brings fails if the run has no value of an input that the model needs.
func (r *Run) Brings(m *model.Model) error {
	for _, in := range m.Channels().Inputs {
		i := slices.Index(r.Inputs, in.Name)
		if in.Default == nil && (i < 0 || !slices.ContainsFunc(r.U[i], func(v float64) bool { return v == v })) {
			return fmt.Errorf("run %s has no %s, which the model needs", r.Name, in.Name)
		}
	}
	return nil
}

// Newest takes the n runs that began last out of all; the rest, too, comes in order of time.
func Newest(all []*Run, n int) (rest, newest []*Run) {
	byAge := slices.Clone(all)
	slices.SortStableFunc(byAge, func(a, b *Run) int { return a.Began.Compare(b.Began) })
	return byAge[:len(all)-n], byAge[len(all)-n:]
}

// Names are those of the runs, in their order, with commas between them.
func Names(runs []*Run) string {
	var names []string
	for _, r := range runs {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}
