package sensors

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"stirwatch/sensors/unit"
)

const second = int64(time.Second)

func registry(t testing.TB, channels ...Channel) *Registry {
	t.Helper()
	r, err := NewRegistry(channels)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func toolTemperature() Channel {
	return Channel{Name: "tool", Role: ToolTemperature, Unit: unit.MustParse("°C"), Min: 0, Max: 700, MaxRate: 150, MaxAge: 3 * time.Second}
}

func TestZeroStatusIsMissing(t *testing.T) {
	var s Sample
	if s.Status.IsGood() || s.Status.Signal != Missing {
		t.Fatalf("a forgotten status reads %q", s.Status)
	}
	f := NewFrame(1)
	NewBoard(registry(t, toolTemperature()), false).Gather(f, second, second)
	if f.Status[0] != (Status{Missing, NeverSeen}) || !math.IsNaN(f.Value[0]) {
		t.Fatalf("an empty board gives %v, %s", f.Value[0], f.Status[0])
	}
}

func TestRegistryRefusesWhatCannotBe(t *testing.T) {
	rpm := unit.MustParse("rpm")
	for _, c := range []struct {
		channels []Channel
		want     string
	}{
		{[]Channel{{Name: ""}}, "no name"},
		{[]Channel{{Name: "a"}, {Name: "a"}}, "declared twice"},
		{[]Channel{{Name: "a", Role: ToolTemperature, Unit: rpm}}, `tool temperature cannot be in "rpm"; use one of [K °C °F]`},
		{[]Channel{{Name: "a", Min: 3, Max: 2}}, "is empty"},
		{[]Channel{{Name: "a", Role: SpindleSpeed, Unit: rpm}, {Name: "b", Role: SpindleSpeed, Unit: rpm}}, "are both spindle speed"},
	} {
		if _, err := NewRegistry(c.channels); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.channels, err, c.want)
		}
	}
}

func TestEveryRoleButOtherHasOneMeaning(t *testing.T) {
	seen := map[Role]bool{}
	for _, r := range Roles() {
		if seen[r] {
			t.Errorf("%q twice", r)
		}
		seen[r] = true
	}
	for r := range roleDimension {
		if !seen[r] {
			t.Errorf("%q has a dimension but is not listed", r)
		}
	}
}

func TestBoardJudgesSamples(t *testing.T) {
	for _, c := range []struct {
		name  string
		value float64
		given Status
		at    int64
		want  Status
	}{
		{"good", 120, OK, 2 * second, OK},
		{"below range", -1, OK, 2 * second, Status{OutOfSpecification, OutOfRange}},
		{"above range", 701, OK, 2 * second, Status{OutOfSpecification, OutOfRange}},
		{"too fast", 300, OK, 2 * second, Status{OutOfSpecification, RateOfChange}},
		{"fast but believable", 249, OK, 2 * second, OK},
		{"not a number", math.NaN(), OK, 2 * second, Status{Failure, NotANumber}},
		{"colder than any sensor", -9999, OK, 2 * second, Status{Failure, OutOfRange}},
		{"hotter than any sensor", 65535, OK, 2 * second, Status{Failure, OutOfRange}},
		{"infinite", math.Inf(1), OK, 2 * second, Status{Failure, NotANumber}},
		{"device's own verdict stays", -2, Status{Failure, Sentinel}, 2 * second, Status{Failure, Sentinel}},
		{"NaN with a verdict keeps it", math.NaN(), Status{Failure, OpenCircuit}, 2 * second, Status{Failure, OpenCircuit}},
		{"as fast as a clock may be", 120, OK, 2*second + int64(MaxAhead), OK},
		{"from the future", 120, OK, 2*second + int64(MaxAhead) + 1, Status{Failure, FutureStamp}},
		{"no signal from the future", -2, Status{Failure, Sentinel}, math.MaxInt64, Status{Failure, Sentinel}},
	} {
		b := NewBoard(registry(t, toolTemperature()), false)
		b.Put([]Sample{at(second, 100)})
		s := []Sample{{Time: c.at, Arrival: 2 * second, Value: c.value, Status: c.given}}
		b.Put(s)
		if s[0].Status != c.want {
			t.Errorf("%s: %s, want %s", c.name, s[0].Status, c.want)
		}
	}
}

