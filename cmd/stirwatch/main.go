// Command stirwatch watches an additive friction stir deposition machine: it records, estimates,
// forecasts, raises anomalies and recommends.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"stirwatch/config"
)

var version = "development" // set by the linker

// Exit codes, for scripts.
const (
	exitFailure = 1 // what was asked could not be done
	exitUsage   = 2 // the command line is wrong
	exitConfig  = 3 // the configuration is wrong; every problem was printed
	exitFound   = 4 // it ran, and found something to mend (doctor, ports)
)

// helpWidth is how many columns help takes.
const helpWidth = 112

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (c coded) Unwrap() error { return c.error }

func main() {
	runtime.MemProfileRate = 0 // its tables take 1 MB; the debug listener asks for them
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	defer stop()
	// A second Ctrl-C ends the program even if a device hangs; `bridge set` says first what it leaves.
	context.AfterFunc(ctx, stop)
	os.Exit(execute(ctx, os.Args[1:]))
}

func execute(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch c, problems := (coded{}), (config.Problems{}); {
	case err == nil:
		return 0
	case errors.As(err, &problems):
		fmt.Fprintln(root.ErrOrStderr(), err)
		return exitConfig
	case errors.As(err, &c):
		fmt.Fprintf(root.ErrOrStderr(), "stirwatch: %v\n", err)
		return c.code
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 128 + int(syscall.SIGINT)
	default:
		fmt.Fprintf(root.ErrOrStderr(), "stirwatch: %v\n", err)
		return exitFailure
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "stirwatch",
		Short: "Edge agent for additive friction stir deposition machines",
		Long: `stirwatch stands beside an additive friction stir deposition machine. It reads thermocouples, forces and
machine telemetry (serial, MQTT, log files), keeps every sample in a journal and sends it to InfluxDB,
estimates the tool temperature with an equation learned from the machine's own runs, forecasts its next
minute, raises anomalies and alarms, and recommends set-points. It commands the machine only where a
bridge section of agent.yaml says what, and within which limits.

Exit codes: 0 done, 1 failed, 2 wrong command line, 3 wrong configuration, 4 something found, 130 Ctrl-C.`,
		Example: `  stirwatch demo                         # a simulated machine, nothing to install
  stirwatch config init > agent.yaml     # a commented configuration to start from
  stirwatch config check agent.yaml      # every mistake at once
  stirwatch doctor                       # can this machine reach what agent.yaml names?
  stirwatch run                          # watch the machine
  stirwatch watch                        # see what the running agent sees`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return coded{fmt.Errorf("%w (see '%s --help')", err, c.CommandPath()), exitUsage}
	})
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"machine", "Beside the machine:", []*cobra.Command{runCommand(), watchCommand(), alarmsCommand(), controlCommand(), whatifCommand(), bridgeCommand(), notifyCommand(), journalCommand(), exportCommand()}},
		{"setup", "To set it up:", []*cobra.Command{configCommand(), portsCommand(), doctorCommand(), userCommand()}},
		{"runs", "With recorded runs:", []*cobra.Command{learnCommand(), compareCommand(), equationCommand(), forecastCommand(), scoreCommand(), reportCommand(), detectCommand(), tuneCommand(), replayCommand()}},
		{"simulated", "Without a machine:", []*cobra.Command{demoCommand(), playCommand(), twinCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.AddCommand(versionCommand(), manCommand())
	root.SetUsageTemplate(strings.NewReplacer(
		"FlagUsages |", fmt.Sprintf("FlagUsagesWrapped %d |", helpWidth),
		"{{if .Runnable}}", "{{if and .Runnable (not .DisableFlagsInUseLine)}}", // a group alone does nothing
	).Replace(root.UsageTemplate()))
	root.SetVersionTemplate(versionText())
	root.InitDefaultCompletionCmd()
	usageErrors(root)
	return root
}

// usageErrors gives wrong arguments of every command the usage exit code and a way out.
func usageErrors(c *cobra.Command) {
	if c.HasSubCommands() && !c.Runnable() {
		c.Args, c.RunE, c.DisableFlagsInUseLine = cobra.ArbitraryArgs, group, true
	}
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return coded{fmt.Errorf("%w (see '%s --help')", err, c.CommandPath()), exitUsage}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageErrors(sub)
	}
}

// group shows what commands a command has, or says that it does not have the one given: cobra
// itself would show help and succeed.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	c.SuggestionsMinimumDistance = 2
	way := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		way = fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
	}
	return coded{fmt.Errorf("unknown command %q%s (see '%s --help')", args[0], way, c.CommandPath()), exitUsage}
}
