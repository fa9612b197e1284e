package dynamics

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Equation writes the model for people: the rate of every state with each coefficient ± its
// standard error, what the symbols mean, and how far to trust it.
func Equation(m *Model) string {
	var b strings.Builder
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
			if t.Fixed {
				fmt.Fprintf(&b, " %s %s", sign, pretty(t.Expression))
			} else {
				value, stdErr, exp := scaled(t.Coefficient, t.StdErr)
				fmt.Fprintf(&b, " %s (%s ± %s)e%d %s · (%s)", sign, value, stdErr, exp, t.Unit, pretty(t.Expression))
			}
			if t.Mode != "" && t.Mode != "always" {
				fmt.Fprintf(&b, "   [%s]", t.Mode)
			}
			b.WriteByte('\n')
		}
	}
	b.WriteString("\nwhere\n")
	for _, x := range m.States {
		fmt.Fprintf(&b, "  %-8s %s, %s\n", x.Symbol, x.Name, x.Unit)
	}
	for _, in := range m.Inputs {
		fmt.Fprintf(&b, "  %-8s %s, %s; learned between %.4g and %.4g\n", in.Symbol, in.Name, in.Unit, in.Min+0, in.Max+0) // +0 turns −0 into 0
	}
	for _, d := range m.Definitions {
		text := ""
		if d.Text != "" {
			text = ": " + d.Text
		}
		fmt.Fprintf(&b, "  %-8s = %s%s\n", d.Name, pretty(d.Expression), text)
	}
	for _, p := range m.Parameters {
		value := fmt.Sprintf("%.4g ± %.2g %s", p.Value, p.StdErr, p.Unit)
		switch {
		case p.Fixed:
			value = fmt.Sprintf("%.4g %s, given", p.Value, p.Unit)
		case p.Value <= p.Min || p.Value >= p.Max:
			value = fmt.Sprintf("%.4g %s, at its bound", p.Value, p.Unit)
		}
		if p.Text != "" {
			value += ": " + p.Text
		}
		fmt.Fprintf(&b, "  %-8s = %s\n", p.Name, value)
	}
	if p := m.parameter(m.DeadTime); p != nil {
		fmt.Fprintf(&b, "\nThe inputs act after %.3g s.\n", p.Value)
	}
	for _, out := range m.Outputs {
		fmt.Fprintf(&b, "Learned between %.4g and %.4g %s of %s", out.Min, out.Max, out.Unit, out.Name)
	}
	for i, r := range m.Provenance.Runs {
		sep := ", "
		if i == 0 {
			sep = " from "
		}
		fmt.Fprintf(&b, "%s%s (%d rows)", sep, r.Name, r.Rows)
	}
	b.WriteString(".\n")
	if len(m.Skill) > 0 {
		b.WriteString("\n" + SkillTable(m.Skill))
	}
	if m.Evidence != nil {
		b.WriteString("\n" + m.Evidence.Table())
	}
	return b.String()
}

// pretty writes an expression with the signs of print.
func pretty(expression string) string {
	return strings.NewReplacer("*", "·", " - ", " − ").Replace(expression)
}

// LaTeX writes the governing equations for a paper: one line per state, definition and parameter, those that
// are learned with their standard errors.
func LaTeX(m *Model) string {
	units := strings.NewReplacer("·", `\,`, "°", `^\circ `, "%", `\%`)
	var lines []string
	for _, x := range m.States {
		var b strings.Builder
		fmt.Fprintf(&b, `\frac{\mathrm{d}%s}{\mathrm{d}t} &=`, latexName(x.Symbol))
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
			e, err := parseExpr(t.Expression)
			if err != nil {
				continue
			}
			text := e.latex()
			if e.isSum() {
				text = `\left(` + text + `\right)`
			}
			b.WriteString(text)
		}
		lines = append(lines, b.String())
	}
	for _, d := range m.Definitions {
		if e, err := parseExpr(d.Expression); err == nil {
			lines = append(lines, latexName(d.Name)+" &= "+e.latex())
		}
	}
	for _, p := range m.Parameters {
		value := fmt.Sprintf("%.4g", p.Value)
		if !p.Fixed {
			value = fmt.Sprintf(`%s \pm %.2g`, value, p.StdErr)
		}
		line := latexName(p.Name) + " &= " + latexNumber(value)
		if p.Unit != "1" {
			line += `\,\mathrm{` + units.Replace(p.Unit) + "}"
		}
		lines = append(lines, line)
	}
	return "\\begin{aligned}\n" + strings.Join(lines, " \\\\\n") + "\n\\end{aligned}"
}

// latexNumber writes powers of ten as such.
func latexNumber(text string) string {
	return powers.ReplaceAllStringFunc(text, func(s string) string {
		n, _ := strconv.Atoi(s[1:])
		return fmt.Sprintf(`\cdot 10^{%d}`, n)
	})
}

