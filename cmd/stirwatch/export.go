package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/export"
	"stirwatch/agent/record"
	"stirwatch/cmd/screen"
)

func exportCommand() *cobra.Command {
	var journalOf journalFlags
	var run, format, out, measurement string
	var from, to moment
	var list, local bool
	var o export.Options
	c := &cobra.Command{
		Use:   "export",
		Short: "Write a run or a span of the journal as CSV, Parquet or line protocol",
		Long: `Export reads the journal, also while an agent writes it, and writes

  csv, parquet                samples, a row for each: time, channel, value, unit, quality, reason, sent (the
                              text that came in place of a number)
  ... with --wide             a table as for a spreadsheet: a row for each instant (with --every, for each
                              such step, with the last reading in it), a column for each channel, good
                              readings only
  ... with --measurement      another kind of record, a row for each: anomalies, recommendations (the
                              advice), estimates, forecasts and all others of docs/influxdb.md
  lp                          line protocol: every record as it was sent to InfluxDB

Times are UTC; with --local they are this computer's, without zone, as spreadsheets read them.`,
		Example: `  stirwatch export --list
  stirwatch export --run last --wide --every 1s --local --bom -o run.csv   # for a spreadsheet
  stirwatch export --run 20260312-074410 -o run.csv
  stirwatch export --from 8h --channel tool_temperature --format parquet -o tool.parquet
  stirwatch export --run last --measurement anomalies
  stirwatch export --from "2026-03-12 07:00" --to "2026-03-12 08:00" --format lp | gzip > hour.lp.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r, _, err := journalOf.open()
			if err != nil {
				return err
			}
			defer r.Close()
			if list {
				return listRuns(cmd, r)
			}
			o.Format = export.Format(format)
			if local {
				o.Local = time.Local
			}
			q := journal.Query{Measurement: record.Measurement(measurement), From: from.ns(), To: to.ns()}
			if err := o.Check(q.Measurement); err != nil {
				return coded{err, exitUsage}
			}
			if run != "" {
				if from.text != "" || to.text != "" {
					return coded{errors.New("give either --run or --from and --to"), exitUsage}
				}
				found, err := r.Run(run)
				if err != nil {
					return whichRuns(err)
				}
				q.From, q.To = found.Start, found.End
			}
			p := screen.Progress{W: cmd.ErrOrStderr()}
			q.Progress = func(done, total int64) { p.Show("%d %% read", 100*done/max(total, 1)) }
			w, done, err := output(cmd, out)
			if err != nil {
				return err
			}
			rows, err := export.Write(cmd.Context(), w, r, q, o)
			err = errors.Join(err, done())
			p.Done()
			fmt.Fprintf(cmd.ErrOrStderr(), "%d rows\n", rows)
			return err
		},
	}
	f := c.Flags()
	journalOf.add(c)
	f.BoolVar(&list, "list", false, "list the runs and end")
	f.StringVar(&run, "run", "", "name of a run (see --list), or last")
	fromFlag(c, &from, "first instant")
	f.Var(&to, "to", "instant before which to end")
	f.StringVar(&format, "format", string(export.CSV), "csv, parquet or lp")
	f.StringVar(&measurement, "measurement", "", "one kind of record, e.g. anomalies; default samples, with --format lp all")
	f.BoolVar(&o.Wide, "wide", false, "a row for each instant, a column for each channel")
	f.DurationVar(&o.Every, "every", 0, "with --wide: a row for each step of this length, e.g. 1s")
	f.StringArrayVar(&o.Channels, "channel", nil, "this channel only; repeatable")
	f.BoolVar(&local, "local", false, "CSV: times of this computer, without zone, as spreadsheets read them")
	f.BoolVar(&o.BOM, "bom", false, "CSV: begin with a byte order mark, by which Excel knows UTF-8")
	f.StringVarP(&out, "output", "o", "-", "`file` to write, - for standard output")
	return c
}

// whichRuns adds to an error about a run that is not there how to find those that are.
func whichRuns(err error) error {
	if none := new(journal.NoRunError); errors.As(err, &none) && none.Name != "" {
		return fmt.Errorf("%w; 'stirwatch export --list' shows those there are", err)
	}
	return err
}

func listRuns(cmd *cobra.Command, r *journal.Reader) error {
	runs, err := r.Runs()
	if err != nil {
		return err
	}
	w := newTable(cmd.OutOrStdout())
	fmt.Fprintln(w, "RUN\tBEGAN\tENDED\tLENGTH\tNOTE")
	for _, run := range runs {
		began, ended, length := time.Unix(0, run.Start), "going on", ""
		if run.End != 0 {
			ended = time.Unix(0, run.End).Format(time.DateTime)
			length = time.Duration(run.End - run.Start).Round(time.Second).String()
		}
		fmt.Fprintln(w, strings.Join([]string{run.Name, began.Format(time.DateTime), ended, length, run.Note}, "\t"))
	}
	return w.Flush()
}
