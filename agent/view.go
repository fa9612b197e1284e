package agent

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"stirwatch/agent/alarm"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/dynamics/program"
	"stirwatch/sensors"
)

// View is what a live view shows of an agent at one tick: the answer to GET /view, and what [history.Follower] reads
// back out of a journal. Texts are for people.
type View struct {
	Time     int64         `json:"time"` // of the tick, ns since the Unix epoch; 0: nothing has come yet
	Tick     uint64        `json:"tick"`
	Running  bool          `json:"running"` // a run is going on
	Phase    string        `json:"phase,omitempty"`
	Channels []Reading     `json:"channels"`
	Lead     int           `json:"lead"` // the place among them of what the forecast is about; −1 where nobody measures it
	Expected Expectation   `json:"expected"`
	Outside  []string      `json:"outside,omitempty"` // inputs and outputs outside of what the model was learned on
	Why      string        `json:"why,omitempty"`     // what causes the change that is forecast
	Change   Change        `json:"change"`            // the same in numbers
	Program  string        `json:"program,omitempty"` // of the machine: what it does next
	Layer    int           `json:"layer"`             // that the program lays; −1 where none is known
	Lap      *Lap          `json:"lap,omitempty"`     // by which the leading output repeats itself; nil where none is known
	Next     []Next        `json:"next,omitempty"`    // what the program does, the nearest first
	Advice   string        `json:"advice,omitempty"`
	Kind     string        `json:"advice_kind,omitempty"` // none, hold, change or unreachable
	Advised  Advised       `json:"advised"`
	Loops    []LoopStatus  `json:"loops,omitempty"`
	Alarms   alarm.Listing `json:"alarms"`
	Sources  []SourceState `json:"sources"`
	Records  uint64        `json:"records"`                 // that went into the journal
	Waiting  int           `json:"waiting"`                 // batches that wait for InfluxDB; −1 where nothing is uploaded
	Disk     string        `json:"journal_error,omitempty"` // why the journal records nothing; "" while it records
	Lost     uint64        `json:"lost"`                    // lines that the disk did not take
}

// Reading is one channel.
type Reading struct {
	Name    string  `json:"name"`
	Role    string  `json:"role,omitempty"` // what it is: see [sensors.Role]
	Unit    string  `json:"unit"`
	Value   Number  `json:"value"`             // null where nothing was received
	Age     Number  `json:"age_s"`             // since it was measured; null where nothing was received, or the age is not known
	Quality string  `json:"quality,omitempty"` // "" is good, else as [sensors.Status] says it
	Trusted bool    `json:"trusted"`           // the value is a measurement: shown, also where it is out of specification
	Low     *Number `json:"low,omitempty"`     // what people want it to stay above, see [Limit]; nil: nothing
	High    *Number `json:"high,omitempty"`    // and below
}

// Change is what the model expects to happen to the leading output, and what of.
type Change struct {
	Total  Number  `json:"total"`   // in the unit of the leading output
	Ahead  Number  `json:"ahead_s"` // over that time
	Causes []Cause `json:"causes,omitempty"`
	Terms  []Term  `json:"terms,omitempty"`
}

// Cause is an input that moves, or "settling": the shares of all add up to the total.
type Cause struct {
	Name  string `json:"name"`
	Share Number `json:"share"` // in the unit of the leading output
	From  Number `json:"from"`  // of an input, in Unit: its mean over the last minute, and its mean ahead; else null
	To    Number `json:"to"`
	Unit  string `json:"unit,omitempty"`
}

// Term is a term of the equation, with what it does beyond what it did over the last minute.
type Term struct {
	Name string `json:"name"`
	Part Number `json:"part"` // in the unit of the leading output
}

// Lap is how the temperature comes and goes with the passes of the tool, as the readings show it: see [filter.Lap].
type Lap struct {
	Length  Number `json:"length_s"`
	Number  int    `json:"number"`  // since the tool began to deposit, from 1
	Through Number `json:"through"` // share of it that has passed, 0 to 1
}

