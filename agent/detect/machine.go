package detect

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// IsMachine tells whether a log has the signals by which the faults of a machine are known.
func IsMachine(l *runlog.Log) bool {
	_, speed := l.Find(sensors.SpindleSpeed)
	_, tool := l.Find(sensors.ToolTemperature)
	return speed && tool
}

// Registry has the channels of a log, with the ranges of a MELD machine's where they bear its names.
func Registry(l *runlog.Log) (*sensors.Registry, error) {
	var channels []sensors.Channel
	known := runlog.MELDChannels()
	for i := range l.Columns {
		c := &l.Columns[i]
		ch := sensors.Channel{Name: c.Name, Role: c.Role, Unit: c.Unit}
		if k := slices.IndexFunc(known, func(k sensors.Channel) bool { return k.Name == c.Name && k.Unit == c.Unit }); k >= 0 {
			ch = known[k]
		}
		channels = append(channels, ch)
	}
	return sensors.NewRegistry(channels)
}

// Machine puts the rows of a log through what the agent judges its frames by: sources and sensors, the faults that the
// machine's own signals show, the limits that people have set, and with a model (nil: none) what that says to them. reg has the log's channels.
func Machine(l *runlog.Log, reg *sensors.Registry, m *model.Model, set ...agent.Limit) ([]Flag, []Event, error) {
	d, err := agent.NewDetector(reg, m, set)
	if err != nil {
		return nil, nil, err
	}
	t := FromLog(l)
	flags := make([]Flag, len(l.Time))
	var events []Event
	open := map[alarm.Key]*standing{}
	next := l.Rows(reg)
	for i := range l.Time {
		now, samples, _ := next()
		stand := d.Standing(agent.Row{Time: now, Samples: samples})
		for k := range open {
			open[k].here = false
		}
		for _, a := range stand {
			if about := anomaly.Of(a.Code).About; about == anomaly.AboutModel && a.Code != anomaly.Innovation {
				continue // of the model, not of the process
			}
			key := alarm.Key{Code: a.Code, Subject: d.Subject(a)}
			s := open[key]
			if s == nil {
				s = &standing{part: map[string]float64{}}
				s.Event = Event{Log: l.Name, Code: a.Code, What: a.Code.Text(), From: t.Index[i], Start: at(l.Time[i]), Since: at(l.Time[i] - int64(a.Since*1e9))}
				open[key] = s
			}
			s.here = true
			s.To, s.End, s.Score = t.Index[i], at(l.Time[i]), max(s.Score, a.Score/a.Limit)
			d.Carried(a, func(channel string, share float64) { s.part[channel] += share })
			if f := &flags[i]; !f.Anomaly || a.Score/a.Limit > f.Score {
				*f = Flag{true, a.Score / a.Limit, a.Code}
			}
		}
		for k, s := range open {
			if !s.here {
				events = append(events, s.close(false))
				delete(open, k)
			}
		}
	}
	for _, s := range open {
		events = append(events, s.close(true))
	}
	slices.SortStableFunc(events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Code, b.Code), strings.Compare(a.leading(), b.leading()))
	})
	return flags, events, nil
}

// standing is an event that goes on.
type standing struct {
	Event
	part map[string]float64 // by channel
	here bool
}

func at(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// close completes an event.
func (s *standing) close(stands bool) Event {
	e := s.Event
	e.Standing = stands
	total := 0.0
	for _, p := range s.part {
		total += p
	}
	for channel, p := range s.part {
		e.Contributions = append(e.Contributions, Contribution{Channel: channel, Share: p / total})
	}
	slices.SortFunc(e.Contributions, func(a, b Contribution) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), strings.Compare(a.Channel, b.Channel))
	})
	d := anomaly.Of(e.Code)
	e.Cause, e.Response = d.Cause, d.Response
	e.Confidence = anomaly.Confidence(e.Code)
	return e
}

// leading is the channel that carries most of an event, "" where none does.
func (e *Event) leading() string {
	if len(e.Contributions) == 0 {
		return ""
	}
	return e.Contributions[0].Channel
}

// Merge joins the flags of two judges of one table: a row is an anomaly if one of them says so, and has the code of the first that does.
func Merge(a, b []Flag) []Flag {
	all := slices.Clone(a)
	for i := range all {
		if !all[i].Anomaly && b[i].Anomaly {
			all[i] = b[i]
		} else if !all[i].Anomaly {
			all[i].Score = max(all[i].Score, b[i].Score)
		}
	}
	return all
}
