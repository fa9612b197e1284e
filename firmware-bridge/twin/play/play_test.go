package play

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.bug.st/serial"
	"go.uber.org/goleak"

	"stirwatch/cmd/parts"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/firmware-bridge/twin/device"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
	"stirwatch/sensors/serialport"
	"stirwatch/sensors/unit"
	"stirwatch/sensors/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const deadline = 3 * time.Minute

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

// wait polls until ok; it fails the test after the deadline.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", deadline, what)
		}
	}
}

// inbox is what a subscriber got, in order.
type inbox struct {
	mu       sync.Mutex
	topics   []string
	payloads []string
}

func (in *inbox) take(m mqtt.Message) {
	in.mu.Lock()
	in.topics, in.payloads = append(in.topics, m.Topic()), append(in.payloads, string(m.Payload()))
	in.mu.Unlock()
}

func (in *inbox) len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.payloads)
}

func subscribe(t *testing.T, url, topic string) *inbox {
	t.Helper()
	in := &inbox{}
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(fmt.Sprintf("test-%p", in)))
	if tok := c.Connect(); !tok.WaitTimeout(deadline) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	if tok := c.Subscribe(topic, 1, func(_ mqtt.Client, m mqtt.Message) { in.take(m) }); !tok.WaitTimeout(deadline) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(100) })
	return in
}

// listen opens the serial port once the link is there and gathers everything until it is closed.
func listen(t *testing.T, link string) <-chan []byte {
	t.Helper()
	out := make(chan []byte, 1)
	go func() {
		for end := time.Now().Add(deadline); !exists(link) && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		p, err := os.OpenFile(link, os.O_RDWR|syscall.O_NOCTTY, 0) // the line is raw already, and setting it up again may cost what is under way
		if err != nil {
			t.Error(err)
			close(out)
			return
		}
		defer p.Close()
		var all []byte
		buf := make([]byte, 4096)
		for {
			n, err := p.Read(buf)
			all = append(all, buf[:n]...)
			if err != nil {
				out <- all
				return
			}
		}
	}()
	return out
}

func run(t *testing.T, log *runlog.Log, opt Options) Summary {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*deadline)
	defer cancel()
	sum, err := Run(ctx, log, opt)
	if err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	return sum
}

