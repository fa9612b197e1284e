package agent

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
	"stirwatch/sensors"
)

func TestClockFollowsStepsAndTellsThem(t *testing.T) {
	// time.Time values carry a monotonic reading only from time.Now, so the wall part is moved
	// by adding to what the synctest bubble's clock shows and taking the monotonic part away.
	synctest.Test(t, func(t *testing.T) {
		c := NewClock(time.Now)
		began := c.Now()
		time.Sleep(time.Hour)
		if d := c.Now() - began; d != int64(time.Hour) {
			t.Fatalf("an hour took %v", time.Duration(d))
		}
		if s := c.Check(); s != 0 {
			t.Fatalf("step %v where there was none", s)
		}
		c.unix += int64(time.Second) // as if the wall clock had been set back by a second since
		if s := c.Check(); s != -time.Second {
			t.Fatalf("step %v, want -1s", s)
		}
		if c.Now() != time.Now().UnixNano() {
			t.Fatalf("clock does not follow: %d", c.Now()-time.Now().UnixNano())
		}
	})
}

// After a step of the wall clock what the tick holds moves along: no sample is fused again, advice is
// said anew with its new end, and a run goes on.
func TestAStepOfTheClockBackIsFollowed(t *testing.T) {
	const hour = 3600 * second
	a := agentOf(t, Options{Registry: cell(t), Model: learned(t), Process: process()})
	now := 100_000 * second
	for range 100 {
		now += 1e8
		put(a, now, 470, 4.2, 400, 8, 9, 475)
		a.tick(now)
	}
	now -= hour
	a.stepped(-time.Hour, now)
	now += 1e8
	a.tick(now)
	if a.frame.Time != now || a.dt != 100*time.Millisecond || a.frame.Age[0] != 100*time.Millisecond || !a.frame.Status[0].IsGood() {
		t.Errorf("the tick after it: at %d instead of %d, %v after the last, tool %v old, %s", a.frame.Time, now, a.dt, a.frame.Age[0], a.frame.Status[0])
	}
	if r := a.estimator.estimate.Ratio[0]; !math.IsNaN(r) {
		t.Errorf("the last sample was fused again: ratio %g", r)
	}
	if !a.phases.Running {
		t.Error("the run has ended")
	}
	after := 0
	for _, l := range lines(t, a, record.Recommendations) {
		var expires, at int64
		if _, rest, ok := strings.Cut(l, "expires="); ok {
			fmt.Sscanf(rest, "%di", &expires)
		}
		fmt.Sscanf(l[strings.LastIndexByte(l, ' ')+1:], "%d", &at)
		if at > 99_900*second {
			continue // before the step
		}
		if after++; expires-at != 30*second {
			t.Errorf("advice of %v after the step holds for %v", time.Duration(at-now), time.Duration(expires-at))
		}
	}
	if after != 1 {
		t.Errorf("%d recommendations on record after the step, want 1", after)
	}
}

// With the device's clock ruling, a step of this computer's clock leaves the frame's time alone, but ages
// by arrival move along.
func TestADeviceClockKnowsNothingOfOurStep(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), DeviceClock: true})
	now, device := 100_000*second, 50_000*second
	put := func() {
		a.Emit([]sensors.Sample{{Time: device, Arrival: now, Value: 470, Status: sensors.OK}}, nil)
	}
	put()
	a.tick(now)
	now -= 3600 * second
	a.stepped(-time.Hour, now)
	for range 10 {
		now, device = now+second, device+second
		a.tick(now)
		if a.frame.Time != device {
			t.Fatalf("frame at %v, the device at %v", time.Duration(a.frame.Time), time.Duration(device))
		}
	}
	if a.frame.Status[0] != (sensors.Status{Signal: sensors.Missing, Reason: sensors.Stale}) {
		t.Fatalf("10 s without a sample: %s, age %v", a.frame.Status[0], a.frame.Age[0])
	}
	put()
	if a.tick(now + 1); !a.frame.Status[0].IsGood() {
		t.Fatalf("with a sample: %s, age %v", a.frame.Status[0], a.frame.Age[0])
	}
}

// With the device's clock ruling, alarms bear its time, as the frames do: a recording of last year that is played has its alarms in that
// year, also where the agent knew them from a later time, and what people do is stamped alike.
func TestAlarmsBearTheTimeOfTheFrames(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), DeviceClock: true})
	now, device := NewClock(time.Now).Now(), 5_000_000*second
	played := func(n int, value float64) {
		for range n {
			now, device = now+second/50, device+second
			a.Emit([]sensors.Sample{{Time: device, Arrival: now, Value: value, Status: sensors.OK}}, nil)
			a.tick(now)
		}
	}
	played(5, 20)
	played(1, 712)
	raised := device
	played(1, 712)
	l := a.Alarms().List()
	if len(l.Alarms) != 1 || l.Alarms[0].Raised != raised || l.Time != device {
		t.Fatalf("%+v, raised at %d, not at %d", l, l.Alarms[0].Raised, raised)
	}
	if of := a.Now() - device; of < 0 || of > 3600*second {
		t.Fatalf("the agent's time is %v beside the devices'", time.Duration(of))
	}
	done, err := a.Alarms().Ack(device, "all", "Ann", "")
	if err != nil || done[0].Since-raised > 10*second {
		t.Errorf("%+v, %v", done, err)
	}
	played(30, 20) // 30 s of the recording: it is over
	for _, x := range a.Alarms().List().Alarms {
		if x.Code == anomaly.SensorOutOfRange {
			t.Errorf("%+v", x)
		}
	}
	device -= 2_000_000 * second // another recording, of before
	played(15, 20)
	now += 11 * second
	played(3, 712)
	for _, x := range a.Alarms().List().Alarms {
		if x.Code == anomaly.SensorOutOfRange && x.Raised > device {
			t.Errorf("raised %v after the time of the recording", time.Duration(x.Raised-device))
		}
	}
}

// With the device's clock ruling, one stamp a year ahead does not take the frame along, and a clock that
// was set back is followed and put on record.
func TestAWrongDeviceStampDoesNotMoveTheFrame(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), DeviceClock: true})
	now := 100_000 * second
	tick := func(ahead time.Duration) {
		now += second
		a.Emit([]sensors.Sample{{Time: now + int64(ahead), Arrival: now, Value: 470, Status: sensors.OK}}, nil)
		a.tick(now)
	}
	tick(0)
	tick(365 * 24 * time.Hour)
	tick(0)
	if a.frame.Time != now || a.dt != time.Second {
		t.Fatalf("frame %v from now, step %v", time.Duration(a.frame.Time-now), a.dt)
	}
	for range 5 {
		tick(10 * time.Minute)
	}
	for range 20 {
		tick(0)
		if a.dt > 10*time.Minute+time.Second {
			t.Fatalf("step %v", a.dt)
		}
	}
	if a.frame.Time != now || a.dt != time.Second || !a.frame.Status[0].IsGood() {
		t.Fatalf("after the clock was set back: frame %v from now, step %v, %s", time.Duration(a.frame.Time-now), a.dt, a.frame.Status[0])
	}
	events := lines(t, a, record.Events)
	if len(events) != 1 || !strings.Contains(events[0], "kind=clock_step") || !strings.Contains(events[0], "the devices' clock was set by -9m59s") {
		t.Errorf("events: %q", events)
	}
}