func TestAbsurd(t *testing.T) {
	for _, c := range []struct {
		v    float64
		unit string
		want bool
	}{{-273.15, "°C", true}, {-270, "°C", true}, {-269, "°C", false}, {-196, "°C", false}, {-459.67, "°F", true}, {1768, "°C", false}, {2400, "°C", false}, {3276.7, "°C", true},
		{-4, "K", false}, {65535, "K", true}, {-9999, "W", false}, {-9999, "1", false}} {
		if Absurd(c.v, unit.MustParse(c.unit)) != c.want {
			t.Errorf("%g %s: %v", c.v, c.unit, !c.want)
		}
	}
}

// at is a good sample of the first channel whose device and arrival clocks agree.
func at(t int64, v float64) Sample { return Sample{Time: t, Arrival: t, Value: v, Status: OK} }

func TestGatherAgesAndStaleness(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature()), false), NewFrame(1)
	b.Put([]Sample{at(10*second, 470)})
	b.Gather(f, 13*second, 13*second)
	if !f.Status[0].IsGood() || f.Age[0] != 3*time.Second || f.Value[0] != 470 {
		t.Fatalf("at max age: %v %v %s", f.Value[0], f.Age[0], f.Status[0])
	}
	b.Gather(f, 13*second+1, 13*second+1)
	if f.Status[0] != (Status{Missing, Stale}) {
		t.Fatalf("past max age: %s", f.Status[0])
	}
}

func TestOlderSampleDoesNotReplaceNewer(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature()), false), NewFrame(1)
	b.Put([]Sample{at(10*second, 470), {Time: 9 * second, Arrival: 10 * second, Value: 400, Status: OK}})
	b.Gather(f, 10*second, 10*second)
	if f.Value[0] != 470 || b.newest.Time != 10*second {
		t.Fatalf("held %v, newest of all %d", f.Value[0], b.newest.Time)
	}
}

// A stamp that is wrong costs its own sample: not those before it, not those after it, and not the
// notice that the device has stopped.
func TestAStampFromTheFutureHidesNothing(t *testing.T) {
	const now = 1_700_000_000 * second
	for name, ahead := range map[string]time.Duration{
		"two seconds": 2 * time.Second, "ten minutes": 10 * time.Minute, "an hour": time.Hour,
		"30 days": 30 * 24 * time.Hour, "two centuries": 200 * 365 * 24 * time.Hour,
	} {
		for what, maxAge := range map[string]time.Duration{"max age": 3 * time.Second, "no max age": 0} {
			c := toolTemperature()
			c.MaxAge = maxAge
			b, f := NewBoard(registry(t, c), false), NewFrame(1)
			b.Put([]Sample{at(now-second, 470)})
			b.Put([]Sample{{Time: now + int64(ahead), Arrival: now, Value: 475, Status: OK}})
			for s := int64(1); s <= 20; s++ { // its clock is right again, and is read with a little delay
				b.Put([]Sample{{Time: now + s*second - 2e8, Arrival: now + s*second, Value: 480 + float64(s), Status: OK}})
				b.Gather(f, now+s*second, now+s*second)
				if !f.Status[0].IsGood() || f.Value[0] != 480+float64(s) {
					t.Fatalf("%s ahead, %s: after %d s %v %s", name, what, s, f.Value[0], f.Status[0])
				}
			}
			b.Gather(f, now+24*second, now+24*second)
			if stale := f.Status[0] == (Status{Missing, Stale}); stale != (maxAge > 0) {
				t.Errorf("%s ahead, %s: 4 s after the last %s", name, what, f.Status[0])
			}
		}
	}
}

