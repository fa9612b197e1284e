package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

func compareCommand() *cobra.Command {
	var newPath, usedPath string
	var logs logFlags
	var horizons, rows []string
	var from journalRuns
	c := &cobra.Command{
		Use:   "compare NEW.json IN-USE.json RUN.csv... | --from-journal [JOURNAL.db]",
		Short: "Compare a new model with the one in use on recorded runs",
		Long: `Compare forecasts runs with both models, from the same rows for the same rows, and prints their errors
side by side: by horizon, over all rows and over windows without a change of phase, live (as on the tick),
with inputs known and, where both models have one, by plan. Every difference has a 95 % interval, from a
bootstrap over blocks of 120 s or twice the longest horizon; where it holds zero, or the runs are too
short for five blocks, the verdict is that it cannot be told. A run from which either model was learned
is marked, and no verdict rests on it. The interval speaks of builds like those compared; give several.

Runs come from logs or, with --from-journal, out of the journal, as for 'stirwatch learn'. The models are
the two files before the runs, or those of -m and --with.

Whatever is found, the exit code is 0: people decide.`,
		Example: `  stirwatch compare new.json model.json wednesday.csv thursday.csv
  stirwatch compare new.json model.json --from-journal --last 2
  stirwatch compare new.json model.json --from-journal copy.db --from 2026-07-01`,
		Args: func(c *cobra.Command, args []string) error { return from.args(c, args[model.Leading(args):]) },
		RunE: func(cmd *cobra.Command, args []string) error {
			switch n := model.Leading(args); {
			case n > 0 && (cmd.Flags().Changed("model") || cmd.Flags().Changed("with")), n == 1, n > 2:
				return coded{errors.New("name two models, the new one first, before the runs; or both with -m and --with"), exitUsage}
			case n == 2:
				newPath, usedPath, args = args[0], args[1], args[2:]
			}
			newer, err := model.Load(newPath)
			if err != nil {
				return err
			}
			inUse, err := model.Load(usedPath)
			if err != nil {
				return err
			}
			hs, err := parseHorizons(horizons)
			if err != nil {
				return err
			}
			segments, err := parseRows(rows)
			if err != nil {
				return err
			}
			want, err := newer.Channels().With(inUse.Channels())
			if err != nil {
				return fmt.Errorf("%s and %s cannot be compared: %w", newPath, usedPath, err)
			}
			given, err := from.read(cmd, args, logs, want)
			if err != nil {
				return err
			}
			if err := checkRows(cmd.ErrOrStderr(), segments, given); err != nil {
				return err
			}
			return compareOn(cmd, &score.Rivals{Candidate: newer, InUse: inUse, Names: [2]string{newPath, usedPath}}, given, segments, hs)
		},
	}
	c.Flags().StringVarP(&newPath, "model", "m", "new.json", "`file` of the new model, where none stands before the runs")
	c.Flags().StringVar(&usedPath, "with", "model.json", "`file` of the model in use, likewise")
	horizonsFlag(c, &horizons)
	rowsFlag(c, &rows)
	logs.add(c)
	from.flags(c, 3)
	return c
}

func compareOn(cmd *cobra.Command, rivals *score.Rivals, given []*runs.Run, segments runs.Segments, horizons []float64) error {
	return rivals.Report(cmd.OutOrStdout(), given, segments, horizons, func(run string) {
		fmt.Fprintf(cmd.ErrOrStderr(), "comparing on %s\n", run)
	})
}

// compareHeldOut leaves the newest runs out, learns from the rest, and compares on those left out.
func compareHeldOut(cmd *cobra.Command, h *model.Hypotheses, inUse *model.Model, name string, given []*runs.Run, segments runs.Segments, holdOut int) error {
	if holdOut < 1 {
		return coded{fmt.Errorf("--hold-out %d: leave out 1 run or more", holdOut), exitUsage}
	}
	w := cmd.OutOrStdout()
	if len(given) == 1 {
		fmt.Fprintf(w, "No fair comparison with %s is possible: there is one run, and a model is not tested by the run it was learned from. Give two runs or more, or compare on the next build: stirwatch compare.\n\n", name)
		return nil
	}
	if holdOut >= len(given) {
		return coded{fmt.Errorf("--hold-out %d leaves none of the %d runs to learn from: leave out %d at most", holdOut, len(given), len(given)-1), exitUsage}
	}
	rest, latest := runs.Newest(given, holdOut)
	fmt.Fprintf(cmd.ErrOrStderr(), "learning from %s, to compare on %s\n", runs.Names(rest), runs.Names(latest))
	m, err := learn.Segments(cmd.Context(), rest, segments, learn.Options{Hypotheses: h, Date: today(), Unjudged: true})
	if err != nil {
		return fmt.Errorf("without %s: %w", runs.Names(latest), err)
	}
	fmt.Fprintf(w, "Compared with %s on %s, left out for it: the new model of this comparison was learned from %s alone. The model that is written is learned from all %d runs afterwards; it is another one, so no run is left to judge it by.\n\n",
		name, runs.Names(latest), runs.Names(rest), len(given))
	rivals := score.Rivals{Candidate: m, InUse: inUse, Names: [2]string{"the new model", name}}
	if err := compareOn(cmd, &rivals, latest, segments, score.Horizons); err != nil {
		return err
	}
	fmt.Fprintln(w)
	fmt.Fprintf(cmd.ErrOrStderr(), "learning from all %d runs\n", len(given))
	return nil
}
