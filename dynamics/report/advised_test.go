package report

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

// The page shows a change and an advice that stands until it is good no longer, has words that might be markup as words,
// and needs no speed.
func TestAdvisedPage(t *testing.T) {
	nan := math.NaN()
	a := &Advised{Name: "a <run>", Lowest: nan, Highest: nan}
	for i := range 100 {
		a.Time, a.Temperature, a.SetPoint = append(a.Time, float64(i)), append(a.Temperature, 400+float64(i)), append(a.SetPoint, 470)
	}
	a.Temperature[50] = nan
	a.Advice = []Advice{
		{From: 10, To: 20, Kind: "none", SetPoint: nan, Reason: "no advice, because x < y", Without: nan, With: nan},
		{From: 20, To: 30, Kind: "none", SetPoint: nan, Reason: "no advice, because x < y", Without: nan, With: nan},
		{From: 30, To: 60, Kind: "unreachable", SetPoint: 455, Reason: "the spindle is at its limit", Ahead: 60, Without: 450, Lowest: 440, Highest: 460, With: 451, WithLowest: 441, WithHighest: 461},
	}
	var page bytes.Buffer
	if err := a.Write(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a &lt;run&gt;: what was advised", "x &lt; y", `<td class="n">10.0</td><td class="n">30.0</td><td class="kind">no advice</td>`, "450 (440 to 460)", "451 (441 to 461)", "in 60 s without it"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%q is not there", want)
		}
	}
	if strings.Contains(page.String(), "spindle speed") || strings.Count(page.String(), "<tr>") != 3 {
		t.Error("a chart or a row too many")
	}
	a.Advice = []Advice{{From: 10, To: 20, Kind: "pace", SetPoint: 470, Pace: 105}, {From: 20, To: 30, Kind: "pace", SetPoint: 470, Pace: 105}, {From: 30, To: 60, Kind: "pace", SetPoint: 470, Pace: 110}}
	page.Reset()
	if err := a.Write(&page); err != nil || strings.Count(page.String(), `<td class="kind">pace</td>`) != 2 {
		t.Errorf("two paces, one of them told twice: %v", err)
	}
	a.Speed, a.Lowest, a.Highest = make([]float64, 100), 300, 450
	page.Reset()
	if err := a.Write(&page); err != nil || !strings.Contains(page.String(), "spindle speed") {
		t.Errorf("with the speed: %v", err)
	}
	if err := (&Advised{Name: "empty"}).Write(&page); err != nil || !strings.Contains(page.String(), "Nothing was advised") {
		t.Errorf("an empty run: %v", err)
	}
}
