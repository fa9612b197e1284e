package detect

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"stirwatch/dynamics/watch"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// Run is a recorded run that is read row by row, as often as is asked, and need not fit into memory.
type Run struct {
	Name    string
	Columns []runlog.Column
	Each    func(take func(*runlog.Row) error) error // all rows; it ends with the first error of take, which it returns
	Rows    func() int                               // data rows of the file, once Each has come to its end
	Remarks func() []string                          // what was found out about the file, once Each has come to its end
}

// Open opens any log of numbers, guesses the kind of each column from its values, and gives the registry of its channels.
func Open(path string, o runlog.Options) (*Run, *sensors.Registry, error) {
	o, notes, err := runlog.Discover(path, o)
	if err != nil {
		return nil, nil, err
	}
	var r *Run
	s, err := runlog.Open(path, o)
	switch {
	case errors.Is(err, runlog.ErrWhole):
		log, err := runlog.Read(path, o)
		if err != nil {
			return nil, nil, err
		}
		log.Notes = append(notes, log.Notes...)
		r = OfLog(log)
	case err != nil:
		return nil, nil, err
	default:
		r = &Run{Name: s.Name, Columns: s.Columns, Each: s.Each, Rows: func() int { return s.Rows }}
		r.Remarks = func() []string {
			told := s.Log
			told.Notes = append(slices.Clone(notes), s.Notes...)
			return told.Remarks()
		}
	}
	reg, err := r.Registry()
	return r, reg, err
}

// OfLog is the run of a log that was read as a whole.
func OfLog(l *runlog.Log) *Run {
	each := func(take func(*runlog.Row) error) error {
		row := runlog.Row{Value: make([]float64, len(l.Columns)), Status: make([]sensors.Status, len(l.Columns))}
		lost := 0 // lines that could not be read are rows of the file anyway
		for i, at := range l.Time {
			for lost < len(l.Lost) && l.Lost[lost] < l.Line[i] {
				lost++
			}
			row.Index, row.Line, row.Time = i+lost, l.Line[i], at
			for c := range l.Columns {
				row.Value[c], row.Status[c] = l.Value[c][i], l.Status[c][i]
			}
			if err := take(&row); err != nil {
				return err
			}
		}
		return nil
	}
	return &Run{Name: l.Name, Columns: l.Columns, Each: each, Rows: func() int { return len(l.Line) + len(l.Lost) }, Remarks: l.Remarks}
}

// count gives the number of data rows.
func (r *Run) count() (int, error) {
	if err := r.Each(func(*runlog.Row) error { return nil }); err != nil {
		return 0, err
	}
	return r.Rows(), nil
}

// channels are the names of the columns, except those to be ignored. It fails where one of those is not there.
func (r *Run) channels(ignore []string) ([]string, error) {
	var names []string
	for i := range r.Columns {
		names = append(names, r.Columns[i].Name)
	}
	for _, name := range ignore {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("%s has no channel %q: it has %s", r.Name, name, strings.Join(names, ", "))
		}
		names = slices.Delete(names, i, i+1)
	}
	return names, nil
}

// pick finds the columns of channels.
func (r *Run) pick(channels []string) ([]int, error) {
	var columns []int
	for _, name := range channels {
		i := slices.IndexFunc(r.Columns, func(c runlog.Column) bool { return c.Name == name })
		if i < 0 {
			all, _ := r.channels(nil)
			return nil, fmt.Errorf("%s has no channel %q, which was trained on: it has %s", r.Name, name, strings.Join(all, ", "))
		}
		columns = append(columns, i)
	}
	return columns, nil
}

// good takes the values of columns out of a row; what is not good is NaN.
func good(dst []float64, columns []int, r *runlog.Row) []float64 {
	dst = dst[:0]
	for _, c := range columns {
		v := r.Value[c]
		if !r.Status[c].IsGood() {
			v = math.NaN()
		}
		dst = append(dst, v)
	}
	return dst
}

// Stretch is the data rows From ≤ row < To of a file that are called good.
type Stretch struct {
	From, To int
	Part     int // above 0: the first 1/Part of the file instead, at most [MostGood] rows
}

// ParseStretch reads N, which means the first N rows, or A:B.
func ParseStretch(text string) (Stretch, error) {
	a, b, span := strings.Cut(text, ":")
	if !span {
		a, b = "0", a
	}
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil || from < 0 || to <= from {
		return Stretch{}, fmt.Errorf("%s: write N, or A:B with A below B, such as 400 or 200:900", text)
	}
	return Stretch{From: from, To: to}, nil
}

// MostGood bounds the rows that are trained on where nobody says how many: a day at 1 Hz.
const MostGood = 86400

var errEnough = errors.New("enough was read")

// train trains a watch on the good rows of columns.
func train(r *Run, columns []int, s Stretch, opt Options) (*Fit, Stretch, error) {
	if s.Part > 0 {
		rows, err := r.count()
		if err != nil {
			return nil, s, err
		}
		s = Stretch{To: min(rows/s.Part, MostGood)}
	}
	var at []float64
	values := make([][]float64, len(columns))
	begin, v := int64(0), make([]float64, 0, len(columns))
	err := r.Each(func(row *runlog.Row) error {
		switch {
		case row.Index >= s.To:
			return errEnough
		case row.Index < s.From:
			return nil
		case len(at) == 0:
			begin = row.Time
		}
		at = append(at, float64(row.Time-begin)/1e9)
		v = good(v, columns, row)
		for c := range v {
			values[c] = append(values[c], v[c])
		}
		return nil
	})
	switch {
	case err == nil && (s.To > r.Rows() || len(at) == 0), s.From < 0, s.From >= s.To:
		return nil, s, fmt.Errorf("%s has %d data rows: rows %d:%d cannot be trained on", r.Name, r.Rows(), s.From, s.To)
	case err != nil && err != errEnough:
		return nil, s, err
	}
	fit, err := watch.Train(at, values, opt)
	if err != nil {
		return nil, s, fmt.Errorf("%s: %w", r.Name, err)
	}
	return fit, s, nil
}

// headRows are the first rows, from which it is told how far rows are apart.
const headRows = 20

// interval is the median time between the first rows; 0 where there are no two.
func (r *Run) interval() (time.Duration, error) {
	var gaps []int64
	before := int64(0)
	n := 0
	err := r.Each(func(row *runlog.Row) error {
		if n > 0 {
			gaps = append(gaps, row.Time-before)
		}
		before = row.Time
		if n++; n > headRows {
			return errEnough
		}
		return nil
	})
	if err != nil && err != errEnough || len(gaps) == 0 {
		return 0, err
	}
	slices.Sort(gaps)
	return time.Duration(gaps[len(gaps)/2]), nil
}

// slowed is a registry of the same channels, whose values are not missing before rows that are so far apart would have renewed them.
func slowed(reg *sensors.Registry, interval time.Duration) (*sensors.Registry, error) {
	channels := make([]sensors.Channel, reg.Len())
	for i := range channels {
		channels[i] = *reg.Channel(sensors.ChannelID(i))
		if a := &channels[i].MaxAge; *a > 0 {
			*a = max(*a, staleAfter*interval/2)
		}
	}
	return sensors.NewRegistry(channels)
}

// staleAfter is the number of half intervals after which a value is missing.
const staleAfter = 5
