package history

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/control"
	"stirwatch/dynamics/filter"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// Point is one reading of the channel that a follower draws; NaN where it was not good.
type Point struct {
	Time  int64 // ns since the Unix epoch
	Value float64
}

// Happening is an entry of the journal that people want to see: an alarm that comes, goes or is acknowledged, what
// befell a source or the record, advice, a command, a run.
type Happening struct {
	Time int64 // ns since the Unix epoch
	Text string
	Bad  bool // an alarm is raised, a source is lost
}

const (
	followPast    = 3 * time.Minute // of readings that are kept
	followEvent   = time.Hour       // how far back events are looked for
	followBatches = 64              // read of a record of which nothing is of that time
	mostEvents    = 200
)

// Follower reads out of a journal what a live view shows, also while an agent records into it: the last minutes of
// one channel, the last events, and how everything stood last. It is for one goroutine.
type Follower struct {
	Points []Point     // of the last three minutes, rising in time
	Events []Happening // the oldest first
	Last   int64       // when the journal was written last, ns since the Unix epoch; 0: never

	reader  *journal.Reader
	lead    string // the channel that is drawn
	inUnit  string // of Points; "": as recorded
	convert map[string]unit.Map

	after    int64
	view     agent.View
	place    map[string]int // of channels in view
	forecast map[string][]record.Forecast
	made     int64
	cause    record.Attribution
	causes   []filter.Cause
	advice   record.Recommendation
	sources  map[string]record.SourceHealth
	seen     map[Happening]bool

	samples  record.Decoder[record.Sample]
	futures  record.Decoder[record.Forecast]
	whys     record.Decoder[record.Attribution]
	alarms   record.Decoder[record.Alarm]
	events   record.Decoder[record.Event]
	advices  record.Decoder[record.Recommendation]
	commands record.Decoder[record.Command]
	health   record.Decoder[record.SourceHealth]
}

// NewFollower follows a journal and draws the channel lead, in the unit named ("": as it was recorded).
func NewFollower(r *journal.Reader, lead, unitName string) *Follower {
	return &Follower{reader: r, lead: lead, inUnit: unitName, convert: map[string]unit.Map{}, place: map[string]int{},
		forecast: map[string][]record.Forecast{}, sources: map[string]record.SourceHealth{}, seen: map[Happening]bool{},
		view: agent.NoView()}
}

// Next reads what has been recorded since it was called last; at first, the last hour of the record.
func (f *Follower) Next(ctx context.Context) error {
	last, err := f.reader.LastCommit()
	if err != nil || last == 0 {
		return err
	}
	f.Last = last
	first := f.after == 0
	f.after, err = f.reader.Follow(ctx, f.after, last-int64(followEvent), f.lines)
	if err == nil && first && len(f.view.Channels) == 0 { // what was replayed was measured long before it was written
		f.after, err = f.reader.Follow(ctx, max(0, f.after-followBatches), math.MinInt64, f.lines)
	}
	if err != nil {
		return err
	}
	if err := f.runMarks(); err != nil {
		return err
	}
	slices.SortStableFunc(f.Events, func(a, b Happening) int { return cmp.Compare(a.Time, b.Time) })
	if n := len(f.Events); n > mostEvents {
		f.Events = slices.Delete(f.Events, 0, n-mostEvents)
		clear(f.seen)
		for _, e := range f.Events {
			f.seen[e] = true
		}
	}
	if n := len(f.Points); n > 0 {
		from := f.Points[n-1].Time - int64(followPast)
		k, _ := slices.BinarySearchFunc(f.Points, from, func(p Point, at int64) int { return cmp.Compare(p.Time, at) })
		f.Points = slices.Delete(f.Points, 0, k)
	}
	return nil
}

