package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/detect"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
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
		Long: `Detect puts a log of the machine (spindle speed and tool temperature among its columns) through what the
agent judges its frames by: sensors, the faults that show in the machine's own signals, and with -m what
the model says to them.

Any other log, and with --train or --good a machine's too, it watches channel by channel and together:
trained on a stretch of rows that are good, it flags the rows in which levels, relations between channels
or their dispersion have left what that stretch showed. A flag of a row rests on that row and those
before it.

Any CSV will do: each column of numbers is a channel; columns that are labels by their name (anomaly,
changepoint, label, ...) are never read. Rows are counted from 0.

Events go to -o as lines of JSON: code, start, end, confidence, contributions of the channels (they add
up to 1), what usually causes it, what to do. --flags writes one line for each data row:
log,t_index,anomaly,score,code; a score above 1 is beyond the limit. Whatever is found, the exit code
is 0.`,
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
	c.Flags().StringVar(&f.good, "good", "", "`log` to train on instead of on the start of each; --train then says which of its rows, left out, all")
	c.Flags().StringVarP(&f.model, "model", "m", "", "`file` of the machine's model: what it says to a machine's log is judged as well")
	c.Flags().StringVarP(&f.config, "config", "c", "", "configuration `file` whose channels and log mapping say what the columns are, and whose limits are judged")
	c.Flags().StringVarP(&f.out, "output", "o", "", "`file` for the events, one JSON object a line, - for standard output; left out, they are printed for people")
	c.Flags().StringVar(&f.flags, "flags", "", "`file` for the flags of each row, - for standard output")
	c.Flags().StringSliceVar(&f.ignore, "ignore", nil, "`channel` that is not to be watched; repeatable, or several apart by commas")
	c.Flags().Float64Var(&f.falseAlarms, "false-alarms", 0.001, "share of good rows that may be beyond a limit")
	c.Flags().DurationVar(&f.adapt, "adapt", 0, "time in which the reference follows a level that is not flagged, such as 48h; 0: never")
	f.logs.add(c)
	return c
}

// session checks the flags and reads what they name.
func (f *detectFlags) session(stderr io.Writer) (*detect.Session, error) {
	switch {
	case f.falseAlarms <= 0 || f.falseAlarms > 0.1:
		return nil, coded{fmt.Errorf("--false-alarms %g: use more than 0 and at most 0.1", f.falseAlarms), exitUsage}
	case f.adapt < 0:
		return nil, coded{fmt.Errorf("--adapt %v: use 0 or more", f.adapt), exitUsage}
	case f.out == "-" && f.flags == "-":
		return nil, coded{errors.New("-o - and --flags -: only one can go to standard output"), exitUsage}
	}
	s := &detect.Session{
		Options: detect.Options{FalseAlarms: f.falseAlarms, Adapt: f.adapt.Seconds()},
		Watch:   f.train != "" || f.good != "", Ignore: f.ignore,
		Told: func(text string) { fmt.Fprintln(stderr, text) },
	}
	switch {
	case f.train != "":
		good, err := detect.ParseStretch(f.train)
		if err != nil {
			return nil, coded{fmt.Errorf("--train %w", err), exitUsage}
		}
		s.Good = good
	case f.good != "":
		s.Good.Part = 1
	default:
		s.Good.Part = 4
	}
	var err error
	if f.model != "" {
		s.Model, err = model.Load(f.model)
	}
	return s, err
}

func detectRuns(cmd *cobra.Command, f *detectFlags, paths []string) (err error) {
	session, err := f.session(cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if err := writable(f.out, f.flags); err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	open, limits, err := f.opener()
	if err != nil {
		return err
	}
	session.Limits = limits
	if f.good != "" {
		run, _, err := open(f.good)
		if err != nil {
			return err
		}
		if err := session.Train(run); err != nil {
			return err
		}
	}
	events, flags := io.Writer(nil), (*detect.FlagWriter)(nil)
	if f.out != "" {
		w, done, oerr := output(cmd, f.out)
		if oerr != nil {
			return oerr
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
	for _, path := range paths {
		run, reg, err := open(path)
		if err != nil {
			return err
		}
		write := func(int, detect.Flag) {}
		if flags != nil {
			flags.Begin(run.Name)
			write = flags.Write
		}
		found, err := session.Judge(run, reg, write)
		for _, text := range run.Remarks() {
			fmt.Fprintln(stderr, text)
		}
		if err != nil {
			return err
		}
		if flags != nil {
			flags.End(run.Rows())
		}
		if events != nil {
			if err := detect.WriteEvents(events, found); err != nil {
				return err
			}
		} else if f.flags != "-" {
			detect.PrintEvents(cmd.OutOrStdout(), run.Name, run.Rows(), found)
		}
	}
	return nil
}

// opener opens runs: by the mapping of a configuration, whose limits it gives, or as they describe themselves, or by what
// their columns hold.
func (f *detectFlags) opener() (open func(path string) (*detect.Run, *sensors.Registry, error), limits []agent.Limit, err error) {
	if f.config != "" {
		conf, err := config.Load(f.config)
		if err != nil {
			return nil, nil, err
		}
		reg, err := assemble.Registry(conf)
		if err != nil {
			return nil, nil, err
		}
		return func(path string) (*detect.Run, *sensors.Registry, error) {
			log, err := assemble.ReadRun(conf, reg, path)
			if err != nil {
				return nil, nil, err
			}
			return detect.OfLog(log), reg, nil
		}, assemble.Limits(conf, reg), nil
	}
	o, err := f.logs.options()
	return func(path string) (*detect.Run, *sensors.Registry, error) { return detect.Open(path, o) }, nil, err
}
