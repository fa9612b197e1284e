package agent

import (
	"context"
	"log/slog"
	"math"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/control"
)

// tellEvery is the shortest time between two lines of the log that one anomaly is raised, and between two about
// the advice. What changes more often is counted, and how it stands is told when the time is over.
const tellEvery = time.Minute

// teller puts anomalies and advice into the log, with what to do about them.
type teller struct {
	a       *Agent
	setting func(anomaly.Code) alarm.Setting
	members []toldMember
	advice  toldAdvice
	checked int64 // frame time of the last look
}

// toldMember is what the log has said about one member of the watch's set. Instants are frame time, ns.
type toldMember struct {
	active bool
	raised int64 // when it was raised last
	at     int64 // of the last line that it is raised; 0: none
	count  int   // times raised since
}

type toldAdvice struct {
	kind     control.Kind
	setPoint float64
	pace     float64
	reason   string
	at       int64
}

func newTeller(a *Agent) *teller {
	t := &teller{a: a, setting: a.opt.Alarms.Setting, members: make([]toldMember, a.watch.set.Len())}
	if t.setting == nil {
		t.setting = func(c anomaly.Code) alarm.Setting { return alarm.Default(anomaly.Of(c)) }
	}
	return t
}

// grow makes room for members that have come to the watch's set.
func (t *teller) grow() {
	t.members = append(t.members, make([]toldMember, t.a.watch.set.Len()-len(t.members))...)
}

// step tells what has changed at the frame time now. Where nothing has it does not allocate.
func (t *teller) step(now int64) {
	set := t.a.watch.set
	for _, k := range set.Changed() {
		if set.Active(k) {
			t.members[k].count++
			t.members[k].raised = now
		}
	}
	if len(set.Changed()) == 0 && now-t.checked < int64(time.Second) && now >= t.checked {
		return
	}
	t.checked = now
	for k := range t.members {
		if m := &t.members[k]; set.Active(k) != m.active && (m.active || t.due(m.at, now)) {
			t.anomaly(k, m, now)
		}
	}
	if t.a.advisor != nil {
		t.advise(&t.a.advisor.advice, now)
	}
}

// due reports whether a line may follow that of the instant last. A clock that was set back does not silence.
func (t *teller) due(last, now int64) bool {
	return last == 0 || now-last >= int64(tellEvery) || now < last
}

// anomaly says that member k has been raised, or is over.
func (t *teller) anomaly(k int, m *toldMember, now int64) {
	x := t.a.watch.set.Anomaly(k)
	level, word := slog.LevelInfo, "anomaly is over"
	args := []any{"code", string(x.Code)}
	if subject := t.a.watch.subject(x); subject != "" {
		args = append(args, "about", subject)
	}
	if m.active = !m.active; m.active {
		args = append(args, "text", t.a.alarms.text(k))
		word = "anomaly"
		set := t.setting(x.Code)
		if set.Response != "" {
			args = append(args, "do", set.Response)
			if set.Out == "" && (!set.InRun || t.a.phases.Running) {
				level = slog.LevelWarn
			}
		}
		if m.count > 1 {
			args = append(args, "times", m.count)
		}
		m.at, m.count = now, 0
	} else {
		args = append(args, "after", time.Duration(now-m.raised).Round(time.Second))
	}
	t.line(level, word, now, args)
}

// advise says what is advised, where that is something else than what was said last.
func (t *teller) advise(r *control.Recommendation, now int64) {
	said := &t.advice
	same := r.Reason == said.reason
	if !math.IsNaN(r.SetPoint) { // the reason has numbers, which move
		same = math.Abs(r.SetPoint-said.setPoint) < 0.5
	}
	if r.Reason == "" || same && r.Kind == said.kind && r.Pace == said.pace || !t.due(said.at, now) {
		return
	}
	*said = toldAdvice{r.Kind, r.SetPoint, r.Pace, r.Reason, now}
	t.line(slog.LevelInfo, "advice", now, []any{"kind", r.Kind.String(), "text", r.Reason})
}

// line hands a line of the log to the housekeeper, as the log may wait. Where too much waits it is left out: the
// record has it.
func (t *teller) line(level slog.Level, word string, now int64, args []any) {
	args = append(args, "at", time.Unix(0, now).UTC())
	select {
	case t.a.slow <- func() { t.a.opt.Log.Log(context.Background(), level, word, args...) }:
	default:
	}
}
