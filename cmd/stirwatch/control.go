package main

import (
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"stirwatch/agent"
)

func controlCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "control",
		Short: "See and switch the loops of a running agent",
		Long: `Control speaks to the agent that runs with this configuration. A loop is off, advises, asks for each
change (confirm), or commands by itself (auto); each change of that is on record with who and why.
docs/control.md says more.`,
		Example: `  stirwatch control status
  stirwatch control mode tool auto --why "start of the build"
  stirwatch control mode tool advise --why "I take over"
  stirwatch control accept tool`,
	}
	var path string
	show := &cobra.Command{
		Use: "status", Short: "Tell what every loop does, wants and holds", Args: cobra.NoArgs,
		Example: "  stirwatch control status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAgent(path, func(c agent.Client) error {
				all, err := c.Loops(cmd.Context())
				if err != nil {
					return err
				}
				return printLoops(cmd.OutOrStdout(), all)
			})
		},
	}
	var who, why string
	mode := &cobra.Command{
		Use: "mode LOOP off|advise|confirm|auto", Short: "Say how far a loop goes", Args: cobra.ExactArgs(2),
		Long: `Mode says how far a loop goes:

  off      it does nothing
  advise   it says what it would command
  confirm  it commands what a person accepts (stirwatch control accept)
  auto     it commands by itself

--why is needed: each change is on record. A loop that is put back from commanding gives its lease up, and
the target reverts to its safe state.`,
		Example: `  stirwatch control mode tool auto --why "start of the build"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needReason(why); err != nil {
				return err
			}
			return withAgent(path, func(c agent.Client) error {
				all, err := c.SetMode(cmd.Context(), args[0], agent.ModeRequest{Mode: agent.Mode(args[1]), Who: who, Why: why})
				if err != nil {
					return err
				}
				return printLoops(cmd.OutOrStdout(), all)
			})
		},
	}
	accept := &cobra.Command{
		Use: "accept LOOP", Short: "Let a loop that asks command what it proposes now", Args: cobra.ExactArgs(1),
		Long: `Accept is for a loop in the mode confirm: it commands the value that it proposes at this moment, and holds
it until another one is accepted. It is on record with your name.`,
		Example: "  stirwatch control accept tool",
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAgent(path, func(c agent.Client) error {
				a, err := c.Accept(cmd.Context(), args[0], agent.AcceptRequest{Who: who})
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s commands %s\n", a.Name, a.Text)
				return nil
			})
		},
	}
	for _, sub := range []*cobra.Command{show, mode, accept} {
		configFlag(sub, &path)
	}
	onRecord(mode, &who, &why)
	onRecord(accept, &who, nil)
	c.AddCommand(show, mode, accept)
	return c
}

// printLoops prints what every loop does; a value that is not known is a dash.
func printLoops(w io.Writer, all []agent.LoopStatus) error {
	if len(all) == 0 {
		fmt.Fprintln(w, "the agent has no loops: agent.yaml has no section control")
	}
	of := func(v float64, unit string) string {
		if math.IsNaN(v) {
			return "–"
		}
		return fmt.Sprintf("%.4g %s", v, unit)
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
		if !math.IsNaN(s.Predicted) {
			fmt.Fprintf(w, "  in %s: %s expected, %s without it\n", of(s.Horizon, "s"), of(s.Predicted, s.OutputUnit), of(s.Without, s.OutputUnit))
		}
	}
	return nil
}
