package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/api"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/cmd/assemble"
	"stirwatch/config"
)

func alarmsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "alarms",
		Short: "List, acknowledge and shelve alarms; their history and statistics",
		Long: `Alarms are anomalies that need a person. List, ack, reset, shelve and unshelve ask the agent that runs
with the same agent.yaml; list and the others also work where none runs, from the journal.
docs/alarms.md explains every code.`,
		Example: `  stirwatch alarms list
  stirwatch alarms ack sensor.missing tool_temperature
  stirwatch alarms shelve sensor.rate ktype_3 --for 2h --why "plug is changed at noon"
  stirwatch alarms stats --from 7d`,
	}
	c.AddCommand(alarmsListCommand(), alarmsDoCommand(alarm.Ack, "Acknowledge alarms: you have seen them, and act"),
		alarmsDoCommand(alarm.Reset, "Let go of latched alarms that are acknowledged"),
		alarmsDoCommand(alarm.Shelve, "Put alarms away for a time, with a reason; they come back by themselves"),
		alarmsDoCommand(alarm.Unshelve, "Bring shelved alarms back before their time"),
		alarmsHistoryCommand(), alarmsStatsCommand(), alarmsCodesCommand())
	return c
}

func alarmsListCommand() *cobra.Command {
	var f journalFlags
	var all bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List what stands, what nobody has acknowledged, and what is shelved or suppressed",
		Long: `List prints the alarms that are not normal: first what nobody has acknowledged, then by priority, each
with what to do. Times are local. Where no agent runs it prints how they stood when the journal was
last written, and says so.`,
		Example: `  stirwatch alarms list
  stirwatch alarms list --all            # every alarm there can be, with its name`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, conf, err := f.resolve()
			if err != nil {
				return err
			}
			var l alarm.Listing
			err = api.ErrNoAgent
			if conf != nil {
				l, err = assemble.Client(conf).ListAlarms(cmd.Context(), all)
			}
			if errors.Is(err, api.ErrNoAgent) {
				if l, err = alarmsOf(path); err == nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "no agent runs: this is how alarms stood when %s was last written\n", path)
				}
			}
			if err != nil {
				return err
			}
			return showAlarms(cmd.OutOrStdout(), l)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&all, "all", false, "every alarm, whatever its state (of a running agent)")
	return c
}

// alarmsOf reads how alarms stood in the journal at path.
func alarmsOf(path string) (l alarm.Listing, err error) {
	r, err := journal.OpenReader(path)
	if err != nil {
		return l, err
	}
	defer r.Close()
	return agent.RememberedAlarms(r)
}

func showAlarms(out io.Writer, l alarm.Listing) error {
	if l.Flood {
		fmt.Fprintln(out, "a flood of alarms: those of low priority are kept back until it is over")
	}
	if len(l.Alarms) == 0 {
		_, err := fmt.Fprintln(out, "no alarm")
		return err
	}
	w := newTable(out)
	fmt.Fprintln(w, "PRIORITY\tSTATE\tSINCE\tALARM\tTEXT")
	for _, a := range l.Alarms {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.Priority.String(), a.State, clockTime(a.Since), a.Key, a.Text)
		for _, line := range a.Remarks() {
			fmt.Fprintf(w, "\t\t\t\t  %s\n", line)
		}
	}
	return w.Flush()
}

func clockTime(ns int64) string {
	if ns == 0 {
		return "–"
	}
	return time.Unix(0, ns).Format("01-02 15:04:05")
}

// alarmsDoCommand is one of the commands by which a person changes alarms.
func alarmsDoCommand(event alarm.Event, short string) *cobra.Command {
	name, shelving := string(event), event == alarm.Shelve
	var path, who, why string
	var length time.Duration
	example := fmt.Sprintf("  stirwatch alarms %s sensor.missing tool_temperature\n  stirwatch alarms %[1]s source.missing          # every source's\n  stirwatch alarms %[1]s all --who Ann", name)
	needs := ""
	if shelving {
		needs = " --for and --why\nare needed."
		example = `  stirwatch alarms shelve sensor.rate ktype_3 --for 2h --why "plug is changed at noon"
  stirwatch alarms shelve all --for 30m --why "commissioning" --who Ann`
	}
	c := &cobra.Command{
		Use:     name + " all|CODE [SUBJECT]",
		Short:   short,
		Long:    short + ".\nIt is on record with your name, which is that of your account unless --who gives another." + needs,
		Example: example,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if shelving && (length <= 0 || why == "") {
				return coded{errors.New("how long, and why? --for 2h --why \"…\" goes on record"), exitUsage}
			}
			var answer alarm.Answer
			err := withAgent(path, func(c agent.Client) (err error) {
				answer, err = c.OperateAlarms(cmd.Context(), event, alarm.Request{Name: strings.Join(args, " "), Who: who, Why: why, ForS: length.Seconds()})
				return err
			})
			if err != nil {
				return err
			}
			for _, a := range answer.Changed {
				line := fmt.Sprintf("%s: %s", a.Key, a.State)
				if a.Until > 0 {
					line += " until " + clockTime(a.Until)
				}
				fmt.Fprintln(cmd.OutOrStdout(), line)
			}
			if answer.Warning != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "this is not on disk yet, and a kill would undo it: %s\n", answer.Warning)
			}
			return nil
		},
	}
	configFlag(c, &path)
	onRecord(c, &who, &why)
	if shelving {
		c.Flags().DurationVar(&length, "for", 0, "how long, e.g. 2h; at most alarms.shelve of agent.yaml")
	}
	return c
}

