package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/model"
	nc "stirwatch/dynamics/program"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

func scoreCommand() *cobra.Command {
	var f scoringFlags
	var inputs []string
	c := &cobra.Command{
		Use:   "score -m MODEL.json RUN.csv...",
		Short: "Tell how well a model forecasts recorded runs",
		Long: `Score says in a sentence how far ahead the forecasts may be used. It forecasts from every row of the
active segment that the model judges (with the built-in hypotheses those above 200 °C) and prints root
mean square error, mean absolute error, bias, skill against persistence and against "temperature =
set-point", how many of the 95 % intervals hold and their median width: over all rows, and over windows
without a change of phase.

First comes "live": what the agent would have forecast on the tick, knowing nothing of what was to come
but what --program says, with the experts that it went by, their mean weight and their error on the same
rows. Intervals adapt to what has come true before, as they do on the tick. A run that the model was
learned from is marked: its figures prove nothing.`,
		Example: `  stirwatch score -m model.json wednesday.csv
  stirwatch score -m model.json --inputs live wednesday.csv
  stirwatch score -m model.json --inputs plan,held --horizons 10s,60s wednesday.csv
  stirwatch score -m model.json --program bar.nc wednesday.csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := f.read(cmd, inputs, args)
			if err != nil {
				return err
			}
			var all []model.Skill
			for _, r := range s.runs {
				from, to, err := s.segments.Of(s.model, r)
				if err != nil {
					return err
				}
				for _, way := range s.ways {
					skill, err := score.Score(s.model, r, way, s.horizons, from, to)
					if err != nil {
						return err
					}
					all = append(all, skill...)
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n%s", score.InShort(all), model.SkillTable(all))
			return nil
		},
	}
	c.Flags().StringSliceVar(&inputs, "inputs", []string{"live", "known"}, inputsHelp)
	f.add(c)
	return c
}

const inputsHelp = "what the forecast is told of the inputs to come: live (nothing, as on the tick), known (as measured), held (as they are) or plan (feed, path and stops)"

// scoringFlags are those of commands that forecast recorded runs.
type scoringFlags struct {
	model, program string
	horizons, rows []string
	logs           logFlags
}

func (f *scoringFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.model, "model", "m", "model.json", "`file` of the model")
	horizonsFlag(c, &f.horizons)
	c.Flags().StringVar(&f.program, "program", "", "G-code `file` that the machine ran: what is known of the inputs to come is what it says (with --inputs live or plan)")
	rowsFlag(c, &f.rows)
	f.logs.add(c)
}

// scoring is what the flags mean: a model, and runs to be forecast with it.
type scoring struct {
	model    *model.Model
	ways     []filter.Way
	horizons []float64 // s
	runs     []*runs.Run
	segments runs.Segments
}

// withProgram gives runs the program of a file, and says how it fits them.
func withProgram(cmd *cobra.Command, path string, all []*runs.Run) error {
	p, err := nc.Load(path)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), p)
	for _, r := range all {
		r.Program = p
		f, err := r.Follow()
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", r.Name, f)
	}
	return nil
}

// read reads the model and the runs at paths, and checks that they go together. inputs are the ways to forecast.
func (f *scoringFlags) read(cmd *cobra.Command, inputs, paths []string) (*scoring, error) {
	var s scoring
	var err error
	if s.model, err = model.Load(f.model); err != nil {
		return nil, err
	}
	if s.ways, err = f.ways(inputs, cmd.Flags().Changed("inputs")); err != nil {
		return nil, err
	}
	if s.horizons, err = parseHorizons(f.horizons); err != nil {
		return nil, err
	}
	if s.segments, err = parseRows(f.rows); err != nil {
		return nil, err
	}
	stderr := cmd.ErrOrStderr()
	if s.runs, err = readRuns(stderr, paths, f.logs, s.model.Channels()); err != nil {
		return nil, err
	}
	for _, r := range s.runs {
		if why := s.model.LearnedFrom(r.Source()); why != "" {
			fmt.Fprintf(stderr, "%s: the model %s; how well it fits here proves nothing\n", r.Name, why)
		}
	}
	for _, r := range s.runs {
		if err := r.Brings(s.model); err != nil {
			return nil, err
		}
	}
	if err := checkRows(stderr, s.segments, s.runs); err != nil {
		return nil, err
	}
	if f.program != "" {
		err = withProgram(cmd, f.program, s.runs)
	}
	return &s, err
}

// ways are those that inputs name. Where nobody has named any, a program takes the place of what was measured.
func (f *scoringFlags) ways(inputs []string, named bool) (all []filter.Way, err error) {
	for _, name := range inputs {
		way, err := filter.ParseWay(name)
		if err != nil {
			return nil, coded{fmt.Errorf("--inputs: %w", err), exitUsage}
		}
		if f.program != "" && !named && way == filter.Known {
			way = filter.Planned
		}
		if f.program != "" && way != filter.Planned && way != filter.Live {
			return nil, coded{fmt.Errorf("--program with --inputs %s: what a program says of what will be goes with --inputs live or plan", name), exitUsage}
		}
		all = append(all, way)
	}
	return all, nil
}

func horizonsFlag(c *cobra.Command, horizons *[]string) {
	c.Flags().StringSliceVar(horizons, "horizons", []string{"1s", "5s", "10s", "30s", "60s"}, "forecast horizons, rising, up to 1h")
}

// parseHorizons reads rising times, in s.
func parseHorizons(horizons []string) (hs []float64, err error) {
	for _, h := range horizons {
		d, err := time.ParseDuration(strings.TrimSpace(h))
		if err != nil || d <= 0 || d > time.Hour || len(hs) > 0 && d.Seconds() <= hs[len(hs)-1] {
			return nil, coded{fmt.Errorf("--horizons %s: give rising times up to 1h, such as 1s,10s,60s", h), exitUsage}
		}
		hs = append(hs, d.Seconds())
	}
	if len(hs) == 0 {
		return nil, coded{errors.New("--horizons: give at least one, such as 10s"), exitUsage}
	}
	return hs, nil
}
