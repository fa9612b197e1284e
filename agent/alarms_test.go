package agent

import (
	"strings"
	"testing"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
)

// An anomaly is an alarm with its text, which outlives the agent; a run begins with a clean board.
func TestAnAnomalyIsAnAlarm(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t)})
	now := 1000 * second
	ticks := func(n int, values ...float64) {
		for range n {
			now += 1e8
			put(a, now, values...)
			a.tick(now)
		}
	}
	ticks(20, 20, 0, 0, 0, 0, 475)
	ticks(1, 712, 0, 0, 0, 0, 475)
	l := a.Alarms().List()
	if len(l.Alarms) != 1 || l.Alarms[0].Code != anomaly.SensorOutOfRange || l.Alarms[0].Subject != "tool" || l.Alarms[0].State != alarm.Unacknowledged ||
		l.Alarms[0].Text != "tool: the value is outside the sensor's range, 712 °C" || !strings.Contains(l.Alarms[0].Response, "second reading") {
		t.Fatalf("%+v", l)
	}
	if _, err := a.Alarms().Ack(now, "sensor.out_of_range tool", "Ann", "the wire is loose"); err != nil {
		t.Fatal(err)
	}
	if err := a.opt.Journal.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := New(Options{Registry: cell(t), Journal: a.opt.Journal, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	again.RestoreAlarms()
	if l := again.Alarms().List(); len(l.Alarms) != 1 || l.Alarms[0].State != alarm.Acknowledged || l.Alarms[0].Who != "Ann" {
		t.Errorf("after a restart: %+v", l)
	}

	ticks(200, 20, 0, 0, 0, 0, 475) // it is over
	ticks(1, 712, 0, 0, 0, 0, 475)  // and once more, unseen
	ticks(200, 20, 0, 0, 0, 0, 475)
	if l := a.Alarms().List(); len(l.Alarms) != 1 || l.Alarms[0].State != alarm.Returned || l.Alarms[0].Count != 2 {
		t.Errorf("%+v", l)
	}
	ticks(100, 20, 1, 400, 0, 0, 475) // the spindle turns: a run begins
	if l := a.Alarms().List(); len(l.Alarms) != 0 {
		t.Errorf("in a new run: %+v", l)
	}
	var events []string
	for _, l := range lines(t, a, record.Alarms) {
		_, e, _ := strings.Cut(l, `event="`)
		e, _, _ = strings.Cut(e, `"`)
		events = append(events, e)
	}
	if got := strings.Join(events, ", "); got != "raise, ack, return, raise, return, new job" {
		t.Error(got)
	}
}

// The agent's own health: what is wrong is an alarm with numbers, and over when it is over.
func TestHealthIsAnAlarm(t *testing.T) {
	wall := time.Unix(1_700_000_000, 0)
	failing := ""
	m := learned(t)
	m.Skill = []model.Skill{{HeldOut: true, Windows: model.AllRows, Horizon: 60, Count: 10, RMSE: 6, Persistence: 4}, {HeldOut: true, Windows: model.AllRows, Horizon: 1, Count: 10, RMSE: 1, Persistence: 4}}
	a := agentOf(t, Options{Registry: cell(t), Model: m, Clock: NewClock(func() time.Time { return wall }), Undelivered: func() string { return failing }})
	a.health.note(anomaly.ModelNoSkill, noSkill(m))
	now := wall.UnixNano()
	for_ := func(seconds int) {
		for range seconds * 10 {
			now += 1e8
			put(a, now, 470, 4.2, 0, 0, 0, 475)
			a.tick(now)
		}
	}
	text := func(c anomaly.Code) string {
		for _, x := range a.Alarms().List().Alarms {
			if x.Code == c {
				return x.State.String() + ": " + x.Text
			}
		}
		return ""
	}
	a.examineOnce()
	for_(10)
	if got := text(anomaly.ModelNoSkill); got != "unacknowledged: the model forecasts no better than a temperature that stays as it is: over 60 s its error is 1.5 times that" {
		t.Error(got)
	}
	if got := text(anomaly.ClockWrong) + text(anomaly.JournalStopped) + text(anomaly.NotifyFailed); got != "" {
		t.Error(got)
	}
	failing = "office: 3 messages wait, the first for 5 min: connection refused"
	a.stepped(-time.Hour, now)
	a.examineOnce()
	for_(1)
	if got := text(anomaly.NotifyFailed); !strings.HasSuffix(got, failing) {
		t.Error(got)
	}
	if got := text(anomaly.ClockWrong); got != "unacknowledged: the clock of this computer was wrong: it was set by -1h0m0s" {
		t.Error(got)
	}
	failing = ""
	a.health.last = now + 2*time.Hour.Nanoseconds() // the record ends after this clock
	a.health.since = time.Time{}
	a.examineOnce()
	for_(10)
	if got := text(anomaly.NotifyFailed); !strings.HasPrefix(got, "returned: ") {
		t.Error(got)
	}
	if p := a.health.clock(now); p != "it stands 1h59m50s before the end of the record" {
		t.Error(p)
	}
	if err := a.opt.Journal.Close(); err != nil {
		t.Fatal(err)
	}
	a.examineOnce()
	for_(3)
	if got := text(anomaly.JournalStopped); !strings.HasPrefix(got, "unacknowledged: nothing is recorded") {
		t.Error(got)
	}
}

// A port that goes takes its channels along: one alarm, and no trace of the twelve that were about to be.
func TestADeadPortIsOneAlarm(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Sources: []sensors.Source{&port{name: "daq"}}})
	daq := feed{a.Agent, 0}
	now := 1000 * second
	for i := range 600 {
		now += 1e8
		if i < 300 {
			for ch := range sensors.ChannelID(6) {
				daq.Emit([]sensors.Sample{{Time: now, Arrival: now, Value: 100, Channel: ch, Status: sensors.OK}}, nil)
			}
		}
		a.tick(now)
	}
	l := a.Alarms().List()
	if len(l.Alarms) != 1 || l.Alarms[0].Text != "daq: no value from the source (6 channels); the newest is 4s old" {
		t.Errorf("%+v", l.Alarms)
	}
}

// The alarm of a fault of the process names the signals in which it shows, so that people know where to look.
func TestAFaultOfTheProcessNamesItsSignals(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t)})
	now := 1000 * second
	for i := range 1500 {
		now += 1e8
		speed, power := 400.0, 7.0
		if i >= 1200 {
			speed, power = 0, 0
		}
		put(a, now, 470, power, speed, 20, 300, 470)
		a.tick(now)
	}
	for _, x := range a.Alarms().List().Alarms {
		if x.Code == anomaly.StoppedInContact {
			if want := "spindle speed 67 %, tool temperature 33 %"; x.Signals != want {
				t.Errorf("it shows in %q, want %q", x.Signals, want)
			}
			return
		}
	}
	t.Errorf("no such alarm among %+v", a.Alarms().List().Alarms)
}
