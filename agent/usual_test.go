package agent

import (
	"testing"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// A value is unusual where its mean in the phase is beyond the range for long; a lap, another phase and what the program sets are not.
func TestUsual(t *testing.T) {
	reg, err := sensors.NewRegistry([]sensors.Channel{
		{Name: "speed", Role: sensors.SpindleSpeed, Unit: unit.MustParse("rpm")},
		{Name: "feed", Role: sensors.FeedVelocity, Unit: unit.MustParse("mm/min")},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &model.Model{Usual: []model.Usual{
		{Phase: "deposit", Name: "spindle speed", Unit: "rpm", Low: 300, High: 340},
		{Phase: "prime", Name: "spindle speed", Unit: "rpm", Low: 200, High: 400},
		{Phase: "deposit", Name: "feed velocity", Unit: "mm/min", Low: 350, High: 360},
		{Phase: "deposit", Name: "tool temperature", Unit: "°C", Low: 470, High: 480}, // nobody measures it
	}}
	set := &anomaly.Set{}
	u, err := newUsual(m, reg, set)
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 1 || len(u.ranges) != 2 {
		t.Fatalf("%d members, ranges %+v", set.Len(), u.ranges)
	}
	f := sensors.NewFrame(reg.Len())
	f.Status[0], f.Status[1], f.Value[1] = sensors.OK, sensors.OK, 500
	run := func(seconds int, in phase.Phase, speed func(i int) float64) bool {
		for i := range seconds {
			set.Tick()
			f.Value[0] = speed(i)
			u.judge(time.Second, f, in, set)
		}
		return set.Active(0)
	}
	at := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	for _, c := range []struct {
		what    string
		seconds int
		in      phase.Phase
		speed   func(int) float64
		want    bool
	}{
		{"within", 200, phase.Deposit, at(339), false},
		{"a little beyond", 200, phase.Deposit, at(348), false},
		{"laps", 200, phase.Deposit, func(i int) float64 { return 320 + 60*float64(i/20%2*2-1) }, false},
		{"another phase", 200, phase.Prime, at(390), false},
		{"beyond, not for long", 50, phase.Deposit, at(390), false},
		{"beyond", 20, phase.Deposit, at(390), true},
		{"back", 200, phase.Deposit, at(320), false},
	} {
		if got := run(c.seconds, c.in, c.speed); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { u.judge(time.Second, f, phase.Deposit, set) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
	m.Usual[0].Unit = "kg"
	if _, err := newUsual(m, reg, &anomaly.Set{}); err == nil {
		t.Error("a unit that cannot be converted is taken")
	}
}
