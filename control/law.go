package control

import (
	"math"
	"sort"
)

// Law decides what a loop commands next. Numbers are in the units of the loop's output and target.
type Law interface {
	// Begin starts from what the target holds, without a bump.
	Begin(s *Sense)
	// Step gives the next command. It neither keeps s nor allocates.
	Step(s *Sense) Move
	// String is for people.
	String() string
}

// Sense is what a law knows at one step. NaN is unknown.
type Sense struct {
	Dt     float64 // s since the last step
	Output float64 // as it is measured
	Goal   *Goal
	Now    float64 // s since the goal's beginning
	Held   float64 // what the target holds: the last command, as far as limits and slew let it come
	Fixed  float64 // the goal that a channel tells, where Goal is nil
	Doubt  string  // why a model is not to be relied on now, "" if it is
}

// Aim is the goal so many s ahead.
func (s *Sense) Aim(ahead float64) float64 {
	if s.Goal == nil {
		return s.Fixed
	}
	return s.Goal.At(s.Now + ahead)
}

// Move is a command, or why there is none.
type Move struct {
	Value     float64 // NaN: none
	Predicted float64 // output expected at the end of the law's horizon, NaN where it looks at none
	Without   float64 // the same if the target stayed where it is
	Horizon   float64 // s
	Doubt     string  // why the law is not to be relied on, "" if it is
}

// Limits are those of the commands of a loop, in the target's unit.
type Limits struct {
	Min, Max float64
	Slew     float64 // most change per s
}

// Bound is the nearest value within the limits that can be reached in dt from where the target is.
func (l *Limits) Bound(v, held, dt float64) float64 {
	if !math.IsNaN(held) {
		inside := min(max(held, l.Min), l.Max)
		v = min(max(v, inside-l.Slew*dt), inside+l.Slew*dt)
	}
	return min(max(v, l.Min), l.Max)
}

// Within are the limits themselves, as a law's own.
func (l *Limits) Within() Limits { return *l }

// Goal is where an output is kept, by time.
type Goal struct{ steps []GoalStep }

// GoalStep is the goal from an instant on: at once, or by an even ramp from the step before.
type GoalStep struct {
	At    float64 // s
	Value float64
	Ramp  bool
}

// Constant is one goal for all time.
func Constant(v float64) *Goal { return &Goal{[]GoalStep{{Value: v}}} }

// Schedule makes a goal of steps, rising by time; there is at least one.
func Schedule(steps []GoalStep) *Goal {
	if len(steps) == 0 || !sort.SliceIsSorted(steps, func(i, j int) bool { return steps[i].At < steps[j].At }) {
		panic("control: a schedule needs steps in order of time")
	}
	return &Goal{steps}
}

// At is the goal at an instant: before the first step its value.
func (g *Goal) At(t float64) float64 {
	i := len(g.steps) - 1
	for i > 0 && g.steps[i].At > t {
		i--
	}
	if i+1 < len(g.steps) && g.steps[i+1].Ramp && t > g.steps[i].At {
		a, b := g.steps[i], g.steps[i+1]
		return a.Value + (b.Value-a.Value)*(t-a.At)/(b.At-a.At)
	}
	return g.steps[i].Value
}

// Follow commands the goal itself: a set-point of the machine's own controller.
type Follow struct{ Limits }

func (f *Follow) String() string { return "follow: the goal itself is commanded" }

// Begin implements [Law].
func (f *Follow) Begin(*Sense) {}

// Step implements [Law].
func (f *Follow) Step(s *Sense) Move {
	return Move{Value: min(max(s.Aim(0), f.Min), f.Max), Predicted: math.NaN(), Without: math.NaN()}
}
