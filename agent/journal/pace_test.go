package journal

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// traffic is a sender in virtual time: it sends one message every gap or, with a window, at once
// while fewer than window messages are unacknowledged.
type traffic struct {
	gap    time.Duration
	jitter float64 // of the gap: 0 none, 1 as irregular as a Poisson process
	window int
	rtt    time.Duration // from acknowledgement to the next message
}

// simulate runs pace against a sender for a while, with commits that take cost each.
func simulate(tr traffic, commit, cost, span time.Duration) (messages, commits, looks int, worst time.Duration) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := pace{commit: commit, quiet: quietMin}
	var fill, out pending
	var now, next time.Duration // next: when the next message comes
	unacked := 0
	wakeAt := time.Duration(-1)
	arrive := func(until time.Duration) (woken bool, at time.Duration) {
		for next <= until && (tr.window == 0 || unacked < tr.window) {
			if woken = fill.empty(); woken {
				fill.began = next
			}
			fill.latest, at = next, next
			fill.lines++
			fill.acks = append(fill.acks, nil)
			unacked++
			messages++
			if tr.window > 0 {
				next += 20 * time.Microsecond
			} else {
				g := float64(tr.gap)
				next += time.Duration(g*(1-tr.jitter) + g*tr.jitter*rng.ExpFloat64())
			}
			if woken {
				return true, at
			}
		}
		return false, 0
	}
	for now < span {
		due, wait := p.look(now, &fill)
		looks++
		if due {
			start := now
			worst = max(worst, start+cost-fill.began)
			fill, out = out, fill
			now += cost
			arrive(now)
			arrive(now)
			p.committed(start, now, &out)
			full := tr.window > 0 && unacked == tr.window
			unacked -= len(out.acks)
			if full {
				next = now + tr.rtt
			}
			out.reset()
			commits++
			continue
		}
		wakeAt = math.MaxInt64
		if wait >= 0 {
			wakeAt = now + wait
		}
		if woken, at := arrive(min(wakeAt, span)); woken {
			now = at
			continue
		}
		now = min(wakeAt, span)
	}
	return messages, commits, looks, worst
}

// TestPace shows that steady streams are committed some ten times a second whatever their rate,
// with few looks in between, and that senders who wait for us are not kept waiting.
func TestPace(t *testing.T) {
	const span, commit = 60 * time.Second, 100 * time.Millisecond
	perSecond := func(n int) float64 { return float64(n) / span.Seconds() }
	for name, c := range map[string]struct {
		traffic
		cost        time.Duration
		least, most float64 // messages, commits per second
		looks       float64 // per second, at most; 0: any
	}{
		"10/s":            {traffic{gap: 100 * time.Millisecond}, time.Millisecond, 9.9, 25, 0},
		"50/s":            {traffic{gap: 20 * time.Millisecond}, time.Millisecond, 49, 15, 0},
		"150/s":           {traffic{gap: 6700 * time.Microsecond}, time.Millisecond, 149, 15, 50},
		"1000/s":          {traffic{gap: time.Millisecond}, time.Millisecond, 999, 12, 40},
		"1000/s jitter":   {traffic{gap: time.Millisecond, jitter: 0.5}, time.Millisecond, 950, 15, 40},
		"5000/s":          {traffic{gap: 200 * time.Microsecond}, time.Millisecond, 4999, 12, 40},
		"5000/s slow":     {traffic{gap: 200 * time.Microsecond}, 30 * time.Millisecond, 4999, 12, 40},
		"100/s Poisson":   {traffic{gap: 10 * time.Millisecond, jitter: 1}, time.Millisecond, 90, 25, 0},
		"1000/s Poisson":  {traffic{gap: time.Millisecond, jitter: 1}, time.Millisecond, 900, 40, 50},
		"window 20":       {traffic{window: 20}, time.Millisecond, 3000, 300, 0},
		"window 20 flash": {traffic{window: 20, rtt: 500 * time.Microsecond}, 4 * time.Millisecond, 2000, 150, 0},
		"window 1":        {traffic{window: 1, rtt: 200 * time.Microsecond}, time.Millisecond, 150, 250, 0},
		"window 20 far":   {traffic{window: 20, rtt: 5 * time.Millisecond}, time.Millisecond, 700, 100, 0},
	} {
		t.Run(name, func(t *testing.T) {
			messages, commits, looks, worst := simulate(c.traffic, commit, c.cost, span)
			t.Logf("%.0f messages/s, %.1f commits/s, %.1f looks/s, longest wait %v", perSecond(messages), perSecond(commits), perSecond(looks), worst)
			if perSecond(messages) < c.least || perSecond(commits) > c.most || worst > commit+2*c.cost+time.Millisecond {
				t.Errorf("want at least %v messages/s with at most %v commits/s", c.least, c.most)
			}
			if c.looks > 0 && perSecond(looks) > c.looks {
				t.Errorf("want at most %v looks/s", c.looks)
			}
		})
	}
}