// Next is something that the machine's program will do.
type Next struct {
	Event string `json:"event"` // as [program.EventKind] says it
	In    Number `json:"in_s"`  // null where a wait of unknown length comes before
	Text  string `json:"text"`
}

// Advised is advice in numbers; null without advice.
type Advised struct {
	SetPoint  Number `json:"set_point"`       // °C
	Pace      Number `json:"pace"`            // feed and path velocity together, % of what they are; null: as they are
	Predicted Number `json:"predicted"`       // °C, expected at the longest horizon with the inputs as they are
	Expires   Number `json:"expires_s"`       // from now
	Tick      uint64 `json:"tick"`            // that it rests on
	Model     string `json:"model,omitempty"` // that it rests on, with when it was learned

	Horizon []float64 `json:"horizon_s,omitempty"` // of what follows; empty where the model has no plan
	With    *Prospect `json:"with,omitempty"`      // what is expected if it is followed
	Without *Prospect `json:"without,omitempty"`   // and as things are
	Ways    []WayOut  `json:"ways_out,omitempty"`  // where the set-point cannot be reached, the least change first
}

// Prospect is what is expected of tool temperature (°C) and spindle speed (rpm).
type Prospect struct {
	Temperature Course `json:"temperature"`
	Speed       Course `json:"speed"`
}

// WayOut is something to set otherwise, by which the set-point can be reached.
type WayOut struct {
	What string `json:"what"`
	From Number `json:"from"`
	To   Number `json:"to"`
	Unit string `json:"unit"`
}

// advisedOf is advice in numbers.
func advisedOf(s *Snapshot) Advised {
	r := &s.Advice
	v := Advised{SetPoint: Number(r.SetPoint), Pace: Number(r.Percent()), Predicted: Number(r.Predicted), Expires: Number(r.ExpiresIn), Tick: s.Tick, Model: s.Model}
	if !math.IsNaN(r.Without.Last().Speed) && r.Kind != control.NoAdvice {
		v.Horizon, v.With, v.Without = control.Horizons(), prospectOf(&r.With), prospectOf(&r.Without)
	}
	for _, w := range r.Ways {
		if w.What != "" {
			v.Ways = append(v.Ways, WayOut{w.What, Number(w.From), Number(w.To), w.Unit})
		}
	}
	return v
}

func prospectOf(c *control.Course) *Prospect {
	p := &Prospect{}
	for i := range c {
		add := func(to *Course, mean, lower, upper float64) {
			to.Mean, to.Lower, to.Upper = append(to.Mean, Number(mean)), append(to.Lower, Number(lower)), append(to.Upper, Number(upper))
		}
		add(&p.Temperature, c[i].Temperature, c[i].Lower, c[i].Upper)
		add(&p.Speed, c[i].Speed, c[i].SpeedLower, c[i].SpeedUpper)
	}
	return p
}

// Expectation is the forecast of the leading output, in Unit, by horizon.
type Expectation struct {
	Unit      string    `json:"unit,omitempty"`
	Horizon   []float64 `json:"horizon_s"` // rising; empty without a model
	Course              // under the condition
	Condition string    `json:"condition,omitempty"` // if nothing stops, or as the program says
	Stopped   Course    `json:"stopped"`             // if the machine stops now; empty where it does not work
	By        string    `json:"by,omitempty"`        // on whom that of the longest horizon rests
}

// none stands for a number that is not known.
var none = Number(math.NaN())

// NoView is a view that shows nothing yet.
func NoView() View {
	return View{Lead: -1, Layer: -1, Waiting: -1, Channels: []Reading{}, Expected: Expectation{Horizon: []float64{}, Course: noCourse(), Stopped: noCourse()}, Alarms: alarm.Listing{Alarms: []alarm.Alarm{}}, Sources: []SourceState{},
		Change: Change{Total: none, Ahead: none}, Advised: Advised{SetPoint: none, Predicted: none, Expires: none}}
}

func noCourse() Course { return Course{[]Number{}, []Number{}, []Number{}} }

