package assemble

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/doctor"
	"stirwatch/agent/journal"
	"stirwatch/config"
	"stirwatch/sensors"
)

const doubtful = `machine: bench
channels: {t: {unit: °C}, f: {unit: N}}
sources:
  build: {log: {path: build.csv, fields: {t: t}, time: {key: time, unit: s}}}
  board: {mqtt: {broker: "tcp://127.0.0.1:1", username: u, password: {file: no-such-file}, topics: [{topic: x, channel: f}]}}
model: {file: model.json}
`

// Each thing that is named is a finding of its own; a fault of one hides none of the others.
func TestDoctorFinds(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"agent.yaml": doubtful, "build.csv": "time,t\n0,20.5\n1,21\n2,21\n", "model.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf, err := config.Load(filepath.Join(dir, "agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		do   func(*journal.Journal) error
		want []string
	}{
		{"a new machine", nil, []string{
			"ok   clock", "BAD  model", "ok   journal          " + dir, "ok   source build     ", "BAD  source board     "}},
		{"after lines were refused", func(j *journal.Journal) error {
			return j.SetAside([]journal.Refused{{Line: "samples,channel=t value=1 1", Reason: "field type conflict", At: 1}})
		}, []string{
			"ok   clock", "BAD  model", "ok   journal          " + dir, "BAD  journal          InfluxDB has refused 1 lines of samples: field type conflict", "ok   source build", "BAD  source board"}},
	} {
		if step.do != nil {
			reg, err := sensors.NewRegistry([]sensors.Channel{{Name: "t", Unit: conf.Channels[0].Unit}})
			if err != nil {
				t.Fatal(err)
			}
			j, err := Journal(conf, reg, nil, Logger(conf.Log, t.Output()), false)
			if err != nil {
				t.Fatal(err)
			}
			if err := step.do(j); err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		d, err := Doctor(conf, 30*time.Second, t.Output())
		if err != nil {
			t.Fatal(err)
		}
		d.Found = func(f doctor.Finding) { got = append(got, f.String()) }
		d.Examine(t.Context())
		if len(got) != len(step.want) {
			t.Fatalf("%s: %d findings, want %d:\n%s", step.name, len(got), len(step.want), strings.Join(got, "\n"))
		}
		for i, w := range step.want {
			if !strings.HasPrefix(got[i], w) {
				t.Errorf("%s: %q, want %q", step.name, got[i], w)
			}
		}
	}
}