// A device whose clock is fast is alive while it sends, and stale when it stops.
func TestAgeIsAlsoThatOfTheArrival(t *testing.T) {
	const now, fast = 1_700_000_000 * second, 600 * second
	b, f := NewBoard(registry(t, toolTemperature()), false), NewFrame(1)
	for s := range int64(5) {
		b.Put([]Sample{{Time: now + fast + s*second, Arrival: now + s*second, Value: 470, Status: OK}})
	}
	b.Gather(f, now+5*second, now+5*second)
	if !f.Status[0].IsGood() || f.Age[0] != time.Second {
		t.Fatalf("while it sends: %s, age %v", f.Status[0], f.Age[0])
	}
	b.Gather(f, now+8*second, now+8*second)
	if f.Status[0] != (Status{Missing, Stale}) {
		t.Fatalf("4 s after it stopped: %s, age %v", f.Status[0], f.Age[0])
	}
	// And what arrives late is old already, however old.
	for _, stamp := range []int64{now - 60*second, 0, math.MinInt64} {
		b := NewBoard(registry(t, toolTemperature()), false)
		b.Put([]Sample{{Time: stamp, Arrival: now, Value: 470, Status: OK}})
		if b.Gather(f, now, now); f.Status[0] != (Status{Missing, Stale}) {
			t.Errorf("stamped %d: %s, age %v", stamp, f.Status[0], f.Age[0])
		}
	}
}

// A device's clock that is set holds up its channel for the max age, and the clock that rules for ten
// seconds, not until the stamps have caught up.
func TestADeviceClockThatIsSetIsFollowed(t *testing.T) {
	const now = 1_700_000_000 * second
	for name, set := range map[string]int64{"back": -120 * second, "a year back": -365 * 86400 * second, "a year ahead": 365 * 86400 * second} {
		for _, rules := range []bool{false, true} {
			b, f := NewBoard(registry(t, toolTemperature()), rules), NewFrame(1)
			stamp := func(s int64) int64 {
				if s < 5 {
					return now + s*second - min(0, set) - max(0, set)
				}
				return now + s*second - min(0, set) - max(0, set) + set
			}
			for s := range int64(20) {
				b.Put([]Sample{{Time: stamp(s), Arrival: now + s*second, Value: float64(s), Status: OK}})
			}
			at, ok := b.Now(now + 19*second)
			if b.Gather(f, at, now+19*second); f.Value[0] != 19 || rules && (!ok || at != stamp(19) || !f.Status[0].IsGood()) {
				t.Errorf("%s, rules %v: held %v %s, now %v, %v", name, rules, f.Value[0], f.Status[0], time.Duration(at-stamp(19)), ok)
			}
		}
	}
}

// Where the devices' clock rules, it may run faster than ours for as long as it likes: a run is played.
func TestAPlayedRunHasNoFuture(t *testing.T) {
	const now = 1_700_000_000 * second
	b, f := NewBoard(registry(t, toolTemperature()), true), NewFrame(1)
	if _, ok := b.Now(now); ok {
		t.Fatal("a time before the first sample")
	}
	for s := range int64(3600) {
		stamp, arrival := now+100*s*second, now+s*second
		b.Put([]Sample{{Time: stamp, Arrival: arrival, Value: 470, Status: OK}})
		at, _ := b.Now(arrival)
		if b.Gather(f, at, arrival); !f.Status[0].IsGood() || at != stamp {
			t.Fatalf("after %d s: %s, now %d instead of %d", s, f.Status[0], at, stamp)
		}
	}
	// But one stamp far ahead of it is as wrong as ever.
	wrong := []Sample{{Time: now + 600_000*second, Arrival: now + 3600*second, Value: 470, Status: OK}}
	if b.Put(wrong); wrong[0].Status != (Status{Failure, FutureStamp}) {
		t.Fatalf("%s", wrong[0].Status)
	}
	if at, _ := b.Now(now + 3600*second); at != now+359901*second {
		t.Fatalf("it moved the time to %d", at)
	}
}

func TestFreshIsOncePerSample(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature()), false), NewFrame(1)
	step := func(want bool, what string) {
		t.Helper()
		if b.Gather(f, 10*second, 10*second); f.Fresh[0] != want {
			t.Errorf("%s: fresh %v", what, f.Fresh[0])
		}
	}
	step(false, "nothing yet")
	b.Put([]Sample{at(9*second, 470)})
	step(true, "a sample")
	step(false, "no other")
	b.Put([]Sample{at(9*second, 470)})
	step(false, "the same again")
	b.Put([]Sample{{Time: 8 * second, Arrival: 10 * second, Value: 470, Status: OK}})
	step(false, "an older one")
	b.Shift(-3600 * time.Second)
	step(false, "the clock stepped")
	b.Put([]Sample{at(10*second-3600*second, 471)})
	step(true, "the next")
}

