package record

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

func registry(t testing.TB) *sensors.Registry {
	t.Helper()
	reg, err := sensors.NewRegistry([]sensors.Channel{
		{Name: "tool", Unit: unit.MustParse("°C")},
		{Name: `odd, name=1\`, Unit: unit.MustParse("°C")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

func TestSamplesAsWritten(t *testing.T) {
	e := NewSampleEncoder("cell 1", registry(t))
	for _, c := range []struct {
		s    sensors.Sample
		want string
	}{
		{sensors.Sample{Time: 1751971390123456789, Value: 421.35, Status: sensors.OK}, `samples,channel=tool,machine=cell\ 1,unit=°C value=421.35 1751971390123456789`},
		{sensors.Sample{Time: 2, Value: -2, Channel: 1, Status: sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}},
			`samples,channel=odd\,\ name\=1/,machine=cell\ 1,quality=failure,reason=sentinel,unit=°C value=-2 2`},
		{sensors.Sample{Time: 3, Value: math.NaN(), Status: sensors.OK}, `samples,channel=tool,machine=cell\ 1,quality=failure,reason=not_a_number,unit=°C sent="NaN" 3`},
		{sensors.Sample{Time: 3, Value: math.Inf(1), Status: sensors.OK}, `samples,channel=tool,machine=cell\ 1,quality=failure,reason=not_a_number,unit=°C sent="+Inf" 3`},
		{sensors.Sample{Time: 3, Value: math.NaN(), Sent: "o\"\xff\n", Status: sensors.Status{Signal: sensors.Failure, Reason: sensors.NotANumber}},
			`samples,channel=tool,machine=cell\ 1,quality=failure,reason=not_a_number,unit=°C sent="o\"` + "\ufffd" + ` " 3`},
		{sensors.Sample{Time: 3, Value: 1, Channel: 99, Status: sensors.OK}, ""},
		{sensors.Sample{Time: 4, Value: 500, Status: sensors.OK}, `samples,channel=tool,machine=cell\ 1,unit=°C value=500 4`},
		{sensors.Sample{Time: 5, Value: math.Copysign(0, -1), Status: sensors.OK}, `samples,channel=tool,machine=cell\ 1,unit=°C value=-0 5`},
		{sensors.Sample{Time: 6, Value: 1e21, Status: sensors.OK}, `samples,channel=tool,machine=cell\ 1,unit=°C value=1e+21 6`},
		{sensors.Sample{Time: 7, Value: 5e-324, Status: sensors.OK}, `samples,channel=tool,machine=cell\ 1,unit=°C value=5e-324 7`},
	} {
		if got := strings.TrimSuffix(string(e.Append(nil, &c.s)), "\n"); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
	if got := string(NewSampleEncoder("", nil).Append(nil, &sensors.Sample{Value: 1, Status: sensors.OK})); got != "" {
		t.Errorf("without channels: %q", got)
	}
}

func TestRowsAsWritten(t *testing.T) {
	nan := math.NaN()
	check := func(got []byte, stamp int64, want string) {
		t.Helper()
		if want != "" {
			want = "x\n" + want + "\n"
		} else {
			want = "x\n"
		}
		if string(got) != want || stamp != 8 {
			t.Errorf("%s at %d\nwant %s", got, stamp, want)
		}
	}
	line, at := Append([]byte("x\n"), "cell 1", &Estimate{8, "tool temperature", 1.5, nan})
	check(line, at, `estimates,machine=cell\ 1,state=tool\ temperature value=1.5 8`)
	line, at = Append([]byte("x\n"), "m", &Estimate{8, "x", nan, math.Inf(-1)})
	check(line, at, "")
	line, at = Append([]byte("x\n"), "m", &Innovation{8, "tool temperature", -3, 2, 0.25, true})
	check(line, at, `estimates,machine=m,measurement=tool\ temperature innovation=-3,innovation_sd=2,ratio=0.25,rejected=true 8`)
	line, at = Append([]byte("x\n"), "", &Event{8, "tc", "gap", 0, "a \"b\"\\\nc\xff"})
	check(line, at, `events,kind=gap,source=tc text="a \"b\"\\ c`+"\ufffd"+`" 8`)
	line, at = Append([]byte("x\n"), "m", &Attribution{8, "innovation", "", "plate", 3, Parts{[]string{"heat", "to build", "none"}, []float64{1, 2, nan}}})
	check(line, at, `attributions,machine=m,of=innovation,output=plate total=3,heat=1,to\ build=2 8`)
}

// Lines that earlier versions wrote are read: they had the tags in another order.
func TestEarlierLinesAreRead(t *testing.T) {
	old := `estimates,machine=m,state=tool\ temperature value=471.2,sd=0.5 8
estimates,machine=m,measurement=tool\ temperature innovation=0.1,innovation_sd=0.4,ratio=0.02,rejected=false 8
events,machine=m,source=journal,kind=gap text="gone",count=3i 8
recommendations,machine=m,kind=hold set_point=470,predicted=469.5,expires=18i,reason="holds" 8
commands,machine=m,target=set_point,verdict=reached asked=470,given=470,who="ann",reason="" 8
attributions,machine=m,of=forecast,horizon=30s total=3,heat=1,to\ build=2 8
health,machine=m,source=tc connected=true,connects=1i,bytes=2i,messages=3i,samples=4i,rejected=5i,gaps=6i,lost=7i,duplicates=8i,skew_s=0.5 8
`
	nan := math.NaN()
	same(t, old, Estimate{8, "tool temperature", 471.2, 0.5})
	same(t, old, Innovation{8, "tool temperature", 0.1, 0.4, 0.02, false})
	same(t, old, Event{8, "journal", "gap", 3, "gone"})
	same(t, old, Recommendation{Time: 8, Kind: "hold", SetPoint: 470, Pace: nan, Predicted: 469.5, Expires: 18, Reason: "holds", With: nan, WithLower: nan, WithUpper: nan, WithSpeed: nan, WithSpeedLower: nan, WithSpeedUpper: nan,
		Without: nan, WithoutLower: nan, WithoutUpper: nan, WithoutSpeed: nan, WithoutSpeedLower: nan, WithoutSpeedUpper: nan})
	same(t, strings.Replace(old, "asked=470,", "", 1), Command{Time: 8, Target: "set_point", Verdict: "reached", Asked: nan, Given: 470, ReadBack: nan, Who: "ann"})
	same(t, old, Attribution{8, "forecast", "30s", "", 3, Parts{[]string{"heat", "to build"}, []float64{1, 2}}})
	same(t, old, SourceHealth{8, "tc", true, 1, 2, 3, 4, 5, 6, 7, 8, 0.5})
	same[Sample](t, old)
	same[UploadHealth](t, old)
}

// same reads all rows of a type from lines. NaN is equal to NaN.
func same[R Row](t *testing.T, lines string, want ...R) {
	t.Helper()
	got, bad := read[R]([]byte(lines))
	if len(bad) > 0 || len(got) != len(want) {
		t.Errorf("%T: %d rows, want %d; %v", *new(R), len(got), len(want), bad)
		return
	}
	for i := range got {
		if a, b := text(&got[i]), text(&want[i]); a != b {
			t.Errorf("%s\nwant %s", a, b)
		}
	}
}

func text[R Row](r *R) string {
	line, _ := Append(nil, "", r)
	return string(line)
}

func read[R Row](lines []byte) (rows []R, bad []error) {
	var d Decoder[R]
	d.Lines(lines, math.MinInt64, math.MaxInt64, func(err error) { bad = append(bad, err) }, func(r *R) error { rows = append(rows, *r); return nil })
	return rows, bad
}

// Every row type reads back as it was written, whatever its columns hold.
func TestEveryRowReadsBack(t *testing.T) {
	reads[Sample](t)
	reads[Estimate](t)
	reads[Innovation](t)
	reads[Forecast](t)
	reads[Attribution](t)
	reads[ProgramEvent](t)
	reads[Anomaly](t)
	reads[Alarm](t)
	reads[Notification](t)
	reads[Recommendation](t)
	reads[Command](t)
	reads[Event](t)
	reads[SourceHealth](t)
	reads[UploadHealth](t)
	reads[JournalHealth](t)
	if len(byType) != 15 {
		t.Errorf("%d row types", len(byType))
	}
}

func reads[R Row](t *testing.T) {
	var r R
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("a, \"b\"=c " + string(rune('0'+i)))
		case reflect.Float64:
			f.SetFloat(float64(i) + 0.1)
		case reflect.Int64:
			f.SetInt(int64(i) + 1)
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Struct:
			f.Set(reflect.ValueOf(Parts{[]string{"a b", "c=d"}, []float64{1.5, -2}}))
		}
	}
	same(t, text(&r), r)
	if strings.Count(text(&r), ",")+strings.Count(text(&r), " ") == 0 {
		t.Errorf("%T is %s", r, text(&r))
	}
}

// What is not of the row's type is told, and costs itself alone.
func TestBadLines(t *testing.T) {
	lines := "samples,channel=a value=1 1\nsamples,channel=a value=\"hot\" 2\nsamples,channel=a value=2i 3\nbroken\nsamples,channel=a value=\nsamples,channel=a other=1 4\nsamples value=1 5\nsamples,channel=a value=4 6\n"
	rows, bad := read[Sample]([]byte(lines))
	if len(rows) != 3 || rows[1].Value != 2 || rows[2].Value != 4 || len(bad) != 2 || !strings.Contains(bad[0].Error(), "samples: field value is \"hot\", it must be float") {
		t.Errorf("%+v, %v", rows, bad)
	}
}

func TestNoAllocations(t *testing.T) {
	e, s := NewSampleEncoder("m", registry(t)), sensors.Sample{Value: 1.5, Status: sensors.OK}
	b := make([]byte, 0, 1<<10)
	names, values := []string{"heat", "loss"}, []float64{1, 2}
	for name, f := range map[string]func(){
		"a sample":       func() { e.Append(b, &s) },
		"an estimate":    func() { Append(b, "m", &Estimate{1, "tool", 2, 3}) },
		"an anomaly":     func() { Append(b, "m", &Anomaly{1, "x", "y", "", true, 2, 3, 4, "text"}) },
		"an attribution": func() { Append(b, "m", &Attribution{1, "forecast", "30s", "plate", 3, Parts{names, values}}) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// FuzzAppend writes arbitrary names and text and reads them back as one row.
func FuzzAppend(f *testing.F) {
	f.Add("state", "a, b=c\\", "text\nwith \"quotes\" \\", 1.5, int64(10))
	f.Add("\\", "\\ ", "\x00\xff", math.Copysign(0, -1), int64(-1))
	f.Add("a\\,b", "\n", "", math.MaxFloat64, int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, name, tag, txt string, v float64, stamp int64) {
		if name == "" || tag == "" || stamp == math.MaxInt64 { // the end of the span is not part of it
			return
		}
		line, _ := Append(nil, name, &Anomaly{Time: stamp, Code: tag, Channel: name, Score: v, Text: txt})
		if n := bytes.Count(line, []byte("\n")); n != 1 {
			t.Fatalf("%q is %d lines", line, n)
		}
		rows, bad := read[Anomaly](line)
		if len(rows) != 1 || len(bad) != 0 {
			t.Fatalf("%q reads back as %+v, %v", line, rows, bad)
		}
		if got := rows[0].Score; !math.IsInf(v, 0) && math.Float64bits(got) != math.Float64bits(v) && v == v {
			t.Errorf("%v reads back as %v", v, got)
		}
		again, _ := Append(nil, "", &rows[0])
		rows, bad = read[Anomaly](again)
		if len(rows) != 1 || len(bad) != 0 {
			t.Errorf("%q does not read back: %v", again, bad)
		}
		parts := Attribution{stamp, tag, "", tag, 1, Parts{[]string{name}, []float64{v}}}
		if line, _ = Append(nil, "", &parts); bytes.Count(line, []byte("\n")) != 1 {
			t.Fatalf("%q is no line", line)
		}
		if _, bad := read[Attribution](line); len(bad) != 0 {
			t.Errorf("%q: %v", line, bad)
		}
	})
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("samples,channel=a,machine=m value=1.5 10\n"))
	f.Add([]byte("attributions,of=b d=1,g=1i,h=true 5\nbroken\n\n# x\nattributions,of=1 total=2"))
	f.Add([]byte("health,source\\,=d\\= e=-1e-5 -9223372036854775808\n"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		samples, _ := read[Sample](lines)
		for i := range samples {
			if samples[i].Channel == "" || samples[i].Value != samples[i].Value {
				t.Errorf("a sample without channel or value: %+v", samples[i])
			}
		}
		parts, _ := read[Attribution](lines)
		for i := range parts {
			if len(parts[i].Parts.Name) != len(parts[i].Parts.Value) {
				t.Errorf("%+v", parts[i])
			}
		}
		read[SourceHealth](lines)
		read[Event](lines)
	})
}

// What the fast decoder reads is what the other reads, also of lines that it has met before.
func FuzzSampleDecoder(f *testing.F) {
	f.Add([]byte("samples,channel=a,machine=m,unit=°C value=1.5 10\nsamples,channel=a,machine=m,unit=°C value=-1e-5 11\n"))
	f.Add([]byte("samples,channel=a,quality=failure sent=\"x y\" 5\nsamples,channel=a,quality=failure value=3 6\nsamples,channel=a,quality=failure sent=\"z\" 7"))
	f.Add([]byte("samples,channel=a\\ b value=1 2\nsamples,channel=a value=1,other=2 3\nevents,kind=x text=\"samples,channel=a value=1 2\" 1\nsamples,channel=a value=1"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		var fast SampleDecoder
		for range 2 { // the second time all series are known
			var got, want []string
			var bad, wantBad int
			fast.Lines(lines, -5, 1<<62, func(error) { bad++ }, func(x *Sample) error {
				got = append(got, fmt.Sprintf("%+v", *x))
				return nil
			})
			for line := range bytes.Lines(lines) {
				var slow Decoder[Sample]
				if !bytes.HasPrefix(line, samplesHead) && !bytes.HasPrefix(line, samplesBare) {
					continue
				}
				slow.Lines(line, -5, 1<<62, func(error) { wantBad++ }, func(x *Sample) error {
					want = append(want, fmt.Sprintf("%+v", *x))
					return nil
				})
			}
			if !slices.Equal(got, want) || bad != wantBad {
				t.Fatalf("%q is\n%s, %d bad\nnot\n%s, %d bad", lines, got, bad, want, wantBad)
			}
		}
	})
}

// The decode of one sample of a known series. Budget: 200 ns, 0 allocations.
func BenchmarkSampleDecoder(b *testing.B) {
	var lines []byte
	e := NewSampleEncoder("cell 1", registry(b))
	for i := range 1000 {
		lines = e.Append(lines, &sensors.Sample{Time: 1751971390123456789 + int64(i)*1e6, Value: 421.3579 + float64(i)/8, Status: sensors.OK})
	}
	var d SampleDecoder
	b.ReportAllocs()
	for b.Loop() {
		d.Lines(lines, 0, math.MaxInt64, nil, func(*Sample) error { return nil })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
}

// The encode of one sample. Budget: 150 ns, 0 allocations.
func BenchmarkAppendSample(b *testing.B) {
	e, s := NewSampleEncoder("cell 1", registry(b)), sensors.Sample{Time: 1751971390123456789, Value: 421.3579, Status: sensors.OK}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		s.Time += 1e6
		s.Value += 0.25
		buf = e.Append(buf[:0], &s)
	}
}

// The encode of one other row. Budget: 1 µs, 0 allocations.
func BenchmarkAppendForecast(b *testing.B) {
	r := Forecast{Time: 1751971390123456789, State: "tool temperature", Horizon: "60s", Value: 421.3579, SD: 3.25, Lower: 415.1, Upper: 427.6, Made: 1751971390123456789}
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		r.Time += 1e6
		buf, _ = Append(buf[:0], "cell 1", &r)
	}
}
