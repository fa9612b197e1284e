package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent/detect"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// detectFlags are those of `detect`.
type detectFlags struct {
	config, model, train, good, out, flags string
	ignore                                 []string
	falseAlarms                            float64
	adapt                                  time.Duration
	logs                                   logFlags
}

func detectCommand() *cobra.Command {
	var f detectFlags
	c := &cobra.Command{
		Use:   "detect RUN.csv...",
		Short: "Find anomalies in recorded runs, of the machine or of any process",
		Long: `Detect puts a log of the machine (spindle speed and tool temperature among its columns) through
what the agent judges its frames by: sensors, the faults that show in the machine's own signals,
and with -m what the model says to them.

Of any other log, and with --train or --good, it watches all channels of a run log or CSV, alone and together: it is trained on a stretch of
rows that are good, and flags the rows in which levels, relations between channels or their
restlessness have left what that stretch showed. A flag of a row rests on that row and those
before it.

Any CSV will do: each column of numbers is a channel; columns that are labels by their name
(anomaly, changepoint, label, ...) are never read. Rows are counted from 0.

Events go to -o as lines of JSON: code, start, end, confidence, contributions of the channels (they
add up to 1), what usually causes it, what to do. --flags writes one line for each data row:
log,t_index,anomaly,score,code.`,
		Example: `  stirwatch detect build.csv
  stirwatch detect --train 400 pump.csv
  stirwatch detect --train 400 -o events.jsonl --flags flags.csv loop1.csv loop2.csv
  stirwatch detect --train 200:900 --ignore ambient build.csv
  stirwatch detect --good january.csv february.csv march.csv
  stirwatch detect --train 4000 --adapt 240h temperatures.csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return detectRuns(cmd, &f, args) },
	}
	c.Flags().StringVar(&f.train, "train", "", "good rows to train on: N for the first N data rows, or A:B, counted from 0, end exclusive; left out, the first quarter")
	c.Flags().StringVar(&f.good, "good", "", "run to train on instead of on the start of each; --train then says which of its rows, left out, all")
	c.Flags().StringVarP(&f.model, "model", "m", "", "model document of the machine: what it says to a machine's log is judged as well")
	c.Flags().StringVarP(&f.config, "config", "c", "", "configuration whose channels and log mapping say what the columns are")
	c.Flags().StringVarP(&f.out, "output", "o", "", "file for the events, one JSON object a line, - for standard output; left out, they are printed for people")
	c.Flags().StringVar(&f.flags, "flags", "", "file for the flags of each row, - for standard output")
	c.Flags().StringSliceVar(&f.ignore, "ignore", nil, "channels that are not to be watched")
	c.Flags().Float64Var(&f.falseAlarms, "false-alarms", 0.001, "share of good rows that may be beyond a limit")
	c.Flags().DurationVar(&f.adapt, "adapt", 0, "time in which the reference follows a level that is not flagged, such as 48h; 0: never")
	f.logs.add(c)
	return c
}

// options checks the flags.
func (f *detectFlags) options() (good func(rows int) detect.Stretch, opt detect.Options, err error) {
	fail := func(format string, args ...any) (func(int) detect.Stretch, detect.Options, error) {
		return nil, opt, coded{fmt.Errorf(format, args...), exitUsage}
	}
	if f.falseAlarms <= 0 || f.falseAlarms > 0.1 {
		return fail("--false-alarms %g: use more than 0 and at most 0.1", f.falseAlarms)
	}
	if f.adapt < 0 {
		return fail("--adapt %v: use 0 or more", f.adapt)
	}
	if f.out == "-" && f.flags == "-" {
		return fail("-o - and --flags -: only one can go to standard output")
	}
	opt.FalseAlarms, opt.Adapt = f.falseAlarms, f.adapt.Seconds()
	if f.train == "" {
		part := 4
		if f.good != "" {
			part = 1
		}
		return func(rows int) detect.Stretch { return detect.Stretch{To: rows / part} }, opt, nil
	}
	a, b, span := strings.Cut(f.train, ":")
	if !span {
		a, b = "0", a
	}
	from, err1 := strconv.Atoi(a)
	to, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil || from < 0 || to <= from {
		return fail("--train %s: write N, or A:B with A below B, such as 400 or 200:900", f.train)
	}
	return func(int) detect.Stretch { return detect.Stretch{From: from, To: to} }, opt, nil
}

func detectRuns(cmd *cobra.Command, f *detectFlags, paths []string) (err error) {
	good, opt, err := f.options()
	if err != nil {
		return err
	}
	if err := writable(f.out, f.flags); err != nil {
		return err
	}
	events, flags := io.Writer(nil), (*detect.FlagWriter)(nil)
	if f.out != "" {
		w, done, err := output(cmd, f.out)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, done()) }()
		events = w
	}
	if f.flags != "" {
		w, done, oerr := output(cmd, f.flags)
		if oerr != nil {
			return oerr
		}
		flags = detect.NewFlagWriter(w)
		defer func() { err = errors.Join(err, flags.Flush(), done()) }()
	}
	told := cmd.ErrOrStderr()
	var trained *detect.Table
	var fit *detect.Fit
	train := func(t *detect.Table) (err error) {
		stretch := good(t.Rows)
		if fit, err = detect.Train(t, stretch, opt); err == nil {
			trained = t
			tellFit(told, t, stretch, fit)
		}
		return err
	}
	if f.good != "" {
		t, err := f.table(told, f.good)
		if err != nil {
			return err
		}
		if err := train(t); err != nil {
			return err
		}
	}
	var m *model.Model
	if f.model != "" {
		if m, err = model.Load(f.model); err != nil {
			return err
		}
	}
	for _, path := range paths {
		log, reg, err := f.read(told, path)
		if err != nil {
			return err
		}
		t, err := f.chosen(log)
		if err != nil {
			return err
		}
		var of []detect.Flag
		var found []detect.Event
		machine := detect.IsMachine(log)
		switch {
		case m != nil && !machine:
			return fmt.Errorf("%s: -m judges a machine's log, which has spindle speed and tool temperature; this one has %s", path, strings.Join(t.Channel, ", "))
		case machine:
			if of, found, err = detect.Machine(log, reg, m); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		if f.train != "" || f.good != "" || !machine {
			if f.good == "" {
				err = train(t)
			} else {
				err = t.Order(trained.Channel)
			}
			if err != nil {
				return err
			}
			flagged, more := detect.Judge(t, fit)
			if machine {
				flagged = detect.Merge(of, flagged)
			}
			of, found = flagged, append(found, more...)
		}
		if events != nil {
			if err := detect.WriteEvents(events, found); err != nil {
				return err
			}
		} else if f.flags != "-" {
			tellEvents(cmd.OutOrStdout(), t, found)
		}
		if flags != nil {
			flags.Write(t, of)
		}
	}
	return nil
}

// table reads a log as a table.
func (f *detectFlags) table(told io.Writer, path string) (*detect.Table, error) {
	log, _, err := f.read(told, path)
	if err != nil {
		return nil, err
	}
	return f.chosen(log)
}

// chosen is a log as a table, without the channels to be ignored.
func (f *detectFlags) chosen(log *runlog.Log) (*detect.Table, error) {
	t := detect.FromLog(log)
	if err := t.Leave(f.ignore); err != nil {
		return nil, coded{fmt.Errorf("--ignore: %w", err), exitUsage}
	}
	return t, nil
}

// read reads a log: by the mapping of a configuration, or as it describes itself, or by what its columns hold.
func (f *detectFlags) read(told io.Writer, path string) (log *runlog.Log, reg *sensors.Registry, err error) {
	if f.config != "" {
		conf, err := config.Load(f.config)
		if err != nil {
			return nil, nil, err
		}
		if reg, err = assemble.Registry(conf); err != nil {
			return nil, nil, err
		}
		log, err = assemble.ReadRun(conf, reg, path)
		return log, reg, err
	}
	o, err := f.logs.options()
	if err != nil {
		return nil, nil, err
	}
	o, notes, err := runlog.Discover(path, o)
	if err != nil {
		return nil, nil, err
	}
	if log, err = runlog.Read(path, o); err != nil {
		return nil, nil, err
	}
	log.Notes = append(notes, log.Notes...)
	tellLog(told, log)
	reg, err = detect.Registry(log)
	return log, reg, err
}

// tellFit says what was trained on, and what is not watched.
func tellFit(w io.Writer, t *detect.Table, s detect.Stretch, fit *detect.Fit) {
	used, aside := fit.Rows()
	fmt.Fprintf(w, "%s: %d channels are watched, trained on %d rows (%d:%d), of which %d are set aside as outliers\n", t.Log, len(fit.Watched()), used, s.From, s.To, aside)
	for _, u := range fit.Unwatched() {
		fmt.Fprintf(w, "%s: %s is not watched: %s\n", t.Log, t.Channel[u.Channel], u.Why)
	}
}

// tellEvents prints events for people.
func tellEvents(w io.Writer, t *detect.Table, events []detect.Event) {
	if len(events) == 0 {
		fmt.Fprintf(w, "%s: nothing found in %d rows\n", t.Log, t.Rows)
	}
	for _, e := range events {
		fmt.Fprintf(w, "%s: rows %d–%d, %s to %s: %s (%s), confidence %.2f\n", e.Log, e.From, e.To,
			e.Start.Format(time.DateTime), e.End.Format(time.DateTime), e.What, e.Code, e.Confidence)
		var parts []string
		for i, c := range e.Contributions {
			if i == 4 || c.Share < 0.05 {
				break
			}
			part := fmt.Sprintf("%s %.0f %%", c.Channel, 100*c.Share)
			if c.Deviation != 0 {
				part += fmt.Sprintf(" (%+.1f sd)", c.Deviation)
			}
			parts = append(parts, part)
		}
		fmt.Fprintf(w, "    carried by %s\n    usually: %s\n    do: %s\n", strings.Join(parts, ", "), e.Cause, e.Response)
	}
}