func recorded(t *testing.T, name string) *runlog.Log {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(dir, "go.mod")) {
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "..", "shared", "data", name)
	if !exists(path) {
		t.Skipf("recording %s is not here", name)
	}
	log, err := runlog.Read(path, runlog.Options{Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestRecordingArrivesOnceInOrderBitForBit(t *testing.T) {
	url := parts.StartMosquitto(t).URL
	for _, name := range []string{"20250708104310.csv", "20250707151600.csv"} {
		log := recorded(t, name)
		link := filepath.Join(t.TempDir(), "tool")
		in := subscribe(t, url, "cell/frame")
		port := listen(t, link)
		sum := run(t, log, Options{Serial: link, MQTT: url, Topic: "cell"})

		tool, _ := log.Find(sensors.ToolTemperature)
		lines := strings.Split(strings.Trim(string(<-port), "\n"), "\n")
		if len(lines) != len(log.Time) {
			t.Fatalf("%s: %d serial lines of %d", name, len(lines), len(log.Time))
		}
		for k, l := range lines {
			stamp, value, _ := strings.Cut(l, ",")
			v, err := strconv.ParseFloat(value, 64)
			if err != nil || stamp != fmt.Sprint(log.Time[k]) || math.Float64bits(v) != math.Float64bits(log.Value[tool][k]) {
				t.Fatalf("%s: row %d came as %q, want %d,%v", name, k+1, l, log.Time[k], log.Value[tool][k])
			}
		}

		wait(t, "all frames", func() bool { return in.len() >= len(log.Time) })
		if in.len() != len(log.Time) {
			t.Fatalf("%s: %d frames of %d", name, in.len(), len(log.Time))
		}
		for k, payload := range in.payloads {
			var got map[string]json.Number
			if err := json.Unmarshal([]byte(payload), &got); err != nil {
				t.Fatal(err)
			}
			if got["ts"].String() != fmt.Sprint(log.Time[k]) || len(got) != 1+len(log.Columns)-len(sum.LeftOut)-1 {
				t.Fatalf("%s: row %d came as %s", name, k+1, payload)
			}
			for i, c := range log.Columns {
				if i == tool || slices.Contains(sum.LeftOut, c.Name) {
					continue
				}
				if v, err := got[c.Name].Float64(); err != nil || math.Float64bits(v) != math.Float64bits(log.Value[i][k]) {
					t.Fatalf("%s: row %d: %s came as %q, want %v", name, k+1, c.Name, got[c.Name], log.Value[i][k])
				}
			}
		}
		sentinels := 0
		for _, s := range log.Status[tool] {
			if s.Reason == sensors.Sentinel {
				sentinels++
			}
		}
		if sum.Rows != len(log.Time) || sum.Messages != 2*len(log.Time) || sum.Dropped != 0 || sum.Unacked != 0 || sum.Sentinels != sentinels ||
			sum.Samples["tool_temperature"] != len(log.Time) || sum.Samples["spindle_power"] != len(log.Time) {
			t.Errorf("%s: %+v", name, sum)
		}
		if want := []string{"ktype_1", "ktype_2", "ktype_3", "ktype_4", "oxygen", "tool2_temperature"}; !slices.Equal(sorted(sum.LeftOut), want) {
			t.Errorf("%s: left out %v, want %v", name, sum.LeftOut, want)
		}
		if exists(link) {
			t.Errorf("%s: the link is still there", name)
		}
		t.Logf("%s: %d messages in %s", name, sum.Messages, sum.Duration)
	}
}

// built is the log of a simulated machine that heats up and stays there: rows of one second, the tool
// temperature in front. Its thermocouple is broken from the 31st to the 40th second.
func built(t *testing.T, seed uint64, minutes float64) *runlog.Log {
	t.Helper()
	log := &runlog.Log{Name: "built"}
	for _, c := range runlog.MELDChannels() {
		if slices.Contains([]string{"tool_temperature", "spindle_speed", "spindle_power", "set_point", "feed_velocity", "x_position"}, c.Name) {
			log.Columns = append(log.Columns, runlog.Column{Name: c.Name, Key: c.Name, Role: c.Role, Unit: c.Unit})
		}
	}
	log.Value, log.Status = make([][]float64, len(log.Columns)), make([][]sensors.Status, len(log.Columns))
	begin := time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)
	program, err := twin.ParseProgram("M24 S241\nM06 S200\nM41 S465\nG4 P100000\nM30")
	if err != nil {
		t.Fatal(err)
	}
	machine := twin.Config{Seed: seed, Program: program, Limit: 60 * minutes, Faults: []twin.Fault{{Kind: twin.Open, At: 30, For: 10, Severity: 1}}}
	err = twin.Simulate(t.Context(), machine, func(_ *twin.Machine, r *twin.Row) error {
		log.Time = append(log.Time, begin.Add(time.Duration(r.At*float64(time.Second))).UnixNano())
		log.Line = append(log.Line, len(log.Time))
		for i, v := range []float64{r.ToolTemp, r.RPM, r.Power, r.SetPoint, r.FeedVel, r.X} {
			status := sensors.OK
			if i == 0 && v == twin.NoSignal {
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			}
			log.Value[i], log.Status[i] = append(log.Value[i], v), append(log.Status[i], status)
		}
		return nil
	})
	if err != nil || len(log.Time) != int(60*minutes) {
		t.Fatalf("%d rows, %v", len(log.Time), err)
	}
	return log
}

func sorted(s []string) []string { s = slices.Clone(s); slices.Sort(s); return s }

func TestFlatTopics(t *testing.T) {
	url := parts.StartMosquitto(t).URL
	log := built(t, 1, 3)
	in := subscribe(t, url, "afsd/cell1/#")
	sum := run(t, log, Options{MQTT: url, MQTTFormat: device.Flat, From: 11, To: 20})
	want := 10 * len(log.Columns)
	wait(t, "all messages", func() bool { return in.len() >= want })
	if in.len() != want || sum.Messages != want || sum.Rows != 10 || len(sum.LeftOut) != 0 {
		t.Errorf("%d messages, %+v", in.len(), sum)
	}
	n := 0
	for k := 10; k < 20; k++ {
		for i, c := range log.Columns {
			var got struct {
				Stamp int64 `json:"ts"`
				Value float64
				Unit  string
			}
			if err := json.Unmarshal([]byte(in.payloads[n]), &got); err != nil {
				t.Fatal(err)
			}
			if in.topics[n] != "afsd/cell1/"+c.Name || got.Stamp != log.Time[k] || got.Value != log.Value[i][k] || got.Unit != c.Unit.Symbol {
				t.Fatalf("message %d: %s %s, want %s %v", n, in.topics[n], in.payloads[n], c.Name, log.Value[i][k])
			}
			n++
		}
	}
}

// Each serial form is read by the decoder that the agent would use.
func TestSerialForms(t *testing.T) {
	log := built(t, 2, 3)
	for _, form := range []device.Format{device.CSV, device.KeyValue, device.JSON, device.DAQ} {
		link := filepath.Join(t.TempDir(), "tool")
		port := listen(t, link)
		sum := run(t, log, Options{Serial: link, SerialFormat: form})
		all := <-port
		if sum.Samples["tool_temperature"] != len(log.Time) || sum.Sentinels == 0 {
			t.Errorf("%s: %+v", form, sum)
		}
		var times []int64
		var values []float64
		switch form {
		case device.DAQ:
			d := wire.NewDAQ(wire.Options{Fields: []wire.Field{{Channel: 0, Key: "tool_temperature", Map: unit.Identity}}, DeviceClock: true})
			for _, frame := range strings.Split(strings.Trim(string(all), "\x00"), "\x00") {
				s, err := d.Decode(nil, 1, []byte(frame))
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				for _, x := range s {
					times, values = append(times, x.Time), append(values, x.Value)
				}
			}
		default:
			for sc := bufio.NewScanner(strings.NewReader(strings.Trim(string(all), "\n"))); sc.Scan(); {
				l := strings.NewReplacer("ts=", "", " tool_temperature=", ",", `{"ts":`, "", `,"tool_temperature":`, ",", "}", "").Replace(sc.Text())
				stamp, value, _ := strings.Cut(l, ",")
				at, err := strconv.ParseInt(stamp, 10, 64)
				v, err2 := strconv.ParseFloat(value, 64)
				if err != nil || err2 != nil {
					t.Fatalf("%s: %q", form, sc.Text())
				}
				times, values = append(times, at), append(values, v)
			}
		}
		if len(values) != len(log.Time) {
			t.Fatalf("%s: %d values of %d", form, len(values), len(log.Time))
		}
		for k, v := range values {
			want, at := log.Value[0][k], log.Time[k]
			if form == device.DAQ { // its clock is the decoder's to tie to ours
				want, at = float64(float32(want)), times[k]
			}
			if v != want || times[k] != at {
				t.Fatalf("%s: row %d: %v at %d, want %v at %d", form, k+1, v, times[k], want, at)
			}
		}
	}
}

func TestPlayEndsCleanlyWhenStopped(t *testing.T) {
	url := parts.StartMosquitto(t).URL
	log := built(t, 3, 3)
	link := filepath.Join(t.TempDir(), "tool")

	// While it waits for someone to open the port.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if sum, err := Run(ctx, log, Options{Serial: link}); err != nil || sum.Rows != 0 {
			t.Errorf("%+v, %v", sum, err)
		}
	}()
	wait(t, "the link", func() bool { return exists(link) })
	cancel()
	<-done
	if exists(link) {
		t.Error("the link is still there")
	}

	// In the middle of an endless loop.
	ctx, cancel = context.WithCancel(t.Context())
	port := listen(t, link)
	in := subscribe(t, url, "afsd/#")
	seen := 0
	sum, err := Run(ctx, log, Options{Serial: link, MQTT: url, Loop: true, Progress: func(Progress) {
		if seen++; seen == 2*len(log.Time) {
			cancel()
		}
	}})
	cancel()
	if err != nil || sum.Rows != 2*len(log.Time) || exists(link) {
		t.Errorf("%+v, %v, link there: %v", sum, err, exists(link))
	}
	<-port
	wait(t, "the acknowledged frames", func() bool { return in.len() >= sum.Samples["spindle_speed"] })
	last := int64(0)
	for _, p := range in.payloads {
		var got struct {
			Stamp int64 `json:"ts"`
		}
		if err := json.Unmarshal([]byte(p), &got); err != nil || got.Stamp <= last {
			t.Fatalf("%s after %d: %v", p, last, err)
		}
		last = got.Stamp
	}
}

