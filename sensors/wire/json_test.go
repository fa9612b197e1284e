package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

const now = int64(1760000000500000000)

var (
	sentinel = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
)

// fields maps each key to the channel of its position, values untouched.
func fields(keys ...string) []Field {
	f := make([]Field, len(keys))
	for i, k := range keys {
		f[i] = Field{Channel: sensors.ChannelID(i), Key: k, Map: unit.Identity}
	}
	return f
}

// show prints samples as "channel=value" with the status where it is not good.
func show(samples []sensors.Sample) string {
	var s []string
	for _, x := range samples {
		t := fmt.Sprintf("%d=%v", x.Channel, x.Value)
		if !x.Status.IsGood() {
			t += "(" + x.Status.String() + ")"
		}
		s = append(s, t)
	}
	return strings.Join(s, " ")
}

// refuse checks an error's words and that nothing of the message counted.
func refuse(t *testing.T, d Decoder, msg, want string) {
	t.Helper()
	held := []sensors.Sample{{Value: 7}}
	got, err := d.Decode(held, now, []byte(msg))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q: error %v, want one with %q", msg, err, want)
	}
	if len(got) != 1 || got[0] != held[0] {
		t.Errorf("%q: dst changed to %v", msg, got)
	}
}

func accept(t *testing.T, d Decoder, msg, want string) []sensors.Sample {
	t.Helper()
	got, err := d.Decode(nil, now, []byte(msg))
	if err != nil || show(got) != want {
		t.Errorf("%q: %s, %v; want %s", msg, show(got), err, want)
	}
	for _, s := range got {
		if s.Arrival != now {
			t.Errorf("%q: arrival %d", msg, s.Arrival)
		}
	}
	return got
}

