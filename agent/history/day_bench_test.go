package history

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// Spans of a day of 32 channels as a page asks for them, in 600 parts, from a journal that has just been opened. The
// day is written first, a commit each second, which takes minutes: STIRWATCH_DAY names the samples a second of each channel, 1 or 10.
// Budget: 1 s each.
func BenchmarkDay(b *testing.B) {
	rate, err := strconv.Atoi(os.Getenv("STIRWATCH_DAY"))
	if err != nil || rate < 1 {
		b.Skip("STIRWATCH_DAY is not set")
	}
	var channels []sensors.Channel
	var names []string
	for i := range 32 {
		names = append(names, fmt.Sprintf("channel_%d", i))
		channels = append(channels, sensors.Channel{Name: names[i], Unit: unit.MustParse("°C"), Min: -100, Max: 1000})
	}
	reg, err := sensors.NewRegistry(channels)
	if err != nil {
		b.Fatal(err)
	}
	path := b.TempDir() + "/journal.db"
	j, err := journal.Open(path, journal.Options{Machine: "m", Registry: reg, Archive: true})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	begin := journaltest.Dawn.UnixNano()
	const day = 24 * time.Hour
	var all []sensors.Sample
	for s := range int(day / time.Second) {
		all = all[:0]
		for k := range rate {
			at := begin + int64(s)*1e9 + int64(k)*1e9/int64(rate)
			for i := range channels {
				v := 400 + float64((s*rate+k)*7919*(i+1)%10007)/100
				all = append(all, sensors.Sample{Time: at + int64(i), Arrival: at, Value: v, Channel: sensors.ChannelID(i), Status: sensors.OK})
			}
		}
		journaltest.Keep(j, all)
	}
	began := time.Now()
	if err := j.Summarise(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Logf("summed up in %v", time.Since(began))
	if f, err := os.Stat(path); err == nil {
		b.Logf("%d MB", f.Size()>>20)
	}
	end := begin + int64(day)
	for _, span := range []time.Duration{day, 12 * time.Hour, 2 * time.Hour, 45 * time.Minute, 15 * time.Minute, time.Minute} {
		for _, back := range []time.Duration{0, 12*time.Hour + 1234567*time.Microsecond} {
			to := end - int64(back)
			if to-int64(span) < begin {
				continue
			}
			b.Run(fmt.Sprintf("span=%v/ended=%v", span, back.Round(time.Hour)), func(b *testing.B) {
				from := user()
				for b.Loop() {
					r, err := journal.OpenReader(path)
					if err != nil {
						b.Fatal(err)
					}
					h := &History{Reader: r, Registry: reg}
					got, err := h.Reduce(b.Context(), names, to-int64(span), to, 600)
					if err != nil || len(got) != 32 || len(got[31].Time) < 300 && span > time.Minute {
						b.Fatal(len(got), err)
					}
					r.Close()
				}
				b.ReportMetric(float64((user()-from).Milliseconds())/float64(b.N), "user-ms/op")
			})
		}
	}
}

// user is the processor time of this process, without that of the system.
func user() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano())
}
