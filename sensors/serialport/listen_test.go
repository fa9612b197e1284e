package serialport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/wire"
)

func TestGuessFormat(t *testing.T) {
	described := bytes.Join([][]byte{{3, 3, 0},
		wire.AppendDAQDescription(nil, 0, 0, wire.DAQChannel{Index: 0, Count: 2, Firmware: "stirdaq 1.0", Name: "T_tool", Unit: "°C"}),
		wire.AppendDAQData(nil, 1, 1000, []float32{474.25, 12}, nil)}, nil)
	for _, c := range []struct{ name, talk, want string }{
		{"number", "4.3\n474.3\n474.5\n474", `csv "," 2 messages, 1=value_1(474.5)`},
		{"csv", "3,4\r\n1760000000100,474.3,2\r\n1760000000200,474.4,3\r\n", `csv "," 2 messages, time 1 ms, 2=value_2(474.4) 3=value_3(3)`},
		{"csv with a header", "x\nms;Tool T;Force\n100;20.5;-2\n200;20.5;-3\n", `csv ";" 2 messages, time 1 uptime ms, 2=tool_t(20.5) 3=force(-3)`},
		{"blanks", "x\n1.5  2.5\n1.5   2\n", `csv " " 2 messages, 1=value_1(1.5) 2=value_2(2)`},
		{"weight", "x\nST,GS,+00081.72  g\nUS,GS,+00081.80  g\n", `csv "," 2 messages, 3=value_3(+00081.80)`},
		{"keyvalue", "x\nT1=474.3, F=12.1\nT1=474.4, F=12.2\n", `keyvalue "\x00" 2 messages, T1=t1(474.4) F=f(12.2)`},
		{"printer", "x\nT:20.1 /0.0 B:19.0 /0.0\nT:20.2 /0.0 B:19.0 /0.0\n", `keyvalue "\x00" 2 messages, T=t(20.2) B=b(19.0)`},
		{"decimal commas", "x\n474,3;12,1\n474,4;12,2\n", `csv ";" 2 messages, 1=value_1(474,4) 2=value_2(12,2)`},
		{"keyvalue with decimal commas", "x\nT1=474,3;F=12,1\nT1=474,4;F=12,2\n", `keyvalue "\x00" 2 messages, T1=t1(474,4) F=f(12,2)`},
		{"keys with blanks", "x\nThermocouple Temp: 471.88\nCold Junction Temp: 31.42\nThermocouple Temp: 471.90\n", `keyvalue "\x00" 3 messages, Thermocouple Temp=thermocouple_temp(471.90) Cold Junction Temp=cold_junction_temp(31.42)`},
		{"units", "x\ntemp=471.9C force=12.1 N\ntemp=472.0C force=12.2 N\n", `keyvalue "\x00" 2 messages, temp=temp[°C](472.0C) force=force[N](12.2 N)`},
		{"colours", "x\n\x1b[0;32mI (4711) tc: temp=471.9 force=12.1\x1b[0m\n\x1b[0;32mI (4712) tc: temp=472 force=12.1\x1b[0m\n", `keyvalue "\x00" 2 messages, temp=temp(472) force=force(12.1)`},
		{"C strings", "x\n471.9,12.1\x00\r\n472.9,12.1\x00\r\n", `csv "," 2 messages, 1=value_1(472.9) 2=value_2(12.1)`},
		{"json", "}\n" + `{"ts":1760000000000000001,"a":{"b":[1,"2.5"]}}` + "\n" + `{"ts":1760000000100000001,"a":{"b":[1,"2.6"]}}` + "\n", `json "\x00" 2 messages, time ts ns, a.b.0=a_b_0(1) a.b.1=a_b_1(2.6)`},
		{"separators in quotes", "x\n\"474,3\",\"12,1\"\n\"474,4\",\"12,2\"\n", `csv "," 2 messages, 1=value_1(474,4) 2=value_2(12,2)`},
		{"json with words for no number", "}\n" + `{"a":NaN,"b":3}` + "\n" + `{"a":-Infinity,"b":4}` + "\n", `json "\x00" 2 messages, b=b(4)`},
		{"daq", string(described), `daq "\x00" 2 messages, T_tool=t_tool[°C](474.25) 2=value_2(12)`},
		{"noise", "\x80\x90\xff\x01abc", `"" 0 messages`},
		{"prose", "x\nHello!\nI am a device.\n", `"" 0 messages`},
		{"no end", "12345", `"" 0 messages`},
		{"nothing", "", `"" 0 messages`},
	} {
		g := GuessFormat([]byte(c.talk))
		if g.Why == "" {
			t.Errorf("%s: no reason", c.name)
		}
		got := g.Format
		if got == "" {
			got = `""`
		} else {
			got += fmt.Sprintf(" %q", string(g.Separator))
		}
		got += fmt.Sprintf(" %d messages,", g.Messages)
		if g.TimeKey != "" {
			got += fmt.Sprintf(" time %s %s,", g.TimeKey, g.TimeUnit)
		}
		for _, f := range g.Fields {
			got += " " + f.Key + "=" + f.Name
			if f.Unit != "" {
				got += "[" + f.Unit + "]"
			}
			got += "(" + f.Example + ")"
		}
		if got = strings.TrimSuffix(got, ","); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Commas between whole numbers may part columns or be decimal ones: whoever looks is told.
func TestGuessDoubtsCommas(t *testing.T) {
	for talk, doubt := range map[string]bool{"x\n471,9\n472,0\n": true, "x\n471.9,12\n472.0,12\n": false, "x\n471;9\n472;0\n": false} {
		if g := GuessFormat([]byte(talk)); strings.Contains(g.Why, "decimal") != doubt {
			t.Errorf("%q: %s", talk, g.Why)
		}
	}
}

func TestSnippet(t *testing.T) {
	g := GuessFormat([]byte("x\nms;Tool T;Force\n100;20.5;-2\n200;20.5;-3\n"))
	want := `sources:
  my_device:
    serial:
      port: /dev/ttyACM0
      baud: 9600
      format: csv
      separator: ";"
      time: {key: 1, unit: uptime ms}
      fields:                # left of the colon: names of your channels
        tool_t: 2    # now 20.5
        force: 3    # now -3
`
	if got := g.Snippet("/dev/ttyACM0", 9600); got != want {
		t.Errorf("%s", got)
	}
	if got := scalar("a: b"); got != `"a: b"` {
		t.Error(got)
	}
}

// page is a writer that may be read while it is written.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

func TestListen(t *testing.T) {
	d := plugIn(t)
	ctx, cancel := context.WithCancel(context.Background())
	p, done := &page{}, make(chan error)
	go func() { done <- Listen(ctx, d.path(), 0, p) }()
	until(t, "the start", func() bool { return strings.Contains(p.String(), "115200 baud") })
	var b []byte
	for i := range 300 {
		b = wire.AppendDAQData(b, uint16(i), uint32(i)*1000, []float32{474.25, 0}, []wire.DAQFault{0, wire.FaultOpen})
	}
	d.send(t, b)
	until(t, "frames", func() bool {
		return strings.Contains(p.String(), "#1 0.001000 s  1 474.25 2 0 (failure: open_circuit)")
	})
	if !strings.Contains(p.String(), "format: daq") {
		t.Error(p)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestEar(t *testing.T) {
	start := time.Unix(1e9, 0)
	hear := func(parts ...string) string {
		var p bytes.Buffer
		e := &ear{w: &p, port: "/dev/ttyS0", baud: 9600, opened: start}
		e.hear(start.Add(4*time.Second), nil)
		for i, s := range parts {
			e.hear(start.Add(time.Duration(5+3*i)*time.Second), []byte(s))
		}
		e.hear(start.Add(time.Hour), nil)
		return p.String()
	}
	for _, c := range []struct {
		parts []string
		want  []string
	}{
		{nil, []string{"nothing is coming"}},
		{[]string{"x\n1,2\n1,3\n", "1,\x1b[2J4\n"}, []string{"format: csv", "\n1,3\n", `1,\x1b[2J4`}},
		{[]string{strings.Repeat("5\n", 3000)}, []string{"lines of one number", "… and 2980 more"}},
		{[]string{"Hello!\nNo numbers°\r\nhere\n", "again\n"}, []string{"no format recognised", "Hello!\n", "No numbers°\n", "again\n"}},
		{[]string{strings.Repeat("\x81\xfe\x00A", 40), "x"}, []string{"not text", "81 fe 00 41 81 fe 00 41 81 fe 00 41 81 fe 00 41  ...A...A...A...A"}},
		{[]string{string(frame(1, 5)), string(wire.AppendDAQDescription(nil, 2, 2000, wire.DAQChannel{Count: 1, Firmware: "f", Name: "T", Unit: "°C"})),
			string(wire.AppendDAQHeartbeat(nil, 3, 3000, 4, 1)), "\x03\x01\x00", string(frame(5, 6))},
			[]string{`channel 1 of 1 is "T" in "°C", firmware "f"`, "reset cause 4, 1 frames dropped", "not readable", "T [°C] 6"}},
		{[]string{string(frame(1, 5)), strings.Repeat("z", 5000)}, []string{"5000 bytes without an end of message"}},
	} {
		got := hear(c.parts...)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%.60q: %q is missing in\n%s", c.parts, w, got)
			}
		}
	}
}

func TestListenEndsWhenItsReaderIsGone(t *testing.T) {
	e := &ear{w: failing{}, port: "p", baud: 1, opened: time.Unix(0, 0)}
	e.hear(time.Unix(1, 0), bytes.Repeat([]byte("1\n"), 4000))
	if !errors.Is(e.err, errFull) {
		t.Error(e.err)
	}
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func FuzzGuessFormat(f *testing.F) {
	for _, s := range []string{"x\n1,2\n1,3\n", "x\nT=1 F:2\nT=1 F:2\n", `{"a":[1,{"b":2}]}` + "\n", string(frame(1, 5)), "ST,GS,+1 g\r", "\x80\x81"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		GuessFormat(b).Snippet("/dev/ttyS0", 9600)
		e := &ear{w: &bytes.Buffer{}, opened: time.Unix(0, 0)}
		e.hear(time.Unix(1, 0), b[:len(b)/2])
		e.hear(time.Unix(9, 0), b[len(b)/2:])
	})
}

// However the bytes are cut into reads, the same messages come out.
func FuzzStream(f *testing.F) {
	f.Add([]byte("1\n2\r\n3\r4\n"), uint8(3), false)
	f.Add([]byte("\n123456789012345678901234567890\n5\n"), uint8(1), false)
	f.Add(append(frame(1, 5), frame(2, 6)...), uint8(7), true)
	f.Fuzz(func(t *testing.T, b []byte, size uint8, cobs bool) {
		hear := func(size int) string {
			now := int64(0)
			o := Options{Decoder: number(), MaxLine: 24, Clock: func() int64 { now++; return now }}
			if cobs {
				o.Format, o.Decoder = COBS, daq("1")
			}
			s, r := New(o), &record{}
			s.begin(r)
			for rest := b; len(rest) > 0; {
				n := min(size, len(rest))
				s.take(o.Clock(), rest[:n], r)
				rest = rest[n:]
			}
			h := s.Health().Snapshot()
			for i, x := range r.samples {
				if x.Status.Signal == sensors.Missing || i > 0 && x.Arrival <= r.samples[i-1].Arrival {
					t.Fatalf("sample %d: %+v", i, x)
				}
			}
			return fmt.Sprint(r.values(), h.Messages, h.Rejected, h.Gaps, h.Lost)
		}
		if one, many := hear(len(b)), hear(1+int(size)); one != many {
			t.Fatalf("at once %s, in pieces %s", one, many)
		}
	})
}
