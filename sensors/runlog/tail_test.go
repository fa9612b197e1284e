package runlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/sensors"
)

// record keeps what a source says.
type record struct {
	mu      sync.Mutex
	samples []sensors.Sample
	events  []sensors.Event
}

func (r *record) Emit(s []sensors.Sample, _ sensors.Acker) {
	r.mu.Lock()
	r.samples = append(r.samples, s...)
	r.mu.Unlock()
}

func (r *record) Event(e sensors.Event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
}

func (r *record) kinds() (k []sensors.EventKind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		k = append(k, e.Kind)
	}
	return k
}

func (r *record) texts() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	for _, e := range r.events {
		fmt.Fprintf(&b, "%s: %s\n", e.Kind, e.Text)
	}
	return b.String()
}

// values lists a channel's values in order of arrival.
func (r *record) values(id sensors.ChannelID) (v []float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.samples {
		if s.Channel == id {
			v = append(v, s.Value)
		}
	}
	return v
}

func meldRegistry(t testing.TB) *sensors.Registry {
	t.Helper()
	reg, err := sensors.NewRegistry(MELDChannels())
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

// follow starts a tail in a bubble of test time; settle lets it look at the file a few times.
func follow(t *testing.T, opt TailOptions) (*record, *Tail, func()) {
	t.Helper()
	if opt.Registry == nil {
		opt.Registry = meldRegistry(t)
	}
	opt.Location, opt.DeviceClock = time.UTC, true
	tail, err := NewTail(opt)
	if err != nil {
		t.Fatal(err)
	}
	rec := &record{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tail.Run(ctx, rec) }()
	return rec, tail, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func settle() {
	time.Sleep(3 * time.Second) // test time
	synctest.Wait()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// line is a row with steady power in mm mode.
func line(sec int) string {
	return fmt.Sprintf("2025-07-08,10:%02d:%02d.30,450.00,40.00,1923.00,%.4f,1.0000,%.1f,0.0\n", sec/60, sec%60, 100+float64(sec)/10, 100+float64(sec))
}

func lineRange(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		b.WriteString(line(i))
	}
	return b.String()
}

// expect checks that the temperatures of seconds from … to-1 came, in order, exactly once.
func expect(t *testing.T, got []float64, from, to int) {
	t.Helper()
	var want []float64
	for i := from; i < to; i++ {
		want = append(want, 100+float64(i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("temperatures %v, want %v", got, want)
	}
}

func TestTailFollowsCompleteLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.csv")
	synctest.Test(t, func(t *testing.T) {
		rec, tail, stop := follow(t, TailOptions{Path: path})
		settle()
		if k := rec.kinds(); !slices.Equal(k, []sensors.EventKind{sensors.Silent}) {
			t.Errorf("events before the file exists: %v", k)
		}
		write(t, path, header[:20])
		settle()
		write(t, path, header[20:]+line(0)+line(1)[:30])
		settle()
		expect(t, rec.values(0), 0, 1)
		write(t, path, line(1)[30:]+"garbage\n"+lineRange(2, 10))
		settle()
		expect(t, rec.values(0), 0, 10)
		torque, _ := tail.opt.Registry.Lookup("spindle_torque")
		if v := rec.values(torque); len(v) != 10 || v[0] != 40 {
			t.Errorf("torque %v", v)
		}
		if text := rec.texts(); !strings.Contains(text, "detected: run.csv rows 1–…: mm, by ratio") || !strings.Contains(text, "resumed:") || !strings.Contains(text, "line 4: 1 fields") {
			t.Errorf("events:\n%s", text)
		}
		s := tail.Health().Snapshot()
		if s.Messages != 10 || s.Rejected != 1 || !s.Connected || s.Samples != uint64(len(rec.samples)) {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !strings.Contains(rec.texts(), "silent: no new row") {
			t.Errorf("no word of the silence:\n%s", rec.texts())
		}
		stop()
		if tail.Health().Connected.Load() {
			t.Error("connected after its end")
		}
	})
}

func TestTailAcrossRotation(t *testing.T) {
	for _, c := range []struct {
		name, path string
		rotate     func(t *testing.T, dir string)
	}{
		{"rename and create", "run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			write(t, path+".1", lineRange(10, 12)) // the writer has the old file open a little longer
			write(t, path, header+lineRange(12, 20))
		}},
		{"rename, gap, create", "run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			settle()
			write(t, path+".1", lineRange(10, 12))
			settle()
			write(t, path, header+lineRange(12, 20))
		}},
		{"renamed out of the pattern, gap, create", "*.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			settle()
			write(t, path+".1", lineRange(10, 12))
			settle()
			write(t, path, header+lineRange(12, 20))
		}},
		{"copy and truncate", "run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			write(t, path, lineRange(10, 12))
			settle()
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			write(t, path, header+lineRange(12, 20))
		}},
		{"overwritten by a longer one", "run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			write(t, path, lineRange(10, 12))
			settle()
			long := strings.ReplaceAll(header+lineRange(12, 20), "\n", "\r\n") + strings.Repeat("\n", 2000)
			if err := os.WriteFile(path, []byte(long), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{"a new file of the pattern", "*.csv", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "run.csv"), lineRange(10, 11)+strings.TrimSuffix(line(11), "\n"))
			next := filepath.Join(dir, "run2.csv")
			write(t, next, header+lineRange(12, 20))
			later := time.Now().Add(100 * 365 * 24 * time.Hour) // test time began long ago
			if err := os.Chtimes(next, later, later); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			old := filepath.Join(dir, "old.csv")
			write(t, old, header+lineRange(50, 60))
			if err := os.Chtimes(old, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "run.csv"), header+lineRange(0, 10))
			synctest.Test(t, func(t *testing.T) {
				rec, tail, stop := follow(t, TailOptions{Path: filepath.Join(dir, c.path)})
				settle()
				c.rotate(t, dir)
				settle()
				settle()
				stop()
				expect(t, rec.values(0), 0, 20)
				feed, _ := tail.opt.Registry.Lookup("feed_position")
				if v := rec.values(feed); len(v) != 20 || v[0] != 100 || v[19] != 101.9 {
					t.Errorf("feed position %v\n%s", v, rec.texts())
				}
				if s := tail.Health().Snapshot(); s.Connects != 2 || s.Messages != 20 || s.Lost != 0 {
					t.Errorf("%+v\n%s", s, rec.texts())
				}
			})
		})
	}
}

func TestTailOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "run.csv")
	for _, device := range []bool{false, true} {
		now := int64(1000)
		tail, err := NewTail(TailOptions{Path: path, Registry: meldRegistry(t), Once: true, DeviceClock: device, Options: Options{Location: time.UTC}, Clock: func() int64 { return now }})
		if err != nil {
			t.Fatal(err)
		}
		rec := &record{}
		os.Remove(path)
		if err := tail.Run(t.Context(), rec); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without a file: %v", err)
		}
		tail.Health().Tap.Look()
		write(t, path, header+lineRange(0, 9)+strings.TrimSuffix(line(9), "\n"))
		if err := tail.Run(t.Context(), rec); err != nil {
			t.Error(err)
		}
		expect(t, rec.values(0), 0, 10)
		if told := tail.Health().Tap.Look(); len(told) != 11 || string(told[0].Raw) != strings.TrimSpace(header) || string(told[10].Raw) != strings.TrimSpace(line(9)) {
			t.Errorf("who looks sees %d lines: %+v", len(told), told)
		}
		seen := map[int64]bool{}
		for _, s := range rec.samples {
			if s.Arrival != now || device != (s.Time > 1e18) {
				t.Errorf("%+v", s)
			}
			seen[s.Time] = true
		}
		if len(seen) != 10 {
			t.Errorf("%d stamps for 10 rows", len(seen))
		}
	}
}

// A log without a time column is stamped as it is read.
func TestTailOfAnUntimedLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.csv")
	write(t, path, "note;tool_temperature;spindle_speed\nx;21,5;0\ny;21,6;300\n")
	tail, err := NewTail(TailOptions{Path: path, Registry: meldRegistry(t), Once: true, Clock: func() int64 { return 1000 }})
	if err != nil {
		t.Fatal(err)
	}
	rec := &record{}
	if err := tail.Run(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	if v := rec.values(0); !slices.Equal(v, []float64{21.5, 21.6}) || len(rec.samples) != 4 || rec.samples[3].Time != 1001 {
		t.Errorf("%v", rec.samples)
	}
}

// A tail that sees a recording grow says the same as reading it whole, change of units included.
func TestTailAgreesWithRead(t *testing.T) {
	for _, from := range []int{3, 300, 5000} {
		text := metric(t, load(t, "20250708104310.csv"), from, 5000, true)
		whole := parse(t, text, Options{})
		path := filepath.Join(t.TempDir(), "run.csv")
		synctest.Test(t, func(t *testing.T) {
			rec, tail, stop := follow(t, TailOptions{Path: path})
			for rest := text; rest != ""; {
				n := min(len(rest), 7001)
				write(t, path, rest[:n])
				rest = rest[n:]
				time.Sleep(250 * time.Millisecond)
			}
			settle()
			stop()
			type key struct {
				id sensors.ChannelID
				at int64
			}
			got := map[key]sensors.Sample{}
			for _, s := range rec.samples {
				k := key{s.Channel, s.Time}
				if _, twice := got[k]; twice {
					t.Fatalf("channel %d at %d came twice", s.Channel, s.Time)
				}
				got[k] = s
			}
			if len(got) != len(whole.Time)*len(whole.Columns) {
				t.Errorf("%d samples of %d", len(got), len(whole.Time)*len(whole.Columns))
			}
			for i, c := range whole.Columns {
				id, _ := tail.opt.Registry.Lookup(c.Name)
				for k, at := range whole.Time {
					s := got[key{id, at}]
					if math.Float64bits(s.Value) != math.Float64bits(whole.Value[i][k]) || s.Status != whole.Status[i][k] {
						t.Fatalf("mm from row %d: %s in row %d: %g %s, read whole %g %s", from, c.Name, k+1, s.Value, s.Status, whole.Value[i][k], whole.Status[i][k])
					}
				}
			}
			if n := strings.Count(rec.texts(), "detected:"); n != len(whole.Detected) {
				t.Errorf("%d stretches announced, %v\n%s", n, whole.Detected, rec.texts())
			}
		})
	}
}

