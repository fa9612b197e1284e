package wire

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

// unframe takes the delimiter off one frame.
func unframe(t testing.TB, b []byte) []byte {
	t.Helper()
	if n := bytes.IndexByte(b, 0); n != len(b)-1 {
		t.Fatalf("% x: a frame has one zero, at its end", b)
	}
	return b[:len(b)-1]
}

func TestCRCCheckValue(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0x29b1 {
		t.Errorf("%04x, want 29b1", got)
	}
}

// The vectors are of the COBS paper and its usual list of examples.
func TestCOBS(t *testing.T) {
	run := func(from, to int) (b []byte) {
		for c := from; c <= to; c++ {
			b = append(b, byte(c))
		}
		return b
	}
	for _, c := range []struct{ plain, stuffed []byte }{
		{nil, []byte{1}},
		{[]byte{0}, []byte{1, 1}},
		{[]byte{0, 0}, []byte{1, 1, 1}},
		{[]byte{0x11, 0x22, 0, 0x33}, []byte{3, 0x11, 0x22, 2, 0x33}},
		{[]byte{0x11, 0, 0, 0}, []byte{2, 0x11, 1, 1, 1}},
		{run(1, 254), append([]byte{255}, run(1, 254)...)},
		{run(0, 254), append([]byte{1, 255}, run(1, 254)...)},
		{run(1, 255), append(append([]byte{255}, run(1, 254)...), 2, 255)},
		{append(run(2, 255), 0), append(append([]byte{255}, run(2, 255)...), 1, 1)},
	} {
		if got := AppendCOBS(nil, c.plain); !bytes.Equal(got, c.stuffed) {
			t.Errorf("% x stuffed is % x, want % x", c.plain, got, c.stuffed)
		}
		if got, err := DecodeCOBS(nil, c.stuffed); err != nil || !bytes.Equal(got, c.plain) {
			t.Errorf("% x is % x, %v; want % x", c.stuffed, got, err, c.plain)
		}
	}
	for _, bad := range [][]byte{{}, {0}, {3, 1}, {2, 0}, {2, 1, 0}} {
		if got, err := DecodeCOBS([]byte{7}, bad); err == nil || len(got) != 1 {
			t.Errorf("% x was taken as % x", bad, got)
		}
	}
}

