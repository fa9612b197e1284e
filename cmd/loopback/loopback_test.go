package loopback

import (
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// What one client publishes another one gets, without a name or a password.
func TestBrokerCarriesMessages(t *testing.T) {
	server, address, err := Broker()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client := func(id string) mqtt.Client {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + address).SetClientID(id))
		if done := c.Connect(); done.Wait() && done.Error() != nil {
			t.Fatal(done.Error())
		}
		t.Cleanup(func() { c.Disconnect(0) })
		return c
	}
	got := make(chan string, 1)
	if done := client("reader").Subscribe("cell/+", 1, func(_ mqtt.Client, m mqtt.Message) { got <- string(m.Payload()) }); done.Wait() && done.Error() != nil {
		t.Fatal(done.Error())
	}
	client("writer").Publish("cell/tool", 1, false, "451")
	if text := <-got; text != "451" {
		t.Errorf("%q", text)
	}
}
