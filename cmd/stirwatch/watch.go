package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"stirwatch/agent/alarm"
	"stirwatch/agent/api"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/cmd/assemble"
	"stirwatch/cmd/screen"
	"stirwatch/config"
	"stirwatch/sensors"
)

func watchCommand() *cobra.Command {
	var f journalFlags
	var who string
	var once bool
	c := &cobra.Command{
		Use:   "watch",
		Short: "Watch a running agent on the terminal, or the end of a journal",
		Long: `Watch shows what the agent that runs with the same agent.yaml knows: channels, the temperature with its
forecast and what a stop would do, why, advice, alarms, sources, and the events of the last hour. It
changes nothing but alarms (a acknowledges the one that is chosen, A all). Where the agent goes away the
view says so, keeps the last state, and goes on when it is back. q or Ctrl-C ends it; the last state and
a summary stay on the terminal.

With --journal it shows how things stood when that file was last written, and goes on where an agent
writes it. The channel that is drawn is the tool temperature of agent.yaml, where there is one, else
tool_temperature.

Where the output is no terminal it prints a line every two seconds and one for each change of an alarm.`,
		Example: `  stirwatch watch
  stirwatch watch -c /etc/stirwatch/agent.yaml
  stirwatch watch --once                           # one line, for scripts
  stirwatch watch --journal stirwatch-data/journal.db`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			shown, done, err := f.shown(cmd, who)
			if err != nil {
				return err
			}
			defer done()
			if once {
				return screen.Once(cmd.Context(), shown, cmd.OutOrStdout())
			}
			return screen.Show(cmd.Context(), shown, cmd.OutOrStdout())
		},
	}
	f.add(c)
	onRecord(c, &who, nil)
	c.Flags().BoolVar(&once, "once", false, "print one line and end")
	return c
}

// shown is what the flags name: the agent of the configuration, or a journal.
func (f *journalFlags) shown(cmd *cobra.Command, who string) (*screen.Shown, func(), error) {
	if f.file != "" {
		lead, err := f.leading(cmd)
		if err != nil {
			return nil, nil, err
		}
		r, err := journal.OpenReader(f.file)
		if err != nil {
			return nil, nil, err
		}
		return &screen.Shown{Title: "stirwatch watch: " + f.file, Look: screen.OfJournal(history.NewFollower(r, lead, "°C"))}, func() { r.Close() }, nil
	}
	conf, err := config.Load(f.conf)
	if err != nil {
		return nil, nil, err
	}
	client := assemble.Client(conf)
	if _, err := client.View(cmd.Context()); errors.Is(err, api.ErrNoAgent) {
		return nil, nil, fmt.Errorf("%w; 'stirwatch run -c %s' starts one, 'stirwatch watch --journal %s' shows what was recorded", err, f.conf, conf.Abs(conf.Journal.Path))
	} else if err != nil {
		return nil, nil, fmt.Errorf("the agent at %s cannot be watched: %w", conf.Abs(conf.API.Socket), err)
	}
	return &screen.Shown{
		Title: "stirwatch watch: " + conf.Machine,
		Look: screen.OfAgent(client.View, func() (*journal.Reader, error) { return journal.OpenReader(conf.Abs(conf.Journal.Path)) },
			func(r *journal.Reader) { r.Close() }),
		Ack: func(ctx context.Context, name string) ([]alarm.Alarm, error) {
			a, err := client.OperateAlarms(ctx, alarm.Ack, alarm.Request{Name: name, Who: who, Why: "on the screen"})
			return a.Changed, err
		},
	}, func() {}, nil
}

// leading is the name of the channel that a journal's view draws: the tool temperature of the configuration, where there
// is one, else of the example.
func (f *journalFlags) leading(cmd *cobra.Command) (string, error) {
	_, reg, err := assemble.Channels(f.conf, cmd.Flags().Changed("config"))
	if err != nil {
		return "", err
	}
	id, ok := reg.Find(sensors.ToolTemperature)
	if !ok {
		return "", nil
	}
	return reg.Channel(id).Name, nil
}
