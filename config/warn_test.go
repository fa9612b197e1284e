package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	parse := func(text string) *Config {
		t.Helper()
		c, err := Parse(filepath.Join(t.TempDir(), "agent.yaml"), []byte("machine: m\nchannels:\n  a: {unit: °C}\n  b: {unit: °C}\n  axis_x: {unit: mm}\n"+text), func(name string) string {
			return map[string]string{"SET": "x"}[name]
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for name, c := range map[string]struct {
		text string
		says []string
	}{
		"all fed": {"sources:\n  s: {serial: {port: /dev/x, fields: {a: {key: 1}, b: {key: 2}, axis_x: {key: 3}}}}\n", nil},
		"one not, one twice": {"sources:\n  s: {serial: {port: /dev/x, fields: {a: {key: 1}, axis_x: {key: 2}}}}\n  t: {serial: {port: /dev/y, fields: {a: {key: 1}}}}\n",
			[]string{"channels.a: fed by s and t", "channels.b: no source feeds it"}},
		"levels of a topic": {"sources:\n  s: {mqtt: {broker: tcp://h:1883, topics: [{topic: m/+, channel: \"axis_{2}\"}, {topic: a, channel: a}]}}\n",
			[]string{"channels.b: no source"}},
		"secrets": {"sources:\n  s: {mqtt: {broker: tcp://h:1883, username: u, password: {env: UNSET}, topics: [{topic: \"+\", channel: \"{1}\"}]}}\n" +
			"influxdb: {url: \"http://h:8086\", org: o, bucket: b, token: {file: no-such-token}}\n",
			[]string{"influxdb.token: secret: open", "sources.s.mqtt.password: secret: the environment variable UNSET"}},
		"set": {"sources:\n  s: {mqtt: {broker: tcp://h:1883, username: u, password: {env: SET}, topics: [{topic: \"+\", channel: \"{1}\"}]}}\n", nil},
		"files": {"sources:\n  s: {mqtt: {broker: tls://h:8883, tls: {ca: none.pem}, topics: [{topic: \"+\", channel: \"{1}\"}]}}\n  l: {log: {path: nowhere/*.csv}}\n",
			[]string{"sources.s.mqtt.tls: ", "sources.l.log.path: the folder "}},
	} {
		got := parse(c.text).Warnings()
		for _, want := range c.says {
			if !strings.Contains(strings.Join(got, "\n"), want) {
				t.Errorf("%s: %q is not in %q", name, want, got)
			}
		}
		if len(got) != len(c.says) {
			t.Errorf("%s: %d warnings: %q", name, len(got), got)
		}
	}
}
