package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"stirwatch/agent/api"
	"stirwatch/agent/journal"
	bridge "stirwatch/firmware-bridge"
	"stirwatch/sensors"
)

// Records keeps what the bridge decides in the journal, and tells it whoever listens. It is a
// [bridge.Recorder].
type Records struct {
	To *journal.Journal

	mu     sync.Mutex
	listen []chan bridge.Record
}

// Record implements [bridge.Recorder].
func (r *Records) Record(rec bridge.Record) {
	CommandRecord{r.To}.Record(rec)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.listen {
		select {
		case c <- rec:
		default: // who listens too slowly misses it; the journal has it
		}
	}
}

func (r *Records) open() (chan bridge.Record, func()) {
	c := make(chan bridge.Record, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listen = append(r.listen, c)
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.listen = slices.DeleteFunc(r.listen, func(other chan bridge.Record) bool { return other == c })
	}
}

// Loops tells what every loop does.
func (a *Agent) Loops() []LoopStatus {
	var all []LoopStatus
	for _, l := range a.loops {
		l.mu.Lock()
		all = append(all, l.status)
		l.mu.Unlock()
	}
	return all
}

// setMode changes how far a loop goes, on record.
func (a *Agent) setMode(l *loop, m Mode, why string) {
	l.mu.Lock()
	was := l.status.Mode
	l.status.Mode, l.status.Accepted, l.status.Declined = m, math.NaN(), math.NaN()
	l.reset, l.changed = true, why
	l.mu.Unlock()
	l.event(a, fmt.Sprintf("mode %s, it was %s: %s", m, was, why))
}

