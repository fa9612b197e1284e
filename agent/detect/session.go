package detect

import (
	"fmt"
	"strings"

	"stirwatch/agent"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// Session judges logs one after another. A machine's log, or any with Limits, is judged by [Machine]; any other, and with Watch a machine's
// too, by a watch that is trained on good rows: of each log, or of one for all (Train).
type Session struct {
	Good    func(rows int) Stretch // the good ones of a log's data rows
	Options Options                // of the watch
	Model   *model.Model           // of the machine; nil: none
	Watch   bool                   // watch also a machine's log
	Limits  []agent.Limit          // that people have set, for the channels of every log
	Ignore  []string               // channels that are not watched
	Told    func(text string)      // is told what was trained on, and what is not watched

	fit  *Fit
	good []string // channels of the run that all are judged by; nil: each is trained on
}

// Train trains on one log, by which all others are judged. It fails where the good rows are not there.
func (s *Session) Train(log *runlog.Log) error {
	t, err := s.table(log)
	if err != nil {
		return err
	}
	s.good = t.Channel
	return s.train(t)
}

func (s *Session) table(log *runlog.Log) (*Table, error) {
	t := FromLog(log)
	return t, t.Leave(s.Ignore)
}

func (s *Session) train(t *Table) (err error) {
	good := s.Good(t.Rows)
	if s.fit, err = Train(t, good, s.Options); err != nil {
		return err
	}
	used, aside := s.fit.Rows()
	s.Told(fmt.Sprintf("%s: %d channels are watched, trained on %d rows (%d:%d), of which %d are set aside as outliers", t.Log, len(s.fit.Watched()), used, good.From, good.To, aside))
	for _, u := range s.fit.Unwatched() {
		s.Told(fmt.Sprintf("%s: %s is not watched: %s", t.Log, t.Channel[u.Channel], u.Why))
	}
	return nil
}

// Judge judges a log, whose channels reg has: a flag for each of its rows, and events. It fails where a channel is not
// there, where the good rows are not, and where a log that is not a machine's meets a model.
func (s *Session) Judge(log *runlog.Log, reg *sensors.Registry) (t *Table, flags []Flag, events []Event, err error) {
	fail := func(err error) (*Table, []Flag, []Event, error) { return nil, nil, nil, err }
	if t, err = s.table(log); err != nil {
		return fail(err)
	}
	machine := IsMachine(log)
	switch {
	case s.Model != nil && !machine:
		return fail(fmt.Errorf("%s: a model judges a machine's log, which has spindle speed and tool temperature; this one has %s", log.Name, strings.Join(t.Channel, ", ")))
	case machine || len(s.Limits) > 0:
		if flags, events, err = Machine(log, reg, s.Model, s.Limits...); err != nil {
			return fail(fmt.Errorf("%s: %w", log.Name, err))
		}
	}
	if machine && !s.Watch {
		return t, flags, events, nil
	}
	if s.good != nil {
		err = t.Order(s.good)
	} else {
		err = s.train(t)
	}
	if err != nil {
		return fail(err)
	}
	watched, more := Judge(t, s.fit)
	if flags != nil {
		watched = Merge(flags, watched)
	}
	return t, watched, append(events, more...), nil
}