// A reader that leaves for a while misses lines, and they are counted; with Hold the machine
// waits for it.
func TestLinesWithoutAReaderAreDroppedAndCounted(t *testing.T) {
	log := built(t, 4, 3)
	for _, hold := range []bool{false, true} {
		link := filepath.Join(t.TempDir(), "tool")
		rows := make(chan int, 10*len(log.Time))
		sums := make(chan Summary, 1)
		go func() {
			sum, err := Run(t.Context(), log, Options{Serial: link, Speed: 200, Hold: hold, Progress: func(p Progress) { rows <- p.Row }})
			if err != nil {
				t.Error(err)
			}
			sums <- sum
		}()
		wait(t, "the link", func() bool { return exists(link) })
		lines := func(open func() bool) (n int) {
			p, err := serial.Open(link, &serial.Mode{BaudRate: 9600})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			n = -1 // the line end that greets
			buf := make([]byte, 1)
			for open() {
				got, err := p.Read(buf)
				if err != nil {
					return n
				}
				n += strings.Count(string(buf[:got]), "\n")
			}
			return n
		}
		got := 0
		first := lines(func() bool { got++; return got < 200 })
		if !hold {
			wait(t, "rows without a reader", func() bool { return len(rows) >= 60 })
			wait(t, "the end", func() bool { return len(rows) == len(log.Time) })
		} else {
			first += lines(func() bool { return true })
		}
		sum := <-sums
		if got := sum.Samples["tool_temperature"]; got+sum.Dropped != len(log.Time) || hold != (sum.Dropped == 0) || first > got {
			t.Errorf("hold %v: %d lines read; %+v", hold, first, sum)
		}
	}
}

