package agent

import (
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
)

// firstWait is how long the first sample of a channel, or of a source, may take after the start.
const firstWait = 10 * time.Second

// watch scores the anomalies of sources, channels, outputs and the agent's own health at each tick.
type watch struct {
	set     *anomaly.Set
	reg     *sensors.Registry
	sources []string
	model   *model.Model

	// Indices into the set. Those of a channel are of its first member; the others follow it.
	source  []int
	channel []int // of the first of sensorCodes
	output  []int
	retired []int // of outputs of models that are no longer in use
	outside int
	blind   int
	health  [len(healthCodes)]int // below 0: not watched

	origin []atomic.Int32 // by channel: the source that last fed it, anomaly.None if none has
	fedBy  []int          // the same as the set knows it
	unseen []float64      // by output: s since its measurement was last new
	lived  time.Duration
}

var sensorCodes = [...]anomaly.Code{anomaly.SensorMissing, anomaly.SensorFailure, anomaly.SensorOutOfRange, anomaly.SensorRate}

func newWatch(reg *sensors.Registry, sources []sensors.Source, m *model.Model, has func(anomaly.Code) bool) *watch {
	n := reg.Len()
	w := &watch{set: &anomaly.Set{}, reg: reg, origin: make([]atomic.Int32, n), fedBy: make([]int, n)}
	for i, s := range sources {
		w.sources = append(w.sources, s.Name())
		w.source = append(w.source, w.set.Add(anomaly.SourceMissing, anomaly.Subject{Source: i, Channel: anomaly.None}))
	}
	about := func(channel int) anomaly.Subject {
		return anomaly.Subject{Source: anomaly.None, Channel: channel}
	}
	for ch := range n {
		w.origin[ch].Store(anomaly.None)
		w.fedBy[ch] = anomaly.None
		for i, code := range sensorCodes {
			if k := w.set.Add(code, about(ch)); i == 0 {
				w.channel = append(w.channel, k)
			}
		}
	}
	for i, code := range healthCodes {
		if w.health[i] = -1; has(code) {
			w.health[i] = w.set.Add(code, about(anomaly.None))
		}
	}
	if m != nil {
		w.take(m)
	}
	return w
}

// take judges what m says from now on.
func (w *watch) take(m *model.Model) {
	was := w.output
	if w.model != nil {
		was = append(was, w.blind)
	}
	w.model, w.output = m, nil
	for _, out := range m.Outputs {
		w.output = append(w.output, w.set.Place(anomaly.Innovation, w.measured(out.Name)))
	}
	w.unseen = make([]float64, len(m.Outputs))
	w.outside = w.set.Place(anomaly.OutsideTraining, anomaly.None)
	lead := w.measured(m.Outputs[m.LeadingIndex()].Name)
	w.blind = w.set.Place(anomaly.ModelBlind, lead)
	if lead >= 0 && w.fedBy[lead] != anomaly.None {
		w.set.Feeds(w.blind, w.fedBy[lead])
	}
	w.retired = slices.DeleteFunc(append(w.retired, was...), func(k int) bool { return k == w.blind || slices.Contains(w.output, k) })
}

// measured is the channel of an output.
func (w *watch) measured(output string) int {
	if id, ok := w.reg.Find(sensors.Role(output)); ok {
		return int(id)
	}
	return anomaly.None
}

// feed hands samples of one source in, and notes which channels it feeds.
type feed struct {
	*Agent
	source int32
}

func (f feed) Emit(samples []sensors.Sample, ack sensors.Acker) {
	f.note(samples)
	f.Agent.Emit(samples, ack)
}

func (f feed) EmitUpTo(samples []sensors.Sample, source string, place []byte) {
	f.note(samples)
	f.Agent.EmitUpTo(samples, source, place)
}

func (f feed) Known(samples []sensors.Sample) {
	f.note(samples)
	f.Agent.Known(samples)
}

// note remembers which channels the source feeds.
func (f feed) note(samples []sensors.Sample) {
	for i := range samples {
		if at := &f.watch.origin[samples[i].Channel]; at.Load() != f.source {
			at.Store(f.source)
		}
	}
}

// learnOrigins takes over from the sources' goroutines which source feeds which channel.
func (w *watch) learnOrigins() {
	for ch := range w.fedBy {
		source := int(w.origin[ch].Load())
		if source == w.fedBy[ch] {
			continue
		}
		w.fedBy[ch] = source
		for i := range sensorCodes {
			w.set.Feeds(w.channel[ch]+i, source)
		}
		if w.model != nil && ch == w.measured(w.model.Outputs[w.model.LeadingIndex()].Name) {
			w.set.Feeds(w.blind, source)
		}
	}
}

