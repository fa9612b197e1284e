package influx

import (
	"context"
	"fmt"
	"strings"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"

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
	defer u.client.Close()
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
	o := influxdb2.DefaultOptions().SetLogLevel(0).SetApplicationName("stirwatch")
	o.HTTPOptions().SetHTTPDoer(u.doer.client)
	client := influxdb2.NewClientWithOptions(u.opts.URL, u.opts.Token, o)
	defer client.Close()
	rows, err := client.QueryAPI(u.opts.Org).Query(ctx, flux)
	if err != nil {
		return nil, fmt.Errorf("%s", strings.TrimSpace(err.Error()))
	}
	defer rows.Close()
	there = map[string]bool{}
	for rows.Next() {
		there[rows.Record().Measurement()] = true
	}
	return there, rows.Err()
}
