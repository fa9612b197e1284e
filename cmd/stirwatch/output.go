package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"stirwatch/dynamics/learn"
)

// This file holds where results and progress of commands go.

// output opens path for writing, or standard output for "-".
func output(cmd *cobra.Command, path string) (io.Writer, func() error, error) {
	if path == "-" {
		return cmd.OutOrStdout(), func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}

// writable tells at once if one of paths cannot be written, before minutes of work are lost. Empty is none,
// - is standard output.
func writable(paths ...string) error {
	for _, path := range paths {
		if path == "" || path == "-" {
			continue
		}
		if i, err := os.Stat(path); err == nil && i.IsDir() {
			return fmt.Errorf("%s is a directory: name a file to write", path)
		}
		f, err := os.CreateTemp(filepath.Dir(path), ".stirwatch-*")
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", path, err)
		}
		f.Close()
		os.Remove(f.Name())
	}
	return nil
}

// progress prints to w at most twice a second, where that is a terminal.
type progress struct {
	w    io.Writer
	next time.Time
}

func (p *progress) terminal() bool {
	f, ok := p.w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p *progress) show(format string, args ...any) {
	if now := time.Now(); now.After(p.next) && p.terminal() {
		p.next = now.Add(500 * time.Millisecond)
		fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
	}
}

// learning shows how far learning is, and keeps what it warns of.
func (p *progress) learning(at learn.Progress) {
	if at.Warning != "" {
		p.done()
		fmt.Fprintln(p.w, at.Warning)
		return
	}
	p.next = time.Time{}
	p.show("[%d/%d] %s", at.Done+1, at.Of, at.Text)
}

func (p *progress) done() {
	if p.terminal() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
