package agent

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"stirwatch/control"
	"stirwatch/sensors"
)

// A thermocouple that is dead for three minutes is a warning with what to do, and a line when it is back; one
// that comes and goes each few seconds is a warning a minute, with how often.
func TestLogTellsOfAnomalies(t *testing.T) {
	var said bytes.Buffer
	a := agentOf(t, Options{Registry: cell(t), Process: &control.Options{SetPointMin: 300, SetPointMax: 480, SpindleMin: 300, SpindleMax: 450, Ceiling: 577}})
	a.opt.Log = slog.New(slog.NewTextHandler(&said, nil))
	play := func(from, to int64, dead func(i int64) bool) {
		for i := from; i < to; i++ {
			at := (1000 + i) * second
			put(a, at, 450+float64(i%3), 4, 400, 10, 9, 475)
			if dead(i) {
				a.Emit([]sensors.Sample{{Time: at + 1, Arrival: at + 1, Value: -2, Status: sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}}}, nil)
			}
			for k := range int64(10) {
				a.tick(at + k*1e8 + 2)
			}
			a.catchUp()
		}
	}
	lines := func(parts ...string) (n int) {
	next:
		for line := range strings.Lines(said.String()) {
			for _, p := range parts {
				if !strings.Contains(line, p) {
					continue next
				}
			}
			n++
		}
		return n
	}
	play(0, 300, func(i int64) bool { return i >= 60 && i < 240 })
	if lines("level=WARN", "msg=anomaly", "code=sensor.failure", "tool", "do=") != 1 || lines("level=WARN") != 1 {
		t.Errorf("a dead thermocouple:\n%s", &said)
	}
	if lines("level=INFO", `msg="anomaly is over"`, "code=sensor.failure", "after=3m") != 1 {
		t.Errorf("it is back:\n%s", &said)
	}
	if lines("level=INFO", "msg=advice", "no advice, because") == 0 {
		t.Errorf("advice:\n%s", &said)
	}
	said.Reset()
	play(400, 1000, func(i int64) bool { return i%6 == 0 }) // ten minutes
	if n := lines("level=WARN", "code=sensor.failure"); n < 8 || n > 11 {
		t.Errorf("%d lines about a loose contact:\n%s", n, &said)
	}
	if lines("code=sensor.failure", "times=") < 7 {
		t.Errorf("how often is not said:\n%s", &said)
	}
	if n := lines("msg=advice"); n > 11 {
		t.Errorf("%d lines of advice in ten minutes", n)
	}
}

// The log is written beside the tick: where it does not take a line, the tick goes on.
func TestLogThatStandsStill(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t)})
	for i := range int64(1000) { // nobody empties the queue
		at := (1000 + 120*i) * second
		status := sensors.OK
		if i%2 == 1 {
			status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
		}
		a.Emit([]sensors.Sample{{Time: at, Arrival: at, Value: 400, Status: status}}, nil)
		for k := range int64(50) {
			a.tick(at + k*int64(100*time.Millisecond))
		}
	}
	if a.frame.Tick < 1000 {
		t.Errorf("%d ticks", a.frame.Tick)
	}
}
