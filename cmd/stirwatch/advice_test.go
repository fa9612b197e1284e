package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/agent/record"
	"stirwatch/sensors"
)

// What would have been advised on recorded builds, by a model of another recording: it comes and goes seldom, calls a
// spindle that sits at its limit while the temperature is out of reach, and says nothing that its own interval does not support.
// The page that shows it has all of it. STIRWATCH_ADVICE learns from the second recording too, for the first.
func TestAdviceOnRecordings(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program and learns a model")
	}
	t.Parallel()
	for _, name := range []string{watched, plunged} {
		advised(t, name, learnedOnce(t))
	}
	if os.Getenv("STIRWATCH_ADVICE") != "" {
		m := filepath.Join(t.TempDir(), "other.json")
		if out, err := plain(t, "learn", recording(t, watched), "-o", m).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		advised(t, learned, m)
	}
}

// buildRow is one row of a recorded build.
type buildRow struct {
	at                                 int64
	temperature, setPoint, speed, feed float64
}

func rowsOf(t *testing.T, name string) (all []buildRow) {
	log := readLog(t, name)
	column := map[sensors.Role]int{}
	for i := range log.Columns {
		column[log.Columns[i].Role] = i
	}
	for row, at := range log.Time {
		v := func(role sensors.Role) float64 { return log.Value[column[role]][row] }
		all = append(all, buildRow{at, v(sensors.ToolTemperature), v(sensors.SetPoint), math.Abs(v(sensors.SpindleSpeed)), v(sensors.FeedVelocity)})
	}
	return all
}

// goesOff reports whether the temperature is 10 K or further from its set-point at an instant, or comes there within a minute. Who
// switches off before that leaves it open.
func goesOff(rows []buildRow, at int64) bool {
	for _, m := range rows {
		switch {
		case m.at < at-2e9:
		case m.at > at+60e9:
			return false
		case math.Abs(m.setPoint-m.temperature) >= 10 || m.setPoint == 0:
			return true
		}
	}
	return true
}

func advised(t *testing.T, name, model string) {
	s := newLogSite(t, recording(t, name), model)
	page := filepath.Join(t.TempDir(), "advice.html")
	plainly(t, "replay", "-c", s.conf, "--into", s.journal, "--advice", page, recording(t, name))
	rows := rowsOf(t, name)
	var all []record.Recommendation
	kinds, times := map[string]int{}, 0
	records(t, s.journal, func(a *record.Recommendation) {
		if len(all) == 0 || all[len(all)-1].Kind != a.Kind {
			times++
			kinds[a.Kind]++
			t.Logf("%s: after %.0f s: %s", name, float64(a.Time-rows[0].at)/1e9, a.Reason)
		}
		all = append(all, *a)
	})
	if times > 25 {
		t.Errorf("%s: the kind of advice changed %d times: %v", name, times, kinds)
	}
	html, err := os.ReadFile(page)
	if err != nil || bytes.Contains(html, []byte("://")) && !bytes.Contains(html, []byte("http://www.w3.org/2000/svg")) {
		t.Errorf("%s: %v, or the page needs something from elsewhere", name, err)
	}
	for _, word := range []string{"<svg", "advised set-point", "spindle speed"} {
		if !bytes.Contains(html, []byte(word)) {
			t.Errorf("%s: the page has no %s", name, word)
		}
	}
	for _, a := range all {
		if !bytes.Contains(html, []byte(`<td class="kind">`+strings.Replace(a.Kind, "none", "no advice", 1)+"</td>")) {
			t.Errorf("%s: %s is not on the page", name, a.Kind)
			break
		}
	}
	for i, a := range all {
		if called := a.Kind == "unreachable" && (i == 0 || all[i-1].Kind != a.Kind); called && !goesOff(rows, a.Time) {
			t.Errorf("%s: after %.0f s: %s; it never was 10 K off", name, float64(a.Time-rows[0].at)/1e9, a.Reason)
		}
		if given := a.Kind != "none" && !math.IsNaN(a.Without); given && !(a.WithoutLower < a.Without && a.Without < a.WithoutUpper && a.WithLower < a.With && a.With < a.WithUpper) {
			t.Errorf("%s: %s; its intervals are %g to %g and %g to %g", name, a.Reason, a.WithoutLower, a.WithoutUpper, a.WithLower, a.WithUpper)
		}
		if a.Kind == "change" && (math.IsNaN(a.With) || a.SetPoint < 300 || a.SetPoint > 480) {
			t.Errorf("%s: %s; expected with it %g °C", name, a.Reason, a.With)
		}
	}
	const long = 30e9 // ns; a start that is slow at its end comes that near
	for i := 0; i < len(rows); i++ {
		from := i
		for i < len(rows) && rows[i].speed >= 445 && rows[i].feed > 1 && rows[i].temperature > 400 && rows[i].setPoint-rows[i].temperature > 10 {
			i++
		}
		if i == from || rows[i-1].at-rows[from].at < long {
			continue
		}
		called := int64(math.MaxInt64)
		for _, a := range all {
			if a.Kind == "unreachable" && a.Time >= rows[from].at-60e9 {
				called = min(called, a.Time)
			}
		}
		t.Logf("%s: out of reach from %.0f s to %.0f s, called after %.0f s", name, float64(rows[from].at-rows[0].at)/1e9, float64(rows[i-1].at-rows[0].at)/1e9, float64(called-rows[0].at)/1e9)
		if called > rows[from].at {
			t.Errorf("%s: what is out of reach for %.0f s is not called before it is 10 K off", name, float64(rows[i-1].at-rows[from].at)/1e9)
		}
	}
}
