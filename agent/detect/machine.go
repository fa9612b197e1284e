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

// IsMachine reports whether a run has the signals by which the faults of a machine are known.
func (r *Run) IsMachine() bool {
	has := func(role sensors.Role) bool {
		return slices.ContainsFunc(r.Columns, func(c runlog.Column) bool { return c.Role == role })
	}
	return has(sensors.SpindleSpeed) && has(sensors.ToolTemperature)
}

// Registry has the channels of a run, with the ranges of a MELD machine's where they bear its names.
func (r *Run) Registry() (*sensors.Registry, error) {
	var channels []sensors.Channel
	known := runlog.MELDChannels()
	for i := range r.Columns {
		c := &r.Columns[i]
		ch := sensors.Channel{Name: c.Name, Role: c.Role, Unit: c.Unit}
		if k := slices.IndexFunc(known, func(k sensors.Channel) bool { return k.Name == c.Name && k.Unit == c.Unit }); k >= 0 {
			ch = known[k]
		}
		channels = append(channels, ch)
	}
	return sensors.NewRegistry(channels)
}

// machine judges the rows of a run by what the agent judges its frames by: sources and sensors, the faults that the
// machine's own signals show, the limits that people have set, and with a model what that says to them.
type machine struct {
	log      string
	detector *agent.Detector
	columns  []int // of the channels
	ids      []sensors.ChannelID
	samples  []sensors.Sample
	open     map[alarm.Key]*standing
	events   []Event
	unjudged string // what could not be judged in a run of this log
}

// newMachine makes a judge of a machine's runs; reg has the channels of the run, m may be nil.
func newMachine(r *Run, reg *sensors.Registry, m *model.Model, set []agent.Limit) (*machine, error) {
	interval, err := r.interval()
	if err != nil {
		return nil, err
	}
	if reg, err = slowed(reg, interval); err != nil {
		return nil, err
	}
	d, err := agent.NewDetector(reg, m, set)
	if err != nil {
		return nil, err
	}
	j := &machine{log: r.Name, detector: d, open: map[alarm.Key]*standing{}}
	for i := range r.Columns {
		if id, ok := reg.Lookup(r.Columns[i].Name); ok {
			j.columns, j.ids = append(j.columns, i), append(j.ids, id)
		}
	}
	return j, nil
}

// row judges the next row.
func (j *machine) row(r *runlog.Row) (f Flag) {
	j.samples = j.samples[:0]
	for k, c := range j.columns {
		j.samples = append(j.samples, sensors.Sample{Time: r.Time, Arrival: r.Time, Value: r.Value[c], Channel: j.ids[k], Status: r.Status[c]})
	}
	stand := j.detector.Standing(agent.Row{Time: r.Time, Samples: j.samples})
	if text := j.detector.Unjudged(); text != "" {
		j.unjudged = text
	}
	for k := range j.open {
		j.open[k].here = false
	}
	for _, a := range stand {
		if about := anomaly.Of(a.Code).About; about == anomaly.AboutModel && a.Code != anomaly.Innovation {
			continue // of the model, not of the process
		}
		key := alarm.Key{Code: a.Code, Subject: j.detector.Subject(a)}
		s := j.open[key]
		if s == nil {
			s = &standing{part: map[string]float64{}}
			s.Event = Event{Log: j.log, Code: a.Code, What: a.Code.Text(), From: r.Index, Start: at(r.Time), Since: at(r.Time - int64(a.Since*1e9))}
			j.open[key] = s
		}
		s.here = true
		s.To, s.End, s.Score = r.Index, at(r.Time), max(s.Score, a.Score/a.Limit)
		j.detector.Carried(a, func(channel string, share float64) { s.part[channel] += share })
		if !f.Anomaly || a.Score/a.Limit > f.Score {
			f = Flag{true, a.Score / a.Limit, a.Code}
		}
	}
	for k, s := range j.open {
		if !s.here {
			j.events = append(j.events, s.close(false))
			delete(j.open, k)
		}
	}
	return f
}

// end gives the events.
func (j *machine) end() []Event {
	for _, s := range j.open {
		j.events = append(j.events, s.close(true))
	}
	slices.SortStableFunc(j.events, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Code, b.Code), strings.Compare(a.leading(), b.leading()))
	})
	return j.events
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

// merged joins the flags of two judges on one row: it is an anomaly if either says so, and has the code of the first that does.
func merged(a, b Flag) Flag {
	switch {
	case a.Anomaly:
		return a
	case b.Anomaly:
		return b
	}
	a.Score = max(a.Score, b.Score)
	return a
}
