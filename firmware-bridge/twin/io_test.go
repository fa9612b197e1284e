package twin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"stirwatch/cmd/parts"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.bug.st/serial"

	"stirwatch/firmware-bridge/twin/device"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

const deadline = time.Minute

// wait polls until ok or the deadline.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.Now().Add(deadline)
	for !ok() {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// openPort opens a link as a serial program does, once it is there.
func openPort(t *testing.T, link string) serial.Port {
	t.Helper()
	var port serial.Port
	wait(t, link, func() bool {
		var err error
		if port, err = serial.Open(link, &serial.Mode{BaudRate: 115200}); err != nil {
			return false
		}
		return true
	})
	t.Cleanup(func() { port.Close() })
	return port
}

func program(t *testing.T, text string) []Code {
	t.Helper()
	p, err := ParseProgram(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const minute = "M40 S3\nM60\nM24 S241\nM06 S200\nM41 S465\nG4 P60\nM61\nM30"

type outcome struct {
	sum Summary
	err error
}

func start(ctx context.Context, o Options) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		s, err := Run(ctx, o)
		done <- outcome{s, err}
	}()
	return done
}

// messages reads what ends with mark until the port is gone.
func messages(port serial.Port, mark byte, each func([]byte)) {
	r := bufio.NewReader(port)
	for {
		b, err := r.ReadBytes(mark)
		if err != nil {
			return
		}
		each(b[:len(b)-1])
	}
}

func TestDAQFramesAreReadBack(t *testing.T) {
	link := filepath.Join(t.TempDir(), "daq")
	done := start(t.Context(), Options{Config: Config{Seed: 1, Program: program(t, minute), Faults: []Fault{{Open, 30, 10, 1}}}, Serial: link, SerialFormat: device.DAQ})
	port := openPort(t, link)
	fields := make([]wire.Field, 4)
	for i, c := range daqChannels {
		fields[i] = wire.Field{Channel: sensors.ChannelID(i), Key: c.Name}
	}
	d := wire.NewDAQ(wire.Options{Fields: fields, DeviceClock: true})
	var samples, open, hot, force, gaps, bad int
	var first, last int64
	arrival := time.Now().UnixNano()
	messages(port, 0, func(b []byte) {
		if len(b) == 0 {
			return
		}
		arrival += 1e9 / 10 // as it would be in real time
		got, err := d.Decode(nil, arrival, b)
		if err != nil {
			bad++
			return
		}
		gaps += d.(wire.Sequenced).LastGap()
		for _, s := range got {
			samples++
			switch {
			case s.Channel == 0 && s.Status.Reason == sensors.OpenCircuit:
				open++
			case s.Channel == 0 && s.Value > 300:
				hot++
			case s.Channel == 2 && s.Value > 5000:
				force++
			}
			if first == 0 {
				first = s.Time
			}
			last = s.Time
		}
	})
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	// 60 s at 10 Hz.
	if samples < 4*600 || open != 100 || hot < 200 || force < 300 || gaps != 0 || bad != 0 {
		t.Errorf("%d samples, %d open, %d hot, %d with force, %d gaps, %d bad; %+v", samples, open, hot, force, gaps, bad, r.sum)
	}
	if span := time.Duration(last - first); span < 59*time.Second || span > 61*time.Second {
		t.Errorf("the board's clock says %v", span)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Error("the link stays")
	}
}

func TestTextFormatsAreReadBack(t *testing.T) {
	for format, decoder := range map[device.Format]func(wire.Options) wire.Decoder{
		device.CSV:      func(o wire.Options) wire.Decoder { return wire.NewCSV(o, ',', nil) },
		device.KeyValue: wire.NewKeyValue,
		device.JSON:     wire.NewJSON,
	} {
		link := filepath.Join(t.TempDir(), "tc")
		begin := time.Date(2025, 7, 8, 10, 0, 0, 0, time.UTC)
		o := Options{Config: Config{Seed: 1, Program: program(t, minute), Faults: []Fault{{Open, 20, 5, 1}, {Lost, 30, 5, 1}, {Late, 40, 5, 0.6}}},
			Serial: link, SerialFormat: format, Begin: begin}
		done := start(t.Context(), o)
		port := openPort(t, link)
		key, stamp := "tool_temperature", "ts"
		if format == device.CSV {
			key, stamp = "2", "1"
		}
		d := decoder(wire.Options{Fields: []wire.Field{{Key: key, Sentinels: []float64{NoSignal}}}, TimeKey: stamp, TimeUnit: wire.Nanoseconds, DeviceClock: true})
		var seconds []int
		sentinels := 0
		messages(port, '\n', func(b []byte) {
			if len(b) == 0 {
				return
			}
			got, err := d.Decode(nil, time.Now().UnixNano(), b)
			if err != nil {
				t.Errorf("%s: %q: %v", format, b, err)
				return
			}
			for _, s := range got {
				seconds = append(seconds, int((s.Time-begin.UnixNano())/1e9))
				if s.Status.Reason == sensors.Sentinel {
					sentinels++
				}
			}
		})
		if r := <-done; r.err != nil || r.sum.Serial != len(seconds) || r.sum.Dropped != 0 {
			t.Errorf("%s: %+v, %d read", format, r, len(seconds))
		}
		if len(seconds) < 53 || sentinels < 4 || sentinels > 5 || slices.Contains(seconds, 32) || !slices.Contains(seconds, 42) || !slices.IsSorted(seconds) {
			t.Errorf("%s: %d sentinels, stamps %v", format, sentinels, seconds)
		}
	}
}

// A message a channel says the same as one frame a row, and in which unit.
func TestFlatTelemetrySaysWhatFramesSay(t *testing.T) {
	url := parts.StartMosquitto(t).URL
	var mu sync.Mutex
	got := map[string][][]byte{}
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("reader"))
	if tok := c.Connect(); !tok.WaitTimeout(deadline) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	defer c.Disconnect(100)
	tok := c.Subscribe("+/+", 1, func(_ mqtt.Client, m mqtt.Message) {
		mu.Lock()
		defer mu.Unlock()
		got[m.Topic()] = append(got[m.Topic()], m.Payload())
	})
	if !tok.WaitTimeout(deadline) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	const rows = 20
	begin := time.Date(2025, 7, 8, 10, 0, 0, 0, time.UTC)
	for _, form := range []device.Payload{device.Frame, device.Flat} {
		if r := <-start(t.Context(), Options{Config: Config{Seed: 1, Limit: rows}, MQTT: url, Topic: string(form), MQTTFormat: form, Begin: begin}); r.err != nil || r.sum.Dropped != 0 {
			t.Fatalf("%+v", r)
		}
	}
	wait(t, "all messages", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got["frame/frame"]) == rows && len(got["flat/plate_temperature"]) == rows
	})
	mu.Lock()
	defer mu.Unlock()
	for k, b := range got["frame/frame"] {
		var frame map[string]json.Number
		if err := json.Unmarshal(b, &frame); err != nil || len(frame) != 1+len(telemetry) {
			t.Fatalf("%s: %v", b, err)
		}
		for _, channel := range telemetry {
			var flat struct {
				TS, Value json.Number
				Unit      string
			}
			b := got["flat/"+channel.name][k]
			if err := json.Unmarshal(b, &flat); err != nil || flat.TS != frame["ts"] || flat.Value != frame[channel.name] {
				t.Fatalf("%s: %s, in the frame %s at %s: %v", channel.name, b, frame[channel.name], frame["ts"], err)
			}
			if _, err := unit.Parse(flat.Unit); err != nil {
				t.Errorf("%s: %v", channel.name, err)
			}
		}
	}
}

