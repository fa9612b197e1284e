package main

import (
	"github.com/spf13/cobra"

	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func runCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "run",
		Short: "Watch the machine: read, record, estimate, forecast, advise, upload",
		Long: `Run the agent in the foreground until Ctrl-C or SIGTERM. Everything goes to the journal first;
with an influxdb section it is uploaded from there. With a bridge section it has the way to the
controller: what a program that died has left under lease is reverted, 'stirwatch bridge' speaks through
this one, and loops of a control section command. The effective configuration is logged at
start, secrets hidden.`,
		Example: `  stirwatch run
  stirwatch run -c /etc/stirwatch/agent.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			log := assemble.Logger(conf.Log, cmd.ErrOrStderr())
			return assemble.Run(cmd.Context(), conf, version, log, nil)
		},
	}
	configFlag(c, &path)
	return c
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "agent.yaml", "configuration file")
	c.MarkFlagFilename("config", "yaml", "yml")
}
