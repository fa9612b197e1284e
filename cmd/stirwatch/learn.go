package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/dynamics/score"
)

func learnCommand() *cobra.Command {
	var out, units, hypotheses, inUse, page, pictures string
	var rows []string
	var holdOut int
	var from journalRuns
	c := &cobra.Command{
		Use:   "learn RUN.csv... | --from-journal [JOURNAL.db]",
		Short: "Learn the equation of the tool temperature from recorded runs",
		Long: `Learn fits hypotheses about the process (docs/hypotheses.md; built in are those for additive friction
stir deposition) to one or more runs: it drops the terms that the data do not bear out, fits all
parameters on forecasts, and writes the model document. It prints the governing equation with standard
errors, its skill (on each run in turn with a model learned from the others; with one run only in
sample, and the table says so), and how sure the data are of every candidate, with the experiments that
would tell more. With --report all that and the figures go into one HTML page.

Runs come from logs (MELD, or any CSV whose columns say what they are, such as "time [s], heater power [W],
plate temperature [°C]") or, with --from-journal, out of the journal that the agent keeps (also while it
records): the newest that can be learned from, or those of --last, --since or --run. The
configuration says which channel is what; docs/journal.md says how samples become rows.

With --compare the model in use is compared first: the newest run is left out, a model learned from
the rest forecasts it, and the model in use too. Then the model that is written is learned from all.`,
		Example: `  stirwatch learn monday.csv tuesday.csv -o model.json
  stirwatch learn monday.csv tuesday.csv -o model.json --report report.html --pictures figures
  stirwatch learn --hypotheses mine.yaml --units inch build.csv -o model.json
  stirwatch learn --hypotheses heater.yaml heater.csv -o heater.json --report heater.html
  stirwatch learn --rows build=120:980 build.csv -o model.json
  stirwatch learn --from-journal -o new.json
  stirwatch learn --from-journal -c agent.yaml --since 2026-07-01 -o new.json
  stirwatch learn --from-journal copy.db --run 20260708-104312 --run last -o new.json
  stirwatch learn --from-journal --last 8 --compare model.json -o new.json`,
		Args: from.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			if pictures != "" && page == "" {
				return coded{errors.New("--pictures needs --report"), exitUsage}
			}
			h := model.DefaultHypotheses()
			if hypotheses != "" {
				var err error
				if h, err = model.LoadHypotheses(hypotheses); err != nil {
					return err
				}
			}
			segments, err := parseRows(rows)
			if err != nil {
				return err
			}
			if err := writable(out, page); err != nil {
				return err
			}
			want := h.Channels()
			var old *model.Model
			switch {
			case inUse != "":
				if old, err = model.Load(inUse); err != nil {
					return err
				}
				if want, err = together(want, old.Channels()); err != nil {
					return fmt.Errorf("--compare %s: %w", inUse, err)
				}
			case cmd.Flags().Changed("hold-out"):
				return coded{errors.New("--hold-out needs --compare"), exitUsage}
			}
			runs, err := from.read(cmd, args, units, want)
			if err != nil {
				return err
			}
			if err := named(cmd.ErrOrStderr(), segments, runs); err != nil {
				return err
			}
			if old != nil {
				if err := compareHeldOut(cmd, h, old, inUse, runs, segments, holdOut); err != nil {
					return err
				}
			}
			p := progress{w: cmd.ErrOrStderr()}
			m, err := learnFromRuns(cmd.Context(), h, runs, segments, learn.Options{Evidence: true, Progress: p.learning})
			p.done()
			if err != nil {
				return err
			}
			if err := m.Save(out); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), model.Equation(m))
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is written\n", out)
			if page != "" {
				return writeReport(cmd, page, pictures, m, runs, segments)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "model.json", "model document to write")
	c.Flags().StringVar(&hypotheses, "hypotheses", "", "file of hypotheses instead of those built in")
	c.Flags().StringVar(&page, "report", "", "HTML page to write about the model and its runs")
	c.Flags().StringVar(&pictures, "pictures", "", "with --report: directory to write every figure into, as SVG and PNG")
	c.Flags().StringVar(&inUse, "compare", "", "model in use, to compare with on runs left out")
	c.Flags().IntVar(&holdOut, "hold-out", 1, "with --compare: how many of the newest runs to leave out")
	unitsFlag(c, &units)
	rowsFlag(c, &rows)
	from.flags(c, 5)
	return c
}

