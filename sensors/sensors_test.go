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
	NewBoard(registry(t, toolTemperature())).Gather(f, second)
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
		{"infinite", math.Inf(1), OK, 2 * second, Status{Failure, NotANumber}},
		{"device's own verdict stays", -2, Status{Failure, Sentinel}, 2 * second, Status{Failure, Sentinel}},
		{"NaN with a verdict keeps it", math.NaN(), Status{Failure, OpenCircuit}, 2 * second, Status{Failure, OpenCircuit}},
	} {
		b := NewBoard(registry(t, toolTemperature()))
		b.Put([]Sample{{Time: second, Value: 100, Status: OK}})
		s := []Sample{{Time: c.at, Value: c.value, Status: c.given}}
		b.Put(s)
		if s[0].Status != c.want {
			t.Errorf("%s: %s, want %s", c.name, s[0].Status, c.want)
		}
	}
}

func TestGatherAgesAndStaleness(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature())), NewFrame(1)
	b.Put([]Sample{{Time: 10 * second, Value: 470, Status: OK}})
	b.Gather(f, 13*second)
	if !f.Status[0].IsGood() || f.Age[0] != 3*time.Second || f.Value[0] != 470 {
		t.Fatalf("at max age: %v %v %s", f.Value[0], f.Age[0], f.Status[0])
	}
	b.Gather(f, 13*second+1)
	if f.Status[0] != (Status{Missing, Stale}) {
		t.Fatalf("past max age: %s", f.Status[0])
	}
}

func TestOlderSampleDoesNotReplaceNewer(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature())), NewFrame(1)
	b.Put([]Sample{{Time: 10 * second, Value: 470, Status: OK}, {Time: 9 * second, Value: 400, Status: OK}})
	b.Gather(f, 10*second)
	if f.Value[0] != 470 || b.Newest().Time != 10*second {
		t.Fatalf("held %v, newest %d", f.Value[0], b.Newest().Time)
	}
}

func TestShiftFollowsAClockStep(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature())), NewFrame(1)
	b.Put([]Sample{{Time: 7200 * second, Arrival: 7200 * second, Value: 470, Status: OK}})
	b.Shift(-3600 * time.Second)
	b.Put([]Sample{{Time: 3601 * second, Value: 471, Status: OK}})
	b.Gather(f, 3601*second)
	if f.Value[0] != 471 || f.Age[0] != 0 {
		t.Fatalf("after the clock went back an hour: %v, age %v", f.Value[0], f.Age[0])
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

func TestPutAndGatherDoNotAllocate(t *testing.T) {
	b, f := NewBoard(registry(t, toolTemperature())), NewFrame(1)
	s := []Sample{{Time: second, Value: 20, Status: OK}}
	if n := testing.AllocsPerRun(100, func() { s[0].Time += second; b.Put(s); b.Gather(f, s[0].Time) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// Budget: a small part of the 100 µs that a tick of 32 channels may take.
func BenchmarkGather32(b *testing.B) {
	channels := make([]Channel, 32)
	for i := range channels {
		channels[i] = Channel{Name: strings.Repeat("c", i+1), Unit: unit.MustParse("N"), MaxAge: time.Second}
	}
	board, f := NewBoard(registry(b, channels...)), NewFrame(32)
	s := make([]Sample, 32)
	for i := range s {
		s[i] = Sample{Time: 1, Channel: ChannelID(i), Status: OK}
	}
	board.Put(s)
	b.ReportAllocs()
	for b.Loop() {
		board.Gather(f, 2)
	}
}
