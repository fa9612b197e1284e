package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/cmd/screen"
	"stirwatch/firmware-bridge/twin/device"
	"stirwatch/firmware-bridge/twin/play"
	"stirwatch/sensors/runlog"
)

func playCommand() *cobra.Command {
	var o play.Options
	var rows string
	var logs logFlags
	c := &cobra.Command{
		Use:   "play RUN.csv --serial LINK --mqtt URL",
		Short: "Play a recorded run as devices would send it, to try an installation without a machine",
		Long: `Play stands in for a machine: it writes the tool thermocouple to a pseudo terminal, to which LINK points
while it plays, and publishes forces and machine telemetry to an MQTT broker. Point the sources of
agent.yaml at both.

  serial:  csv "<ns>,<value>", keyvalue "ts=<ns> tool_temperature=<value>", json, or daq frames
  MQTT:    frame: <topic>/frame {"ts":…,"spindle_speed":…,…}
           flat:  <topic>/<channel> {"ts":…,"value":…,"unit":"rpm"}`,
		Example: `  stirwatch play build.csv --serial /tmp/thermocouple --mqtt tcp://127.0.0.1:1883
  stirwatch play build.csv --serial /tmp/thermocouple --speed 50
  stirwatch play build.csv --mqtt tcp://127.0.0.1:1883 --mqtt-format flat --loop --stamps now`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Serial == "" && o.MQTT == "" {
				return coded{fmt.Errorf("give --serial, --mqtt or both (see 'stirwatch play --help')"), exitUsage}
			}
			if !(o.Speed >= 0) {
				return coded{fmt.Errorf("--speed %g: use 1 for real time, 0 for as fast as possible, or any positive factor", o.Speed), exitUsage}
			}
			if rows != "" {
				from, to, _ := strings.Cut(rows, ":")
				var fromErr, toErr error
				o.From, fromErr = strconv.Atoi(from)
				o.To, toErr = strconv.Atoi(to)
				if fromErr != nil || toErr != nil {
					return coded{fmt.Errorf("--rows %q: write A:B, rows counted from 1, for example 100:400", rows), exitUsage}
				}
			}
			ro, err := logs.options()
			if err != nil {
				return err
			}
			log, err := runlog.Read(args[0], ro)
			if err != nil {
				return err
			}
			tellLog(cmd.ErrOrStderr(), log)
			p := screen.Progress{W: cmd.ErrOrStderr()}
			o.Progress = func(at play.Progress) {
				p.Show("%s: row %d of %d, %s", log.Name, at.Row, at.Rows, time.Unix(0, at.Time).UTC().Format("2006-01-02 15:04:05"))
			}
			sum, err := play.Run(cmd.Context(), log, o)
			p.Done()
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "played %d rows in %v: %d messages, %d sentinels, %d dropped, %d unacknowledged\n",
				sum.Rows, sum.Duration.Round(time.Millisecond), sum.Messages, sum.Sentinels, sum.Dropped, sum.Unacked)
			for _, name := range slices.Sorted(maps.Keys(sum.Samples)) {
				fmt.Fprintf(w, "  %-20s %d\n", name, sum.Samples[name])
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&o.Serial, "serial", "", "symbolic `link` to create to the thermocouple's pseudo terminal")
	f.StringVar((*string)(&o.SerialFormat), "serial-format", string(device.CSV), "csv, keyvalue, json or daq")
	f.StringVar(&o.MQTT, "mqtt", "", "`URL` of the broker, e.g. tcp://127.0.0.1:1883")
	f.StringVar((*string)(&o.MQTTFormat), "mqtt-format", string(device.Frame), "frame or flat")
	f.StringVar(&o.Topic, "topic", "afsd/cell1", "prefix of the topics")
	f.Float64Var(&o.Speed, "speed", 1, "factor on real time; 0: as fast as the peers take it")
	f.StringVar((*string)(&o.Stamps), "stamps", string(play.Recorded), "time in the messages: recorded or now")
	f.StringVar(&rows, "rows", "", "A:B plays only these rows, counted from 1, both included")
	f.BoolVar(&o.Loop, "loop", false, "begin again at the end, until Ctrl-C")
	f.BoolVar(&o.Hold, "hold", false, "wait while nobody reads the serial port instead of dropping lines")
	logs.add(c)
	return c
}
