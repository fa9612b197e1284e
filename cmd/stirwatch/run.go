package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"stirwatch/agent"
	"stirwatch/agent/influx"
	"stirwatch/agent/journal"
	"stirwatch/config"
	"stirwatch/dynamics/learn"
	"stirwatch/sensors"
)

func runCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "run",
		Short: "Watch the machine: read, record, estimate, forecast, advise, upload",
		Long: `Run the agent in the foreground until Ctrl-C or SIGTERM. Everything goes to the journal first;
with an influxdb section it is uploaded from there. The effective configuration is logged at
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
	c.agent, err = agent.New(agent.Options{
		Registry: c.registry, Sources: c.sources, Journal: c.journal, Model: model, Process: processOptions(conf),
		Tick: conf.Tick.Rate.Period(), DeviceClock: conf.Tick.Clock == config.Device, Horizon: conf.Model.Forecast,
		Estimates: conf.Journal.Estimates, Health: conf.Journal.Health, Clock: c.clock, Log: log,
	})
	return c, err
}

// progress prints to w at most twice a second, where that is a terminal.
type progress struct {
	w    io.Writer
	next time.Time
}

func (p *progress) terminal() bool {
	f, ok := p.w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p *progress) say(format string, args ...any) {
	if now := time.Now(); now.After(p.next) && p.terminal() {
		p.next = now.Add(500 * time.Millisecond)
		fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
	}
}

// learning shows how far learning is, and keeps what it warns of.
func (p *progress) learning(at learn.Progress) {
	if at.Warning != "" {
		p.done()
		fmt.Fprintln(p.w, at.Warning)
		return
	}
	p.next = time.Time{}
	p.say("[%d/%d] %s", at.Done+1, at.Of, at.Text)
}

func (p *progress) done() {
	if p.terminal() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
