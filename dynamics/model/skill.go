package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// SkillTable prints a table of skill: RMSE beside both baselines, and what the rest says. Where there are
// several outputs each line says of which it is.
func SkillTable(skill []Skill) string {
	var b strings.Builder
	several := slices.ContainsFunc(skill, func(s Skill) bool { return s.Output != skill[0].Output })
	last := ""
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
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "%s\n  horizon  windows    RMSE     MAE    bias  persistence (skill)  set-point (skill)  inside 95 %%\n", head)
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

// Skill is one row of the table of forecast errors, in the unit of the output.
type Skill struct {
	Run         string  `json:"run"`
	Output      string  `json:"output,omitempty"` // its name; "": the leading one
	Unit        string  `json:"unit,omitempty"`   // of the output; "": °C
	Way         string  `json:"way"`              // known, held, plan
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
