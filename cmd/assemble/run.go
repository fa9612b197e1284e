package assemble

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"stirwatch/agent/api"
	"stirwatch/agent/journal"
	"stirwatch/agent/notify"
	"stirwatch/agent/record"
	"stirwatch/agent/service"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
)

// Run runs the agent of a configuration until ctx ends. beside, if not nil, runs with it: when it returns, the agent
// ends too. version is the program's. What fails later than at the start is retried and logged; the error is of the
// start, of the journal's end, or of beside.
func Run(ctx context.Context, conf *config.Config, version string, log *slog.Logger, beside func(context.Context, *Cell) error) error {
	spareMemory(conf.Debug != nil)
	cell, err := New(conf, log, true)
	if err != nil {
		return err
	}
	_, model := cell.models.Current()
	log.Info("stirwatch starts", "version", version, "machine", conf.Machine, "channels", cell.Registry.Len(),
		"sources", len(cell.Sources), "model", model, "influxdb", cell.Uploader != nil, "journal", conf.Abs(conf.Journal.Path))
	log.Info("effective configuration", "yaml", string(conf.Show()))
	for _, text := range conf.Exposed() {
		log.Warn(text)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return cell.Agent.Run(ctx) })
	if cell.Uploader != nil {
		g.Go(func() error { cell.Uploader.Run(ctx); return nil })
	}
	if cell.bridge != nil {
		g.Go(func() error {
			if err := cell.runBridge(ctx); err != nil {
				log.Error("the bridge to the controller", "error", err)
			}
			return nil
		})
	}
	if cell.notifier != nil {
		g.Go(func() error { cell.notifier.Run(ctx, cell.Agent.Alarms().List); return nil })
	}
	g.Go(func() error { cell.answer(ctx, version); return nil })
	g.Go(func() error { cell.models.Run(ctx); return nil })
	servePage := cell.listen(ctx, version)
	g.Go(func() error { servePage(ctx); return nil })
	g.Go(func() error { service.Forget(ctx); return nil })
	g.Go(func() error { cell.tellService(ctx); return nil })
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
	err = errors.Join(err, cell.Journal.Close())
	log.Info("stirwatch ends", "error", err)
	return err
}

// runBridge runs the bridge: it carries out what loops and people command, and first reverts what a program
// that died has left under lease. Another process that has it is waited for.
func (c *Cell) runBridge(ctx context.Context) error {
	for told := false; ; told = true {
		c.tellReverted(ctx)
		ended := make(chan struct{})
		go c.tellUnsafe(ctx, ended)
		err := c.bridge.Run(ctx)
		close(ended)
		if !errors.Is(err, bridge.ErrInUse) {
			return err
		}
		if !told {
			c.log.Warn("another process has the bridge to the controller; it is waited for", "state", c.conf.Abs(c.conf.Bridge.State))
		}
		select {
		case <-time.After(bridgeAgain):
		case <-ctx.Done():
			return nil
		}
	}
}

// tellUnsafe says what is waited for where the program is told to end: the bridge does not before the safe state is confirmed.
func (c *Cell) tellUnsafe(ctx context.Context, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	look := time.NewTicker(bridgeAgain)
	defer look.Stop()
	var told time.Time
	for {
		select {
		case <-ended:
			return
		case <-look.C:
		}
		if open := c.bridge.Unsafe(); open != "" && time.Since(told) >= time.Minute {
			told = time.Now()
			c.log.Warn("told to end, it sends the safe state until the controller confirms it; a second Ctrl-C or SIGTERM ends it at once, and the next start goes on with that", "waits", open)
		}
	}
}

// tellReverted says what a program that died has left under lease, and when that is in its safe state.
func (c *Cell) tellReverted(ctx context.Context) {
	o, err := BridgeOptions(c.conf)
	if err != nil {
		return // the bridge itself says so
	}
	left, err := o.Left()
	if err != nil || len(left) == 0 {
		return
	}
	c.log.Warn("a program that died has left targets under lease; they are reverted", "targets", left)
	go func() {
		select {
		case <-c.bridge.Started():
		case <-ctx.Done():
			return
		}
		if c.bridge.Safe(ctx) == nil {
			c.log.Info("the targets are in their safe states", "targets", left)
		}
	}()
}

// bridgeAgain is the time between two attempts to have a bridge that another process has, and between two looks at whether it has ended.
const bridgeAgain = time.Second

// tellService tells the service manager how the agent is, and the record where the tick stands still.
func (c *Cell) tellService(ctx context.Context) {
	service.Run(ctx, service.Options{Beats: c.Agent.Beats, Log: c.log, Still: func(text string) {
		journal.Write(c.Journal, record.Event{Time: c.clock.Now(), Source: record.TickSource, Kind: record.Still, Text: text})
	}})
}

// spareMemory makes the collector frugal: the computer beside the machine has 512 MB for all.
// GOGC and GOMEMLIMIT in the environment still rule.
func spareMemory(watched bool) {
	if watched { // what the heap holds is asked of the debug listener
		runtime.MemProfileRate = 512 << 10
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(64 << 20)
	}
}

// answer serves the agent's socket until ctx ends. If it cannot, the agent goes on without one.
func (c *Cell) answer(ctx context.Context, version string) {
	path := c.conf.Abs(c.conf.API.Socket)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = api.Serve(ctx, path, c.handler(version))
	}
	if err != nil {
		c.log.Error("the agent cannot be reached by commands", "socket", path, "error", err)
	}
}

// handler answers what the command line asks of a running agent.
func (c *Cell) handler(version string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		api.Write(w, struct {
			Machine string `json:"machine"`
			Version string `json:"version"`
			Process int    `json:"process"`
		}{c.conf.Machine, version, os.Getpid()})
	})
	c.desk().Routes(mux)
	c.Agent.Handle(mux, c.records)
	notify.Routes(mux, c.notifier)
	c.models.Routes(mux)
	return mux
}
