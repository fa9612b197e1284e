package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"

	"stirwatch/agent/record"
)

// TestComposeForecastsAtFirstLogin runs agent and twin as compose.yaml has them, on a broker of the test instead of the
// container's: forecast and advice must come.
func TestComposeForecastsAtFirstLogin(t *testing.T) {
	if testing.Short() {
		t.Skip("plays in real time")
	}
	t.Parallel()
	folder := filepath.Join("..", "..", "deploy", "compose")
	var compose struct {
		Services map[string]struct {
			Command []string
			Volumes []string
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, "compose.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &compose)
	}
	if err != nil {
		t.Fatal(err)
	}
	model := ""
	for _, v := range compose.Services["agent"].Volumes {
		if from, ok := strings.CutSuffix(v, ":/etc/stirwatch/model.json:ro"); ok {
			model, _ = filepath.Abs(filepath.Join(folder, from))
		}
	}
	conf, err := os.ReadFile(filepath.Join(folder, "agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	broker, dir := startMosquitto(t), t.TempDir()
	journal := filepath.Join(dir, "journal.db")
	own, _, _ := strings.Cut(string(conf), "influxdb:")
	s := &site{t: t, conf: filepath.Join(dir, "agent.yaml"), journal: journal}
	write(t, s.conf, strings.NewReplacer("tcp://broker:1883", broker.URL, "/etc/stirwatch/model.json", model, "/var/lib/stirwatch/journal.db", journal).Replace(own))
	run := s.run()
	twin := slices.Clone(compose.Services["twin"].Command)
	for i := range twin {
		twin[i] = strings.Replace(twin[i], "tcp://broker:1883", broker.URL, 1)
	}
	start(t, "twin", program(t), twin...)
	wait(t, "forecasts and advice", func() bool {
		forecasts, advice := 0, 0
		records(t, journal, func(r *record.Forecast) { forecasts++ })
		records(t, journal, func(r *record.Recommendation) { advice++ })
		return forecasts > 0 && advice > 0
	})
	if code := run.end(syscall.SIGTERM); code != 0 {
		t.Errorf("run ends with code %d", code)
	}
}
