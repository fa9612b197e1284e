package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestManualPages: each command has a page, which the formatter takes without a warning and which says what --help says.
func TestManualPages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := writePages(rootCommand(), dir); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 40 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not here (Debian package groff-base): the pages are not formatted")
	}
	c := exec.Command(groff, append([]string{"-man", "-Tutf8", "-Kutf8", "-ww", "-rLL=112n", "-P-c"}, pages...)...)
	var warnings strings.Builder
	c.Stderr = &warnings
	out, err := c.Output()
	if err != nil || warnings.Len() > 0 {
		t.Errorf("%v\n%s", err, warnings.String())
	}
	printed := words(string(out))
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		for _, want := range []string{cmd.Short, cmd.Long, cmd.Example, cmd.UseLine()} {
			if !strings.Contains(printed, words(want)) {
				t.Errorf("%s: the page does not say\n%s", cmd.CommandPath(), want)
			}
		}
		for _, sub := range cmd.Commands() {
			if !sub.Hidden && sub.Name() != "help" {
				check(sub)
			}
		}
	}
	root := rootCommand()
	root.InitDefaultHelpCmd()
	check(root)
}

// words leaves letters and digits alone, of which the formatter changes none: it breaks and hyphenates lines.
func words(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r > ' ' && r != '-' && r != '‐' && r != '−' {
			b.WriteRune(r)
		}
	}
	return b.String()
}
