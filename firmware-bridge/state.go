package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// stateFile is the content of [Options.State].
type stateFile struct {
	Leased []string           `json:"leased"`          // targets that must be reverted before anything else
	Found  map[string]float64 `json:"found,omitempty"` // what those held that revert to what was found
}

// ErrInUse tells that another process has the bridge, and with it the state file.
var ErrInUse = errors.New("another process has this bridge: it holds leases or reverts them")

// StateError is a state file that cannot be used.
type StateError struct {
	Path string
	Err  error
}

func (e *StateError) Error() string {
	return fmt.Sprintf("bridge: the state file %s: %v; make sure the machine is safe, then remove the file", e.Path, e.Err)
}
func (e *StateError) Unwrap() error { return e.Err }

// lock keeps other processes from the state file until unlock, or the end of this one.
func lock(state string) (unlock func(), err error) {
	if state == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		return nil, fmt.Errorf("bridge: the folder of the state file: %w", err)
	}
	f, err := os.OpenFile(state+".lock", os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: run this as the user that runs the agent", err)
	}
	if err != nil {
		return nil, fmt.Errorf("bridge: the state file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("bridge: %s: %w", state, err)
	}
	return func() { f.Close() }, nil
}

// Left tells which targets a bridge that died has left under lease, according to the state file. The
// error is [ErrInUse] where another process has the bridge: those leases are in force.
func (o Options) Left() ([]string, error) {
	b := &Bridge{o: o}
	for _, t := range o.Targets {
		b.targets = append(b.targets, &gate{Target: t})
	}
	s, err := b.remembered()
	if err != nil || len(s.Leased) == 0 {
		return nil, err
	}
	unlock, err := lock(o.State)
	if err != nil {
		return nil, err
	}
	unlock()
	return s.Leased, nil
}

// Recover reverts what a bridge that died has left under lease, and tells what that was; it opens
// nothing where there is nothing. Where ctx ends first, the error tells what may not be safe; it is
// [ErrInUse] where another process has the bridge, so that nothing was left.
func Recover(ctx context.Context, o Options) (left []string, err error) {
	if left, err = o.Left(); err != nil || len(left) == 0 {
		return nil, err
	}
	b, err := New(o)
	if err != nil {
		return left, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- b.Run(running) }()
	select {
	case <-b.Started():
	case err := <-ended:
		return left, err
	}
	if b.Safe(ctx) != nil {
		b.Abandon()
	}
	stop()
	return left, <-ended
}

// remembered reads which targets a bridge that died has left under lease.
func (b *Bridge) remembered() (s stateFile, err error) {
	if b.o.State == "" {
		return s, nil
	}
	data, err := os.ReadFile(b.o.State)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("bridge: the state file: %w", err)
	}
	err = json.Unmarshal(data, &s)
	for _, name := range s.Leased {
		g := b.target(name)
		switch _, found := s.Found[name]; {
		case err != nil:
		case g == nil:
			err = fmt.Errorf("it names the target %s, which is no longer configured", name)
		case g.Safe.AsFound && !found:
			err = fmt.Errorf("it does not tell what %s held before the first command", name)
		}
	}
	if err != nil {
		return s, &StateError{b.o.State, err}
	}
	return s, nil
}

// remember makes sure that the file names the target, and what was found there unless that is NaN.
func (b *Bridge) remember(g *gate, found float64) error {
	return b.keepState(func(s *stateFile) bool {
		changed := false
		if !slices.Contains(s.Leased, g.Name) {
			s.Leased, changed = append(s.Leased, g.Name), true
		}
		if was, ok := s.Found[g.Name]; !math.IsNaN(found) && (!ok || was != found) {
			if s.Found == nil {
				s.Found = make(map[string]float64)
			}
			s.Found[g.Name], changed = found, true
		}
		return changed
	})
}

// forget takes targets that are safe out of the file; called by the clerk.
func (b *Bridge) forget() {
	b.keepState(func(s *stateFile) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		n := len(s.Leased)
		s.Leased = slices.DeleteFunc(s.Leased, func(name string) bool {
			g := b.target(name)
			return g != nil && g.claims == 0 && g.lease == nil && !g.touched
		})
		maps.DeleteFunc(s.Found, func(name string, _ float64) bool { return !slices.Contains(s.Leased, name) })
		return len(s.Leased) != n
	}) // a file that cannot be written names too many targets: they are reverted once more than needed
}

// keepState changes the file where change tells that something is different.
func (b *Bridge) keepState(change func(*stateFile) bool) error {
	if b.o.State == "" {
		return nil
	}
	b.stateMu.Lock()
	defer b.stateMu.Unlock()
	s, err := b.remembered()
	if err != nil {
		return err
	}
	if !change(&s) {
		return nil
	}
	data, err := json.Marshal(s)
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
