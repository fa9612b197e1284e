package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func runCommand() *cobra.Command {
	var path string
	var test time.Duration
	c := &cobra.Command{
		Use:   "run",
		Short: "Watch the machine: read, record, estimate, forecast, advise, upload",
		Long: `Run the agent in the foreground until Ctrl-C or SIGTERM. Everything goes to the journal first; with an
influxdb section it is uploaded from there, and with a notify section people are told of alarms. With a
bridge section it has the way to the controller: what a program that died has left under lease is
reverted, 'stirwatch bridge' goes through this agent, and loops of a control section command. The
effective configuration is logged at start, secrets hidden; so are anomalies, with what to do, and advice.

With --test it only reads the sources for some seconds and prints what each channel is, in its unit, and
what is missing: nothing is recorded, uploaded or commanded, and a broker keeps its messages for the
agent. Exit code 4: a channel that is wired has no good value, or a source has given nothing.`,
		Example: `  stirwatch run
  stirwatch run --test
  stirwatch run --test=20s
  stirwatch run -c /etc/stirwatch/agent.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			if test > 0 {
				return look(cmd, conf, test)
			}
			log := assemble.Logger(conf.Log, cmd.ErrOrStderr())
			return assemble.Run(cmd.Context(), conf, version, log, nil)
		},
	}
	configFlag(c, &path)
	c.Flags().DurationVar(&test, "test", 0, "read the sources for this long (--test alone: 5s), print what came, and end")
	c.Flags().Lookup("test").NoOptDefVal = "5s"
	return c
}

// look prints what the sources of a configuration give.
func look(cmd *cobra.Command, conf *config.Config, long time.Duration) error {
	seen, err := assemble.Look(cmd.Context(), conf, long)
	if err != nil {
		return err
	}
	if err := seen.Print(cmd.OutOrStdout(), long); err != nil {
		return err
	}
	if channels, sources := seen.Missing(); channels+sources > 0 {
		return coded{fmt.Errorf("no good value of %d channels, and nothing from %d sources, within %v", channels, sources, long), exitFound}
	}
	return nil
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "agent.yaml", "configuration `file`")
	c.MarkFlagFilename("config", "yaml", "yml")
}
