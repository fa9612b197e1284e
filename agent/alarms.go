package agent

import (
	"fmt"
	"math"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/sensors"
)

// AlarmRoom is where the journal remembers how alarms stand.
const AlarmRoom = "alarms"

// alarms puts what the watch finds on the board, where people see it.
type alarms struct {
	*alarm.Board
	a     *Agent
	place []int // on the board, by member of the watch's set; below 0: no alarm
}

func newAlarms(a *Agent) *alarms {
	opt := a.opt.Alarms
	if a.opt.Journal != nil {
		opt.Keep = alarmRecord{a.opt.Journal}
	}
	b := &alarms{Board: alarm.NewBoard(opt), a: a}
	b.grow()
	return b
}

// grow adds to the board the members of the watch's set that it does not have yet.
func (b *alarms) grow() {
	w := b.a.watch
	for k := len(b.place); k < w.set.Len(); k++ {
		x := w.set.Anomaly(k)
		b.place = append(b.place, b.Add(alarm.Key{Code: x.Code, Subject: w.subject(x)}, func() (text, signals string) { return b.text(k), b.a.machine.showsIn(x.Code) }))
	}
}

// Alarms is the board: what people see, acknowledge and shelve.
func (a *Agent) Alarms() *alarm.Board { return a.alarms.Board }

// Now is the time of the agent's frames and alarms, ns since the Unix epoch: the arrival clock's, or the devices' where those rule
// and have told one.
func (a *Agent) Now() int64 {
	now, _ := a.board.Now(a.opt.Clock.Now())
	return now
}

// RestoreAlarms takes over how alarms stood when the agent was last here. It is called before [Agent.Run], and not for a
// replay, which is another time.
func (a *Agent) RestoreAlarms() {
	was, err := a.opt.Journal.Remembered(AlarmRoom)
	if err == nil {
		err = a.alarms.Restore(was)
	}
	if err != nil {
		a.opt.Log.Error("how alarms stood before cannot be told: those that hold are raised again", "error", err)
	}
}

// RememberedAlarms reads how alarms stood when a journal was last written, by an agent or since it ended.
func RememberedAlarms(r *journal.Reader) (l alarm.Listing, err error) {
	was, err := r.Remembered(AlarmRoom)
	if err != nil {
		return l, err
	}
	b := alarm.NewBoard(alarm.Options{})
	err = b.Restore(was)
	l = b.List()
	l.Time, _ = r.LastCommit()
	return l, err
}

// step hands the scores of this tick to the board. It allocates only where an alarm changes.
func (b *alarms) step(now int64, runBegan, running bool) {
	if runBegan {
		b.NewJob(now)
	}
	set := b.a.watch.set
	for k, place := range b.place {
		explained, score := set.Explained(k)
		b.Observe(place, set.Active(k), explained, score, set.Limit(k))
	}
	b.Step(now, running)
}

// youngest is the age of the newest value among channels; ok is false if none has had a value yet.
func youngest(f *sensors.Frame, channels []int) (age time.Duration, ok bool) {
	for _, ch := range channels {
		if f.Status[ch].Reason != sensors.NeverSeen && (!ok || f.Age[ch] < age) {
			age, ok = f.Age[ch], true
		}
	}
	return age, ok
}

// span formats an age for people.
func span(age time.Duration) string {
	if age < 48*time.Hour {
		return age.Round(time.Second).String()
	}
	return fmt.Sprintf("%.0f days", age.Hours()/24)
}

// text says for people what member k is about, with numbers.
func (b *alarms) text(k int) string {
	w, f := b.a.watch, b.a.frame
	x := w.set.Anomaly(k)
	text, subject := x.Code.Text(), w.subject(x)
	switch anomaly.Of(x.Code).About {
	case anomaly.AboutSource:
		channels := w.channelsOf(x.About.Source)
		text = subject + ": " + text
		if n := len(channels); n != 1 {
			text += fmt.Sprintf(" (%d channels)", n)
		}
		if age, ok := youngest(f, channels); ok {
			text += fmt.Sprintf("; the newest is %s old", span(age))
		}
		return text
	case anomaly.AboutAgent:
		for i, code := range healthCodes {
			if p := b.a.health.found[i].Load(); code == x.Code && p != nil {
				return text + ": " + *p
			}
		}
	}
	if x.About.Channel == anomaly.None {
		return text
	}
	c := w.reg.Channel(sensors.ChannelID(x.About.Channel))
	text = c.Name + ": " + text
	v, age := f.Value[x.About.Channel], f.Age[x.About.Channel]
	switch {
	case math.IsNaN(v), f.Status[x.About.Channel].Reason == sensors.NeverSeen:
	case f.Status[x.About.Channel].Signal == sensors.Missing:
		text += fmt.Sprintf("; last %.4g %s, %s ago", v, c.Unit, span(age))
	default:
		text += fmt.Sprintf(", %.4g %s", v, c.Unit)
	}
	return text
}

// alarmRecord keeps the board's steps in the journal.
type alarmRecord struct{ *journal.Journal }

// Record implements [alarm.Keeper].
func (r alarmRecord) Record(row record.Alarm) { journal.Write(r.Journal, row) }

// Remember implements [alarm.Keeper].
func (r alarmRecord) Remember(key string, value []byte) {
	r.Journal.Remember(AlarmRoom, key, value)
}
