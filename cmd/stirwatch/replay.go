package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/journal"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func replayCommand() *cobra.Command {
	var path, into string
	var replace bool
	var speed float64
	c := &cobra.Command{
		Use:   "replay RUN.csv",
		Short: "Put a recorded run through the whole agent, on the run's own time",
		Long: `Replay feeds the rows of a run log to the agent of a configuration: the same intake, estimate,
anomalies, advice and journal as 'run', without devices and without upload. It writes into a
journal of its own, so that the record of the machine stays as it is. Where that journal has readings
of the run's time already, nothing is written: the run would be there twice. --replace empties it first.`,
		Example: `  stirwatch replay 20250708104310.csv
  stirwatch replay -c agent.yaml --speed 1 build.csv      # in real time
  stirwatch replay --into replay.db --replace build.csv && stirwatch export --journal replay.db --wide`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			if speed < 0 {
				return coded{fmt.Errorf("--speed %g: use 0 (as fast as possible) or more", speed), exitUsage}
			}
			own, err := filepath.Abs(into) // seen from here, not from the configuration's folder
			if err != nil {
				return err
			}
			if machine, err := filepath.Abs(conf.Abs(conf.Journal.Path)); replace && (err != nil || own == machine) {
				return coded{fmt.Errorf("--replace: %s is the journal of the machine, which is not emptied; name another one with --into", into), exitUsage}
			}
			conf.Journal.Path = config.Path(own)
			conf.InfluxDB = nil
			return replayRun(cmd, conf, args[0], speed, replace)
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&into, "into", "stirwatch-data/replay.db", "journal to write")
	c.Flags().BoolVar(&replace, "replace", false, "empty the journal of --into first")
	c.Flags().Float64Var(&speed, "speed", 0, "factor on real time; 0: as fast as possible")
	return c
}

func replayRun(cmd *cobra.Command, conf *config.Config, path string, speed float64, replace bool) error {
	if replace {
		if err := journal.Discard(conf.Abs(conf.Journal.Path)); err != nil {
			return err
		}
	}
	cell, err := assemble.New(conf, assemble.Logger(conf.Log, cmd.ErrOrStderr()), false)
	if err != nil {
		return err
	}
	log, err := assemble.ReadRun(conf, cell.Registry, path)
	if err != nil {
		cell.Journal.Close()
		return err
	}
	if there, err := cell.Journal.HoldsSamples(cmd.Context(), log.Time[0], log.Time[len(log.Time)-1]); err != nil || there {
		if there {
			err = fmt.Errorf("%s has readings of the time of %s already: the run would be there twice. Add --replace to empty that journal first, or name another one with --into", conf.Journal.Path, log.Name)
		}
		return errors.Join(err, cell.Journal.Close())
	}
	tellLog(cmd.ErrOrStderr(), log)
	rows, total := log.Rows(cell.Registry), len(log.Time)
	p, n := progress{w: cmd.ErrOrStderr()}, 0
	began := time.Now()
	ticks, err := cell.Agent.Replay(cmd.Context(), func() (agent.Row, bool) {
		n++
		p.show("row %d of %d", n, total)
		at, samples, ok := rows()
		return agent.Row{Time: at, Samples: samples}, ok
	}, speed)
	p.done()
	if cerr := cell.Journal.Close(); err == nil {
		err = cerr
	}
	took := time.Since(began)
	if err != nil {
		return err
	}
	span := time.Duration(log.Time[total-1] - log.Time[0])
	s := cell.Journal.Stats()
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d rows, %v of machine time, %d ticks, %d records in the journal\n%v, %.0f times real time\n",
		log.Name, total, span.Round(time.Second), ticks, s.Lines, took.Round(time.Millisecond), span.Seconds()/took.Seconds())
	return nil
}
