package dashboard

import (
	"sync"
	"time"
)

// limiter allows each name a burst of attempts and then one at an interval.
type limiter struct {
	burst int
	every time.Duration

	mu    sync.Mutex
	tries map[string]time.Time // when the name has all its tries again
}

const mostNames = 4096 // that a limiter remembers; beyond, those that have all their tries again go

// take uses up an attempt of a name and gives 0, or gives how long the name has to wait for the next one.
func (l *limiter) take(name string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tries == nil {
		l.tries = map[string]time.Time{}
	}
	full := l.tries[name]
	if full.Before(now) {
		full = now
	}
	full = full.Add(l.every)
	if wait := full.Sub(now) - time.Duration(l.burst)*l.every; wait > 0 {
		return wait
	}
	if _, known := l.tries[name]; !known && len(l.tries) >= mostNames {
		for k, t := range l.tries {
			if t.Before(now) {
				delete(l.tries, k)
			}
		}
		if len(l.tries) >= mostNames {
			return l.every // so many at once is an attack: nobody new may try
		}
	}
	l.tries[name] = full
	return 0
}

// forget gives a name all its attempts back.
func (l *limiter) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tries, name)
}