// judge takes one tick. It allocates only where an anomaly is raised.
func (w *watch) judge(dt time.Duration, f *sensors.Frame, e *estimator, h *health) {
	w.set.Tick()
	w.learnOrigins()
	w.lived += dt
	s := dt.Seconds()
	for i, k := range w.source {
		if w.set.Step(k, s, score(w.silent(i, f))) == anomaly.Raised {
			w.set.Covers(k, w.channelsOf(i))
		}
	}
	for ch, k := range w.channel {
		st := f.Status[ch]
		w.set.Step(k, s, score(w.missing(st)))
		w.set.Step(k+1, s, score(st.Signal == sensors.Failure && st.Reason != sensors.Unwired)) // nobody expects a value there
		w.set.Step(k+2, s, score(st.Signal == sensors.OutOfSpecification && st.Reason == sensors.OutOfRange))
		w.set.Step(k+3, s, score(st.Signal == sensors.OutOfSpecification && st.Reason == sensors.RateOfChange))
	}
	for i, k := range w.health {
		if k >= 0 {
			w.set.Step(k, s, score(h.found[i].Load() != nil))
		}
	}
	if e == nil {
		return
	}
	for i, k := range w.output {
		w.unseen[i] += s
		if ratio := e.estimate.Ratio[i]; !math.IsNaN(ratio) { // else nothing new is measured
			w.set.Step(k, w.unseen[i], ratio)
			w.unseen[i] = 0
		}
	}
	for _, k := range w.retired {
		w.set.Step(k, s, 0)
	}
	w.set.Step(w.outside, s, score(len(e.estimate.Outside) > 0))
	w.set.Step(w.blind, s, score(e.estimate.Blind && w.lived > firstWait))
}

func (w *watch) missing(st sensors.Status) bool {
	return st.Signal == sensors.Missing && (st.Reason != sensors.NeverSeen || w.lived > firstWait)
}

// together is by how much the last values of channels may lie apart that a source sent together.
const together = time.Second

// silent reports whether source i, of several channels, says nothing: one of them is missing, and nothing has come since its last
// value, though others may be patient for longer; or it has never said anything, and there are channels that nobody feeds.
func (w *watch) silent(i int, f *sensors.Frame) bool {
	feeds, orphans := 0, 0
	newest, overdue := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for ch, source := range w.fedBy {
		missing := w.missing(f.Status[ch])
		switch {
		case source == anomaly.None && missing:
			orphans++
		case source == i:
			feeds++
			newest = min(newest, f.Age[ch])
			if missing {
				overdue = min(overdue, f.Age[ch])
			}
		}
	}
	return feeds > 1 && overdue-together <= newest || feeds == 0 && orphans > 0
}

// channelsOf are those that source i feeds, or that nobody feeds where it has fed none yet.
func (w *watch) channelsOf(i int) (fed []int) {
	var orphans []int
	for ch, source := range w.fedBy {
		switch source {
		case i:
			fed = append(fed, ch)
		case anomaly.None:
			orphans = append(orphans, ch)
		}
	}
	if fed == nil {
		return orphans
	}
	return fed
}

func score(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// text describes an anomaly for people; one of a source with the channels that it feeds.
func (w *watch) text(a anomaly.Anomaly) string {
	text := a.Code.Text()
	if anomaly.Of(a.Code).About != anomaly.AboutSource {
		return text
	}
	var names []string
	for _, ch := range a.Channels {
		names = append(names, w.reg.Channel(sensors.ChannelID(ch)).Name)
	}
	return text + ": " + strings.Join(names, ", ")
}

// subject is the channel or source that an anomaly is about, "" where it is about none.
func (w *watch) subject(a anomaly.Anomaly) string {
	switch {
	case anomaly.Of(a.Code).About == anomaly.AboutSource:
		return w.sources[a.About.Source]
	case a.About.Channel != anomaly.None:
		return w.reg.Channel(sensors.ChannelID(a.About.Channel)).Name
	}
	return ""
}

// record writes what was raised or cleared at this tick.
func (w *watch) record(j *journal.Journal, t int64) {
	for _, k := range w.set.Changed() {
		a := w.set.Anomaly(k)
		channel, source := "", ""
		switch anomaly.Of(a.Code).About {
		case anomaly.AboutChannel:
			channel = w.subject(a)
		case anomaly.AboutSource:
			source = w.subject(a)
		}
		journal.Write(j, record.Anomaly{Time: t, Code: string(a.Code), Channel: channel, Source: source,
			Active: a.Active, Score: a.Score, Limit: a.Limit, Since: t - int64(a.Since*1e9), Text: w.text(a)})
	}
}
