package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	nc "stirwatch/dynamics/program"
	"stirwatch/firmware-bridge/twin"
)

// bars is a build of three layers in tracks, with a reload and a retreat, as a machine's program is written.
func bars() string {
	var b strings.Builder
	n := 0
	line := func(format string, args ...any) {
		n++
		fmt.Fprintf(&b, "N%d %s\n", n, fmt.Sprintf(format, args...))
	}
	for _, l := range []string{"(START)", "%12 (BARS)", "M60", "G54 G90", "G710", "M40 S3", "M75 S250", "M76 S450", "/0 M34 S2410", "/0 M06 S200", "/0 M41 S465", "/0 M43 S440", "M41 S475"} {
		line("%s", l)
	}
	for layer := range 3 {
		line("(LAYER %d)", layer+1)
		line("/0 M34 S%d", 3810-300*layer)
		line("G1 X60 Y-60 Z%d F800", 2*layer+2)
		for track := range 4 {
			x := 60 - 40*track
			side := float64(1 - 2*(track%2))
			line("G1 X%d Y%g", x, -60*side)
			line("G3 X%d Y%g I10 J0", x+20, -60*side) // a loop at the end of the track
			line("G1 X%d Y%g", x, 60*side)
		}
		if layer == 1 {
			line("M35 (RELOAD)")
			line("G4 P40")
			line("M34 S2410")
			line("G4 P12")
		}
	}
	line("M35")
	line("M41 S0")
	line("M05")
	line("G0 Z200")
	line("G4 P60")
	line("M61")
	line("M30")
	return b.String()
}

