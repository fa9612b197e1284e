package runlog

import (
	"context"
	"fmt"
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

// keeper is a record that remembers places as the journal does: with the samples.
type keeper struct {
	record
	mu    sync.Mutex
	place []byte
	known []sensors.Sample // what was said of before the restart
}

func (k *keeper) Known(s []sensors.Sample) {
	k.mu.Lock()
	k.known = slices.Clone(s)
	k.mu.Unlock()
}

func (k *keeper) EmitUpTo(s []sensors.Sample, _ string, place []byte) {
	k.Emit(s, nil)
	k.mu.Lock()
	k.place = place
	k.mu.Unlock()
}

func (k *keeper) Place(string) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.place
}

// live runs the agent's part of a life: the log is followed until nothing new comes.
func live(t *testing.T, path string, k *keeper) *Tail {
	t.Helper()
	opt := TailOptions{Registry: meldRegistry(t), Path: path, DeviceClock: true}
	opt.Location = time.UTC
	return liveAs(t, opt, k)
}

func liveAs(t *testing.T, opt TailOptions, k *keeper) *Tail {
	t.Helper()
	tail, err := NewTail(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tail.Run(ctx, k) }()
	settle()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return tail
}

// later makes a file the newest: those of a test are otherwise written in the same instant.
func later(t *testing.T, path string, seconds int) {
	t.Helper()
	at := time.Date(2025, 7, 8, 10, 0, seconds, 0, time.UTC)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// What was recorded before a restart is not handed out again, and what was written meanwhile is.
func TestALogGoesOnAfterARestart(t *testing.T) {
	reg := meldRegistry(t)
	temperature, _ := reg.Lookup("tool_temperature")
	feed, _ := reg.Lookup("feed_position") // in inches or millimetres: its unit is known after some rows
	for name, c := range map[string]struct {
		path      string // beside the folder; a file or a pattern
		meanwhile func(t *testing.T, dir string)
		to        int // rows of the logs in all
		event     string
	}{
		"nothing was written": {"run.csv", func(*testing.T, string) {}, 30, "going on after line 31"},
		"rows were written": {"run.csv", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "run.csv"), lineRange(30, 50))
		}, 50, "going on after line 31"},
		"renamed and begun anew": {"run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			write(t, path, lineRange(30, 40))
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			write(t, path, header+lineRange(40, 60))
		}, 60, "run.csv.1, going on after line 31"},
		"copied and truncated": {"run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			write(t, path, lineRange(30, 40))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path+".old", string(text))
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			write(t, path, header+lineRange(40, 60))
		}, 60, "run.csv.old, going on after line 31"},
		"three files of a pattern": {"*.csv", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "run.csv"), lineRange(30, 35))
			later(t, filepath.Join(dir, "run.csv"), 100)
			write(t, filepath.Join(dir, "b.csv"), header+lineRange(35, 50))
			later(t, filepath.Join(dir, "b.csv"), 200)
			write(t, filepath.Join(dir, "a.csv"), header+lineRange(50, 70))
			later(t, filepath.Join(dir, "a.csv"), 300)
		}, 70, "a.csv"},
		"another folder": {"*.csv", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "run.csv")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "old.csv"), header+lineRange(0, 5))
			later(t, filepath.Join(dir, "old.csv"), -100)
			write(t, filepath.Join(dir, "new.csv"), header+lineRange(30, 45))
			later(t, filepath.Join(dir, "new.csv"), 100)
		}, 45, "run.csv, which was read up to line 31, is not there any more"},
		"truncated in place, and no header since": {"run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			if err := os.WriteFile(path, []byte(lineRange(30, 90)), 0o644); err != nil {
				t.Fatal(err)
			}
		}, 90, "is not there any more"},
		"written anew in place": {"run.csv", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "run.csv")
			if err := os.WriteFile(path, []byte(header+lineRange(30, 90)), 0o644); err != nil {
				t.Fatal(err)
			}
		}, 90, "is not there any more"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				k := &keeper{}
				path := filepath.Join(dir, c.path)
				write(t, filepath.Join(dir, "run.csv"), header+lineRange(0, 30))
				later(t, filepath.Join(dir, "run.csv"), 0)
				live(t, path, k)
				expect(t, k.values(temperature), 0, 30)
				c.meanwhile(t, dir)
				live(t, path, k)
				expect(t, k.values(temperature), 0, c.to)
				if n := len(k.values(feed)); n != c.to {
					t.Errorf("%d feed positions of %d rows", n, c.to)
				}
				if !strings.Contains(k.texts(), c.event) {
					t.Errorf("no event has %q:\n%s", c.event, k.texts())
				}
				before := len(k.samples)
				live(t, path, k) // and it stays so
				if len(k.samples) != before {
					t.Errorf("%d samples came again", len(k.samples)-before)
				}
			})
		})
	}
}

