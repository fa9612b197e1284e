package alarm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"stirwatch/agent/api"
	"stirwatch/agent/record"
)

// Desk is a board with what is needed to serve it to programs beside the agent, and to its pages.
type Desk struct {
	Board *Board
	Now   func() int64                // the agent's time, ns since the Unix epoch
	Flush func(context.Context) error // returns when the record is on disk
	Rows  func(ctx context.Context, from, to int64) ([]record.Alarm, error)
}

// Request is what a person asks of alarms.
type Request struct {
	Name string  `json:"name"` // all, a code, or a code with its subject
	Who  string  `json:"who"`
	Why  string  `json:"why,omitempty"`
	ForS float64 `json:"for_s,omitempty"` // of shelving
}

// Answer is the result of a [Request].
type Answer struct {
	Changed []Alarm `json:"changed"`
	// Warning says that the request is carried out but not on disk, since the record cannot be written: a kill would undo it.
	Warning string `json:"warning,omitempty"`
}

// Routes adds the desk's requests:
//
//	GET  /alarms          [Listing]; with ?all=1 every alarm, whatever its state
//	POST /alarms/ack      [Request] → [Answer]; so are reset, shelve and unshelve
//	GET  /alarms/history  rows of the record; ?from=&to= in ns since the Unix epoch
//	GET  /alarms/stats    [Statistics] of that span
func (d Desk) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /alarms", func(w http.ResponseWriter, r *http.Request) {
		l := d.Board.List()
		if r.FormValue("all") != "" {
			l.Alarms = d.Board.Names()
			Sort(l.Alarms)
		}
		api.Write(w, l)
	})
	for _, do := range []Event{Ack, Reset, Shelve, Unshelve} {
		mux.HandleFunc("POST /alarms/"+string(do), func(w http.ResponseWriter, r *http.Request) {
			var q Request
			if !api.Read(w, r, &q) {
				return
			}
			a, err := d.Do(r.Context(), do, q)
			switch {
			case errors.Is(err, ErrUnknown):
				api.Fail(w, http.StatusNotFound, err)
			case err != nil:
				api.Fail(w, http.StatusConflict, err)
			default:
				api.Write(w, a)
			}
		})
	}
	span := func(answer func(rows []record.Alarm, from, to int64) any, before int64) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			from, to, err := between(r, d.Now())
			if err != nil {
				api.Fail(w, http.StatusBadRequest, err)
				return
			}
			d.settle(r.Context())
			rows, err := d.Rows(r.Context(), from-before, to)
			if err != nil && rows == nil {
				api.Fail(w, http.StatusInternalServerError, err)
				return
			}
			api.Write(w, answer(rows, from, to))
		}
	}
	mux.HandleFunc("GET /alarms/history", span(func(rows []record.Alarm, _, _ int64) any {
		all := make([]record.JSON[record.Alarm], len(rows))
		for i := range rows {
			all[i].Row = rows[i]
		}
		return all
	}, 0))
	mux.HandleFunc("GET /alarms/stats", span(func(rows []record.Alarm, from, to int64) any { return Count(rows, from, to) }, int64(Before)))
}

// settleFor is how long the record may take to hold what has just happened, before it is read without that.
const settleFor = 2 * time.Second

// settle waits until the steps that the board has told of are in the record: whoever sees one asks for its row.
func (d Desk) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	d.Flush(ctx) // where the disk takes nothing, what is there is answered
}

// Do does what a person asks, Ack, Reset, Shelve or Unshelve, and answers when it is on disk; where it does not get there
// before ctx ends, the answer warns. The error is [ErrUnknown] or [ErrRefused].
func (d Desk) Do(ctx context.Context, do Event, q Request) (a Answer, err error) {
	switch do {
	case Ack:
		a.Changed, err = d.Board.Ack(d.Now(), q.Name, q.Who, q.Why)
	case Reset:
		a.Changed, err = d.Board.Reset(d.Now(), q.Name, q.Who, q.Why)
	case Shelve:
		a.Changed, err = d.Board.Shelve(d.Now(), q.Name, time.Duration(min(max(q.ForS, 0), 1e7)*float64(time.Second)), q.Who, q.Why)
	case Unshelve:
		a.Changed, err = d.Board.Unshelve(d.Now(), q.Name, q.Who, q.Why)
	default:
		err = fmt.Errorf("%w: nobody can %s an alarm", ErrRefused, do)
	}
	if err != nil {
		return a, err
	}
	if err := d.Flush(ctx); err != nil { // else a kill would undo what was answered
		a.Warning = err.Error()
	}
	return a, nil
}

// Before is how far before a span its statistics look for what stood at its beginning.
const Before = 7 * 24 * time.Hour

// between reads a span, by default the last day.
func between(r *http.Request, now int64) (from, to int64, err error) {
	from, to = now-int64(24*time.Hour), now
	for name, into := range map[string]*int64{"from": &from, "to": &to} {
		if text := r.FormValue(name); text != "" {
			if *into, err = strconv.ParseInt(text, 10, 64); err != nil {
				return 0, 0, fmt.Errorf("%s=%q: ns since 1970 are wanted", name, text)
			}
		}
	}
	if from >= to {
		return 0, 0, fmt.Errorf("from=%d is not before to=%d", from, to)
	}
	return from, to, nil
}
