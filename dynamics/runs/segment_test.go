package runs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"stirwatch/dynamics/model"
)

// A log of which the lines 3 and 4 were left out: segments speak of its data rows, not of what was read.
func gapped() *Run {
	return &Run{Name: "build", Time: []float64{0, 1, 4, 5, 6}, Number: []int{0, 1, 4, 5, 6}, Inputs: []string{"a", "b"},
		U: [][]float64{{1, 2, 3, 4, 5}, {10, 20, 30, 40, 50}}, Z: [][]float64{{7, 7, 8, 8, 9}}}
}

func TestSegmentsSpeakOfRowsOfTheLog(t *testing.T) {
	r := gapped()
	var said strings.Builder
	s := Segments{"build": {1, 6}}
	if err := s.Check(&said, []*Run{r}); err != nil || said.Len() != 0 {
		t.Errorf("%v, %q", err, said.String())
	}
	if from, to, err := s.Of(&model.Model{}, r); from != 1 || to != 4 || err != nil {
		t.Errorf("rows %d to %d, %v", from, to, err)
	}
	cut, err := s.Cut(r, []string{"b"})
	if err != nil || !cut.Chosen || !slices.Equal(cut.U[0], []float64{20, 30, 40}) || len(cut.U) != 1 || cut.NumberOf(1) != 4 {
		t.Errorf("%v, %+v", err, cut)
	}
	if all, err := (Segments{}).Cut(r, []string{"b", "a"}); err != nil || all.Chosen || len(all.Time) != 5 || all.U[1][0] != 1 {
		t.Errorf("%v, %+v", err, all)
	}
	if err := (Segments{"build": {3, 90}}).Check(&said, []*Run{r}); err != nil || !strings.Contains(said.String(), "build ends at row 7: of its rows 3:90 what lies beyond is left out") {
		t.Errorf("%v, %q", err, said.String())
	}
	if err := (Segments{"weld": {3, 9}}).Check(&said, []*Run{r}); err == nil || !strings.Contains(err.Error(), "rows of weld are chosen") {
		t.Error(err)
	}
	if _, _, err := (Segments{"build": {2, 4}}).Of(&model.Model{}, r); err == nil || !strings.Contains(err.Error(), "run build has no rows 2:4") {
		t.Error(err)
	}
}

// A log that counts its own seconds keeps them; one that says the day is told since its first row.
func TestLogTime(t *testing.T) {
	r := gapped()
	if at := r.LogTime(2); at != 4 {
		t.Errorf("unknown begin: %g s", at)
	}
	r.Began = time.Unix(120, 5e8)
	if at := r.LogTime(2); at != 124.5 {
		t.Errorf("its own seconds: %g s", at)
	}
	r.Began = time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	if at := r.LogTime(2); at != 4 {
		t.Errorf("a day: %g s", at)
	}
}
