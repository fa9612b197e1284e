// Package history reads runs back, out of the journal (also while the agent records) and out of
// controllers' logs: which there are, the series of their channels, and the rows that a model learns from.
package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
)

const (
	// afterRun belongs to a run too, as far as the next does not begin: the tool that cools down
	// tells more of its losses than the same time of a build, and then has little left to tell.
	afterRun = 10 * time.Minute

	// longestRun bounds what is read of a run that was never ended.
	longestRun = 12 * time.Hour

	// silentFor is how long after its last commit an agent is taken to have stopped: a running one
	// records its sources' counters each minute.
	silentFor = 3 * time.Minute

	// fewestRows of a run; less does not hold one minute's forecast.
	fewestRows = 60
)

// History reads one journal. The record knows the unit of every sample but neither the names nor the
// roles of channels: those are Registry's.
type History struct {
	Reader   *journal.Reader
	Registry *sensors.Registry
	Note     func(string)                        // told what is missing or left out; may be nil
	Progress func(run string, done, total int64) // told now and then which batch of a run is read; may be nil
}

func (h *History) note(format string, a ...any) {
	if h.Note != nil {
		h.Note(fmt.Sprintf(format, a...))
	}
}

// Runs lists the runs, the newest first. What was replayed twice into one journal is one run: else it
// could be learned from and held out at once.
func (h *History) Runs() ([]journal.Run, error) {
	all, err := h.Reader.Runs()
	return newestFirst(all), err
}

// newestFirst sorts runs in place and drops all but one of those that began at one instant.
func newestFirst(runs []journal.Run) []journal.Run {
	slices.SortFunc(runs, func(a, b journal.Run) int { return cmp.Or(cmp.Compare(b.Start, a.Start), cmp.Compare(b.ID, a.ID)) })
	return slices.CompactFunc(runs, func(a, b journal.Run) bool { return a.Start == b.Start })
}

// Unusable is the error of a run from which nothing can be learned.
type Unusable struct{ error }

// TellsNothing makes an [Unusable] of a reason that was found outside this package.
func TellsNothing(why error) Unusable { return Unusable{why} }

// Usable reads of the runs chosen, in this order, as many as wanted from which the channels can be learned. One
// that holds nothing to learn from is left out, and noted. It fails if none is left.
func (h *History) Usable(ctx context.Context, chosen []journal.Run, wanted int, channels model.Channels) ([]*runs.Run, error) {
	var all []*runs.Run
	for _, run := range chosen {
		if len(all) == wanted {
			break
		}
		r, err := h.Rows(ctx, run, channels)
		if err == nil {
			err = hot(r, channels)
		}
		var left Unusable
		switch {
		case errors.As(err, &left):
			h.note("%s is left out: %v", run.Name, err)
		case err != nil:
			return nil, h.of(run, err)
		default:
			all = append(all, h.use(r, channels))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("journal %s: none of the %d runs asked for can be used, for the reasons above", h.Reader.Path(), len(chosen))
	}
	return all, nil
}

// Named reads all of the runs chosen; one that cannot be used is an error. A cold one may be: beside
// hot ones it tells something too.
func (h *History) Named(ctx context.Context, chosen []journal.Run, channels model.Channels) ([]*runs.Run, error) {
	var all []*runs.Run
	for _, run := range chosen {
		r, err := h.Rows(ctx, run, channels)
		if err != nil {
			return nil, h.of(run, err)
		}
		all = append(all, h.use(r, channels))
	}
	return all, nil
}

// use notes what is read of a run.
func (h *History) use(r *runs.Run, channels model.Channels) *runs.Run {
	from, to, _ := active(r, channels) // it has one
	h.note("%s: %d rows, %v, %d of them active", r.Name, len(r.Time), time.Duration(r.Time[len(r.Time)-1]*1e9).Round(time.Second), to-from)
	return r
}

func (h *History) of(run journal.Run, err error) error {
	return fmt.Errorf("run %s of journal %s: %w", run.Name, h.Reader.Path(), err)
}

// hot fails if no reading of the run is above the temperature from which forecasts are scored.
func hot(r *runs.Run, channels model.Channels) error {
	lead, top := channels.LeadingIndex(), math.Inf(-1)
	out := channels.Outputs[lead]
	if out.ScoreAbove == 0 {
		return nil
	}
	from, to, err := active(r, channels)
	if err != nil {
		return err
	}
	for _, z := range r.Z[channels.LeadingIndex()][from:to] {
		if z > top {
			top = z
		}
	}
	if top <= out.ScoreAbove {
		return Unusable{fmt.Errorf("the %s never exceeds %g %s (highest reading %.0f)", out.Name, out.ScoreAbove, out.Unit, top)}
	}
	return nil
}

// active is the part of a run that is learned from, as rows from ≤ i < to.
func active(r *runs.Run, channels model.Channels) (from, to int, err error) {
	if from, to, err = runs.ActiveRows(&model.Model{Inputs: channels.Inputs, Outputs: channels.Outputs, Leading: channels.Leading}, r); err != nil {
		err = Unusable{fmt.Errorf("there is no time when the spindle turns and the %s is live", channels.Outputs[channels.LeadingIndex()].Name)}
	}
	return from, to, err
}

// Rows reads one run on a time grid, in the units of the channels: its columns, and a fingerprint of it
// in SHA256. It fails with [Unusable] if there is nothing to learn from.
func (h *History) Rows(ctx context.Context, run journal.Run, channels model.Channels) (*runs.Run, error) {
	begin, end, err := h.Span(run)
	if err != nil {
		return nil, err
	}
	r, err := h.assemble(ctx, run, begin, end, channels)
	if err != nil {
		return nil, err
	}
	from, to, err := active(r, channels)
	if err != nil {
		return nil, err
	}
	live := 0
	for _, z := range r.Z[channels.LeadingIndex()][from:to] {
		if z == z {
			live++
		}
	}
	if live < fewestRows {
		return nil, Unusable{fmt.Errorf("it has %d usable rows of %s, at least %d are needed", live, channels.Outputs[channels.LeadingIndex()].Name, fewestRows)}
	}
	return r, nil
}

// Span is the time of the record that belongs to a run, begin ≤ time < end in ns since the Unix
// epoch: also the cooling after it, as far as no other run begins. A run that is going on is
// [Unusable].
func (h *History) Span(run journal.Run) (begin, end int64, err error) {
	begin, end = run.Start-int64(longestGap), run.End+int64(afterRun)
	if run.End == 0 {
		last, err := h.Reader.LastCommit()
		if err != nil {
			return 0, 0, err
		}
		if time.Since(time.Unix(0, last)) < silentFor {
			return 0, 0, Unusable{errors.New("it is still going on; it ends when the spindle has stood still for two minutes")}
		}
		h.note("%s was never ended, the agent stopped in it: it is read to the end of the record", run.Name)
		end = run.Start + int64(longestRun)
	}
	all, err := h.Reader.Runs()
	if err != nil {
		return 0, 0, err
	}
	for _, other := range all {
		switch {
		case other.Start > run.Start:
			end = min(end, other.Start)
		case other.Start < run.Start:
			begin = max(begin, min(other.End, run.Start))
		}
	}
	if limit := run.Start + int64(longestRun); end > limit {
		h.note("%s: no more than its first %v are read", run.Name, longestRun)
		end = limit
	}
	return begin, end, nil
}