func TestTelemetryTruthAndFaultsOverMQTT(t *testing.T) {
	url := parts.StartMosquitto(t).URL
	var mu sync.Mutex
	var frames, truths [][]byte
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("reader"))
	if tok := c.Connect(); !tok.WaitTimeout(deadline) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	defer c.Disconnect(100)
	keep := func(to *[][]byte) mqtt.MessageHandler {
		return func(_ mqtt.Client, m mqtt.Message) {
			mu.Lock()
			*to = append(*to, m.Payload())
			mu.Unlock()
		}
	}
	for topic, to := range map[string]*[][]byte{"cell/frame": &frames, "cell/truth": &truths} {
		if tok := c.Subscribe(topic, 1, keep(to)); !tok.WaitTimeout(deadline) || tok.Error() != nil {
			t.Fatal(tok.Error())
		}
	}
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := start(ctx, Options{Config: Config{Seed: 3}, MQTT: url, Topic: "cell", LogDir: filepath.Join(dir, "logs"), Truth: filepath.Join(dir, "truth.jsonl"), Speed: 100, Loop: true})
	count := func(in *[][]byte, has string) int {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, b := range *in {
			if bytes.Contains(b, []byte(has)) {
				n++
			}
		}
		return n
	}
	wait(t, "frames", func() bool { return count(&frames, "spindle_speed") > 30 })
	c.Publish("cell/fault", 1, false, "open:0.9").WaitTimeout(deadline)
	wait(t, "the fault", func() bool { return count(&truths, `"onset":["open"]`) > 0 })
	wait(t, "the sentinel", func() bool { return count(&frames, `"tool_temperature":-2.0`) > 0 })
	c.Publish("cell/fault", 1, false, "clear open").WaitTimeout(deadline)
	wait(t, "its end", func() bool { return count(&truths, `"end":["open"]`) > 0 })
	c.Publish("cell/fault", 1, false, "nonsense").WaitTimeout(deadline)
	cancel()
	r := <-done
	if r.err != nil || r.sum.Published < 60 || r.sum.Logged < 30 {
		t.Fatalf("%+v", r)
	}
	d := wire.NewJSON(wire.Options{TimeKey: "ts", TimeUnit: wire.Nanoseconds, DeviceClock: true, Fields: []wire.Field{
		{Channel: 1, Key: "spindle_speed"}, {Channel: 2, Key: "spindle_power"}, {Channel: 3, Key: "tool_temperature"}, {Channel: 4, Key: "bearing_low"}}})
	mu.Lock()
	defer mu.Unlock()
	for _, b := range frames {
		if got, err := d.Decode(nil, 1, b); err != nil || len(got) != 4 {
			t.Fatalf("%s: %d samples, %v", b, len(got), err)
		}
	}
	for _, b := range truths {
		var l truthLine
		if err := json.Unmarshal(b, &l); err != nil || l.TS == 0 || l.Phase == "" {
			t.Fatalf("%s: %v", b, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "truth.jsonl"))
	if err != nil || strings.Count(string(text), "\n") < 30 || !strings.Contains(string(text), `"onset":["open"]`) {
		t.Errorf("truth file: %v, %d bytes", err, len(text))
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "logs", "*.csv"))
	if len(logs) == 0 {
		t.Fatal("no machine log")
	}
	text, _ = os.ReadFile(logs[0])
	if lines := strings.Split(strings.TrimSpace(string(text)), "\n"); lines[0]+"\n" != meldHeader || strings.Count(lines[1], ",") != strings.Count(meldHeader, ",") {
		t.Errorf("%q", lines[:2])
	}
}