// alarmRows reads what happened to alarms from the journal that the flags name: since the given moment, or for the last
// day if none is given, and for the time before that which statistics need.
func alarmRows(cmd *cobra.Command, f *journalFlags, since moment, before time.Duration) (rows []record.Alarm, from, to int64, err error) {
	r, _, err := f.open()
	if err != nil {
		return nil, 0, 0, err
	}
	defer r.Close()
	while := 24 * time.Hour
	if !since.IsZero() {
		while = time.Since(since.Time)
	}
	rows, from, to, err = history.LastAlarms(cmd.Context(), r, time.Now(), while, before)
	if err != nil && rows != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), err)
		err = nil
	}
	return rows, from, to, err
}

func alarmsHistoryCommand() *cobra.Command {
	var f journalFlags
	var from moment
	c := &cobra.Command{
		Use:   "history",
		Short: "Print every step of every alarm: raised, acknowledged by whom, shelved why, over",
		Example: `  stirwatch alarms history
  stirwatch alarms history --from 7d | grep tool_temperature`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, _, _, err := alarmRows(cmd, &f, from, 0)
			if err != nil {
				return err
			}
			w := newTable(cmd.OutOrStdout())
			fmt.Fprintln(w, "TIME\tEVENT\tSTATE\tALARM\tWHO, WHY, WHAT")
			for _, r := range rows {
				var words []string
				for _, s := range []string{r.Who, r.Why, r.Text} {
					if s != "" {
						words = append(words, s)
					}
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", clockTime(r.Time), r.Event, r.State, alarm.Key{Code: anomaly.Code(r.Code), Subject: r.Subject}, strings.Join(words, "; "))
			}
			return w.Flush()
		},
	}
	f.add(c)
	fromFlag(c, &from, "first instant, a day ago if left out")
	return c
}

func alarmsStatsCommand() *cobra.Command {
	var f journalFlags
	var from moment
	c := &cobra.Command{
		Use:   "stats",
		Short: "Count alarms: rate, peaks, standing, chattering, the top ten, by priority",
		Long: `Stats counts what was put before people (ISA-18.2, clause 16). One alarm in ten minutes is
acceptable, two are manageable; a few codes usually make most of them, and are worth tuning first.`,
		Example: `  stirwatch alarms stats --from 7d`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, first, to, err := alarmRows(cmd, &f, from, alarm.Before)
			if err != nil {
				return err
			}
			return showStatistics(cmd.OutOrStdout(), alarm.Count(rows, first, to))
		},
	}
	f.add(c)
	fromFlag(c, &from, "first instant, a day ago if left out")
	return c
}

func showStatistics(out io.Writer, s alarm.Statistics) error {
	w := newTable(out)
	fmt.Fprintf(w, "from\t%s to %s\n", clockTime(s.From), clockTime(s.To))
	fmt.Fprintf(w, "raised\t%d (high %d, medium %d, low %d)\n", s.Raised, s.ByPriority["high"], s.ByPriority["medium"], s.ByPriority["low"])
	fmt.Fprintf(w, "per 10 min\t%.2f on average, %d at most; in flood %.1f %% of the time\n", s.Per10Min, s.Peak10Min, 100*s.FloodPart)
	fmt.Fprintf(w, "standing\t%d, of which %d for more than a day\n", s.Standing, s.Stale)
	fmt.Fprintf(w, "held back\t%d by design; shelved %d times\n", s.HeldBack, s.Shelved)
	if s.ToAckS > 0 {
		fmt.Fprintf(w, "to acknowledge\t%v (median)\n", time.Duration(s.ToAckS*float64(time.Second)).Round(time.Second))
	}
	for i, b := range s.Chattering {
		fmt.Fprintf(w, "%s\t%s: %d times\n", map[bool]string{true: "chattering"}[i == 0], b.Key, b.Times)
	}
	for i, b := range s.Top {
		fmt.Fprintf(w, "%s\t%s: %d times, %.0f %%\n", map[bool]string{true: "most often"}[i == 0], b.Key, b.Times, 100*b.Part)
	}
	return w.Flush()
}

func alarmsCodesCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "codes",
		Short: "Print how the alarms of every code behave, as lines for agent.yaml",
		Long: `Codes prints the section alarms with a line for every code, as this agent.yaml has it, or as shipped
where there is none. Put the line that is to be different into your agent.yaml.`,
		Example: `  stirwatch alarms codes | grep sensor.rate`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			setting, err := assemble.AlarmSettings(&config.Config{})
			if conf, failed := config.Load(path); failed == nil {
				setting, err = assemble.AlarmSettings(conf)
			} else if cmd.Flags().Changed("config") {
				return failed
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "alarms:\n  codes:")
			for _, d := range anomaly.Definitions() {
				fmt.Fprintf(cmd.OutOrStdout(), "    %s\n", setting(d.Code).Line(d.Code))
			}
			return nil
		},
	}
	configFlag(c, &path)
	return c
}
