package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

// This file holds where results of commands go.

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
