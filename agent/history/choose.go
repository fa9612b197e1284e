package history

import (
	"context"
	"fmt"
	"slices"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
)

// Choice says which runs of a journal are wanted.
type Choice struct {
	Names []string  // these runs, or "last"; nil: the newest that can be learned from
	Last  int       // how many of the newest
	All   bool      // all that Since allows, whatever Last is
	Since time.Time // begun since then; zero: at any time
}

// Choose reads the runs that a choice means, the oldest first. A run that is named must be usable; of the
// others those are left out, and noted, that hold nothing to learn from.
func (h *History) Choose(ctx context.Context, c Choice, channels model.Channels) (found []*runs.Run, err error) {
	if len(c.Names) > 0 {
		var chosen []journal.Run
		for _, name := range c.Names {
			run, err := h.Reader.Run(name)
			if err != nil {
				return nil, err
			}
			chosen = append(chosen, run)
		}
		found, err = h.Named(ctx, newestFirst(chosen), channels)
	} else {
		var chosen []journal.Run
		if chosen, err = h.since(c.Since); err != nil {
			return nil, err
		}
		if c.All {
			c.Last = len(chosen)
		}
		found, err = h.Usable(ctx, chosen, c.Last, channels)
	}
	slices.Reverse(found)
	return found, err
}

// since lists the runs begun since an instant, the newest first.
func (h *History) since(begin time.Time) (chosen []journal.Run, err error) {
	all, err := h.Runs()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("journal %s has no run yet: the agent marks one when the spindle turns for %v, which it knows of the channel that is %s", h.Reader.Path(), 2*time.Second, sensors.SpindleSpeed)
	}
	for _, run := range all {
		if begin.IsZero() || run.Start >= begin.UnixNano() {
			chosen = append(chosen, run)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("journal %s has no run since %s; its newest, of %d, is %s", h.Reader.Path(), begin.Format(time.DateTime), len(all), all[0].Name)
	}
	return chosen, nil
}
