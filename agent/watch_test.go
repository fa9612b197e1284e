package agent

import (
	"strings"
	"testing"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/record"
	"stirwatch/dynamics/phase"
	"stirwatch/sensors"
)

// port is a source by name alone; what it says is handed in by the test.
type port struct {
	sensors.Source
	name   string
	health sensors.Health
}

func (p *port) Name() string            { return p.name }
func (p *port) Health() *sensors.Health { return &p.health }

// One dead port with six channels is one anomaly, on screen and on record, while another port goes on;
// a port that never speaks is one as well.
func TestOneDeadPortIsOneAnomaly(t *testing.T) {
	other := sensors.Channel{Name: "room", Role: sensors.Other, Unit: cell(t).Channel(0).Unit, MaxAge: 3 * time.Second}
	mute := other
	mute.Name = "never"
	a := agentOf(t, Options{Registry: cell(t, other, mute), Sources: []sensors.Source{&port{name: "daq"}, &port{name: "second"}, &port{name: "third"}}})
	daq, room := feed{a.Agent, 0}, feed{a.Agent, 1}
	sample := func(to feed, at int64, ch sensors.ChannelID, v float64) {
		to.Emit([]sensors.Sample{{Time: at, Arrival: at, Value: v, Channel: ch, Status: sensors.OK}}, nil)
	}
	var s Snapshot
	standing := func() (codes []string) {
		a.Snapshot(&s)
		for _, x := range s.Anomalies {
			codes = append(codes, string(x.Code))
		}
		return codes
	}
	for i := range int64(60) {
		at := 1000*second + i*second
		if i < 30 || i >= 50 {
			for ch := range sensors.ChannelID(6) {
				sample(daq, at, ch, 100)
			}
		}
		sample(room, at, 6, 20)
		for k := range int64(10) {
			a.tick(at + k*1e8)
		}
		got := strings.Join(standing(), " ")
		want := ""
		if i >= 11 {
			want = "source.missing" // the third port
		}
		if i >= 33 && i < 50 {
			want = "source.missing source.missing"
		}
		if i != 10 && i != 32 && i != 50 && i != 51 && got != want { // on the way
			t.Fatalf("second %d: %q, want %q", i, got, want)
		}
		if i == 40 {
			if x := s.Anomalies[0]; x.About.Source != 0 || len(x.Channels) != 6 || x.Channels[5] != 5 || x.About.Channel != anomaly.None {
				t.Errorf("%+v", x)
			}
			if x := s.Anomalies[1]; x.About.Source != 2 || len(x.Channels) != 1 {
				t.Errorf("%+v", x)
			}
		}
	}
	all := lines(t, a, record.Anomalies)
	if len(all) != 3 {
		t.Errorf("%d records, want the third port, the first, and its return:\n%s", len(all), strings.Join(all, "\n"))
	}
	for _, want := range []string{"source=daq", "tool, power, speed, path, feed, set_point", "active=true"} {
		if !strings.Contains(all[1], want) {
			t.Errorf("%s does not say %q", all[1], want)
		}
	}
}

// It is one also where one of its channels may be silent for longer than the others; a sensor that stops alone is the sensor.
func TestADeadPortWithAPatientChannel(t *testing.T) {
	for name, c := range map[string]struct {
		stops sensors.ChannelID // up to this channel
		want  string
	}{"all": {6, "source.missing"}, "one": {0, "sensor.missing"}} {
		t.Run(name, func(t *testing.T) {
			patient := sensors.Channel{Name: "bearing", Role: sensors.Other, Unit: cell(t).Channel(0).Unit, MaxAge: 20 * time.Second}
			a := agentOf(t, Options{Registry: cell(t, patient), Sources: []sensors.Source{&port{name: "daq"}}})
			for i := range int64(60) {
				at := 1000*second + i*second
				for ch := range sensors.ChannelID(7) {
					if i < 30 || ch > c.stops {
						feed{a.Agent, 0}.Emit([]sensors.Sample{{Time: at, Arrival: at, Value: 20, Channel: ch, Status: sensors.OK}}, nil)
					}
				}
				for k := range int64(10) {
					a.tick(at + k*1e8)
				}
			}
			if all := lines(t, a, record.Anomalies); len(all) != 1 || !strings.Contains(all[0], c.want) {
				t.Errorf("want one %s:\n%s", c.want, strings.Join(all, "\n"))
			}
		})
	}
}

func TestPhaseIsSeen(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t)})
	var s Snapshot
	for i, c := range []struct {
		tool, speed, path float64
		want              phase.Phase
	}{{300, 0, 0, phase.Stopped}, {300, 400, 0, phase.WarmUp}, {450, 400, 0, phase.Prime}, {450, -400, 20, phase.Deposit}} {
		for k := range int64(20) { // a spindle takes its time
			at := 1000*second + (20*int64(i)+k)*second
			put(a, at, c.tool, 4, c.speed, c.path, 9, 475) // path in in/min
			a.tick(at)
		}
		a.Snapshot(&s)
		if s.Phase != c.want {
			t.Errorf("%+v: %v", c, s.Phase)
		}
	}
}
