// Package detect puts recorded rows through the detectors and makes events of what they flag. It is causal:
// what it says of a row rests on that row and those before it.
package detect

import (
	"slices"
	"sort"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/watch"
	"stirwatch/sensors/runlog"
)

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

// watching judges the rows of a run by a watch.
type watching struct {
	builder
	columns []int
	watch   *watch.Watch
	verdict watch.Verdict
	values  []float64
	last    int64 // ns; time of the row before
	begun   bool
}

func newWatching(r *Run, columns []int, fit *Fit) *watching {
	w := &watching{columns: columns, watch: fit.Watch()}
	w.log = r.Name
	for _, c := range columns {
		w.channel = append(w.channel, r.Columns[c].Name)
	}
	return w
}

// row judges the next row.
func (w *watching) row(r *runlog.Row) Flag {
	dt := 0.0
	if w.begun {
		dt = max(float64(r.Time-w.last)/1e9, 0)
	}
	w.last, w.begun = r.Time, true
	w.values = good(w.values, w.columns, r)
	w.watch.Step(&w.verdict, dt, w.values)
	return w.builder.row(r, &w.verdict)
}

// builder makes events of verdicts.
type builder struct {
	log     string
	channel []string
	events  []Event

	above  bool  // the row before was above the limit
	since  int64 // ns: since when rows have been, without interruption
	open   bool
	weight map[anomaly.Code]float64
	part   []float64 // by channel
	worst  []float64 // deviations at the worst row
	code   anomaly.Code
}

// row takes the verdict of a row.
func (b *builder) row(r *runlog.Row, v *watch.Verdict) Flag {
	if v.Score > 1 && !b.above {
		b.since = r.Time
	}
	b.above = v.Score > 1
	if !v.Flag {
		b.close(false)
		return Flag{Score: v.Score}
	}
	if !b.open {
		b.open = true
		since := r.Time
		if b.above {
			since = b.since
		}
		b.events = append(b.events, Event{Log: b.log, Start: at(r.Time), Since: at(since), From: r.Index})
		b.weight, b.part = map[anomaly.Code]float64{}, make([]float64, len(b.channel))
		b.code = codeOf(v)
	}
	e := &b.events[len(b.events)-1]
	e.To, e.End = r.Index, at(r.Time)
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
			e.Contributions = append(e.Contributions, Contribution{b.channel[c], p / total, b.worst[c]})
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