// learnFromRuns learns from runs, of each the segment set or else the active part; o says how.
func learnFromRuns(ctx context.Context, h *model.Hypotheses, given []*recorded, segments map[string][2]int, o learn.Options) (*model.Model, error) {
	var inputs []string
	for _, in := range h.Channels().Inputs {
		inputs = append(inputs, in.Name)
	}
	var cut []runs.Run
	for _, r := range given {
		run := r.Run // Learn finds the active part itself
		if _, set := segments[r.Name]; set {
			from, to, err := r.segment(nil, segments)
			if err != nil {
				return nil, err
			}
			run = r.cut(from, to)
		}
		columns := run.U
		run.Inputs, run.U = inputs, nil
		for _, name := range inputs { // a run may hold more, for another model
			run.U = append(run.U, columns[slices.Index(r.Inputs, name)])
		}
		cut = append(cut, run)
	}
	o.Inputs, o.Hypotheses, o.Date = inputs, h, time.Now().UTC().Format(time.RFC3339)
	return learn.Learn(ctx, cut, o)
}

func equationCommand() *cobra.Command {
	var latex bool
	c := &cobra.Command{
		Use:   "equation MODEL.json",
		Short: "Print a model document as an equation",
		Example: `  stirwatch equation model.json
  stirwatch equation --latex model.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := model.Load(args[0])
			if err != nil {
				return err
			}
			if latex {
				fmt.Fprintln(cmd.OutOrStdout(), model.LaTeX(m))
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), model.Equation(m))
			return nil
		},
	}
	c.Flags().BoolVar(&latex, "latex", false, "as LaTeX")
	return c
}

func forecastCommand() *cobra.Command {
	var modelPath, out, inputs, units string
	var horizons, rows []string
	var open bool
	c := &cobra.Command{
		Use:   "forecast -m MODEL.json RUN.csv...",
		Short: "Forecast from every row of recorded runs, as CSV",
		Long: `Forecast starts from every row above 200 °C of the active segment and writes
log,t_index,horizon,forecast,lower,upper: the file's name without extension, the 0-based data row
of the origin (no temperature after it is used), the horizon in seconds, the forecast and its
95 % interval in °C. With --open-loop, rows of horizon 0 hold one simulation over each active
segment that uses no temperature after the first.`,
		Example: `  stirwatch forecast -m model.json build.csv -o forecasts.csv
  stirwatch forecast -m model.json --inputs held --horizons 10s,60s build.csv
  stirwatch forecast -m model.json --open-loop --rows build=2:1098 build.csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			m, way, hs, runs, segments, err := scoring(cmd, modelPath, inputs, horizons, rows, args, units)
			if err != nil {
				return err
			}
			w, done, err := output(cmd, out)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, done()) }()
			fw := score.NewForecastWriter(w)
			for _, r := range runs {
				from, to, err := r.segment(m, segments)
				if err != nil {
					return err
				}
				write := func(row score.Row) {
					row.Origin, row.Target = r.row(row.Origin), r.row(row.Target)
					fw.Write(r.Name, row)
				}
				if err := score.ForecastRun(m, &r.Run, way, hs, from, to, write); err != nil {
					return err
				}
				if open {
					if err := score.OpenLoop(m, &r.Run, from, to, write); err != nil {
						return err
					}
				}
			}
			return fw.Flush()
		},
	}
	scoringFlags(c, &modelPath, &inputs, &horizons, &rows, &units)
	c.Flags().StringVarP(&out, "output", "o", "-", "file to write, - for standard output")
	c.Flags().BoolVar(&open, "open-loop", false, "also simulate each segment from its first row")
	return c
}

