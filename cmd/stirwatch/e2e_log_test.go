package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/record"
)

// A log that is followed is in the journal once, whatever ends the agent and however it is ended, and what is written
// while no agent runs is in it too.
func TestALogIsRecordedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	if err := os.Mkdir(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	conf, db := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "journal.db")
	write(t, conf, `machine: once
channels:
  tool_temperature: {is: tool temperature, unit: °C}
  spindle_speed: {is: spindle speed, unit: rpm}
sources:
  controller:
    log:
      path: `+logs+`/*.csv
      clock: device
      time: {key: time}
      fields: {tool_temperature: {key: T}, spindle_speed: {key: n}}
journal: {path: `+db+`}
`)
	const header = "time,T,n\n"
	row, file := 0, filepath.Join(logs, "a.csv")
	begin := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	more := func(n int) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "%s,%d,%d\n", begin.Add(time.Duration(row)*time.Second).Format(time.RFC3339), row, 100+row)
			row++
		}
		if _, err := f.WriteString(b.String()); err != nil {
			t.Fatal(err)
		}
	}
	recorded := func() (times map[string]int, lines int) {
		times = map[string]int{}
		records(t, db, func(s *record.Sample) {
			times[fmt.Sprint(s.Channel, " ", s.Time)]++
			lines++
		})
		return times, lines
	}
	all := func() bool { _, lines := recorded(); return lines >= 2*row }
	bin := program(t)
	write(t, file, header)
	for life, end := range []os.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM} {
		more(50) // while nobody runs
		if life == 3 {
			file = filepath.Join(logs, "b.csv") // a new file, of which nobody saw the beginning
			write(t, file, header)
			more(20)
		}
		p := start(t, fmt.Sprint("life ", life), bin, "run", "-c", conf)
		p.says("connected", 1)
		wait(t, "what was written meanwhile", all)
		more(30)
		if life != 2 { // killed while rows are on their way
			wait(t, "new rows", all)
		}
		p.end(end)
	}
	p := start(t, "last", bin, "run", "-c", conf)
	p.says("connected", 1)
	wait(t, "all rows", all)
	p.end(syscall.SIGTERM)
	times, lines := recorded()
	for at, n := range times {
		if n != 1 {
			t.Errorf("%s is recorded %d times", at, n)
		}
	}
	if lines != 2*row || len(times) != 2*row {
		t.Errorf("%d samples of %d instants, want %d of each", lines, len(times), 2*row)
	}
}
