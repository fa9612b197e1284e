package model

import (
	"strings"
	"testing"
)

// A run that is much further off than the others is named; one that is alone, or whose like is among few, is not.
func TestUnexplained(t *testing.T) {
	for _, c := range []struct {
		misfit []float64
		want   string
	}{
		{[]float64{1, 1.2, 2.9, 0.8}, "c"}, {[]float64{1, 1.9}, ""}, {[]float64{3}, ""}, {[]float64{0.4, 2}, "b"}, {[]float64{0, 2}, ""},
	} {
		m := sample()
		m.Provenance.Runs = nil
		for i, v := range c.misfit {
			m.Provenance.Runs = append(m.Provenance.Runs, RunSource{Name: string(rune('a' + i)), Misfit: v})
		}
		var names []string
		for _, u := range m.Unexplained() {
			names = append(names, u.Run)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("misfits %g: %q, want %q", c.misfit, got, c.want)
		}
		if text := Equation(m); strings.Contains(text, "The equation does not explain") != (c.want != "") {
			t.Errorf("misfits %g: %s", c.misfit, text)
		}
	}
}
