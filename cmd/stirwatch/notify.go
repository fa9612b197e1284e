package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/api"
	"stirwatch/agent/journal"
	"stirwatch/agent/notify"
	"stirwatch/agent/record"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
)

// notifyRoom is where the journal remembers what people have yet to be told.
const notifyRoom = "notify"

func notifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "notify",
		Short: "Try whether people can be told of alarms, and see what waits",
		Example: `  stirwatch notify list
  stirwatch notify test office`,
	}
	c.AddCommand(notifyListCommand(), notifyTestCommand())
	return c
}

func notifyListCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List who is told of alarms, and how the running agent gets through to them",
		Example: `  stirwatch notify list`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			var all []notify.Status
			if err := agentOf(conf).Do(cmd.Context(), "GET", "/notify", nil, &all); err != nil {
				return err
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "nobody is told: agent.yaml has no section notify")
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "TARGET\tLAST MESSAGE\tALARMS THAT WAIT\tPROBLEM")
			bad := 0
			for _, s := range all {
				problem := s.Problem
				if s.Attempts > 0 {
					problem = fmt.Sprintf("%s (%d attempts)", problem, s.Attempts)
				}
				if problem != "" {
					bad++
				}
				fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", s.Name, clockTime(s.Last), s.Waiting, problem)
			}
			if err := w.Flush(); err != nil || bad == 0 {
				return err
			}
			return coded{fmt.Errorf("%d of %d cannot be told", bad, len(all)), exitFound}
		},
	}
	configFlag(c, &path)
	return c
}

func notifyTestCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "test TARGET",
		Short: "Send a message that says it is a test; a light shows high priority for a moment",
		Long: `Test sends a message through the running agent, or by itself where none runs. It succeeds where the
other side has taken the message; whether it arrives is for you to see.`,
		Example: `  stirwatch notify test office
  stirwatch notify test lamp`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conf, err := config.Load(path)
			if err != nil {
				return err
			}
			err = agentOf(conf).Do(cmd.Context(), "POST", "/notify/test", map[string]string{"name": args[0]}, nil)
			if errors.Is(err, api.ErrNoAgent) {
				err = testAlone(cmd.Context(), conf, args[0])
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s has taken the message\n", args[0])
			return nil
		},
	}
	configFlag(c, &path)
	return c
}

