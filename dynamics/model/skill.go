package model

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// SkillTable prints a table of skill: RMSE beside both baselines, and what the rest says. Where there are
// several outputs each line says of which it is. Below a table of live forecasts stand the experts on whom they
// rested: mean weight, and RMSE on the same windows.
func SkillTable(skill []Skill) string {
	var b strings.Builder
	several := slices.ContainsFunc(skill, func(s Skill) bool { return s.Output != skill[0].Output })
	last, rests := "", ""
	for _, s := range skill {
		sample, of, unit := "in sample", "", s.Unit
		if s.HeldOut {
			sample = "not learned from"
		}
		if several {
			of = s.Output + ", "
		}
		if unit == "" {
			unit = "°C"
		}
		head := fmt.Sprintf("%s (%s), %sinputs %s, %s, %s", s.Run, sample, of, s.Way, s.Windows, unit)
		if head != last {
			if last != "" {
				b.WriteString(rests + "\n")
			}
			rests = ""
			fmt.Fprintf(&b, "%s\n  horizon  windows    RMSE     MAE    bias  persistence (skill)  set-point (skill)  inside 95 %%   width\n", head)
			last = head
		}
		if s.Count == 0 {
			fmt.Fprintf(&b, "  %5.4g s  %7d       –       –       –                    –                  –            –       –\n", s.Horizon, s.Count)
			continue
		}
		set := "–"
		if s.SetPoint > 0 {
			set = fmt.Sprintf("%.2f (%.2f)", s.SetPoint, s.OverSetPoint())
		}
		fmt.Fprintf(&b, "  %5.4g s  %7d %7.2f %7.2f %7.2f %20s %18s %10.1f %% %7.1f\n",
			s.Horizon, s.Count, s.RMSE, s.MAE, s.Bias, fmt.Sprintf("%.2f (%.2f)", s.Persistence, s.OverPersistence()), set, 100*s.Coverage, s.Width)
		rests += s.experts()
	}
	return b.String() + rests
}

// experts says on whom a live forecast rested, those with the most weight first.
func (s *Skill) experts() string {
	if len(s.Experts) == 0 {
		return ""
	}
	by := slices.Clone(s.Experts)
	slices.SortStableFunc(by, func(a, b ExpertSkill) int { return cmp.Compare(b.Weight, a.Weight) })
	var parts []string
	for _, x := range by {
		parts = append(parts, fmt.Sprintf("%s %.0f %% (%.2f)", x.Expert, 100*x.Weight, x.RMSE))
	}
	text := fmt.Sprintf("  %5.4g s  by %s\n", s.Horizon, strings.Join(parts, ", "))
	if g := s.GoesOn; g != nil {
		text += fmt.Sprintf("           if nothing stops: %.1f %% of %d windows inside, width %.1f\n", 100*g.Coverage, g.Count, g.Width)
	}
	return text
}

// OverPersistence is 1 − RMSE/RMSE of persistence: 1 is perfect, 0 no better, below 0 worse.
func (s *Skill) OverPersistence() float64 { return skillOver(s.RMSE, s.Persistence) }

// OverSetPoint is the same against "T = set-point", on the windows that have one; NaN where none has.
func (s *Skill) OverSetPoint() float64 {
	rmse := s.RMSE
	if s.WithSetPoint > 0 {
		rmse = s.WithSetPoint
	}
	return skillOver(rmse, s.SetPoint)
}

func skillOver(rmse, baseline float64) float64 {
	if baseline == 0 {
		return math.NaN()
	}
	return 1 - rmse/baseline
}

// Skill is one row of the table of forecast errors, in the unit of the output.
type Skill struct {
	Run         string  `json:"run"`
	Output      string  `json:"output,omitempty"` // its name; "": the leading one
	Unit        string  `json:"unit,omitempty"`   // of the output; "": °C
	Way         string  `json:"way"`              // live, known, held, plan
	Windows     string  `json:"windows"`          // all rows, one phase
	HeldOut     bool    `json:"held_out"`
	Horizon     float64 `json:"horizon_s"`
	Count       int     `json:"count"`
	RMSE        float64 `json:"rmse"`
	MAE         float64 `json:"mae"`
	Bias        float64 `json:"bias"`
	Persistence float64 `json:"persistence_rmse"`
	SetPoint    float64 `json:"set_point_rmse,omitempty"` // 0 where no set-point was recorded
	Coverage    float64 `json:"coverage_95"`
	Width       float64 `json:"median_width_95,omitempty"` // of the interval

	// WithSetPoint is the RMSE over the windows for which SetPoint is: those that begin with a set-point.
	WithSetPoint float64 `json:"rmse_with_set_point,omitempty"`

	// Of a live forecast: what one expert did, and over all rows the interval of "if nothing stops".
	Experts []ExpertSkill `json:"experts,omitempty"`
	GoesOn  *GoesOn       `json:"if_nothing_stops,omitempty"`
}

// GoesOn is how the interval of "if nothing stops" did on the windows in which nothing stopped or started.
type GoesOn struct {
	Count    int     `json:"count"`
	Coverage float64 `json:"coverage_95"`
	Width    float64 `json:"median_width_95"`
}

// ExpertSkill is what one expert of a live forecast did on the same windows.
type ExpertSkill struct {
	Expert string  `json:"expert"`
	Weight float64 `json:"mean_weight"`
	RMSE   float64 `json:"rmse"` // on the windows in which it said something
}

// NotJudged is a run that was learned from and has no row of skill by a model of the others, and why
// these do not make one.
type NotJudged struct {
	Run string `json:"run"`
	Why string `json:"why"`
}

// Names of the windows in a table of skill.
const (
	AllRows  = "all rows"
	OnePhase = "one phase" // no change of phase between origin and target
)
