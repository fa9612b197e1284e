package journal

import (
	"path/filepath"
	"testing"
)

// What was written about a run is there for whoever opens the journal, in its order, and for no other run.
func TestNotesStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := testOpen(t, path, Options{})
	run, other := Run{Name: "a", Start: 100}, Run{Name: "b", Start: 200}
	for i, text := range []string{"the plate was cold", "'; DROP TABLE notes; --"} {
		if err := j.AddNote(run, Note{At: int64(1000 + i), Who: "anna", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := r.Notes(run)
	if err != nil || len(all) != 2 || all[0] != (Note{1000, "anna", "the plate was cold"}) || all[1].Text != "'; DROP TABLE notes; --" {
		t.Errorf("%+v, %v", all, err)
	}
	if none, err := r.Notes(other); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}
