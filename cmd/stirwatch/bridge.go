package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
)

func bridgeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "bridge",
		Short: "Commission the way to a controller: ask, read, and command under a lease",
		Long: `Bridge speaks to the controller of agent.yaml's bridge section, within its limits. Where the agent runs,
it carries this out: it has the port and the journal.

What a program that died has left under lease is shown and reverted before anything else.

Opening a port restarts many boards (an Arduino Uno is one), and their outputs go off: 'get --every'
keeps it open between readings.`,
		Example: `  stirwatch bridge probe
  stirwatch bridge get set_point
  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning" --dry-run
  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning"`,
	}
	c.AddCommand(bridgeProbeCommand(), bridgeGetCommand(), bridgeSetCommand())
	return c
}

// loadBridge reads the configuration and makes the bridge's options from it.
func loadBridge(path string) (*config.Config, bridge.Options, error) {
	conf, err := config.Load(path)
	if err != nil {
		return nil, bridge.Options{}, err
	}
	if conf.Bridge == nil {
		return nil, bridge.Options{}, coded{fmt.Errorf("%s has no bridge section: docs/bridge.md shows one for every kind of controller", path), exitConfig}
	}
	o, err := assemble.BridgeOptions(conf)
	if err != nil {
		return nil, o, coded{fmt.Errorf("%s: %w", path, err), exitConfig}
	}
	return conf, o, nil
}

func dryRunFlag(c *cobra.Command, dry *bool) {
	c.Flags().BoolVar(dry, "dry-run", false, "print what would go on the wire, and open nothing")
}

// show prints what would go on the wire.
func show(w io.Writer, all []bridge.Shown, err error) error {
	for _, s := range all {
		fmt.Fprintln(w, s)
	}
	return err
}

func bridgeProbeCommand() *cobra.Command {
	var path string
	var dry bool
	c := &cobra.Command{
		Use:   "probe",
		Short: "Ask the controller who it is, and read every target and reading",
		Long: `Probe asks for the controller's identity or status, where its dialect knows such a question, and
reads every target and reading. It commands nothing, but reverts what a program that died has left
under lease.

Exit code 4: something did not answer.`,
		Example: `  stirwatch bridge probe
  stirwatch bridge probe --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			if dry {
				all, err := o.ShowSurvey()
				return show(cmd.OutOrStdout(), all, err)
			}
			asked, err := assemble.Ask(cmd.Context(), conf, o, cmd.ErrOrStderr())
			if err != nil {
				return coded{err, exitFound}
			}
			defer asked.Close()
			all, err := asked.Survey(cmd.Context())
			if err != nil {
				return err
			}
			return printAnswers(cmd.OutOrStdout(), all)
		},
	}
	configFlag(c, &path)
	dryRunFlag(c, &dry)
	return c
}

// printAnswers prints what the controller has answered; what it has not is an error.
func printAnswers(w io.Writer, all []agent.Answer) error {
	t := newTable(w)
	failed := 0
	for _, a := range all {
		if a.Error != "" {
			failed++
		}
		switch {
		case a.Name == "": // who the controller is
			fmt.Fprintln(w, cmp.Or(a.Error, a.Text))
		case a.Error != "":
			fmt.Fprintf(t, "%s\t-\t%s\n", a.Name, a.Error)
		default:
			fmt.Fprintf(t, "%s\t%s\t%s\n", a.Name, a.Text, a.Limits)
		}
	}
	t.Flush()
	if failed > 0 {
		return coded{fmt.Errorf("%d questions were not answered", failed), exitFound}
	}
	return nil
}

func bridgeGetCommand() *cobra.Command {
	var path string
	var dry bool
	var every time.Duration
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Read one target or reading from the controller",
		Long: `Get reads one target or reading. It commands nothing, but reverts what a program that died has left
under lease. Opening a port restarts many boards, and their outputs go off: with --every the port
stays open, and the value is read again and again until Ctrl-C.`,
		Example: `  stirwatch bridge get set_point
  stirwatch bridge get set_point --every 2s
  stirwatch bridge get set_point --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			if !slices.Contains(o.Names(), args[0]) {
				return coded{fmt.Errorf("neither a target nor a reading has the name %s; there are %s", args[0], strings.Join(o.Names(), ", ")), exitUsage}
			}
			if dry {
				all, err := o.ShowGet(args[0])
				return show(cmd.OutOrStdout(), all, err)
			}
			asked, err := assemble.Ask(cmd.Context(), conf, o, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer asked.Close()
			return get(cmd, asked, args[0], every)
		},
	}
	configFlag(c, &path)
	dryRunFlag(c, &dry)
	c.Flags().DurationVar(&every, "every", 0, "read again at this interval, over one connection, e.g. 2s; 0: once")
	return c
}

