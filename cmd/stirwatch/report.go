package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/report"
	"stirwatch/dynamics/runs"
)

func reportCommand() *cobra.Command {
	var modelPath, out, pictures string
	var logs logFlags
	var rows []string
	c := &cobra.Command{
		Use:   "report -m MODEL.json RUN.csv...",
		Short: "Show what a model says and how well it does, as one page",
		Long: `Report writes one HTML page that needs nothing from elsewhere: the equation typeset, the evidence
for every candidate, the model against the recorded runs given (simulated, forecast, by phase, by
horizon, against persistence and set-point), what moves the rate, the training range, and the
hypotheses to edit and learn again. Figures on runs that the model was learned from are marked;
give one that it has not seen to prove something. docs/report.md says how to read it.`,
		Example: `  stirwatch report -m model.json wednesday.csv -o report.html
  stirwatch report -m model.json --pictures figures --rows build=2:1098 build.csv`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := model.Load(modelPath)
			if err != nil {
				return err
			}
			segments, err := parseRows(rows)
			if err != nil {
				return err
			}
			if err := writable(out); err != nil {
				return err
			}
			given, err := readRuns(cmd.ErrOrStderr(), args, logs, m.Channels())
			if err != nil {
				return err
			}
			if err := checkRows(cmd.ErrOrStderr(), segments, given); err != nil {
				return err
			}
			return writeReport(cmd, out, pictures, m, given, segments)
		},
	}
	c.Flags().StringVarP(&modelPath, "model", "m", "model.json", "`file` of the model")
	c.Flags().StringVarP(&out, "output", "o", "report.html", "`file` to write the page to, - for standard output")
	c.Flags().StringVar(&pictures, "pictures", "", "`directory` to write every figure into, as SVG and PNG")
	rowsFlag(c, &rows)
	logs.add(c)
	return c
}

// writeReport writes the report of m on runs to path and, where picturesDir is not empty, its figures there.
// segments sets the rows of runs by name; those of the others are found.
func writeReport(cmd *cobra.Command, path, picturesDir string, m *model.Model, given []*runs.Run, segments runs.Segments) error {
	var shown []report.Run
	for _, r := range given {
		from, to, err := segments.Of(m, r)
		if err != nil {
			return err
		}
		shown = append(shown, report.Run{Run: *r, From: from, To: to})
	}
	rep, err := report.Make(m, shown, report.Options{Version: version, Progress: func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }})
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := rep.Write(&page); err != nil {
		return err
	}
	w, done, err := output(cmd, path)
	if err != nil {
		return err
	}
	_, err = w.Write(page.Bytes())
	if err := errors.Join(err, done()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if path != "-" {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is written\n", path)
	}
	if picturesDir == "" {
		return nil
	}
	if err := rep.Pictures(picturesDir); err != nil {
		return fmt.Errorf("write pictures: %w", err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "the figures are in %s\n", picturesDir)
	return nil
}
