package agent

import (
	"context"
	"time"

	"stirwatch/sensors"
)

// Row is what a recorded run says at one instant; samples carry that instant as their time.
type Row struct {
	Time    int64 // ns since the Unix epoch
	Samples []sensors.Sample
}

// Replay puts a recorded run through the whole agent: the same intake, tick and record as Run,
// on the recording's own time. next gives rows in order of time until it is false; the row may be
// reused. speed 1 is real time, 0 as fast as the machine can. Sources and Tick's clock of the
// Options are not used. It returns the number of ticks made.
func (a *Agent) Replay(ctx context.Context, next func() (Row, bool), speed float64) (ticks uint64, err error) {
	defer a.finish()
	var due int64 // the next tick
	began := time.Now()
	var origin int64
	for {
		row, ok := next()
		if !ok {
			return a.frame.Tick, nil
		}
		if due == 0 {
			due, origin = row.Time, row.Time
		}
		for ; due < row.Time; due += int64(a.opt.Tick) {
			a.tick(due)
		}
		if speed > 0 {
			ahead := time.Duration(float64(row.Time-origin)/speed) - time.Since(began)
			select {
			case <-time.After(ahead):
			case <-ctx.Done():
			}
		}
		if err := ctx.Err(); err != nil {
			return a.frame.Tick, err
		}
		a.Emit(row.Samples, nil)
		a.catchUp() // in a replay no housekeeper runs beside the tick
	}
}
