package score

import (
	"math"
	"testing"

	"stirwatch/dynamics/filter"
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
	r.Chosen = true // a person's word
	if from, to, err := runs.ActiveRows(m, r); from != 0 || to != 100 || err != nil {
		t.Errorf("rows that were chosen: %d:%d, %v", from, to, err)
	}
}

// A coarse sensor on a slow process stands still by nature; one that is stuck does not go on by a step.
func TestActiveRowsOfACoarseSensor(t *testing.T) {
	m := sample()
	slow := func() *runs.Run {
		r := cooling(400)
		for i := range r.Time {
			r.Time[i] = 3 * float64(i)
			r.U[1][i] = 400
			r.Z[0][i] = math.Round(2*(60-40*math.Exp(-float64(i)/150))) / 2 // half a degree in 3 to 60 s
		}
		return r
	}
	if from, to, err := runs.ActiveRows(m, slow()); from != 0 || to != 400 || err != nil {
		t.Errorf("a coarse and slow reading: rows %d:%d, %v", from, to, err)
	}
	r := slow()
	for i := 100; i < 300; i++ { // stuck, and far from there afterwards
		r.Z[0][i] = r.Z[0][100]
	}
	if from, to, err := runs.ActiveRows(m, r); from != 0 || to < 100 || to > 160 || err != nil {
		t.Errorf("stuck from row 100 to 299: rows %d:%d, %v", from, to, err)
	}
	if why := runs.LeftOut(r, r.U[1], 0, 0, 150); why != "250 are cut off by that, or the reading stands still in them" {
		t.Errorf("%q", why)
	}
}

// A horizon is the time it says, also where the log has no row then.
func TestHorizonsBetweenRows(t *testing.T) {
	m := sample()
	r := cooling(200)
	for i := range r.Time {
		r.Time[i] = 3 * float64(i)
		r.Z[0][i] = 400 - 0.2*r.Time[i]
	}
	want := map[float64]int{1: 1, 5: 2, 9: 3, 10: 4, 30: 10, 60: 20} // rows ahead
	seen := map[float64]int{}
	err := ForecastRun(m, r, filter.Known, []float64{1, 5, 9, 10, 30, 60}, 0, 200, func(row Row) {
		seen[row.Horizon]++
		if measured := 400 - 0.2*(r.Time[row.Origin]+row.Horizon); row.Target-row.Origin != want[row.Horizon] || math.Abs(row.Measured-measured) > 1e-9 {
			t.Fatalf("%g s from row %d: row %d, measured %g, want %g", row.Horizon, row.Origin, row.Target, row.Measured, measured)
		}
	})
	if err != nil || len(seen) != 6 {
		t.Fatalf("%v, %v", seen, err)
	}
	skill, err := Score(m, r, filter.Known, []float64{1, 5}, 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range []float64{1, 5} {
		if math.Abs(skill[i].Persistence-0.2*h) > 1e-9 || !(skill[i].OverPersistence() < 1) {
			t.Errorf("%g s: %+v", h, skill[i])
		}
	}
}
