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
	Time     int64  // of the tick, ns since the Unix epoch; 0: nothing has come yet
	Running  bool   // a run is going on
	Phase    string `json:",omitempty"`
	Channels []Reading
	Lead     int // the place among them of what the forecast is about; −1 where nobody measures it
	Expected Expectation
	Why      string `json:",omitempty"` // what causes the change that is forecast
	Program  string `json:",omitempty"` // of the machine: what it does next
	Advice   string `json:",omitempty"`
	Kind     string `json:",omitempty"` // of the advice: none, hold, change or unreachable
	Alarms   alarm.Listing
	Sources  []SourceState
	Records  uint64 // that went into the journal
	Waiting  int    // batches that wait for InfluxDB; −1 where nothing is uploaded
}

// Reading is one channel.
type Reading struct {
	Name, Unit string
	Value      Number // null where nothing was received
	Quality    string `json:",omitempty"` // "" is good, else as [sensors.Status] says it
	Trusted    bool   // the value is a measurement: shown, also where it is out of specification
}

// Expectation is the forecast of the leading output, in Unit, by horizon.
type Expectation struct {
	Unit      string    `json:",omitempty"`
	Horizon   []float64 // s, rising; empty without a model
	Course              // under the condition
	Condition string    `json:",omitempty"` // if nothing stops, or as the program says
	Stopped   Course    // if the machine stops now; empty where it does not work
	By        string    `json:",omitempty"` // on whom that of the longest horizon rests
}

// lead says which channel a view leads with: that which feeds the leading output of the model, else the
// tool temperature.
func (a *Agent) lead() (id sensors.ChannelID, ok bool) {
	if e := a.estimator; e != nil {
		if s := &e.out[e.filter.Leading()]; s.known {
			return s.id, true
		}
	}
	return a.opt.Registry.Find(sensors.ToolTemperature)
}

// View tells what a live view shows. Safe for concurrent use.
func (a *Agent) View() View {
	var s Snapshot
	a.Snapshot(&s)
	v := View{Time: s.Time, Running: s.Running, Lead: -1, Alarms: a.Alarms().List(), Sources: a.sources(), Waiting: -1}
	if s.Tick > 0 {
		v.Phase = s.Phase.String()
	} else {
		v.Time = 0
	}
	for i := range a.opt.Registry.Len() {
		c := a.opt.Registry.Channel(sensors.ChannelID(i))
		r := Reading{Name: c.Name, Unit: c.Unit.String(), Value: Number(s.Value[i]), Trusted: s.Status[i].IsGood() || s.Status[i].Signal == sensors.OutOfSpecification}
		if !s.Status[i].IsGood() {
			r.Quality = s.Status[i].String()
		}
		v.Channels = append(v.Channels, r)
	}
	if id, ok := a.lead(); ok {
		v.Lead = int(id)
	}
	if len(s.Forecast.Outputs) > 0 {
		v.Expected = expectationOf(&s.Forecast, s.Leading, a.estimator.model.Outputs[s.Leading].Unit)
		if len(s.Why) > 0 {
			why := &s.Why[s.Leading]
			v.Why = WhyText(why.Total, why.Cause, fmt.Sprintf("%.0f s", s.WhyAhead), v.Expected.Unit)
		}
	}
	v.Program = s.Program.Text()
	if v.Advice = s.Advice.Reason; v.Advice != "" {
		v.Kind = s.Advice.Kind.String()
	}
	if j := a.opt.Journal; j != nil {
		v.Records = j.Stats().Lines
		if j.Uploads() {
			if b, err := j.Backlog(); err == nil {
				v.Waiting = b.Batches
			}
		}
	}
	return v
}

// Good tells whether the channel that leads has a good value.
func (v *View) Good() bool {
	return v.Lead >= 0 && v.Lead < len(v.Channels) && v.Channels[v.Lead].Quality == "" && !math.IsNaN(float64(v.Channels[v.Lead].Value))
}

// Unadvised tells whether what is advised is that nothing be changed.
func (v *View) Unadvised() bool {
	return v.Kind == "" || v.Kind == control.NoAdvice.String() || v.Kind == control.Hold.String()
}

func expectationOf(f *filter.Forecast, leading int, unit string) Expectation {
	x := &f.Outputs[leading]
	n := len(f.Horizon)
	e := Expectation{Unit: unit, Horizon: slices.Clone(f.Horizon), Course: Course{numbers(x.Mean), numbers(x.Lower), numbers(x.Upper)}, Condition: f.Condition()}
	if len(x.Stopped.Mean) >= n {
		e.Stopped = Course{numbers(x.Stopped.Mean), numbers(x.Stopped.Lower), numbers(x.Stopped.Upper)}
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

func numbers(v []float64) []Number {
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
