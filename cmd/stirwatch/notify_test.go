package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/agent/notify"
	"stirwatch/agent/record"
	"stirwatch/cmd/parts"
)

// The whole way: a sensor's value becomes an alarm that a mail server, a web address and a broker are told of, each
// once, over a kill while the web address is down; it is acknowledged by MQTT, and what cannot be told is an alarm itself.
func TestPeopleAreTold(t *testing.T) {
	t.Parallel()
	smtp, broker := parts.NewSMTP(t), parts.StartMosquitto(t)
	smtp.Start()
	var mu sync.Mutex
	var hooks []notify.Message
	down := true
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			http.Error(w, "out of order", http.StatusBadGateway)
			return
		}
		var m notify.Message
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &m); err != nil {
			t.Errorf("%s: %v", b, err)
		}
		hooks = append(hooks, m)
	}))
	defer web.Close()
	b := newBed(t, fmt.Sprintf(`notify:
  targets:
    office: {gather: 100 ms, mail: {server: "%s", from: cell1@example.org, to: shift@example.org}}
    chat: {gather: 100 ms, webhook: {url: {file: hook}, format: full}}
    broker: {mqtt: {broker: "%s"}}
`, smtp.URL, broker.URL))
	write(t, filepath.Join(filepath.Dir(b.conf), "hook"), web.URL+"/secret\n")
	b.up()
	if out := stirwatch(t, "notify", "test", "office", "-c", b.conf); !strings.Contains(out, "office has taken the message") {
		t.Error(out)
	}
	wait(t, "the test mail is there", func() bool { return len(smtp.Letters()) == 1 })
	out, err := exec.Command(program(t), "notify", "test", "chat", "-c", b.conf).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "chat: it answers 502 Bad Gateway out of order") {
		t.Errorf("%v: %s", err, out)
	}

	b.says("a", "500")
	b.becomes("sensor.out_of_range a", "unacknowledged")
	wait(t, "the mail is there", func() bool { return len(smtp.Letters()) == 2 })
	if s := smtp.Letters(); !strings.Contains(s[0].Subject+s[1].Subject, "cell-1: a: the value is outside the sensor's range, 500") {
		t.Errorf("%v", s)
	}
	wait(t, "the web address was tried", func() bool {
		out, _ := exec.Command(program(t), "notify", "list", "-c", b.conf).CombinedOutput()
		return strings.Contains(string(out), "it answers 502")
	})
	b.says("b", "500")
	b.becomes("sensor.out_of_range b", "unacknowledged")
	b.killed()
	mu.Lock()
	down = false
	mu.Unlock()
	told := func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		n, ids := map[string]int{}, map[string]bool{}
		for _, m := range hooks {
			if !ids[m.ID] {
				for _, it := range m.Items {
					n[it.Subject]++
				}
			}
			ids[m.ID] = true
		}
		return n
	}
	wait(t, "the web address is told of both", func() bool { n := told(); return n["a"] > 0 && n["b"] > 0 })
	if n := told(); len(n) != 2 || n["a"] != 1 || n["b"] != 1 {
		t.Errorf("%v", n)
	}

	// Somebody acknowledges at the broker.
	var board, answer string
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(broker.URL))
	must := func(tok mqtt.Token) {
		t.Helper()
		if !tok.WaitTimeout(patience) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	must(c.Connect())
	defer c.Disconnect(0)
	must(c.Subscribe("stirwatch/cell-1/alarms/#", 1, func(_ mqtt.Client, m mqtt.Message) {
		mu.Lock()
		defer mu.Unlock()
		switch m.Topic() {
		case "stirwatch/cell-1/alarms":
			board = string(m.Payload())
		case "stirwatch/cell-1/alarms/answer":
			answer = string(m.Payload())
		}
	}))
	has := func(what string) {
		t.Helper()
		wait(t, "the broker says "+what, func() bool { mu.Lock(); defer mu.Unlock(); return strings.Contains(board+answer, what) })
	}
	has(`"subject":"b","state":"unacknowledged"`)
	must(c.Publish("stirwatch/cell-1/alarms/ack", 1, false, `{"name": "all", "who": "Ann", "why": "from the phone"}`))
	has(`"changed":[`)
	has(`"subject":"b","state":"acknowledged"`)
	b.agent.end(syscall.SIGKILL) // the acknowledgement was answered: it is on disk
	if got := b.list(); strings.Count(got, "(Ann: from the phone)") != 2 {
		t.Error(got)
	}
	sent, tried := 0, 0
	records(t, b.journal, func(r *record.Notification) {
		if r.Target == "chat" {
			tried++
			if r.Sent {
				sent++
			}
		}
		if strings.Contains(r.Text, "secret") {
			t.Errorf("a record tells the address: %+v", r)
		}
	})
	if sent == 0 || tried == sent {
		t.Errorf("%d attempts at the web address on record, %d of them successful", tried, sent)
	}
	if text, _ := os.ReadFile(b.journal); strings.Contains(string(text), "/secret") || strings.Contains(b.agent.said(), "/secret") {
		t.Error("the address is in the journal or the log")
	}
	if out := stirwatch(t, "notify", "test", "office", "-c", b.conf); !strings.Contains(out, "has taken") { // without an agent
		t.Error(out)
	}
}
