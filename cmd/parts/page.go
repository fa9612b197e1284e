package parts

import (
	"bytes"
	"os"
	"slices"
	"testing"
)

// Page compares what stands between begin and end in the page at path with what is made. With update it writes that
// there; without it the test fails where they differ, and names the command that makes it.
func Page(t testing.TB, path, begin, end, made, command string, update bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := bytes.Cut(text, []byte(begin))
	was, tail, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		t.Fatalf("%s has no place for what is made, between %q and %q", path, begin, end)
	}
	if string(was) == made {
		return
	}
	if !update {
		t.Fatalf("%s is not what the code says: %s", path, command)
	}
	if err := os.WriteFile(path, slices.Concat(head, []byte(begin+made+end), tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
