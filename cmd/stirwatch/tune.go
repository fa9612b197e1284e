package main

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"stirwatch/control"
	"stirwatch/dynamics/model"
)

// tuneFlags are those of `tune`.
type tuneFlags struct {
	control.WorkingPoint
	model        string
	at           []string
	tight, every float64
	setPoint     bool
}

func tuneCommand() *cobra.Command {
	var t tuneFlags
	c := &cobra.Command{
		Use:   "tune -m MODEL.json",
		Short: "Propose gains of a PID from a model, with margins and a simulated step; the machine is not touched",
		Long: `Tune asks the model what a step of one input does to one output at a working point, and proposes gains
by Skogestad's rules, with the margins of the loop and what it would do. With --set-point they are of a PID
on the set-point of the machine's own controller, whose gains the model has learned. Values are in the units
of the model; inputs that --at does not name are where they usually are in deposition, else in the middle of
what the model was learned on. The line "pid:" is for a loop of agent.yaml's section control.`,
		Example: `  stirwatch tune -m model.json --set-point --every 0.1
  stirwatch tune -m heaters.json --output "temperature 1" --moves "heater 1 power" --reading 40 --at "heater 1 power=40"
  stirwatch tune -m model.json --moves "spindle speed" --reading 455 --tight 2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := t.read(cmd)
			if err != nil {
				return err
			}
			if t.setPoint {
				return t.cascade(cmd.OutOrStdout(), m)
			}
			return t.single(cmd.OutOrStdout(), m)
		},
	}
	f := c.Flags()
	f.StringVarP(&t.model, "model", "m", "model.json", "`file` of the model")
	f.StringVar(&t.Output, "output", model.ToolTemperature, "name of the output")
	f.StringVar(&t.Moves, "moves", model.SpindleSpeed, "name of the input that is commanded")
	f.BoolVar(&t.setPoint, "set-point", false, "command the set-point of the machine's own controller")
	f.StringArrayVar(&t.at, "at", nil, "NAME=VALUE of an input at the working point, in the model's unit; repeatable")
	f.Float64Var(&t.Value, "reading", 0, "output at the working point; left out, where it usually is")
	f.Float64Var(&t.Step, "step", 0, "size of the step; 0: a tenth of the input's range")
	f.Float64Var(&t.tight, "tight", 1, "1 is tight, more is calmer")
	f.Float64Var(&t.every, "every", 1, "s between two commands")
	f.Float64Var(&t.Within, "horizon", 0, "s after which a step counts as over; 0: 600, of a machine's spindle 20")
	return c
}

// read checks the flags and reads the model.
func (t *tuneFlags) read(cmd *cobra.Command) (*model.Model, error) {
	switch {
	case !(t.tight > 0):
		return nil, coded{fmt.Errorf("--tight %g: use more than 0", t.tight), exitUsage}
	case !(t.every > 0):
		return nil, coded{fmt.Errorf("--every %g: use more than 0", t.every), exitUsage}
	case !(t.Within >= 0):
		return nil, coded{fmt.Errorf("--horizon %g: use 0 or more", t.Within), exitUsage}
	case t.setPoint && (cmd.Flags().Changed("moves") || t.Output != model.ToolTemperature):
		return nil, coded{errors.New("--set-point is that of the tool temperature, which the machine's own controller keeps by the spindle: leave --moves and --output out"), exitUsage}
	}
	if !cmd.Flags().Changed("reading") {
		t.Value = math.NaN()
	}
	m, err := model.Load(t.model)
	if err != nil {
		return nil, err
	}
	if t.At, err = inputValues("at", t.at); err != nil {
		return nil, err
	}
	for name := range t.At {
		if m.InputIndex(name) < 0 {
			return nil, coded{fmt.Errorf("--at: the model has no input %q ('stirwatch equation' prints those it has)", name), exitUsage}
		}
	}
	return m, nil
}

// single tunes a PID that commands an input of the process.
func (t *tuneFlags) single(w io.Writer, m *model.Model) error {
	respond := t.Respond
	if control.Hidden(m, t.Moves) != 1 {
		respond = t.RespondWithLag
	}
	r, err := respond(m)
	if err != nil {
		return err
	}
	printResponse(w, m, &t.WorkingPoint, r)
	tuning := r.Tune(t.tight, t.every)
	printTuning(w, m, &t.WorkingPoint, tuning, r.Simulate(tuning.Gains, t.every))
	return nil
}

// cascade tunes a PID that commands the set-point of the machine's own controller.
func (t *tuneFlags) cascade(w io.Writer, m *model.Model) error {
	c, err := control.CascadeOf(m, &t.WorkingPoint)
	if err != nil {
		return err
	}
	tuning, err := c.Tune(t.tight, t.every)
	if err != nil {
		return err
	}
	printResponse(w, m, &t.WorkingPoint, c.Response)
	fmt.Fprintf(w, "the machine's own controller turns the spindle by %.3g rpm for 1 K and %.3g rpm/s for 1 K\n", c.Rate, c.Error)
	printTuning(w, m, &t.WorkingPoint, tuning, c.Simulate(tuning.Gains, t.every))
	return nil
}

// printResponse prints what a model says of a step.
func printResponse(w io.Writer, m *model.Model, p *control.WorkingPoint, r control.Response) {
	output, input := m.Outputs[m.OutputIndex(p.Output)].Unit, m.Inputs[m.InputIndex(p.Moves)].Unit
	fmt.Fprintf(w, "%s by %s, at %.4g %s and %.4g %s (from the model; nothing was commanded)\n", p.Output, p.Moves, p.Value, output, p.At[p.Moves], input)
	constants := fmt.Sprintf("a time constant of %.3g s", r.Tau)
	if r.Lag > 0 {
		constants = fmt.Sprintf("time constants of %.3g s and %.3g s", r.Tau, r.Lag)
	}
	fmt.Fprintf(w, "a step does %.3g %s per %s, with %s after %.2g s\n", r.Gain, output, input, constants, r.Dead)
	if f := control.Hidden(m, p.Moves); f != 1 {
		fmt.Fprintf(w, "(%.2g times what the model says: logs of a machine whose own controller turns the spindle show too little of it)\n", f)
	}
}

// printTuning prints gains, their margins, and what they would do.
func printTuning(w io.Writer, m *model.Model, p *control.WorkingPoint, t control.Tuning, all []control.Moment) {
	derivative := ""
	if t.Derivative > 0 {
		derivative = fmt.Sprintf(", derivative: %.3g s", t.Derivative)
	}
	fmt.Fprintf(w, "\n    pid: {gain: %.3g, integral: %.3g s%s}\n\n", t.Gain, t.Integral, derivative)
	fmt.Fprintf(w, "gain margin %.2g (the loop swings when the process does that many times more), phase margin %.0f°\n", t.GainMargin, t.PhaseMargin)
	fmt.Fprintf(w, "a step of the goal by 1 %s, as the response foretells it:\n", m.Outputs[m.OutputIndex(p.Output)].Unit)
	for i := 0; i < len(all); i += max(1, len(all)/8) {
		fmt.Fprintf(w, "  %6.4g s  %6.3f   target moved by %.4g\n", all[i].At, all[i].Output, all[i].Target)
	}
}
