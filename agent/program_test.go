package agent

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/record"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/program"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// stopping is a program that deposits for a minute, reloads, and stops.
const stopping = `N1 (BAR)
N2 M40 S3
N3 M41 S475
N4 M24 S381
N5 G1 X600 F600
N6 M25
N7 G4 P40
N8 M24 S381
N9 G1 X0
N10 M25
N11 M41 S0
N12 M05
N13 M30
`

// programmed is an agent whose program is at path, and a channel of its line; row gives it a second.
func programmed(t testing.TB, path string) (a recorded, row func(line, path float64)) {
	a = agentOf(t, Options{Registry: lined(t), Model: learned(t), Process: process(), Program: path})
	now := 1000 * second
	return a, func(line, path float64) {
		now += second
		put(a, now, 475, 7.5, 330, path/25.4, 381, 475, line)
		a.tick(now)
	}
}

func lined(t testing.TB) *sensors.Registry {
	return cell(t, sensors.Channel{Name: "line", Role: sensors.ProgramLine, Unit: unit.MustParse("1"), MaxAge: 3 * time.Second})
}

func written(t testing.TB, path, text string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// The forecast knows of the stop that the program makes, and the snapshot says what comes.
func TestForecastKnowsTheProgram(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "bar.nc")
	written(t, file, stopping, time.Unix(1000, 0))
	with, row := programmed(t, file)
	without := agentOf(t, Options{Registry: lined(t), Model: learned(t), Process: process()})
	now := 1000 * second
	for s := range 45 {
		row(9, 600)
		now += second
		put(without, now, 475, 7.5, 330, 600/25.4, 381, 475, 9)
		without.tick(now)
		_ = s
	}
	var a, b Snapshot
	with.Snapshot(&a)
	without.Snapshot(&b)
	if b.Program.Name != "" || a.Program.Name != "bar.nc" || a.Program.State != program.Following || a.Program.Line != 9 {
		t.Errorf("program %+v and %+v", a.Program, b.Program)
	}
	last := len(a.Forecast.Horizon) - 1
	stopped, goesOn := a.Forecast.Outputs[a.Leading].Mean[last], b.Forecast.Outputs[b.Leading].Mean[last]
	if !(stopped < goesOn-50) {
		t.Errorf("in %g s %g °C with a stop in 15 s, %g without knowing it", a.Forecast.Horizon[last], stopped, goesOn)
	}
	// Who asks what would be with another set-point gets what comes by the program too, and needs not know it.
	whatIf := func(e *estimator) float64 {
		f := filter.Forecast{Horizon: []float64{60}}
		e.filter.AheadMean(&f, filter.Scenario{Way: filter.Planned, SetPoint: func(float64) float64 { return 480 }})
		return f.Outputs[a.Leading].Mean[0]
	}
	if x, y := whatIf(with.estimator), whatIf(without.estimator); !(math.Abs(x-y) > 1) {
		t.Errorf("at a set-point of 480 °C %.2f °C, and %.2f without the program", x, y)
	}
	ends := -1.0
	for _, e := range a.Program.Next {
		if e.Kind == program.BuildEnds {
			ends = e.In
		}
	}
	if !(ends > 10 && ends < 20) {
		t.Errorf("the build ends in %g s: %v", ends, a.Program.Next)
	}
	rows := 0
	for _, l := range lines(t, with, record.Programs) {
		if strings.Contains(l, `event=build\ ends`) && strings.Contains(l, "line=9i") && strings.Contains(l, "in=") {
			rows++
		}
	}
	if rows < 5 {
		t.Errorf("%d rows of the build's end", rows)
	}
}

