package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"

	"stirwatch/agent/trial"
	"stirwatch/dynamics/model"
	"stirwatch/firmware-bridge/twin"
)

const (
	vary  = 0.2  // by how much the machine of the closed loop differs from those that the model was learned on
	every = 20.0 // s between two lines of the table
)

// moment is what one of the two machines does at an instant: s, °C, rpm, °C.
type moment struct{ at, temperature, speed, goal float64 }

// CloseLoop lets the same simulated machine make the same build twice, once with its own controller and once with
// the spindle led by prediction, and prints both side by side.
func CloseLoop(ctx context.Context, out io.Writer) error {
	m, err := model.Read(bytes.NewReader(modelJSON))
	if err != nil {
		return err
	}
	ways := [2]trial.Way{trial.Machine, trial.Actuator}
	var moments [2][]moment
	var figures [2][]trial.Figure
	g, ctx := errgroup.WithContext(ctx)
	for i, way := range ways {
		g.Go(func() error {
			next := 0.0
			builds, err := trial.Run(ctx, trial.Options{Way: way, Builds: 1, Seed: seed, Model: m, Vary: vary,
				Watch: func(_ uint64, r *twin.Row, goal float64) {
					if r.At >= next {
						moments[i], next = append(moments[i], moment{r.At, r.ToolTemp, r.RPM, goal}), next+every
					}
				}})
			figures[i] = trial.Figures(builds)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	fmt.Fprintf(out, "One build of one simulated machine, which differs by up to %g %% from those that the model was learned on, twice:\n", 100*vary)
	fmt.Fprintln(out, "led by its own controller, and with the spindle led by prediction.")
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "time s\tset-point °C\town: °C\trpm\toff K\tprediction: °C\trpm\toff K\t\n")
	for k := range min(len(moments[0]), len(moments[1])) {
		own, led := moments[0][k], moments[1][k]
		fmt.Fprintf(t, "%.0f\t%s\t%.1f\t%.0f\t%s\t%.1f\t%.0f\t%s\t\n", own.at, orDash(own.goal, "%.0f"), own.temperature, own.speed, orDash(own.temperature-own.goal, "%+.1f"),
			led.temperature, led.speed, orDash(led.temperature-led.goal, "%+.1f"))
	}
	t.Flush()
	fmt.Fprintln(out)
	t = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\town controller\tprediction\tunit")
	for k, own := range figures[0] {
		if own.Builds > 0 && own.Unit != "µs" && figures[1][k].Builds > 0 {
			fmt.Fprintf(t, "%s\t%.3g\t%.3g\t%s\n", own.Name, own.Mean, figures[1][k].Mean, own.Unit)
		}
	}
	return t.Flush()
}

// orDash is v for a table, a dash where it is not known.
func orDash(v float64, format string) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}
