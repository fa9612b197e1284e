package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// forgeHypotheses are of a [forge]; its numbers are to be found, and what they leave open is a disturbance.
const forgeHypotheses = `
process: a tool that a spindle heats
inputs:
  - {symbol: n, is: spindle speed, unit: rpm}
outputs:
  - {is: tool temperature, state: T, unit: °C, sd: 0.1}
parameters:
  - {name: Ta, value: 300, min: 100, max: 400, unit: °C, text: without a spindle that turns}
  - {name: dead, value: 0.05, min: 0, max: 0.5, unit: s, text: from speed to effect}
  - {name: tau_d, value: 10, unit: s, fixed: true, text: memory of the disturbance}
dead_time: dead
states:
  - {symbol: T, is: tool temperature, unit: °C, start: reading, start_sd: 1, noise: 0.2}
  - {symbol: d, is: disturbance, unit: K/s, start: "0", start_sd: 5, noise: 5}
terms:
  - {of: T, name: heating, sign: +, expression: n, unit: K/rad, start: 3, opinion: require}
  - {of: T, name: loss, sign: -, expression: T - Ta, unit: 1/s, start: 1, opinion: require}
  - {of: T, name: unexplained, sign: +, expression: d, fixed: true}
  - {of: d, name: memory, sign: -, expression: d/tau_d, fixed: true}
`

// forgeLog is what a forge 8 K colder logs in 80 s of which its spindle is turned up and down.
func forgeLog() string {
	f := &forge{temp: 432, rpm: 340, wanted: 340, cold: 312}
	var b strings.Builder
	b.WriteString("time [s];spindle speed [rpm];tool temperature [°C]\n")
	for row := range 800 {
		if row%30 == 0 {
			f.wanted = 300 + float64(row*7%141)
		}
		fmt.Fprintf(&b, "%.1f;%.1f;%.1f\n", 0.1*float64(row), f.rpm, f.temp)
		for range 5 {
			f.step(0.2)
		}
	}
	return b.String()
}

// A model learned from the machine's own log leads its spindle, hotter than in the log, whether its telemetry comes as JSON lines or over
// a broker, and gives it back.
func TestALearnedModelLeadsASpindle(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute of real time")
	}
	t.Parallel()
	for _, over := range []string{"JSON lines", "MQTT"} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			edits := []string{"slew: 50 rpm/s", "slew: 500 rpm/s", "law: pid ", "law: mpc ", "every: 200 ms", "every: 200 ms\n    horizon: 3 s",
				"gain: 3, integral: 5 s", "gain: 2, integral: 500 ms", "# model:", "model:"}
			var f *forge
			if over == "MQTT" {
				b := startMosquitto(t)
				c := paho.NewClient(paho.NewClientOptions().AddBroker(b.URL).SetClientID("forge"))
				if k := c.Connect(); k.Wait() && k.Error() != nil {
					t.Fatal(k.Error())
				}
				t.Cleanup(func() { c.Disconnect(0) })
				f = newForge(t, func(line string) { c.Publish("cell/telemetry", 0, false, line) })
				edits = append(edits, "serial:\n      port: /dev/serial/by-id/usb-telemetry\n      format: json\n      fields:",
					"mqtt:\n      broker: "+b.URL+"\n      topics:\n      - topic: cell/telemetry\n        payload: frame\n        fields:",
					"\n        tool_temperature:", "\n          tool_temperature:", "\n        spindle_", "\n          spindle_",
					"\n        feed_", "\n          feed_", "\n        path_", "\n          path_")
			} else {
				f = newForge(t)
				edits = append(edits, "/dev/serial/by-id/usb-telemetry", f.tells)
			}
			dir := t.TempDir()
			conf := filepath.Join(dir, "agent.yaml")
			write(t, conf, controlPage(t, "hands_back", append(edits, "/dev/serial/by-id/usb-controller", f.port)...))
			write(t, filepath.Join(dir, "monday.csv"), forgeLog())
			write(t, filepath.Join(dir, "forge.yaml"), forgeHypotheses)
			if code, out, errs := command(t, dir, "learn", "--hypotheses", "forge.yaml", "monday.csv", "-o", "model.json"); code != 0 {
				t.Fatal(out, errs)
			}
			if code, _, errs := command(t, dir, "config", "check", conf); code != 0 {
				t.Fatal(errs)
			}
			agent := start(t, "run", program(t), "run", "-c", conf)
			wait(t, "the spindle is led and the temperature at its goal", func() bool { return f.off() < 1 })
			wait(t, "prediction tells what it expects", func() bool {
				_, out, _ := command(t, dir, "control", "status", "-c", conf)
				return strings.Contains(out, "commands") && strings.Contains(out, "expected")
			})
			agent.cmd.Process.Signal(syscall.SIGTERM)
			<-agent.done
			if !f.own() {
				t.Error("the end does not give it back")
			}
			_, record, _ := command(t, dir, "export", "-c", conf, "--measurement", "commands", "--format", "lp")
			if !strings.Contains(record, "for a goal of 455 °C") || strings.Contains(record, "verdict=failed") {
				t.Errorf("the record of commands:\n%.2000s", record)
			}
		})
	}
}
