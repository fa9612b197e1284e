package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"stirwatch/agent/history"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/wire"
)

// This file holds the flags that say how run logs are read and which of their rows are used.

// logFlags say how run logs are written where they do not tell it themselves.
type logFlags struct{ units, decimal, thousands, dates string }

func (f *logFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.units, "units", "auto", "units of MELD logs: auto (told from the log), inch or mm")
	c.Flags().StringVar(&f.decimal, "decimal", "", "decimal separator of logs, . or ,; left out, their columns tell")
	c.Flags().StringVar(&f.thousands, "thousands", "", "thousands separator of logs, . or ,; left out, there is none")
	c.Flags().StringVar(&f.dates, "dates", "", "order of day and month in logs, dmy, mdy or ymd; left out, their columns tell")
}

// options reads the flags.
func (f *logFlags) options() (o runlog.Options, err error) {
	switch f.units {
	case "auto":
	case "inch":
		o.Units = runlog.Inch
	case "mm":
		o.Units = runlog.Millimetre
	default:
		return o, coded{fmt.Errorf("--units %s: use auto, inch or mm", f.units), exitUsage}
	}
	if o.Decimal, err = runlog.DecimalSign(f.decimal, f.thousands); err != nil {
		return o, coded{fmt.Errorf("--decimal, --thousands: %w", err), exitUsage}
	}
	if f.dates != "" {
		if o.Time.Order, err = wire.ParseDateOrder(f.dates); err != nil {
			return o, coded{fmt.Errorf("--dates: %w", err), exitUsage}
		}
	}
	return o, nil
}

// readRuns reads the channels named from run logs, and says what was found out about them.
func readRuns(w io.Writer, paths []string, flags logFlags, want model.Channels) ([]*runs.Run, error) {
	o, err := flags.options()
	if err != nil {
		return nil, err
	}
	all, err := history.Logs(paths, o, want, func(text string) { fmt.Fprintln(w, text) })
	if twice := new(history.OneRunError); errors.As(err, &twice) {
		err = coded{err, exitUsage}
	}
	return all, err
}

// tellLog says what was found out about a log.
func tellLog(w io.Writer, log *runlog.Log) {
	for _, text := range log.Remarks() {
		fmt.Fprintln(w, text)
	}
}

func rowsFlag(c *cobra.Command, rows *[]string) {
	c.Flags().StringArrayVar(rows, "rows", nil, "LOG=A:B sets the segment of a run by 0-based data rows, end exclusive, instead of finding it; repeatable")
}

// parseRows reads --rows.
func parseRows(settings []string) (runs.Segments, error) {
	all, err := runs.ParseSegments(settings)
	if err != nil {
		err = coded{fmt.Errorf("--rows %w", err), exitUsage}
	}
	return all, err
}

// checkRows checks that every segment is of a run there is, and says to w which reach beyond its end.
func checkRows(w io.Writer, segments runs.Segments, all []*runs.Run) error {
	if err := segments.Check(w, all); err != nil {
		return coded{fmt.Errorf("--rows: %w", err), exitUsage}
	}
	return nil
}
