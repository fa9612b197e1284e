package journal

import (
	"bytes"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"stirwatch/agent/record"
	"stirwatch/sensors"
)

// One sample of one message. Budget: 250 ns, 0 allocations.
func BenchmarkAppendSamples(b *testing.B) {
	j := testOpen(b, filepath.Join(b.TempDir(), "j.db"), Options{Hold: -1})
	s := []sensors.Sample{good(1751971390123456789, 421.3579)}
	ack := sensors.Acker(ackFunc(func() {}))
	b.ReportAllocs()
	for b.Loop() {
		s[0].Time += 1e6
		s[0].Value += 0.25
		j.AppendSamples(s, ack)
	}
}

// One batch of 500 samples, from append to acknowledgement. Budget: 2 ms on an ordinary disk.
func BenchmarkCommit(b *testing.B) {
	j := testOpen(b, filepath.Join(b.TempDir(), "j.db"), Options{Commit: time.Microsecond})
	s := make([]sensors.Sample, 500)
	done := make(chan struct{}, 1)
	stamp := int64(1751971390123456789)
	for b.Loop() {
		for i := range s {
			stamp += 1e6
			s[i] = good(stamp, 421.3579+float64(stamp%1000)/8)
		}
		j.AppendSamples(s, ackFunc(func() { done <- struct{}{} }))
		<-done
	}
}

// A body of 50 batches of 100 lines. Budget: 50 µs, 0 allocations: nothing is compressed again.
func BenchmarkJoin(b *testing.B) {
	var d deflater
	raw := bytes.Repeat([]byte("samples,channel=tool,machine=m,unit=°C value=421.25 1751971390123456789\n"), 100)
	batches := make([]Batch, 50)
	for i := range batches {
		batches[i] = Batch{Raw: len(raw), CRC: 0x12345678, Deflate: bytes.Clone(d.run(raw))}
	}
	var body []byte
	b.ReportAllocs()
	for b.Loop() {
		body = AppendGzip(body[:0], batches...)
	}
}

// Reading back one million samples; budget: 1 s.
func BenchmarkReadBack(b *testing.B) {
	j := testOpen(b, filepath.Join(b.TempDir(), "j.db"), Options{Hold: -1})
	s := make([]sensors.Sample, 1000)
	var acked atomic.Int64
	for i := range 1000 {
		for k := range s {
			s[k] = good(int64(i*1000+k), 421+float64(k)/8)
		}
		j.AppendSamples(s, ackFunc(func() { acked.Add(1) }))
	}
	eventually(b, "stored", func() bool { return acked.Load() == 1000 })
	for b.Loop() {
		n := 0
		if err := Rows(b.Context(), j.Reader, Query{}, func(*record.Sample) error { n++; return nil }); err != nil || n != 1e6 {
			b.Fatal(n, err)
		}
	}
}

// A sender that stops at 20 unacknowledged messages, as a stock MQTT broker makes it.
// Budget: more than 2000 samples/s.
func BenchmarkWindow20(b *testing.B) {
	j := testOpen(b, filepath.Join(b.TempDir(), "j.db"), Options{})
	window := make(chan struct{}, 20)
	s := []sensors.Sample{good(1, 421.5)}
	for b.Loop() {
		window <- struct{}{}
		s[0].Time++
		j.AppendSamples(s, ackFunc(func() { <-window }))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(float64(j.Stats().Commits)/b.Elapsed().Seconds(), "commits/s")
}

// A sender that waits for each acknowledgement. Budget: more than 100 samples/s.
func BenchmarkWindow1(b *testing.B) {
	j := testOpen(b, filepath.Join(b.TempDir(), "j.db"), Options{})
	window := make(chan struct{}, 1)
	s := []sensors.Sample{good(1, 421.5)}
	for b.Loop() {
		window <- struct{}{}
		s[0].Time++
		j.AppendSamples(s, ackFunc(func() { <-window }))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "samples/s")
}
