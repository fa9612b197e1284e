package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent/doctor"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func doctorCommand() *cobra.Command {
	var path string
	var patience time.Duration
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Try everything that agent.yaml names: model, disk, sources, InfluxDB",
		Long: `Doctor checks the configuration, the model, the clock and who may read secrets; opens each source for a
few seconds and says what came in; tries whether the journal's folder can be written; and writes a record
of each measurement to InfluxDB (machine=stirwatch doctor) and reads it back. It says how fast the journal
fills and which lines InfluxDB has refused. What a program that died has left under lease of the bridge is
reverted; otherwise the controller is left alone, as are the agent's journal and its broker's session.
Where the agent is running it has the ports, and is asked how its sources do.

Exit code 4: something is to be mended; each line says what.`,
		Example: `  stirwatch doctor
  stirwatch doctor -c /etc/stirwatch/agent.yaml --patience 20s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			bad := 0
			tell := func(f doctor.Finding) {
				if !f.OK {
					bad++
				}
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			tell(doctor.Finding{OK: true, What: "configuration", Text: path + ": " + conf.InShort()})
			if d, err := assemble.Doctor(conf, patience, cmd.OutOrStdout()); err != nil {
				tell(doctor.Finding{What: "channels", Text: err.Error()})
			} else {
				d.Found = tell
				d.Examine(cmd.Context())
			}
			if bad > 0 {
				return coded{fmt.Errorf("to be mended: %d", bad), exitFound}
			}
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().DurationVar(&patience, "patience", 5*time.Second, "how long each source may take to say something")
	return c
}
