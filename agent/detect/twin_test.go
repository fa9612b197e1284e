package detect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/model"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// build is a simulated build as its machine's log, with what was at work in each row.
type build struct {
	log    *runlog.Log
	reg    *sensors.Registry
	faults []twin.Fault
	phase  []twin.Phase
	lap    []float64
	short  []bool // the spindle is at a limit, and more than 10 °C are missing or too many
}

// powerOn is when a simulated machine is switched on, ns; its first row comes an interval later.
const powerOn = int64(1e18)

// logOf simulates a build and keeps what its log has.
func logOf(t testing.TB, cfg twin.Config) *build {
	t.Helper()
	b := &build{log: &runlog.Log{Name: fmt.Sprint(cfg.Seed)}, faults: cfg.Faults}
	columns := []struct {
		name   string
		digits float64
		of     func(r *twin.Row) float64
	}{
		{"tool_temperature", 10, func(r *twin.Row) float64 { return r.ToolTemp }},
		{"spindle_speed", 100, func(r *twin.Row) float64 { return r.RPM }},
		{"spindle_torque", 100, func(r *twin.Row) float64 { return r.Torque }},
		{"spindle_power", 100, func(r *twin.Row) float64 { return r.Power }},
		{"set_point", 100, func(r *twin.Row) float64 { return r.SetPoint }},
		{"feed_velocity", 100, func(r *twin.Row) float64 { return r.FeedVel }},
		{"feed_torque", 100, func(r *twin.Row) float64 { return r.FeedTrq }},
		{"path_velocity", 10, func(r *twin.Row) float64 { return r.PathVel }},
		{"z_position", 100, func(r *twin.Row) float64 { return r.Z }},
		{"z_velocity", 100, func(r *twin.Row) float64 { return r.ZVel }},
		{"bearing_low", 10, func(r *twin.Row) float64 { return r.Low }},
		{"ktype_1", 10, func(r *twin.Row) float64 { return r.PlateTemp }},
	}
	for _, c := range columns {
		i := slices.IndexFunc(runlog.MELDChannels(), func(ch sensors.Channel) bool { return ch.Name == c.name })
		ch := runlog.MELDChannels()[i]
		b.log.Columns = append(b.log.Columns, runlog.Column{Name: c.name, Key: c.name, Role: ch.Role, Unit: ch.Unit})
	}
	var err error
	if b.reg, err = OfLog(b.log).Registry(); err != nil {
		t.Fatal(err)
	}
	b.log.Value, b.log.Status = make([][]float64, len(columns)), make([][]sensors.Status, len(columns))
	if err := twin.Simulate(context.Background(), cfg, func(m *twin.Machine, r *twin.Row) error {
		b.log.Time = append(b.log.Time, powerOn+int64(r.At*1e9))
		b.log.Line = append(b.log.Line, len(b.log.Time)+1)
		b.phase = append(b.phase, r.True.Phase)
		b.lap = append(b.lap, m.Laps())
		b.short = append(b.short, r.True.AtLimit && math.Abs(r.SetPoint-r.ToolTemp) > 10)
		for i, c := range columns {
			v, status := math.Round(c.of(r)*c.digits)/c.digits, sensors.OK
			if i == 0 && r.ToolTemp == twin.NoSignal {
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			}
			if i == 0 && r.ToolLost {
				v, status = math.NaN(), sensors.Status{}
			}
			b.log.Value[i], b.log.Status[i] = append(b.log.Value[i], v), append(b.log.Status[i], status)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b
}

// judged puts a machine's log through the detectors, with a model or without.
func judged(log *runlog.Log, reg *sensors.Registry, m *model.Model) (flags []Flag, events []Event, err error) {
	s := Session{Model: m}
	events, err = s.Judge(OfLog(log), reg, func(_ int, f Flag) { flags = append(flags, f) })
	return flags, events, err
}

// named are the codes that name a fault rightly.
var named = map[twin.Kind][]anomaly.Code{
	twin.Feedstock:   {anomaly.Feedstock},
	twin.Jam:         {anomaly.Jam},
	twin.LiftOff:     {anomaly.LiftOff},
	twin.Flash:       {anomaly.Flash},
	twin.ColdStart:   {anomaly.ColdStart},
	twin.Coolant:     {anomaly.Coolant},
	twin.Unreachable: {anomaly.Unreachable},
	twin.Wear:        {anomaly.ToolWear},
	twin.Drift:       {anomaly.SensorDrift},
	twin.Open:        {anomaly.SensorFailure},
	twin.Spike:       {anomaly.SensorStep, anomaly.SensorRate},
	twin.Frozen:      {anomaly.SensorStuck},
	twin.Lost:        {anomaly.SensorMissing, anomaly.SensorFailure}, // an empty cell of a log
}

// after is how long after its end a fault is still to blame, s.
const after = 60

// tally is what was found of a fault.
type tally struct {
	builds, found, right int
	delay                []float64
	missed               []uint64
}

// scored is what many builds gave.
type scored struct {
	of      map[twin.Kind]*tally
	hours   float64              // in builds
	deposit float64              // of those, in deposition
	wrong   map[anomaly.Code]int // events that no fault explains
	events  map[anomaly.Code]int
	rightly map[anomaly.Code]int // of those, named rightly
	instead map[string]int       // of those, named otherwise than the fault
	builds  uint64
	where   []string
	place   map[string]*[3]int // builds with a fault, found, named, by the phase and the place on the lap of the onset
	strange map[string]*lost   // by phase: seconds, and events that nothing explains
	said    []said
	reach   [3]int // builds with a set-point out of reach by a fault; of those where it was missed for missedFor; of these, named
}

// missedFor is how long a set-point must be missed in deposition to be out of reach, s.
const missedFor = 10

// lost is what nothing explains.
type lost struct {
	seconds float64
	events  int
}

// another makes b the log of a machine whose torques are scaled, as STIRWATCH_TORQUE says, and whose spindle and feed run at other
// speeds, as STIRWATCH_SPEED and STIRWATCH_FEED do.
func (b *build) another() {
	scale := func(name string, columns ...int) {
		by, err := strconv.ParseFloat(os.Getenv(name), 64)
		for _, c := range columns {
			for i := range b.log.Value[c] {
				if err == nil {
					b.log.Value[c][i] *= by
				}
			}
		}
	}
	scale("STIRWATCH_TORQUE", 2, 3)
	scale("STIRWATCH_SPEED", 1, 3)
	scale("STIRWATCH_FEED", 5, 7)
}

// scoreBuilds judges builds of seeds, every second one with a fault.
func scoreBuilds(t testing.TB, from, builds uint64) *scored {
	t.Helper()
	var metals []*twin.Params
	for _, metal := range strings.Split(cmp.Or(os.Getenv("STIRWATCH_METAL"), "6061"), ",") {
		p, err := twin.Load(metal)
		if err != nil {
			t.Fatal(err)
		}
		metals = append(metals, p)
	}
	s := &scored{of: map[twin.Kind]*tally{}, wrong: map[anomaly.Code]int{}, events: map[anomaly.Code]int{}, rightly: map[anomaly.Code]int{}, instead: map[string]int{}, place: map[string]*[3]int{}, strange: map[string]*lost{}}
	for _, k := range twin.Kinds {
		s.of[k] = &tally{}
	}
	m := learned(t, metals)
	interval := 1.0 // s
	if v, err := strconv.ParseFloat(os.Getenv("STIRWATCH_INTERVAL"), 64); err == nil {
		interval = v
	}
	until := time.Now().Add(24 * time.Hour)
	if minutes, err := strconv.ParseFloat(os.Getenv("STIRWATCH_MINUTES"), 64); err == nil {
		until = time.Now().Add(time.Duration(minutes * float64(time.Minute)))
	}
	for seed := from; seed < from+builds && time.Now().Before(until); seed++ {
		s.builds++
		cfg := twin.RandomBuild(plant(t, metals[seed/2%uint64(len(metals))], seed), seed, seed%2 == 1)
		cfg.Interval = interval
		b := logOf(t, cfg)
		b.another()
		_, events, err := judged(b.log, b.reg, m)
		if err != nil {
			t.Fatal(err)
		}
		s.hours += interval * float64(len(b.log.Time)) / 3600
		for _, ph := range b.phase {
			if s.strange[string(ph)] == nil {
				s.strange[string(ph)] = &lost{}
			}
			s.strange[string(ph)].seconds += interval
			if ph == twin.Deposit {
				s.deposit += interval / 3600
			}
		}
		first, right := math.Inf(1), math.Inf(1)
		for _, e := range events {
			s.events[e.Code]++
			at := float64(e.Start.UnixNano()-powerOn) / 1e9
			blamed, rightly := false, false
			for _, f := range b.faults {
				if at >= f.At-1 && at <= f.At+f.For+after {
					blamed = true
					first = min(first, at-f.At)
					if slices.Contains(named[f.Kind], e.Code) {
						right, rightly = min(right, at-f.At), true
					} else if e.Code == anomaly.SensorStep && f.Kind.Sensor() {
						rightly = true // the fault ends, and the reading jumps back
					} else {
						s.instead[fmt.Sprintf("%s for %s", e.Code, f.Kind)]++
					}
				}
			}
			if e.Code == anomaly.Unreachable && b.short[e.From] { // it is so, with or without a fault
				blamed, rightly = true, true
			}
			s.said = append(s.said, said{e.Confidence, rightly})
			if rightly {
				s.rightly[e.Code]++
			}
			if !blamed {
				s.wrong[e.Code]++
				s.strange[string(b.phase[e.From])].events++
				s.where = append(s.where, fmt.Sprintf("seed %d row %d %s %v", seed, e.From, e.Code, b.phase[e.From]))
			}
		}
		for _, f := range b.faults {
			n := s.of[f.Kind]
			n.builds++
			if f.Kind == twin.Unreachable {
				s.reach[0]++
				if b.missed(f, interval) >= missedFor {
					s.reach[1]++
					if !math.IsInf(right, 1) {
						s.reach[2]++
					}
				}
			}
			where := b.placeOf(f.At / interval)
			if s.place[where] == nil {
				s.place[where] = &[3]int{}
			}
			s.place[where][0]++
			if !math.IsInf(first, 1) {
				s.place[where][1]++
			}
			if !math.IsInf(right, 1) {
				s.place[where][2]++
			}
			if !math.IsInf(first, 1) {
				n.found++
				n.delay = append(n.delay, first)
			}
			if !math.IsInf(right, 1) {
				n.right++
			} else {
				n.missed = append(n.missed, seed)
			}
		}
	}
	return s
}

// missed is for how long on end the set-point is missed while f is at work or to blame and the feed runs in deposition, s.
func (b *build) missed(f twin.Fault, interval float64) (longest float64) {
	run := 0.0
	for i, short := range b.short {
		at := interval * float64(i+1)
		if run += interval; !short || b.phase[i] != twin.Deposit || b.log.Value[5][i] < 60 || at < f.At || at > f.At+f.For+after {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// placeOf tells phase and, in deposition, eighth of the lap of a row.
func (b *build) placeOf(row float64) string {
	i := min(int(row), len(b.phase)-1)
	if b.phase[i] != twin.Deposit {
		return string(b.phase[i])
	}
	return fmt.Sprintf("%s, lap %d/8", b.phase[i], int(8*(b.lap[i]-math.Floor(b.lap[i])))+1)
}

// byPlace is the table of what was found by phase and place on the lap, and of what nothing explains by phase.
func (s *scored) byPlace() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-18s %6s %6s %6s\n", "onset in", "builds", "found", "named")
	for _, k := range slices.Sorted(maps.Keys(s.place)) {
		fmt.Fprintf(&b, "%-18s %6d %6d %6d\n", k, s.place[k][0], s.place[k][1], s.place[k][2])
	}
	fmt.Fprintf(&b, "%-18s %6s %6s\n", "phase", "hours", "false")
	for _, k := range slices.Sorted(maps.Keys(s.strange)) {
		fmt.Fprintf(&b, "%-18s %6.1f %6d\n", k, s.strange[k].seconds/3600, s.strange[k].events)
	}
	return b.String()
}

func (s *scored) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %6s %6s %6s %8s %8s\n", "fault", "builds", "found", "named", "median s", "95 % s")
	for _, k := range twin.Kinds {
		n := s.of[k]
		sort.Float64s(n.delay)
		at := func(p float64) float64 {
			if len(n.delay) == 0 {
				return math.NaN()
			}
			return n.delay[int(p*float64(len(n.delay)-1))]
		}
		fmt.Fprintf(&b, "%-12s %6d %6d %6d %8.0f %8.0f\n", k, n.builds, n.found, n.right, at(0.5), at(0.95))
	}
	all := 0
	for _, n := range s.wrong {
		all += n
	}
	fmt.Fprintf(&b, "%d events that no fault explains in %d builds, %.1f build-hours (%.1f of deposition): %v\n", all, s.builds, s.hours, s.deposit, s.wrong)
	fmt.Fprintf(&b, "named otherwise: %v\n", s.instead)
	fmt.Fprintf(&b, "set-points out of reach by a fault: in %d of %d builds for %d s on end in deposition, of which %d named\n", s.reach[1], s.reach[0], missedFor, s.reach[2])
	return b.String()
}

// TestScoreBuilds prints the tables of docs/detect.md and docs/alarms.md, and how often each code is right (the numbers of anomaly.Confidence; the
// seeds are in docs/decisions): STIRWATCH_BUILDS=SEED:N go test ./agent/detect -run ScoreBuilds -v. STIRWATCH_METAL are other metals than 6061, such as
// 6061,7075; STIRWATCH_VARIED is a share by which every machine differs, STIRWATCH_PLANT what it is built otherwise by (capacity=0.5,losses=2,…), STIRWATCH_LEARN=SEED learns
// a model from three clean builds first and judges with it, STIRWATCH_INTERVAL the s between rows, STIRWATCH_TORQUE, STIRWATCH_SPEED and STIRWATCH_FEED by how much torques, speeds and feed are scaled, STIRWATCH_MINUTES the time after which no further build is begun, STIRWATCH_PLOT the file that the reliability
// of the confidence is drawn into.
func TestScoreBuilds(t *testing.T) {
	var from, n uint64
	if _, err := fmt.Sscanf(os.Getenv("STIRWATCH_BUILDS"), "%d:%d", &from, &n); err != nil {
		t.Skip("STIRWATCH_BUILDS=SEED:N says which builds")
	}
	s := scoreBuilds(t, from, n)
	t.Logf("\n%s\n%s", s, s.byPlace())
	t.Logf("code: events, named rightly, (right+1)/(events+2), said")
	for _, d := range anomaly.Definitions() {
		if n := s.events[d.Code]; n > 0 {
			t.Logf("%s: %d, %d, %.2f, %.2f", d.Code, n, s.rightly[d.Code], float64(s.rightly[d.Code]+1)/float64(n+2), anomaly.Confidence(d.Code))
		}
	}
	t.Logf("reliability of what was said:\n%s", reliability(s.said))
	if path := os.Getenv("STIRWATCH_PLOT"); path != "" {
		if err := os.WriteFile(path, plot(s.said), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range twin.Kinds {
		t.Logf("%s not named: %v", k, s.of[k].missed)
	}
	t.Logf("%s", strings.Join(s.where, "\n"))
}
