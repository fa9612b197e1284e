package dashboard

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/journal"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// An agent of 32 channels at 10 Hz with so many pages open over real connections, for a hundred ticks a round: user and system time
// of the process in % of a core (that of whoever reads is in it, raw bytes), what a page adds in memory, frames a second of each page, and by how
// much the time between two ticks is off its 100 ms. Budget: 50 pages add less than 33 % of a core, and the tick is no more off than without them.
func BenchmarkStreams(b *testing.B) {
	var none float64
	for _, pages := range []int{0, 50} {
		b.Run("pages="+strconv.Itoa(pages), func(b *testing.B) {
			s := newStand(b, func(o *Options) { o.Agent, o.Registry = agentOf32(b, o) })
			at := s.serve()
			before := resident()
			frames := watch(b, at, pages)
			s.drive(20) // the pages are open, and the first frames have come
			const round = 100
			var off []float64
			from, began, seen := cpu(), time.Now(), frames.Load()
			for b.Loop() {
				off = append(off, s.drive(round)...)
			}
			used, took := cpu()-from, time.Since(began)
			load := 100 * used.Seconds() / took.Seconds()
			b.ReportMetric(load, "%core")
			if pages == 0 {
				none = load
			} else {
				b.ReportMetric((load-none)/float64(pages), "%core/page")
				b.ReportMetric((resident()-before)/1024/float64(pages), "kB/page")
				b.ReportMetric(float64(frames.Load()-seen)/float64(pages)/took.Seconds(), "frames/s")
			}
			slices.Sort(off)
			b.ReportMetric(off[len(off)/2], "off-p50-µs")
			b.ReportMetric(off[len(off)*99/100], "off-p99-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// agentOf32 is an agent as that of o, with more channels.
func agentOf32(b *testing.B, o *Options) (*agent.Agent, *sensors.Registry) {
	channels := slices.Clone(cell)
	for len(channels) < 32 {
		channels = append(channels, sensors.Channel{Name: "extra_" + strconv.Itoa(len(channels)), Unit: unit.MustParse("N"), Min: -1e9, Max: 1e9, MaxAge: time.Hour})
	}
	reg, err := sensors.NewRegistry(channels)
	if err != nil {
		b.Fatal(err)
	}
	j, err := journal.Open(filepath.Join(b.TempDir(), "journal.db"), journal.Options{Machine: "cell-1", Registry: reg, Archive: true})
	if err != nil {
		b.Fatal(err)
	}
	m, _ := o.Models.Current()
	a, err := agent.New(agent.Options{Registry: reg, Journal: j, Model: m, Log: o.Log})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done; j.Close() })
	return a, reg
}

// drive measures every channel at 10 Hz for so many ticks, and gives by how much the time from each tick's begin to the next is not 100 ms, µs.
func (s *stand) drive(ticks int) (off []float64) {
	var now agent.Snapshot
	next := time.NewTicker(20 * time.Millisecond)
	defer next.Stop()
	var tick uint64
	var at int64
	for n := 0; len(off) < ticks; n++ {
		if n%5 == 0 {
			t := time.Now().UnixNano()
			var all []sensors.Sample
			for i := range s.Registry.Len() {
				all = append(all, sensors.Sample{Time: t, Arrival: t, Value: 400 + float64(n%50), Channel: sensors.ChannelID(i), Status: sensors.OK})
			}
			s.Agent.Emit(all, nil)
		}
		<-next.C
		s.Agent.Snapshot(&now)
		if tick != 0 && now.Tick == tick+1 {
			off = append(off, math.Abs(float64(now.Time-at)-1e8)/1e3)
		}
		tick, at = now.Tick, now.Time
	}
	return off
}

// watch opens pages that read whatever comes, and counts events until the benchmark ends.
func watch(b *testing.B, at string, pages int) *atomic.Int64 {
	b.Helper()
	events := new(atomic.Int64)
	var all sync.WaitGroup
	b.Cleanup(all.Wait) // after the connections are closed
	for range pages {
		c, err := net.Dial("tcp", at)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := fmt.Fprintf(c, "GET %s/stream HTTP/1.1\r\nHost: %s\r\n\r\n", root, at); err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			text := make([]byte, 64<<10)
			for {
				n, err := c.Read(text)
				if err != nil {
					return
				}
				events.Add(int64(bytes.Count(text[:n], []byte("event: now"))))
			}
		})
		b.Cleanup(func() { c.Close() })
	}
	return events
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory in use after a collection, bytes.
func resident() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapInuse + m.StackInuse)
}
