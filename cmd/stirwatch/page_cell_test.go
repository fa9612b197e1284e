package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/cmd/assemble"
	"stirwatch/cmd/loopback"
	"stirwatch/config"
	"stirwatch/sensors"
)

// cell is a simulated machine with an agent that watches and may command it, and an address of its page that stays the
// same while agents come and go.
type cell struct {
	t       testing.TB
	conf    string
	twin    *process
	agent   *process
	faults  paho.Client
	address atomic.Pointer[url.URL] // of the agent's page
	page    *httptest.Server
}

const pageSections = `
page: {listen: "127.0.0.1:0", users: users.json}
api: {socket: agent.sock}
bridge:
  serial: {port: @DIR/controller, baud: 115200}
  targets:
    set_point: {unit: °C, min: 300 °C, max: 480 °C, slew: 5 °C/s, tolerance: 0.5, lease: 30 s, safe: {name: as found, as_found: true}}
  meld:
    words:
      set_point: {code: M41, key: sp}
control:
  tool: {mode: advise, output: tool_temperature, goal: 455 °C, target: set_point, lease: 10 s}
`

func newCell(t testing.TB) *cell {
	t.Helper()
	broker, address, err := loopback.Broker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	model, err := filepath.Abs(filepath.Join("..", "demo", "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &cell{t: t, conf: filepath.Join(dir, "agent.yaml")}
	write(t, c.conf, strings.NewReplacer("@DIR", dir, "@BROKER", address, "file: model.json", "file: "+model+", hypotheses: small.yaml", "page: {listen: 127.0.0.1:8765}", "").Replace(contents(t, filepath.Join("..", "demo", "agent.yaml"))+pageSections))
	if err := os.MkdirAll(filepath.Join(dir, "stirwatch-data", "models"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "stirwatch-data", "models", "other.json"), contents(t, model))
	c.remembers("build-1", "build-2")
	c.twin = start(t, "twin", program(t), "twin", "--serial", filepath.Join(dir, "thermocouple"), "--controller", filepath.Join(dir, "controller"), "--mqtt", "tcp://"+address, "--speed", "10", "--loop", "--seed", "7")
	c.faults = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("faults"))
	if token := c.faults.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.faults.Disconnect(0) })
	c.page = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(c.address.Load()); r.Out.Host = r.In.Host },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(c.page.Close)
	wait(t, "the twin has its ports", func() bool {
		_, err := os.Stat(filepath.Join(dir, "controller"))
		return err == nil
	})
	c.up()
	return c
}

// remembers records short builds of the last hours, the last name the newest.
func (c *cell) remembers(names ...string) {
	c.t.Helper()
	conf, err := config.Load(c.conf)
	if err != nil {
		c.t.Fatal(err)
	}
	reg, err := assemble.Registry(conf)
	if err != nil {
		c.t.Fatal(err)
	}
	j, err := journal.Open(conf.Abs(conf.Journal.Path), journal.Options{Machine: conf.Machine, Registry: reg, Hold: -1})
	if err != nil {
		c.t.Fatal(err)
	}
	for i, name := range names {
		begin, dir := time.Now().Add(time.Duration(i-len(names))*time.Hour).Truncate(time.Second).UTC(), c.t.TempDir()
		stirwatch(c.t, "twin", "--speed", "0", "--seed", strconv.Itoa(i+1), "--log-dir", dir, "--begin", begin.Format(time.RFC3339))
		files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
		if err != nil || len(files) != 1 {
			c.t.Fatalf("the twin has left %v, %v", files, err)
		}
		build, err := assemble.ReadRun(conf, reg, files[0])
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := j.BeginRun(name, "", build.Time[0]); err != nil {
			c.t.Fatal(err)
		}
		var all []sensors.Sample
		for next, end := build.Rows(reg), build.Time[0]+int64(6*time.Minute); ; {
			at, row, ok := next()
			if !ok || at > end {
				break
			}
			all = append(all, row...)
		}
		journaltest.Keep(j, all)
		if err := j.EndRun(all[len(all)-1].Time); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// hypotheses makes a pipe where whoever learns reads hypotheses, and waits until give has written some.
func (c *cell) hypotheses() (give func()) {
	c.t.Helper()
	pipe := filepath.Join(filepath.Dir(c.conf), "small.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		c.t.Helper()
		var w *os.File
		wait(c.t, "somebody reads hypotheses", func() (is bool) {
			var err error
			w, err = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
			return err == nil
		})
		if _, err := w.WriteString(smallHypotheses); err != nil { // shorter than a pipe holds
			c.t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// unmodelled takes the model out of the configuration, and forgets which was chosen.
func (c *cell) unmodelled() {
	c.t.Helper()
	write(c.t, c.conf, regexp.MustCompile(`(?m)^model: .*$`).ReplaceAllString(contents(c.t, c.conf), "model: {hypotheses: small.yaml}"))
	if err := os.Remove(filepath.Join(filepath.Dir(c.conf), "stirwatch-data", "models", "current")); err != nil {
		c.t.Fatal(err)
	}
}

var served = regexp.MustCompile(`the page is served.*address=(http://[0-9.:]+)`)

// up starts an agent.
func (c *cell) up() {
	c.t.Helper()
	c.agent = start(c.t, "run", program(c.t), "run", "-c", c.conf)
	c.agent.says("the page is served", 1)
	wait(c.t, "the agent tells the address of its page", func() bool {
		m := served.FindStringSubmatch(c.agent.said())
		if m == nil {
			return false
		}
		u, err := url.Parse(m[1])
		c.address.Store(u)
		return err == nil
	})
}

// fault gives the machine a fault, or clears all.
func (c *cell) fault(text string) {
	c.t.Helper()
	if token := c.faults.Publish("afsd/cell1/fault", 1, false, text); !token.WaitTimeout(patience) || token.Error() != nil {
		c.t.Fatal(token.Error())
	}
}
