package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/cmd/assemble"
	"stirwatch/cmd/screen"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// journalRuns says which runs to take out of which journal, as the command line has it.
type journalRuns struct {
	on   bool
	conf string
	last int
	from moment
	runs []string
}

func (f *journalRuns) flags(c *cobra.Command, last int) {
	c.Flags().BoolVar(&f.on, "from-journal", false, "take runs out of a journal: the file given, else that of the configuration")
	configFlag(c, &f.conf)
	c.Flags().IntVar(&f.last, "last", last, "with --from-journal: how many of the newest runs")
	fromFlag(c, &f.from, "with --from-journal: the runs begun since")
	c.Flags().StringArrayVar(&f.runs, "run", nil, "with --from-journal: the run of that `name` (see stirwatch export --list), or last; repeatable")
}

// args checks the arguments: run logs or, with --from-journal, at most one journal.
func (f *journalRuns) args(c *cobra.Command, args []string) error {
	if !f.on {
		for _, name := range []string{"last", "from", "run", "config"} {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s needs --from-journal", name)
			}
		}
		return cobra.MinimumNArgs(1)(c, args)
	}
	switch {
	case len(args) > 1:
		return fmt.Errorf("--from-journal reads one journal, not %d files; learn from run logs without it", len(args))
	case c.Flags().Changed("units"):
		return errors.New("--units is for run logs: the journal knows the unit of every sample")
	case len(f.runs) > 0 && (c.Flags().Changed("last") || f.from.text != ""):
		return errors.New("give either --run or --last and --from")
	case f.last < 1:
		return fmt.Errorf("--last %d: give a number of runs, 1 or more", f.last)
	}
	return nil
}

// read gives the runs that the command line names, from run logs or from a journal, the oldest first.
func (f *journalRuns) read(cmd *cobra.Command, args []string, logs logFlags, want model.Channels) ([]*runs.Run, error) {
	if !f.on {
		return readRuns(cmd.ErrOrStderr(), args, logs, want)
	}
	var path string
	if len(args) == 1 {
		path = args[0]
	}
	conf, reg, err := assemble.Channels(f.conf, path == "" || cmd.Flags().Changed("config"))
	switch {
	case path == "" && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; or name the journal: %s --from-journal JOURNAL.db", err, cmd.CommandPath())
	case err != nil:
		return nil, err
	case conf == nil:
		fmt.Fprintf(cmd.ErrOrStderr(), "no %s here: channels are taken to have the names of the example (tool_temperature, spindle_speed, …)\n", f.conf)
	case path == "":
		path = conf.Abs(conf.Journal.Path)
	}
	r, err := journal.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p := screen.Progress{W: cmd.ErrOrStderr()}
	h := &history.History{Reader: r, Registry: reg,
		Note:     p.Note,
		Progress: func(run string, done, total int64) { p.Show("%s: batch %d of %d", run, done, total) },
	}
	choice := history.Choice{Last: f.last, All: f.from.text != "" && !cmd.Flags().Changed("last"), Names: f.runs, Since: f.from.Time}
	found, err := h.Choose(cmd.Context(), choice, want)
	p.Done()
	return found, whichRuns(err)
}