// flat allocation is part of every decoder's contract.
func allocatesNothing(t *testing.T, d Decoder, msg string) {
	t.Helper()
	raw, dst := []byte(msg), make([]sensors.Sample, 0, 64)
	if _, err := d.Decode(dst, now, raw); err != nil {
		t.Fatalf("%q: %v", msg, err)
	}
	arrival := now
	if n := testing.AllocsPerRun(100, func() {
		arrival += 1e8
		if _, err := d.Decode(dst, arrival, raw); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%q: %v allocations", msg, n)
	}
}

func TestNumber(t *testing.T) {
	d := NewNumber(Field{Channel: 3, Sentinels: []float64{-2}, Unit: unit.MustParse("°C")}, 0)
	accept(t, d, " 474.3\r\n", "3=474.3")
	accept(t, d, "-2.00", "3=-2(failure: sentinel)")
	accept(t, d, "nan", "3=NaN(failure: not_a_number)")
	accept(t, d, "1e999", "3=+Inf(failure: not_a_number)")
	accept(t, d, "474.3 °C", "3=474.3")
	accept(t, d, "373.15K", "3=100")
	accept(t, d, `"474.3"`, "3=474.3")
	accept(t, d, "\u22124,5", "3=-4.5")
	accept(t, d, "474.3\x00\x00 old", "3=474.3")
	refuse(t, d, "474.3 V", "units do not measure the same thing")
	refuse(t, d, "474.3;", `";" follows the number 474.3: ";" is no unit that is known`)
	refuse(t, d, "474.3-", `follows the number`)
	refuse(t, d, "", "empty")
	refuse(t, d, "0x10", `"x10" follows the number 0`)
	refuse(t, d, "on", "not a number")
	kelvin, _ := unit.Between(unit.MustParse("°C"), unit.MustParse("K"))
	accept(t, NewNumber(Field{Map: kelvin, Sentinels: []float64{-2}}, 0), "100", "0=373.15")
	accept(t, NewNumber(Field{Map: kelvin, Sentinels: []float64{-2}}, 0), "-2", "0=-2(failure: sentinel)")
	accept(t, NewNumber(Field{}, 0), "5", "0=5")
	allocatesNothing(t, d, "474.3")
}

func TestJSONPaths(t *testing.T) {
	d := NewJSON(Options{Fields: fields("a", "a.b", "x.0.c", "x.1", `q"t`, "s")})
	accept(t, d, `{"a":1}`, "0=1")
	accept(t, NewJSON(Options{Fields: fields("a.b")}), `{"a":{"b":2}}`, "0=2")
	accept(t, NewJSON(Options{Fields: fields("a.b")}), `{"a.b":3,"a":{"b":2}}`, "0=3")
	accept(t, NewJSON(Options{Fields: fields("a.b")}), `{"a":{"b":2},"a.b":3}`, "0=3")
	accept(t, d, `{"x":[{"c":4,"d":[]},5,{}],"y":{"c":9}}`, "2=4 3=5")
	accept(t, d, `{"q\"t":6,"\u0073":7}`, "4=6 5=7")
	accept(t, d, `{"a":1,"a":2}`, "0=2")
	accept(t, d, `{"a":true,"s":"12.5","x":[0,false]}`, "0=1 3=0 5=12.5")
	accept(t, d, `{"a":null}`, "")
	accept(t, d, `{"a":1,"s":"off"}`, "0=1 5=NaN(failure: not_a_number)")
	accept(t, d, `{"a":1,"s":[1]}`, "0=1 5=NaN(failure: not_a_number)")
	refuse(t, d, `{"a":[1]}`, `key "a": [1] is not a number`)
	refuse(t, d, `{"b":1}`, "none of the configured keys")
	refuse(t, d, `{"a":1`, "not JSON")
	refuse(t, d, `{"a":1}{"a":2}`, "text after the document")
	refuse(t, d, strings.Repeat("[", 1000), "nested too deeply")
	refuse(t, d, "", "a value is missing")
}

// Beside the grammar of JSON, which is taken exactly, there is what devices make of it: it is told apart.
func TestJSONTakesTheGrammar(t *testing.T) {
	for _, s := range []string{`NaN`, `nan`, `[Infinity,-Infinity,-inf,null]`, `{"a":NAN}`, `[1,]`, `{"a":1,}`, `{"a":N/A}`, `{"a":,"b":1}`, `{"a":}`, `[.5,+1,01,1.,0x1F]`, `{"a":None,"b":---}`} {
		if d := newDocument(nil); d.scan([]byte(s)) != nil || !d.loose {
			t.Errorf("%s: %v, loose %v", s, d.scan([]byte(s)), d.loose)
		}
	}
	for _, s := range []string{`{}`, `[]`, `01`, `-`, `-0`, `1.`, `.5`, `1e`, `1E+2`, `"\x"`, `"\u00g0"`, `"\ud83d\ude00"`,
		`tru`, `true`, `nul`, `[1 2]`, `{,}`, `{"a":1,,}`, `{"a":1 "b":2}`, `{"a":x"b":2}`, `{"a"}`, `{a:1}`, "\"\x01\"", ` [ 1 , { "a" : [ ] } ] `, `+1`, `Na`, `nanny`, `none`, "\"\\", "{\"a\":\t1}"} {
		if got, want := newDocument(nil).scan([]byte(s)) == nil, json.Valid([]byte(s)); got != want {
			t.Errorf("%s: accepted %v, encoding/json says %v", s, got, want)
		}
	}
}

func TestUnescapeMeansWhatEncodingJSONSays(t *testing.T) {
	for _, s := range []string{`plain`, `\"\\\/\b\f\n\r\t`, `\u00b0C`, `\u00B0\u20ac`, `\ud83d\ude00`, `\ud83d`, `\ud83dx`, `\ud83d\n`, `\ud83d\u0041`, `\ude00\ud83d`, `°`} {
		var want string
		if err := json.Unmarshal([]byte(`"`+s+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if got := unquote([]byte(s)); got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
}

func TestJSONTime(t *testing.T) {
	for _, c := range []struct {
		unit  TimeUnit
		stamp string
		want  int64
	}{
		{Nanoseconds, `1760000000123456789`, 1760000000123456789},
		{Nanoseconds, `"1760000000123456789"`, 1760000000123456789},
		{Microseconds, `1760000000123456.789`, 1760000000123456789},
		{Milliseconds, `1760000000123`, 1760000000123000000},
		{Seconds, `1760000000.123456789999`, 1760000000123456789},
		{Seconds, `1.76e9`, 1760000000000000000},
		{RFC3339, `"2025-10-09T08:53:20.123456789Z"`, 1760000000123456789},
		{RFC3339, `"2025-10-09T10:53:20.5+02:00"`, 1760000000500000000},
	} {
		o := Options{Fields: fields("v"), TimeKey: "t", TimeUnit: c.unit, DeviceClock: true}
		d := NewJSON(o)
		msg := fmt.Sprintf(`{"t":%s,"v":1}`, c.stamp)
		if got := accept(t, d, msg, "0=1"); len(got) == 1 && got[0].Time != c.want {
			t.Errorf("%s in %q: %d, want %d", c.stamp, c.unit, got[0].Time, c.want)
		}
		o.DeviceClock = false
		d = NewJSON(o)
		if got := accept(t, d, msg, "0=1"); len(got) == 1 && got[0].Time != now {
			t.Errorf("arrival was to rule: %d", got[0].Time)
		}
		if at := d.(Stamped).DeviceTime(); at != c.want {
			t.Errorf("device time %d, want %d", at, c.want)
		}
	}
	d := NewJSON(Options{Fields: fields("v"), TimeKey: "t", TimeUnit: Seconds, DeviceClock: true})
	refuse(t, d, `{"t":12,"v":1}`, "not between the years")
	refuse(t, d, `{"t":1760000000000,"v":1}`, "not between the years")
	refuse(t, d, `{"t":1e300,"v":1}`, "not between the years")
	refuse(t, d, `{"t":"soon","v":1}`, "not a time stamp")
	refuse(t, d, `{"t":{},"v":1}`, "not a time stamp")
	refuse(t, d, `{"v":1}`, "no time stamp")
	// Where the arrival rules, a stamp that cannot be used costs nothing, and is told.
	d = NewJSON(Options{Fields: fields("v"), TimeKey: "t", TimeUnit: RFC3339})
	for stamp, want := range map[string]string{
		`"9999-12-31T00:00:00Z"`: "not between the years", `"1970-01-01T00:00:03"`: "needs a date and a zone", `"soon"`: "not a time stamp",
		`12345`: "not a time stamp", `{}`: "not a time stamp", `"7/8/2025 10:43:15 UTC"`: "day or month first", `"10:43:15Z"`: "needs a date",
	} {
		if got := accept(t, d, `{"t":`+stamp+`,"v":1}`, "0=1"); got[0].Time != now {
			t.Errorf("%s: stamped %d", stamp, got[0].Time)
		}
		if err := d.(Doubter).Doubt(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: doubt %v, want %q", stamp, err, want)
		}
	}
	for _, stamp := range []string{"2025-10-09T08:53:20Z", "2025-10-09 10:53:20+0200", "2025-10-09T10:53:20 +02", "2025-10-09 08:53:20 UTC", "9.10.2025 08:53:20 GMT", "2025-10-08 24:00:00-0853"} {
		accept(t, d, `{"t":"`+stamp+`","v":1}`, "0=1")
		if at := d.(Stamped).DeviceTime(); at/1e9 != 1760000000 && stamp != "2025-10-08 24:00:00-0853" || d.(Doubter).Doubt() != nil {
			t.Errorf("%s: %d, doubt %v", stamp, at, d.(Doubter).Doubt())
		}
	}
}

func TestJSONValue(t *testing.T) {
	celsius := unit.MustParse("°C")
	d := NewJSONValue(Options{Fields: []Field{{Channel: 2, Key: "m.value", Unit: celsius, Sentinels: []float64{-2}}}, TimeKey: "ts", TimeUnit: Milliseconds, DeviceClock: true}, "unit")
	got := accept(t, d, `{"ts":1760000000123,"m":{"value":373.15},"unit":"K"}`, "2=100")
	if len(got) == 1 && got[0].Time != 1760000000123000000 {
		t.Errorf("time %d", got[0].Time)
	}
	accept(t, d, `{"ts":1760000000123,"m":{"value":-2},"unit":"K"}`, "2=-2(failure: sentinel)")
	accept(t, d, `{"ts":1760000000123,"m":{"value":"12.5"},"unit":"\u00b0C"}`, "2=12.5")
	accept(t, d, `{"ts":1760000000123,"m":{"value":null}}`, "")
	refuse(t, d, `{"ts":1760000000123,"m":{"value":1}}`, `no unit at "unit"`)
	refuse(t, d, `{"ts":1760000000123}`, `no value at "m.value"`)
	for range 2 { // the second error comes from memory
		if _, err := d.Decode(nil, now, []byte(`{"ts":1760000000123,"m":{"value":1},"unit":"rpm"}`)); !errors.Is(err, unit.ErrDimension) {
			t.Error(err)
		}
	}
	if _, err := d.Decode(nil, now, []byte(`{"ts":1760000000123,"m":{"value":1},"unit":"warm"}`)); !errors.Is(err, unit.ErrUnknown) {
		t.Error(err)
	}
	accept(t, d, `{"ts":1760000000123,"m":{"value":1},"unit":"degC"}`, "2=1")
	accept(t, NewJSONValue(Options{Fields: []Field{{Unit: celsius}}}, ""), ` 474.25 `, "0=474.25")
}

func TestJSONFloatsAreBitExact(t *testing.T) {
	d := NewJSON(Options{Fields: fields("v")})
	for _, s := range []string{"0.1", "1.7976931348623157e308", "5e-324", "-0.0", "474.90000000000003", "9007199254740993"} {
		var want float64
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		got, err := d.Decode(nil, now, []byte(`{"v":`+s+`}`))
		if err != nil || math.Float64bits(got[0].Value) != math.Float64bits(want) {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
}

func frame20() (string, Options) {
	var keys, parts []string
	for i := range 20 {
		k := fmt.Sprintf("axis_%c_force", 'a'+i)
		keys, parts = append(keys, k), append(parts, fmt.Sprintf(`"%s":%.4f`, k, 1234.5678/float64(i+1)))
	}
	return `{"ts":1760000000000000000,` + strings.Join(parts, ",") + `}`,
		Options{Fields: fields(keys...), TimeKey: "ts", TimeUnit: Nanoseconds, DeviceClock: true}
}

func newValue() Decoder {
	return NewJSONValue(Options{Fields: []Field{{Key: "value", Unit: unit.MustParse("°C"), Sentinels: []float64{-2}}}, TimeKey: "ts", TimeUnit: Nanoseconds, DeviceClock: true}, "unit")
}

const valueDoc = `{"ts":1760000000123456789,"value":474.3,"unit":"degC"}`

func TestJSONAllocatesNothing(t *testing.T) {
	msg, o := frame20()
	allocatesNothing(t, NewJSON(o), msg)
	allocatesNothing(t, newValue(), valueDoc)
	allocatesNothing(t, NewJSON(Options{Fields: fields("a.1.b"), TimeKey: "t", TimeUnit: RFC3339}), `{"t":"2025-10-09T08:53:20.123Z","a":[0,{"b":"1.5","\u0020":0}]}`)
}

func benchmark(b *testing.B, d Decoder, msg []byte) {
	dst := make([]sensors.Sample, 0, 64)
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	arrival := now
	for b.Loop() {
		arrival += 1e6
		if _, err := d.Decode(dst, arrival, msg); err != nil {
			b.Fatal(err)
		}
	}
}

// Budget: 5 µs.
func BenchmarkJSON20Channels(b *testing.B) {
	msg, o := frame20()
	benchmark(b, NewJSON(o), []byte(msg))
}

// Budget: 600 ns.
func BenchmarkJSONValue(b *testing.B) { benchmark(b, newValue(), []byte(valueDoc)) }

func BenchmarkNumber(b *testing.B) {
	benchmark(b, NewNumber(Field{Sentinels: []float64{-2}}, 0), []byte("474.3"))
}

// checkSamples is what holds for every decoder and every message.
func checkSamples(t *testing.T, d Decoder, msg []byte) {
	held := []sensors.Sample{{Value: 7, Channel: 9}}
	copied := append([]byte(nil), msg...)
	got, err := d.Decode(held[:1:1], now, msg)
	if string(copied) != string(msg) {
		t.Fatalf("the message was changed: %q", copied)
	}
	if got[0] != held[0] || err != nil && len(got) != 1 {
		t.Fatalf("%q: dst was touched: %v, %v", msg, got, err)
	}
	for _, s := range got[1:] {
		if s.Status.IsGood() && (math.IsNaN(s.Value) || math.IsInf(s.Value, 0)) {
			t.Fatalf("%q: %v is good", msg, s.Value)
		}
		if s.Status.Signal == sensors.Missing || s.Arrival != now || s.Time <= 0 {
			t.Fatalf("%q: %+v", msg, s)
		}
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"474.3", " -2 ", "474.3 °C", "1e999", "nan", "0x1p3"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		checkSamples(t, NewNumber(Field{Sentinels: []float64{-2}}, 0), msg)
	})
}

func FuzzJSON(f *testing.F) {
	msg, _ := frame20()
	for _, s := range []string{msg, valueDoc, `{"a":{"b":[1,{"c":"2"}]},"t":1.76e9}`, `{"a.b":1,"t":"x"}`, `[1,2`, `{"\u0061":true}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		// encoding/json is the judge of what is JSON, up to the depth taken here.
		d := newDocument(nil)
		if err := d.scan(msg); (err == nil && !d.loose) != json.Valid(msg) && !strings.Contains(fmt.Sprint(err), "deeply") {
			t.Fatalf("%q: %v, loose %v, but valid is %v", msg, err, d.loose, json.Valid(msg))
		}
		for _, u := range []TimeUnit{Seconds, RFC3339, UptimeMillis} {
			checkSamples(t, NewJSON(Options{Fields: fields("a", "a.b", "a.b.1.c", "value"), TimeKey: "t", TimeUnit: u, DeviceClock: true}), msg)
		}
	})
}

func FuzzJSONValue(f *testing.F) {
	for _, s := range []string{valueDoc, `{"value":"1","unit":"\u00b0C","ts":1}`, `{"value":null}`, `{"value":1e999,"unit":"K"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, msg []byte) { checkSamples(t, newValue(), msg) })
}

// Elements of arrays are found by their number or by what they hold, wherever they stand in the array.
func TestPathsOfJSON(t *testing.T) {
	path := func(key string) Decoder { return NewJSON(Options{Fields: fields(key)}) }
	report := `{"timestamp":1751971395300,"metrics":[{"name":"P","value":3},{"value":471.9,"name":"T1"},7],"seq":1}`
	accept(t, path("metrics[name=T1].value"), report, "0=471.9")
	accept(t, path("metrics[name='T1'].value"), report, "0=471.9")
	accept(t, path("$.metrics[1].value"), report, "0=471.9")
	accept(t, path("metrics.1.value"), report, "0=471.9")
	refuse(t, path("metrics[name=T2].value"), report, "none of the configured keys") // only what has changed is reported
	accept(t, path("values[id=Ch.Dev.T1].v"), `{"values":[{"id":"Ch.Dev.T1","v":471.9,"q":true,"t":2},{"id":"Ch.Dev.P","v":3}]}`, "0=471.9")
	accept(t, path("a[id=7].b[k=x].v"), `{"a":[{"id":6,"b":[{"k":"x","v":1}]},{"id":7,"b":[{"k":"y","v":2},{"k":"\u0078","v":3}]}]}`, "0=3")
	accept(t, path("a['b.c'].d"), `{"a":{"b.c":{"d":5}}}`, "0=5")
	accept(t, path("a[0]"), `{"a[0]":1,"a":[2]}`, "0=1") // a name goes before a path
	refuse(t, path("a[b].c"), `{"a":{"b":{"c":5}}}`, "none of the configured keys")
	refuse(t, path("a[name=T].v"), `{"a":[{"name":"T","v":1}`, "not JSON")
	d := path("metrics[name=T1].value")
	allocatesNothing(t, d, report)
}
