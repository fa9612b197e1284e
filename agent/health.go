package agent

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/dynamics/model"
)

// health is how the agent itself does: what a goroutine beside the tick finds out, since it may wait for the
// disk, and the tick judges like any other anomaly.
type health struct {
	found [len(healthCodes)]atomic.Pointer[string] // what is wrong, with numbers; nil: nothing

	stepped atomic.Int64 // the last large step of the clock, ns; 0: none

	// Owned by examine.
	last  int64     // commit of the record before this start, ns since the Unix epoch
	since time.Time // when the last large step was noticed
	told  string    // what is said of it
}

// healthCodes are the anomalies of the agent itself.
var healthCodes = [...]anomaly.Code{anomaly.ModelNoSkill, anomaly.JournalStopped, anomaly.DiskLow, anomaly.UploadBehind, anomaly.ClockWrong, anomaly.NotifyFailed, anomaly.BridgeUnsafe}

const (
	examineEvery = 2 * time.Second
	lowDisk      = 256 << 20        // bytes left
	behindAfter  = 10 * time.Minute // that the oldest unsent record waits
	clockStep    = 5 * time.Second  // a step below that is a time server at work
	clockTold    = 10 * time.Second // that a step counts as one
	clockSlack   = time.Minute      // that the clock may stand before the end of the record
)

// has reports whether the agent of these options can have an anomaly of its own.
func (o *Options) has(c anomaly.Code) bool {
	switch c {
	case anomaly.ModelNoSkill:
		return o.Model != nil
	case anomaly.UploadBehind:
		return o.Journal != nil && o.Journal.Uploads()
	case anomaly.NotifyFailed:
		return o.Undelivered != nil
	case anomaly.BridgeUnsafe:
		return o.Bridge != nil
	}
	return true
}

// note keeps what is wrong; "": nothing.
func (h *health) note(c anomaly.Code, what string) {
	for i := range healthCodes {
		if healthCodes[i] == c {
			if what == "" {
				h.found[i].Store(nil)
			} else {
				h.found[i].Store(&what)
			}
		}
	}
}

// examine looks at the agent until ctx ends.
func (a *Agent) examine(ctx context.Context) error {
	a.health.note(anomaly.ModelNoSkill, noSkill(a.opt.Model))
	t := time.NewTicker(examineEvery)
	defer t.Stop()
	for {
		a.examineOnce()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
}

func (a *Agent) examineOnce() {
	h, now := &a.health, a.opt.Clock.Now()
	a.backfill.look(now)
	s, what := a.opt.Journal.Stats(), ""
	if !s.Recording {
		what = fmt.Sprintf("%d lines lost so far: %s", s.Lost, s.Err)
	}
	h.note(anomaly.JournalStopped, what)

	what = ""
	if free := journal.Free(a.opt.Journal.Path()); free >= 0 && free < lowDisk {
		what = fmt.Sprintf("%d MB left", free/1e6)
	}
	h.note(anomaly.DiskLow, what)

	if a.opt.Journal.Uploads() {
		what = ""
		if b, err := a.opt.Journal.Backlog(); err == nil && b.Lines > 0 {
			if age := time.Duration(now - b.Oldest.UnixNano()); age > behindAfter {
				what = fmt.Sprintf("%d lines wait, the oldest for %v", b.Lines, age.Round(time.Minute))
			}
		}
		h.note(anomaly.UploadBehind, what)
	}

	h.note(anomaly.ClockWrong, h.clock(now))

	if a.opt.Bridge != nil {
		h.note(anomaly.BridgeUnsafe, a.opt.Bridge.Unsafe())
	}
	if a.opt.Undelivered != nil {
		h.note(anomaly.NotifyFailed, a.opt.Undelivered())
	}
}

// clock tells what is wrong with the time, "" if nothing is.
func (h *health) clock(now int64) string {
	if step := h.stepped.Swap(0); step != 0 {
		h.since, h.told = time.Now(), fmt.Sprintf("it was set by %v", time.Duration(step).Round(time.Second))
	}
	if h.told != "" && time.Since(h.since) < clockTold {
		return h.told
	}
	if back := time.Duration(h.last - now); h.last != 0 && back > clockSlack {
		return fmt.Sprintf("it stands %v before the end of the record", back.Round(time.Second))
	}
	return ""
}

// noSkill tells how a model did on runs that it had not seen, at its longest horizon, where that is no better than a
// temperature that stays as it is; "" otherwise, and where no run tells.
func noSkill(m *model.Model) string {
	if m == nil {
		return ""
	}
	var longest float64
	for i := range m.Skill {
		if s := &m.Skill[i]; s.HeldOut && s.Windows == model.AllRows && s.Count > 0 {
			longest = max(longest, s.Horizon)
		}
	}
	var n int
	var rmse, persistence float64
	for i := range m.Skill {
		if s := &m.Skill[i]; s.HeldOut && s.Windows == model.AllRows && s.Count > 0 && s.Horizon == longest {
			n += s.Count
			rmse += float64(s.Count) * s.RMSE * s.RMSE
			persistence += float64(s.Count) * s.Persistence * s.Persistence
		}
	}
	if n == 0 || rmse < persistence {
		return ""
	}
	return fmt.Sprintf("over %g s its error is %.3g times that", longest, math.Sqrt(rmse/persistence))
}
