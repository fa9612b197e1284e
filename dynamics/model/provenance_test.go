package model

import (
	"strings"
	"testing"
)

func TestLearnedFrom(t *testing.T) {
	m := &Model{Provenance: Provenance{Runs: []RunSource{
		{Name: "monday", SHA256: "aa", Began: "2026-03-02T08:00:00Z", Lasted: 600},
		{Name: "tuesday", SHA256: "bb", Began: "2026-03-03T08:00:00+01:00", Lasted: 600},
		{Name: "old"},
	}}}
	for _, c := range []struct {
		is   RunSource
		want string
	}{
		{RunSource{Name: "copy", SHA256: "aa"}, "learned from it"},
		{RunSource{Name: "monday", SHA256: "cc"}, "of this name"},
		{RunSource{Name: "old", SHA256: "dd"}, "of this name"},
		{RunSource{Name: "20260303-070100", SHA256: "ee", Began: "2026-03-03T07:01:00Z", Lasted: 60}, "tuesday, which is of the same time"},
		{RunSource{Name: "after", SHA256: "ff", Began: "2026-03-03T07:10:00Z", Lasted: 60}, ""},
		{RunSource{Name: "before", Began: "2026-03-02T07:00:00Z", Lasted: 3600}, ""},
		{RunSource{Name: "undated"}, ""},
		{RunSource{}, ""},
	} {
		if got := m.LearnedFrom(c.is); got == "" != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.is, got, c.want)
		}
	}
}

// Who reads an equation is told that what is known of other machines is not in it, and how much that was worth.
func TestEquationTellsWhatWasLeftOut(t *testing.T) {
	m := sample()
	if text := Equation(m); strings.Contains(text, "left out") {
		t.Errorf("nothing was left out:\n%s", text)
	}
	m.Provenance.PriorConflict = 3.84
	if text := Equation(m); !strings.Contains(text, "errors on rows held out are 3.8 times as large.\n") {
		t.Errorf("not told:\n%s", text)
	}
}