// get prints a value once or, where every is positive, at that interval.
func get(cmd *cobra.Command, asked assemble.Asked, name string, every time.Duration) error {
	ctx := cmd.Context()
	for {
		q, err := asked.Read(ctx, name)
		switch {
		case err == nil:
			fmt.Fprintln(cmd.OutOrStdout(), q)
		case every <= 0 || ctx.Err() != nil || errors.Is(err, bridge.ErrNoReadBack):
			return err
		default:
			fmt.Fprintln(cmd.ErrOrStderr(), err)
		}
		if every <= 0 {
			return nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return nil
		}
	}
}

func bridgeSetCommand() *cobra.Command {
	var path, who, why string
	var dry bool
	var length time.Duration
	c := &cobra.Command{
		Use:   "set TARGET VALUE",
		Short: "Command a value under a lease; at its end the target reverts to its safe state",
		Long: `Set commands one target, within the limits of the configuration, holds the value for the time of --for and
then lets the target revert to its safe state. Ctrl-C, or a terminal that hangs up, reverts at once. It
goes on trying to reach the safe state for as long as it lives; a second Ctrl-C gives that up and says
what it leaves behind. What was asked, given, read back and decided goes to the journal, with who and why:
--why is needed, but for --dry-run. Where the agent runs, a loop that has the target lets go of it and
waits for a person (stirwatch control mode).

Exit code 1: the value was not confirmed (acknowledged and, where that can be, read back), or the safe
state not reached.`,
		Example: `  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning" --dry-run
  stirwatch bridge set set_point "455 °C" --for 30s --why "commissioning"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, o, err := loadBridge(path)
			if err != nil {
				return err
			}
			q, err := o.Quantity(args[0], args[1])
			if err != nil {
				return coded{err, exitUsage}
			}
			c := bridge.Command{Target: args[0], Value: q, For: length, Who: who, Why: why}
			if dry {
				held, err := o.ShowHold(c)
				if err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), held)
				return nil
			}
			if err := needReason(why); err != nil {
				return err
			}
			if a := assemble.Client(conf); a.Runs(cmd.Context()) {
				return setThrough(cmd.Context(), a, c, cmd.OutOrStdout())
			}
			defer outliveReader()() // the way to the safe state goes on
			abandon, done := onSecondSignal()
			defer done()
			err = assemble.Hold(cmd.Context(), conf, o, c, abandon, cmd.OutOrStdout())
			if errors.Is(err, bridge.ErrOnItsWay) {
				err = fmt.Errorf("%w; --for must be longer", err)
			}
			return err
		},
	}
	configFlag(c, &path)
	onRecord(c, &who, &why)
	c.Flags().DurationVar(&length, "for", 10*time.Second, "how long the value is held, ramp included; the time that the controller takes to start does not count")
	dryRunFlag(c, &dry)
	return c
}

// setThrough lets the running agent carry out a command, and prints what its bridge decides.
func setThrough(ctx context.Context, a agent.Client, c bridge.Command, w io.Writer) error {
	fmt.Fprintln(w, "through the running agent")
	err := a.Command(ctx, c, func(r agent.RecordText) { fmt.Fprintln(w, r.Text) })
	if err != nil && ctx.Err() != nil {
		fmt.Fprintln(w, "the agent reverts it")
		return ctx.Err()
	}
	return err
}