// follows runs a program on the twin and gives what the machine shows, row by row.
func follows(t *testing.T, text string, seed uint64) (rows []nc.Now) {
	t.Helper()
	codes, err := twin.ParseProgram(text)
	if err != nil {
		t.Fatal(err)
	}
	err = twin.Simulate(context.Background(), twin.Config{Program: codes, Seed: seed, Vary: true}, func(_ *twin.Machine, r *twin.Row) error {
		rows = append(rows, nc.Now{Line: float64(r.Line), Path: r.PathVel, Feed: r.FeedVel, SetPoint: r.SetPoint, Override: r.Override, Reading: r.ToolTemp, Speed: r.RPM})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func standardBuild(t *testing.T) string {
	text, err := os.ReadFile(filepath.Join("..", "..", "firmware-bridge", "twin", "materials", "build.nc"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The twin drives its programs by rules of its own. On every second of a build the next minute is known: path and feed
// far better than if what is now went on, and events to a few seconds, half a minute before.
func TestProgramForetellsTheTwin(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"build": standardBuild(t), "bars": bars()} {
		p, err := nc.New(name, text, nc.DefaultAxes)
		if err != nil {
			t.Fatal(err)
		}
		rows := follows(t, text, 3)
		tr := nc.NewTracker(p)
		var a nc.Ahead
		var events []nc.Event
		var path, feed, pathHeld, feedHeld float64
		off, told := 0, map[int]float64{} // row at which the feed went off, by what was told half a minute before
		for i, now := range rows {
			tr.Step(1, now)
			if tr.State() != nc.Following {
				t.Fatalf("%s, row %d, line %g: %s %s", name, i, now.Line, tr.State(), tr.Why())
			}
			events = tr.Next(events)
			for _, e := range events {
				if (e.Kind == nc.Reload || e.Kind == nc.BuildEnds) && e.In > 29 && e.In < 31 {
					told[i+30] = e.In - 30
				}
			}
			if i > 0 && now.Feed < 100 && rows[i-1].Feed >= 100 && rows[i-1].SetPoint > 0 {
				off++
				near := false
				for at := i - 3; at <= i+3; at++ {
					_, is := told[at]
					near = near || is
				}
				if !near {
					t.Errorf("%s: the feed goes off in row %d; half a minute before that was told for %v", name, i, told)
				}
			}
			tr.Look(&a, 60)
			for k := range a.Path {
				if i+1+k == len(rows) {
					break
				}
				then := rows[i+1+k]
				path, pathHeld = path+math.Abs(a.Path[k]-then.Path), pathHeld+math.Abs(now.Path-then.Path)
				feed, feedHeld = feed+math.Abs(a.Feed[k]-then.Feed), feedHeld+math.Abs(now.Feed-then.Feed)
			}
		}
		if !(path < 0.6*pathHeld && feed < 0.2*feedHeld) || off != 2 {
			t.Errorf("%s: off by path %.0f, feed %.0f mm/min·s; held %.0f and %.0f; the feed went off %d times", name, path, feed, pathHeld, feedHeld, off)
		}
	}
}

func TestProgramOfAnotherBuildDoesNotFitTheTwin(t *testing.T) {
	t.Parallel()
	p, err := nc.New("bars.nc", bars(), nc.DefaultAxes)
	if err != nil {
		t.Fatal(err)
	}
	tr := nc.NewTracker(p)
	used := 0
	rows := follows(t, standardBuild(t), 3)
	for _, now := range rows {
		if tr.Step(1, now); tr.State() == nc.Following {
			used++
		}
	}
	if 4*used > len(rows) {
		t.Errorf("in %d of %d rows it is followed", used, len(rows))
	}
}

// score and forecast go by the program: across the reload and the stop of a build that the model has not seen they are
// far better at 60 s than with a program that does not fit, which is said and not used.
func TestScoreByProgram(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bars.nc"), bars()+"M99\n")
	write(t, filepath.Join(dir, "other.nc"), "N9001 G1 X500 F10\n")
	if code, _, stderr := command(t, dir, "twin", "--log-dir", "logs", "--speed", "0", "--seed", "11", "--vary", "--program", "bars.nc"); code == 0 || !strings.Contains(stderr, "M99 is not known") {
		t.Fatalf("the twin takes M99: %d %s", code, stderr)
	}
	write(t, filepath.Join(dir, "run.nc"), bars())
	if code, _, stderr := command(t, dir, "twin", "--log-dir", "logs", "--speed", "0", "--seed", "11", "--vary", "--program", "run.nc"); code != 0 {
		t.Fatal(stderr)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "logs", "*.csv"))
	m, err := filepath.Abs(demoModel)
	if err != nil {
		t.Fatal(err)
	}
	rmse := func(program string) (float64, string) {
		code, stdout, stderr := command(t, dir, "forecast", "-m", m, "--program", program, "--horizons", "60s", logs[0])
		if code != 0 {
			t.Fatal(stderr)
		}
		sum, n := 0.0, 0.0
		for _, row := range table(t, stdout)[1:] {
			if measured := number(t, row[8]); !math.IsNaN(measured) {
				sum, n = sum+math.Pow(number(t, row[5])-measured, 2), n+1
			}
		}
		return math.Sqrt(sum / n), stderr
	}
	with, said := rmse("bars.nc")
	if !strings.Contains(said, "program bars.nc: ") || !strings.Contains(said, "3 layers; not understood: M99 in line") || strings.Contains(said, "does not fit") {
		t.Errorf("it says %s", said)
	}
	without, said := rmse("other.nc")
	if !strings.Contains(said, "it does not fit in") || !strings.Contains(said, "the program has lines 9001 to 9001") {
		t.Errorf("it says %s", said)
	}
	if !(with < 0.6*without) {
		t.Errorf("60 s ahead: RMSE %.1f with the program, %.1f without", with, without)
	}
	t.Logf("60 s ahead: RMSE %.1f with the program, %.1f without", with, without)
	for args, want := range map[string]string{"--program gone.nc": "no such file", "--program bars.nc --inputs known": "--program with --inputs known"} {
		if code, _, stderr := command(t, dir, append(append([]string{"score", "-m", m}, strings.Fields(args)...), logs[0])...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %s; want %q", args, code, stderr, want)
		}
	}
}