// The examples of docs/daq-frame.md are decoded and encoded as the document says.
func TestDAQDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/daq-frame.md")
	if err != nil {
		t.Fatal(err)
	}
	var example [][]byte
	for _, line := range regexp.MustCompile(`(?m)^    ((?:[0-9a-f]{2} ?)+)$`).FindAllSubmatch(doc, -1) {
		b, err := hex.DecodeString(strings.ReplaceAll(string(line[1]), " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		example = append(example, b)
	}
	if len(example) != 4 {
		t.Fatalf("%d examples, want 4", len(example))
	}
	channel := DAQChannel{Index: 0, Count: 2, Firmware: "stirdaq 1.0", Name: "T_tool", Unit: "°C"}
	for i, b := range [][]byte{
		AppendDAQData(nil, 258, 1e6, []float32{474.25, 0}, []DAQFault{0, FaultOpen}),
		AppendDAQDescription(nil, 0, 2500, channel),
		AppendDAQHeartbeat(nil, 300, 1_500_000, 4, 0),
	} {
		if !bytes.Equal(b, example[i+1]) {
			t.Errorf("encoded % x, the document says % x", b, example[i+1])
		}
	}
	if plain, err := DecodeCOBS(nil, unframe(t, example[1])); err != nil || !bytes.Equal(plain, example[0]) {
		t.Errorf("unstuffed % x, %v; the document says % x", plain, err, example[0])
	}
	f, err := ParseDAQ(example[0])
	if err != nil || f.Type != DAQData || f.Sequence != 258 || f.Micros != 1e6 || f.Channels() != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	if v, fault := f.Value(0); v != 474.25 || fault != 0 {
		t.Errorf("%v, %v", v, fault)
	}
	if v, fault := f.Value(1); v != 0 || fault != FaultOpen {
		t.Errorf("%v, %v", v, fault)
	}
	plain, _ := DecodeCOBS(nil, unframe(t, example[2]))
	if f, err = ParseDAQ(plain); err != nil || f.Description() != channel {
		t.Errorf("%+v, %v", f, err)
	}
	plain, _ = DecodeCOBS(nil, unframe(t, example[3]))
	if f, err = ParseDAQ(plain); err != nil {
		t.Fatal(err)
	}
	if reset, dropped := f.Heartbeat(); reset != 4 || dropped != 0 {
		t.Errorf("reset %d, dropped %d", reset, dropped)
	}
}

func TestDAQFaultsAndSentinels(t *testing.T) {
	o := Options{Fields: fields("2", "1")}
	o.Fields[0].Sentinels = []float64{-999.9}
	d := NewDAQ(o)
	data := func(v float32, f DAQFault) string {
		return string(unframe(t, AppendDAQData(nil, 1, 1000, []float32{1, v}, []DAQFault{0, f})))
	}
	accept(t, d, data(474.25, 0), "0=474.25 1=1")
	accept(t, d, data(5, FaultOpen|FaultSaturated), "0=5(failure: open_circuit) 1=1")
	accept(t, d, data(5, FaultSaturated), "0=5(failure: saturated) 1=1")
	accept(t, d, data(5, FaultShort|FaultRange), "0=5(failure: device) 1=1")
	accept(t, d, data(5, FaultOther), "0=5(failure: device) 1=1")
	accept(t, d, data(5, FaultRange), "0=5(out_of_specification: out_of_range) 1=1")
	accept(t, d, data(5, FaultCheck|FaultRange), "0=5(function_check: device) 1=1")
	accept(t, d, data(5, FaultMaintenance), "0=5(maintenance_required: device) 1=1")
	accept(t, d, data(5, FaultNotNew|FaultOpen), "1=1")
	accept(t, d, data(float32(math.NaN()), FaultCheck), "0=NaN(failure: not_a_number) 1=1")
	accept(t, d, data(float32(math.NaN()), FaultOpen), "0=NaN(failure: open_circuit) 1=1")
	got, err := d.Decode(nil, now, []byte(data(-999.9, 0)))
	if err != nil || got[0].Status != sentinel {
		t.Errorf("%v, %v", got, err)
	}
	refuse(t, NewDAQ(Options{Fields: fields("3")}), data(1, 0), "the frame has 2 channels")
}

func TestDAQNames(t *testing.T) {
	d := NewDAQ(Options{Fields: fields("force", "temp")})
	describe := func(i int, name string) string {
		return string(unframe(t, AppendDAQDescription(nil, 0, 0, DAQChannel{Index: i, Count: 3, Firmware: "x 1", Name: name, Unit: "N"})))
	}
	data := string(unframe(t, AppendDAQData(nil, 1, 0, []float32{1, 2, 3}, nil)))
	refuse(t, d, data, `channel "force" is not known`)
	accept(t, d, describe(0, "temp"), "")
	accept(t, d, describe(2, "force"), "")
	accept(t, d, data, "0=3 1=1")
	accept(t, d, describe(1, "other"), "")
	accept(t, d, data, "0=3 1=1")
	refuse(t, d, describe(0, "warmth"), `no channel "temp"`)
}

func TestDAQRefusals(t *testing.T) {
	d := NewDAQ(Options{Fields: fields("1")})
	good := AppendDAQData(nil, 1, 1000, []float32{474.25}, nil)
	for i := range good[:len(good)-1] {
		bad := bytes.Clone(good)
		if bad[i] ^= 0x04; bad[i] == 0 {
			continue
		}
		if got, err := d.Decode(nil, now, bad[:len(bad)-1]); err == nil {
			t.Errorf("byte %d flipped: %v", i, got)
		}
	}
	raw := func(b ...byte) string { return string(unframe(t, seal(nil, b))) }
	refuse(t, d, raw(2, 1, 0, 0, 0, 0, 0, 0, 0), "version 2")
	refuse(t, d, raw(1, 9, 0, 0, 0, 0, 0, 0, 0), "type 9")
	refuse(t, d, raw(1, 1, 0, 0, 0, 0, 0, 0), "malformed payload")
	refuse(t, d, raw(1, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 3), "malformed payload")
	refuse(t, d, raw(1, 2, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0), "malformed payload")
	refuse(t, d, raw(1, 3, 0, 0, 0, 0, 0, 0, 1), "malformed payload")
	refuse(t, d, "\x03\x01", "COBS")
	refuse(t, d, "\x03\x01\x01", "at least 10")
}

func TestDAQGapsAndWrappingTime(t *testing.T) {
	d, arrival := NewDAQ(Options{Fields: fields("1"), DeviceClock: true}), now
	for _, c := range []struct {
		name     string
		sequence uint16
		micros   uint32
		after    int64 // ns after the frame before
		gap      int
		want     int64 // Time, ns after now
	}{
		{"first", 65533, 0xffffff00, 0, 0, 0},
		{"next", 65534, 0xffffff00 + 100, 150e3, 0, 100e3},
		{"time goes round", 65535, 44, 150e3, 0, 300e3},
		{"sequence goes round", 0, 144, 100e3, 0, 400e3},
		{"three lost", 4, 544, 400e3, 3, 800e3},
		{"again", 4, 544, 0, 0, 800e3},
		{"restart", 0, 10, 3e9, -1, 3000800e3},
		{"restart long after", 0, 4_000_000, 7200e9, -1, 7203000800e3},
		{"half an hour", 1, 1_804_000_000, 1800e9, 0, 9003000800e3},
		{"an hour", 2, 3_604_000_000, 1800e9, 0, 10803000800e3},
		{"restart that looks like going round", 0, 10, 3e9, -1, 10806000800e3},
	} {
		arrival += c.after
		got, err := d.Decode(nil, arrival, unframe(t, AppendDAQData(nil, c.sequence, c.micros, []float32{1}, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if gap := d.(Sequenced).LastGap(); gap != c.gap {
			t.Errorf("%s: gap %d, want %d", c.name, gap, c.gap)
		}
		if at := got[0].Time - now; got[0].Time != d.(Stamped).DeviceTime() || at < c.want || at > c.want+300e3 {
			t.Errorf("%s: time %d, want %d", c.name, at, c.want)
		}
	}
}

func newDAQ16() (Decoder, []byte) {
	v := make([]float32, 16)
	for i := range v {
		v[i] = 474.25 / float32(i+1)
	}
	b := AppendDAQData(nil, 1, 1000, v, nil)
	return NewDAQ(Options{Fields: fields("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"), DeviceClock: true}), b[:len(b)-1]
}

func TestDAQAllocatesNothing(t *testing.T) {
	d, msg := newDAQ16()
	allocatesNothing(t, d, string(msg))
	buf, v := make([]byte, 0, 256), make([]float32, MaxDAQChannels)
	if n := testing.AllocsPerRun(100, func() { AppendDAQData(buf, 1, 2, v, nil) }); n != 0 {
		t.Errorf("encoding: %v allocations", n)
	}
}

// Budget: 1 µs.
func BenchmarkDAQ16Channels(b *testing.B) {
	d, msg := newDAQ16()
	benchmark(b, d, msg)
}

func FuzzCOBS(f *testing.F) {
	f.Add([]byte{1, 0, 2})
	f.Add(bytes.Repeat([]byte{7}, 600))
	f.Add([]byte{3, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		stuffed := AppendCOBS(nil, b)
		if bytes.IndexByte(stuffed, 0) >= 0 || len(stuffed) > len(b)+len(b)/254+1 {
			t.Fatalf("% x stuffed is % x", b, stuffed)
		}
		if got, err := DecodeCOBS(nil, stuffed); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("% x came back as % x, %v", b, got, err)
		}
		if got, err := DecodeCOBS(nil, b); err == nil && len(got) >= len(b) {
			t.Fatalf("% x unstuffed is longer: % x", b, got)
		}
	})
}

func FuzzDAQ(f *testing.F) {
	_, msg := newDAQ16()
	f.Add(msg, false)
	f.Add(unframe(f, AppendDAQDescription(nil, 1, 2, DAQChannel{Index: 1, Count: 3, Firmware: "x", Name: "a", Unit: "N"})), false)
	f.Add(unframe(f, AppendDAQHeartbeat(nil, 1, 2, 4, 5)), false)
	f.Add([]byte{1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0xc0, 0x7f}, true)
	f.Fuzz(func(t *testing.T, msg []byte, repair bool) {
		if repair { // a right CRC, so that payloads are reached
			msg = unframe(t, seal(nil, msg))
		}
		checkSamples(t, NewDAQ(Options{Fields: fields("1", "3", "a"), DeviceClock: true}), msg)
		checkSamples(t, NewDAQ(Options{Fields: fields("1"), DeviceClock: true}), msg)
	})
}