// Ended after any byte: rows whose columns wait for their unit, and rows of which half is written, come once as well.
func TestALogGoesOnFromAnywhere(t *testing.T) {
	reg := meldRegistry(t)
	text := header + lineRange(0, 14)
	var whole keeper
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "run.csv")
		write(t, path, text+lineRange(14, 20))
		live(t, path, &whole)
	})
	for cut := len(header) / 2; cut < len(text); cut += 7 {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "run.csv")
			var k keeper
			write(t, path, text[:cut])
			live(t, path, &k)
			write(t, path, text[cut:])
			live(t, path, &k)
			write(t, path, lineRange(14, 20))
			live(t, path, &k)
			for id := range reg.Len() {
				id := sensors.ChannelID(id)
				if got, want := k.values(id), whole.values(id); !slices.Equal(got, want) {
					t.Errorf("ended after %d bytes: %s is %v, want %v", cut, reg.Channel(id).Name, got, want)
				}
			}
		})
	}
}

// A place that was recorded of another path, by another program or of nothing is none.
func TestReadPlace(t *testing.T) {
	for _, text := range []string{"", "x", "{}", `{"path":"a","offset":0}`, `{"path":"b","offset":5}`, `{"path":"a","offset":-5}`, `[1]`} {
		if p := readPlace([]byte(text), "a"); p != nil {
			t.Errorf("%s: %+v", text, *p)
		}
	}
	if p := readPlace([]byte(`{"path":"a","file":"f","offset":5,"row":2}`), "a"); p == nil || p.Row != 2 {
		t.Error(fmt.Sprint(p))
	}
}

// Whatever is in a log and wherever the agent was ended: what two lives hand out is what one does.
func FuzzGoesOn(f *testing.F) {
	text := header + lineRange(0, 14)
	f.Add([]byte(text), uint16(len(text)/2), true)
	f.Add([]byte("sep=;\ntime;ToolTemp\n1,5;2\n2,5;3\n2,5;3\n1,5;4\n"), uint16(20), false)
	f.Add([]byte("Date,Time,ToolTemp,SpinVel\n08/07/2025,10:00:00,20,1\n09/07/2025,10:00:01,20,1\n13/07/2025,10:00:02,20,1\n"), uint16(70), true)
	f.Add([]byte("\xff\xfea\x00,\x00"), uint16(3), false)
	reg := meldRegistry(f)
	f.Fuzz(func(t *testing.T, b []byte, at uint16, device bool) {
		path := filepath.Join(t.TempDir(), "x.csv")
		clock := int64(0)
		life := func(content []byte, k *keeper) bool {
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			opt := TailOptions{Registry: reg, Path: path, DeviceClock: device, Clock: func() int64 { clock++; return clock }}
			opt.Location = time.UTC
			tail, err := NewTail(opt)
			if err != nil {
				t.Fatal(err)
			}
			tail.begin(k)
			defer tail.leave()
			return tail.look(t.Context(), k) == nil
		}
		var one, two keeper
		cut := min(int(at), len(b))
		if !life(b, &one) || !life(b[:cut], &two) || !life(b, &two) {
			return // it cannot be read
		}
		for id := range reg.Len() {
			id := sensors.ChannelID(id)
			if got, want := two.values(id), one.values(id); !slices.EqualFunc(got, want, func(a, b float64) bool { return a == b || a != a && b != b }) {
				t.Fatalf("%s is %v, want %v", reg.Channel(id).Name, got, want)
			}
		}
	})
}

// A log that stands still when the agent is started again shows its last values, as old as they are, and they are not recorded twice.
func TestALogThatStandsStillIsKnownAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := meldRegistry(t)
		temperature, _ := reg.Lookup("tool_temperature")
		speed, _ := reg.Lookup("spindle_speed")
		path := filepath.Join(t.TempDir(), "log.csv")
		text := "stamp,T,n\n2025-07-08 09:00:00,470.5,300\n2025-07-08 09:00:01,471.5,\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		later(t, path, 0)
		written := time.Date(2025, 7, 8, 10, 0, 0, 0, time.UTC).UnixNano()
		for _, device := range []bool{true, false} {
			opt := TailOptions{Registry: reg, Path: path, DeviceClock: device}
			opt.Format, opt.Location, opt.Time.Key = CSV, time.UTC, "stamp"
			opt.Clock = func() int64 { return written + int64(time.Hour) }
			opt.Fields = []Field{{Channel: "tool_temperature", Key: "T"}, {Channel: "spindle_speed", Key: "n"}}
			k := &keeper{}
			liveAs(t, opt, k)
			if len(k.samples) != 3 || k.known != nil {
				t.Fatalf("device %v: %v recorded, %v known before there was anything", device, k.samples, k.known)
			}
			liveAs(t, opt, k)
			if len(k.samples) != 3 {
				t.Errorf("device %v: %d samples are recorded, want the 3 of before", device, len(k.samples))
			}
			want := []sensors.Sample{
				{Channel: temperature, Value: 471.5, Status: sensors.OK, Time: time.Date(2025, 7, 8, 9, 0, 1, 0, time.UTC).UnixNano(), Arrival: written},
				{Channel: speed, Value: 300, Status: sensors.OK, Time: time.Date(2025, 7, 8, 9, 0, 0, 0, time.UTC).UnixNano(), Arrival: written},
			}
			if !device {
				want[0].Time, want[1].Time = written, written
			}
			slices.SortFunc(k.known, func(a, b sensors.Sample) int { return int(a.Channel) - int(b.Channel) })
			slices.SortFunc(want, func(a, b sensors.Sample) int { return int(a.Channel) - int(b.Channel) })
			if !slices.Equal(k.known, want) {
				t.Errorf("device %v: known %+v, want %+v", device, k.known, want)
			}
		}
	})
}