func TestShiftFollowsAClockStep(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature()), false), NewFrame(1)
	b.Put([]Sample{at(7200*second, 470)})
	if d := b.Shift(-3600 * time.Second); d != -3600*time.Second {
		t.Fatalf("the newest stamp moved by %v", d)
	}
	b.Put([]Sample{at(3601*second, 471)})
	b.Gather(f, 3601*second, 3601*second)
	if f.Value[0] != 471 || f.Age[0] != 0 {
		t.Fatalf("after the clock went back an hour: %v, age %v", f.Value[0], f.Age[0])
	}
	// A device's own stamps stay: its clock was not set.
	b = NewBoard(registry(t, toolTemperature()), true)
	b.Put([]Sample{{Time: 7100 * second, Arrival: 7200 * second, Value: 470, Status: OK}})
	if d := b.Shift(-3600 * time.Second); d != 0 || b.newest.Time != 7100*second || b.newest.Arrival != 3600*second {
		t.Fatalf("moved by %v to %+v", d, b.newest)
	}
}

type events []Event

func (*events) Emit([]Sample, Acker) {}
func (e *events) Event(ev Event)     { *e = append(*e, ev) }

func TestRejectionsAreAllCountedAndSometimesTold(t *testing.T) {
	var h Health
	var got events
	for i := range int64(25) {
		h.Reject(&got, "port", i*second, []byte("garb\x00ge"), errors.New("not a line"))
	}
	s := h.Snapshot()
	if s.Rejected != 25 || len(got) != 3 || got[2].Count != 21 || !strings.Contains(s.LastBad, `not a line: "garb\x00ge"`) {
		t.Fatalf("%d counted, %d events, last %+v, %q", s.Rejected, len(got), got[len(got)-1], s.LastBad)
	}
}

// After the clock was set back rejections are told at once, not only when the old time is reached.
func TestRejectionsAreToldAfterTheClockWasSetBack(t *testing.T) {
	var h Health
	var got events
	for _, at := range []int64{7200 * second, 3600 * second, 3601 * second} {
		h.Reject(&got, "port", at, nil, errors.New("not a line"))
	}
	if len(got) != 2 || got[1].Time != 3600*second {
		t.Fatalf("told: %+v", got)
	}
}

func TestPutAndGatherDoNotAllocate(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature()), false), NewFrame(1)
	s := []Sample{at(second, 20)}
	if n := testing.AllocsPerRun(100, func() { s[0].Time += second; s[0].Arrival += second; b.Put(s); b.Gather(f, s[0].Time, s[0].Time) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// Budget: a small part of the 100 µs that a tick of 32 channels may take.
func BenchmarkGather32(b *testing.B) {
	channels := make([]Channel, 32)
	for i := range channels {
		channels[i] = Channel{Name: strings.Repeat("c", i+1), Unit: unit.MustParse("N"), MaxAge: time.Second}
	}
	board, f := NewBoard(registry(b, channels...), false), NewFrame(32)
	s := make([]Sample, 32)
	for i := range s {
		s[i] = Sample{Time: 1, Arrival: 1, Channel: ChannelID(i), Status: OK}
	}
	board.Put(s)
	b.ReportAllocs()
	for b.Loop() {
		board.Gather(f, 2, 2)
	}
}

// Budget: a microsecond for a row of 32 channels.
func BenchmarkPut32(b *testing.B) {
	channels := make([]Channel, 32)
	for i := range channels {
		channels[i] = Channel{Name: strings.Repeat("c", i+1), Unit: unit.MustParse("N"), MaxAge: time.Second, Max: 10, MaxRate: 1}
	}
	board := NewBoard(registry(b, channels...), false)
	s := make([]Sample, 32)
	for i := range s {
		s[i] = Sample{Channel: ChannelID(i), Status: OK}
	}
	b.ReportAllocs()
	for now := int64(1); b.Loop(); now++ {
		for i := range s {
			s[i].Time, s[i].Arrival = now, now
		}
		board.Put(s)
	}
}
