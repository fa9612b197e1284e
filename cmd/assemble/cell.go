package assemble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/agent/models"
	"stirwatch/agent/notify"
	"stirwatch/config"
	"stirwatch/dynamics/model"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

// WallClock is what the clock of this computer shows at an instant, ns since the Unix epoch; tests set it.
var WallClock = time.Time.UnixNano

// Cell is an agent with everything that it depends on: journal, bridge, uploader, models.
type Cell struct {
	Registry *sensors.Registry
	Sources  []sensors.Source // none where nothing is live
	Journal  *journal.Journal
	Agent    *agent.Agent
	Uploader *influx.Uploader // nil without InfluxDB
	Page     string           // address of the page while the agent runs; "": there is none

	conf     *config.Config
	models   *models.Shelf // nil where nothing is live
	clock    *agent.Clock
	bridge   *bridge.Bridge   // nil without one, or where nothing is live
	records  *agent.Records   // of the bridge
	notifier *notify.Notifier // nil where nobody is told of alarms
	log      *slog.Logger
}

// New makes all parts of the configuration; live says whether sources and upload are wanted.
// On error nothing stays open.
func New(conf *config.Config, log *slog.Logger, live bool) (c *Cell, err error) {
	c = &Cell{conf: conf, log: log, clock: agent.NewWallClock(time.Now, WallClock)}
	if c.Registry, err = Registry(conf); err != nil {
		return nil, err
	}
	m, err := Model(conf)
	if err != nil {
		return nil, err
	}
	var kept []agent.Loop
	if live {
		c.records = new(agent.Records)
		if c.bridge, err = newBridge(conf, c.records); err != nil {
			return nil, err
		}
		if c.Sources, err = Sources(conf, c.Registry, c.clock.Now, c.bridge); err != nil {
			return nil, err
		}
		if kept, err = loops(conf, c.Registry); err != nil {
			return nil, err
		}
	}
	if c.Journal, err = Journal(conf, c.Registry, c.clock.Now, log, live); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Journal.Close()
		}
	}()
	if live {
		c.records.To = c.Journal
		if c.Uploader, err = newUploader(conf, c.Journal, log); err != nil {
			return nil, err
		}
	}
	settings, err := AlarmSettings(conf)
	if err != nil {
		return nil, err
	}
	alarms := alarm.Options{Setting: settings, Shelf: conf.Alarms.Shelve, Flood: conf.Alarms.Flood}
	var undelivered func() string
	if live {
		ack := func(ctx context.Context, q alarm.Request) (alarm.Answer, error) {
			return c.desk().Do(ctx, alarm.Ack, q)
		}
		if c.notifier, err = newNotifier(conf, c.Journal, c.bridge, ack, log); err != nil {
			return nil, err
		}
		if c.notifier != nil {
			alarms.Tell, undelivered = c.notifier.Tell, c.notifier.Undelivered
		}
	}
	c.Agent, err = agent.New(agent.Options{
		Registry: c.Registry, Sources: c.Sources, Journal: c.Journal, Model: m, Process: processOptions(conf),
		Tick: conf.Tick.Rate.Period(), DeviceClock: conf.Tick.Clock == config.Device, Horizon: conf.Model.Forecast, Program: programPath(conf),
		Bridge: c.bridge, Loops: kept,
		Estimates: conf.Journal.Estimates, Health: conf.Journal.Health, Clock: c.clock, Log: log,
		Alarms: alarms, Undelivered: undelivered, Limits: Limits(conf, c.Registry),
	})
	if err != nil || !live {
		return c, err
	}
	c.Agent.RestoreAlarms()
	c.models = c.shelf(m)
	return c, nil
}

// CheckModel fails if the model, the machine's program or the limits of the process do not fit the channels.
func CheckModel(conf *config.Config, reg *sensors.Registry, m *model.Model) error {
	_, err := agent.New(agent.Options{Registry: reg, Model: m, Program: programPath(conf), Process: processOptions(conf), Log: slog.New(slog.DiscardHandler)})
	return err
}

// Check fails if channels, sources, alarms, notifications, model, bridge and loops do not fit together; what can be told from
// agent.yaml alone, package config has checked. It opens only the files of secrets, model and program.
func Check(conf *config.Config) error {
	reg, err := Registry(conf)
	if err != nil {
		return err
	}
	var errs []error // each with its place: all are told at once
	note := func(err error) { errs = append(errs, err) }
	_, err = Sources(conf, reg, agent.NewClock(time.Now).Now, nil)
	note(err)
	_, err = AlarmSettings(conf)
	note(err)
	note(checkPage(conf))
	_, err = notifyTargets(conf, nil, nil, nil)
	note(err)
	m, err := Model(conf)
	note(err)
	if conf.Model.Hypotheses != "" {
		if _, err := model.LoadHypotheses(conf.Abs(conf.Model.Hypotheses)); err != nil {
			note(fmt.Errorf("model.hypotheses: %w", err))
		}
	}
	b, err := newBridge(conf, nil)
	note(err)
	kept, err := loops(conf, reg)
	note(err)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err = agent.New(agent.Options{Registry: reg, Model: m, Process: processOptions(conf), Bridge: b, Loops: kept, Log: slog.New(slog.DiscardHandler)})
	return err
}
