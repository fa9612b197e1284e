package main

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/sensors/runlog"
)

// readLog reads a recording as `stirwatch play` does.
func readLog(t testing.TB, name string) *runlog.Log {
	t.Helper()
	log, err := runlog.Read(recording(t, name), runlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// records reads what a journal holds of one type of row.
func records[R record.Row](t testing.TB, path string, each func(*R)) {
	t.Helper()
	r, err := journal.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := journal.Rows(t.Context(), r, journal.Query{From: math.MinInt64}, func(row *R) error { each(row); return nil }); err != nil {
		t.Fatal(err)
	}
}

// TestPlayToInfluxDB plays a recorded build at 50 times its speed into a serial port and a
// broker: every reading must be in InfluxDB once, with its value and its time, and beside it
// what the agent makes of it.
func TestPlayToInfluxDB(t *testing.T) {
	if testing.Short() {
		t.Skip("plays a build for 22 s")
	}
	// Not beside other tests: an agent that gets no time for a second sees 50 s pass at once, and finds
	// anomalies that the replay has not.
	log, want := readLog(t, watched), expected(readLog(t, watched))
	broker, db, model := startMosquitto(t), startInfluxd(t), learnedOnce(t)
	s := newSite(t, broker.URL, db.URL, model)
	s.plain = true // to keep pace

	run := s.run()
	broker.subscribed(t)
	startPlay(t, recording(t, watched), "--serial", s.link, "--mqtt", broker.URL, "--speed", "50").played()
	db.holds(len(want), "")
	if code := run.end(syscall.SIGTERM); code != 0 {
		t.Errorf("run ends with code %d", code)
	}
	compare(want, db.found()).complete(t)

	// What the agent says of an instant of the build does not depend on how it came by it: a replay
	// knows the same at the next tenth of a second.
	replayed := filepath.Join(t.TempDir(), "replay.db")
	fine := s.with("health: 1 s", "estimates: 100 ms", "rate: 100 Hz", "rate: 10 Hz")
	plainly(t, "replay", "-c", fine, "--into", replayed, recording(t, watched))
	span := float64(log.Time[len(log.Time)-1]-log.Time[0]) / 1e9

	const estimate = `|> filter(fn: (r) => r.state == "tool temperature" and r._field == "value")`
	var times []int64
	var values, apart []float64
	records(t, replayed, func(r *record.Estimate) {
		if r.State == "tool temperature" {
			times, values = append(times, r.Time), append(values, r.Value)
		}
	})
	estimates, most := 0, 0.0
	db.query("estimates", estimate, func(row map[string]any) {
		estimates++
		at := row["_time"].(time.Time).UnixNano()
		if i, _ := slices.BinarySearch(times, at); i < len(times) && times[i]-at <= int64(100*time.Millisecond) {
			apart = append(apart, math.Abs(row["_value"].(float64)-values[i]))
		}
	})
	// On a busy computer a tick may see two rows at once: 20 ms lie between them.
	if n := float64(estimates); n < 0.5*span || n > 1.1*span || float64(len(apart)) < 0.9*n {
		t.Errorf("%d estimates in %.0f s, %d of them at an instant that the replay has", estimates, span, len(apart))
	} else {
		slices.Sort(apart)
		median, high := apart[len(apart)/2], apart[len(apart)*95/100]
		most = apart[len(apart)-1]
		t.Logf("%d estimates; from those of the replay they differ by %.3f K in the median, %.3f K at 95 %%, %.3f K at most", estimates, median, high, most)
		if median > 1 || high > 10 {
			t.Errorf("they differ from those of the replay by %g K in the median, %g K at 95 %%", median, high)
		}
	}

	forecasts := map[string]int{}
	db.query("forecasts", `|> filter(fn: (r) => r._field == "value")`, func(row map[string]any) { forecasts[text(row["horizon"])]++ })
	t.Logf("forecasts by horizon: %v", forecasts)
	for _, h := range []string{"1s", "5s", "10s", "20s", "30s", "45s", "60s"} {
		if n := forecasts[h]; n < estimates*9/10 || n > estimates {
			t.Errorf("%d forecasts over %s beside %d estimates", n, h, estimates)
		}
	}

	advice := map[string]int{}
	db.query("recommendations", `|> filter(fn: (r) => r._field == "reason")`, func(row map[string]any) { advice[text(row["kind"])]++ })
	sum := 0
	for _, n := range advice {
		sum += n
	}
	t.Logf("recommendations by kind: %v", advice)
	if sum < int(span/60) || sum > int(span) { // advice expires after 30 s
		t.Errorf("%d recommendations in %.0f s", sum, span)
	}

	// A channel that is not wired is never heard of in a play, and failed in a log.
	sent := map[string]bool{"": true}
	for at := range want {
		sent[at.channel] = true
	}
	there, must := map[string]int{}, map[string]int{}
	db.query("anomalies", `|> filter(fn: (r) => r._field == "active" and r._value == true)`, func(row map[string]any) {
		if sent[text(row["channel"])] && row["_time"].(time.Time).UnixNano() <= log.Time[len(log.Time)-1] {
			there[text(row["code"])]++
		}
	})
	records(t, replayed, func(r *record.Anomaly) {
		if sent[r.Channel] && r.Active {
			must[r.Code]++
		}
	})
	t.Logf("anomalies raised: %v; in the replay %v", there, must)
	// An agent that got no time for a tenth of a second saw five seconds of the build pass at once, and may have found
	// what the replay, which saw all of it, has not, or missed what it has.
	const paced = 2 // K
	if a, b := slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(must)); most < paced && !slices.Equal(a, b) {
		t.Errorf("kinds of anomalies: %v; in the replay %v", a, b)
	} else if most >= paced {
		t.Logf("the agent did not keep pace with the play: its anomalies are not compared")
	}
	if n := db.count("events", `|> filter(fn: (r) => r._field == "text" and r.kind == "connected")`); n != 2 {
		t.Errorf("%d sources connected, want 2", n)
	}
}

// TestOutageKillStockMosquitto stops InfluxDB for the middle third of a build and kills the
// agent in that outage. The broker keeps what is not acknowledged, so nothing of MQTT may be
// lost. A serial line has no acknowledgement: what the agent had read and not yet committed when
// it was killed is lost, and what stood in the terminal's buffer: lines of one commit interval
// (100 ms) and of the commit under way, a handful here, and never more than the interval and a
// full buffer of 4096 bytes.
func TestOutageKillStockMosquitto(t *testing.T) {
	if testing.Short() {
		t.Skip("plays a build for 22 s")
	}
	t.Parallel()
	const speed = 50
	log := readLog(t, watched)
	want, rows := expected(log), int64(len(log.Time))
	broker, db := startMosquitto(t), startInfluxd(t)
	s := newSite(t, broker.URL, db.URL, "")

	run := s.run()
	broker.subscribed(t)
	play := startPlay(t, recording(t, watched), "--serial", s.link, "--mqtt", broker.URL, "--speed", fmt.Sprint(speed), "--hold")
	play.reaches(rows / 3)
	db.Stop(syscall.SIGTERM)
	play.reaches(rows * 45 / 100)
	run.end(syscall.SIGKILL)
	killed := play.row.Load()
	play.reaches(rows * 55 / 100)
	run = s.run()
	play.reaches(rows * 2 / 3)
	db.Start()
	play.played()

	serial := compare(only(want, "tool_temperature"), nil).lost
	const bound = speed/10 + 1 + 4096/len("1751971395300000000,18.6\n")
	db.holds(serial-bound, `|> filter(fn: (r) => r.channel == "tool_temperature")`)
	db.holds(len(want)-serial, `|> filter(fn: (r) => r.channel != "tool_temperature")`)
	if code := run.end(syscall.SIGTERM); code != 0 {
		t.Errorf("run ends with code %d", code)
	}
	found := db.found()
	c := compare(want, found)
	var lost []int // rows of the thermocouple
	for i, at := range log.Time {
		if len(found[instant{"tool_temperature", at}]) == 0 {
			lost = append(lost, i+1)
		}
	}
	t.Logf("killed at row %d: %v; lines lost: rows %v", killed, c, lost)
	if c.twice+c.wrong+c.unsent != 0 {
		t.Errorf("wrong: %v", c)
	}
	if c.lost != c.lostBy["tool_temperature"] {
		t.Errorf("lost from MQTT: %v", c.lostBy)
	}
	if c.lost > bound {
		t.Errorf("%d lines lost from the serial port, at most %d can be", c.lost, bound)
	}

	// Order: what the journal has for the first time comes after all that it had before. What the
	// broker sends again after the kill is there already, and the same.
	latest, again := map[string]int64{}, 0
	seen := map[instant]float64{}
	records(t, s.journal, func(r *record.Sample) {
		at, v := instant{r.Channel, r.Time}, r.Value
		if had, ok := seen[at]; ok {
			again++
			if had != v {
				t.Errorf("%v is %v at first and then %v", at, had, v)
			}
			return
		}
		seen[at] = v
		if at.time <= latest[at.channel] {
			t.Errorf("%s: %d comes after %d", at.channel, at.time, latest[at.channel])
		}
		latest[at.channel] = at.time
	})
	t.Logf("%d readings in the journal, %d delivered again", len(seen), again)

	gaps := eventsOf(db)
	t.Logf("events: %v", gaps)
	if gaps["journal gap"] == 0 {
		t.Errorf("that the agent was away is not in the record: %v", gaps)
	}
}

// only keeps one channel.
func only(all map[instant]reading, channel string) map[instant]reading {
	some := map[instant]reading{}
	for at, r := range all {
		if at.channel == channel {
			some[at] = r
		}
	}
	return some
}

// eventsOf counts events by source and kind.
func eventsOf(db influxd) map[string]int {
	db.t.Helper()
	all := map[string]int{}
	db.query("events", `|> filter(fn: (r) => r._field == "text")`, func(row map[string]any) {
		all[text(row["source"])+" "+text(row["kind"])]++
	})
	return all
}

// TestBrokerAndPortComeBack stops the broker and starts it again, and lets the thermocouple
// come back under another terminal: the stream goes on without loss, and both are on record.
func TestBrokerAndPortComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("plays a run for 7 s")
	}
	t.Parallel()
	path, log := recording(t, learned), readLog(t, learned)
	want, rows := expected(log), int64(len(log.Time))
	broker, db := startMosquitto(t), startInfluxd(t)
	s := newSite(t, broker.URL, db.URL, "")

	run := s.run()
	broker.subscribed(t)
	half := rows / 2
	telemetry := startPlay(t, path, "--mqtt", broker.URL, "--speed", "200", "--topic", "afsd/cell1")
	thermocouple := startPlay(t, path, "--serial", s.link, "--speed", "200", "--rows", fmt.Sprintf("1:%d", half))
	wait(t, "the thermocouple's link", func() bool { _, err := os.Readlink(s.link); return err == nil })
	before, _ := os.Readlink(s.link)

	telemetry.reaches(rows / 4)
	broker.Stop(syscall.SIGTERM)
	run.says("msg=disconnected source=telemetry", 1)
	broker.Start()
	run.says("msg=connected source=telemetry", 2)

	thermocouple.played()
	run.says("msg=disconnected source=thermocouple", 1)
	// The old number is taken, so that the device comes back under another. The lowest free number is given, which
	// may be one that another test has let go.
	for taken := ""; taken != before; {
		master, tty, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		defer tty.Close()
		if taken = tty.Name(); len(taken) > len(before) || len(taken) == len(before) && taken > before {
			break // somebody else has it
		}
	}
	thermocouple = startPlay(t, path, "--serial", s.link, "--speed", "200", "--rows", fmt.Sprintf("%d:%d", half+1, rows))
	wait(t, "the thermocouple's new link", func() bool { _, err := os.Readlink(s.link); return err == nil })
	if after, _ := os.Readlink(s.link); after == before {
		t.Fatalf("the thermocouple came back under %s again", after)
	}
	thermocouple.played()
	telemetry.played()
	run.says("msg=silent source=telemetry", 1)
	db.holds(len(want), "")
	run.says("msg=disconnected source=thermocouple", 2)
	wait(t, "InfluxDB has the last events", func() bool {
		there := eventsOf(db)
		return there["telemetry silent"] > 0 && there["thermocouple disconnected"] > 1
	})
	if code := run.end(syscall.SIGTERM); code != 0 {
		t.Errorf("run ends with code %d", code)
	}
	compare(want, db.found()).complete(t)

	events := eventsOf(db)
	t.Logf("events: %v", events)
	for event, n := range map[string]int{
		"telemetry connected": 2, "telemetry disconnected": 1,
		"thermocouple connected": 2, "thermocouple disconnected": 2,
	} {
		if events[event] != n {
			t.Errorf("%d × %s, want %d", events[event], event, n)
		}
	}
	connects := map[string]int64{}
	db.query("health", `|> filter(fn: (r) => r._field == "connects")`, func(row map[string]any) {
		n, _ := row["_value"].(int64)
		connects[text(row["source"])] = max(connects[text(row["source"])], n)
	})
	t.Logf("connects counted: %v", connects)
	if connects["telemetry"] != 2 || connects["thermocouple"] != 2 {
		t.Errorf("connects counted: %v, want 2 each", connects)
	}
}