func (a *Agent) loopNamed(name string) (*loop, error) {
	var names []string
	for _, l := range a.loops {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return nil, fmt.Errorf("no loop %s; there are %v", name, names)
}

// SetMode changes how far a loop goes, for who and why. Any automatic mode is the one that the loop has.
func (a *Agent) SetMode(name string, m Mode, who, why string) error {
	l, err := a.loopNamed(name)
	if err != nil {
		return err
	}
	switch m {
	case "auto":
		m = l.Auto
	case Off, Advise, Confirm, l.Auto:
	default:
		return fmt.Errorf("loop %s has no mode %q; there are %s, %s, %s and %s", name, m, Off, Advise, Confirm, l.Auto)
	}
	if who == "" || why == "" {
		return errors.New("who and why must be told")
	}
	a.setMode(l, m, who+": "+why)
	return nil
}

// Accept lets a loop in the mode confirm command what it wants now, and tells what that is.
func (a *Agent) Accept(name, who string) (value float64, unitName string, err error) {
	l, err := a.loopNamed(name)
	if err != nil {
		return 0, "", err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.status
	switch {
	case s.Mode != Confirm:
		return 0, "", fmt.Errorf("loop %s is in the mode %s; accepting is for the mode %s", name, s.Mode, Confirm)
	case math.IsNaN(s.Wanted):
		return 0, "", fmt.Errorf("loop %s proposes nothing: %s", name, s.Why)
	}
	s.Accepted, s.Declined = s.Wanted, math.NaN()
	l.event(a, fmt.Sprintf("%s accepts %g %s", who, s.Accepted, s.TargetUnit))
	return s.Accepted, s.TargetUnit, nil
}

// Decline refuses what a loop in the mode confirm proposes now, for who and why, and tells what that is. It changes
// nothing of the machine: what was accepted before goes on.
func (a *Agent) Decline(name, who, why string) (value float64, unitName string, err error) {
	l, err := a.loopNamed(name)
	if err != nil {
		return 0, "", err
	}
	if who == "" || why == "" {
		return 0, "", errors.New("who and why must be told")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.status
	switch {
	case s.Mode != Confirm:
		return 0, "", fmt.Errorf("loop %s is in the mode %s; declining is for the mode %s", name, s.Mode, Confirm)
	case math.IsNaN(s.Wanted):
		return 0, "", fmt.Errorf("loop %s proposes nothing: %s", name, s.Why)
	}
	s.Declined = s.Wanted
	l.event(a, fmt.Sprintf("%s declines %g %s: %s", who, s.Declined, s.TargetUnit, why))
	return s.Declined, s.TargetUnit, nil
}

// Requests and answers of the agent's socket.
type (
	// ModeRequest is the body of POST /control/{loop}/mode.
	ModeRequest struct {
		Mode Mode   `json:"mode"`
		Who  string `json:"who"`
		Why  string `json:"why"`
	}
	// AcceptRequest is the body of POST /control/{loop}/accept.
	AcceptRequest struct {
		Who string `json:"who"`
	}
	// DeclineRequest is the body of POST /control/{loop}/decline.
	DeclineRequest struct {
		Who string `json:"who"`
		Why string `json:"why"`
	}
	// ConfirmRequest is the body of POST /journal/confirm-clock; the answer is a [journal.Unconfirmed].
	ConfirmRequest struct{ Who, Why string }
	// SetRequest is the body of POST /bridge/{target}: the answer is a [Told] a line until the target is in
	// its safe state again.
	SetRequest struct {
		Value    string
		For      time.Duration
		Who, Why string
	}
	// Told is one line of an answer: a decision of the bridge, or how it ended.
	Told struct {
		Record *RecordText `json:",omitempty"`
		Error  string      `json:",omitempty"`
		Done   bool        `json:",omitempty"`
	}
	// RecordText is a [bridge.Record] as text, for people.
	RecordText struct {
		At   time.Time
		Text string
	}
	// SourceState is how a source does.
	SourceState struct {
		Name string `json:"name"`
		sensors.Snapshot
		Quiet time.Duration `json:"quiet_ns"` // since data came; negative: none has come yet
	}
	// Answer is one answer of the controller.
	Answer struct {
		Name   string `json:"name"`
		Text   string `json:"text"`
		Limits string `json:"limits,omitempty"`
		Error  string `json:"error,omitempty"`
	}
)

// Handle answers for the loops and the bridge at the agent's socket. records is the bridge's recorder.
func (a *Agent) Handle(mux *http.ServeMux, records *Records) {
	a.HandleLoops(mux)
	mux.HandleFunc("GET /sources", func(w http.ResponseWriter, _ *http.Request) { api.Write(w, a.SourceStates()) })
	mux.HandleFunc("GET /view", func(w http.ResponseWriter, _ *http.Request) { api.Write(w, a.View()) })
	mux.HandleFunc("POST /journal/confirm-clock", a.answerConfirmClock)
	b := a.opt.Bridge
	if b == nil {
		return
	}
	mux.HandleFunc("GET /bridge", func(w http.ResponseWriter, r *http.Request) {
		var all []Answer
		for _, s := range b.Survey(r.Context()) {
			all = append(all, AnswerOf(s))
		}
		api.Write(w, all)
	})
	mux.HandleFunc("GET /bridge/{name}", func(w http.ResponseWriter, r *http.Request) {
		q, err := b.Ask(r.Context(), r.PathValue("name"))
		if err != nil {
			api.Fail(w, http.StatusBadGateway, err)
			return
		}
		api.Write(w, Answer{Name: r.PathValue("name"), Text: q.String()})
	})
	mux.HandleFunc("POST /bridge/{target}", func(w http.ResponseWriter, r *http.Request) {
		var in SetRequest
		if api.Read(w, r, &in) {
			a.hold(w, r, r.PathValue("target"), &in, records)
		}
	})
}

// HandleLoops answers for the loops, and what if.
func (a *Agent) HandleLoops(mux *http.ServeMux) {
	mux.HandleFunc("GET /control", func(w http.ResponseWriter, _ *http.Request) {
		all := a.Loops()
		if all == nil {
			all = []LoopStatus{}
		}
		api.Write(w, all)
	})
	mux.HandleFunc("POST /whatif", a.answerWhatIf)
	mux.HandleFunc("POST /control/{loop}/mode", func(w http.ResponseWriter, r *http.Request) {
		var in ModeRequest
		if !api.Read(w, r, &in) {
			return
		}
		if err := a.SetMode(r.PathValue("loop"), in.Mode, in.Who, in.Why); err != nil {
			api.Fail(w, http.StatusBadRequest, err)
			return
		}
		api.Write(w, a.Loops())
	})
	mux.HandleFunc("POST /control/{loop}/accept", func(w http.ResponseWriter, r *http.Request) {
		var in AcceptRequest
		if api.Read(w, r, &in) {
			v, u, err := a.Accept(r.PathValue("loop"), in.Who)
			answerProposal(w, r, v, u, err)
		}
	})
	mux.HandleFunc("POST /control/{loop}/decline", func(w http.ResponseWriter, r *http.Request) {
		var in DeclineRequest
		if api.Read(w, r, &in) {
			v, u, err := a.Decline(r.PathValue("loop"), in.Who, in.Why)
			answerProposal(w, r, v, u, err)
		}
	})
}

func answerProposal(w http.ResponseWriter, r *http.Request, value float64, unitName string, err error) {
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	api.Write(w, Answer{Name: r.PathValue("loop"), Text: fmt.Sprintf("%g %s", value, unitName)})
}

// Messages are the last of a source as they came, the oldest first; while somebody asks for them they are kept. It is false
// where there is no such source.
func (a *Agent) Messages(source string) ([]sensors.Message, bool) {
	for _, src := range a.opt.Sources {
		if src.Name() == source {
			return src.Health().Tap.Look(), true
		}
	}
	return nil, false
}

// SourceStates tells how every source does. Safe for concurrent use.
func (a *Agent) SourceStates() []SourceState {
	all := []SourceState{}
	for _, src := range a.opt.Sources {
		s := SourceState{src.Name(), src.Health().Snapshot(), -1}
		if !s.LastData.IsZero() {
			s.Quiet = max(0, time.Duration(a.opt.Clock.Now()-s.LastData.UnixNano()))
		}
		all = append(all, s)
	}
	return all
}

func (a *Agent) answerConfirmClock(w http.ResponseWriter, r *http.Request) {
	var in ConfirmRequest
	if !api.Read(w, r, &in) {
		return
	}
	if in.Who == "" || in.Why == "" {
		api.Fail(w, http.StatusBadRequest, errors.New("who and why must be told"))
		return
	}
	u, err := a.opt.Journal.ConfirmClock(r.Context(), in.Who, in.Why)
	if err != nil {
		api.Fail(w, http.StatusServiceUnavailable, err)
		return
	}
	api.Write(w, u)
}

// AnswerOf is an answer as text. That a value cannot be read back is said in Text and is no error.
func AnswerOf(s bridge.Answer) Answer {
	a := Answer{Name: s.Name, Text: s.Text, Limits: s.Limits}
	if s.Err != nil {
		a.Error = s.Err.Error()
		if errors.Is(s.Err, bridge.ErrNoReadBack) {
			a.Error, a.Text = "", "not told: "+s.Err.Error()
		}
	}
	return a
}

// hold carries out a person's command for its time, and tells what the bridge decides. A loop that has the
// target lets go and waits for a person.
func (a *Agent) hold(w http.ResponseWriter, r *http.Request, target string, in *SetRequest, records *Records) {
	s, ok := a.opt.Bridge.State(target)
	if !ok {
		api.Fail(w, http.StatusNotFound, fmt.Errorf("the bridge has no target %s", target))
		return
	}
	q, err := bridge.Quantity(target, in.Value, s.Unit)
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	heard, done := records.open()
	defer done()
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w).Flush
	ended := make(chan error, 1)
	go func() {
		ended <- a.opt.Bridge.Carry(r.Context(), bridge.Command{Target: target, Value: q, For: in.For, Who: in.Who, Why: in.Why, Displace: true, Yield: true})
	}()
	tell := func(rec bridge.Record) {
		if rec.Target == target {
			out.Encode(Told{Record: &RecordText{rec.At, rec.String()}})
			flush()
		}
	}
	var told <-chan struct{}
	last := Told{Done: true}
	for {
		select {
		case rec := <-heard:
			tell(rec)
		case err := <-ended:
			if told = a.opt.Bridge.Told(); err != nil {
				last.Error = err.Error()
			}
		case <-told:
			for len(heard) > 0 {
				tell(<-heard)
			}
			out.Encode(last)
			return
		}
	}
}
