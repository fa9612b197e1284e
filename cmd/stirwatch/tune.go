package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	"stirwatch/sensors/unit"
)

func tuneCommand() *cobra.Command {
	var path, output, moves string
	var at []string
	var reading, step, tight, every, horizon float64
	c := &cobra.Command{
		Use:   "tune -m MODEL.json",
		Short: "Propose gains of a PID from a model, with margins and a simulated step; the machine is not touched",
		Long: `Tune asks the model what a step of one input does to one output at a working point, and proposes gains by Skogestad's rules,
with the margins of the loop and the output that the model then foretells. Inputs that --at does not name are in the middle of what
the model was learned on.`,
		Example: `  stirwatch tune -m heaters.json --output "temperature 1" --moves "heater 1 power" --reading 40 --at "heater 1 power=40"
  stirwatch tune -m model.json --moves "spindle speed" --reading 455 --tight 2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := model.Load(path)
			if err != nil {
				return err
			}
			p := probe{m: m, output: output, moves: moves, reading: reading, step: step, every: every, horizon: horizon, at: make(map[string]float64)}
			for _, a := range at {
				name, text, _ := strings.Cut(a, "=")
				v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
				if err != nil || m.InputIndex(strings.TrimSpace(name)) < 0 {
					return coded{fmt.Errorf("--at %q: write the name of an input, = and a number", a), exitUsage}
				}
				p.at[strings.TrimSpace(name)] = v
			}
			return p.tune(cmd.OutOrStdout(), tight)
		},
	}
	f := c.Flags()
	f.StringVarP(&path, "model", "m", "model.json", "model document")
	f.StringVar(&output, "output", model.ToolTemperature, "name of the output")
	f.StringVar(&moves, "moves", model.SpindleSpeed, "name of the input that is commanded")
	f.StringArrayVar(&at, "at", nil, "NAME=VALUE of an input at the working point, in the model's unit; repeatable")
	f.Float64Var(&reading, "reading", math.NaN(), "output at the working point; left out, the middle of what was learned on")
	f.Float64Var(&step, "step", 0, "size of the step; 0: a tenth of the input's range")
	f.Float64Var(&tight, "tight", 1, "1 is tight, more is calmer")
	f.Float64Var(&every, "every", 1, "s between two commands")
	f.Float64Var(&horizon, "horizon", 600, "s after which a step counts as over")
	return c
}

// probe is a working point of a model.
type probe struct {
	m                             *model.Model
	output, moves                 string
	reading, step, every, horizon float64
	at                            map[string]float64
}

func (p *probe) tune(w io.Writer, tight float64) error {
	o := p.m.OutputIndex(p.output)
	if o < 0 {
		return fmt.Errorf("the model has no output %s", p.output)
	}
	in := p.m.InputIndex(p.moves)
	if in < 0 {
		return fmt.Errorf("the model has no input %s", p.moves)
	}
	u := make([]float64, len(p.m.Inputs))
	for i, x := range p.m.Inputs {
		u[i] = (x.Min + x.Max) / 2
		if v, ok := p.at[x.Name]; ok {
			u[i] = v
		}
		if x.Name == model.Contact {
			u[i] = 1
		}
	}
	out := &p.m.Outputs[o]
	if math.IsNaN(p.reading) {
		p.reading = (out.Min + out.Max) / 2
	}
	if p.step == 0 {
		p.step = (p.m.Inputs[in].Max - p.m.Inputs[in].Min) / 10
	}
	e := filter.New(p.m)
	var est filter.Estimate
	z := make([]float64, len(p.m.Outputs))
	for i := range z {
		z[i] = p.reading
	}
	for range 5 {
		e.Step(&est, 1, u, z)
	}
	outUnit, inUnit := unit.MustParse(out.Unit), unit.MustParse(p.m.Inputs[in].Unit)
	foretell, err := control.Through(p.m, e, &est, control.Use{Output: p.output, OutputUnit: outUnit, Moves: p.moves, TargetUnit: inUnit})
	if err != nil {
		return err
	}
	var t []float64
	for now := 1.0; now <= p.horizon; now += max(1, now/50) {
		t = append(t, now)
	}
	ahead := func(by float64) ([]float64, error) {
		y := make([]float64, len(t))
		if doubt := foretell(y, t, func(float64) float64 { return u[in] + by }); doubt != "" {
			return nil, fmt.Errorf("at this working point: %s", doubt)
		}
		return y, nil
	}
	still, err := ahead(0)
	if err != nil {
		return err
	}
	moved, err := ahead(p.step)
	if err != nil {
		return err
	}
	for i := range moved {
		moved[i] -= still[i]
	}
	r, err := control.Identify(append([]float64{0}, t...), append([]float64{0}, moved...), p.step)
	if err != nil {
		return err
	}
	g := r.Tune(tight, p.every)
	fmt.Fprintf(w, "%s by %s, at %g %s and %g %s (from the model; nothing was commanded)\n", p.output, p.moves, p.reading, out.Unit, u[in], p.m.Inputs[in].Unit)
	fmt.Fprintf(w, "a step does %.3g %s per %s, with a time constant of %.3g s after %.2g s\n", r.Gain, out.Unit, p.m.Inputs[in].Unit, r.Tau, r.Dead)
	fmt.Fprintf(w, "\n    pid: {gain: %.3g, integral: %.3g s}\n\n", g.Gain, g.Integral)
	fmt.Fprintf(w, "gain margin %.2g (the loop swings when the process does that many times more), phase margin %.0f°\n", g.GainMargin, g.PhaseMargin)
	fmt.Fprintf(w, "a step of the goal by 1 %s, as the response foretells it:\n", out.Unit)
	for _, line := range simulate(r, g.Gains, p.every) {
		fmt.Fprintln(w, line)
	}
	return nil
}

// simulate is a step of the goal by 1, at a few instants, with a PID on the response.
func simulate(r control.Response, g control.Gains, every float64) (lines []string) {
	limits := control.Limits{Min: -1e9, Max: 1e9, Slew: 1e9}
	pid := &control.PID{Limits: limits, Gains: g}
	s := control.Sense{Dt: every, Goal: control.Constant(1), Held: 0}
	s.Goal = control.Constant(0)
	pid.Begin(&s)
	s.Goal = control.Constant(1)
	late := make([]float64, int(math.Round(r.Dead/every))+1)
	y, end := 0.0, 6*(r.Dead+every)+2*g.Integral
	next := 0.0
	for now := 0.0; now <= end; now += every {
		s.Output = y
		move := pid.Step(&s)
		s.Held = move.Value
		if now >= next-1e-9 {
			lines = append(lines, fmt.Sprintf("  %6.4g s  %6.3f   target moved by %.4g", now, y, move.Value))
			next += end / 8
		}
		late = append(late[1:], move.Value)
		y += -math.Expm1(-every/r.Tau) * (r.Gain*late[0] - y)
	}
	return lines
}
