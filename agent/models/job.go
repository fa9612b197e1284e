package models

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Work makes the command that runs the program with a command line until ctx ends.
type Work func(ctx context.Context, args ...string) *exec.Cmd

// Job is something that is made beside the tick, one at a time: a model learned from runs, or two compared on one.
type Job struct {
	Kind   string   `json:"kind"`   // learn, compare; "": there was none
	Models []string `json:"models"` // of learn the one that is made, of compare both
	Runs   []string `json:"runs"`
	Who    string   `json:"who"`
	Began  int64    `json:"began"` // ns since the Unix epoch
	Ended  int64    `json:"ended"` // 0: it goes on
	Step   int      `json:"step"`  // of Steps; 0: not known
	Steps  int      `json:"steps"`
	Text   string   `json:"text"`   // what it is at
	Notes  []string `json:"notes"`  // what it said, the last lines
	Result string   `json:"result"` // of compare: the comparison
	Error  string   `json:"error"`  // why it came to nothing
}

// job is a Job under way.
type job struct {
	Job    // guarded by the shelf's mu
	cancel context.CancelCauseFunc
	done   chan struct{}
}

const (
	maxNotes  = 40
	maxResult = 1 << 20          // bytes of a comparison
	endWait   = 10 * time.Second // between asking it to end and ending it
)

// ErrBusy tells that something is being made already.
var ErrBusy = errors.New("another model is being learned or compared: wait for it, or cancel it")

// errCancelled is why a job ended that somebody wanted no longer.
var errCancelled = errors.New("cancelled")

// Learn begins to learn a model from runs of the journal.
func (s *Shelf) Learn(runs []string, who string) error {
	flags, err := runFlags(runs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Folder, 0o750); err != nil {
		return err
	}
	name := time.Now().UTC().Format("20060102-150405") + ".json"
	args := []string{"learn", "--from-journal", "--progress", "-o", filepath.Join(s.Folder, name)}
	if s.Hypotheses != "" {
		args = append(args, "--hypotheses", s.Hypotheses)
	}
	return s.begin(Job{Kind: "learn", Models: []string{name}, Runs: runs, Who: who}, append(args, flags...))
}

// Compare begins to compare two documents, the second as the one in use, on runs of the journal.
func (s *Shelf) Compare(young, old string, runs []string, who string) error {
	flags, err := runFlags(runs)
	if err != nil {
		return err
	}
	a, err := s.find(young)
	if err != nil {
		return err
	}
	b, err := s.find(old)
	if err != nil {
		return err
	}
	args := []string{"compare", "--from-journal", "--model", a.path, "--with", b.path}
	return s.begin(Job{Kind: "compare", Models: []string{young, old}, Runs: runs, Who: who}, append(args, flags...))
}

const maxRuns = 50

// runFlags are the flags that name runs.
func runFlags(runs []string) (flags []string, err error) {
	if len(runs) == 0 || len(runs) > maxRuns || slices.Contains(runs, "") {
		return nil, fmt.Errorf("name 1 to %d runs", maxRuns)
	}
	for _, run := range runs {
		flags = append(flags, "--run="+run)
	}
	return flags, nil
}

func (s *Shelf) begin(what Job, args []string) error {
	if s.Work == nil {
		return errors.New("nothing is learned here")
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	j := &job{Job: what, cancel: cancel, done: make(chan struct{})}
	j.Began, j.Notes = time.Now().UnixNano(), []string{}
	s.mu.Lock()
	if s.job != nil && s.job.Ended == 0 {
		s.mu.Unlock()
		cancel(nil)
		return ErrBusy
	}
	s.job = j
	s.mu.Unlock()
	go func() {
		defer close(j.done)
		out, err := s.carry(ctx, j, s.Work(ctx, args...))
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		cancel(nil)
		j.Ended, j.Text, j.Result = time.Now().UnixNano(), "", out
		if err != nil {
			j.Error, j.Result = err.Error(), ""
			s.Log.Warn(j.Kind+" came to nothing", "who", j.Who, "runs", j.Runs, "error", err)
		} else {
			s.Log.Info(j.Kind+" is done", "who", j.Who, "runs", j.Runs, "models", j.Models)
		}
	}()
	return nil
}

var stepped = regexp.MustCompile(`^\[(\d+)/(\d+)\] (.*)`)

// carry runs a command, follows what it says, and gives what it prints.
func (s *Shelf) carry(ctx context.Context, j *job, c *exec.Cmd) (out string, err error) {
	c.Cancel, c.WaitDelay = func() error { return c.Process.Signal(os.Interrupt) }, endWait
	var printed bytes.Buffer
	c.Stdout = &limited{&printed, maxResult}
	said, w := io.Pipe()
	c.Stderr = w
	read := make(chan struct{})
	var last string
	go func() {
		defer close(read)
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if line := strings.TrimSpace(lines.Text()); line != "" {
				last = line
				s.said(j, line)
			}
		}
		io.Copy(io.Discard, said) // what follows a line that is far too long
	}()
	if err = c.Start(); err == nil {
		if err := expendable(c.Process.Pid); err != nil {
			s.Log.Debug("where memory is short the kernel chooses by itself what it ends", "error", err)
		}
		err = c.Wait()
	}
	w.Close()
	<-read
	var exit *exec.ExitError
	if errors.As(err, &exit) && last != "" {
		err = errors.New(strings.TrimPrefix(last, "stirwatch: "))
	}
	if j.Kind == "learn" {
		return "", err // the equation, which its document has
	}
	return printed.String(), err
}

func (s *Shelf) said(j *job, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := stepped.FindStringSubmatch(line); at != nil {
		j.Step, _ = strconv.Atoi(at[1])
		j.Steps, _ = strconv.Atoi(at[2])
		j.Text = at[3]
		return
	}
	j.Text = line
	if j.Notes = append(j.Notes, line); len(j.Notes) > maxNotes {
		j.Notes = j.Notes[1:]
	}
}

// limited keeps the first bytes written to it, up to a limit, and drops the rest.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.to.Write(p[:n])
	return len(p), nil
}

// Job is what is being made, or was made last.
func (s *Shelf) Job() Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil {
		return Job{Models: []string{}, Runs: []string{}, Notes: []string{}}
	}
	j := s.job.Job
	j.Notes = slices.Clone(j.Notes)
	return j
}

// Cancel ends what is being made.
func (s *Shelf) Cancel() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.job == nil || s.job.Ended != 0 {
		return errors.New("nothing is being made")
	}
	s.job.cancel(errCancelled)
	return nil
}
