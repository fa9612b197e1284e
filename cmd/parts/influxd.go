package parts

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
)

// Influxd is a real InfluxDB 1.8 with Flux.
type Influxd struct {
	*Process
	URL  string // http://host:port
	http *http.Client
}

// StartInfluxd runs an InfluxDB with the databases given.
func StartInfluxd(t testing.TB, databases ...string) *Influxd {
	t.Helper()
	if testing.Short() {
		t.Skip("an InfluxDB takes seconds to start")
	}
	bin := find(t, "influxd", "INFLUXD", "set INFLUXD to one of version 1.8, or let `make test` install it")
	dir, addr := t.TempDir(), address(t)
	d := &Influxd{URL: "http://" + addr, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}}
	conf := write(t, filepath.Join(dir, "influxdb.conf"), `reporting-disabled = true
bind-address = %q
[meta]
dir = "%[3]s/meta"
[data]
dir = "%[3]s/data"
wal-dir = "%[3]s/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = %[2]q
flux-enabled = true
log-enabled = false
[logging]
level = "error"
`, address(t), addr, dir)
	d.Process = newProcess(t, "influxd", func() bool {
		resp, err := d.http.Get(d.URL + "/ping")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusNoContent
	}, bin, "-config", conf)
	d.Start()
	for _, name := range databases {
		d.Create(name)
	}
	return d
}

// Create makes a database, and returns when it takes points: a server under load says that it is made before it is.
func (d *Influxd) Create(database string) {
	d.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		d.post("/query?q="+url.QueryEscape("CREATE DATABASE "+database), "", http.StatusOK)
		resp, err := d.http.Post(d.URL+"/write?db="+database, "text/plain", strings.NewReader(""))
		if err != nil {
			d.t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("influxd: the database %s is not there", database)
		}
	}
}

// Write stores line protocol, as another program would.
func (d *Influxd) Write(database, lines string) {
	d.t.Helper()
	d.post("/write?db="+database, lines, http.StatusNoContent)
}

func (d *Influxd) post(path, body string, want int) {
	d.t.Helper()
	resp, err := d.http.Post(d.URL+path, "text/plain", strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != want {
		text, _ := io.ReadAll(resp.Body)
		d.t.Fatalf("influxd: POST %s: %s: %s", path, resp.Status, text)
	}
}

// Query runs Flux, calls each (which may be nil) with every row, and gives their number.
func (d *Influxd) Query(flux string, each func(row map[string]any)) (rows int, err error) {
	client := influxdb2.NewClientWithOptions(d.URL, "", influxdb2.DefaultOptions().SetHTTPRequestTimeout(60))
	defer client.Close()
	result, err := client.QueryAPI("").Query(context.Background(), flux)
	if err != nil {
		return 0, err
	}
	defer result.Close()
	for result.Next() {
		rows++
		if each != nil {
			each(result.Record().Values())
		}
	}
	return rows, result.Err()
}

// Keys gives the tags of a measurement and the type of each field: float, integer, boolean or string.
func (d *Influxd) Keys(database, measurement string) (tags []string, fields map[string]string) {
	d.t.Helper()
	fields = map[string]string{}
	for _, row := range d.show(database, "TAG KEYS", measurement) {
		tags = append(tags, row[0])
	}
	for _, row := range d.show(database, "FIELD KEYS", measurement) {
		fields[row[0]] = row[1]
	}
	return tags, fields
}

// show runs an InfluxQL statement about one measurement.
func (d *Influxd) show(database, what, measurement string) [][]string {
	d.t.Helper()
	q := url.Values{"db": {database}, "q": {"SHOW " + what + ` FROM "` + measurement + `"`}}
	resp, err := d.http.Get(d.URL + "/query?" + q.Encode())
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Results []struct {
			Error  string
			Series []struct{ Values [][]string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Results) != 1 || answer.Results[0].Error != "" {
		d.t.Fatalf("influxd: SHOW %s: %v, %+v", what, err, answer)
	}
	if len(answer.Results[0].Series) == 0 {
		return nil
	}
	return answer.Results[0].Series[0].Values
}