// rows of a serial source, as the agent's journal would get them.
type rows struct {
	mu   sync.Mutex
	time []int64
	got  map[int64]float64
}

func (r *rows) Emit(s []sensors.Sample, _ sensors.Acker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range s {
		r.time, r.got[x.Time] = append(r.time, x.Time), x.Value
	}
}

func (r *rows) Event(sensors.Event) {}

func (r *rows) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.time)
}

// The agent's own reader leaves out what comes before the first end of a message. It sees every
// row from the first anyway, and after it has closed and reopened the port, in every form.
func TestTheSerialSourceSeesEveryRowFromTheFirst(t *testing.T) {
	log := built(t, 8, 3)
	for _, form := range []device.Format{device.CSV, device.KeyValue, device.JSON, device.DAQ} {
		for try := 1; !seesEveryRow(t, log, form); try++ {
			if try == 20 {
				t.Fatalf("%s: this computer is too busy: a port takes longer to be opened than play waits for", form)
			}
		}
	}
}

// seesEveryRow is false where the computer was too busy to tell: opening the port took about as long as play leaves for
// it, and what came in before may be gone.
func seesEveryRow(t *testing.T, log *runlog.Log, form device.Format) bool {
	t.Helper()
	field := func(key string) []wire.Field { return []wire.Field{{Key: key, Map: unit.Identity}} }
	o := map[device.Format]serialport.Options{
		device.CSV:      {Decoder: wire.NewCSV(wire.Options{Fields: field("2"), TimeKey: "1", TimeUnit: wire.Nanoseconds, DeviceClock: true}, 0, nil)},
		device.KeyValue: {Decoder: wire.NewKeyValue(wire.Options{Fields: field("tool_temperature"), TimeKey: "ts", TimeUnit: wire.Nanoseconds, DeviceClock: true})},
		device.JSON:     {Decoder: wire.NewJSON(wire.Options{Fields: field("tool_temperature"), TimeKey: "ts", TimeUnit: wire.Nanoseconds, DeviceClock: true})},
		device.DAQ:      {Decoder: wire.NewDAQ(wire.Options{Fields: field("tool_temperature"), DeviceClock: true}), Format: serialport.COBS},
	}[form]
	link := filepath.Join(t.TempDir(), "tool")
	o.Port, o.Clock = link, func() int64 { return time.Now().UnixNano() }
	playing, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan Summary, 1)
	go func() {
		sum, err := Run(playing, log, Options{Serial: link, SerialFormat: form, Speed: 200, Hold: true})
		if err != nil && playing.Err() == nil {
			t.Error(err)
		}
		ended <- sum
	}()
	wait(t, "the link", func() bool { return exists(link) })

	got := &rows{got: map[int64]float64{}}
	src := serialport.New(o)
	// open reads until ctx ends, and reports whether the port was open early enough.
	open := func(ctx context.Context) (left chan error, early bool) {
		left = make(chan error, 1)
		before, began := src.Health().Connects.Load(), time.Now()
		go func() { left <- src.Run(ctx, got) }()
		wait(t, "the port to be open", func() bool { return src.Health().Connects.Load() > before || len(left) > 0 })
		return left, time.Since(began) < 150*time.Millisecond && src.Health().Connects.Load() > before
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left, early := open(ctx)
	if early {
		wait(t, "rows", func() bool { return got.len() >= 40 })
	} else {
		stop()
	}
	cancel()
	err := <-left
	before := got.len()
	if !early || err != nil || before == len(log.Time) { // play had ended before the reader could leave
		stop()
		<-ended
		return false
	}
	left, early = open(t.Context())
	<-left // play has ended
	sum := <-ended
	if !early {
		return false
	}

	if form == device.DAQ { // its stamps count from its start; the values tell
		if got.time[0] == 0 || got.got[got.time[0]] != float64(float32(log.Value[0][0])) {
			t.Errorf("%s: the first row came as %v", form, got.got[got.time[0]])
		}
	}
	for k, at := range log.Time[:before] {
		if form != device.DAQ && (got.time[k] != at || got.got[at] != log.Value[0][k]) {
			t.Fatalf("%s: row %d came as %v at %d, want %v at %d", form, k+1, got.got[got.time[k]], got.time[k], log.Value[0][k], at)
		}
	}
	// What lay in the terminal when the reader left is lost: never more than a second of rows.
	if n := got.len(); sum.Dropped != 0 || sum.Messages != len(log.Time) || n > len(log.Time) || n <= before {
		t.Errorf("%s: %d rows before the reader left, %d in all of %d; %+v", form, before, n, len(log.Time), sum)
	}
	if h := src.Health().Snapshot(); h.Rejected != 0 {
		t.Errorf("%s: %d messages rejected", form, h.Rejected)
	}
	return true
}

