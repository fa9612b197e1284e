package runs

import (
	"math"
	"slices"
	"testing"

	"stirwatch/dynamics/model"
)

// What nobody has measured is the default of its input, whether the run has no column of it or one without a value; what
// was measured stays as it was, gaps included.
func TestWhatNobodyMeasuredIsTheDefault(t *testing.T) {
	nan, zero := math.NaN(), 0.5
	m := &model.Model{Inputs: []model.Input{{Name: "power"}, {Name: "z velocity", Default: &zero}}, Outputs: []model.Output{{Name: "temperature"}}}
	same := func(a, b float64) bool { return a == b || a != a && b != b }
	for _, c := range []struct {
		inputs []string
		u      [][]float64
		want   []float64
	}{
		{[]string{"power"}, [][]float64{{1, 2, 3}}, []float64{0.5, 0.5, 0.5}},
		{[]string{"z velocity", "power"}, [][]float64{{nan, nan, nan}, {1, 2, 3}}, []float64{0.5, 0.5, 0.5}},
		{[]string{"z velocity", "power"}, [][]float64{{nan, 7, nan}, {1, 2, 3}}, []float64{nan, 7, nan}},
	} {
		r := Run{Name: "a", Time: []float64{0, 1, 2}, Inputs: c.inputs, U: c.u, Outputs: []string{"temperature"}, Z: [][]float64{{20, 21, 22}}}
		got, err := r.For(m)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.U[0], []float64{1, 2, 3}) || !slices.EqualFunc(got.U[1], c.want, same) {
			t.Errorf("%v of %v: %v, want %v", c.inputs, c.u, got.U, c.want)
		}
	}
}