// View tells what a live view shows. Safe for concurrent use.
func (a *Agent) View() View {
	var s Snapshot
	a.Snapshot(&s)
	v := NoView()
	v.Time, v.Tick, v.Running, v.Layer, v.Outside = s.Time, s.Tick, s.Running, s.Program.Layer, s.Estimate.Outside
	v.Loops, v.Alarms, v.Sources = a.Loops(), a.Alarms().List(), a.SourceStates()
	if s.Tick > 0 {
		v.Phase = s.Phase.String()
	} else {
		v.Time, v.Layer = 0, -1
	}
	for i := range a.opt.Registry.Len() {
		c := a.opt.Registry.Channel(sensors.ChannelID(i))
		r := Reading{Name: c.Name, Role: string(c.Role), Unit: c.Unit.String(), Value: Number(s.Value[i]), Age: none, Trusted: s.Status[i].IsGood() || s.Status[i].Signal == sensors.OutOfSpecification}
		if !s.Status[i].IsGood() {
			r.Quality = s.Status[i].String()
		}
		if s.Status[i].Reason != sensors.NeverSeen && s.Tick > 0 {
			r.Age = Number(s.Age[i].Seconds())
		}
		r.Low, r.High = a.limits.of(sensors.ChannelID(i))
		v.Channels = append(v.Channels, r)
	}
	if v.Lead = s.lead; v.Lead < 0 { // no output of a model leads
		if id, ok := a.opt.Registry.Find(sensors.ToolTemperature); ok {
			v.Lead = int(id)
		}
	}
	if len(s.Forecast.Outputs) > 0 {
		v.Expected = expectationOf(&s.Forecast, s.Leading, s.Unit)
		if l := s.Forecast.Lap; l.Length > 0 {
			v.Lap = &Lap{Number(l.Length), l.Number, Number(l.Through)}
		}
		if len(s.Why) > 0 {
			why := &s.Why[s.Leading]
			v.Why = WhyText(why.Total, why.Cause, fmt.Sprintf("%.0f s", s.WhyAhead), v.Expected.Unit)
			v.Change = changeOf(why, s.WhyAhead)
		}
	}
	v.Program = s.Program.Text()
	for _, e := range s.Program.Next {
		v.Next = append(v.Next, Next{e.Kind.String(), Number(e.In), e.String()})
	}
	if v.Advice = s.Advice.Reason; v.Advice != "" {
		v.Kind = s.Advice.Kind.String()
		v.Advised = advisedOf(&s)
	}
	if j := a.opt.Journal; j != nil {
		done := j.Stats()
		v.Records, v.Lost = done.Lines, done.Lost
		if !done.Recording {
			v.Disk = cmp.Or(done.Err, "it has stopped")
		}
		if j.Uploads() {
			if b, err := j.Backlog(); err == nil {
				v.Waiting = b.Batches
			}
		}
	}
	return v
}

// Good reports whether the channel that leads has a good value.
func (v *View) Good() bool {
	return v.Lead >= 0 && v.Lead < len(v.Channels) && v.Channels[v.Lead].Quality == "" && !math.IsNaN(float64(v.Channels[v.Lead].Value))
}

// Unadvised reports whether what is advised is that nothing be changed.
func (v *View) Unadvised() bool {
	return v.Kind == "" || v.Kind == control.NoAdvice.String() || v.Kind == control.Hold.String()
}

func expectationOf(f *filter.Forecast, leading int, unit string) Expectation {
	x := &f.Outputs[leading]
	n := len(f.Horizon)
	e := Expectation{Unit: unit, Horizon: slices.Clone(f.Horizon), Course: Course{Numbers(x.Mean), Numbers(x.Lower), Numbers(x.Upper)}, Condition: f.Condition(), Stopped: noCourse()}
	if len(x.Stopped.Mean) >= n {
		e.Stopped = Course{Numbers(x.Stopped.Mean), Numbers(x.Stopped.Lower), Numbers(x.Stopped.Upper)}
	}
	if n > 0 && len(x.By) >= n && !math.IsNaN(x.Mean[n-1]) {
		by := &x.By[n-1]
		e.By = fmt.Sprintf("in %.0f s by %s", f.Horizon[n-1], by.Text(unit))
		if doubt := by.Doubt.Text(); doubt != "" {
			e.By += "; " + doubt
		}
	}
	return e
}

