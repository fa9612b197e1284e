package alarm

import (
	"strings"
	"testing"
	"time"

	"stirwatch/agent/anomaly"
)

func TestSettingsAreAsShippedButForChanges(t *testing.T) {
	second, always := time.Second, false
	setting, err := Settings([]Change{
		{Code: anomaly.SensorRate, Priority: anomaly.High, OnDelay: &second, Group: "plug"},
		{Code: anomaly.SensorMissing, None: true},
		{Code: anomaly.Innovation, InRun: &always, Out: "the model is learned again"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range anomaly.Definitions() {
		want := Default(&d)
		switch d.Code {
		case anomaly.SensorRate:
			want.Priority, want.OnDelay, want.Group = anomaly.High, time.Second, "plug"
		case anomaly.SensorMissing:
			want.Response = ""
		case anomaly.Innovation:
			want.InRun, want.Out = false, "the model is learned again"
		}
		if got := setting(d.Code); got != want {
			t.Errorf("%s: %+v, want %+v", d.Code, got, want)
		}
	}
	if _, err := Settings([]Change{{Code: "sensor.rat"}}); err == nil || !strings.Contains(err.Error(), "sensor.rate") {
		t.Errorf("a code that there is not: %v", err)
	}
}

func TestSettingLine(t *testing.T) {
	s := Setting{Priority: anomaly.Low, Response: "look", OnDelay: 1500 * time.Millisecond, Deadband: 0.1, Latch: true, InRun: true, Group: "g"}
	const want = "x.y: {priority: low, on_delay: 1.5 s, off_delay: 0 s, deadband: 0.1, latch: true, when: run, group: g}"
	if got := s.Line("x.y"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if s.Response = ""; !strings.Contains(s.Line("x.y"), "priority: none") {
		t.Errorf("without a response it is %s", s.Line("x.y"))
	}
}
