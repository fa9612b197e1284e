package history

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
)

// longestGap between readings of the output is followed; a longer one ends the active part.
const longestGap = 10 * time.Second

// assemble reads the samples of a run, begin ≤ time < end, and lays them on one time grid. The record keeps
// the unit of every sample, so that it does not matter when a channel's unit was changed: each is
// converted from the unit in which it was recorded.
func (h *History) assemble(ctx context.Context, run journal.Run, begin, end int64, channels model.Channels) (*runs.Run, error) {
	var all []*Series
	column := func(name, unitName string) (*Series, error) {
		s := h.find(name)
		if s == nil {
			return nil, nil
		}
		all = append(all, s)
		return s, s.in(unitName)
	}
	var inputs, outputs []*Series
	for _, in := range channels.Inputs {
		s, err := column(in.Name, in.Unit)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, s) // nil: missing in every row, as in a log without the column
	}
	for _, out := range channels.Outputs {
		s, err := column(out.Name, out.Unit)
		if err != nil {
			return nil, err
		}
		if s == nil {
			return nil, fmt.Errorf("no channel of the configuration is %s: say `is: %s` of the one that measures it", out.Name, out.Name)
		}
		outputs = append(outputs, s)
	}
	// The set-point holds a torque or a force in some modes of the spindle, and is then no baseline
	// for a temperature.
	set, err := column(string(sensors.SetPoint), "°C")
	if err != nil {
		return nil, err
	}
	if set != nil {
		set.any = true
	}
	if err := h.read(ctx, run, begin, end, all); err != nil {
		return nil, err
	}
	z := outputs[channels.LeadingIndex()]
	at := z.rows()
	if len(at) < 2 {
		return nil, Unusable{fmt.Errorf("the record has %d samples of channel %q, its %s", len(z.Time), z.Channel, z.As)}
	}
	r := &runs.Run{Name: run.Name, Began: time.Unix(0, at[0].t)}
	var first []float64
	for _, row := range at {
		r.Time = append(r.Time, float64(row.t-at[0].t)/1e9)
		first = append(first, row.v)
	}
	for i, in := range channels.Inputs {
		r.Inputs, r.U = append(r.Inputs, in.Name), append(r.U, inputs[i].hold(at))
	}
	for i, s := range outputs {
		column := first
		if s != z {
			column = s.once(at)
		}
		r.Outputs, r.Z = append(r.Outputs, channels.Outputs[i].Name), append(r.Z, column)
	}
	if set != nil && len(set.Time) > 0 {
		r.SetPoint = set.hold(at)
	}
	r.SHA256 = fingerprint(at)
	return r, nil
}

// gridRow is one row of the grid: its instant and the reading of the output there.
type gridRow struct {
	t int64
	v float64
}

// rows makes the grid from the leading output's own samples, so that no reading is moved in time or made
// up between two others. Where they come faster than about once a second, the one nearest to each whole
// second stays: learning and its forecasts are made for steps of a second, the lag of the sensor
// is several, and more rows would cost much and say nothing new, their errors being those of their
// neighbours. A mean over the second would hide when a reading was taken, and noise by more than
// the estimator will see. A bad sample stays only where its second has no good one. A pause longer than longestGap
// gets one row without a reading, which ends the live part there: what the process did meanwhile
// nobody knows.
func (s *Series) rows() []gridRow {
	var rows []gridRow
	second := func(t int64) int64 { return (t + int64(time.Second)/2) / int64(time.Second) }
	off := func(t int64) int64 { return max(t-second(t)*int64(time.Second), second(t)*int64(time.Second)-t) }
	fast := s.spacing() < 700*time.Millisecond
	for i, t := range s.Time {
		p := gridRow{t, s.Value[i]}
		if n := len(rows); n > 0 {
			was := rows[n-1]
			if fast && second(was.t) == second(t) {
				good, wasGood := p.v == p.v, was.v == was.v
				if good && !wasGood || good == wasGood && off(t) < off(was.t) {
					rows[n-1] = p
				}
				continue
			}
			if t-was.t > int64(longestGap) {
				rows = append(rows, gridRow{was.t + int64(time.Second), math.NaN()})
			}
		}
		rows = append(rows, p)
	}
	return rows
}

// spacing is the median time between samples.
func (s *Series) spacing() time.Duration {
	if len(s.Time) < 2 {
		return time.Duration(math.MaxInt64)
	}
	d := make([]int64, len(s.Time)-1)
	for i := range d {
		d[i] = s.Time[i+1] - s.Time[i]
	}
	slices.Sort(d)
	return time.Duration(d[len(d)/2])
}

// hold gives each row the last sample that is not younger; missing where there is none, it was not
// good, or it is older than the channel's age. A nil Series is missing everywhere.
func (s *Series) hold(at []gridRow) []float64 {
	v, k := make([]float64, len(at)), -1
	for i, row := range at {
		v[i] = math.NaN()
		if s == nil {
			continue
		}
		for k+1 < len(s.Time) && s.Time[k+1] <= row.t {
			k++
		}
		if k >= 0 && (s.maxAge == 0 || row.t-s.Time[k] <= s.maxAge) {
			v[i] = s.Value[k]
		}
	}
	return v
}

// once gives each row the newest sample since the row before, so that no reading counts twice; missing
// where there is none.
func (s *Series) once(at []gridRow) []float64 {
	v, k := make([]float64, len(at)), 0
	for i, row := range at {
		v[i] = math.NaN()
		for ; k < len(s.Time) && s.Time[k] <= row.t; k++ {
			if i > 0 || row.t-s.Time[k] <= int64(longestGap) {
				v[i] = s.Value[k]
			}
		}
	}
	return v
}

// fingerprint identifies a run by the instants and readings of its rows, as SHA-256 in hex. The
// inputs are left out, so that models of different inputs still know that they were learned from one run.
func fingerprint(at []gridRow) string {
	h := sha256.New()
	var b [16]byte
	for _, row := range at {
		v := row.v
		if v != v {
			v = math.NaN() // one pattern of bits
		}
		binary.LittleEndian.PutUint64(b[:8], uint64(row.t))
		binary.LittleEndian.PutUint64(b[8:], math.Float64bits(v))
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}
