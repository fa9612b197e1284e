package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/api"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/sensors"
)

// This file answers requests about the past, from the journal: series, forecasts and runs.

// Series is one channel for a chart: see [history.Reduced].
type Series struct {
	Channel string         `json:"channel"`
	Unit    string         `json:"unit"`
	Time    []int64        `json:"time"`
	Min     []agent.Number `json:"min"`
	Max     []agent.Number `json:"max"`
}

// Span is a time of the record and what it has of it.
type Span struct {
	From   int64    `json:"from"` // ns since the Unix epoch
	To     int64    `json:"to"`
	Series []Series `json:"series"`
	Note   string   `json:"note,omitempty"` // what could not be read
}

const (
	defaultParts = 600
	mostChannels = 64
	longestSpan  = 31 * 24 * time.Hour
)

// answerSeries is GET /series.
func (s *Server) answerSeries(w http.ResponseWriter, r *http.Request) {
	from, to, err := s.span(r, 15*time.Minute)
	parts := defaultParts
	if text := r.FormValue("points"); text != "" && err == nil {
		if parts, err = strconv.Atoi(text); err != nil || parts < 1 || parts > history.MostParts {
			err = fmt.Errorf("points=%q: 1 to %d are wanted", text, history.MostParts)
		}
	}
	names, e := s.channels(r)
	if err = errors.Join(err, e); err == nil && time.Duration(to-from) > longestSpan {
		err = fmt.Errorf("from=%d to=%d is more than %v", from, to, longestSpan)
	}
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	done, err := s.reading(r.Context())
	if err != nil {
		failed(w, err)
		return
	}
	defer done()
	all, err := s.history.Reduce(r.Context(), names, from, to, parts)
	answer := Span{From: from, To: to, Series: []Series{}}
	if answer.Note, err = damaged(err); err != nil {
		failed(w, err)
		return
	}
	for _, x := range all {
		answer.Series = append(answer.Series, Series{x.Channel, x.Unit.String(), nonNil(x.Time), agent.Numbers(x.Min), agent.Numbers(x.Max)})
	}
	api.Write(w, answer)
}

// channels reads which channels are asked for: channel, once for each or with commas between, by name or role; all where
// none is named.
func (s *Server) channels(r *http.Request) (names []string, err error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	for _, text := range r.Form["channel"] {
		names = append(names, strings.Split(text, ",")...)
	}
	if len(names) == 0 {
		for i := range s.Registry.Len() {
			names = append(names, s.Registry.Channel(sensors.ChannelID(i)).Name)
		}
	}
	if len(names) > mostChannels {
		return nil, fmt.Errorf("%d channels are asked for, more than %d", len(names), mostChannels)
	}
	for i, name := range names {
		if names[i], err = s.history.Channel(name); err != nil {
			return nil, err
		}
		if slices.Contains(names[:i], names[i]) {
			return nil, fmt.Errorf("channel %q is asked for twice", names[i])
		}
	}
	return names, nil
}

// damaged turns damage of the journal into a note beside what could be read; other errors stay errors.
func damaged(err error) (note string, other error) {
	var damage *journal.DamageError
	if errors.As(err, &damage) {
		return damage.Error(), nil
	}
	return "", err
}

func nonNil[T any](x []T) []T {
	if x == nil {
		return []T{}
	}
	return x
}

// rows reads all rows of one type of a span, most at most.
func rows[R record.Row](ctx context.Context, s *Server, from, to int64, most int, keep func(*R) bool) (all []record.JSON[R], note string, err error) {
	all = []record.JSON[R]{}
	full := errors.New("full")
	err = journal.Rows(ctx, s.Journal.Reader, journal.Query{From: from, To: to}, func(x *R) error {
		if !keep(x) {
			return nil
		}
		if len(all) == most {
			return full
		}
		all = append(all, record.JSON[R]{Row: *x})
		return nil
	})
	if errors.Is(err, full) {
		return all, fmt.Sprintf("no more than the first %d are given", most), nil
	}
	note, err = damaged(err)
	return all, note, err
}

