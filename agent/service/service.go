// Package service tells the service manager how the agent is: ready, alive, stopping. It speaks
// the protocol of sd_notify(3) and says nothing where no manager listens.
package service

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// stillFor is how long the tick may stand still before it is told, where no watchdog gives a time.
const stillFor = 10 * time.Second

// Options of [Run]. Beats and Log are required.
type Options struct {
	Beats func() uint64 // grows with every tick
	Still func(text string)
	Log   *slog.Logger
}

// Run says READY with the first beat of the tick, then pets the manager's watchdog for as long as the
// tick moves, and says STOPPING when ctx ends. When the tick has stood still for half of the watchdog's
// time it says so in the log, through Still and to the manager, which then ends the process: with
// WatchdogSignal=SIGABRT, its default, Go prints where every goroutine stands. It returns when ctx ends.
func Run(ctx context.Context, o Options) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		o.Log.Error("the watchdog of the service manager cannot be used", "error", err)
	}
	tell := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			o.Log.Error("the service manager cannot be told", "state", state, "error", err)
		}
	}
	defer tell(daemon.SdNotifyStopping)
	patience := stillFor
	if limit > 0 {
		patience = limit / 2
	}
	look := time.NewTicker(patience / 4)
	defer look.Stop()
	seen, moved, ready, still := uint64(0), time.Now(), false, false
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-look.C:
			beats := o.Beats()
			switch {
			case beats != seen:
				if still {
					o.Log.Warn("the tick moves again", "after", now.Sub(moved).Round(time.Millisecond))
				}
				if !ready || still {
					tell(daemon.SdNotifyReady + "\nSTATUS=watching")
				}
				seen, moved, ready, still = beats, now, true, false
				if limit > 0 {
					tell(daemon.SdNotifyWatchdog)
				}
			case !still && now.Sub(moved) >= patience:
				still = true
				text := fmt.Sprintf("the tick has stood still for %v", now.Sub(moved).Round(time.Millisecond))
				if limit > 0 {
					text += "; the watchdog will end this process"
				}
				o.Log.Error(text, "beats", seen)
				tell("STATUS=" + text)
				if o.Still != nil {
					o.Still(text)
				}
			}
		}
	}
}
