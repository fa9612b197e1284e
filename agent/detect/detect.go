// Package detect puts recorded rows through the detectors and makes events of what they flag. It is causal:
// what it says of a row rests on that row and those before it.
package detect

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/watch"
)

// Table is a recorded run as columns, NaN where a value is missing or not good.
type Table struct {
	Log     string
	Time    []int64 // ns, by row
	Index   []int   // by row: its place among the file's data rows, counted from 0
	Rows    int     // data rows of the file; those without a place in Index could not be read
	Channel []string
	Value   [][]float64 // by channel, then row
}

// Stretch is the data rows From ≤ row < To of a file that are called good.
type Stretch struct{ From, To int }

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
	return Stretch{from, to}, nil
}

// of gives the rows of the table that belong to a stretch.
func (s Stretch) of(t *Table) (from, to int, err error) {
	from, _ = slices.BinarySearch(t.Index, s.From)
	to, _ = slices.BinarySearch(t.Index, s.To)
	if s.From < 0 || s.To > t.Rows || from >= to {
		return 0, 0, fmt.Errorf("%s has %d data rows: rows %d:%d cannot be trained on", t.Log, t.Rows, s.From, s.To)
	}
	return from, to, nil
}

// Options and Fit are those of the watch.
type (
	Options = watch.Options
	Fit     = watch.Fit
)

// Flag is what is said of a row of a table.
type Flag struct {
	Anomaly bool
	Score   float64      // against the limit, in amplitude: what stays above 1 is an anomaly
	Code    anomaly.Code // of the anomaly, "" without one
}

// Contribution is the share of a channel in an event; the shares of an event add up to 1.
type Contribution struct {
	Channel   string  `json:"channel"`
	Share     float64 `json:"share"`
	Deviation float64 `json:"deviation,omitempty"` // of its level from the good stretch at the worst row, in robust standard deviations; 0 where none was trained on
}

// Event is a stretch of flagged rows.
type Event struct {
	Log           string         `json:"log"`
	Code          anomaly.Code   `json:"code"`
	What          string         `json:"what"`
	Start         time.Time      `json:"start"`              // when it was flagged
	End           time.Time      `json:"end"`                // of its last row
	Since         time.Time      `json:"since"`              // when it began, as far as is known
	From          int            `json:"from"`               // first row flagged, counted from 0
	To            int            `json:"to"`                 // last row flagged
	Standing      bool           `json:"standing,omitempty"` // it stood when the rows ended
	Score         float64        `json:"score"`              // the worst
	Confidence    float64        `json:"confidence"`
	Contributions []Contribution `json:"contributions"`
	Cause         string         `json:"cause"`
	Response      string         `json:"response"`
}

// Train trains a watch on the good stretch of a table.
func Train(t *Table, good Stretch, opt Options) (*Fit, error) {
	from, to, err := good.of(t)
	if err != nil {
		return nil, err
	}
	at := make([]float64, 0, to-from)
	for _, ns := range t.Time[from:to] {
		at = append(at, float64(ns-t.Time[0])/1e9)
	}
	first := make([][]float64, len(t.Channel))
	for c := range first {
		first[c] = t.Value[c][from:to]
	}
	fit, err := watch.Train(at, first, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Log, err)
	}
	return fit, nil
}

// Judge judges all rows of a table, whose channels are those that fit was trained on.
func Judge(t *Table, fit *Fit) ([]Flag, []Event) {
	b := builder{table: t, since: -1}
	w := fit.Watch()
	var v watch.Verdict
	row := make([]float64, len(t.Channel))
	flags := make([]Flag, len(t.Time))
	for i := range t.Time {
		for c := range row {
			row[c] = t.Value[c][i]
		}
		dt := 0.0
		if i > 0 {
			dt = max(float64(t.Time[i]-t.Time[i-1])/1e9, 0)
		}
		w.Step(&v, dt, row)
		flags[i] = b.row(i, &v)
	}
	return flags, b.end()
}

// builder makes events of verdicts.
type builder struct {
	table  *Table
	events []Event

	since  int // first row of those above the limit without interruption, -1 if none
	open   bool
	weight map[anomaly.Code]float64
	part   []float64 // by channel
	worst  []float64 // deviations at the worst row
	code   anomaly.Code
}

func (b *builder) at(i int) time.Time { return time.Unix(0, b.table.Time[i]).UTC() }

// row takes the verdict of row i.
func (b *builder) row(i int, v *watch.Verdict) Flag {
	switch {
	case v.Score <= 1:
		b.since = -1
	case b.since < 0:
		b.since = i
	}
	if !v.Flag {
		b.close(false)
		return Flag{Score: v.Score}
	}
	if !b.open {
		b.open = true
		since := i
		if b.since >= 0 {
			since = b.since
		}
		b.events = append(b.events, Event{Log: b.table.Log, Start: b.at(i), Since: b.at(since), From: b.table.Index[i]})
		b.weight, b.part = map[anomaly.Code]float64{}, make([]float64, len(b.table.Channel))
		b.code = codeOf(v)
	}
	e := &b.events[len(b.events)-1]
	e.To, e.End = b.table.Index[i], b.at(i)
	if v.Score > 1 || b.weight[b.code] == 0 {
		b.code = codeOf(v)
		b.weight[b.code] += max(v.Score-1, 1e-6)
		for c, p := range v.Part {
			b.part[c] += p / v.Value * max(v.Score-1, 1e-6)
		}
	}
	if v.Score > e.Score {
		e.Score = v.Score
		b.worst = append(b.worst[:0], v.Deviation...)
	}
	return Flag{Anomaly: true, Score: v.Score, Code: b.code}
}

// end gives the events.
func (b *builder) end() []Event {
	b.close(true)
	return b.events
}

// close completes the event that is open.
func (b *builder) close(standing bool) {
	if !b.open {
		return
	}
	b.open = false
	e := &b.events[len(b.events)-1]
	e.Standing = standing
	codes := make([]anomaly.Code, 0, len(b.weight))
	for c := range b.weight {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	for _, c := range codes {
		if e.Code == "" || b.weight[c] > b.weight[e.Code] {
			e.Code = c
		}
	}
	total := 0.0
	for _, p := range b.part {
		total += p
	}
	for c, p := range b.part {
		if p > 0 {
			e.Contributions = append(e.Contributions, Contribution{b.table.Channel[c], p / total, b.worst[c]})
		}
	}
	sort.SliceStable(e.Contributions, func(i, j int) bool { return e.Contributions[i].Share > e.Contributions[j].Share })
	d := anomaly.Of(e.Code)
	e.What, e.Cause, e.Response = d.Text, d.Cause, d.Response
	e.Confidence = watch.Confidence(e.Score, e.To-e.From+1)
}

// codeOf names what a verdict says.
func codeOf(v *watch.Verdict) anomaly.Code {
	switch v.Statistic {
	case watch.Missing:
		return anomaly.SensorMissing
	case watch.Spread:
		switch {
		case v.Joint:
			return anomaly.ProcessUnsteady
		case v.Still:
			return anomaly.SensorStuck
		}
		return anomaly.SensorNoise
	case watch.RowRest, watch.LevelRest:
		return anomaly.ProcessRelation
	case watch.Row:
		return anomaly.ProcessOutlier
	}
	return anomaly.ProcessShift
}
