package history

import (
	"database/sql"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// site is a journal made by hand. Its channels may differ from one opening to the next, as they do
// when agent.yaml is changed between two builds.
type site struct {
	t    testing.TB
	path string
}

func newSite(t testing.TB) *site { return &site{t, filepath.Join(t.TempDir(), "journal.db")} }

// channels of a record: units by name.
type channels [][2]string

var metric = channels{{"tool_temperature", "°C"}, {"spindle_speed", "rpm"}, {"spindle_power", "W"}, {"set_point", "°C"}}

var roles = map[string]sensors.Role{
	"tool_temperature": sensors.ToolTemperature, "spindle_speed": sensors.SpindleSpeed,
	"spindle_power": sensors.SpindlePower, "set_point": sensors.SetPoint,
}

func (c channels) registry(t testing.TB) *sensors.Registry {
	t.Helper()
	var all []sensors.Channel
	for _, x := range c {
		all = append(all, sensors.Channel{Name: x[0], Unit: unit.MustParse(x[1]), MaxAge: 3 * time.Second})
	}
	return registry(t, all)
}

// configured are the channels as the configuration has them now, with roles.
func (c channels) configured(t testing.TB) *sensors.Registry {
	t.Helper()
	var all []sensors.Channel
	for _, x := range c {
		all = append(all, sensors.Channel{Name: x[0], Role: roles[x[0]], Unit: unit.MustParse(x[1]), MaxAge: 3 * time.Second})
	}
	return registry(t, all)
}

func registry(t testing.TB, all []sensors.Channel) *sensors.Registry {
	t.Helper()
	reg, err := sensors.NewRegistry(all)
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// open begins to record.
func (s *site) open(c channels, clock sensors.Clock) *journal.Journal {
	s.t.Helper()
	j, err := journal.Open(s.path, journal.Options{Machine: "m", Registry: c.registry(s.t), Clock: clock, Hold: -1})
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

// record records seconds of a run from begin on.
func (c channels) record(t testing.TB, j *journal.Journal, begin time.Time, seconds int, end bool) {
	t.Helper()
	if _, err := j.BeginRun(begin.Format("20060102-150405"), "", begin.UnixNano()); err != nil {
		t.Fatal(err)
	}
	journaltest.Keep(j, c.build(begin, seconds))
	if end {
		if err := j.EndRun(begin.Add(time.Duration(seconds) * time.Second).UnixNano()); err != nil {
			t.Fatal(err)
		}
	}
}

// build is a run, heat up and hold, in the units of the channels.
func (c channels) build(begin time.Time, seconds int) (s []sensors.Sample) {
	in := map[string]string{}
	for _, x := range metric {
		in[x[0]] = x[1]
	}
	for i := range seconds {
		at := begin.Add(time.Duration(i) * time.Second).UnixNano()
		values := map[string]float64{"tool_temperature": 450 - 430*math.Exp(-float64(i)/60) + 5*math.Sin(float64(i)/7), "spindle_speed": 400, "spindle_power": 5000 + 500*math.Sin(float64(i)/9), "set_point": 450}
		for id, x := range c {
			v := values[x[0]]
			if m, err := unit.Between(unit.MustParse(in[x[0]]), unit.MustParse(x[1])); err == nil {
				v = m.Apply(v)
			}
			s = append(s, sensors.Sample{Time: at, Value: v, Channel: sensors.ChannelID(id), Status: sensors.OK})
		}
	}
	return s
}

var wanted = model.Channels{
	Inputs:  []model.Input{{Name: "spindle power", Unit: "W"}, {Name: "spindle speed", Unit: "rpm"}},
	Outputs: []model.Output{{Name: "tool temperature", Unit: "°C", ScoreAbove: 200}},
}

// history opens the journal with channels as the configuration has them now, and gives what is noted.
func (s *site) history(c channels) (h *History, said *strings.Builder) {
	s.t.Helper()
	r, err := journal.OpenReader(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { r.Close() })
	said = &strings.Builder{}
	return &History{Reader: r, Registry: c.configured(s.t), Note: func(text string) { fmt.Fprintln(said, text) }}, said
}

// usable reads all runs that can be used, the newest first.
func (s *site) usable(c channels) (all []*runs.Run, said string, err error) {
	s.t.Helper()
	h, b := s.history(c)
	chosen, err := h.Runs()
	if err != nil {
		s.t.Fatal(err)
	}
	all, err = h.Usable(s.t.Context(), chosen, len(chosen), wanted)
	return all, b.String(), err
}

// newest reads the newest run by its name.
func (s *site) newest(c channels) (*runs.Run, error) {
	s.t.Helper()
	h, _ := s.history(c)
	chosen, err := h.Runs()
	if err != nil {
		s.t.Fatal(err)
	}
	all, err := h.Named(s.t.Context(), chosen[:1], wanted)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// A run that is going on is not read; one that the agent was killed in is, to the end of the record.
func TestRunThatHasNotEnded(t *testing.T) {
	s := newSite(t)
	j := s.open(metric, func() int64 { return journaltest.Dawn.UnixNano() }) // long ago: nobody records now
	metric.record(t, j, journaltest.Dawn, 200, false)
	j.Close()
	found, said, err := s.usable(metric)
	if err != nil || len(found) != 1 || len(found[0].Time) != 200 || !strings.Contains(said, "never ended") {
		t.Errorf("%d runs, %v\n%s", len(found), err, said)
	}
	j = s.open(metric, nil)
	defer j.Close()
	metric.record(t, j, journaltest.Dawn.Add(time.Hour), 200, false)
	if found, said, err = s.usable(metric); err != nil || len(found) != 1 || !strings.Contains(said, "20260701-070000 is left out: it is still going on") {
		t.Errorf("%d runs, %v\n%s", len(found), err, said)
	}
	if _, err = s.newest(metric); err == nil || !strings.Contains(err.Error(), "still going on") {
		t.Error(err)
	}
}

// Runs are listed newest first, and once where a log was replayed twice.
func TestRunsAreListed(t *testing.T) {
	s := newSite(t)
	j := s.open(metric, nil)
	for _, hour := range []int{1, 0, 1} {
		metric.record(t, j, journaltest.Dawn.Add(time.Duration(hour)*time.Hour), 100, true)
	}
	j.Close()
	h, _ := s.history(metric)
	all, err := h.Runs()
	if err != nil || len(all) != 2 || all[0].Name != "20260701-070000" || all[1].Name != "20260701-060000" {
		t.Errorf("%+v, %v", all, err)
	}
}

// One channel is read by its role or its name, in any unit of its kind.
func TestSeriesOfARun(t *testing.T) {
	s := newSite(t)
	j := s.open(metric, nil)
	metric.record(t, j, journaltest.Dawn, 100, true)
	j.Close()
	h, _ := s.history(channels{{"tool_temperature", "°F"}, metric[1], metric[2], metric[3]})
	all, err := h.Runs()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, unit, is string }{
		{"tool temperature", "°C", "°C"}, {"tool_temperature", "K", "K"}, {"tool temperature", "", "°F"},
	} {
		got, err := h.Series(t.Context(), all[0], c.name, c.unit)
		if err != nil || len(got.Time) != 100 || got.Unit.String() != c.is || got.Channel != "tool_temperature" {
			t.Fatalf("%+v: %+v, %v", c, got, err)
		}
		m, _ := unit.Between(unit.MustParse("°C"), got.Unit)
		for i, v := range got.Value {
			if want := m.Apply(450 - 430*math.Exp(-float64(i)/60) + 5*math.Sin(float64(i)/7)); math.Abs(v-want) > 1e-9 || got.Time[i] != journaltest.Dawn.Add(time.Duration(i)*time.Second).UnixNano() {
				t.Fatalf("%+v: %g at %d, want %g", c, v, i, want)
			}
		}
	}
	if _, err := h.Series(t.Context(), all[0], "pressure", ""); err == nil || !strings.Contains(err.Error(), `"pressure"`) {
		t.Error(err)
	}
	if _, err := h.Series(t.Context(), all[0], "spindle speed", "W"); err == nil || !strings.Contains(err.Error(), "was recorded in rpm") {
		t.Error(err)
	}
}

// The unit of a channel may change between two builds, or within one: every sample has its own.
func TestChangedUnits(t *testing.T) {
	other := channels{{"tool_temperature", "°F"}, {"spindle_speed", "rad/s"}, {"spindle_power", "kW"}, {"set_point", "K"}}
	s := newSite(t)
	for i, c := range []channels{metric, other} {
		j := s.open(c, nil)
		c.record(t, j, journaltest.Dawn.Add(time.Duration(i)*time.Hour), 300, true)
		j.Close()
	}
	found, _, err := s.usable(metric)
	if err != nil || len(found) != 2 {
		t.Fatal(len(found), err)
	}
	a, b := found[0], found[1]
	for i := range a.Time {
		for _, x := range [][2]float64{{a.Z[0][i], b.Z[0][i]}, {a.U[0][i], b.U[0][i]}, {a.U[1][i], b.U[1][i]}, {a.SetPoint[i], b.SetPoint[i]}} {
			if !(math.Abs(x[0]-x[1]) < 1e-9*math.Abs(x[0])) {
				t.Fatalf("row %d: %g and %g", i, x[0], x[1])
			}
		}
	}
	if a.SHA256 == b.SHA256 {
		t.Error("two runs of one checksum")
	}

	// A channel that measured something else then is an error; a set-point may.
	wrong := channels{{"tool_temperature", "°C"}, {"spindle_speed", "rpm"}, {"spindle_power", "kN"}, {"set_point", "N·m"}}
	j := s.open(wrong, nil)
	wrong.record(t, j, journaltest.Dawn.Add(2*time.Hour), 300, true)
	j.Close()
	_, _, err = s.usable(metric)
	for _, says := range []string{"20260701-080000", `channel "spindle_power" was recorded in kN`, "as spindle power it must be in one of W, mW, kW, MW, BTU/h, hp"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
	torque := channels{metric[0], metric[1], metric[2], {"set_point", "N·m"}}
	j = s.open(torque, nil)
	torque.record(t, j, journaltest.Dawn.Add(3*time.Hour), 300, true)
	j.Close()
	if newest, err := s.newest(metric); err != nil || slices.ContainsFunc(newest.SetPoint, func(v float64) bool { return v == v }) {
		t.Errorf("a set-point in N·m: %v", err)
	}
}

func TestRunWithoutAThermocouple(t *testing.T) {
	s := newSite(t)
	blind := metric[1:]
	j := s.open(blind, nil)
	blind.record(t, j, journaltest.Dawn, 300, true)
	j.Close()
	_, said, err := s.usable(metric)
	if err == nil || !strings.Contains(said, `nothing was recorded of channel "tool_temperature"`) || !strings.Contains(said, "left out: the record has 0 samples") {
		t.Errorf("%v\n%s", err, said)
	}
	if _, _, err = s.usable(blind); err == nil || !strings.Contains(err.Error(), "`is: tool temperature`") {
		t.Errorf("without the channel: %v", err)
	}
	j = s.open(metric, nil) // a plug that was pulled: it says the same forever
	frozen := metric.build(journaltest.Dawn.Add(time.Hour), 300)
	if _, err := j.BeginRun("frozen", "", frozen[0].Time); err != nil {
		t.Fatal(err)
	}
	for i := range frozen {
		if frozen[i].Channel == 0 {
			frozen[i].Value = 21.5
		}
	}
	journaltest.Keep(j, frozen)
	j.EndRun(frozen[len(frozen)-1].Time)
	j.Close()
	if _, err = s.newest(metric); err == nil || !strings.Contains(err.Error(), "usable rows of tool temperature") && !strings.Contains(err.Error(), "is live") {
		t.Errorf("frozen: %v", err)
	}
}

func TestDamagedBatch(t *testing.T) {
	s := newSite(t)
	j := s.open(metric, nil)
	build := metric.build(journaltest.Dawn, 400)
	if _, err := j.BeginRun("hurt", "", build[0].Time); err != nil {
		t.Fatal(err)
	}
	for part := range slices.Chunk(build, 400) { // 100 s each
		journaltest.Keep(j, part)
	}
	j.EndRun(build[len(build)-1].Time)
	j.Close()
	db, err := sql.Open("sqlite", s.path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE batches SET crc = crc + 1 WHERE id = (SELECT max(id) FROM batches)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	found, said, err := s.usable(metric)
	if err != nil || len(found) != 1 || len(found[0].Time) != 300 || !strings.Contains(said, "1 batches and 0 lines of the journal could not be read") || !strings.Contains(said, "the rest is used") {
		t.Errorf("%d runs, %v\n%s", len(found), err, said)
	}
}

func seriesOf(every time.Duration, n int) *Series {
	s := &Series{Unit: unit.MustParse("°C")}
	for i := range n {
		s.Time, s.Value = append(s.Time, journaltest.Dawn.UnixNano()+int64(i)*int64(every)), append(s.Value, float64(i))
	}
	return s
}

func TestGrid(t *testing.T) {
	// At 1 Hz, with whatever phase, every sample is a row.
	s := seriesOf(time.Second, 50)
	for i := range s.Time {
		s.Time[i] += 437e6 + int64(i%3)*90e6
	}
	if rows := s.rows(); len(rows) != 50 || rows[7].t != s.Time[7] || rows[7].v != 7 {
		t.Errorf("1 Hz: %d rows", len(rows))
	}
	// At 10 Hz the one at the whole second is; beside a bad one there its neighbour.
	s = seriesOf(100*time.Millisecond, 301)
	s.Value[100] = math.NaN()
	for i := range 20 {
		s.Value[195+i] = math.NaN() // two seconds without a good one
	}
	rows := s.rows()
	if len(rows) != 31 {
		t.Fatalf("10 Hz: %d rows", len(rows))
	}
	for i, r := range rows {
		want := float64(10 * i)
		switch i {
		case 10:
			want = 99
		case 20, 21:
			want = math.NaN()
		}
		if r.v != want && (r.v == r.v || want == want) {
			t.Errorf("10 Hz, row %d: %g, want %g", i, r.v, want)
		}
	}
	// A pause gets one row without a reading.
	s = seriesOf(time.Second, 20)
	for i := 10; i < 20; i++ {
		s.Time[i] += int64(time.Minute)
	}
	if rows = s.rows(); len(rows) != 21 || rows[10].v == rows[10].v || rows[10].t != s.Time[9]+1e9 || rows[11].v != 10 {
		t.Errorf("with a pause: %v", rows)
	}
}

func TestInputsAreHeldForTheirAge(t *testing.T) {
	s := seriesOf(time.Second, 3) // 0, 1, 2 s
	s.Value[1] = math.NaN()
	s.maxAge = int64(3 * time.Second)
	var at []gridRow
	for _, ms := range []int64{-1, 0, 999, 1000, 2000, 2500, 5000, 5001} {
		at = append(at, gridRow{t: journaltest.Dawn.UnixNano() + ms*1e6})
	}
	nan := math.NaN()
	same := func(a, b []float64) bool {
		return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || x != x && y != y })
	}
	if got, want := s.hold(at), []float64{nan, 0, 0, nan, 2, 2, 2, nan}; !same(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.maxAge = 0
	if got := s.hold(at[7:]); !same(got, []float64{2}) {
		t.Errorf("without an age: %v", got)
	}
	var none *Series
	if got := none.hold(at[:2]); !same(got, []float64{nan, nan}) {
		t.Errorf("no such channel: %v", got)
	}
}

// Samples come in any order, more than once, and faster than rows can use.
func TestSamplesAreSorted(t *testing.T) {
	s := seriesOf(time.Second, 0)
	for _, x := range []struct {
		ms   int64
		v    float64
		good bool
	}{{2000, 2, true}, {0, 0, true}, {1000, 9, true}, {1000, 1, true}, {2000, 7, false}, {3000, 3, false}, {3001, 3.1, true}, {3002, 3.2, false}} {
		if err := s.add(journaltest.Dawn.UnixNano()+x.ms*1e6, x.v, "°C", x.good); err != nil {
			t.Fatal(err)
		}
	}
	s.sort()
	if !slices.Equal(s.Value, []float64{0, 1, 2, 3.1}) || !slices.IsSorted(s.Time) {
		t.Errorf("%v at %v", s.Value, s.Time)
	}
	if err := s.add(0, 1, "furlong", true); err == nil || !strings.Contains(err.Error(), "furlong") {
		t.Errorf("%v", err)
	}
}