func TestControllerAnswersOverAPty(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "controller")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := start(ctx, Options{Config: Config{Seed: 1, Program: program(t, "M24 S241\nG4 P100000\nM30"), Limit: 1e6}, Controller: link, Speed: 100})
	port := openPort(t, link)
	lines := make(chan string, 100)
	go func() {
		messages(port, '\n', func(b []byte) { lines <- string(b) })
		close(lines)
	}()
	next := func() string {
		select {
		case l := <-lines:
			if !strings.HasSuffix(l, "\r") {
				t.Errorf("%q does not end with CR LF", l)
			}
			return strings.TrimSuffix(l, "\r")
		case <-time.After(deadline):
			t.Fatal("no reply")
			return ""
		}
	}
	ask := func(line, want string) string {
		t.Helper()
		if _, err := port.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		got := next()
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
		return got
	}
	ask("M40 S3\r\n", "ok")
	ask("M75 S300\n", "ok")
	ask("M06 S200\r\n", "ok")
	ask("M41 S465\r\n", "ok")
	if s := ask("?\r\n", "state=RUN mode=3 pid=1 sp=465.0 temp="); !strings.HasSuffix(s, "busy=-") {
		t.Errorf("%q", s)
	}
	ask("M43 S400\r\n", "ok") // waits until it is warm
	if s := ask("?\r\n", "state=RUN"); !strings.Contains(s, "temp=4") {
		t.Errorf("%q", s)
	}
	ask("M41 S9000\r\n", "error: M41: value S9000 is above 700")
	ask("M41\r\n", "error: M41 needs S<set-point>")
	ask("G1 F1 L1\r\n", "error: G1 is not known")
	ask("\x01\x02garbage\r\n", "error: ")
	ask(strings.Repeat("M41 ", 50)+"\r\n", "error: a command has at most 80 characters")
	// One in flight: a waiting code keeps all but ? and the stops away.
	if _, err := port.Write([]byte("M43 S690\r\nM41 S470\r\n?\r\nM05\r\n")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"error: busy with M43 S690", "state=RUN", "error: M43 stopped by M05", "ok"} {
		if got := next(); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	ask("M04 S0\r\n", "ok")
	cancel()
	if r := <-done; r.err != nil || r.sum.Commands < 16 {
		t.Errorf("%+v", r)
	}
	for range lines {
	}
}

