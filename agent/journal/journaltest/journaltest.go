// Package journaltest fills journals for tests. What is no test may not import it.
package journaltest

import (
	"time"

	"stirwatch/agent/journal"
	"stirwatch/sensors"
)

// Dawn is when the first run of a test begins.
var Dawn = time.Date(2026, 7, 1, 6, 0, 0, 0, time.UTC)

// AckFunc is a [sensors.Acker].
type AckFunc func()

// Ack implements [sensors.Acker].
func (f AckFunc) Ack() { f() }

// Keep appends samples and returns when they are on disk.
func Keep(j *journal.Journal, samples []sensors.Sample) {
	done := make(chan struct{})
	j.AppendSamples(samples, AckFunc(func() { close(done) }))
	<-done
}
