// Package demo shows the agent at work on a simulated machine: no configuration, no server, nothing to install.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

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

// The build that the machine makes. At ten times real time its start, steady deposition, a lost
// thermocouple, a spike and heat that the spindle cannot give pass within half a minute.
const seed = 7

var faults = []twin.Fault{
	{Kind: twin.Open, At: 100, For: 20, Severity: 1},
	{Kind: twin.Spike, At: 150, For: 5, Severity: 1},
	{Kind: twin.Unreachable, At: 190, For: 60, Severity: 1},
	{Kind: twin.LiftOff, At: 330, For: 15, Severity: 1},
}

// modelJSON is learned from other builds of the simulated machine, ahead of time, so that the demo starts at once.
// 'go test ./cmd/demo -run Model -update' learns it again.
//
//go:embed model.json
var modelJSON []byte

//go:embed agent.yaml
var agentYAML string

// configuration is what a user would write for the devices of the twin.
func configuration(dir, broker string) []byte {
	return []byte(strings.NewReplacer("@DIR", dir, "@BROKER", broker).Replace(agentYAML))
}

// Options say how the demo runs.
type Options struct {
	Speed   float64 // factor on real time
	Version string  // of the program
	Who     string  // acknowledges alarms
}

// Run runs a simulated machine and the agent beside it, in a temporary folder, and shows the agent on out until ctx ends
// or the person quits. notes gets a line at the end.
func Run(ctx context.Context, o Options, out, notes io.Writer) error {
	dir, err := os.MkdirTemp("", "stirwatch-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "model.json"), modelJSON, 0o644); err != nil {
		return err
	}
	server, broker, err := loopback.Broker()
	if err != nil {
		return err
	}
	defer server.Close()
	conf, err := config.Parse(filepath.Join(dir, "agent.yaml"), configuration(dir, broker), nil)
	if err != nil {
		return err
	}
	conf.Page.Listen = orAny(conf.Page.Listen)
	// The screen belongs to the view; what the agent says goes to a file.
	logFile, err := os.Create(filepath.Join(dir, "stirwatch.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	log := slog.New(slog.NewTextHandler(logFile, nil))
	machine := twin.Options{
		Config: twin.Config{Seed: seed, Faults: faults},
		Serial: filepath.Join(dir, "thermocouple"), MQTT: "tcp://" + broker, Speed: o.Speed, Loop: true, Log: log,
	}
	records := uint64(0)
	err = assemble.Run(ctx, conf, o.Version, log, func(ctx context.Context, c *assemble.Cell) error {
		if c.Page != "" {
			fmt.Fprintf(out, "The page: %s\n", c.Page)
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			_, err := twin.Run(ctx, machine)
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			return err
		})
		g.Go(func() error {
			defer cancel()
			return screen.Show(ctx, o.view(c), out)
		})
		err := g.Wait()
		records = c.Journal.Stats().Lines
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	if err == nil {
		fmt.Fprintf(notes, "demo ends: %d records went through the journal\n", records)
	}
	return err
}

// orAny is an address, or any port of its host where another program has it.
func orAny(address string) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		host, _, _ := net.SplitHostPort(address)
		return net.JoinHostPort(host, "0")
	}
	l.Close()
	return address
}

// view is of an agent in the same process.
func (o *Options) view(c *assemble.Cell) *screen.Shown {
	title := fmt.Sprintf("stirwatch demo: a simulated machine at %g× real time", o.Speed)
	if c.Page != "" {
		title += ", page " + c.Page
	}
	return &screen.Shown{
		Title: title,
		Look: screen.OfAgent(func(context.Context) (agent.View, error) { return c.Agent.View(), nil },
			func() (*journal.Reader, error) { return c.Journal.Reader, nil }, func(*journal.Reader) {}),
		Ack: func(_ context.Context, name string) ([]alarm.Alarm, error) {
			return c.Agent.Alarms().Ack(c.Agent.Now(), name, o.Who, "on the screen")
		},
	}
}
