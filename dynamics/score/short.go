package score

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
)

// A forecast is of use at a horizon where its error is at most this part of how far the output moves in that time, which is
// persistence's error over all rows, and where of its 95 % intervals at least this share holds. Half is also what people are
// asked to accept: a build that heats through 190 °C in a minute is not foreseen by an error of 160. The nearest horizons, in which
// a slow output moves by hardly more than the noise of its readings, cannot be halved by anybody: where a longer one is of use, an error no larger is, too.
const (
	usePart  = 0.5
	useInner = 0.85
)

// InShort says in a sentence for each output how far ahead its forecasts may be used, by the figures given: those of
// runs not learned from where there are any, live where there are (what the agent would have said), over all rows.
// Runs count by their windows.
func InShort(figures []model.Skill) string {
	var outputs []string
	for _, s := range figures {
		if !slices.Contains(outputs, s.Output) {
			outputs = append(outputs, s.Output)
		}
	}
	var all []string
	for _, o := range outputs {
		var of []model.Skill
		for _, s := range figures {
			if s.Output == o && s.Count > 0 {
				of = append(of, s)
			}
		}
		text := inShort(of)
		if len(outputs) > 1 && o != "" {
			text = o + ": " + text
		}
		all = append(all, text)
	}
	if all == nil {
		all = []string{"Nothing can be said: no row could be scored."}
	}
	return strings.Join(all, "\n")
}

// inShort is the sentence about one output.
func inShort(figures []model.Skill) string {
	if len(figures) == 0 {
		return "Nothing can be said: no row could be scored."
	}
	proved := slices.ContainsFunc(figures, func(s model.Skill) bool { return s.HeldOut })
	way := figures[0].Way
	for _, w := range []filter.Way{filter.Planned, filter.Live} { // the last that is there
		if slices.ContainsFunc(figures, func(s model.Skill) bool { return s.Way == w.String() && s.HeldOut == proved }) {
			way = w.String()
		}
	}
	pool := func(windows string, h float64) (p model.Skill) {
		var squares, persistence, covered float64
		for _, s := range figures {
			if s.HeldOut != proved || s.Way != way || s.Windows != windows || s.Horizon != h {
				continue
			}
			n := float64(s.Count)
			p.Count += s.Count
			squares, persistence, covered = squares+n*s.RMSE*s.RMSE, persistence+n*s.Persistence*s.Persistence, covered+n*s.Coverage
			p.Unit = s.Unit
		}
		n := float64(p.Count)
		p.RMSE, p.Persistence, p.Coverage = math.Sqrt(squares/n), math.Sqrt(persistence/n), covered/n
		return p
	}
	of := func(s model.Skill, moves float64) bool { return s.RMSE <= usePart*moves && s.Coverage >= useInner }
	var horizons []float64
	for _, s := range figures {
		if s.HeldOut == proved && s.Way == way && s.Windows == model.AllRows && !slices.Contains(horizons, s.Horizon) {
			horizons = append(horizons, s.Horizon)
		}
	}
	slices.Sort(horizons)
	good, bad := 0.0, 0.0 // the longest of use with all before it, and the first that is not
	for i, h := range horizons {
		p := pool(model.AllRows, h)
		if !of(p, p.Persistence) && !(good == 0 && of(p, math.Inf(1)) && slices.ContainsFunc(horizons[i+1:], func(longer float64) bool {
			l := pool(model.AllRows, longer)
			return of(l, l.Persistence) && p.RMSE <= l.RMSE
		})) {
			bad = h
			break
		}
		if of(p, p.Persistence) {
			good = h
		}
	}
	var b strings.Builder
	switch {
	case !proved:
		b.WriteString("Not proved: these are figures of runs that it was learned from. There it is ")
	}
	word := func(s string) string {
		if proved {
			return strings.ToUpper(s[:1]) + s[1:]
		}
		return s
	}
	switch {
	case bad == 0:
		fmt.Fprintf(&b, "%s to %g s, the longest that was tried (error there %s).", word("good"), good, size(pool(model.AllRows, good)))
		return b.String()
	case good > 0:
		fmt.Fprintf(&b, "%s to %g s (error there %s); do not use %g s ahead yet: ", word("good"), good, size(pool(model.AllRows, good)), bad)
	default:
		fmt.Fprintf(&b, "%s at no horizon; do not use it yet: %g s ahead ", word("good"), bad)
	}
	s := pool(model.AllRows, bad)
	fmt.Fprintf(&b, "its error is %s where the reading moves by %.3g, and %.0f %% of the 95 %% intervals hold", size(s), s.Persistence, 100*s.Coverage)
	if one := pool(model.OnePhase, bad); one.Count > 0 && of(one, s.Persistence) {
		b.WriteString("; within one phase it holds, so what it does not foresee are starts, stops and lifts: learn from runs that have such ones")
	}
	b.WriteString(".")
	return b.String()
}

// size is the root mean square error with its unit.
func size(s model.Skill) string {
	return fmt.Sprintf("%.3g %s", s.RMSE, cmp.Or(s.Unit, "°C"))
}
