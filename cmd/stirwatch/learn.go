package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/cmd/screen"
	"stirwatch/dynamics/learn"
	"stirwatch/dynamics/model"
)

// learnFlags are those of `learn`.
type learnFlags struct {
	out, hypotheses, inUse, page, pictures string
	rows                                   []string
	holdOut                                int
	progress                               bool
	logs                                   logFlags
	from                                   journalRuns
}

func learnCommand() *cobra.Command {
	var f learnFlags
	c := &cobra.Command{
		Use:   "learn RUN.csv... | --from-journal [JOURNAL.db]",
		Short: "Learn the equation of the tool temperature from recorded runs",
		Long: `Learn fits hypotheses about the process (docs/hypotheses.md; built in are those for additive friction
stir deposition) to one or more runs: it drops the terms that the data do not bear out, fits all
parameters on forecasts, and writes the model document. It prints the governing equation with standard
errors, its skill (on each run in turn with a model learned from the others; with one run only in sample,
and the table says so), and how sure the data are of every candidate, with the experiments that would
tell more. With --report all that and the figures go into one HTML page.

Runs come from logs (MELD, or any CSV whose columns say what they are, such as "time [s], heater power
[W], plate temperature [°C]") or, with --from-journal, out of the journal that the agent keeps (also while
it records): the newest that can be learned from, or those of --last, --from or --run. The configuration
says which channel is what; docs/journal.md says how samples become rows.

With --compare the model in use is compared first: the newest run (or --hold-out of them) is left out, a
model learned from the rest forecasts it, and the model in use too. Then the model that is written is
learned from all.`,
		Example: `  stirwatch learn monday.csv tuesday.csv -o model.json
  stirwatch learn monday.csv tuesday.csv -o model.json --report report.html --pictures figures
  stirwatch learn --hypotheses mine.yaml --units inch build.csv -o model.json
  stirwatch learn --hypotheses heater.yaml heater.csv -o heater.json --report heater.html
  stirwatch learn --rows build=120:980 build.csv -o model.json
  stirwatch learn --from-journal -o new.json
  stirwatch learn --from-journal -c agent.yaml --from 2026-07-01 -o new.json
  stirwatch learn --from-journal copy.db --run 20260708-104312 --run last -o new.json
  stirwatch learn --from-journal --last 8 --compare model.json -o new.json`,
		Args: f.from.args,
		RunE: func(cmd *cobra.Command, args []string) error { return f.learn(cmd, args) },
	}
	c.Flags().StringVarP(&f.out, "output", "o", "model.json", "`file` to write the model to")
	c.Flags().StringVar(&f.hypotheses, "hypotheses", "", "`file` of hypotheses instead of those built in")
	c.Flags().StringVar(&f.page, "report", "", "`file` to write a page about the model and its runs to (HTML)")
	c.Flags().StringVar(&f.pictures, "pictures", "", "with --report: `directory` to write every figure into, as SVG and PNG")
	c.Flags().StringVar(&f.inUse, "compare", "", "`file` of the model in use, to compare with on runs left out")
	c.Flags().IntVar(&f.holdOut, "hold-out", 1, "with --compare: how many of the newest runs to leave out")
	c.Flags().BoolVar(&f.progress, "progress", false, "tell each step on a line of its own, for programs")
	f.logs.add(c)
	rowsFlag(c, &f.rows)
	f.from.flags(c, 5)
	return c
}

func (f *learnFlags) learn(cmd *cobra.Command, args []string) error {
	if f.pictures != "" && f.page == "" {
		return coded{errors.New("--pictures needs --report"), exitUsage}
	}
	h := model.DefaultHypotheses()
	if f.hypotheses != "" {
		var err error
		if h, err = model.LoadHypotheses(f.hypotheses); err != nil {
			return err
		}
	}
	segments, err := parseRows(f.rows)
	if err != nil {
		return err
	}
	if err := writable(f.out, f.page); err != nil {
		return err
	}
	want := h.Channels()
	var inUse *model.Model
	switch {
	case f.inUse != "":
		if inUse, err = model.Load(f.inUse); err != nil {
			return err
		}
		if want, err = want.With(inUse.Channels()); err != nil {
			return fmt.Errorf("--compare %s: %w", f.inUse, err)
		}
	case cmd.Flags().Changed("hold-out"):
		return coded{errors.New("--hold-out needs --compare"), exitUsage}
	}
	given, err := f.from.read(cmd, args, f.logs, want)
	if err != nil {
		return err
	}
	if err := checkRows(cmd.ErrOrStderr(), segments, given); err != nil {
		return err
	}
	defer outliveReader()() // the model and the report are still to be written
	if inUse != nil {
		if err := compareHeldOut(cmd, h, inUse, f.inUse, given, segments, f.holdOut); err != nil {
			return err
		}
	}
	p := screen.Progress{W: cmd.ErrOrStderr(), Lines: f.progress}
	m, err := learn.Segments(cmd.Context(), given, segments, learn.Options{Hypotheses: h, Date: today(), Evidence: true, Progress: learning(&p)})
	p.Done()
	if err != nil {
		return err
	}
	if err := m.Save(f.out); err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), model.Equation(m))
	fmt.Fprintf(cmd.ErrOrStderr(), "%s is written\n", f.out)
	if f.page != "" {
		return writeReport(cmd, f.page, f.pictures, m, given, segments)
	}
	return nil
}

// learning shows how far learning is, and keeps what it warns of.
func learning(p *screen.Progress) func(learn.Progress) {
	return func(at learn.Progress) {
		if at.Warning != "" {
			p.Note(at.Warning)
			return
		}
		p.Begin("[%d/%d] %s", at.Done+1, at.Of, at.Text)
	}
}

// today is the date of a model that is learned now.
func today() string { return time.Now().UTC().Format(time.RFC3339) }
