package parts

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// Mosquitto is a real broker.
type Mosquitto struct {
	*Process
	Dir  string // of its files, where a test puts certificates and users
	Addr string // host:port
	URL  string // tcp://host:port
}

// NewMosquitto makes a broker that does not run yet, with the settings it comes with (20 messages in
// flight, 1000 queued), persistence, anonymous clients, and the lines of configuration given, in
// which DIR stands for its folder. It logs who subscribes to what.
func NewMosquitto(t testing.TB, conf ...string) *Mosquitto {
	t.Helper()
	bin := find(t, "mosquitto", "MOSQUITTO", "install the Debian package mosquitto, or let `make test` do it")
	m := &Mosquitto{Dir: t.TempDir(), Addr: address(t)}
	m.URL = "tcp://" + m.Addr
	_, port, _ := net.SplitHostPort(m.Addr)
	more := strings.ReplaceAll(strings.Join(conf, "\n"), "DIR", m.Dir)
	if !strings.Contains(more, "allow_anonymous") {
		more += "\nallow_anonymous true"
	}
	// Started by root it would else become a user who may not write its folder; others may not say so.
	path := write(t, filepath.Join(m.Dir, "mosquitto.conf"), `listener %s 127.0.0.1
persistence true
persistence_location %s/
user root
log_dest stderr
log_type error
log_type warning
log_type subscribe
%s
`, port, m.Dir, more)
	m.Process = newProcess(t, "mosquitto", func() bool {
		c, err := net.Dial("tcp", m.Addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, bin, "-c", path)
	return m
}

// StartMosquitto is NewMosquitto, running.
func StartMosquitto(t testing.TB, conf ...string) *Mosquitto {
	t.Helper()
	m := NewMosquitto(t, conf...)
	m.Start()
	return m
}
