package screen

import (
	"context"
	"slices"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
)

// Shown is what the view shows.
type Shown struct {
	Title string
	Look  func(context.Context) (Look, error) // it is called again and again, also after it has failed
	// Ack acknowledges an alarm by its name; nil: nobody can here.
	Ack func(ctx context.Context, name string) ([]alarm.Alarm, error)
}

// Look is one look at an agent or at a journal.
type Look struct {
	agent.View
	Points []history.Point // of the channel that leads, the last minutes
	Events []history.Happening
	Note   string // what is missing in this look, and why
}

// OfAgent looks at an agent: how it stands by view, and what was before in its journal, which open opens. The journal
// is opened anew after view has failed, as another file may be in its place.
func OfAgent(view func(context.Context) (agent.View, error), open func() (*journal.Reader, error), done func(*journal.Reader)) func(context.Context) (Look, error) {
	var r *journal.Reader
	var past *history.Follower
	var own []history.Point
	return func(ctx context.Context) (l Look, err error) {
		if l.View, err = view(ctx); err != nil {
			if r != nil {
				done(r)
			}
			r, past, own = nil, nil, nil
			return l, err
		}
		if past == nil && l.Time != 0 {
			if r, err = open(); err == nil {
				lead := ""
				if l.Lead >= 0 {
					lead = l.Channels[l.Lead].Name
				}
				past = history.NewFollower(r, lead, l.Expected.Unit)
			}
		}
		if past != nil {
			err = past.Next(ctx)
			l.Points, l.Events = slices.Clone(past.Points), slices.Clone(past.Events)
		}
		if err != nil {
			l.Note = "what was before cannot be read: " + err.Error()
		}
		if len(l.Points) == 0 && l.Good() { // then at least what has been seen
			own = append(own, history.Point{Time: l.Time, Value: float64(l.Channels[l.Lead].Value)})
			own = own[max(0, len(own)-int(pastSpan/redraw)):]
			l.Points = slices.Clone(own)
		}
		return l, nil
	}
}

// quietAfter is how long after the last commit a journal is taken to be written by nobody.
const quietAfter = 10 * time.Second

// OfJournal looks at a journal, whether or not an agent writes it.
func OfJournal(past *history.Follower) func(context.Context) (Look, error) {
	return func(ctx context.Context) (Look, error) {
		if err := past.Next(ctx); err != nil {
			return Look{}, err
		}
		view, err := past.View()
		l := Look{View: view, Points: slices.Clone(past.Points), Events: slices.Clone(past.Events)}
		if last := time.Unix(0, past.Last); time.Since(last) > quietAfter {
			l.Note = "nobody writes this journal; its last record is of " + last.Format(time.DateTime)
		}
		if err != nil {
			l.Note = "the alarms cannot be read: " + err.Error()
		}
		return l, nil
	}
}
