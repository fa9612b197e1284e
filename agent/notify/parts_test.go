package notify

import (
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// watcher is another program at the broker.
type watcher struct {
	t  *testing.T
	c  mqtt.Client
	mu sync.Mutex
	by map[string]string
}

func watch(t *testing.T, broker, filter string) *watcher {
	t.Helper()
	w := &watcher{t: t, by: map[string]string{}}
	w.c = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(broker).SetAutoReconnect(false))
	w.must(w.c.Connect())
	w.must(w.c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.by[m.Topic()] = string(m.Payload())
	}))
	t.Cleanup(func() { w.c.Disconnect(0) })
	return w
}

func (w *watcher) must(tok mqtt.Token) {
	w.t.Helper()
	if !tok.WaitTimeout(30*time.Second) || tok.Error() != nil {
		w.t.Fatalf("the broker: %v", tok.Error())
	}
}

func (w *watcher) publish(topic, text string) {
	w.t.Helper()
	w.must(w.c.Publish(topic, 1, false, text))
}

func (w *watcher) last(topic string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.by[topic]
}