func TestTailRefusesWhatItCannotUse(t *testing.T) {
	reg := meldRegistry(t)
	for want, opt := range map[string]TailOptions{
		"a path and a registry": {Registry: reg},
		"not declared":          {Registry: reg, Path: "x", Options: Options{Fields: []Field{{Key: "a", Channel: "nobody"}}}},
		"time unit":             {Registry: reg, Path: "x", Options: Options{Time: TimeColumn{Key: "a", Unit: "fortnight"}}},
		"syntax error":          {Registry: reg, Path: "[a"},
	} {
		if _, err := NewTail(opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "x.csv")
	write(t, path, "a,b,c\n1,2,3\n4,5,6\n")
	for want, p := range map[string]string{"header has a, b, c": path, "is a folder: name a file in it": filepath.Dir(path)} {
		tail, err := NewTail(TailOptions{Registry: reg, Path: p})
		if err != nil {
			t.Fatal(err)
		}
		if err := tail.Run(t.Context(), &record{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTailRowDoesNotAllocate(t *testing.T) {
	reg := meldRegistry(t)
	tail, err := NewTail(TailOptions{Registry: reg, Path: "x", DeviceClock: true, Options: Options{Location: time.UTC}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.csv")
	write(t, path, "")
	sink := discard{}
	if err := tail.open(path, place{}, sink); err != nil {
		t.Fatal(err)
	}
	defer tail.leave()
	f := tail.cur
	feed := func(s []byte) {
		if err := f.text.feed(s, f.whole); err != nil {
			t.Fatal(err)
		}
		tail.flush(sink)
	}
	feed([]byte(header))
	var rows [][]byte
	for i := range 1200 {
		rows = append(rows, []byte(line(i)))
	}
	i := 0
	next := func() { feed(rows[i]); i++ }
	for range 100 {
		next()
	}
	each := f.whole
	if n := testing.AllocsPerRun(1000, func() {
		if err := f.text.feed(rows[i], each); err != nil {
			t.Fatal(err)
		}
		tail.flush(sink)
		i++
	}); n > 0 {
		t.Errorf("%g allocations a row", n)
	}
}

type discard struct{}

func (discard) Emit([]sensors.Sample, sensors.Acker) {}
func (discard) Event(sensors.Event)                  {}

// FuzzTail cuts input into pieces and rotations; nothing may crash and every row counts once.
func FuzzTail(f *testing.F) {
	f.Add([]byte(header+"2025-07-08,10:43:15.30,450,20,1300,1,1,20.5,0.0\n"), uint8(7))
	f.Add([]byte("\xff\xfea\x00,\x00"), uint8(1))
	reg := meldRegistry(f)
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		tail, err := NewTail(TailOptions{Registry: reg, Path: "x"})
		if err != nil {
			t.Fatal(err)
		}
		rec := &record{}
		fo := &follower{path: "x", tail: tail, to: rec, units: newDetector(Auto)}
		fo.dec = &decoder{opt: tail.opt.Options, onRow: fo.row, onSkip: fo.skip, onStep: fo.step, onNote: fo.note, onHeader: fo.begin}
		tail.cur = fo
		for rest := b; len(rest) > 0; {
			n := min(len(rest), int(cut)+1)
			if fo.text.feed(rest[:n], fo.whole) != nil {
				return
			}
			rest = rest[n:]
		}
		tail.finish(rec)
		for _, s := range rec.samples {
			if s.Status.IsGood() && math.IsNaN(s.Value) || int(s.Channel) >= reg.Len() {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// A row of 28 columns as the tail takes it: budget 20 µs, 0 allocations.
func BenchmarkTailRow(b *testing.B) {
	tail, err := NewTail(TailOptions{Registry: meldRegistry(b), Path: "x", Options: Options{Units: Millimetre, Location: time.UTC}})
	if err != nil {
		b.Fatal(err)
	}
	sink := discard{}
	f := &follower{path: "x", tail: tail, to: sink, units: newDetector(Millimetre)}
	f.dec = &decoder{opt: tail.opt.Options, onRow: f.row, onSkip: f.skip, onStep: f.step, onNote: f.note, onHeader: f.begin}
	text := []byte(load(b, "20250708104310.csv"))
	head := text[:slices.Index(text, '\n')+1]
	if err := f.text.feed(head, f.whole); err != nil {
		b.Fatal(err)
	}
	each := f.whole
	rows := 0
	b.ReportAllocs()
	for b.Loop() {
		f.dec.rows = 0 // the same stamps again
		if err := f.text.feed(text[len(head):], each); err != nil {
			b.Fatal(err)
		}
		rows += 1098
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rows), "ns/row")
}