func changeOf(why *filter.Attribution, ahead float64) Change {
	c := Change{Total: Number(why.Total), Ahead: Number(ahead)}
	for _, x := range why.Cause {
		c.Causes = append(c.Causes, Cause{x.Name, Number(x.Share), Number(x.From), Number(x.To), x.Unit})
	}
	for i, name := range why.Term {
		c.Terms = append(c.Terms, Term{name, Number(why.Part[i])})
	}
	return c
}

// Numbers are floats as they go over the socket.
func Numbers(v []float64) []Number {
	n := make([]Number, len(v))
	for i := range v {
		n[i] = Number(v[i])
	}
	return n
}

// Text is "in 60 s 476 °C if nothing stops (95 %: 467 to 485)", or empty where nothing is forecast.
func (e *Expectation) Text() string {
	n := len(e.Horizon)
	if n == 0 || len(e.Mean) < n || math.IsNaN(float64(e.Mean[n-1])) {
		return ""
	}
	w := fmt.Sprintf("in %.0f s %.0f %s", e.Horizon[n-1], float64(e.Mean[n-1]), e.Unit)
	if e.Condition != "" {
		w += " " + e.Condition
	}
	return w + fmt.Sprintf(" (95 %%: %.0f to %.0f)", float64(e.Lower[n-1]), float64(e.Upper[n-1]))
}

// StoppedText is "310 °C (290 to 330) if it stops now", or empty where that is no question.
func (e *Expectation) StoppedText() string {
	n := len(e.Horizon)
	if n == 0 || len(e.Stopped.Mean) < n || math.IsNaN(float64(e.Stopped.Mean[n-1])) {
		return ""
	}
	return fmt.Sprintf("%.0f %s (%.0f to %.0f) if it stops now", float64(e.Stopped.Mean[n-1]), e.Unit, float64(e.Stopped.Lower[n-1]), float64(e.Stopped.Upper[n-1]))
}

// mostNext are the events of a program that are told of.
const mostNext = 4

// Text is "bar.nc line 31, layer 3: layer 4 starts in 31 s, reload in 40 s", or why there is none; empty without a
// program.
func (s *Programmed) Text() string {
	switch {
	case s.Name == "":
		return ""
	case s.State == program.Misfit:
		return s.Name + " does not fit and is not used: " + s.Why
	case s.State != program.Following:
		return s.Name + ": " + s.State.String()
	}
	w := fmt.Sprintf("%s line %d", s.Name, s.Line)
	if s.Layer >= 0 {
		w += fmt.Sprintf(", layer %d", s.Layer)
	}
	var next []string
	for _, e := range s.Next[:min(mostNext, len(s.Next))] {
		next = append(next, e.String())
	}
	if len(next) > 0 {
		w += ": " + strings.Join(next, ", ")
	}
	return w
}

// WhyText splits a change that is forecast, total in unit over the time ahead ("30 s"), over what causes it, the largest
// first. It is empty where no cause is known.
func WhyText(total float64, causes []filter.Cause, ahead, unit string) string {
	if len(causes) == 0 || math.IsNaN(total) {
		return ""
	}
	causes = slices.Clone(causes)
	slices.SortStableFunc(causes, func(a, b filter.Cause) int { return cmp.Compare(math.Abs(b.Share), math.Abs(a.Share)) })
	var parts []string
	for _, c := range causes {
		if math.Abs(c.Share) < 0.5 {
			continue
		}
		part := fmt.Sprintf("%s %+.0f", c.Name, c.Share)
		if !math.IsNaN(c.From) {
			part += fmt.Sprintf(" (%.4g → %.4g %s)", c.From, c.To, c.Unit)
		}
		parts = append(parts, part)
	}
	w := fmt.Sprintf("%+.0f %s in the next %s", total, unit, ahead)
	if parts == nil {
		return w
	}
	return w + " = " + strings.Join(parts, ", ")
}
