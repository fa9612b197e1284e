package model

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Equation writes the model for people: the rate of every state with each coefficient ± its
// standard error, what the symbols mean, and how far to trust it.
func Equation(m *Model) string {
	var b strings.Builder
	m.writeRates(&b)
	b.WriteString("\nwhere\n")
	m.writeSymbols(&b)
	m.writeNumbers(&b)
	if p := m.ParameterNamed(m.DeadTime); p != nil {
		fmt.Fprintf(&b, "\nThe inputs act after %.3g s.\n", p.Value)
	}
	for _, c := range m.Controllers {
		in, out := m.Inputs[m.InputIndex(c.Moves)].Unit, m.Outputs[m.OutputIndex(c.Holds)].Unit
		fmt.Fprintf(&b, "By plan a controller moves the %s between %.4g and %.4g %s, so that the %s follows its set-point: %.3g %s and %.3g %s/s for each %s of error.\n",
			c.Moves, c.Min, c.Max, in, c.Holds, c.Proportional, in, c.Integral, in, strings.Replace(out, "°C", "K", 1))
	}
	m.writeRange(&b)
	if len(m.Skill) > 0 {
		b.WriteString("\n" + SkillTable(m.Skill))
	}
	for _, n := range m.NotJudged {
		fmt.Fprintf(&b, "\nHow the equation does on %s when it has not seen it is unknown: of the other runs no model can be learned (%s).\n", n.Run, n.Why)
	}
	for _, u := range m.Unexplained() {
		b.WriteString("\n" + u.String() + "\n")
	}
	if m.Evidence != nil {
		b.WriteString("\n" + m.Evidence.Table())
	}
	return b.String()
}

// writeRates writes the rate of every state, a line for each term.
func (m *Model) writeRates(b *strings.Builder) {
	for _, x := range m.States {
		head := "d" + x.Symbol + "/dt ="
		n := 0
		for _, t := range m.Terms {
			if t.State != x.Symbol {
				continue
			}
			sign := "+"
			if t.Sign < 0 {
				sign = "−"
			}
			if n++; n == 1 {
				b.WriteString(head)
			} else {
				b.WriteString(strings.Repeat(" ", len([]rune(head))))
			}
			switch {
			case t.Fixed:
				fmt.Fprintf(b, " %s %s", sign, pretty(t.Expression))
			case t.Shared != "":
				fmt.Fprintf(b, " %s %s · (%s)", sign, t.Shared, pretty(t.Expression))
			default:
				value, stdErr, exp := scaled(t.Coefficient, t.StdErr)
				fmt.Fprintf(b, " %s (%s ± %s)e%d %s · (%s)", sign, value, stdErr, exp, t.Unit, pretty(t.Expression))
			}
			if !t.Fixed && t.Shared == "" {
				b.WriteString(priorWords(t.Prior, t.StdErr))
			}
			if t.Mode != "" && t.Mode != "always" {
				fmt.Fprintf(b, "   [%s]", t.Mode)
			}
			b.WriteByte('\n')
		}
	}
}

// writeSymbols says what states, inputs and definitions are.
func (m *Model) writeSymbols(b *strings.Builder) {
	for _, x := range m.States {
		fmt.Fprintf(b, "  %-8s %s, %s%s\n", x.Symbol, x.Name, x.Unit, m.held(x.Symbol))
	}
	for _, in := range m.Inputs {
		fmt.Fprintf(b, "  %-8s %s, %s; learned between %.4g and %.4g\n", in.Symbol, in.Name, in.Unit, in.Min+0, in.Max+0) // +0 turns −0 into 0
	}
	for _, d := range m.Definitions {
		text := ""
		if d.Text != "" {
			text = ": " + d.Text
		}
		fmt.Fprintf(b, "  %-8s = %s%s\n", d.Name, pretty(d.Expression), text)
	}
}

// writeNumbers writes the parameters, and the coefficients that terms share.
func (m *Model) writeNumbers(b *strings.Builder) {
	for _, p := range m.Parameters {
		value := fmt.Sprintf("%.4g ± %.2g %s", p.Value, p.StdErr, p.Unit)
		switch {
		case p.Fixed:
			value = fmt.Sprintf("%.4g %s, given", p.Value, p.Unit)
		case p.Value <= p.Min || p.Value >= p.Max:
			value = fmt.Sprintf("%.4g %s, at its bound", p.Value, p.Unit)
		}
		if !p.Fixed {
			value += priorWords(p.Prior, p.StdErr)
		}
		if p.Text != "" {
			value += ": " + p.Text
		}
		fmt.Fprintf(b, "  %-8s = %s\n", p.Name, value)
	}
	for i, t := range m.Terms {
		if t.Shared == "" || m.Sharing(i) != i {
			continue
		}
		var of []string
		for _, u := range m.Terms {
			if u.Shared == t.Shared {
				of = append(of, CandidateName(u.State, u.Name))
			}
		}
		fmt.Fprintf(b, "  %-8s = %.4g ± %.2g %s%s: one coefficient of %s\n", t.Shared, t.Coefficient, t.StdErr, t.Unit, priorWords(t.Prior, t.StdErr), strings.Join(of, ", "))
	}
}

// writeRange says between which values of the outputs, and from which runs, the model was learned.
func (m *Model) writeRange(b *strings.Builder) {
	for i, out := range m.Outputs {
		head := "Learned between"
		if i > 0 {
			head = ", between"
		}
		fmt.Fprintf(b, "%s %.4g and %.4g %s of %s", head, out.Min, out.Max, out.Unit, out.Name)
	}
	for i, r := range m.Provenance.Runs {
		sep := ", "
		if i == 0 {
			sep = " from "
		}
		fmt.Fprintf(b, "%s%s (%d rows)", sep, r.Name, r.Rows)
	}
	b.WriteString(".\n")
	if left := m.Provenance.LeftOut(); left != "" {
		b.WriteString(left + "\n")
	}
}

// priorWords says of a number of which the runs tell less than was known beforehand where it comes from.
func priorWords(p *Prior, stdErr float64) string {
	if p == nil || stdErr <= p.SD {
		return ""
	}
	return fmt.Sprintf(" (mostly what was known before: %.3g ± %.2g)", p.Value, p.SD)
}

// pretty writes an expression with the signs of print.
func pretty(expression string) string {
	return strings.NewReplacer("*", "·", " - ", " − ").Replace(expression)
}

// scaled writes value and standard error with a common power of ten, three digits of the value.
func scaled(v, se float64) (value, stdErr string, exp int) {
	if v > 0 {
		exp = int(math.Floor(math.Log10(v)))
	}
	p := math.Pow(10, float64(exp))
	return strconv.FormatFloat(v/p, 'f', 2, 64), strconv.FormatFloat(se/p, 'f', 2, 64), exp
}

// held says what a state without a rate was in each run learned from.
func (m *Model) held(symbol string) string {
	var runs []string
	for _, r := range m.Provenance.Runs {
		if v, ok := r.Held[symbol]; ok {
			runs = append(runs, fmt.Sprintf("%.4g in %s", v, r.Name))
		}
	}
	if runs == nil {
		return ""
	}
	return ": " + strings.Join(runs, ", ") + "; on a new run the filter finds it"
}
