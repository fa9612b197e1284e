package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

func runCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "run",
		Short: "Watch the machine: read, record, estimate, forecast, advise, upload",
		Long: `Run the agent in the foreground until Ctrl-C or SIGTERM. Everything goes to the journal first;
with an influxdb section it is uploaded from there. What a program that died has left under lease
of the bridge is reverted. The effective configuration is logged at
start, secrets hidden.`,
		Example: `  stirwatch run
  stirwatch run -c /etc/stirwatch/agent.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			log := newLogger(conf.Log, cmd.ErrOrStderr())
			return watch(cmd.Context(), conf, log, nil)
		},
	}
	configFlag(c, &path)
	return c
}

func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "agent.yaml", "configuration file")
	c.MarkFlagFilename("config", "yaml", "yml")
}

// watch runs the agent as configured until ctx ends. beside, if not nil, runs with it: when it
// returns, the agent ends too.
func watch(ctx context.Context, conf *config.Config, log *slog.Logger, beside func(context.Context, *cell) error) error {
	spareMemory()
	cell, err := newCell(conf, log, true)
	if err != nil {
		return err
	}
	log.Info("stirwatch starts", "version", version, "machine", conf.Machine, "channels", cell.registry.Len(),
		"sources", len(cell.sources), "model", conf.Model.File != "", "influxdb", cell.uploader != nil, "journal", conf.Abs(conf.Journal.Path))
	log.Debug("effective configuration", "yaml", string(conf.Show()))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return cell.agent.Run(ctx) })
	if cell.uploader != nil {
		g.Go(func() error { cell.uploader.Run(ctx); return nil })
	}
	if conf.Bridge != nil {
		g.Go(func() error { revertBeside(ctx, cell, log); return nil })
	}
	g.Go(func() error { answer(ctx, cell, log); return nil })
	if beside != nil {
		g.Go(func() error { defer cancel(); return beside(ctx, cell) })
	}
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, cell.journal.Close())
	log.Info("stirwatch ends", "error", err)
	return err
}

// revertBeside reverts what a program that died has left under lease, for as long as that takes.
func revertBeside(ctx context.Context, cell *cell, log *slog.Logger) {
	o, err := checkedBridgeOptions(cell.conf)
	var left []string
	if err == nil {
		left, err = o.Left()
	}
	if len(left) > 0 {
		log.Warn("a program that died has left targets under lease; they are reverted", "targets", left)
		o.Recorder = agent.CommandRecord{Journal: cell.journal}
		if _, err = bridge.Recover(ctx, o); err == nil {
			log.Info("the targets are in their safe states", "targets", left)
		}
	}
	switch {
	case errors.Is(err, bridge.ErrInUse):
		log.Info("another process has the bridge to the controller", "state", o.State)
	case err != nil:
		log.Error("the bridge to the controller", "error", err)
	}
}

// spareMemory makes the collector frugal: the computer beside the machine has 512 MB for all.
// GOGC and GOMEMLIMIT in the environment still rule.
func spareMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(64 << 20)
	}
}

// cell is an agent with all that it stands on.
type cell struct {
	conf     *config.Config
	registry *sensors.Registry
	clock    *agent.Clock
	sources  []sensors.Source
	journal  *journal.Journal
	uploader *influx.Uploader // nil without InfluxDB
	agent    *agent.Agent
}

// newCell makes all parts of the configuration; live says whether sources and upload are wanted.
// On error nothing stays open.
func newCell(conf *config.Config, log *slog.Logger, live bool) (c *cell, err error) {
	c = &cell{conf: conf, clock: agent.NewClock(time.Now)}
	if c.registry, err = newRegistry(conf); err != nil {
		return nil, err
	}
	model, err := loadModel(conf)
	if err != nil {
		return nil, err
	}
	if live {
		if c.sources, err = newSources(conf, c.registry, c.clock.Now); err != nil {
			return nil, err
		}
	}
	if c.journal, err = newJournal(conf, c.registry, c.clock.Now, log, live); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.journal.Close()
		}
	}()
	if live {
		if c.uploader, err = newUploader(conf, c.journal, log); err != nil {
			return nil, err
		}
	}
	settings, err := alarmSettings(conf)
	if err != nil {
		return nil, err
	}
	c.agent, err = agent.New(agent.Options{
		Registry: c.registry, Sources: c.sources, Journal: c.journal, Model: model, Process: processOptions(conf),
		Tick: conf.Tick.Rate.Period(), DeviceClock: conf.Tick.Clock == config.Device, Horizon: conf.Model.Forecast, Program: programPath(conf),
		Estimates: conf.Journal.Estimates, Health: conf.Journal.Health, Clock: c.clock, Log: log,
		Alarms: alarm.Options{Setting: settings, Shelf: conf.Alarms.Shelve, Flood: conf.Alarms.Flood},
	})
	return c, err
}
