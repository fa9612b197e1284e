package notify

import (
	"fmt"
	"sync"
	"time"
)

// trouble is what keeps a display from showing.
type trouble struct {
	mu    sync.Mutex
	text  string // "": nothing
	since time.Time
}

// fails notes what has failed last; nil: it works.
func (t *trouble) fails(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err == nil:
		t.text = ""
		return
	case t.text == "":
		t.since = time.Now()
	}
	t.text = err.Error()
}

// now is what fails at this moment, "" if nothing does.
func (t *trouble) now() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}

// Problem implements [Display].
func (t *trouble) Problem() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text == "" || time.Since(t.since) < failingAfter {
		return ""
	}
	return fmt.Sprintf("for %v: %s", time.Since(t.since).Round(time.Minute), t.text)
}
