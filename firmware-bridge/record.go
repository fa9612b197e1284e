package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"stirwatch/sensors/unit"
)

// Verdict is what became of a command.
type Verdict string

const (
	Accepted Verdict = "accepted" // a lease began or was changed
	Clamped  Verdict = "clamped"  // the same, with the value cut to the limits
	Refused  Verdict = "refused"  // nothing reached the wire
	Reached  Verdict = "reached"  // the value was acknowledged and read back
	Failed   Verdict = "failed"   // the controller refused it or does not hold it: the lease ended
	Expired  Verdict = "expired"  // nobody renewed: the lease ended
	Released Verdict = "released" // the commander gave it back
	Reverted Verdict = "reverted" // the safe state was acknowledged and read back
)

// Record is one decision. Numbers are in Unit, NaN where there is none.
type Record struct {
	At                     time.Time
	Target                 string
	Unit                   unit.Unit
	Verdict                Verdict
	Asked, Given, ReadBack float64
	Who, Why               string // of the command
	Note                   string // what the bridge has to say
}

// Recorder keeps records. Record is called from one goroutine of its own, in order; while it
// blocks, commands go on, and what exceeds [maxRecords] is counted as lost.
type Recorder interface {
	Record(Record)
}

// maxRecords is how many records wait for a slow recorder.
const maxRecords = 1024

// clerk hands records to the recorder, so that no disk holds up a command or a revert. It also
// runs what must not be done by the watchdog itself.
type clerk struct {
	to    Recorder
	queue chan func()
	quit  chan struct{}
	done  chan struct{}
	lost  atomic.Uint64
}

func (c *clerk) init(to Recorder) {
	c.to, c.queue = to, make(chan func(), maxRecords)
	c.quit, c.done = make(chan struct{}), make(chan struct{})
}

func (c *clerk) tell(r Record) {
	if c.to == nil {
		return
	}
	r.At = time.Now()
	if !c.do(func() { c.to.Record(r) }) {
		c.lost.Add(1)
	}
}

func (c *clerk) do(f func()) bool {
	select {
	case c.queue <- f:
		return true
	default:
		return false
	}
}

func (c *clerk) run() {
	defer close(c.done)
	for {
		select {
		case f := <-c.queue:
			f()
		case <-c.quit:
			for {
				select {
				case f := <-c.queue:
					f()
				default:
					return
				}
			}
		}
	}
}

// lastRecords is how long the end waits for a slow recorder.
const lastRecords = 10 * time.Second

// stop lets the clerk finish and tells whether it did.
func (c *clerk) stop() bool {
	close(c.quit)
	t := time.NewTimer(lastRecords)
	defer t.Stop()
	select {
	case <-c.done:
		return true
	case <-t.C:
		return false
	}
}

// stateFile is the content of [Options.State].
type stateFile struct {
	Leased []string `json:"leased"` // targets that must be reverted before anything else
}

// remembered reads which targets a bridge that died has left under lease.
func (b *Bridge) remembered() ([]string, error) {
	if b.o.State == "" {
		return nil, nil
	}
	data, err := os.ReadFile(b.o.State)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var s stateFile
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return nil, &StateError{b.o.State, err}
	}
	for _, name := range s.Leased {
		if b.target(name) == nil {
			return nil, &StateError{b.o.State, fmt.Errorf("it names the target %s, which is no longer configured", name)}
		}
	}
	return s.Leased, nil
}

// remember makes sure that the file names the target.
func (b *Bridge) remember(target string) error {
	return b.keepState(func(names []string) []string {
		if slices.Contains(names, target) {
			return names
		}
		return append(names, target)
	})
}

// forget takes targets that are safe out of the file; called by the clerk.
func (b *Bridge) forget() {
	b.keepState(func(names []string) []string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
			g := b.target(n)
			return g != nil && g.claims == 0 && g.lease == nil && !g.reverting && !g.touched
		})
	}) // a file that cannot be written names too many targets: they are reverted once more than needed
}

func (b *Bridge) keepState(change func([]string) []string) error {
	if b.o.State == "" {
		return nil
	}
	b.stateMu.Lock()
	defer b.stateMu.Unlock()
	names, err := b.remembered()
	if err != nil {
		return err
	}
	changed := change(names)
	if slices.Equal(names, changed) {
		return nil
	}
	data, err := json.Marshal(stateFile{changed})
	if err != nil {
		return err
	}
	return writeDurably(b.o.State, data)
}

// writeDurably replaces a file so that a power cut leaves the old or the new content.
func writeDurably(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
