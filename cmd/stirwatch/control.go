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
	c.AddCommand(controlStatusCommand(), controlModeCommand(), controlAcceptCommand())
	return c
}

func controlStatusCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "status",
		Short:   "Tell what every loop does, wants and holds",
		Example: "  stirwatch control status",
		Args:    cobra.NoArgs,
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
	configFlag(c, &path)
	return c
}

func controlModeCommand() *cobra.Command {
	var path, who, why string
	c := &cobra.Command{
		Use:   "mode LOOP off|advise|confirm|auto",
		Short: "Say how far a loop goes",
		Long: `Mode says how far a loop goes:

  off      it does nothing
  advise   it says what it would command
  confirm  it commands what a person accepts (stirwatch control accept)
  auto     it commands by itself

--why is needed: each change is on record. A loop that is put back from commanding gives its lease up, and
the target reverts to its safe state.`,
		Example: `  stirwatch control mode tool auto --why "start of the build"`,
		Args:    cobra.ExactArgs(2),
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
	configFlag(c, &path)
	onRecord(c, &who, &why)
	return c
}

func controlAcceptCommand() *cobra.Command {
	var path, who string
	c := &cobra.Command{
		Use:   "accept LOOP",
		Short: "Let a loop that asks command what it proposes now",
		Long: `Accept is for a loop in the mode confirm: it commands the value that it proposes at this moment, and holds
it until another one is accepted. It is on record with your name.`,
		Example: "  stirwatch control accept tool",
		Args:    cobra.ExactArgs(1),
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
	configFlag(c, &path)
	onRecord(c, &who, nil)
	return c
}

// printLoops prints the status of every loop; a value that is not known is printed as a dash.
func printLoops(w io.Writer, all []agent.LoopStatus) error {
	if len(all) == 0 {
		fmt.Fprintln(w, "the agent has no loops: agent.yaml has no section control")
	}
	quantity := func(v float64, unit string) string {
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
		fmt.Fprintf(w, "\n  output %s, goal %s; target %s wanted %s, holds %s\n", quantity(s.Output, s.OutputUnit), quantity(s.Goal, s.OutputUnit),
			s.Target, quantity(s.Wanted, s.TargetUnit), quantity(s.Held, s.TargetUnit))
		if !math.IsNaN(s.Predicted) {
			fmt.Fprintf(w, "  in %s: %s expected, %s without it\n", quantity(s.Horizon, "s"), quantity(s.Predicted, s.OutputUnit), quantity(s.Without, s.OutputUnit))
		}
	}
	return nil
}
