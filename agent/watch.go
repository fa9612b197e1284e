package agent

import (
	"math"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
)

// Delays of the anomalies, s: how long a condition must last to be raised, and its absence to be
// cleared. A missing value has already been waited for by the channel's max age.
const (
	missingOn, missingOff       = 0.5, 1.0
	failureOn, failureOff       = 0.0, 2.0
	rangeOn, rangeOff           = 0.0, 2.0
	rateOn, rateOff             = 0.0, 2.0
	innovationOn, innovationOff = 3.0, 5.0
	outsideOn, outsideOff       = 5.0, 5.0
	blindOn, blindOff           = 0.0, 1.0
	firstWait                   = 10 * time.Second // for the first sample of a channel after start
)

// watch judges each frame and what the model says to it.
type watch struct {
	detectors []*anomaly.Detector
	channels  []sensors.ChannelID // of the detectors, noChannel where an anomaly belongs to none
	changed   []int               // detectors that changed at this tick
	reg       *sensors.Registry

	outputs []float64 // s since each measurement of the model was last new
	lived   time.Duration
}

const noChannel = sensors.ChannelID(math.MaxUint16)

// Detectors stand in this order: for each channel these four, then one per model output, then two
// of the model.
var sensorCodes = [...]struct {
	code    anomaly.Code
	on, off float64
}{
	{anomaly.SensorMissing, missingOn, missingOff},
	{anomaly.SensorFailure, failureOn, failureOff},
	{anomaly.SensorOutOfRange, rangeOn, rangeOff},
	{anomaly.SensorRate, rateOn, rateOff},
}

func newWatch(reg *sensors.Registry, m *model.Model) *watch {
	w := &watch{reg: reg}
	add := func(code anomaly.Code, ch sensors.ChannelID, limit, on, off float64) {
		w.detectors = append(w.detectors, anomaly.NewDetector(code, len(w.detectors), limit, on, off))
		w.channels = append(w.channels, ch)
	}
	for id := range reg.Len() {
		for _, c := range sensorCodes {
			add(c.code, sensors.ChannelID(id), 0.5, c.on, c.off)
		}
	}
	if m != nil {
		for _, out := range m.Outputs {
			ch := noChannel
			if id, ok := reg.Find(sensors.Role(out.Name)); ok {
				ch = id
			}
			add(anomaly.Innovation, ch, 1, innovationOn, innovationOff)
		}
		w.outputs = make([]float64, len(m.Outputs))
		add(anomaly.OutsideTraining, noChannel, 0.5, outsideOn, outsideOff)
		add(anomaly.ModelBlind, noChannel, 0.5, blindOn, blindOff)
	}
	w.changed = make([]int, 0, len(w.detectors))
	return w
}

// judge takes one tick. It does not allocate.
func (w *watch) judge(dt time.Duration, f *sensors.Frame, e *estimator) {
	w.changed = w.changed[:0]
	w.lived += dt
	s := dt.Seconds()
	k := 0
	step := func(dt, score float64) {
		if w.detectors[k].Step(dt, score) != anomaly.Unchanged {
			w.changed = append(w.changed, k)
		}
		k++
	}
	for i := range f.Status {
		st := f.Status[i]
		missing := st.Signal == sensors.Missing && (st.Reason != sensors.NeverSeen || w.lived > firstWait)
		step(s, score(missing))
		step(s, score(st.Signal == sensors.Failure && st.Reason != sensors.Unwired)) // nobody expects a value there
		step(s, score(st.Signal == sensors.OutOfSpecification && st.Reason == sensors.OutOfRange))
		step(s, score(st.Signal == sensors.OutOfSpecification && st.Reason == sensors.RateOfChange))
	}
	if e == nil {
		return
	}
	for i, ratio := range e.estimate.Ratio {
		w.outputs[i] += s
		if math.IsNaN(ratio) { // nothing new is measured
			k++
			continue
		}
		step(w.outputs[i], ratio)
		w.outputs[i] = 0
	}
	step(s, score(len(e.estimate.Outside) > 0))
	step(s, score(e.estimate.Blind && w.lived > firstWait))
}

func score(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// standing appends the anomalies that stand; Index is the channel, -1 where they belong to none.
func (w *watch) standing(dst []anomaly.Anomaly) []anomaly.Anomaly {
	for i, d := range w.detectors {
		if a := d.Anomaly(); a.Active {
			a.Index = -1
			if w.channels[i] != noChannel {
				a.Index = int(w.channels[i])
			}
			dst = append(dst, a)
		}
	}
	return dst
}

// record writes what was raised or cleared at this tick.
func (w *watch) record(j *journal.Journal, t int64) {
	for _, k := range w.changed {
		a := w.detectors[k].Anomaly()
		channel := ""
		if w.channels[k] != noChannel {
			channel = w.reg.Channel(w.channels[k]).Name
		}
		journal.Write(j, record.Anomaly{Time: t, Code: string(a.Code), Channel: channel,
			Active: a.Active, Score: a.Score, Limit: a.Limit, Since: t - int64(a.Since*1e9), Text: a.Code.Text()})
	}
}
