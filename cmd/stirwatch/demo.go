package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/cmd/demo"
)

func demoCommand() *cobra.Command {
	var length time.Duration
	var speed float64
	var mode string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch a simulated machine: no configuration, no server, nothing to install",
		Long: `Demo runs a simulated machine whose devices are as real ones: the thermocouple on a pseudo terminal,
forces and telemetry on an MQTT broker inside the program. With an equation learned from other builds of
it, it shows the agent at work: channels, temperature, forecast, anomalies, advice. The journal is its
store; everything is in a temporary folder and removed at the end. Where the output is no terminal, it
prints a line every two seconds and one for each change of an alarm.

With --mode auto the loop is closed: the same build of the same simulated machine runs twice, as fast as
it can, once with its own controller and once with the spindle led by prediction, and both are printed
side by side, with what that is worth; --for and --speed do not count then.`,
		Example: `  stirwatch demo
  stirwatch demo --for 30s
  stirwatch demo --speed 1
  stirwatch demo --mode auto`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if speed <= 0 || speed > 100 {
				return coded{fmt.Errorf("--speed %g: use more than 0 and at most 100", speed), exitUsage}
			}
			switch mode {
			case "advise":
				ctx, cancel := forAWhile(cmd.Context(), length)
				defer cancel()
				return demo.Run(ctx, demo.Options{Speed: speed, Version: version, Who: accountName()}, cmd.OutOrStdout(), cmd.ErrOrStderr())
			case "auto":
				return demo.CloseLoop(cmd.Context(), cmd.OutOrStdout())
			default:
				return coded{fmt.Errorf("--mode %q: use advise or auto", mode), exitUsage}
			}
		},
	}
	c.Flags().DurationVar(&length, "for", 0, "end after this time, e.g. 30s; 0: when you quit")
	c.Flags().StringVar(&mode, "mode", "advise", "advise: the agent watches; auto: it leads the spindle, beside the machine's own controller")
	c.Flags().Float64Var(&speed, "speed", 10, "factor on real time, up to 100")
	return c
}

// forAWhile is ctx with an end after length; 0 sets none.
func forAWhile(ctx context.Context, length time.Duration) (context.Context, context.CancelFunc) {
	if length <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, length)
}