// Nobody opens the ports, nobody reads, and it ends anyway; at another speed than flat out
// the machine does not wait.
func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	o := Options{Config: Config{Seed: 1, Program: program(t, minute)}, Serial: filepath.Join(dir, "a"), Controller: filepath.Join(dir, "b"), Speed: 400}
	if r := <-start(t.Context(), o); r.err != nil || r.sum.Rows < 60 || r.sum.Dropped == 0 || r.sum.Serial != 0 {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	o.Speed = 0
	done := start(ctx, o)
	wait(t, "the link", func() bool { _, err := os.Lstat(o.Serial); return err == nil })
	cancel()
	if r := <-done; r.err != nil {
		t.Errorf("%+v", r)
	}
}

func TestOptionsAreRefusedWithTheWayOut(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]Options{
		"name a serial link":        {},
		"use csv, keyvalue":         {Serial: "x", SerialFormat: "morse"},
		"speed -1":                  {LogDir: dir, Speed: -1},
		"serial rate 1000":          {Serial: filepath.Join(dir, "s"), SerialRate: 1000},
		"use frame or flat":         {MQTT: "x", MQTTFormat: "heap"},
		"cannot be published":       {MQTT: "x", Topic: "a/#"},
		"tcp://localhost:1883":      {MQTT: "tcp://"},
		"MQTT broker tcp://127.0":   {MQTT: "127.0.0.1:1"},
		"cannot share":              {Serial: "x", Controller: "x"},
		"no link stands":            {Serial: mine},
		"a file that is no link":    {Controller: mine},
		"truth file":                {Truth: filepath.Join(dir, "no", "where")},
		"in order of time":          {LogDir: dir, Config: Config{Operator: []Timed{{At: 2}, {At: 1}}}},
		"the shortest is 0.02":      {LogDir: dir, Config: Config{Interval: 0.001}},
		fmt.Sprintf("%s/mine", dir): {LogDir: filepath.Join(mine, "logs")},
	} {
		_, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func FuzzController(f *testing.F) {
	f.Add("M41 S475\nM43 S400\n?\nM05")
	f.Add("M04 S300\nM42 S1000\nM25\nM71 S1")
	p, err := Load("6061")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, script string) {
		m, err := New(Config{Params: p, Program: []Code{{Name: "G4", P: 1e9}}})
		if err != nil {
			t.Fatal(err)
		}
		var c panel
		for line := range strings.SplitSeq(script, "\n") {
			if strings.ContainsAny(line, "\r") {
				continue
			}
			reply := c.line(m, line)
			if reply != "" && !strings.HasSuffix(reply, "\r\n") {
				t.Errorf("%q: %q", line, reply)
			}
			for range 10 {
				m.step()
			}
			if m.pid && (m.command < m.law.Min || m.command > m.law.Max) && m.steps > 20 {
				t.Errorf("%q: asks for %g rpm, limits %g and %g", line, m.command, m.law.Min, m.law.Max)
			}
		}
	})
}