// Forecasts are the forecasts that were made in a span.
type Forecasts struct {
	From      int64                          `json:"from"` // ns since the Unix epoch; of the instants that were forecast
	To        int64                          `json:"to"`
	Forecasts []record.JSON[record.Forecast] `json:"forecasts"`
	Note      string                         `json:"note,omitempty"`
}

const mostForecasts = 20_000

// answerForecasts is GET /forecasts.
func (s *Server) answerForecasts(w http.ResponseWriter, r *http.Request) {
	from, to, err := s.span(r, 15*time.Minute)
	if err == nil && time.Duration(to-from) > longestSpan {
		err = fmt.Errorf("from=%d to=%d is more than %v", from, to, longestSpan)
	}
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	done, err := s.reading(r.Context())
	if err != nil {
		failed(w, err)
		return
	}
	defer done()
	horizon, output := r.FormValue("horizon"), r.FormValue("output")
	answer := Forecasts{From: from, To: to}
	answer.Forecasts, answer.Note, err = rows(r.Context(), s, from, to, mostForecasts, func(f *record.Forecast) bool {
		return (horizon == "" || f.Horizon == horizon) && (output == "" || f.State == output)
	})
	if err != nil {
		failed(w, err)
		return
	}
	api.Write(w, answer)
}

// Run is a named span of the record.
type Run struct {
	Name  string `json:"name"`
	Note  string `json:"note,omitempty"`
	Start int64  `json:"start"`         // ns since the Unix epoch
	End   int64  `json:"end,omitempty"` // not there while it is going on
}

// Reopened is a run with everything that was known then, beside its series and forecasts.
type Reopened struct {
	Run
	Alarms   []record.JSON[record.Alarm]          `json:"alarms"`
	Advice   []record.JSON[record.Recommendation] `json:"advice"`
	Commands []record.JSON[record.Command]        `json:"commands"`
	Events   []record.JSON[record.Event]          `json:"events"`
	Left     string                               `json:"left_out,omitempty"` // what could not be read, or was too much
}

func runOf(x journal.Run) Run { return Run{x.Name, x.Note, x.Start, x.End} }

// answerRuns is GET /runs: the newest first.
func (s *Server) answerRuns(w http.ResponseWriter, _ *http.Request) {
	found, err := s.history.Runs()
	if err != nil {
		failed(w, err)
		return
	}
	all := []Run{}
	for _, x := range found {
		all = append(all, runOf(x))
	}
	api.Write(w, all)
}

// find gives the run that the path of a request names; if there is none it answers the request itself.
func (s *Server) find(w http.ResponseWriter, r *http.Request) (run journal.Run, ok bool) {
	run, err := s.Journal.Run(r.PathValue("run"))
	switch none := (*journal.NoRunError)(nil); {
	case errors.As(err, &none):
		api.Fail(w, http.StatusNotFound, fmt.Errorf("there is no run %q", r.PathValue("run")))
	case err != nil:
		failed(w, err)
	}
	return run, err == nil
}

const mostRows = 5_000 // of one kind, of a run

// answerRun is GET /runs/{run}.
func (s *Server) answerRun(w http.ResponseWriter, r *http.Request) {
	run, ok := s.find(w, r)
	if !ok {
		return
	}
	done, err := s.reading(r.Context())
	if err != nil {
		failed(w, err)
		return
	}
	defer done()
	to := run.End
	if to == 0 {
		to = s.Agent.Now()
	}
	answer := Reopened{Run: runOf(run)}
	var left [4]string
	var errs [4]error
	answer.Alarms, left[0], errs[0] = rows(r.Context(), s, run.Start, to, mostRows, all[record.Alarm])
	answer.Advice, left[1], errs[1] = rows(r.Context(), s, run.Start, to, mostRows, all[record.Recommendation])
	answer.Commands, left[2], errs[2] = rows(r.Context(), s, run.Start, to, mostRows, all[record.Command])
	answer.Events, left[3], errs[3] = rows(r.Context(), s, run.Start, to, mostRows, all[record.Event])
	if err := errors.Join(errs[:]...); err != nil {
		failed(w, err)
		return
	}
	for i, what := range []string{"alarms", "advice", "commands", "events"} {
		if left[i] != "" {
			answer.Left += what + ": " + left[i] + "\n"
		}
	}
	api.Write(w, answer)
}

func all[R any](*R) bool { return true }