// testAlone tests a target without an agent.
func testAlone(ctx context.Context, conf *config.Config, name string) error {
	log := slog.New(slog.DiscardHandler)
	var b *bridge.Bridge
	light := lightOf(conf, name)
	if light != nil {
		var err error
		if b, err = newBridge(conf, nil); err != nil {
			return err
		}
	}
	targets, err := notifyTargets(conf, b, nil, log)
	if err != nil {
		return err
	}
	n := notify.New(notify.Options{Machine: conf.Machine, Targets: targets, Log: log})
	if light == nil {
		return n.Test(ctx, name)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	select {
	case <-b.Started():
	case err := <-ended:
		cancel()
		return err
	}
	shown := make(chan struct{})
	go func() {
		n.Run(ctx, func() alarm.Listing { return alarm.Listing{} })
		close(shown)
	}()
	err = n.Test(ctx, name)
	cancel()
	<-shown
	return errors.Join(err, <-ended)
}

func lightOf(conf *config.Config, name string) *config.NotifyLight {
	if conf.Notify != nil {
		for i := range conf.Notify.Targets {
			if t := &conf.Notify.Targets[i]; t.Name == name {
				return t.Light
			}
		}
	}
	return nil
}

// newNotifier makes whom alarms are told, nil where nobody is.
func newNotifier(conf *config.Config, j *journal.Journal, b *bridge.Bridge, ack func(alarm.Request) ([]alarm.Alarm, error), log *slog.Logger) (*notify.Notifier, error) {
	targets, err := notifyTargets(conf, b, ack, log)
	if err != nil || targets == nil {
		return nil, err
	}
	n := notify.New(notify.Options{
		Machine: conf.Machine, Targets: targets, Log: log, Flush: j.Flush,
		Remember: func(key string, value []byte) { j.Remember(notifyRoom, key, value) },
		Record:   func(r record.Notification) { journal.Write(j, r) },
	})
	was, err := j.Remembered(notifyRoom)
	if err == nil {
		err = n.Restore(was)
	}
	if err != nil {
		log.Error("what people had yet to be told", "error", err)
	}
	return n, nil
}

var priorities = map[string]anomaly.Priority{"high": anomaly.High, "medium": anomaly.Medium, "low": anomaly.Low}

// notifyTargets turns the section into targets; secrets are fetched here.
func notifyTargets(conf *config.Config, b *bridge.Bridge, ack func(alarm.Request) ([]alarm.Alarm, error), log *slog.Logger) (all []notify.Target, err error) {
	if conf.Notify == nil {
		return nil, nil
	}
	for i := range conf.Notify.Targets {
		c := &conf.Notify.Targets[i]
		t := notify.Target{Name: c.Name, Rules: notify.Rules{Priority: priorities[c.Priority], After: c.After, Gather: c.Gather, Rate: c.Rate, Returns: c.Returns}}
		if q := c.Quiet; q != nil {
			t.Rules.Quiet = &notify.Quiet{From: minuteOf(q.From), To: minuteOf(q.To), Priority: priorities[q.Priority]}
		}
		switch {
		case c.MQTT != nil:
			t.Display, err = newNotifyMQTT(conf, c, ack, log)
		case c.Mail != nil:
			t.Sender, err = newMail(conf, c.Mail)
		case c.Ntfy != nil:
			t.Sender, err = newNtfy(c.Ntfy)
		case c.Webhook != nil:
			t.Sender, err = newWebhook(c.Webhook)
		case c.Command != nil:
			t.Sender = &notify.Command{Run: c.Command.Run, Timeout: c.Command.Timeout}
		default:
			t.Display = newLight(conf, c.Light, b)
		}
		if err != nil {
			return nil, fmt.Errorf("notify target %s: %w", c.Name, err)
		}
		all = append(all, t)
	}
	return all, nil
}

// minuteOf is the minute of the day of a text that config has checked.
func minuteOf(s string) int {
	h, m, _ := strings.Cut(s, ":")
	hours, _ := strconv.Atoi(h)
	minutes, _ := strconv.Atoi(m)
	return hours*60 + minutes
}

func newNotifyMQTT(conf *config.Config, t *config.NotifyTarget, ack func(alarm.Request) ([]alarm.Alarm, error), log *slog.Logger) (*notify.MQTT, error) {
	c := t.MQTT
	password, err := c.Password.Resolve()
	if err != nil {
		return nil, err
	}
	secure, err := newTLS(conf, c.TLS)
	if err != nil {
		return nil, err
	}
	return &notify.MQTT{Name: t.Name, Broker: string(c.Broker), ClientID: "stirwatch-" + conf.Machine + "-notify-" + t.Name, Topic: c.Topic,
		Username: c.Username, Password: password, TLS: secure, Ack: ack, Log: log}, nil
}

func newMail(conf *config.Config, c *config.NotifyMail) (*notify.Mail, error) {
	password, err := c.Password.Resolve()
	if err != nil {
		return nil, err
	}
	m := &notify.Mail{Server: string(c.Server), From: c.From, Username: c.Username, Password: password}
	for to := range strings.SplitSeq(c.To, ",") {
		m.To = append(m.To, strings.TrimSpace(to))
	}
	m.TLS, err = newTLS(conf, c.TLS)
	return m, err
}

func newNtfy(c *config.NotifyNtfy) (*notify.Ntfy, error) {
	topic, err := c.Topic.Resolve()
	if err != nil {
		return nil, err
	}
	token, err := c.Token.Resolve()
	return &notify.Ntfy{Server: string(c.Server), Topic: topic, Token: token}, err
}

func newWebhook(c *config.NotifyWebhook) (*notify.Webhook, error) {
	to, err := c.URL.Resolve()
	if err == nil && !strings.HasPrefix(to, "http://") && !strings.HasPrefix(to, "https://") {
		err = errors.New("what the secret url holds is no address that starts with http:// or https://")
	}
	if err != nil {
		return nil, err
	}
	auth, err := c.Authorization.Resolve()
	return &notify.Webhook{URL: to, Authorization: auth, Full: c.Format == "full"}, err
}

// newLight makes the light of a target that config has found in the bridge.
func newLight(conf *config.Config, c *config.NotifyLight, b *bridge.Bridge) *notify.Light {
	l := &notify.Light{Bridge: b, Target: c.Target, Lease: c.Lease,
		Value: map[anomaly.Priority]float64{anomaly.High: c.High, anomaly.Medium: c.Medium, anomaly.Low: c.Low}}
	for _, t := range conf.Bridge.Targets {
		if t.Name == c.Target {
			l.Unit = t.Unit
		}
	}
	return l
}

// ackByMQTT acknowledges, and returns when that is on disk.
func (c *cell) ackByMQTT(q alarm.Request) ([]alarm.Alarm, error) {
	changed, err := c.agent.Alarms().Ack(c.agent.Now(), q.Name, q.Who, q.Why)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.journal.Flush(ctx); err != nil {
			c.log.Warn("an acknowledgement is not on disk yet", "error", err)
		}
	}
	return changed, err
}

// notifyRoutes answers `stirwatch notify`.
func (c *cell) notifyRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /notify", func(w http.ResponseWriter, _ *http.Request) {
		if c.notifier == nil {
			api.Write(w, []notify.Status{})
			return
		}
		api.Write(w, c.notifier.Status())
	})
	mux.HandleFunc("POST /notify/test", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			Name string `json:"name"`
		}
		if !api.Read(w, r, &q) {
			return
		}
		err := fmt.Errorf("%w: agent.yaml has no section notify", notify.ErrNoTarget)
		if c.notifier != nil {
			err = c.notifier.Test(r.Context(), q.Name)
		}
		switch {
		case errors.Is(err, notify.ErrNoTarget):
			api.Fail(w, http.StatusNotFound, err)
		case err != nil:
			api.Fail(w, http.StatusBadGateway, err)
		default:
			api.Write(w, struct{}{})
		}
	})
}
