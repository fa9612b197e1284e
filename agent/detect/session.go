package detect

import (
	"fmt"
	"strings"

	"stirwatch/agent"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// Session judges runs one after another, row by row. A machine's run, or any with Limits, is judged as the agent judges its frames; any other,
// and with Watch a machine's too, by a watch that is trained on good rows: of each run, or of one for all (Train).
type Session struct {
	Good    Stretch           // the good ones of a run's data rows
	Options Options           // of the watch
	Model   *model.Model      // of the machine; nil: none
	Watch   bool              // watch also a machine's run
	Limits  []agent.Limit     // that people have set, for the channels of every run
	Ignore  []string          // channels that are not watched
	Told    func(text string) // is told what was trained on, what is not watched, and what cannot be judged; nil: nobody is

	fit  *Fit
	good []string // channels of the run that all are judged by; nil: each is trained on
}

// Train trains on one run, by which all others are judged. It fails where the good rows are not there.
func (s *Session) Train(r *Run) error {
	channels, err := r.channels(s.Ignore)
	if err != nil {
		return err
	}
	s.good = channels
	return s.train(r, channels)
}

func (s *Session) train(r *Run, channels []string) error {
	columns, err := r.pick(channels)
	if err != nil {
		return err
	}
	fit, rows, err := train(r, columns, s.Good, s.Options)
	if err != nil {
		return err
	}
	s.fit = fit
	used, aside := fit.Rows()
	s.Told(fmt.Sprintf("%s: %d channels are watched, trained on %d rows (%d:%d), of which %d are set aside as outliers", r.Name, len(fit.Watched()), used, rows.From, rows.To, aside))
	for _, u := range fit.Unwatched() {
		s.Told(fmt.Sprintf("%s: %s is not watched: %s", r.Name, channels[u.Channel], u.Why))
	}
	return nil
}

// Judge judges a run, whose channels reg has: flag is given each of its rows that can be read, and events come at the end. It fails where a
// channel is not there, where the good rows are not, where a run that is not a machine's meets a model, and where the file does.
func (s *Session) Judge(r *Run, reg *sensors.Registry, flag func(row int, f Flag)) ([]Event, error) {
	channels, err := r.channels(s.Ignore)
	if err != nil {
		return nil, err
	}
	var m *machine
	isMachine := r.IsMachine()
	switch {
	case s.Model != nil && !isMachine:
		return nil, fmt.Errorf("%s: a model judges a machine's log, which has spindle speed and tool temperature; this one has %s", r.Name, strings.Join(channels, ", "))
	case isMachine || len(s.Limits) > 0:
		if m, err = newMachine(r, reg, s.Model, s.Limits); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
	}
	var w *watching
	if !isMachine || s.Watch {
		if s.good != nil {
			channels = s.good
		} else if err := s.train(r, channels); err != nil {
			return nil, err
		}
		columns, err := r.pick(channels)
		if err != nil {
			return nil, err
		}
		w = newWatching(r, columns, s.fit)
	}
	err = r.Each(func(row *runlog.Row) error {
		var f Flag
		switch {
		case m == nil:
			f = w.row(row)
		case w == nil:
			f = m.row(row)
		default:
			f = merged(m.row(row), w.row(row))
		}
		flag(row.Index, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var events []Event
	if m != nil {
		events = m.end()
		for _, text := range []string{m.unjudged, m.detector.Lacks()} {
			if text != "" && s.Told != nil {
				s.Told(r.Name + ": " + text)
			}
		}
	}
	if w != nil {
		events = append(events, w.end()...)
	}
	return events, nil
}
