package assemble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/journal"
	"stirwatch/config"
)

// ReplayOptions say how a recorded run is replayed.
type ReplayOptions struct {
	Speed    float64 // factor on real time, 0 for as fast as possible
	Replace  bool    // empty the journal first
	Log      *slog.Logger
	Note     func(text string)   // is told what was found out about the log
	Progress func(row, rows int) // of rows, from 1
}

// Replayed sums up a replay.
type Replayed struct {
	Log            string
	Rows           int
	Ticks, Records uint64
	Span, Took     time.Duration // of the machine, and of replaying
}

func (r Replayed) String() string {
	return fmt.Sprintf("%s: %d rows, %v of machine time, %d ticks, %d records in the journal\n%v, %.0f times real time",
		r.Log, r.Rows, r.Span.Round(time.Second), r.Ticks, r.Records, r.Took.Round(time.Millisecond), r.Span.Seconds()/r.Took.Seconds())
}

// ReplayedError says that a journal has readings of the time of a run already.
type ReplayedError struct{ Journal, Log string }

func (e *ReplayedError) Error() string {
	return fmt.Sprintf("%s has readings of the time of %s already: the run would be there twice", e.Journal, e.Log)
}

// Replay puts the run log at path through the agent of a configuration, into its journal, without devices. It fails with a
// [ReplayedError] where the run is there already.
func Replay(ctx context.Context, conf *config.Config, path string, o ReplayOptions) (sum Replayed, err error) {
	if o.Replace {
		if err := journal.Discard(conf.Abs(conf.Journal.Path)); err != nil {
			return sum, err
		}
	}
	cell, err := New(conf, o.Log, false)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, cell.Journal.Close()) }()
	log, err := ReadRun(conf, cell.Registry, path)
	if err != nil {
		return sum, err
	}
	first, last := log.Time[0], log.Time[len(log.Time)-1]
	there, err := cell.Journal.HoldsSamples(ctx, first, last)
	switch {
	case err != nil:
		return sum, err
	case there:
		return sum, &ReplayedError{string(conf.Journal.Path), log.Name}
	}
	for _, text := range log.Remarks() {
		o.Note(text)
	}
	sum = Replayed{Log: log.Name, Rows: len(log.Time), Span: time.Duration(last - first)}
	rows, row := log.Rows(cell.Registry), 0
	began := time.Now()
	sum.Ticks, err = cell.Agent.Replay(ctx, func() (agent.Row, bool) {
		row++
		o.Progress(row, sum.Rows)
		at, samples, ok := rows()
		return agent.Row{Time: at, Samples: samples}, ok
	}, o.Speed)
	if err != nil {
		return sum, err
	}
	if err := cell.Journal.Close(); err != nil {
		return sum, err
	}
	sum.Took, sum.Records = time.Since(began), cell.Journal.Stats().Lines
	return sum, nil
}
