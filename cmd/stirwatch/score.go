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
	var modelPath, program string
	var logs logFlags
	var inputs, horizons, rows []string
	c := &cobra.Command{
		Use:   "score -m MODEL.json RUN.csv...",
		Short: "Tell how well a model forecasts recorded runs",
		Long: `Score forecasts from every row above 200 °C of the active segment and prints root mean square
error, mean absolute error, bias, skill against persistence and against "temperature = set-point",
how many of the 95 % intervals hold and their median width: over all rows, and over windows without a change of
phase. First comes "live": what the agent would have forecast on the tick, knowing nothing of what was to come
but what --program says, with the experts that it went by, their mean weight and their error on the same rows.
Intervals adapt to what has come true before, as they do on the tick. A run that the model was learned
from is marked: its figures prove nothing.`,
		Example: `  stirwatch score -m model.json wednesday.csv
  stirwatch score -m model.json --inputs live wednesday.csv
  stirwatch score -m model.json --inputs plan,held --horizons 10s,60s wednesday.csv
  stirwatch score -m model.json --program bar.nc wednesday.csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, ways, hs, given, segments, err := scoring(cmd, modelPath, inputs, program, horizons, rows, args, logs)
			if err != nil {
				return err
			}
			var all []model.Skill
			for _, r := range given {
				from, to, err := segments.Of(m, r)
				if err != nil {
					return err
				}
				for _, way := range ways {
					s, err := score.Score(m, r, way, hs, from, to)
					if err != nil {
						return err
					}
					all = append(all, s...)
				}
			}
			fmt.Fprint(cmd.OutOrStdout(), model.SkillTable(all))
			return nil
		},
	}
	c.Flags().StringSliceVar(&inputs, "inputs", []string{"live", "known"}, inputsHelp)
	scoringFlags(c, &modelPath, &program, &horizons, &rows, &logs)
	return c
}

const inputsHelp = "what the forecast is told of the inputs to come: live (nothing, as on the tick), known (measured), held (frozen) or plan (feed, path and stops)"

func scoringFlags(c *cobra.Command, model, program *string, horizons, rows *[]string, logs *logFlags) {
	c.Flags().StringVarP(model, "model", "m", "model.json", "model document")
	c.Flags().StringSliceVar(horizons, "horizons", []string{"1s", "5s", "10s", "30s", "60s"}, "forecast horizons, rising, up to 1h")
	c.Flags().StringVar(program, "program", "", "G-code file that the machine ran: what is known of the inputs to come is what it says (with --inputs live or plan)")
	rowsFlag(c, rows)
	logs.add(c)
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

func scoring(cmd *cobra.Command, modelPath string, inputs []string, programPath string, horizons, rows, paths []string, logs logFlags) (m *model.Model, ways []filter.Way, hs []float64, given []*runs.Run, segments runs.Segments, err error) {
	fail := func(err error) (*model.Model, []filter.Way, []float64, []*runs.Run, runs.Segments, error) {
		return nil, nil, nil, nil, nil, err
	}
	if m, err = model.Load(modelPath); err != nil {
		return fail(err)
	}
	if programPath != "" && !cmd.Flags().Changed("inputs") {
		for i, name := range inputs {
			if name == filter.Known.String() { // a program goes in its place
				inputs[i] = filter.Planned.String()
			}
		}
	}
	for _, name := range inputs {
		way, err := filter.ParseWay(name)
		if err != nil {
			return fail(coded{fmt.Errorf("--inputs: %w", err), exitUsage})
		}
		if programPath != "" && way != filter.Planned && way != filter.Live {
			return fail(coded{fmt.Errorf("--program with --inputs %s: what a program says of what will be goes with --inputs live or plan", name), exitUsage})
		}
		ways = append(ways, way)
	}
	if hs, err = parseHorizons(horizons); err != nil {
		return fail(err)
	}
	if segments, err = parseRows(rows); err != nil {
		return fail(err)
	}
	if given, err = readRuns(cmd.ErrOrStderr(), paths, logs, m.Channels()); err != nil {
		return fail(err)
	}
	for _, r := range given {
		if why := m.LearnedFrom(r.Source()); why != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: the model %s; how well it fits here proves nothing\n", r.Name, why)
		}
	}
	for _, r := range given {
		if err := r.Brings(m); err != nil {
			return fail(err)
		}
	}
	if err := checkRows(cmd.ErrOrStderr(), segments, given); err != nil {
		return fail(err)
	}
	if programPath != "" {
		if err := withProgram(cmd, programPath, given); err != nil {
			return fail(err)
		}
	}
	return m, ways, hs, given, segments, nil
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
