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

Any other log, and with --train or --good a machine's too, it watches channel by channel and together:
trained on a stretch of rows that are good, it flags the rows in which levels, relations between
channels or their restlessness have left what that stretch showed. A flag of a row rests on that row
and those before it.

Any CSV will do: each column of numbers is a channel; columns that are labels by their name
(anomaly, changepoint, label, ...) are never read. Rows are counted from 0.

Events go to -o as lines of JSON: code, start, end, confidence, contributions of the channels (they
add up to 1), what usually causes it, what to do. --flags writes one line for each data row:
log,t_index,anomaly,score,code; a score above 1 is beyond the limit. Whatever is found, the exit code is 0.`,
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
	c.Flags().StringVarP(&f.config, "config", "c", "", "configuration whose channels and log mapping say what the columns are, and whose limits are judged")
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
	session := detect.Session{
		Good: good, Options: opt, Watch: f.train != "" || f.good != "", Ignore: f.ignore,
		Told: func(text string) { fmt.Fprintln(told, text) },
	}
	if f.good != "" {
		log, _, err := f.read(told, f.good)
		if err != nil {
			return err
		}
		if err := session.Train(log); err != nil {
			return err
		}
	}
	if f.config != "" {
		conf, err := config.Load(f.config)
		if err != nil {
			return err
		}
		reg, err := assemble.Registry(conf)
		if err != nil {
			return err
		}
		session.Limits = assemble.Limits(conf, reg)
	}
	if f.model != "" {
		if session.Model, err = model.Load(f.model); err != nil {
			return err
		}
	}
	for _, path := range paths {
		log, reg, err := f.read(told, path)
		if err != nil {
			return err
		}
		t, of, found, err := session.Judge(log, reg)
		if err != nil {
			return err
		}
		if events != nil {
			if err := detect.WriteEvents(events, found); err != nil {
				return err
			}
		} else if f.flags != "-" {
			detect.PrintEvents(cmd.OutOrStdout(), t, found)
		}
		if flags != nil {
			flags.Write(t, of)
		}
	}
	return nil
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
	if log, reg, err = detect.Read(path, o); err == nil {
		tellLog(told, log)
	}
	return log, reg, err
}
