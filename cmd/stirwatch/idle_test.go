package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// BenchmarkIdle measures what an idle agent has in memory: the program as it ships, with the shipped configuration and its
// one source, a finished build's log, for the time that STIRWATCH_IDLE says (5m; 90s without it). Reported are the most
// after the first minute, and of that what is its own and what are pages of its file.
//
// Budget: 20 MB.
func BenchmarkIdle(b *testing.B) {
	long, err := time.ParseDuration(os.Getenv("STIRWATCH_IDLE"))
	if err != nil {
		long = 90 * time.Second
	}
	dir := b.TempDir()
	bin := filepath.Join(dir, "stirwatch")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"config", "init", "agent.yaml"}, {"twin", "--log-dir", "stirwatch-data/logs", "--speed", "0"}} {
		c := exec.Command(bin, args...)
		c.Dir = dir
		succeeds(b, c)
	}
	for b.Loop() {
		p := &process{t: b, name: "agent", cmd: exec.Command(bin, "run")}
		p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, p, p
		p.run()
		p.says("effective configuration", 1)
		var most resident
		for begin := time.Now(); time.Since(begin) < long; time.Sleep(time.Second) {
			if m := residentOf(b, p.cmd.Process.Pid); time.Since(begin) > time.Minute && m.all > most.all {
				most = m
			}
		}
		p.end(syscall.SIGTERM)
		b.ReportMetric(float64(most.all)*1024/1e6, "MB")
		b.ReportMetric(float64(most.own)*1024/1e6, "MB-own")
		b.ReportMetric(float64(most.all-most.own)*1024/1e6, "MB-file")
	}
	b.ReportMetric(0, "ns/op") // says nothing
}

// resident is what a process has in memory, kB of 1024.
type resident struct{ all, own int }

func residentOf(t testing.TB, pid int) (m resident) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)) // status is a guess of the kernel's
	if err != nil {
		t.Skip(err)
	}
	of := func(name string) int {
		found := regexp.MustCompile(`(?m)^` + name + `:\s*(\d+) kB`).FindSubmatch(text)
		if found == nil {
			t.Fatalf("no %s in %s", name, text)
		}
		n, err := strconv.Atoi(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return resident{of("Rss"), of("Anonymous")}
}
