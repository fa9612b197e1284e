package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/cmd/screen"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/firmware-bridge/twin/device"
)

func twinCommand() *cobra.Command {
	var o twin.Options
	var material, program, begin string
	var faults, operator []string
	c := &cobra.Command{
		Use:   "twin --serial LINK --controller LINK --mqtt URL --log-dir DIR",
		Short: "Run a simulated machine that speaks the real protocols, with faults on command",
		Long: `Twin simulates a deposition machine: its physics, its own controller, feed and path, operator and faults.
Each device that is named is offered as the real one would be:

  --serial      tool thermocouple ("<ns>,<value>" lines and others) or, with --serial-format daq,
                a board with thermocouples and forces
  --controller  takes M-codes ("M41 S475", "?"), answers "ok" or "error: …"
  --mqtt        <topic>/frame {"ts":…,"spindle_speed":…,…} or, with --mqtt-format flat,
                <topic>/<channel> {"ts":…,"value":…,"unit":"rpm"}; the ground truth in <topic>/truth;
                <topic>/fault takes faults while it runs: "jam+30s:0.8", "clear"
  --log-dir     the machine's growing CSV log
  --truth       the ground truth (true temperatures, phase, faults), JSON lines

A fault is KIND@ONSET+LENGTH:SEVERITY; without a length it stays, without a severity it is 1. Kinds:
` + twin.KindList() + `

At least one device must be named. docs/twin.md describes everything.`,
		Example: `  stirwatch twin --serial /tmp/daq --serial-format daq --mqtt tcp://127.0.0.1:1883 --speed 10
  stirwatch twin --controller /tmp/machine --log-dir logs --fault jam@300s+30s:0.8 --truth truth.jsonl
  stirwatch twin --log-dir logs --speed 0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Serial == "" && o.Controller == "" && o.MQTT == "" && o.LogDir == "" && o.Truth == "" {
				return coded{errors.New("give --serial, --controller, --mqtt, --log-dir or --truth (see 'stirwatch twin --help')"), exitUsage}
			}
			var err error
			if o.Params, err = twin.Load(material); err != nil {
				return coded{err, exitUsage}
			}
			for _, s := range faults {
				f, err := twin.ParseFault(s)
				if err != nil {
					return coded{err, exitUsage}
				}
				o.Faults = append(o.Faults, f)
			}
			for _, s := range operator {
				t, err := twin.ParseTimed(s)
				if err != nil {
					return coded{fmt.Errorf("--operator %w", err), exitUsage}
				}
				o.Operator = append(o.Operator, t)
			}
			if program != "" {
				text, err := os.ReadFile(program)
				if err != nil {
					return err
				}
				if o.Program, err = twin.ParseProgram(string(text)); err != nil {
					return fmt.Errorf("program %s: %w", program, err)
				}
			}
			if begin != "" {
				if o.Begin, err = time.Parse(time.RFC3339, begin); err != nil {
					return coded{fmt.Errorf("--begin %q: write a time such as 2025-07-08T10:43:15Z", begin), exitUsage}
				}
			}
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			p := screen.Progress{W: cmd.ErrOrStderr()}
			o.Progress = func(r *twin.Row) {
				p.Show("%s", r)
			}
			sum, err := twin.Run(cmd.Context(), o)
			p.Done()
			fmt.Fprintf(cmd.OutOrStdout(), "simulated %v in %v: %d builds ended, %d rows; %d serial messages, %d published, %d logged, %d commands answered, %d dropped\n",
				sum.Simulated.Round(time.Second), sum.Duration.Round(time.Millisecond), sum.Builds, sum.Rows, sum.Serial, sum.Published, sum.Logged, sum.Commands, sum.Dropped)
			return err
		},
	}
	f := c.Flags()
	c.PersistentFlags().StringVar(&material, "material", "6061", "shipped material ("+strings.Join(twin.Materials(), ", ")+") or a parameter file")
	c.PersistentFlags().Uint64Var(&o.Seed, "seed", 1, "equal seeds give equal runs")
	f.StringVar(&o.Serial, "serial", "", "symbolic `link` to create to the thermocouple's pseudo terminal")
	f.StringVar((*string)(&o.SerialFormat), "serial-format", string(device.CSV), "csv, keyvalue, json or daq")
	f.Float64Var(&o.SerialRate, "serial-rate", 0, "messages a second, up to 50; 0: 1, and 10 of daq")
	f.StringVar(&o.Controller, "controller", "", "symbolic `link` to create to the controller's pseudo terminal")
	f.StringVar(&o.MQTT, "mqtt", "", "`URL` of the broker, e.g. tcp://127.0.0.1:1883")
	f.StringVar((*string)(&o.MQTTFormat), "mqtt-format", string(device.Frame), "frame or flat")
	f.StringVar(&o.Topic, "topic", "afsd/cell1", "prefix of the topics")
	f.StringVar(&o.LogDir, "log-dir", "", "`directory` for the machine's CSV log")
	f.StringVar(&o.Truth, "truth", "", "`file` for the ground truth, JSON lines")
	f.StringVar(&program, "program", "", "`file` of M- and G-codes; left out, a build of two bars")
	f.StringArrayVar(&operator, "operator", nil, "code that the operator gives at a time, e.g. '300s M52 S150'; in order of time, repeatable")
	f.StringArrayVar(&faults, "fault", nil, "KIND@ONSET+LENGTH:SEVERITY, severity 0 to 1, e.g. jam@120s+30s:0.8; repeatable")
	f.Float64Var(&o.Speed, "speed", 1, "factor on real time; 0: as fast as the peers take it")
	f.StringVar(&begin, "begin", "", "`time` stamp of the start, e.g. 2025-07-08T10:43:15Z; left out, now, and at --speed 0 such that the build ends now")
	f.BoolVar(&o.Now, "now", false, "stamp messages with the time of sending")
	f.BoolVar(&o.Loop, "loop", false, "build after build, until Ctrl-C")
	f.BoolVar(&o.Hold, "hold", false, "wait while nobody reads instead of dropping")
	f.BoolVar(&o.Vary, "vary", false, "vary the properties of the cell a little with the seed")
	c.AddCommand(twinControlCommand(), twinBatchCommand(&material, &o.Seed), twinCompareCommand(&material, &o.Seed))
	return c
}

func twinBatchCommand(material *string, seed *uint64) *cobra.Command {
	var builds int
	c := &cobra.Command{
		Use:   "batch",
		Short: "Simulate many different builds flat out, every second one with a fault, and sum up",
		Example: `  stirwatch twin batch --builds 1000 --seed 1
  stirwatch twin batch --builds 50 --material 7075`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if builds < 1 {
				return coded{errors.New("--builds: at least 1"), exitUsage}
			}
			p, err := twin.Load(*material)
			if err != nil {
				return coded{err, exitUsage}
			}
			s, err := twin.Batch(cmd.Context(), p, builds, *seed, nil)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "%d builds, %d with a fault, seeds %d to %d, material %s\n", s.Builds, s.Faulty, *seed, *seed+uint64(builds)-1, *material)
			fmt.Fprintln(w, s)
			return nil
		},
	}
	c.Flags().IntVar(&builds, "builds", 1000, "number of builds")
	return c
}

func twinCompareCommand(material *string, seed *uint64) *cobra.Command {
	var svg, page string
	c := &cobra.Command{
		Use:   "compare RUN.csv",
		Short: "Replay a recorded build's plan on the twin and compare both",
		Long: `Compare gives the twin the set-point, feed and traverse of a recorded build (a MELD log in inch
mode) and lets its own controller and physics do the rest. It prints the figures of both and the
band that the twin should be in; exit code 4 if it is not.`,
		Example: `  stirwatch twin compare build.csv
  stirwatch twin compare build.csv --html compare.html --svg compare.svg`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := twin.Load(*material)
			if err != nil {
				return coded{err, exitUsage}
			}
			comparison, err := twin.Compare(p, *seed, args[0])
			if err != nil {
				return err
			}
			for _, out := range []struct {
				path  string
				write func(io.Writer) error
			}{{svg, comparison.SVG}, {page, comparison.HTML}} {
				if out.path == "" {
					continue
				}
				w, done, err := output(cmd, out.path)
				if err != nil {
					return err
				}
				if err := errors.Join(out.write(w), done()); err != nil {
					return err
				}
			}
			if err := comparison.Table(cmd.OutOrStdout()); err != nil {
				return err
			}
			for _, f := range comparison.Figures {
				if !f.OK() {
					return coded{fmt.Errorf("the twin is outside a band: %s", f.Name), exitFound}
				}
			}
			return context.Cause(cmd.Context())
		},
	}
	c.Flags().StringVar(&svg, "svg", "", "`file` for the plot")
	c.Flags().StringVar(&page, "html", "", "`file` for plot and table as a page")
	return c
}
