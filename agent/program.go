package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/dynamics/program"
	"stirwatch/sensors"
)

// programs holds the program that the machine runs: a watcher of its own reads the file, or the newest in a
// folder, and the tick follows the line.
type programs struct {
	path string // file or folder
	next atomic.Pointer[program.Tracker]
	now  fileState // as read last; the watcher's alone

	// Owned by the tick.
	tracker  *program.Tracker // nil: none
	events   []program.Event
	told     program.State
	said     bool // told has been said
	line     signal
	path2d   signal
	feed     signal
	override signal
	tool     signal
	speed    signal
	setPoint signal
	recordAt int64
}

// fileState is compared with an earlier one to notice that a file has changed.
type fileState struct {
	path string
	size int64
	mod  time.Time
}

const (
	programSource  = "program"       // of events
	programsLooked = 2 * time.Second // between two looks at file or folder
	programsEvery  = 5 * time.Second // between two records of what comes next
)

// programEndings are those of programs in a folder.
var programEndings = []string{".nc", ".ngc", ".cnc", ".gcode", ".gco", ".g", ".tap", ".mpf", ".iso", ".txt"}

// newPrograms finds what a program is followed by. It fails where path does not exist, or no channel is the
// program line.
func newPrograms(path string, reg *sensors.Registry) (*programs, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("model: program: %w", err)
	}
	if _, ok := reg.Find(sensors.ProgramLine); !ok {
		return nil, fmt.Errorf("model: program: %s can only be followed where a channel says `is: %s`", path, sensors.ProgramLine)
	}
	p := &programs{path: path, events: make([]program.Event, 0, 16)}
	all := []wanted{
		{&p.line, sensors.ProgramLine, "1"},
		{&p.path2d, sensors.PathVelocity, "mm/min"},
		{&p.feed, sensors.FeedVelocity, "mm/min"},
		{&p.override, sensors.FeedOverride, "%"},
		{&p.tool, sensors.ToolTemperature, "°C"},
		{&p.speed, sensors.SpindleSpeed, "rpm"},
	}
	if id, ok := reg.Find(sensors.SetPoint); ok && isTemperature(reg.Channel(id)) {
		all = append(all, wanted{&p.setPoint, sensors.SetPoint, "°C"})
	}
	return p, findSignals(reg, all...)
}

// watch looks for changes until ctx ends.
func (p *programs) watch(ctx context.Context, event func(sensors.Event), clock *Clock) error {
	t := time.NewTicker(programsLooked)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			p.look(event, clock.Now())
		}
	}
}

// look reads the program where it has changed, and hands it to the tick. A file that is being written is read
// again when it has grown.
func (p *programs) look(event func(sensors.Event), now int64) {
	found, err := newestProgram(p.path)
	if err == nil && found == p.now {
		return
	}
	tell := func(kind sensors.EventKind, text string) {
		event(sensors.Event{Time: now, Source: programSource, Kind: kind, Text: text})
	}
	if err != nil {
		if gone := (fileState{path: err.Error()}); gone != p.now { // once
			p.now = gone
			tell(sensors.Disconnected, err.Error())
			p.next.Store(program.NewTracker(nil))
		}
		return
	}
	p.now = found
	made, err := program.Load(found.path)
	if err != nil {
		tell(sensors.Rejected, err.Error()+"; no program is followed")
		p.next.Store(program.NewTracker(nil))
		return
	}
	kind := sensors.Detected
	if len(made.Unknown) > 0 {
		kind = sensors.Doubted
	}
	tell(kind, made.String())
	p.next.Store(program.NewTracker(made))
}

// newestProgram is the file, or the newest program in the folder.
func newestProgram(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, fmt.Errorf("program: %w", err)
	}
	if !info.IsDir() {
		return fileState{path, info.Size(), info.ModTime()}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return fileState{}, fmt.Errorf("program: %w", err)
	}
	var all []fileState
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains(programEndings, strings.ToLower(filepath.Ext(e.Name()))) {
			continue
		}
		info, err := os.Stat(filepath.Join(path, e.Name()))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return fileState{}, fmt.Errorf("program: %w", err)
		}
		all = append(all, fileState{filepath.Join(path, e.Name()), info.Size(), info.ModTime()})
	}
	if len(all) == 0 {
		return fileState{}, fmt.Errorf("program: no program is in %s yet (%s)", path, strings.Join(programEndings, ", "))
	}
	return slices.MaxFunc(all, func(a, b fileState) int {
		return cmp.Or(a.mod.Compare(b.mod), cmp.Compare(a.path, b.path))
	}), nil
}

// step follows the line. It does not allocate, but where something is said.
func (p *programs) step(dt time.Duration, f *sensors.Frame, event func(sensors.Event)) {
	if next := p.next.Swap(nil); next != nil {
		if p.tracker, p.said = next, false; next.Program() == nil {
			p.tracker, p.events = nil, p.events[:0]
		}
	}
	if p.tracker == nil {
		return
	}
	p.tracker.Step(dt.Seconds(), program.Now{Line: p.line.fresh(f), Path: p.path2d.value(f), Feed: p.feed.value(f),
		SetPoint: p.setPoint.value(f), Override: p.override.value(f), Reading: p.tool.value(f), Speed: p.speed.value(f)})
	p.events = p.tracker.Next(p.events)
	state := p.tracker.State()
	if state == p.told && p.said || state == program.Waiting {
		return
	}
	was := p.told
	p.told, p.said = state, true
	e := sensors.Event{Time: f.Time, Source: programSource, Kind: sensors.Detected}
	switch name := p.tracker.Program().Name; {
	case state == program.Misfit:
		e.Kind, e.Text = sensors.Doubted, "program "+name+" does not fit the machine and is not used: "+p.tracker.Why()
	case state == program.Following && was == program.Misfit:
		e.Kind, e.Text = sensors.Resumed, "program "+name+" fits the machine again"
	case state == program.Following:
		e.Text = fmt.Sprintf("program %s is followed from line %d on", name, p.tracker.Line())
	default:
		e.Text = "program " + name + " does not run"
	}
	event(e)
}

// record writes what comes next.
func (p *programs) record(j *journal.Journal, t int64) {
	if p.tracker == nil || t < p.recordAt {
		return
	}
	p.recordAt = t - t%int64(programsEvery) + int64(programsEvery)
	for i := range p.events {
		e := &p.events[i]
		journal.Write(j, record.ProgramEvent{Time: t, Event: e.Kind.String(), In: e.In, Value: e.Value, Line: int64(p.tracker.Line())})
	}
}

// Programmed is what the agent knows of the program that the machine runs.
type Programmed struct {
	Name  string // of the file; "" where there is none
	State program.State
	Why   string // it does not fit
	Line  int
	Layer int             // number of the layer that is laid; −1 where none is known
	Next  []program.Event // the nearest first
}

// fill takes over what the tick knows.
func (s *Programmed) fill(p *programs) {
	next := s.Next[:0]
	*s = Programmed{Layer: -1, Next: next}
	if p == nil || p.tracker == nil {
		return
	}
	s.Name, s.State, s.Why, s.Line = p.tracker.Program().Name, p.tracker.State(), p.tracker.Why(), p.tracker.Line()
	if n, ok := p.tracker.Layer(); ok {
		s.Layer = n
	}
	s.Next = append(s.Next, p.events...)
}

// CopyTo makes dst say the same, in a slice of its own.
func (s *Programmed) CopyTo(dst *Programmed) {
	next := append(dst.Next[:0], s.Next...)
	*dst = *s
	dst.Next = next
}
