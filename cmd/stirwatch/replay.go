package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"stirwatch/cmd/assemble"
	"stirwatch/cmd/screen"
	"stirwatch/config"
)

func replayCommand() *cobra.Command {
	var path, into, page string
	var replace bool
	var speed float64
	c := &cobra.Command{
		Use:   "replay RUN.csv",
		Short: "Put a recorded run through the whole agent, on the run's own time",
		Long: `Replay feeds the rows of a run log to the agent of a configuration: the same intake, estimate, anomalies,
advice and journal as 'run', without devices and without upload. It writes into a journal of its own, so
that the record of the machine stays as it is. Where that journal has readings of the run's time already,
nothing is written: the run would be there twice. --replace empties it first.

With --advice it also writes one page that needs nothing from elsewhere: the run, the set-point that was
advised beside the machine's own, and where that was called unreachable.`,
		Example: `  stirwatch replay 20250708104310.csv
  stirwatch replay -c agent.yaml --speed 1 build.csv      # in real time
  stirwatch replay build.csv --advice advice.html
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
			if err := writable(page); err != nil {
				return err
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
			p := screen.Progress{W: cmd.ErrOrStderr()}
			sum, err := assemble.Replay(cmd.Context(), conf, args[0], assemble.ReplayOptions{
				Speed: speed, Replace: replace, Log: assemble.Logger(conf.Log, cmd.ErrOrStderr()), Note: p.Note,
				Progress: func(row, rows int) { p.Show("row %d of %d", row, rows) },
			})
			p.Done()
			if there := new(assemble.ReplayedError); errors.As(err, &there) {
				return fmt.Errorf("%w. Add --replace to empty that journal first, or name another one with --into", err)
			}
			if err != nil {
				return err
			}
			if page != "" {
				advised, err := assemble.Advised(cmd.Context(), conf, args[0])
				if err != nil {
					return err
				}
				w, done, err := output(cmd, page)
				if err != nil {
					return err
				}
				if err := errors.Join(advised.Write(w), done()); err != nil {
					return err
				}
			}
			fmt.Fprintln(cmd.OutOrStdout(), sum)
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().StringVar(&into, "into", "stirwatch-data/replay.db", "journal `file` to write")
	c.Flags().BoolVar(&replace, "replace", false, "empty the journal of --into first")
	c.Flags().StringVar(&page, "advice", "", "HTML `file` to write what was advised on the run to")
	c.Flags().Float64Var(&speed, "speed", 0, "factor on real time; 0: as fast as possible")
	return c
}
