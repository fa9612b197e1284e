package main

import (
	"errors"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/score"
)

func forecastCommand() *cobra.Command {
	var f scoringFlags
	var out, inputs string
	var open bool
	c := &cobra.Command{
		Use:   "forecast -m MODEL.json RUN.csv...",
		Short: "Forecast from every row of recorded runs, as CSV",
		Long: `Forecast starts from every row of the active segment that the model judges (with the built-in hypotheses
those above 200 °C) and writes a row for each output and horizon:

  log                     name of the file without extension
  t_index                 0-based data row of the origin; no reading after it is used
  time_s                  its time in s, as the log counts it; since the first row where the log says the day
  horizon                 s from the origin; 0: a row of --open-loop
  output                  name of the output, the first of the model first
  forecast, lower, upper  in the output's unit, with the 95 % interval
  measured                what was measured then

With --inputs live the forecasts are those that the agent would have made on the tick: lower and upper
hold whatever comes, and these columns are filled as well:

  lower_going_on, upper_going_on          the interval if nothing stops
  stopped, stopped_lower, stopped_upper   what is expected if the machine stops at the origin

Intervals adapt to what has come true before the origin, as they do on the tick. --open-loop adds one
simulation over each active segment that uses no reading after the first.`,
		Example: `  stirwatch forecast -m model.json build.csv -o forecasts.csv
  stirwatch forecast -m model.json --inputs live --horizons 10s,60s build.csv
  stirwatch forecast -m model.json --program bar.nc build.csv
  stirwatch forecast -m model.json --open-loop --rows build=2:1098 build.csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			s, err := f.read(cmd, []string{inputs}, args)
			if err != nil {
				return err
			}
			w, done, err := output(cmd, out)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
			fw := score.NewForecastWriter(w)
			for _, r := range s.runs {
				from, to, err := s.segments.Of(s.model, r)
				if err != nil {
					return err
				}
				write := func(row score.Row) {
					at := r.LogTime(row.Origin)
					row.Origin, row.Target = r.NumberOf(row.Origin), r.NumberOf(row.Target)
					fw.Write(r.Name, s.model.Outputs[row.Output].Name, at, row)
				}
				if err := score.ForecastRun(s.model, r, s.ways[0], s.horizons, from, to, write); err != nil {
					return err
				}
				if open {
					if err := score.OpenLoop(s.model, r, from, to, write); err != nil {
						return err
					}
				}
			}
			return fw.Flush()
		},
	}
	c.Flags().StringVar(&inputs, "inputs", "known", inputsHelp)
	f.add(c)
	c.Flags().StringVarP(&out, "output", "o", "-", "`file` to write, - for standard output")
	c.Flags().BoolVar(&open, "open-loop", false, "also simulate each segment from its first row")
	return c
}
