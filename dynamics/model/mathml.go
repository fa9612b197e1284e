package model

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"

	"stirwatch/dynamics/expr"
)

// MathML typesets the governing equations for a page: one <math> element, one row for every term,
// each with its coefficient ± standard error, unit and mode, in the elements of MathML Core
// (W3C, https://www.w3.org/TR/mathml-core/).
func MathML(m *Model) string {
	var b strings.Builder
	b.WriteString(`<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"><mtable displaystyle="true">`)
	for _, x := range m.States {
		lead := `<mfrac><mrow><mi mathvariant="normal">d</mi>` + expr.MathMLName(x.Symbol) + `</mrow><mrow><mi mathvariant="normal">d</mi><mi>t</mi></mrow></mfrac>`
		n := 0
		for _, t := range m.Terms {
			if t.State != x.Symbol {
				continue
			}
			relation := ""
			if n == 0 {
				relation = "<mo>=</mo>"
			}
			sign := "+"
			switch {
			case t.Sign < 0:
				sign = "−"
			case n == 0:
				sign = ""
			}
			n++
			fmt.Fprintf(&b, `<mtr><mtd>%s</mtd><mtd>%s</mtd><mtd><mrow>`, lead, relation)
			lead = ""
			if sign != "" {
				fmt.Fprintf(&b, `<mo form="prefix">%s</mo>`, sign)
			}
			if !t.Fixed {
				b.WriteString(mathCoefficient(t.Coefficient, t.StdErr, t.Unit))
			}
			if e, err := expr.Parse(t.Expression); err == nil {
				b.WriteString(e.MathMLIn(1))
			}
			if t.Mode != "" && t.Mode != "always" {
				fmt.Fprintf(&b, `<mspace width="1em"></mspace><mtext>[%s]</mtext>`, html.EscapeString(t.Mode))
			}
			b.WriteString(`</mrow></mtd></mtr>`)
		}
		if n == 0 {
			fmt.Fprintf(&b, `<mtr><mtd>%s</mtd><mtd><mo>=</mo></mtd><mtd><mn>0</mn></mtd></mtr>`, lead)
		}
	}
	b.WriteString(`</mtable></math>`)
	return b.String()
}

// Rounded writes a value and its standard error with a common power of ten, which is 0 for values from
// 0.01 to 100000: three digits of the value or two of the error, whichever are more.
func Rounded(v, se float64) (value, stdErr string, exp int) {
	power := func(x float64) int {
		if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
			return 2
		}
		return int(math.Floor(math.Log10(math.Abs(x))))
	}
	if p := power(v); p < -2 || p > 4 {
		exp = p
	}
	scale := math.Pow(10, float64(exp))
	v, se = v/scale, se/scale
	digits := min(8, max(0, 2-power(v), 1-power(se)))
	write := func(x float64) string {
		return strings.Replace(strconv.FormatFloat(x+0, 'f', digits, 64), "-", "−", 1)
	}
	return write(v), write(se), exp
}

// mathCoefficient writes (value ± standard error) · 10ⁿ unit.
func mathCoefficient(v, se float64, unitName string) string {
	value, stdErr, exp := Rounded(v, se)
	var b strings.Builder
	b.WriteString(expr.MathMLFence("(", fmt.Sprintf(`<mn>%s</mn><mo form="infix">±</mo><mn>%s</mn>`, value, stdErr), ")"))
	if exp != 0 {
		fmt.Fprintf(&b, `<mo>·</mo><msup><mn>10</mn>%s</msup>`, expr.MathMLNumber(float64(exp)))
	}
	if unitName != "1" && unitName != "" {
		fmt.Fprintf(&b, `<mspace width="0.2em"></mspace><mtext>%s</mtext>`, html.EscapeString(unitName))
	}
	b.WriteString(`<mspace width="0.3em"></mspace>`)
	return b.String()
}
