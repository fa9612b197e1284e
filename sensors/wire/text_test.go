package wire

import (
	"strings"
	"testing"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

func TestCSVByNumber(t *testing.T) {
	d := NewCSV(Options{Fields: fields("2", "3", "1")}, 0, nil)
	accept(t, d, "1,2.5,-3\r\n", "0=2.5 1=-3 2=1")
	accept(t, d, ` 1 , "2.5" ,, 9`, "0=2.5 2=1")
	accept(t, d, "1,nan,3", "0=NaN(failure: not_a_number) 1=3 2=1")
	accept(t, d, "# comment", "")
	accept(t, d, "", "")
	refuse(t, d, "1,2", `ends before column "3"`)
	accept(t, d, "1,x,3", "0=NaN(failure: not_a_number) 1=3 2=1") // one costs itself only
	refuse(t, d, "x,y,z", `"x" is not a number`)
	refuse(t, d, `1,"2,3`, "quote is not closed")
	refuse(t, d, `1,"2"x,3`, "after its closing quote")
	accept(t, NewCSV(Options{Fields: fields("1", "2")}, ' ', nil), "\t1.5   2  ", "0=1.5 1=2")
	accept(t, NewCSV(Options{Fields: fields("1", "3")}, '\t', nil), "1\t\t2", "0=1 1=2")
	accept(t, NewCSV(Options{Fields: fields("1")}, ';', []string{"head"}), "head", "")
}

func TestCSVByName(t *testing.T) {
	o := Options{Fields: fields("force", "temp"), TimeKey: "time", TimeUnit: UptimeMillis, DeviceClock: true}
	d := NewCSV(o, ',', []string{"time", "temp", "force"})
	accept(t, d, "1000,20.5,3", "0=3 1=20.5")
	accept(t, d, "time,temp,force\r", "")
	accept(t, d, "1100,20.5,3,", "0=3 1=20.5")
	refuse(t, d, "1200,20.5,31300,20.5,3", "the line has 5 columns and its header 3")
	refuse(t, d, "1200,20", "the line has 2 columns and its header 3")
	refuse(t, d, ",20,3", `no time stamp at "time"`)
	accept(t, d, `force,"time",temp,note`, "") // the logger was restarted with other columns
	accept(t, d, "3,2000,20.5,7", "0=3 1=20.5")

	d = NewCSV(o, ',', nil)
	refuse(t, d, "1,2,3", "no header line yet")
	accept(t, d, "temp,force,time", "")
	accept(t, d, "20.5,3,1000", "0=3 1=20.5")
	refuse(t, d, "temp,time", `no column "force"`)
	accept(t, d, "20.5,1000", "1=20.5")
}

func TestNMEAChecksum(t *testing.T) {
	d := NewCSV(Options{Fields: fields("2", "3")}, ',', nil)
	accept(t, d, "$TMP,20.5,3*63", "0=20.5 1=3")
	refuse(t, d, "$TMP,20.6,3*63", "it must be *60")
	refuse(t, d, "$TMP,20.5,3", "no checksum")
	refuse(t, d, "$", "no checksum")
	refuse(t, d, "$TMP*zz", "wrong")
}

func TestWeightIndicator(t *testing.T) {
	d := NewCSV(Options{Fields: fields("3")}, ',', nil)
	accept(t, d, "ST,GS,+00081.72  g\r\n", "0=81.72")
	accept(t, d, "US,GS,-00081.72  g", "0=-81.72(out_of_specification: device)")
	accept(t, d, "ST,NT,-   81.72  g", "0=-81.72")
	accept(t, d, "OL,GS,+99999.99  g", "0=99999.99(failure: saturated)")
	accept(t, d, "OL,GS,--------", "0=NaN(failure: saturated)")
	refuse(t, d, "ST,GS,+0000.08172 kg", `unit changed from "g" to "kg"`)
	refuse(t, d, "ST,GS,------", "not a number")
}

func TestKeyValue(t *testing.T) {
	d := NewKeyValue(Options{Fields: fields("T1", "F")})
	accept(t, d, "T1=474.3 F=12.1\r\n", "0=474.3 1=12.1")
	accept(t, d, "F:12.1;T1:474.3, x:?", "0=474.3 1=12.1")
	accept(t, d, "ok T1 = 474.3  /0.0 F =-2", "0=474.3 1=-2")
	accept(t, d, "T1= F=3", "1=3")
	accept(t, d, "T1=1,F=,T1=2", "0=2")
	accept(t, d, `T1="1" F=inf`, "0=1 1=+Inf(failure: not_a_number)")
	refuse(t, d, "T1=474.3C", `key "T1": "474.3C" is not a number`)
	refuse(t, d, `T1="1`, "quote is not closed")
	refuse(t, d, "hello", "none of the configured keys")
	accept(t, NewKeyValue(Options{Fields: fields("T"), TimeKey: "t", TimeUnit: RFC3339}), "t:2025-07-08T10:43:15Z T:20.1", "0=20.1")
}

// A number of figures alone is none where the field has had two different hexadecimal ones of as many places, until a decimal point shows or
// there have been many such numbers. A fault's code, or a value that was garbled once, takes no other value with it.
func TestHexadecimalNumbersAreNone(t *testing.T) {
	newton := []Field{{Channel: 0, Key: "1", Unit: unit.MustParse("N")}, {Channel: 1, Key: "2", Unit: unit.MustParse("N")}}
	d := NewCSV(Options{Fields: newton}, ',', nil)
	type sent struct {
		line string
		good bool
	}
	lines := []sent{{"0150,1", true}, {"01DB,1", false}, {"0150,1", true}, {"01DB,1", false}, {"0150,1", true}, {"01DC,1", false}, {"0150,1", false}, {"12E4,1", false}, {"BAD,1", false}, {"150,1", true}, {"12A,1", false}, {"471.9,1", true}, {"0150,1", true}, {"BAD,1", false}, {"150,1", true}, {"E04,1", false}, {"450,1", true}, {"E04,1", false}, {"450,1", true}, {"A1B2,1", false}, {"A1B3,1", false}}
	for range isDecimal {
		lines = append(lines, sent{"2047,1", false})
	}
	for _, c := range append(lines, sent{"2047,1", true}, sent{"2048,1", true}) {
		samples, err := d.Decode(nil, 0, []byte(c.line))
		if err != nil || len(samples) != 2 || samples[0].Status.IsGood() != c.good || !samples[1].Status.IsGood() {
			t.Errorf("%s: %v, %v", c.line, samples, err)
		}
	}
}

// What devices wrap around a line, how they write numbers, and the units they put behind them.
func TestLinesAsDevicesSendThem(t *testing.T) {
	u := unit.MustParse
	two := []Field{{Channel: 0, Key: "T1", Unit: u("°C")}, {Channel: 1, Key: "F", Unit: u("N")}}
	csv := []Field{{Channel: 0, Key: "1", Unit: u("°C")}, {Channel: 1, Key: "2", Unit: u("N")}}
	talk := []Field{{Channel: 0, Key: "Thermocouple Temp", Unit: u("°C")}, {Channel: 1, Key: "Cold Junction Temp", Unit: u("°C")}}
	weight := []Field{{Channel: 0, Key: "3", Unit: u("kg")}}
	value := Options{Fields: []Field{{Key: "v", Unit: u("°C")}}}
	commas := value
	commas.Decimal = ','
	kv := func(f []Field) Decoder { return NewKeyValue(Options{Fields: f}) }
	for _, c := range []struct {
		d         Decoder
		msg, want string // want: samples, or "!" and the words of the refusal
	}{
		{kv(two), "T1=474,3;F=12,1", "0=474.3 1=12.1"},
		{kv(two), "T1=474,3,F=12,1", "0=474.3 1=12.1"},
		{kv(two), "T1=474.3,F=12.1", "0=474.3 1=12.1"},
		{kv(two), "T1 = 474,3 C  F = 12,1 N", "0=474.3 1=12.1"},
		{kv(two), "T1=474.3C F=0.0121kN", "0=474.3 1=12.1"},
		{kv(two), "T1=373.15K F=12.1 N", "0=100 1=12.1"},
		{kv(two), "T1=373.15 K;F=12.1", "0=100 1=12.1"},
		{kv(two), "T1=474.3\xb0C F=12.1", "0=474.3 1=12.1"},
		{kv(two), "T1=474.3 ºC F=12.1", "0=474.3 1=12.1"},
		{kv(two), "T1=474.3bar F=12.1", "0=NaN(failure: not_a_number) 1=12.1"},
		{kv(two), "T1=474.3 ok F=12.1", "0=474.3 1=12.1"}, // a word
		{kv(two), "T1=1,234 F=12.1", "0=1234 1=12.1"},     // the point is the other's
		{kv(two), "T1=1,234 F=12,1", "0=1.234 1=12.1"},
		{kv(two), "T1=1,234 F=12", "0=NaN(failure: not_a_number) 1=12"},
		{kv(two), "T1=1,234", `!"1,234" may be 1234 or 1.234`},
		{NewKeyValue(Options{Fields: two, Decimal: ','}), "T1=1,234 F=1.234", "0=1.234 1=1234"},
		{kv(two), "T1=474,3x F=1", "0=NaN(failure: not_a_number) 1=1"},
		{kv(two), "\x1b[0;32mI (4711) tc: T1=471.9 F=12.1\x1b[0m", "0=471.9 1=12.1"},
		{kv(two), "\xef\xbb\xbfT1=471.9 F=12.1\x00", "0=471.9 1=12.1"},
		{kv(talk), "Thermocouple Temp: 471.88", "0=471.88"},
		{kv(talk), "Cold Junction Temp: 31.42 °C", "1=31.42"},
		{kv(talk), "Temp: 3", "!none of the configured keys"},
		{kv(talk), "x=1 Thermocouple Temp=471,88; Cold Junction Temp = 31,42", "0=471.88 1=31.42"},
		{NewCSV(Options{Fields: csv}, ';', nil), "474,3;12,1", "0=474.3 1=12.1"},
		{NewCSV(Options{Fields: csv}, ';', nil), "1.474,3;12,1", "0=1474.3 1=12.1"},
		{NewCSV(Options{Fields: csv}, ';', nil), "1.474;12,1", "0=1474 1=12.1"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471.9,12.1\x00", "0=471.9 1=12.1"},
		{NewCSV(Options{Fields: csv}, 0, nil), "474,3;12,1", "!do semicolons part the columns"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471.9,ovf", "0=471.9 1=NaN(failure: not_a_number)"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471.9 C, 12.1 N", "0=471.9 1=12.1"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471.9e,1.21e1", "0=NaN(failure: not_a_number) 1=12.1"},
		{NewCSV(Options{Fields: weight}, 0, nil), "\x02ST,GS,+00081.72  kg\x03", "0=81.72"},
		{NewCSV(Options{Fields: weight}, 0, nil), "ST,GS,+00081720  g", "0=81.72"},
		{NewCSV(Options{Fields: weight}, 0, nil), "ST,GS,+00081.72  pcs", "!no unit that is known"},
		{kv(two), "T1=1 234,5 F=3", "0=1234.5 1=3"}, // never 1
		{kv(two), "T1=-1 234 567,5 F=3", "0=-1.2345675e+06 1=3"},
		{kv(two), "T1=4 74.3 F=3", "0=NaN(failure: not_a_number) 1=3"},
		{kv(two), "T1=4 7=5 F=3", "0=4 1=3"}, // 7 is a key
		{kv(two), "T1=4 of 7 F=3", "0=4 1=3"},
		{kv(two), "T1=25 2025-07-08 F=3", "0=25 1=3"},
		{kv(two), "T1=12,34,567.5 F=3", "0=1.2345675e+06 1=3"},
		{kv(two), "T1=1,234,567 F=3", "0=NaN(failure: not_a_number) 1=3"}, // three numbers?
		{NewKeyValue(Options{Fields: two, Decimal: '.'}), "T1=1,234,567 F=3", "0=1.234567e+06 1=3"},
		{kv(two), "T1=\u2212474.3 F=\u20133", "0=-474.3 1=-3"},
		{kv(two), "T1=474.3- F=3", "0=NaN(failure: not_a_number) 1=3"},
		{kv(two), "T1=(474.3) F=3", "0=NaN(failure: not_a_number) 1=3"},
		{kv(two), "T1=474.3 mA F=3", "0=NaN(failure: not_a_number) 1=3"}, // never 474.3 °C
		{kv(two), "T1=474.3 \x00F=3", "0=474.3 1=3"},
		{kv(two), "T1=47\x004.3 F=3", "0=NaN(failure: not_a_number) 1=3"},
		{kv(two), "\x1b]0;T1=9\x07T1=474.3 \x1b]2;x\x1b\\F=3", "0=474.3 1=3"},
		{kv(two), "K\x02T1=474.3 F=3\x03\x41", "0=474.3 1=3"}, // a checksum behind ETX
		{NewCSV(Options{Fields: csv}, 0, nil), "\x02471.9,12.1\x03K9", "0=471.9 1=12.1"},
		{NewCSV(Options{Fields: csv}, ';', nil), "474-;12,1", "0=NaN(failure: not_a_number) 1=12.1"},
		{NewJSON(Options{Fields: two}), `{"T1":N/A,"F":2}`, "0=NaN(failure: not_a_number) 1=2"},
		{NewJSON(Options{Fields: two}), `{"T1":,"F":2,}`, "0=NaN(failure: not_a_number) 1=2"},
		{NewJSON(Options{Fields: two}), `{"T1":None,"F":2}`, "0=NaN(failure: not_a_number) 1=2"},
		{NewJSON(Options{Fields: two}), `{"T1":010,"F":0x10}`, "0=NaN(failure: not_a_number) 1=NaN(failure: not_a_number)"},
		{NewJSON(Options{Fields: two}), `{"T1":.5,"F":+2.}`, "0=0.5 1=2"},
		{NewJSON(Options{Fields: two}), `{"T1":"474.3 \u00b0C","F":"2 \u004e"}`, "0=474.3 1=2"},
		{NewJSON(Options{Fields: two}), "{\"T1\":5,\"F\":2}\x00,\"F\":3}", "0=5 1=2"},
		{NewJSONValue(value, ""), `{"v":"373.15 K"}`, "0=100"},
		{NewJSONValue(value, "u"), `{"v":"212 °F","u":"K"}`, "0=NaN(failure: not_a_number)"},
		{NewJSONValue(value, ""), `{"v":"1,234"}`, "0=NaN(failure: not_a_number)"},
		{NewJSONValue(commas, ""), `{"v":"1,234"}`, "0=1.234"},
		{NewJSONValue(commas, ""), `{"v":"1.234"}`, "0=1234"},
		{NewJSONValue(value, ""), `{"v":9.9E37}`, "0=9.9e+37(failure: sentinel)"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471.9,+9.90000000E+37", "0=471.9 1=9.9e+37(failure: sentinel)"},
		{NewCSV(Options{Fields: csv[:1]}, 0, nil), "471,9", "!are their commas decimal ones?"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471,9,12,1", "!are their commas decimal ones?"},
		{NewCSV(Options{Fields: csv, Decimal: '.'}, 0, nil), "471,9,12,1", "0=471 1=9"},
		{NewCSV(Options{Fields: csv[:1]}, 0, nil), "471,-9", "0=471"}, // no half of a number
		{NewCSV(Options{Fields: csv[:1]}, 0, nil), "471, 9", "0=471"},
		{NewCSV(Options{Fields: csv[1:]}, 0, nil), "471,9", "1=9"},
		{NewCSV(Options{Fields: csv[:1]}, ';', nil), "471,9", "0=471.9"},
		{NewCSV(Options{Fields: csv[:1]}, 0, nil), "471,9 C", "!are their commas decimal ones?"},
		{NewCSV(Options{Fields: csv[:1]}, 0, nil), "4,719E+02", "!are their commas decimal ones?"},
		{NewCSV(Options{Fields: csv[:1]}, 0, nil), "471,10:43:15", "0=471"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471.9,12.1*7F", "0=471.9 1=NaN(failure: not_a_number)"},
		{NewCSV(Options{Fields: csv}, 0, nil), "471.9,12.1*15", "0=471.9 1=12.1"},
		{kv(two), "T1=471.9 F=12.1*3A", "0=471.9 1=12.1"},
		{kv(two), "!T1=471.9 F=12.1*3A", "0=471.9 1=12.1"},
		{kv(two), "T1=471.9 deg C F=12.1", "0=471.9 1=12.1"},
		{kv(two), "T1=881.4 ° F F=12.1", "0=471.8888888888889 1=12.1"},
		{kv(two), "T1=212 deg F=12.1", "0=NaN(failure: not_a_number) 1=12.1"}, // F is a key
		{kv(two), "T1=471.\x009 F=3", "0=NaN(failure: not_a_number) 1=3"},
		{kv(two), "T1=1471\x07.9 F=3", "0=NaN(failure: not_a_number) 1=3"},
		{NewCSV(Options{Fields: csv}, ' ', nil), "471.9\x1f12.1", "0=471.9 1=12.1"}, // a separator of ASCII
		{kv(two), "T1=471. 9 F=12.1", "0=NaN(failure: not_a_number) 1=12.1"},        // 471.09 with its decimals padded
		{kv(two), "T1=471. F=12.1", "0=471 1=12.1"},
		{kv(two), "T1=471. 9=12.1 F=1", "0=471 1=1"}, // 9 is a key
		{NewJSON(Options{Fields: two}), `{"T1":true,"F":3}`, "0=NaN(failure: not_a_number) 1=3"},
		{NewJSONValue(value, ""), `{"v":false}`, "0=NaN(failure: not_a_number)"},
		{NewNumber(Field{}, 0), "41,3", "0=41.3"},
		{NewNumber(Field{}, 0), "1.234,5", "0=1234.5"},
		{NewNumber(Field{}, 0), "+41.7\x00", "0=41.7"},
		{NewNumber(Field{}, 0), "\xef\xbb\xbf41.2", "0=41.2"},
		{NewNumber(Field{}, 0), "1,234", `!"1,234" may be 1234 or 1.234`},
		{NewNumber(Field{}, ','), "1,234", "0=1.234"},
		{NewNumber(Field{}, ','), "1.234", "0=1234"},
		{NewNumber(Field{}, 0), "ON", "!not a number"},
		{NewJSON(Options{Fields: two}), "{\"T1\":NaN,\"F\":2}\x00", "0=NaN(failure: not_a_number) 1=2"},
		{NewJSON(Options{Fields: two}), "\xef\xbb\xbf{\"T1\":\"474,3 C\",\"F\":-Infinity}", "0=474.3 1=NaN(failure: not_a_number)"},
		{NewJSON(Options{Fields: two}), `{"T1":"open","F":2}`, "0=NaN(failure: not_a_number) 1=2"},
		{NewJSON(Options{Fields: two}), `{"T1":"open"}`, "0=NaN(failure: not_a_number)"},
		{NewJSONValue(value, ""), `{"v":"open"}`, "0=NaN(failure: not_a_number)"},
		{NewJSONValue(value, ""), `{"v":"41,3"}`, "0=41.3"},
	} {
		if words, refused := strings.CutPrefix(c.want, "!"); refused {
			refuse(t, c.d, c.msg, words)
			continue
		}
		got := accept(t, c.d, c.msg, c.want)
		doubt, ok := c.d.(Doubter)
		if bad := strings.Contains(c.want, "NaN") && !strings.Contains(c.msg, "NaN") && !strings.Contains(c.msg, "Inf"); ok && bad != (doubt.Doubt() != nil) {
			t.Errorf("%q: %v, doubt %v", c.msg, got, doubt.Doubt())
		}
	}
}

const csvLine = "123456,474.3,12.1,-0.25,1500.125,0.001,99.9,7"

func newCSVLine() Decoder {
	o := Options{Fields: fields("T", "2", "3", "4", "5", "6", "7"), TimeKey: "ms", TimeUnit: UptimeMillis, DeviceClock: true}
	return NewCSV(o, ',', []string{"ms", "T", "", "", "", "", "", "x"})
}

const keyValueLine = "t=123456 T1=474.3 F=12.1 P=-0.25"

func newKeyValueLine() Decoder {
	return NewKeyValue(Options{Fields: fields("T1", "F", "P"), TimeKey: "t", TimeUnit: UptimeMillis, DeviceClock: true})
}

func TestTextAllocatesNothing(t *testing.T) {
	allocatesNothing(t, newCSVLine(), csvLine)
	allocatesNothing(t, newKeyValueLine(), keyValueLine)
	allocatesNothing(t, NewCSV(Options{Fields: fields("3")}, ',', nil), "ST,GS,+00081.72  g")
	allocatesNothing(t, NewCSV(Options{Fields: fields("2", "3")}, ',', nil), "$TMP,20.5,3*63")
}

// Uptimes follow the device's clock exactly, and are tied again when the device restarts.
func TestUptime(t *testing.T) {
	s := newStamper(UptimeMillis, true)
	at := func(up string, arrival int64) int64 {
		t.Helper()
		got, err := s.read([]byte(up), arrival)
		if err != nil {
			t.Fatal(err)
		}
		return got - now
	}
	const ms = int64(1e6)
	for _, c := range []struct {
		up            string
		arrival, want int64 // ns after now
	}{
		{"1000", 0, 0},
		{"1100", 130 * ms, 100 * ms}, // latency does not matter
		{"1200.5", 190 * ms, 200*ms + 500_000},
		{"1300", 4300 * ms, 300 * ms},   // held up for 4 s: slewed by 1/128 of 99.5 ms
		{"20", 5000 * ms, 5000 * ms},    // restarted
		{"90000", 5100 * ms, 5100 * ms}, // restarted, and ahead of what can be
	} {
		got := at(c.up, now+c.arrival)
		if d := got - c.want; d < 0 || d > ms {
			t.Errorf("uptime %s at %d ms: %d ns, want %d", c.up, c.arrival/ms, got, c.want)
		}
	}
	if _, err := s.read([]byte("-1"), now); err == nil {
		t.Error("a negative uptime was taken")
	}
}

// A first message that was held up puts the clock ahead of arrival; it comes back, in order.
func TestUptimeTiedTooLate(t *testing.T) {
	s := newStamper(UptimeMillis, true)
	s.up(0, now+4e9)
	last := now + 4e9
	var ahead int64
	for i := int64(1); i <= 100; i++ {
		got := s.up(i*100e6, now+i*100e6)
		if got <= last {
			t.Fatalf("message %d: %d after %d", i, got, last)
		}
		last, ahead = got, got-(now+i*100e6)
	}
	if ahead > uptimeSlack+1e6 {
		t.Errorf("after 10 s still %d ns ahead", ahead)
	}
}

// An Uno's resonator may be off by 0.5 %: stamps must keep near arrival, in order and apart.
func TestUptimeFollowsADriftingClock(t *testing.T) {
	for _, rate := range []float64{0.995, 1.005} {
		s := newStamper(UptimeMicros, true)
		last := int64(0)
		for i := range int64(200_000) {
			arrival := now + i*10e6
			got := s.up(int64(float64(i)*10e6*rate), arrival)
			if got <= last {
				t.Fatalf("rate %v: stamp %d after %d", rate, got, last)
			}
			if d := got - arrival; d < -300e6 || d > 300e6 {
				t.Fatalf("rate %v, message %d: %d ns from arrival", rate, i, d)
			}
			last = got
		}
	}
}

func BenchmarkCSV(b *testing.B) { benchmark(b, newCSVLine(), []byte(csvLine)) }

func BenchmarkKeyValue(b *testing.B) { benchmark(b, newKeyValueLine(), []byte(keyValueLine)) }

func FuzzCSV(f *testing.F) {
	for _, s := range []string{csvLine, "ST,GS,+00081.72  g", "$TMP,20.5,3*63", `"a""b",a,2`, "a,b,t\n", "OL,x,-", "1 2\t3"} {
		f.Add([]byte(s), byte(','))
	}
	f.Add([]byte("1 2\t3"), byte(' '))
	f.Fuzz(func(t *testing.T, msg []byte, separator byte) {
		byName := NewCSV(Options{Fields: fields("a", "b", "3"), TimeKey: "t", TimeUnit: UptimeSeconds, DeviceClock: true}, separator, nil)
		byNumber := NewCSV(Options{Fields: fields("1", "3"), TimeKey: "2", TimeUnit: UptimeSeconds, DeviceClock: true}, separator, []string{"x", "y", "z"})
		for range 2 { // the first may have been a header
			checkSamples(t, byName, msg)
			checkSamples(t, byNumber, msg)
			if _, err := byName.Decode([]sensors.Sample{}, now, []byte("a,b,t")); err != nil {
				checkSamples(t, byName, msg)
			}
		}
	})
}

func FuzzKeyValue(f *testing.F) {
	for _, s := range []string{keyValueLine, "T1= F=3", `T1="1" F:2;P=`, "ok T1:20 /0 t=1e3", "$T1=1*00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, msg []byte) { checkSamples(t, newKeyValueLine(), msg) })
}
