package models

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/dynamics/model"
)

const demo = "../../cmd/demo/model.json"

// used is a shelf with one document beside the configured one, and what the agent was told to use.
func used(t *testing.T, script string) (s *Shelf, told *string) {
	t.Helper()
	m, err := model.Load(demo)
	if err != nil {
		t.Fatal(err)
	}
	told = new(string)
	s = New(Options{
		Folder: filepath.Join(t.TempDir(), "models"), File: demo, Log: slog.New(slog.DiscardHandler), Fits: func(*model.Model) error { return nil },
		Use: func(_ context.Context, _ *model.Model, name, who, why string) error {
			*told = name + " " + who + " " + why
			return nil
		},
		Work: func(ctx context.Context, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, "sh", append([]string{"-c", script, "sh"}, args...)...)
		},
	}, m)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s, told
}

func put(t *testing.T, s *Shelf, name string, change func(*model.Model)) {
	t.Helper()
	m, err := model.Load(demo)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(m)
	}
	if err := os.MkdirAll(s.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(filepath.Join(s.Folder, name)); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: it does not come", what)
		}
	}
}

// What is chosen is used, and is after the next start; the way back is the configured one.
func TestTheChosenModelStays(t *testing.T) {
	s, told := used(t, "")
	put(t, s, "b.json", func(m *model.Model) { m.Process = "the second" })
	put(t, s, "c.json", nil)
	if err := os.WriteFile(filepath.Join(s.Folder, "d.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	all := s.List()
	if len(all) != 4 || all[0].Name != "model.json" || !all[0].InUse || !all[0].Configured || all[1].Name != "d.json" || all[1].Problem == "" || all[3].Process != "the second" || all[3].Verdict == "" || len(all[3].Runs) == 0 {
		t.Fatalf("%+v", all)
	}
	if _, err := s.UseAs(t.Context(), "b.json", "eva", "it is better"); err != nil || *told != "b.json eva it is better" {
		t.Fatalf("%v, %s", err, *told)
	}
	if m, name := s.Current(); name != "b.json" || m.Process != "the second" {
		t.Errorf("%s is used", name)
	}
	if m, err := Load(s.Folder, demo); err != nil || m.Process != "the second" {
		t.Errorf("the next start: %v", err)
	}
	for _, bad := range []string{"d.json", "none", "../model.json", "current", ""} {
		if _, err := s.UseAs(t.Context(), bad, "eva", "x"); err == nil {
			t.Errorf("%q is used", bad)
		}
	}
	os.Remove(filepath.Join(s.Folder, "b.json"))
	if _, err := Load(s.Folder, demo); err == nil || !strings.Contains(err.Error(), "remove ") {
		t.Errorf("the chosen one is gone: %v", err)
	}
	if _, err := s.UseAs(t.Context(), "model.json", "eva", "back"); err != nil {
		t.Fatal(err)
	}
	if Path(s.Folder, demo) != demo {
		t.Errorf("the next start takes %s", Path(s.Folder, demo))
	}
	s.Use = func(context.Context, *model.Model, string, string, string) error { return errors.New("no") }
	if _, err := s.UseAs(t.Context(), "c.json", "eva", "x"); err == nil || Path(s.Folder, demo) != demo {
		t.Errorf("what the agent refuses is kept: %v", err)
	}
}

// Two who switch in the same instant: what the agent uses, what the shelf says and what the next start takes is one model.
func TestTwoSwitchAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := used(t, "")
		put(t, s, "b.json", nil)
		put(t, s, "c.json", nil)
		var told []string
		second := make(chan error, 1)
		s.Use = func(_ context.Context, _ *model.Model, name, _, _ string) error {
			told = append(told, name)
			if name == "b.json" {
				go func() {
					_, err := s.UseAs(t.Context(), "c.json", "eva", "x")
					second <- err
				}()
				synctest.Wait() // until it waits, or has done all
			}
			return nil
		}
		if _, err := s.UseAs(t.Context(), "b.json", "anna", "x"); err != nil {
			t.Fatal(err)
		}
		if err := <-second; err != nil {
			t.Fatal(err)
		}
		if _, name := s.Current(); name != told[1] || filepath.Base(Path(s.Folder, demo)) != told[1] {
			t.Errorf("the agent was told %q; the shelf says %s, and the next start takes %s", told, name, Path(s.Folder, demo))
		}
	})
}