// lines takes over the lines of one batch.
func (f *Follower) lines(lines []byte) error {
	const from, to = math.MinInt64, math.MaxInt64
	bad := func(error) {}
	for _, err := range []error{
		f.samples.Lines(lines, from, to, bad, f.sample),
		f.futures.Lines(lines, from, to, bad, f.expect),
		f.whys.Lines(lines, from, to, bad, f.why),
		f.alarms.Lines(lines, from, to, bad, f.alarm),
		f.events.Lines(lines, from, to, bad, f.event),
		f.advices.Lines(lines, from, to, bad, f.advise),
		f.commands.Lines(lines, from, to, bad, f.command),
		f.health.Lines(lines, from, to, bad, func(h *record.SourceHealth) error { f.sources[h.Source] = *h; return nil }),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Follower) sample(s *record.Sample) error {
	i, known := f.place[s.Channel]
	if !known {
		i = len(f.view.Channels)
		f.place[s.Channel] = i
		f.view.Channels = append(f.view.Channels, agent.Reading{Name: s.Channel, Age: agent.Number(math.NaN())})
		if s.Channel == f.lead {
			f.view.Lead = i
		}
	}
	r := &f.view.Channels[i]
	r.Unit, r.Value, r.Quality = s.Unit, agent.Number(s.Value), s.Quality
	r.Trusted = (s.Quality == "" || s.Quality == sensors.OutOfSpecification.String()) && !math.IsNaN(s.Value)
	if s.Reason != "" {
		r.Quality += ": " + s.Reason
	}
	f.view.Time = max(f.view.Time, s.Time)
	if s.Channel != f.lead || len(f.Points) > 0 && s.Time <= f.Points[len(f.Points)-1].Time {
		return nil
	}
	v := math.NaN()
	if s.Quality == "" {
		v = f.value(s.Value, s.Unit)
	}
	f.Points = append(f.Points, Point{s.Time, v})
	return nil
}

// value is a reading in the unit that is drawn; one that cannot be converted is NaN.
func (f *Follower) value(v float64, in string) float64 {
	if f.inUnit == "" {
		return v
	}
	m, ok := f.convert[in]
	if !ok {
		from, err := unit.Parse(in)
		to, err2 := unit.Parse(f.inUnit)
		if err == nil && err2 == nil {
			m, err = unit.Between(from, to)
		}
		if err != nil || err2 != nil {
			return math.NaN()
		}
		f.convert[in] = m
	}
	return m.Apply(v)
}

func (f *Follower) expect(x *record.Forecast) error {
	if x.Made < f.made {
		return nil
	}
	if x.Made > f.made {
		f.made = x.Made
		clear(f.forecast)
	}
	f.forecast[x.State] = append(f.forecast[x.State], *x)
	return nil
}

func (f *Follower) why(x *record.Attribution) error {
	if x.Of != "cause" || x.Output != f.output() && f.output() != "" || x.Time < f.cause.Time {
		return nil
	}
	f.cause, f.causes = *x, f.causes[:0]
	for i, name := range x.Parts.Name {
		f.causes = append(f.causes, filter.Cause{Name: name, Share: x.Parts.Value[i], From: math.NaN(), To: math.NaN()})
	}
	f.cause.Parts = record.Parts{}
	return nil
}

// output is the output of the model that is shown: the tool temperature, else the first by name.
func (f *Follower) output() string {
	if _, ok := f.forecast[string(sensors.ToolTemperature)]; ok {
		return string(sensors.ToolTemperature)
	}
	first := ""
	for name := range f.forecast {
		if first == "" || name < first {
			first = name
		}
	}
	return first
}

// alarmWords are the steps of an alarm that a person wants to read of.
var alarmWords = map[alarm.Event]string{alarm.Raise: "", alarm.Return: "over", alarm.Ack: "acknowledged", alarm.Reset: "reset", alarm.Shelve: "shelved", alarm.Unshelve: "no longer shelved"}

func (f *Follower) alarm(a *record.Alarm) error {
	word, ok := alarmWords[alarm.Event(a.Event)]
	if !ok || a.State == alarm.Suppressed.String() {
		return nil
	}
	text := a.Text
	if text == "" {
		text = alarm.Key{Code: anomaly.Code(a.Code), Subject: a.Subject}.String()
	}
	if word != "" {
		if a.Who != "" {
			word += " by " + a.Who
		}
		text = word + ": " + text
	}
	if a.Why != "" {
		text += " (" + a.Why + ")"
	}
	f.happened(Happening{a.Time, text, word == ""})
	return nil
}

func (f *Follower) event(e *record.Event) error {
	text := e.Source + " " + strings.ReplaceAll(e.Kind, "_", " ")
	if e.Text != "" {
		text += ": " + e.Text
	}
	f.happened(Happening{e.Time, text, e.Kind == "disconnected" || e.Kind == "silent" || e.Kind == record.Still})
	return nil
}

func (f *Follower) advise(a *record.Recommendation) error {
	was := f.advice
	if a.Time < was.Time {
		return nil
	}
	f.advice = *a
	if a.Kind != was.Kind && (was.Kind != "" || a.Kind != control.NoAdvice.String()) { // its numbers move all the time
		f.happened(Happening{a.Time, "advice: " + a.Reason, false})
	}
	return nil
}

func (f *Follower) command(c *record.Command) error {
	f.happened(Happening{c.Time, fmt.Sprintf("command: %s %s %.4g %s, by %s: %s", c.Target, c.Verdict, c.Asked, c.Unit, c.Who, c.Reason), c.Verdict == "failed" || c.Verdict == "refused"})
	return nil
}

func (f *Follower) runMarks() error {
	all, err := f.reader.Runs()
	if err != nil {
		return err
	}
	f.view.Running = false
	for _, r := range all[max(0, len(all)-10):] {
		f.happened(Happening{r.Start, "run " + r.Name + " begins", false})
		if r.End > 0 {
			f.happened(Happening{r.End, "run " + r.Name + " ends", false})
		}
		f.view.Running = r.End == 0
	}
	return nil
}

func (f *Follower) happened(h Happening) {
	if !f.seen[h] {
		f.seen[h] = true
		f.Events = append(f.Events, h)
	}
}

// View is how everything stood when the journal was last written. It fails where the alarms cannot be read; the rest is
// there anyway.
func (f *Follower) View() (agent.View, error) {
	v := f.view
	v.Channels = slices.Clone(f.view.Channels)
	rows := f.forecast[f.output()]
	x := &v.Expected
	if len(rows) > 0 && f.view.Time-f.made < int64(time.Minute) {
		x.Unit, x.Condition = f.inUnit, rows[0].Condition
		rows = slices.Clone(rows)
		slices.SortFunc(rows, func(a, b record.Forecast) int { return cmp.Compare(a.Time, b.Time) })
		rows = slices.CompactFunc(rows, func(a, b record.Forecast) bool { return a.Time == b.Time })
		for _, r := range rows {
			x.Horizon = append(x.Horizon, float64(r.Time-f.made)/1e9)
			x.Mean, x.Lower, x.Upper = append(x.Mean, agent.Number(r.Value)), append(x.Lower, agent.Number(r.Lower)), append(x.Upper, agent.Number(r.Upper))
			x.Stopped.Mean, x.Stopped.Lower, x.Stopped.Upper = append(x.Stopped.Mean, agent.Number(r.Stopped)), append(x.Stopped.Lower, agent.Number(r.StoppedLower)), append(x.Stopped.Upper, agent.Number(r.StoppedUpper))
		}
		last := &rows[len(rows)-1]
		x.By = fmt.Sprintf("in %s by %s %.0f %%", last.Horizon, last.By, 100*last.Weight)
		if !math.IsNaN(last.RMSE) {
			x.By += fmt.Sprintf(", %.1f %s off", last.RMSE, x.Unit)
		}
		if last.Doubt != "" {
			x.By += "; " + last.Doubt
		}
		if f.cause.Time != 0 && f.view.Time-f.cause.Time <= int64(time.Minute) {
			v.Why = agent.WhyText(f.cause.Total, f.causes, f.cause.Horizon, f.inUnit)
		}
	}
	if v.Time < f.advice.Expires {
		v.Advice, v.Kind = f.advice.Reason, f.advice.Kind
	}
	alarms, err := agent.RememberedAlarms(f.reader)
	v.Alarms = alarms
	for _, name := range slices.Sorted(maps.Keys(f.sources)) {
		h := f.sources[name]
		v.Sources = append(v.Sources, agent.SourceState{Name: name, Snapshot: sensors.Snapshot{Connected: h.Connected, Messages: uint64(h.Messages), Rejected: uint64(h.Rejected), Gaps: uint64(h.Gaps)}})
	}
	return v, err
}
