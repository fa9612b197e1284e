// Package models keeps the model documents of a machine: which there are, which is in use, and what the program makes of
// them in a process of its own, beside the tick: learning and comparing.
package models

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/score"
)

// Options is what a shelf is made of. Fits, Use and Log are required.
type Options struct {
	Folder     string // of documents; it need not be there
	File       string // document that the configuration names; "": it names none
	Hypotheses string // file of those that models are learned by; "": those built in
	// Fits is the error of a model that cannot be used on this machine.
	Fits func(*model.Model) error
	// Use lets the agent go on with another model.
	Use func(ctx context.Context, m *model.Model, name, who, why string) error
	// Work runs the program itself with a command line, at low priority; nil: nothing is learned here.
	Work Work
	Log  *slog.Logger
}

// Shelf is the documents of a machine. Its methods may be called from any goroutine.
type Shelf struct {
	Options
	ctx context.Context // of what is made
	end context.CancelFunc

	turn chan struct{} // held by who switches, so that agent, shelf and disk know of the same model

	mu   sync.Mutex
	path string              // of the document in use; "": there is none
	now  *model.Model        // nil: there is none
	seen map[string]Document // by path, as it was read last
	job  *job                // the last one; nil: there was none
}

// current is the link in the folder to the document in use. Without it that is the one of the configuration.
const current = "current"

// Path is the document that is to be used: that of the folder that was chosen last, else file; "" where there is none.
func Path(folder, file string) string {
	if name, err := os.Readlink(filepath.Join(folder, current)); err == nil {
		return filepath.Join(folder, filepath.Base(name))
	}
	return file
}

// Load reads the document that is to be used, nil where there is none. The error names the way back to what the
// configuration says.
func Load(folder, file string) (*model.Model, error) {
	path := Path(folder, file)
	if path == "" {
		return nil, nil
	}
	m, err := model.Load(path)
	if err != nil && path != file {
		err = fmt.Errorf("%w; it was chosen on the page: remove %s to go back to %s", err, filepath.Join(folder, current), cmp.Or(file, "none"))
	}
	return m, err
}

// New makes a shelf of which m is in use, as [Load] gave it.
func New(o Options, m *model.Model) *Shelf {
	s := &Shelf{Options: o, path: Path(o.Folder, o.File), now: m, seen: map[string]Document{}, turn: make(chan struct{}, 1)}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// Run ends what is being made when ctx ends, and waits for that.
func (s *Shelf) Run(ctx context.Context) {
	<-ctx.Done()
	s.end()
	s.mu.Lock()
	j := s.job
	s.mu.Unlock()
	if j != nil {
		<-j.done
	}
}

// Current is the model in use, and the name of its document; nil and "" where there is none.
func (s *Shelf) Current() (m *model.Model, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		return nil, ""
	}
	return s.now, filepath.Base(s.path)
}

// Document is one model, in short.
type Document struct {
	Name       string            `json:"name"` // of its file
	InUse      bool              `json:"in_use"`
	Configured bool              `json:"configured"` // the one of agent.yaml
	Process    string            `json:"process"`
	Learned    string            `json:"learned"` // RFC 3339; "": not known
	Runs       []model.RunSource `json:"runs"`
	Verdict    string            `json:"verdict"`           // how far its forecasts may be used, in words
	Problem    string            `json:"problem,omitempty"` // why it cannot be used here

	path     string
	size     int64
	modified int64
}

// maxDocuments bounds what is listed; the newest by name are.
const maxDocuments = 100

// List gives the documents: the configured one first, then those of the folder, the newest name first.
func (s *Shelf) List() []Document {
	var paths []string
	if found, err := os.ReadDir(s.Folder); err == nil {
		for _, f := range slices.Backward(found) {
			if path := filepath.Join(s.Folder, f.Name()); strings.HasSuffix(f.Name(), ".json") && !strings.HasPrefix(f.Name(), ".") && !same(path, s.File) && len(paths) < maxDocuments {
				paths = append(paths, path)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.File != "" {
		paths = slices.Insert(paths, 0, s.File)
	}
	all := []Document{}
	for _, path := range paths {
		d := s.read(path)
		d.InUse, d.Configured = path == s.path, path == s.File
		if !d.Configured && s.File != "" && d.Name == filepath.Base(s.File) {
			d.Problem = "the model of agent.yaml has the same name: rename the file to use it"
		}
		all = append(all, d)
	}
	return all
}

func same(a, b string) bool {
	x, err := filepath.Abs(a)
	y, err2 := filepath.Abs(b)
	return err == nil && err2 == nil && x == y
}

// read gives a document in short, read again where its file is another one.
func (s *Shelf) read(path string) Document {
	d := Document{Name: filepath.Base(path), Runs: []model.RunSource{}, path: path}
	info, err := os.Stat(path)
	if err != nil {
		d.Problem = err.Error()
		return d
	}
	d.size, d.modified = info.Size(), info.ModTime().UnixNano()
	if was, ok := s.seen[path]; ok && was.size == d.size && was.modified == d.modified {
		return was
	}
	m, err := model.Load(path)
	if err == nil {
		d.Process, d.Learned, d.Verdict = m.Process, m.Provenance.Learned, score.InShort(m.Skill)
		d.Runs = append(d.Runs, m.Provenance.Runs...)
		err = s.Fits(m)
	}
	if err != nil {
		d.Problem = err.Error()
	}
	s.seen[path] = d
	return d
}

// ErrNone reports that there is no document of that name.
var ErrNone = errors.New("there is no such model")

// find gives the document of a name.
func (s *Shelf) find(name string) (Document, error) {
	for _, d := range s.List() {
		if d.Name == name {
			return d, nil
		}
	}
	return Document{}, fmt.Errorf("%w: %q", ErrNone, name)
}

// Model reads the document of a name.
func (s *Shelf) Model(name string) (*model.Model, error) {
	d, err := s.find(name)
	if err != nil {
		return nil, err
	}
	return model.Load(d.path)
}

// UseAs goes on with the document of a name, for who and why, also after the next start. kept is why the next start will
// not know of it. Of two at once the second waits for the first.
func (s *Shelf) UseAs(ctx context.Context, name, who, why string) (kept, err error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d, err := s.find(name)
	if err != nil {
		return nil, err
	}
	m, err := model.Load(d.path)
	if err == nil && d.Problem != "" {
		err = errors.New(d.Problem)
	}
	if err == nil {
		err = s.Fits(m)
	}
	if err == nil {
		err = s.Use(ctx, m, name, who, why)
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path, s.now = d.path, m
	if kept = s.keep(d); kept != nil {
		s.Log.Error("the model in use is not kept for the next start", "error", kept)
	}
	return kept, nil
}

// keep notes on disk which document is in use.
func (s *Shelf) keep(d Document) error {
	link := filepath.Join(s.Folder, current)
	if d.Configured {
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	} else {
		young := link + ".new"
		os.Remove(young)
		if err := os.Symlink(d.Name, young); err != nil {
			return err
		}
		if err := os.Rename(young, link); err != nil {
			return err
		}
	}
	dir, err := os.Open(s.Folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil // the configured one is used, and there never was another
	}
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