func scoreCommand() *cobra.Command {
	var modelPath, inputs, units string
	var horizons, rows []string
	c := &cobra.Command{
		Use:   "score -m MODEL.json RUN.csv...",
		Short: "Tell how well a model forecasts recorded runs",
		Long: `Score forecasts from every row above 200 °C of the active segment and prints root mean square
error, mean absolute error, bias, skill against persistence and against "temperature = set-point",
and how many of the 95 % intervals hold: over all rows, and over windows without a change of phase.
A run that the model was learned from is marked: its figures prove nothing.`,
		Example: `  stirwatch score -m model.json wednesday.csv
  stirwatch score -m model.json --inputs held wednesday.csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, way, hs, runs, segments, err := scoring(cmd, modelPath, inputs, horizons, rows, args, units)
			if err != nil {
				return err
			}
			var all []model.Skill
			for _, r := range runs {
				from, to, err := r.segment(m, segments)
				if err != nil {
					return err
				}
				s, err := score.Score(m, &r.Run, way, hs, from, to)
				if err != nil {
					return err
				}
				all = append(all, s...)
			}
			fmt.Fprint(cmd.OutOrStdout(), model.SkillTable(all))
			return nil
		},
	}
	scoringFlags(c, &modelPath, &inputs, &horizons, &rows, &units)
	return c
}

func scoringFlags(c *cobra.Command, model, inputs *string, horizons, rows *[]string, units *string) {
	c.Flags().StringVarP(model, "model", "m", "model.json", "model document")
	c.Flags().StringVar(inputs, "inputs", "known", "what the forecast is told of the inputs to come: known (measured), held (frozen) or plan (feed, path and stops)")
	c.Flags().StringSliceVar(horizons, "horizons", []string{"1s", "5s", "10s", "30s", "60s"}, "how far ahead")
	rowsFlag(c, rows)
	unitsFlag(c, units)
}

func rowsFlag(c *cobra.Command, rows *[]string) {
	c.Flags().StringArrayVar(rows, "rows", nil, "LOG=A:B sets the segment of a run by 0-based data rows, end exclusive, instead of finding it; repeatable")
}

func unitsFlag(c *cobra.Command, units *string) {
	c.Flags().StringVar(units, "units", "auto", "units of MELD logs: auto (found out), inch or mm")
}

func scoring(cmd *cobra.Command, modelPath, inputs string, horizons, rows, paths []string, units string) (m *model.Model, way filter.Way, hs []float64, runs []*recorded, segments map[string][2]int, err error) {
	fail := func(err error) (*model.Model, filter.Way, []float64, []*recorded, map[string][2]int, error) {
		return nil, 0, nil, nil, nil, err
	}
	if m, err = model.Load(modelPath); err != nil {
		return fail(err)
	}
	if way, err = filter.ParseWay(inputs); err != nil {
		return fail(coded{fmt.Errorf("--inputs: %w", err), exitUsage})
	}
	if hs, err = parseHorizons(horizons); err != nil {
		return fail(err)
	}
	if segments, err = parseRows(rows); err != nil {
		return fail(err)
	}
	if runs, err = readRuns(cmd.ErrOrStderr(), paths, units, m.Channels()); err != nil {
		return fail(err)
	}
	for _, r := range runs {
		if why := m.LearnedFrom(r.Source()); why != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: the model %s; how well it fits here proves nothing\n", r.Name, why)
		}
	}
	for _, r := range runs {
		if err := r.brings(m); err != nil {
			return fail(err)
		}
	}
	if err := named(cmd.ErrOrStderr(), segments, runs); err != nil {
		return fail(err)
	}
	return m, way, hs, runs, segments, nil
}

// named checks that every segment is of a run there is, and says to w which reach beyond its end.
func named(w io.Writer, segments map[string][2]int, runs []*recorded) error {
	for name, rows := range segments {
		i := slices.IndexFunc(runs, func(r *recorded) bool { return r.Name == name })
		if i < 0 {
			return coded{fmt.Errorf("--rows %s: no such run is given", name), exitUsage}
		}
		if n := runs[i].row(len(runs[i].line)-1) + 1; rows[1] > n {
			fmt.Fprintf(w, "%s ends at row %d: of --rows %d:%d what lies beyond is left out\n", name, n, rows[0], rows[1])
		}
	}
	return nil
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

// brings tells if the run has every input that the model needs.
func (r *recorded) brings(m *model.Model) error {
	for _, in := range m.Channels().Inputs {
		i := slices.Index(r.Inputs, in.Name)
		if in.Default == nil && (i < 0 || !slices.ContainsFunc(r.U[i], func(v float64) bool { return v == v })) {
			return fmt.Errorf("run %s has no %s, which the model needs", r.Name, in.Name)
		}
	}
	return nil
}

// parseRows reads LOG=A:B settings.
func parseRows(settings []string) (map[string][2]int, error) {
	m := map[string][2]int{}
	for _, s := range settings {
		name, span, ok := strings.Cut(s, "=")
		a, b, ok2 := strings.Cut(span, ":")
		from, err1 := strconv.Atoi(a)
		to, err2 := strconv.Atoi(b)
		if !ok || !ok2 || err1 != nil || err2 != nil || from < 0 || to <= from {
			return nil, coded{fmt.Errorf("--rows %q: write LOG=A:B, for example build=2:1098", s), exitUsage}
		}
		m[name] = [2]int{from, to}
	}
	return m, nil
}

// recorded is a run, of a log or of the journal, in the units of the models, with its rows' places
// in the file.
type recorded struct {
	runs.Run
	line []int
}

// row is the 0-based data row of the file at index i.
func (r *recorded) row(i int) int { return r.line[i] - 2 }

// segment is the part of the run to learn from or to score, as indices: that of segments, else
// the longest stretch in which the process is active.
func (r *recorded) segment(m *model.Model, segments map[string][2]int) (from, to int, err error) {
	rows, ok := segments[r.Name]
	if !ok {
		return runs.ActiveRows(m, &r.Run)
	}
	from, to = -1, -1
	for i := range r.line {
		if row := r.row(i); row >= rows[0] && row < rows[1] {
			if from < 0 {
				from = i
			}
			to = i + 1
		}
	}
	if from < 0 {
		return 0, 0, fmt.Errorf("run %s has no rows %d:%d", r.Name, rows[0], rows[1])
	}
	return from, to, nil
}

// writable tells at once if one of paths cannot be written, before minutes of work are lost. Empty is none,
// - is standard output.
func writable(paths ...string) error {
	for _, path := range paths {
		if path == "" || path == "-" {
			continue
		}
		if i, err := os.Stat(path); err == nil && i.IsDir() {
			return fmt.Errorf("%s is a directory: name a file to write", path)
		}
		f, err := os.CreateTemp(filepath.Dir(path), ".stirwatch-*")
		if err != nil {
			return fmt.Errorf("%s cannot be written: %w", path, err)
		}
		f.Close()
		os.Remove(f.Name())
	}
	return nil
}

func (r *recorded) cut(from, to int) runs.Run {
	c := r.Run
	c.Time = r.Time[from:to]
	c.U, c.Z = nil, nil
	for _, u := range r.U {
		c.U = append(c.U, u[from:to])
	}
	for _, z := range r.Z {
		c.Z = append(c.Z, z[from:to])
	}
	if r.SetPoint != nil {
		c.SetPoint = r.SetPoint[from:to]
	}
	return c
}

func inputNames() []string {
	var names []string
	for _, in := range model.KnownInputs() {
		names = append(names, in.Name)
	}
	return names
}

// output opens path for writing, or standard output for "-".
func output(cmd *cobra.Command, path string) (io.Writer, func() error, error) {
	if path == "-" {
		return cmd.OutOrStdout(), func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	return f, f.Close, nil
}
