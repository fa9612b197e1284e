package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/firmware-bridge/dialect"
	"stirwatch/firmware-bridge/twin"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

func twinRun(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, errOut bytes.Buffer
	c := twinCommand()
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&errOut)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// What the twin logs is read like a machine's own log, units found out from it included.
func TestTwinLogIsReadAsAMachineLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := twinRun(t, "--log-dir", dir, "--speed", "0", "--seed", "3", "--fault", "open@200s+20s", "--truth", filepath.Join(dir, "truth.jsonl"), "--operator", "250s M52 S120")
	if err != nil || !strings.Contains(out, "1 builds ended") {
		t.Fatalf("%s: %v", out, err)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.csv"))
	if len(logs) != 1 {
		t.Fatalf("%d logs", len(logs))
	}
	log, err := runlog.Read(logs[0], runlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if log.Format != runlog.MELD || log.Skips != 0 || log.BadCells != 0 || len(log.Ignored) != 0 || len(log.Steps) != 0 || len(log.Detected) != 1 || log.Detected[0].Units != runlog.Inch {
		t.Errorf("%s: %d skips %v, %d bad cells, ignored %v, steps %v, units %v", log.Format, log.Skips, log.Skipped, log.BadCells, log.Ignored, log.Steps, log.Detected)
	}
	column := func(r sensors.Role) []float64 {
		i, ok := log.Find(r)
		if !ok {
			t.Fatalf("no %s", r)
		}
		return log.Value[i]
	}
	temp, torque, power, rpm, over := column(sensors.ToolTemperature), column(sensors.SpindleTorque), column(sensors.SpindlePower), column(sensors.SpindleSpeed), column(sensors.FeedOverride)
	i, _ := log.Find(sensors.ToolTemperature)
	sentinels, hot, n := 0, 0, 0
	for k := range temp {
		if log.Status[i][k].Reason == sensors.Sentinel {
			sentinels++
		} else if math.Abs(temp[k]-475) < 20 {
			hot++
		}
		if rpm[k] > 300 && torque[k] > 100 {
			n++
			if ratio := power[k] / (torque[k] * rpm[k] * math.Pi / 30); math.Abs(ratio-1.02) > 0.01 {
				t.Fatalf("row %d: power is %.3f of torque times speed", k, ratio)
			}
		}
	}
	if sentinels < 19 || sentinels > 21 || hot < 200 || n < 300 || over[len(over)-1] != 120 {
		t.Errorf("%d sentinels, %d rows near 475 °C, %d with torque, override %g", sentinels, hot, n, over[len(over)-1])
	}
}

func TestTwinBatchAndCompare(t *testing.T) {
	t.Parallel()
	out, err := twinRun(t, "batch", "--builds", "4", "--seed", "9", "--material", "7075")
	if err != nil || !strings.Contains(out, "4 builds, 2 with a fault, seeds 9 to 12") || !strings.Contains(out, "build-hours an hour") {
		t.Errorf("%s: %v", out, err)
	}
	page := filepath.Join(t.TempDir(), "page.html")
	out, err = twinRun(t, "compare", recording(t, "20250708104310"), "--html", page)
	if err != nil || !strings.Contains(out, "held: standard deviation") {
		t.Errorf("%s: %v", out, err)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "<svg") {
		t.Errorf("page: %v", err)
	}
}

func TestTwinRefusesWithTheWayOut(t *testing.T) {
	for want, args := range map[string][]string{
		"give --serial":             {},
		"use one of 6061, 7075":     {"--log-dir", "x", "--material", "6062"},
		"severity":                  {"--log-dir", "x", "--fault", "jam@1s:3"},
		"write for example '300s":   {"--log-dir", "x", "--operator", "M41 S3"},
		"2025-07-08T10:43:15Z":      {"--log-dir", "x", "--begin", "noon"},
		"--builds: at least 1":      {"batch", "--builds", "0"},
		"no such file or directory": {"compare", "nowhere.csv"},
	} {
		if _, err := twinRun(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}

// controllerOf runs a twin until the test ends and returns when its controller is there; ctx bounds what
// is asked of it.
func controllerOf(t *testing.T, o twin.Options) (ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	ended := make(chan error, 1)
	go func() {
		_, err := twin.Run(ctx, o)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	wait(t, "the twin offers its controller", func() bool { _, err := os.Lstat(o.Controller); return err == nil })
	return ctx
}

// The bridge's dialect and the twin's controller understand each other.
func TestTwinAnswersTheBridge(t *testing.T) {
	t.Parallel()
	link := filepath.Join(t.TempDir(), "controller")
	program, err := twin.ParseProgram("M24 S241\nM06 S200\nG4 P100000\nM30")
	if err != nil {
		t.Fatal(err)
	}
	ctx := controllerOf(t, twin.Options{Config: twin.Config{Seed: 1, Program: program, Limit: 1e6}, Controller: link, Speed: 20})
	port, err := dialect.Serial(dialect.SerialOptions{Path: link})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dialect.NewMELD(port, map[string]dialect.MELDWord{
		"set_point": {Code: "M41", Key: "sp", Decimals: 1},
		"override":  {Code: "M52", Key: "override"},
		"spindle":   {Code: "M06", Key: "rpm", Safe: "M05"},
		"tool":      {Key: "temp"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for target, v := range map[string]float64{"set_point": 455, "override": 120} {
		if err := d.Set(ctx, target, v); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Get(ctx, target); err != nil || got != v {
			t.Errorf("%s: %g, %v, want %g", target, got, err, v)
		}
	}
	if err := d.Set(ctx, "set_point", 9000); err == nil || !strings.Contains(err.Error(), "above 700") {
		t.Errorf("a refusal reads %v", err)
	}
	for warm := 0.0; warm < 300; {
		if warm, err = d.Get(ctx, "tool"); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Safe(ctx, "spindle", 0); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Get(ctx, "set_point"); err != nil || got != 0 {
		t.Errorf("after M05: set-point %g, %v", got, err)
	}
}
