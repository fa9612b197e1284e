package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/export"
	"stirwatch/agent/record"
	"stirwatch/config"
)

func exportCommand() *cobra.Command {
	var path, file, run, from, to, format, out, measurement string
	var list bool
	c := &cobra.Command{
		Use:   "export",
		Short: "Write a run or a span of the journal as CSV, Parquet or line protocol",
		Long: `Export reads the journal, also while an agent writes it. CSV and Parquet hold samples, one
reading a row: time, channel, value, unit, quality, reason. Line protocol holds every record as it
was sent to InfluxDB.`,
		Example: `  stirwatch export --list
  stirwatch export --run 20260312-074410 --format csv -o run.csv
  stirwatch export --run last --format parquet -o run.parquet
  stirwatch export --from 2026-03-12T07:00:00Z --to 2026-03-12T08:00:00Z --format lp | gzip > hour.lp.gz
  stirwatch export --journal stirwatch-data/replay.db --measurement estimates --format lp`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if file == "" {
				conf, err := config.Load(path)
				if err != nil {
					return err
				}
				file = conf.Abs(conf.Journal.Path)
			}
			r, err := journal.OpenReader(file)
			if err != nil {
				return err
			}
			defer r.Close()
			if list {
				return listRuns(cmd, r)
			}
			f := export.Format(format)
			if !slices.Contains(export.Formats(), f) {
				return coded{fmt.Errorf("--format %s: use one of %v", format, export.Formats()), exitUsage}
			}
			q := journal.Query{Measurement: record.Measurement(measurement)}
			if q.From, q.To, err = span(r, run, from, to); err != nil {
				return err
			}
			p := progress{w: cmd.ErrOrStderr()}
			q.Progress = func(done, total int64) { p.say("batch %d of %d", done, total) }
			w, done, err := output(cmd, out)
			if err != nil {
				return err
			}
			buffered := bufio.NewWriterSize(w, 1<<16)
			rows, err := export.Write(cmd.Context(), buffered, r, f, q)
			err = errors.Join(err, buffered.Flush(), done())
			p.done()
			fmt.Fprintf(cmd.ErrOrStderr(), "%d rows\n", rows)
			return err
		},
	}
	f := c.Flags()
	configFlag(c, &path)
	f.StringVar(&file, "journal", "", "journal to read instead of the configuration's")
	f.BoolVar(&list, "list", false, "list the runs and end")
	f.StringVar(&run, "run", "", "name of a run (see --list), or last")
	f.StringVar(&from, "from", "", "first instant, with its zone, e.g. 2026-03-12T07:00:00Z")
	f.StringVar(&to, "to", "", "instant before which to end, e.g. 2026-03-12T08:00:00Z")
	f.StringVar(&format, "format", string(export.CSV), "csv, parquet or lp")
	f.StringVar(&measurement, "measurement", "", "one measurement only, e.g. estimates; with --format lp")
	f.StringVarP(&out, "output", "o", "-", "file to write, - for standard output")
	return c
}

// span is the time that the flags name; everything if they name none.
func span(r *journal.Reader, run, from, to string) (first, end int64, err error) {
	if run != "" {
		if from != "" || to != "" {
			return 0, 0, coded{errors.New("give either --run or --from and --to"), exitUsage}
		}
		found, err := r.Run(run)
		return found.Start, found.End, whichRuns(err)
	}
	for _, f := range []struct {
		flag, text string
		to         *int64
	}{{"--from", from, &first}, {"--to", to, &end}} {
		if f.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339Nano, f.text)
		if err != nil {
			return 0, 0, coded{fmt.Errorf("%s %q: write an instant such as 2026-03-12T07:00:00Z", f.flag, f.text), exitUsage}
		}
		*f.to = t.UnixNano()
	}
	return first, end, nil
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
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
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
