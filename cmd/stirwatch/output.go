package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// This file holds how commands write their results.

// output opens the file at path for writing, or standard output where path is "-". The function it returns closes the file.
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

// newTable aligns what is written to it in columns, whose cells end with a tab, and writes them to w when flushed.
func newTable(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// writable reports which of paths cannot be written, before minutes of work are lost. An empty path is no file, and
// "-" is standard output.
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