func TestProgramOfAFolder(t *testing.T) {
	dir := t.TempDir()
	a, row := programmed(t, dir)
	name := func() string {
		var s Snapshot
		a.Snapshot(&s)
		return s.Program.Name
	}
	at := time.Unix(5000, 0)
	look := func() { a.programs.look(a.Event, 1) }
	row(5, 600)
	if name() != "" {
		t.Errorf("%q in an empty folder", name())
	}
	written(t, filepath.Join(dir, "a.nc"), stopping, at)
	written(t, filepath.Join(dir, "notes.md"), "N1 G1 X5 F100", at.Add(time.Hour))
	written(t, filepath.Join(dir, ".hidden.nc"), "N1 G1 X5 F100", at.Add(time.Hour))
	look()
	if row(5, 600); name() != "a.nc" {
		t.Errorf("%q after a.nc came", name())
	}
	written(t, filepath.Join(dir, "b.nc"), strings.ReplaceAll(stopping, "F600", "F500"), at.Add(time.Minute))
	look()
	if row(5, 600); name() != "b.nc" {
		t.Errorf("%q after the newer b.nc came", name())
	}
	written(t, filepath.Join(dir, "c.nc"), "nothing for a machine", at.Add(2*time.Minute))
	look()
	if row(5, 600); name() != "" {
		t.Errorf("%q where the newest is no program", name())
	}
	written(t, filepath.Join(dir, "c.nc"), stopping+"M99\n", at.Add(2*time.Minute)) // of the same time, but grown
	look()
	if row(5, 600); name() != "c.nc" {
		t.Errorf("%q after c.nc was written whole", name())
	}
	all := strings.Join(lines(t, a, record.Events), "\n")
	for _, want := range []string{"no program is in", "program a.nc: 12 blocks", "program b.nc is followed from line 5", "nothing in it makes a machine do anything", "; no program is followed", "not understood: M99 in line 14"} {
		if !strings.Contains(all, want) {
			t.Errorf("it is not said: %q\n%s", want, all)
		}
	}
}

// A program that is not the machine's is told of, once, and the forecast is made as without one.
func TestWrongProgramIsNotUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "other.nc")
	written(t, file, stopping, time.Unix(1000, 0))
	a, row := programmed(t, file)
	for range 30 {
		row(412, 600)
	}
	var s Snapshot
	a.Snapshot(&s)
	if s.Program.State != program.Misfit || !strings.Contains(s.Program.Why, "line 412") || len(s.Program.Next) != 0 {
		t.Errorf("%+v", s.Program)
	}
	if x := s.Forecast.Outputs[s.Leading].Mean; math.IsNaN(x[len(x)-1]) {
		t.Error("no forecast")
	}
	n := 0
	for _, l := range lines(t, a, record.Events) {
		if strings.Contains(l, "kind=doubted") && strings.Contains(l, "other.nc does not fit the machine and is not used: line 412 is shown") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("it is said %d times", n)
	}
	if all := strings.Join(lines(t, a, record.Events), "\n"); strings.Contains(all, "is followed") {
		t.Errorf("it is followed first: %s", all)
	}
}

func TestProgramMustBeThereAndFollowed(t *testing.T) {
	for path, want := range map[string]string{filepath.Join(t.TempDir(), "gone.nc"): "no such file", t.TempDir(): "is: program line"} {
		if _, err := New(Options{Registry: cell(t), Program: path, Log: quiet}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestTickWithAProgramDoesNotAllocate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bar.nc")
	written(t, file, strings.ReplaceAll(stopping, "F600", "F6"), time.Unix(1000, 0))
	a := agentOf(t, Options{Registry: lined(t), Model: learned(t), Process: process(), Program: file})
	now := 1000 * second
	for range 300 {
		now += 1e8
		put(a, now, 475, 7.5, 330, 6/25.4, 381, 475, 5)
		a.tick(now)
	}
	var samples []sensors.Sample
	for i, v := range []float64{475, 7.5, 330, 6 / 25.4, 381, 475, 5} {
		samples = append(samples, sensors.Sample{Channel: sensors.ChannelID(i), Value: v, Status: sensors.OK})
	}
	tick := func() {
		now += 1e8
		for i := range samples {
			samples[i].Time, samples[i].Arrival = now, now
		}
		a.board.Put(samples)
		a.tick(now)
	}
	n := math.Inf(1)
	for range 5 { // who looks after the file beside the tick allocates, and is counted too where the computer is busy
		n = min(n, testing.AllocsPerRun(200, tick))
	}
	if n != 0 {
		t.Fatalf("%v allocations a tick", n)
	}
	if a.estimator.guide.Tracker.State() != program.Following {
		t.Error("the program is not followed")
	}
}

// The watcher takes what is written while the agent runs.
func TestProgramIsWatched(t *testing.T) {
	dir := t.TempDir()
	a, _ := programmed(t, dir)
	written(t, filepath.Join(dir, "late.nc"), stopping, time.Now())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.programs.watch(ctx, a.Event, a.opt.Clock) }()
	for a.programs.next.Load() == nil || a.programs.next.Load().Program() == nil {
		if ctx.Err() != nil {
			t.Fatal("what came is not noticed")
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Error(err)
	}
}
