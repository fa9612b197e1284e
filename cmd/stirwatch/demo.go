package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/journal"
	"stirwatch/cmd/assemble"
	"stirwatch/cmd/loopback"
	"stirwatch/cmd/screen"
	"stirwatch/config"
	"stirwatch/firmware-bridge/twin"
)

func demoCommand() *cobra.Command {
	var length time.Duration
	var speed float64
	var mode string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Watch a simulated machine: no configuration, no server, nothing to install",
		Long: `Demo runs a simulated machine with real devices: the thermocouple over a pseudo
terminal, forces and telemetry over an MQTT broker inside the program. With an equation learned
from other builds of it, it shows the agent at work: channels, temperature, forecast, anomalies,
advice. The journal is its store; everything is in a temporary folder and removed at the end.
Where the output is no terminal, it prints a line every two seconds and one for each anomaly.

With --mode auto the loop is closed: the same build of the same simulated machine runs twice, once with its own controller
and once with the spindle led by prediction, and both are printed side by side, with what that is worth.`,
		Example: `  stirwatch demo
  stirwatch demo --for 30s
  stirwatch demo --speed 1
  stirwatch demo --mode auto`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if speed <= 0 || speed > 100 {
				return coded{fmt.Errorf("--speed %g: use more than 0 and at most 100", speed), exitUsage}
			}
			ctx := cmd.Context()
			switch mode {
			case "advise":
			case "auto":
				return demoAuto(ctx, cmd.OutOrStdout())
			default:
				return coded{fmt.Errorf("--mode %q: use advise or auto", mode), exitUsage}
			}
			if length > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, length)
				defer cancel()
			}
			return demo(ctx, speed, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	c.Flags().DurationVar(&length, "for", 0, "end after this time, e.g. 30s; 0: when you quit")
	c.Flags().StringVar(&mode, "mode", "advise", "advise: the agent watches; auto: it leads the spindle, beside the machine's own controller")
	c.Flags().Float64Var(&speed, "speed", 10, "factor on real time, up to 100")
	return c
}

func demo(ctx context.Context, speed float64, out, errOut io.Writer) error {
	dir, err := os.MkdirTemp("", "stirwatch-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "model.json"), demoModel, 0o644); err != nil {
		return err
	}
	server, address, err := loopback.Broker()
	if err != nil {
		return err
	}
	defer server.Close()
	conf, err := config.Parse(filepath.Join(dir, "agent.yaml"), demoConfig(dir, address), nil)
	if err != nil {
		return err
	}
	// The screen belongs to the view; what the agent says goes to a file.
	logFile, err := os.Create(filepath.Join(dir, "stirwatch.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := slog.New(slog.NewTextHandler(logFile, nil))
	title := fmt.Sprintf("stirwatch demo: a simulated machine at %g× real time", speed)
	var last string
	err = assemble.Run(ctx, conf, version, log, func(ctx context.Context, c *assemble.Cell) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			_, err := twin.Run(ctx, twin.Options{
				Config: twin.Config{Seed: demoSeed, Faults: demoFaults},
				Serial: filepath.Join(dir, "thermocouple"), MQTT: "tcp://" + address, Speed: speed, Loop: true, Log: log,
			})
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			return err
		})
		g.Go(func() error {
			defer cancel()
			return screen.Show(ctx, &screen.Shown{
				Title: title,
				Look: screen.OfAgent(func(context.Context) (agent.View, error) { return c.Agent.View(), nil },
					func() (*journal.Reader, error) { return c.Journal.Reader, nil }, func(*journal.Reader) {}),
				Ack: func(_ context.Context, name string) ([]alarm.Alarm, error) {
					return c.Agent.Alarms().Ack(c.Agent.Now(), name, accountName(), "on the screen")
				},
			}, out)
		})
		err := g.Wait()
		last = fmt.Sprintf("%d records went through the journal", c.Journal.Stats().Lines)
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	if err == nil {
		fmt.Fprintln(errOut, "demo ends: "+last)
	}
	return err
}

// The build that the machine makes. At ten times real time its start, steady deposition, a lost
// thermocouple, a spike and heat that the spindle cannot give pass within half a minute.
const demoSeed = 7

var demoFaults = []twin.Fault{
	{Kind: twin.Open, At: 100, For: 20, Severity: 1},
	{Kind: twin.Spike, At: 150, For: 5, Severity: 1},
	{Kind: twin.Unreachable, At: 190, For: 60, Severity: 1},
	{Kind: twin.LiftOff, At: 330, For: 15, Severity: 1},
}

// demoModel is learned from other builds of the simulated machine, ahead of time, so that the
// demo starts at once. 'go test ./cmd/stirwatch -run DemoModel -update' learns it again.
//
//go:embed demo_model.json
var demoModel []byte

// demoConfig is what a user would write for the devices of the twin.
func demoConfig(dir, broker string) []byte {
	return []byte(strings.NewReplacer("@DIR", dir, "@BROKER", broker).Replace(demoYAML))
}

//go:embed demo.yaml
var demoYAML string
