package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/agent/journal"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func journalCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "journal",
		Short: "Look after the journal: what waits, what was refused, what is missing",
		Example: `  stirwatch journal status
  stirwatch journal resend
  stirwatch journal confirm-clock --why "off over the summer"`,
	}
	c.AddCommand(journalStatusCommand(), journalResendCommand(), journalConfirmCommand())
	return c
}

// journalFlags name a journal: the file, else that of the configuration.
type journalFlags struct{ conf, file string }

func (f *journalFlags) add(c *cobra.Command) {
	configFlag(c, &f.conf)
	c.Flags().StringVar(&f.file, "journal", "", "journal `file` instead of the configuration's")
}

// resolve gives the path, with the configuration where there is one.
func (f *journalFlags) resolve() (path string, conf *config.Config, err error) {
	if f.file != "" {
		return f.file, nil, nil
	}
	if conf, err = config.Load(f.conf); err != nil {
		return "", nil, err
	}
	return conf.Abs(conf.Journal.Path), conf, nil
}

// open opens what resolve gives, for reading.
func (f *journalFlags) open() (*journal.Reader, *config.Config, error) {
	path, conf, err := f.resolve()
	if err != nil {
		return nil, nil, err
	}
	r, err := journal.OpenReader(path)
	return r, conf, err
}

func journalStatusCommand() *cobra.Command {
	var f journalFlags
	c := &cobra.Command{
		Use:   "status",
		Short: "Say what the journal holds, what waits to be sent, what was refused, removed and lost",
		Long: `Status reads the journal, also while an agent records into it. Exit code 4: lines were refused by
InfluxDB, or the record has gaps.`,
		Example: `  stirwatch journal status
  stirwatch journal status --journal stirwatch-data/journal.db.20260312T074410.000Z`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, conf, err := f.open()
			if err != nil {
				return err
			}
			defer r.Close()
			var opt journal.OverviewOptions
			if conf != nil {
				opt = journal.OverviewOptions{Size: assemble.JournalSize(conf), Keep: conf.Journal.Keep, Upload: conf.InfluxDB != nil}
			}
			o, err := r.Overview(opt)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), &o)
			switch lines := o.LinesRefused(); {
			case lines > 0:
				return coded{fmt.Errorf("InfluxDB has refused %d lines: mend the cause, then 'stirwatch journal resend'", lines), exitFound}
			case len(o.Gaps) > 0:
				return coded{fmt.Errorf("the record has %d gaps", len(o.Gaps)), exitFound}
			}
			return nil
		},
	}
	f.add(c)
	return c
}

func journalResendCommand() *cobra.Command {
	var f journalFlags
	c := &cobra.Command{
		Use:   "resend",
		Short: "Send the lines again that InfluxDB has refused",
		Long: `Resend asks that all lines that were set aside are sent again: by the agent that runs, within
seconds, else by the next that starts. Mend the cause first (the reasons: 'stirwatch journal status'),
such as a field that another program has written with another type; what is refused again is set
aside again.`,
		Example: `  stirwatch journal status        # what was refused, and why
  stirwatch journal resend`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, _, err := f.resolve()
			if err != nil {
				return err
			}
			n, err := journal.Resend(path)
			if err != nil {
				return err
			}
			if n == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "no line was refused")
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d lines will be sent again by the agent, within seconds if it runs\n", n)
			return nil
		},
	}
	f.add(c)
	return c
}

func journalConfirmCommand() *cobra.Command {
	var f journalFlags
	var who, why string
	c := &cobra.Command{
		Use:   "confirm-clock",
		Short: "Say that the clock is right, so that a long stop counts as age of the record",
		Long: `Confirm-clock says that the computer's clock is right. Records that are older than journal.keep are removed,
and age is counted in running time: a stop of the agent that is longer than a tenth of keep may be a clock
that was set wrong, and does not count until a person confirms the clock, or as much running time has
passed. 'stirwatch journal status' and 'stirwatch doctor' show what waits. Look at the computer's clock
first: what is too old by it is removed.

It asks the agent that runs; where none runs, the time since the end of the record counts. --why is
needed.`,
		Example: `  stirwatch journal status   # what waits, and since when
  stirwatch journal confirm-clock --why "off over the summer"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needReason(why); err != nil {
				return err
			}
			path, conf, err := f.resolve()
			if err != nil {
				return err
			}
			u, err := confirmClock(cmd.Context(), path, conf, agent.ConfirmRequest{Who: who, Why: why})
			if err != nil {
				return err
			}
			if u.Time <= 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing has waited for it")
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%.1f days since %s count as age of the record\n", u.Time.Hours()/24, u.Record.Format(time.DateTime))
			return nil
		},
	}
	f.add(c)
	onRecord(c, &who, &why)
	return c
}

// confirmClock asks the agent that runs with a configuration, where there is one and it does, or else the journal.
func confirmClock(ctx context.Context, path string, conf *config.Config, r agent.ConfirmRequest) (journal.Unconfirmed, error) {
	if conf != nil {
		if u, err := assemble.Client(conf).ConfirmClock(ctx, r); !errors.Is(err, api.ErrNoAgent) {
			return u, err
		}
	}
	return journal.ConfirmClock(path, assemble.WallClock(time.Now()), r.Who, r.Why)
}
