package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExposed(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"open": 0o644, "closed": 0o640, "key.pem": 0o604, "j.db": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	text := `machine: a
channels: {x: {unit: °C}}
sources:
  read: {mqtt: {broker: 'tcp://h', username: u, password: {file: open}, topics: [{topic: t, channel: x}]}}
  own: {mqtt: {listen: 'tls://0.0.0.0', tls: {cert: c.pem, key: key.pem}, users: {gate: {password: {file: open}}}, topics: [{topic: t, channel: x}]}}
journal: {path: j.db}
influxdb: {url: 'http://h', org: o, bucket: b, token: {file: closed}}
`
	c, err := Parse(filepath.Join(dir, "agent.yaml"), []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	all := c.Exposed()
	for i, want := range []string{"sources.read.mqtt.password: ", "sources.own.mqtt.users.gate.password: ", "sources.own.mqtt.tls.key: ", "journal.path: "} {
		found := false
		for _, s := range all {
			found = found || strings.HasPrefix(s, want) && strings.Contains(s, "chmod o-rwx "+dir)
		}
		if !found {
			t.Errorf("%d: %s is missing in %q", i, want, all)
		}
	}
	if len(all) != 4 {
		t.Errorf("%q", all)
	}
}
