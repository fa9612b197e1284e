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
	"stirwatch/agent/notify"
	"stirwatch/agent/record"
	"stirwatch/agent/service"
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
	for _, text := range conf.Exposed() {
		log.Warn(text)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return cell.agent.Run(ctx) })
	if cell.uploader != nil {
		g.Go(func() error { cell.uploader.Run(ctx); return nil })
	}
	if cell.bridge != nil {
		g.Go(func() error {
			if err := bridgeBeside(ctx, cell, log); err != nil {
				log.Error("the bridge to the controller", "error", err)
			}
			return nil
		})
	}
	if cell.notifier != nil {
		g.Go(func() error { cell.notifier.Run(ctx, cell.agent.Alarms().List); return nil })
	}
	g.Go(func() error { answer(ctx, cell, log); return nil })
	g.Go(func() error { tellService(ctx, cell, log); return nil })
	if conf.Debug != nil {
		g.Go(func() error {
			if err := service.Debug(ctx, conf.Debug.Listen); err != nil {
				log.Error(err.Error())
			}
			return nil
		})
	}
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

// bridgeBeside runs the bridge: it carries out what loops and people command, and first reverts what a program
// that died has left under lease. Another process that has it is waited for.
func bridgeBeside(ctx context.Context, c *cell, log *slog.Logger) error {
	for told := false; ; told = true {
		tellReverted(ctx, c, log)
		err := c.bridge.Run(ctx)
		if !errors.Is(err, bridge.ErrInUse) {
			return err
		}
		if !told {
			log.Warn("another process has the bridge to the controller; it is waited for", "state", c.conf.Abs(c.conf.Bridge.State))
		}
		select {
		case <-time.After(bridgeAgain):
		case <-ctx.Done():
			return nil
		}
	}
}

// tellReverted says what a program that died has left under lease, and when that is in its safe state.
func tellReverted(ctx context.Context, c *cell, log *slog.Logger) {
	o, err := checkedBridgeOptions(c.conf)
	if err != nil {
		return // the bridge itself says so
	}
	left, err := o.Left()
	if err != nil || len(left) == 0 {
		return
	}
	log.Warn("a program that died has left targets under lease; they are reverted", "targets", left)
	go func() {
		select {
		case <-c.bridge.Started():
		case <-ctx.Done():
			return
		}
		if c.bridge.Safe(ctx) == nil {
			log.Info("the targets are in their safe states", "targets", left)
		}
	}()
}

// bridgeAgain is the time between two attempts to have a bridge that another process has.
const bridgeAgain = time.Second

// tellService tells the service manager how the agent is, and the record where the tick stands still.
func tellService(ctx context.Context, c *cell, log *slog.Logger) {
	service.Run(ctx, service.Options{Beats: c.agent.Beats, Log: log, Still: func(text string) {
		journal.Write(c.journal, record.Event{Time: c.clock.Now(), Source: record.TickSource, Kind: record.Still, Text: text})
	}})
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
	bridge   *bridge.Bridge   // nil without one, or where nothing is live
	records  *agent.Records   // of the bridge
	agent    *agent.Agent
	notifier *notify.Notifier // nil where nobody is told of alarms
	log      *slog.Logger
}

// newCell makes all parts of the configuration; live says whether sources and upload are wanted.
// On error nothing stays open.
func newCell(conf *config.Config, log *slog.Logger, live bool) (c *cell, err error) {
	c = &cell{conf: conf, log: log, clock: agent.NewClock(time.Now)}
	if c.registry, err = newRegistry(conf); err != nil {
		return nil, err
	}
	model, err := loadModel(conf)
	if err != nil {
		return nil, err
	}
	var kept []agent.Loop
	if live {
		c.records = new(agent.Records)
		if c.bridge, err = newBridge(conf, c.records); err != nil {
			return nil, err
		}
		if c.sources, err = newSources(conf, c.registry, c.clock.Now, c.bridge); err != nil {
			return nil, err
		}
		if kept, err = loops(conf, c.registry); err != nil {
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
		c.records.To = c.journal
		if c.uploader, err = newUploader(conf, c.journal, log); err != nil {
			return nil, err
		}
	}
	settings, err := alarmSettings(conf)
	if err != nil {
		return nil, err
	}
	alarms := alarm.Options{Setting: settings, Shelf: conf.Alarms.Shelve, Flood: conf.Alarms.Flood}
	var undelivered func() string
	if live {
		if c.notifier, err = newNotifier(conf, c.journal, c.bridge, c.ackByMQTT, log); err != nil {
			return nil, err
		}
		if c.notifier != nil {
			alarms.Tell, undelivered = c.notifier.Tell, c.notifier.Undelivered
		}
	}
	c.agent, err = agent.New(agent.Options{
		Registry: c.registry, Sources: c.sources, Journal: c.journal, Model: model, Process: processOptions(conf),
		Tick: conf.Tick.Rate.Period(), DeviceClock: conf.Tick.Clock == config.Device, Horizon: conf.Model.Forecast, Program: programPath(conf),
		Bridge: c.bridge, Loops: kept,
		Estimates: conf.Journal.Estimates, Health: conf.Journal.Health, Clock: c.clock, Log: log,
		Alarms: alarms, Undelivered: undelivered,
	})
	if err == nil && live {
		c.agent.RestoreAlarms()
	}
	return c, err
}
