package filter

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
)

// FuzzHypotheses: whatever the bytes, an error or hypotheses that make a model.
func FuzzHypotheses(f *testing.F) {

	f.Add(model.DefaultHypothesesText())
	f.Fuzz(func(t *testing.T, text string) {
		h, err := model.ReadHypotheses(strings.NewReader(text))
		if err != nil {
			return
		}
		model.Equation(h.Draft(nil))
		New(h.Draft(nil))
	})
}

// FuzzRead: whatever the bytes, [model.Read] gives an error or a model that can be used, printed and
// read again.
func FuzzRead(f *testing.F) {
	data, _ := json.Marshal(sample())
	f.Add(data)
	f.Add([]byte(`{"format":"stirwatch model","version":5}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := model.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		model.Equation(m)
		model.LaTeX(m)
		var est Estimate
		e := New(m)
		u, z := make([]float64, len(m.Inputs)), make([]float64, len(m.Outputs))
		e.Step(&est, 1, u, z)
		e.Ahead(&Forecast{Horizon: horizons}, Scenario{Way: Held})
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := model.Read(bytes.NewReader(again)); err != nil {
			t.Fatal(err)
		}
	})
}
