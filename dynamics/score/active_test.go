package score

import (
	"math"
	"testing"

	"stirwatch/dynamics/runs"
)

func TestActiveRows(t *testing.T) {
	m := sample()
	r := cooling(100)
	if _, _, err := runs.ActiveRows(m, r); err == nil {
		t.Error("a spindle that never turns is active")
	}
	for i := 20; i < 40; i++ {
		r.U[1][i] = 400
	}
	for i := 80; i < 100; i++ { // frozen: live until it has stood still for more than 5 s
		r.Z[0][i] = r.Z[0][80]
	}
	if from, to, err := runs.ActiveRows(m, r); from != 20 || to != 86 || err != nil {
		t.Errorf("rows %d:%d, %v", from, to, err)
	}
	r.Z[0][25] = math.NaN()
	if from, to, err := runs.ActiveRows(m, r); from != 20 || to != 86 || err != nil {
		t.Errorf("with a reading missing: rows %d:%d, %v", from, to, err)
	}
	for i := 25; i < 35; i++ {
		r.Z[0][i] = math.NaN()
	}
	if from, to, err := runs.ActiveRows(m, r); from != 35 || to != 86 || err != nil {
		t.Errorf("with a gap: rows %d:%d, %v", from, to, err)
	}
}
