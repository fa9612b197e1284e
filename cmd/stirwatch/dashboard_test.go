package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/record"
)

// asked is a query that people are given, and where it stands.
type asked struct{ where, flux string }

// dashboardQueries are the queries of the variables and panels of the Grafana dashboard, with what Grafana
// puts in: the defaults of the variables, or what is given.
func dashboardQueries(t *testing.T, given map[string]string) (all []asked) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "grafana", "stirwatch.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
				Current    struct{ Value any }
			}
		}
		Panels []struct {
			Title   string
			Repeat  string
			Targets []struct{ Query string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	value := map[string]string{"v.timeRangeStart": "-1h", "v.timeRangeStop": "1h", "v.windowPeriod": "1s"}
	for _, v := range dashboard.Templating.List {
		if s, ok := v.Current.Value.(string); ok {
			value["${"+v.Name+"}"] = s
		}
	}
	for name, v := range given {
		value["${"+name+"}"] = v
	}
	add := func(where, query string) {
		all = append(all, asked{where, regexp.MustCompile(`\$\{\w+\}|\bv\.\w+`).ReplaceAllStringFunc(query, func(name string) string {
			if value[name] == "" {
				t.Errorf("%s: %s has no value", where, name)
			}
			return value[name]
		})})
	}
	for _, v := range dashboard.Templating.List {
		if v.Type == "query" {
			add("variable "+v.Name, v.Query.(map[string]any)["query"].(string))
		}
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			add("panel "+p.Title, target.Query)
		}
	}
	return all
}

// manualQueries are the queries of the manual, which also reach an hour ahead: the machine of the test runs faster than the clock.
func manualQueries(t *testing.T, bucket string) (all []asked) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "influxdb.md"))
	if err != nil {
		t.Fatal(err)
	}
	reach := regexp.MustCompile(`range\(start: -\w+\)`)
	for _, b := range regexp.MustCompile("(?s)\n([^\n]*)\n\n```flux\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		flux := strings.ReplaceAll(b[2], "stirwatch/autogen", bucket)
		all = append(all, asked{"manual, " + b[1], reach.ReplaceAllString(flux, "range(start: -1h, stop: 1h)")})
	}
	return all
}

// TestEveryQueryFindsRows runs every query of the dashboard and of the manual on what an agent has written
// about a simulated machine into InfluxDB 1.8. What they name must be there.
func TestEveryQueryFindsRows(t *testing.T) {
	t.Parallel()
	all := append(dashboardQueries(t, map[string]string{"bucket": "e2e/autogen", "machine": "demo", "channel": "spindle_speed"}),
		manualQueries(t, "e2e/autogen")...)
	if len(all) < 40 {
		t.Fatalf("%d queries found", len(all))
	}
	for _, q := range all {
		knownFields(t, q)
	}

	broker, db, dir := startMosquitto(t), startInfluxd(t), t.TempDir()
	conf := strings.NewReplacer("@DIR", dir, "@BROKER", strings.TrimPrefix(broker.URL, "tcp://"), "{path: journal.db}", "{path: journal.db, health: 1 s}").Replace(contents(t, "../demo/agent.yaml"))
	s := &site{t: t, conf: filepath.Join(dir, "agent.yaml"), journal: filepath.Join(dir, "journal.db")}
	write(t, s.conf, conf+"influxdb: {url: "+db.URL+", org: any, bucket: e2e/autogen, flush: 200 ms}\n")
	write(t, filepath.Join(dir, "model.json"), contents(t, demoModel))
	run := s.run() // once before, so that the agent finds that it was away
	run.says("msg=connected source=telemetry", 1)
	run.end(syscall.SIGTERM)
	s.run()
	start(t, "twin", program(t), "twin", "--serial", filepath.Join(dir, "thermocouple"), "--mqtt", broker.URL, "--seed", "7",
		"--fault", "open@40s+20s:1", "--speed", "10", "--hold")

	end := time.Now().Add(2 * patience)
	for len(all) > 0 {
		all = slices.DeleteFunc(all, func(q asked) bool {
			rows, err := db.Query(q.flux, nil)
			if err != nil {
				t.Fatalf("%s: %v\n%s", q.where, err, q.flux)
			}
			return rows > 0
		})
		if time.Now().After(end) {
			for _, q := range all {
				t.Errorf("%s finds nothing:\n%s", q.where, q.flux)
			}
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}

var names = regexp.MustCompile(`_measurement == "(\w+)"|_field == "([^"]+)"|\br\.([a-z]\w*)`)

// knownFields checks what a query names against the definition of the record.
func knownFields(t *testing.T, q asked) {
	t.Helper()
	filter := regexp.MustCompile(`filter\(fn: \(r\) => [^\n]*_measurement[^\n]*`).FindAllString(q.flux, -1)
	for _, f := range filter {
		there := map[string]bool{"machine": true}
		found := names.FindAllStringSubmatch(f, -1)
		for _, n := range found {
			if m := record.Measurement(n[1]); n[1] != "" {
				tags, fields := record.Columns(m)
				if fields == nil {
					t.Errorf("%s: there is no measurement %s", q.where, m)
				}
				for _, c := range slices.Concat(tags, fields) {
					there[c.Name] = true
				}
			}
		}
		for _, n := range found {
			if name := n[2] + n[3]; name != "" && !there[name] {
				t.Errorf("%s: %s is none of %v", q.where, name, slices.Sorted(maps.Keys(there)))
			}
		}
	}
}
