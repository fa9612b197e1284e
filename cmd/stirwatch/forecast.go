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
		Long: `Forecast starts from every row of the active segment that the model judges (of the built-in one, those
above 200 °C) and writes log,t_index,time_s,horizon,output,forecast,lower,upper,measured: the file's name
without extension; the 0-based data row of the origin (no reading after it is used) and its time in s, as the log
counts it or, where it says the day, since its first row; the horizon in seconds of time; the name of the output,
the first of the model first; the forecast, its 95 % interval, and what was measured then, in the
output's unit. Of live forecasts lower and upper hold whatever comes; after measured stand the interval if nothing
stops and what is expected, with its interval, if the machine stops at the origin: lower_going_on,upper_going_on,
stopped,stopped_lower,stopped_upper. With --open-loop, rows of horizon 0 hold one simulation over each active segment that uses no
reading after the first. With --inputs live the forecasts are those that the agent would have made on the tick.
Intervals adapt to what has come true before the origin, as they do there.`,
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
	c.Flags().StringVarP(&out, "output", "o", "-", "file to write, - for standard output")
	c.Flags().BoolVar(&open, "open-loop", false, "also simulate each segment from its first row")
	return c
}
