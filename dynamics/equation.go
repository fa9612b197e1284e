package dynamics

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Equation writes the model for people: the governing equation with each coefficient ± its
// standard error, what the symbols mean, and how far to trust it.
func Equation(m *Model) string {
	var b strings.Builder
	e := m.compile()
	fill := strings.NewReplacer("{Tm}", degrees(e.p[pSoftening]), "{Ta}", degrees(e.p[pAmbient]))
	b.WriteString("dT/dt =")
	for i, t := range m.Terms {
		k, ok := termByExpression(t.Expression)
		if !ok {
			continue
		}
		sign := "+"
		if t.Sign < 0 {
			sign = "−"
		}
		if i > 0 {
			b.WriteString("\n       ")
		}
		value, stdErr, exp := scaled(t.Coefficient, t.StdErr)
		fmt.Fprintf(&b, " %s (%s ± %s)e%d %s · %s", sign, value, stdErr, exp, t.Unit, fill.Replace(library[k].text))
		if t.Mode != "always" {
			fmt.Fprintf(&b, "   [%s]", t.Mode)
		}
	}
	b.WriteString("   in K/s\n\nwhere\n")
	fmt.Fprintf(&b, "  T          tool temperature, °C\n")
	for _, in := range m.Inputs {
		s := &inputSlots[inputSlot(in.Name)]
		fmt.Fprintf(&b, "  %-10s %s, %s; learned between %.4g and %.4g\n", s.symbol, in.Name, in.Unit, in.Min+0, in.Max+0) // +0 turns −0 into 0
	}
	fmt.Fprintf(&b, "  P_free     %.4g N·m · ω, power of a free spin (heat P − P_free is never negative)\n", e.p[pDrag])
	fmt.Fprintf(&b, "  gate(T)    0.1 at %s rising to 1 within %.4g K: a cold contact slides before it heats\n", degrees(e.p[pAmbient]), e.p[pGate])
	for _, t := range m.Terms {
		k, _ := termByExpression(t.Expression)
		if k == lossContact || k == lossPath || k == lossFeed {
			fmt.Fprintf(&b, "  c          contact, 0 to 1 around P − P_free = %.4g W\n", e.p[pContact])
			break
		}
	}
	if e.coef[lossBody] != 0 {
		fmt.Fprintf(&b, "  T_body     follows T with a time constant of %.4g s\n", e.p[pBody])
	}
	fmt.Fprintf(&b, "\nThe inputs act after %.3g s; the thermocouple lags by %.3g s.\n", m.DeadTime, m.SensorLag)
	for _, out := range m.Outputs {
		fmt.Fprintf(&b, "Learned between %s and %s", degrees(out.Min), degrees(out.Max))
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
	return b.String()
}

// LaTeX writes the governing equation for a paper.
func LaTeX(m *Model) string {
	e := m.compile()
	num := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) + `\,^\circ\mathrm{C}` }
	fill := strings.NewReplacer("{Tm}", num(e.p[pSoftening]), "{Ta}", num(e.p[pAmbient]))
	units := strings.NewReplacer("·", `\,`)
	var b strings.Builder
	b.WriteString(`\frac{\mathrm{d}T}{\mathrm{d}t} =`)
	for i, t := range m.Terms {
		k, ok := termByExpression(t.Expression)
		if !ok {
			continue
		}
		sign := " + "
		switch {
		case t.Sign < 0:
			sign = " - "
		case i == 0:
			sign = " "
		}
		c, s, exp := scaled(t.Coefficient, t.StdErr)
		fmt.Fprintf(&b, `%s(%s \pm %s)\cdot 10^{%d}\,\mathrm{%s}\;%s`, sign, c, s, exp, units.Replace(t.Unit), fill.Replace(library[k].latex))
	}
	return b.String()
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

func degrees(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) + " °C" }

// scaled writes value and standard error with a common power of ten, three digits of the value.
func scaled(v, se float64) (value, stdErr string, exp int) {
	if v > 0 {
		exp = int(math.Floor(math.Log10(v)))
	}
	p := math.Pow(10, float64(exp))
	return strconv.FormatFloat(v/p, 'f', 2, 64), strconv.FormatFloat(se/p, 'f', 2, 64), exp
}
