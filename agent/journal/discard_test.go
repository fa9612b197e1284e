package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/sensors"
)

func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "j.db")
	if err := Discard(path); err != nil {
		t.Errorf("nothing there: %v", err)
	}
	j := testOpen(t, path, Options{})
	done := make(chan struct{})
	j.AppendSamples([]sensors.Sample{{Time: 5e9, Value: 1, Status: sensors.OK}}, ackFunc(func() { close(done) }))
	<-done
	for at, want := range map[int64]bool{4e9: false, 5e9: true, 6e9: false} {
		if got, err := j.HoldsSamples(t.Context(), at, at); err != nil || got != want {
			t.Errorf("at %d: %v, %v", at, got, err)
		}
	}
	if err := Discard(path); err == nil || !strings.Contains(err.Error(), "recording into it") {
		t.Errorf("in use: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Discard(path); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	other := filepath.Join(dir, "letter.txt")
	os.WriteFile(other, []byte(strings.Repeat("Dear Anna, ", 100)), 0o644)
	if err := Discard(other); err == nil {
		t.Error("a letter is discarded")
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}
