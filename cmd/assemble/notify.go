package assemble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/agent/notify"
	"stirwatch/agent/record"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
)

// notifyRoom is where the journal remembers what people have yet to be told.
const notifyRoom = "notify"

// newNotifier makes the notifier of the configuration, nil if that has no targets.
func newNotifier(conf *config.Config, j *journal.Journal, b *bridge.Bridge, ack acknowledge, log *slog.Logger) (*notify.Notifier, error) {
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

// acknowledge acknowledges alarms on request of a client of a broker.
type acknowledge = func(context.Context, alarm.Request) (alarm.Answer, error)

// notifyTargets turns the section into targets; secrets are fetched here.
func notifyTargets(conf *config.Config, b *bridge.Bridge, ack acknowledge, log *slog.Logger) (all []notify.Target, err error) {
	if conf.Notify == nil {
		return nil, nil
	}
	for i := range conf.Notify.Targets {
		c := &conf.Notify.Targets[i]
		t := notify.Target{Name: c.Name, Rules: notify.Rules{Priority: anomaly.ParsePriority(c.Priority), After: c.After, Gather: c.Gather, Rate: c.Rate, Returns: c.Returns}}
		if q := c.Quiet; q != nil {
			t.Rules.Quiet = &notify.Quiet{From: minuteOf(q.From), To: minuteOf(q.To), Priority: anomaly.ParsePriority(q.Priority)}
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

func newNotifyMQTT(conf *config.Config, t *config.NotifyTarget, ack acknowledge, log *slog.Logger) (*notify.MQTT, error) {
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

// TestNotify sends a message that says it is a test to the target of that name, where no agent runs. The error is that
// of the other side, or [notify.ErrNoTarget].
func TestNotify(ctx context.Context, conf *config.Config, name string) error {
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