// A reader that has the port open but does not read costs lines, never the telemetry.
func TestADeafReaderDoesNotHoldUpTheTelemetry(t *testing.T) {
	url := parts.StartMosquitto(t).URL
	log := built(t, 5, 30)
	for range 2 { // one run is less than the terminal holds
		log.Columns[0].Name += "_with_a_long_name_that_fills_the_terminal_soon"
	}
	link := filepath.Join(t.TempDir(), "tool")
	opened := make(chan serial.Port, 1)
	go func() {
		for !exists(link) {
			time.Sleep(5 * time.Millisecond)
		}
		p, err := serial.Open(link, &serial.Mode{BaudRate: 9600})
		if err != nil {
			t.Error(err)
		}
		opened <- p
	}()
	sum := run(t, log, Options{Serial: link, SerialFormat: device.KeyValue, MQTT: url, Speed: 2000})
	(<-opened).Close()
	if sum.Dropped == 0 || sum.Samples["spindle_speed"] != len(log.Time) || sum.Samples[log.Columns[0].Name]+sum.Dropped != len(log.Time) {
		t.Errorf("%+v", sum)
	}
}

func TestMessagesSurviveABrokerThatIsKilled(t *testing.T) {
	broker := parts.StartMosquitto(t)
	log := built(t, 6, 10)
	sum := run(t, log, Options{MQTT: broker.URL, Progress: func(p Progress) {
		if p.Row == 300 {
			broker.Stop(syscall.SIGKILL)
			broker.Start()
		}
	}})
	if sum.Unacked != 0 || sum.Messages != len(log.Time) || sum.Samples["spindle_speed"] != len(log.Time) {
		t.Errorf("%+v", sum)
	}
}

func TestAFileAtTheLinkIsKept(t *testing.T) {
	link := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(link, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), built(t, 1, 3), Options{Serial: link}); err == nil || !strings.Contains(err.Error(), "no link") {
		t.Error(err)
	}
	if b, _ := os.ReadFile(link); string(b) != "mine" {
		t.Errorf("%q", b)
	}
}

func TestOptionsAreRefusedWithTheWayOut(t *testing.T) {
	log := built(t, 1, 3)
	for want, opt := range map[string]Options{
		"name a serial link":      {},
		"use csv, keyvalue":       {Serial: "x", SerialFormat: "morse"},
		"use frame or flat":       {MQTT: "x", MQTTFormat: "heap"},
		"use recorded or now":     {MQTT: "x", Stamps: "never"},
		"speed -1":                {MQTT: "x", Speed: -1},
		"cannot be published":     {MQTT: "x", Topic: "a/#"},
		"has rows 1 to 180":       {MQTT: "x", From: 5, To: 500},
		"tcp://localhost:1883":    {MQTT: "tcp://"},
		"MQTT broker tcp://127.0": {MQTT: "127.0.0.1:1"},
	} {
		if _, err := Run(t.Context(), log, opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
