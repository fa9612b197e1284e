package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stirwatch/agent/trial"
	"stirwatch/dynamics/model"
	"stirwatch/firmware-bridge/twin"
)

func twinControlCommand() *cobra.Command {
	var o trial.Options
	var ways []string
	var file, vary, out, material string
	var faults []string
	c := &cobra.Command{
		Use:   "control",
		Short: "Let ways of control run the same simulated builds, and measure them",
		Long: `Control runs builds of simulated machines that differ from the one that the model was learned on, each way
of control with the same builds and disturbances, and prints how far the tool temperature was from its
goal in steady deposition (K), at the start and after changes:

  machine    the machine's own controller
  advice     the same, with every advised set-point and pace set by an operator
  set-point  prediction commands the set-point of the machine's own controller
  actuator   prediction commands the spindle
  pid        a PID commands the spindle
  cascade    a PID commands the set-point of the machine's own controller
  bound      whoever knew the machine, its state and the present disturbances turns the spindle: a reference
             for what is left to gain, not proved to be the best; it takes some seconds a build

Beside the machine's own controller and where advice is followed it is counted, with a model, how
often the set-point was called unreachable, when, and how often for nothing. Advice, set-point,
actuator and --paced need a model (-m). With --program advice knows what each build's program will
do with path, feed and height. A seed is a build: rows of equal seeds compare.`,
		Example: `  stirwatch twin control --way machine,set-point,actuator --builds 20 --seed 1 -m model.json --vary 20% -o table.csv
  stirwatch twin control --way actuator --gain 1.3 --dead 1.3 -m model.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				m, err := model.Load(file)
				if err != nil {
					return err
				}
				o.Model = m
			}
			var err error
			if o.Params, err = twin.Load(material); err != nil {
				return coded{fmt.Errorf("--material: %w", err), exitUsage}
			}
			v, err := strconv.ParseFloat(strings.TrimSuffix(vary, "%"), 64)
			if err != nil || v < 0 || v > 50 {
				return coded{fmt.Errorf("--vary %q: use 0%% to 50%%", vary), exitUsage}
			}
			o.Vary = v / 100
			for _, text := range faults {
				fault, err := twin.ParseFault(text)
				if err != nil {
					return coded{fmt.Errorf("--fault: %w", err), exitUsage}
				}
				o.Faults = append(o.Faults, fault)
			}
			return compareWays(cmd, o, ways, out)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&ways, "way", []string{"machine"}, "machine, advice, set-point, actuator, pid, cascade, bound; several apart by commas")
	f.IntVar(&o.Builds, "builds", 10, "builds of each way")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the first build")
	f.StringVarP(&file, "model", "m", "", "`file` of the model")
	f.StringVar(&material, "material", "6061", "shipped material (6061, 7075) or a parameter `file` of the machine, see docs/twin.md")
	f.StringVar(&vary, "vary", "20%", "by how much machines differ from the one of the model, up to 50%")
	f.Float64Var(&o.Gain, "gain", 1, "factor of the heat of every machine")
	f.Float64Var(&o.Dead, "dead", 1, "factor of the sensor's dead time of every machine")
	f.StringArrayVar(&faults, "fault", nil, "fault that every build has, such as jam@300s+60s:0.8; repeatable")
	f.Float64Var(&o.Calm, "calm", 1, "weight of changes of the command in prediction: more is calmer")
	f.Float64Var(&o.Period, "period", 0, "s of the lap that prediction cancels, 0: it finds it")
	f.Float64Var(&o.Every, "every", 0.1, "s between two commands")
	f.Float64Var(&o.Horizon, "horizon", 0, "s that prediction looks ahead; 0: 20, of a set-point 30")
	f.Float64Var(&o.Spare, "spare", 0, "K by which advice may leave a set-point that is kept, to keep the spindle off its limits")
	f.BoolVar(&o.Paced, "paced", false, "let an operator set every advised pace of feed and path, beside any way; advice does so by itself")
	f.BoolVar(&o.Planned, "planned", false, "let the program change the override, not an operator")
	f.BoolVar(&o.Program, "program", false, "tell advice the program of each build, to look ahead with")
	f.Float64Var(&o.Gains.Gain, "pid-gain", 0, "gain of the pid, rpm/K, of the cascade K/K; 0: as the model proposes it, without one 1, of the cascade 1.5")
	f.Float64Var(&o.Gains.Integral, "pid-integral", 0, "integral time of the pid, s; 0: likewise, without a model 12, of the cascade 14")
	f.Float64Var(&o.Gains.Derivative, "pid-derivative", 0, "derivative time of the pid, s; 0: likewise, without a model none, of the cascade 6")
	f.StringVarP(&out, "output", "o", "", "CSV `file` for a row of each build, - for standard output")
	return c
}

// compareWays runs the ways one after another, prints a table of each, and writes a row of each build to out.
func compareWays(cmd *cobra.Command, o trial.Options, ways []string, out string) error {
	for _, way := range ways {
		if !slices.Contains(trial.Ways(), trial.Way(way)) {
			return coded{fmt.Errorf("--way %s: use some of %v", way, trial.Ways()), exitUsage}
		}
	}
	if err := writable(out); err != nil {
		return err
	}
	rows := [][]string{trial.Columns()}
	w := cmd.OutOrStdout()
	for _, way := range ways {
		o.Way = trial.Way(way)
		builds, err := trial.Run(cmd.Context(), o)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d builds (simulated), seeds %d to %d, machines vary by %g %%\n", way, len(builds), o.Seed, o.Seed+uint64(len(builds))-1, 100*o.Vary)
		t := newTable(w)
		fmt.Fprintf(t, "\tmean\tmedian\t90 %%\tmost\tunit\n")
		for _, f := range trial.Figures(builds) {
			fmt.Fprintf(t, "%s\t%.3g\t%.3g\t%.3g\t%.3g\t%s\n", f.Name, f.Mean, f.Median, f.P90, f.Max, f.Unit)
		}
		t.Flush()
		if c := trial.TotalCalls(builds); c != (trial.Calls{}) {
			fmt.Fprintln(w, c)
		}
		fmt.Fprintln(w)
		for i := range builds {
			rows = append(rows, builds[i].Row(o.Way))
		}
	}
	if out == "" {
		return nil
	}
	file, done, err := output(cmd, out)
	if err != nil {
		return err
	}
	return errors.Join(csv.NewWriter(file).WriteAll(rows), done())
}