var powers = regexp.MustCompile(`e[+-]\d+`)

// latexName writes a symbol: what follows the first letter stands below it.
func latexName(name string) string {
	r := []rune(name)
	if len(r) == 1 {
		return name
	}
	if i := strings.IndexByte(name, '_'); i > 0 && i+1 < len(name) {
		greek := name[:i]
		if greek == "tau" {
			greek = `\tau`
		}
		return greek + `_{\mathrm{` + strings.ReplaceAll(name[i+1:], "_", `\_`) + `}}`
	}
	if len(r) <= 3 && r[0] < 'a' {
		return string(r[0]) + `_{\mathrm{` + string(r[1:]) + `}}`
	}
	return `\mathrm{` + name + `}`
}

// latex writes an expression.
func (n *node) latex() string {
	bracket := func(m *node, least int) string {
		level := 4
		switch m.op {
		case opAdd, opSub:
			level = 0
		case opMul:
			level = 1
		case opNeg:
			level = 2
		}
		if level < least {
			return `\left(` + m.latex() + `\right)`
		}
		return m.latex()
	}
	switch n.op {
	case opLeaf:
		return latexName(n.name)
	case opConst:
		return strconv.FormatFloat(n.val, 'g', -1, 64)
	case opAdd:
		return bracket(n.a, 0) + " + " + bracket(n.b, 1)
	case opSub:
		return bracket(n.a, 0) + " - " + bracket(n.b, 1)
	case opMul:
		return bracket(n.a, 1) + `\,` + bracket(n.b, 2)
	case opDiv:
		return `\frac{` + n.a.latex() + `}{` + n.b.latex() + `}`
	case opNeg:
		return "-" + bracket(n.a, 2)
	case opPow:
		return bracket(n.a, 4) + "^{" + strconv.FormatFloat(n.val, 'g', -1, 64) + "}"
	case opAbs:
		return `\left|` + n.a.latex() + `\right|`
	case opSqrt:
		return `\sqrt{` + n.a.latex() + `}`
	}
	name := ""
	for _, f := range sortedKeys(functions) {
		if functions[f].op == n.op {
			name = f
		}
	}
	args := n.a.latex()
	if n.b != nil {
		args += ",\\, " + n.b.latex()
	}
	switch name {
	case "ramp":
		name = `\operatorname{ramp}`
	default:
		name = `\` + name
	}
	return name + `\left(` + args + `\right)`
}

// SkillTable prints a table of skill: RMSE beside both baselines, and what the rest says.
func SkillTable(skill []Skill) string {
	var b strings.Builder
	last := ""
	for _, s := range skill {
		sample := "in sample"
		if s.HeldOut {
			sample = "not learned from"
		}
		head := fmt.Sprintf("%s (%s), inputs %s, %s", s.Run, sample, s.Way, s.Windows)
		if head != last {
			if last != "" {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "%s, °C\n  horizon  windows    RMSE     MAE    bias  persistence (skill)  set-point (skill)  inside 95 %%\n", head)
			last = head
		}
		if s.Count == 0 {
			fmt.Fprintf(&b, "  %5.4g s  %7d       –       –       –                    –                  –            –\n", s.Horizon, s.Count)
			continue
		}
		set := "–"
		if s.SetPoint > 0 {
			set = fmt.Sprintf("%.2f (%.2f)", s.SetPoint, s.OverSetPoint())
		}
		fmt.Fprintf(&b, "  %5.4g s  %7d %7.2f %7.2f %7.2f %20s %18s %10.1f %%\n",
			s.Horizon, s.Count, s.RMSE, s.MAE, s.Bias, fmt.Sprintf("%.2f (%.2f)", s.Persistence, s.OverPersistence()), set, 100*s.Coverage)
	}
	return b.String()
}

// OverPersistence is 1 − RMSE/RMSE of persistence: 1 is perfect, 0 no better, below 0 worse.
func (s *Skill) OverPersistence() float64 { return skillOver(s.RMSE, s.Persistence) }

// OverSetPoint is the same against "T = set-point", NaN where there was none.
func (s *Skill) OverSetPoint() float64 { return skillOver(s.RMSE, s.SetPoint) }

func skillOver(rmse, baseline float64) float64 {
	if baseline == 0 {
		return math.NaN()
	}
	return 1 - rmse/baseline
}

// scaled writes value and standard error with a common power of ten, three digits of the value.
func scaled(v, se float64) (value, stdErr string, exp int) {
	if v > 0 {
		exp = int(math.Floor(math.Log10(v)))
	}
	p := math.Pow(10, float64(exp))
	return strconv.FormatFloat(v/p, 'f', 2, 64), strconv.FormatFloat(se/p, 'f', 2, 64), exp
}
