package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/user"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
)

// runningAgent is the way to the agent that runs with this configuration, nil where none does.
func runningAgent(ctx context.Context, conf *config.Config) *api.Client {
	c := agentOf(conf)
	if !c.Runs(ctx) {
		return nil
	}
	return c
}

// surveyThrough prints what the controller answers to a running agent.
func surveyThrough(ctx context.Context, c *api.Client, w io.Writer) error {
	var all []agent.Answer
	if err := c.Do(ctx, http.MethodGet, "/bridge", nil, &all); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	failed := 0
	for _, a := range all {
		if a.Error != "" {
			failed++
			a.Text = "-"
			a.Limits = a.Error
		}
		if a.Name == "" {
			fmt.Fprintln(w, a.Text)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", a.Name, a.Text, a.Limits)
	}
	t.Flush()
	if failed > 0 {
		return coded{fmt.Errorf("%d questions were not answered", failed), exitFound}
	}
	return nil
}

// askThrough reads one value through the running agent.
func askThrough(c *api.Client, name string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		var a agent.Answer
		err := c.Do(ctx, http.MethodGet, "/bridge/"+url.PathEscape(name), nil, &a)
		return a.Text, err
	}
}

// setThrough lets the running agent carry out a command, and prints what its bridge decides.
func setThrough(ctx context.Context, c *api.Client, cmd bridge.Command, w io.Writer) error {
	fmt.Fprintln(w, "through the running agent")
	body, err := c.Stream(ctx, http.MethodPost, "/bridge/"+url.PathEscape(cmd.Target), agent.SetRequest{Value: cmd.Value.String(), For: cmd.For, Who: cmd.Who, Why: cmd.Why})
	if err != nil {
		return err
	}
	defer body.Close()
	for d := json.NewDecoder(body); ; {
		var t agent.Told
		switch err := d.Decode(&t); {
		case ctx.Err() != nil:
			fmt.Fprintln(w, "the agent reverts it")
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("the agent went away: %w; whatever uses this bridge next reverts what is under lease", err)
		case t.Record != nil:
			fmt.Fprintln(w, t.Record.Text)
		case t.Done && t.Error != "":
			return errors.New(t.Error)
		case t.Done:
			return nil
		}
	}
}

func controlCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "control",
		Short: "See and switch the loops of a running agent",
		Long: `Control speaks to the agent that runs with this configuration. A loop is off, advises, asks for each
change (confirm), or commands by itself (auto). docs/control.md says more.`,
		Example: `  stirwatch control
  stirwatch control mode tool auto --why "start of the build"
  stirwatch control mode tool advise --why "I take over"
  stirwatch control accept tool`,
	}
	var path string
	show := &cobra.Command{
		Use: "status", Short: "What every loop does, wants and holds", Args: cobra.NoArgs,
		Example: "  stirwatch control status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAgent(cmd, path, func(c *api.Client) error {
				var all []status
				if err := c.Do(cmd.Context(), http.MethodGet, "/control", nil, &all); err != nil {
					return err
				}
				return printLoops(cmd.OutOrStdout(), all)
			})
		},
	}
	var who, why string
	mode := &cobra.Command{
		Use: "mode LOOP off|advise|confirm|auto", Short: "Say how far a loop goes", Args: cobra.ExactArgs(2),
		Example: `  stirwatch control mode tool auto --why "start of the build"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if why == "" {
				return coded{errors.New("why? --why \"…\" goes on record"), exitUsage}
			}
			return withAgent(cmd, path, func(c *api.Client) error {
				var all []status
				err := c.Do(cmd.Context(), http.MethodPost, "/control/"+url.PathEscape(args[0])+"/mode", agent.ModeRequest{Mode: agent.Mode(args[1]), Who: who, Why: why}, &all)
				if err != nil {
					return err
				}
				return printLoops(cmd.OutOrStdout(), all)
			})
		},
	}
	accept := &cobra.Command{
		Use: "accept LOOP", Short: "Let a loop that asks command what it proposes now", Args: cobra.ExactArgs(1),
		Example: "  stirwatch control accept tool",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAgent(cmd, path, func(c *api.Client) error {
				var a agent.Answer
				if err := c.Do(cmd.Context(), http.MethodPost, "/control/"+url.PathEscape(args[0])+"/accept", agent.AcceptRequest{Who: who}, &a); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s commands %s\n", a.Name, a.Text)
				return nil
			})
		},
	}
	for _, sub := range []*cobra.Command{show, mode, accept} {
		configFlag(sub, &path)
		sub.Flags().StringVar(&who, "who", thisUser(), "who says so, for the record")
	}
	mode.Flags().StringVar(&why, "why", "", "why, for the record")
	c.AddCommand(show, mode, accept)
	return c
}

// thisUser is whose name goes on record.
func thisUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "command line"
}

func withAgent(cmd *cobra.Command, path string, do func(*api.Client) error) error {
	conf, err := config.Load(path)
	if err != nil {
		return err
	}
	return do(agentOf(conf))
}

// status is an [agent.LoopStatus] as it comes over the socket: what is not known is null.
type status struct {
	Name, Target, Mode, Why, OutputUnit, TargetUnit                   string
	Commands                                                          bool
	Goal, Output, Wanted, Held, Predicted, Without, Horizon, Accepted *float64
}

func printLoops(w io.Writer, all []status) error {
	if len(all) == 0 {
		fmt.Fprintln(w, "the agent has no loops: agent.yaml has no section control")
	}
	of := func(v *float64, unit string) string {
		if v == nil {
			return "–"
		}
		return fmt.Sprintf("%.4g %s", *v, unit)
	}
	for _, s := range all {
		does := "commands"
		if !s.Commands {
			does = "does not command"
		}
		fmt.Fprintf(w, "%s: %s, %s", s.Name, s.Mode, does)
		if s.Why != "" {
			fmt.Fprintf(w, " (%s)", s.Why)
		}
		fmt.Fprintf(w, "\n  output %s, goal %s; target %s wanted %s, holds %s\n", of(s.Output, s.OutputUnit), of(s.Goal, s.OutputUnit), s.Target, of(s.Wanted, s.TargetUnit), of(s.Held, s.TargetUnit))
		if s.Predicted != nil {
			fmt.Fprintf(w, "  in %s: %s expected, %s without it\n", of(s.Horizon, "s"), of(s.Predicted, s.OutputUnit), of(s.Without, s.OutputUnit))
		}
	}
	return nil
}
