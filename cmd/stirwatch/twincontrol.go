package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"stirwatch/agent/trial"
	"stirwatch/dynamics/model"
)

func twinControlCommand() *cobra.Command {
	o := trial.Options{}
	var ways []string
	var file, vary, out string
	c := &cobra.Command{
		Use:   "control",
		Short: "Let ways of control run the same simulated builds, and measure them",
		Long: `Control runs builds of simulated machines that differ from the one that the model was learned on, each way with
the same builds and disturbances: the machine's own controller; advice that an operator follows; prediction that commands the
set-point of the machine's controller; prediction, or a PID, that commands the spindle. Errors are those of steady deposition.
A seed is a build, so that rows of equal seeds compare.`,
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
			v, err := strconv.ParseFloat(strings.TrimSuffix(vary, "%"), 64)
			if err != nil || v < 0 || v > 50 {
				return coded{fmt.Errorf("--vary %q: use 0%% to 50%%", vary), exitUsage}
			}
			o.Vary = v / 100
			return compareWays(cmd, o, ways, out)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&ways, "way", []string{"machine"}, "machine, advice, set-point, actuator, pid; several apart by commas")
	f.IntVar(&o.Builds, "builds", 10, "builds of each way")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the first build")
	f.StringVarP(&file, "model", "m", "", "model document")
	f.StringVar(&vary, "vary", "20%", "by how much machines differ from the one of the model")
	f.Float64Var(&o.Gain, "gain", 1, "factor of the heat of every machine")
	f.Float64Var(&o.Dead, "dead", 1, "factor of the sensor's dead time of every machine")
	f.Float64Var(&o.Calm, "calm", 1, "how dear prediction holds a change")
	f.Float64Var(&o.Period, "period", 0, "s of the lap that prediction cancels, 0: it finds it")
	f.Float64Var(&o.Every, "every", 0.2, "s between two commands")
	f.Float64Var(&o.Horizon, "horizon", 20, "s that prediction looks ahead")
	f.Float64Var(&o.Gains.Gain, "pid-gain", 0, "gain of the pid, rpm/K; 0: its own")
	f.Float64Var(&o.Gains.Integral, "pid-integral", 12, "integral time of the pid, s")
	f.StringVarP(&out, "output", "o", "", "file for a row of each build")
	return c
}

// compareWays runs the ways one after another and prints a table of each.
func compareWays(cmd *cobra.Command, o trial.Options, ways []string, out string) error {
	if o.Gains.Gain == 0 {
		o.Gains.Gain = 1
	}
	o.Gains.Weight = 1
	var rows [][]string
	w := cmd.OutOrStdout()
	for _, way := range ways {
		o.Way = trial.Way(way)
		builds, err := trial.Run(cmd.Context(), o)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s: %d builds (simulated), seeds %d to %d, machines vary by %g %%\n", way, len(builds), o.Seed, o.Seed+uint64(len(builds))-1, 100*o.Vary)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "\tmean\tmedian\t90 %%\tmost\tunit\n")
		for _, f := range trial.Figures(builds) {
			fmt.Fprintf(t, "%s\t%.3g\t%.3g\t%.3g\t%.3g\t%s\n", f.Name, f.Mean, f.Median, f.P90, f.Max, f.Unit)
		}
		t.Flush()
		fmt.Fprintln(w)
		for _, b := range builds {
			row := []string{way, strconv.FormatUint(b.Seed, 10)}
			for _, v := range []float64{b.MeanAbs, b.SD, b.P99, b.Outside, b.AtLimit, b.Overshoot, b.Reach, b.Event, float64(b.Violations), float64(b.Rows), b.P50.Seconds(), b.P99T.Seconds(), b.MaxT.Seconds()} {
				row = append(row, strconv.FormatFloat(v, 'g', 5, 64))
			}
			rows = append(rows, row)
		}
	}
	if out == "" {
		return nil
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	c := csv.NewWriter(file)
	c.Write([]string{"way", "seed", "mean_absolute_K", "sd_K", "p99_K", "outside_10_K", "at_limit", "overshoot_K", "reach_s", "after_changes_K", "violations", "rows", "step_median_s", "step_p99_s", "step_max_s"})
	c.WriteAll(rows)
	return c.Error()
}
