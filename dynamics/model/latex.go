package model

import (
	"fmt"
	"strings"

	"stirwatch/dynamics/expr"
)

// LaTeX writes the governing equations for a paper: one line per state, definition and parameter, those that
// are learned with their standard errors.
func LaTeX(m *Model) string {
	units := strings.NewReplacer("·", `\,`, "°", `^\circ `, "%", `\%`)
	var lines []string
	for _, x := range m.States {
		var b strings.Builder
		fmt.Fprintf(&b, `\frac{\mathrm{d}%s}{\mathrm{d}t} &=`, expr.LaTeXName(x.Symbol))
		n := 0
		for _, t := range m.Terms {
			if t.State != x.Symbol {
				continue
			}
			sign := " + "
			switch {
			case t.Sign < 0:
				sign = " - "
			case n == 0:
				sign = " "
			}
			n++
			b.WriteString(sign)
			if !t.Fixed {
				c, s, exp := scaled(t.Coefficient, t.StdErr)
				fmt.Fprintf(&b, `(%s \pm %s)\cdot 10^{%d}\,\mathrm{%s}\;`, c, s, exp, units.Replace(t.Unit))
			}
			e, err := expr.Parse(t.Expression)
			if err != nil {
				continue
			}
			text := e.LaTeX()
			if e.IsSum() {
				text = `\left(` + text + `\right)`
			}
			b.WriteString(text)
		}
		lines = append(lines, b.String())
	}
	for _, d := range m.Definitions {
		if e, err := expr.Parse(d.Expression); err == nil {
			lines = append(lines, expr.LaTeXName(d.Name)+" &= "+e.LaTeX())
		}
	}
	for _, p := range m.Parameters {
		value := fmt.Sprintf("%.4g", p.Value)
		if !p.Fixed {
			value = fmt.Sprintf(`%s \pm %.2g`, value, p.StdErr)
		}
		line := expr.LaTeXName(p.Name) + " &= " + expr.LaTeXNumber(value)
		if p.Unit != "1" {
			line += `\,\mathrm{` + units.Replace(p.Unit) + "}"
		}
		lines = append(lines, line)
	}
	return "\\begin{aligned}\n" + strings.Join(lines, " \\\\\n") + "\n\\end{aligned}"
}