// Where the configuration names no model one of the folder can be used anyway, also after the next start.
func TestTheFirstModelIsOfTheFolder(t *testing.T) {
	s, told := used(t, "")
	s = New(Options{Folder: s.Folder, Log: s.Log, Fits: s.Fits, Use: s.Use}, nil)
	if m, name := s.Current(); m != nil || name != "" || len(s.List()) != 0 {
		t.Errorf("%v, %q, %v", m, name, s.List())
	}
	if m, err := Load(s.Folder, ""); m != nil || err != nil {
		t.Errorf("%v, %v", m, err)
	}
	put(t, s, "b.json", nil)
	if _, err := s.UseAs(t.Context(), "b.json", "eva", "it is the first"); err != nil || *told != "b.json eva it is the first" {
		t.Fatalf("%v, %s", err, *told)
	}
	if all := s.List(); len(all) != 1 || !all[0].InUse || all[0].Configured {
		t.Errorf("%+v", all)
	}
	if m, err := Load(s.Folder, ""); m == nil || err != nil {
		t.Errorf("the next start: %v", err)
	}
	os.Remove(filepath.Join(s.Folder, "b.json"))
	if _, err := Load(s.Folder, ""); err == nil || !strings.Contains(err.Error(), "to go back to none") {
		t.Errorf("the chosen one is gone: %v", err)
	}
}

// What is made beside the agent is what the kernel ends first where memory is short.
func TestAJobIsExpendable(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the kernel cannot be told")
	}
	s, _ := used(t, `until [ "$(cat /proc/$$/oom_score_adj)" = 1000 ]; do sleep 0.01; done; echo "$@" >&2`)
	s.Hypotheses = "heater.yaml"
	if err := s.Learn([]string{"build-1"}, "eva"); err != nil {
		t.Fatal(err)
	}
	until(t, "it ends", func() bool { return s.Job().Ended != 0 })
	if j := s.Job(); j.Error != "" || !strings.Contains(j.Notes[0], "--hypotheses heater.yaml") {
		t.Errorf("%+v", j)
	}
}

// What the program says is followed, and what it prints of a comparison kept.
func TestAJobIsFollowed(t *testing.T) {
	s, _ := used(t, `echo "$@" >&2; echo "[2/7] fitting" >&2; while [ ! -e "$GO" ]; do sleep 0.01; done; echo "the new one is better"`)
	gate := filepath.Join(t.TempDir(), "go")
	t.Setenv("GO", gate)
	put(t, s, "b.json", nil)
	if err := s.Compare("b.json", "model.json", []string{"build-1", "-x"}, "anna"); err != nil {
		t.Fatal(err)
	}
	until(t, "a step is told", func() bool { return s.Job().Step == 2 })
	if j := s.Job(); j.Steps != 7 || j.Text != "fitting" || j.Ended != 0 || j.Who != "anna" || !strings.Contains(j.Notes[0], "compare --from-journal") || !strings.Contains(j.Notes[0], "--run=-x") {
		t.Errorf("%+v", j)
	}
	if err := s.Learn([]string{"build-1"}, "anna"); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	until(t, "it ends", func() bool { return s.Job().Ended != 0 })
	if j := s.Job(); j.Error != "" || j.Result != "the new one is better\n" {
		t.Errorf("%+v", j)
	}
}

func TestAJobIsCancelledOrFails(t *testing.T) {
	s, _ := used(t, `echo "[1/7] reading" >&2; exec sleep 600`)
	if err := s.Cancel(); err == nil {
		t.Error("nothing was cancelled")
	}
	if err := s.Learn([]string{"build-1"}, "eva"); err != nil {
		t.Fatal(err)
	}
	until(t, "it has begun", func() bool { return s.Job().Step == 1 })
	if err := s.Cancel(); err != nil {
		t.Fatal(err)
	}
	until(t, "it ends", func() bool { return s.Job().Ended != 0 })
	if j := s.Job(); j.Error != "cancelled" {
		t.Errorf("%+v", j)
	}
	s.Work = func(ctx context.Context, _ ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "sh", "-c", `echo "stirwatch: there is no run" >&2; exit 1`)
	}
	if err := s.Learn([]string{"none"}, "eva"); err != nil {
		t.Fatal(err)
	}
	until(t, "it fails", func() bool { return s.Job().Ended != 0 })
	if j := s.Job(); j.Error != "there is no run" {
		t.Errorf("%+v", j)
	}
	for _, runs := range [][]string{nil, {""}, make([]string, maxRuns+1)} {
		if err := s.Learn(runs, "eva"); err == nil {
			t.Errorf("learned from %q", runs)
		}
	}
}
