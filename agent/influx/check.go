package influx

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stirwatch/agent/record"
)

// Finding is what came of trying one measurement.
type Finding struct {
	Measurement record.Measurement
	Err         error // the server does not take it
	Back        bool  // it was read back
}

// checkMachine is the machine of the rows that are tried, so that they are not taken for a machine's.
const checkMachine = "stirwatch doctor"

// Check writes one row of each type, with all that it can hold, and reads it back. It ends early with an error
// where the server takes nothing at all. unread says why nothing could be read back; that takes a
// token that may read, and on InfluxDB 1.8 Flux, and is no fault.
func Check(ctx context.Context, opts Options) (all []Finding, unread, err error) {
	u, err := New(opts, nil)
	if err != nil {
		return nil, nil, err
	}
	defer u.doer.client.CloseIdleConnections()
	at := time.Now()
	for _, x := range record.Examples(checkMachine, at.UnixNano()) {
		body, err := compress(x.Lines)
		if err != nil {
			return all, nil, err
		}
		f := Finding{Measurement: x.Measurement, Err: u.post(ctx, body)}
		if f.Err != nil && verdictOf(f.Err) != refused {
			return all, nil, f.Err
		}
		all = append(all, f)
	}
	back, unread := u.readBack(ctx, at)
	for i := range all {
		all[i].Back = back[string(all[i].Measurement)]
	}
	return all, unread, nil
}

// readBack tells which measurements have rows of the check at an instant.
func (u *Uploader) readBack(ctx context.Context, at time.Time) (there map[string]bool, err error) {
	flux := fmt.Sprintf(`from(bucket: %q) |> range(start: %s, stop: %s) |> filter(fn: (r) => r.machine == %q) |> keep(columns: ["_measurement", "_time"]) |> group(columns: ["_measurement"]) |> first(column: "_time")`,
		u.opts.Bucket, at.Add(-time.Millisecond).UTC().Format(time.RFC3339Nano), at.Add(time.Second).UTC().Format(time.RFC3339Nano), checkMachine)
	rows, err := u.query(ctx, flux)
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimSpace(err.Error()))
	}
	there = map[string]bool{}
	for _, r := range rows {
		there[r["_measurement"]] = true
	}
	return there, nil
}

// maxRows bounds what the answer to a query may make us read, in bytes.
const maxRows = 1 << 20

// query asks in Flux and gives the rows by the names of their columns, as text.
func (u *Uploader) query(ctx context.Context, flux string) (rows []map[string]string, err error) {
	service := newService(&u.opts, u.doer.client)
	asked := func(req *http.Request) {
		req.Header.Set("Content-Type", "application/vnd.flux")
		req.Header.Set("Accept", "application/csv")
		req.Header.Set("User-Agent", userAgent)
	}
	read := func(r *http.Response) error {
		defer r.Body.Close()
		rows, err = readRows(io.LimitReader(r.Body, maxRows))
		return err
	}
	address := service.ServerAPIURL() + "query?" + url.Values{"org": {u.opts.Org}}.Encode()
	if failed := service.DoPostRequest(ctx, address, strings.NewReader(flux), asked, read); failed != nil {
		return nil, failed
	}
	return rows, nil
}

// readRows reads the CSV in which InfluxDB answers a query: tables, each with its header, parted by
// empty lines. An error while the query ran is a table too, with the column error.
func readRows(r io.Reader) (rows []map[string]string, err error) {
	lines := bufio.NewScanner(r)
	var header []string
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "":
			header = nil
			continue
		case line[0] == '#':
			continue
		}
		cells, err := csv.NewReader(strings.NewReader(line)).Read()
		if err != nil {
			return rows, fmt.Errorf("the answer is no CSV: %w", err)
		}
		if header == nil {
			header = cells
			continue
		}
		row := map[string]string{}
		for i, name := range header[:min(len(header), len(cells))] {
			row[name] = cells[i]
		}
		if why := row["error"]; why != "" {
			return rows, errors.New(why)
		}
		rows = append(rows, row)
	}
	return rows, lines.Err()
}
