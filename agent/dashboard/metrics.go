package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"stirwatch/agent/alarm"
	"stirwatch/agent/api"
)

// counters are what the page itself has done.
type counters struct {
	requests      [6]atomic.Uint64 // by the first digit of what was answered
	loginsFailed  atomic.Uint64
	loginsRefused atomic.Uint64 // too many attempts
}

// exposition writes metrics in the text format of Prometheus, version 0.0.4.
type exposition struct{ b []byte }

// metric is one value with its labels, name and value by turns.
type metric struct {
	value  float64
	labels []string
}

func (x *exposition) family(name, kind, help string, all ...metric) {
	if len(all) == 0 {
		return
	}
	x.b = fmt.Appendf(x.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, m := range all {
		x.b = append(x.b, name...)
		for i := 0; i+1 < len(m.labels); i += 2 {
			x.b = append(x.b, "{,"[min(i, 1)])
			x.b = append(x.b, m.labels[i]+`="`+labelValue.Replace(m.labels[i+1])+`"`...)
		}
		if len(m.labels) > 0 {
			x.b = append(x.b, '}')
		}
		x.b = append(strconv.AppendFloat(append(x.b, ' '), m.value, 'g', -1, 64), '\n')
	}
}

var labelValue = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func one(v float64, labels ...string) metric { return metric{v, labels} }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// answerMetrics is GET /metrics.
func (s *Server) answerMetrics(w http.ResponseWriter, _ *http.Request) {
	v := s.Agent.View()
	var x exposition
	x.family("stirwatch_build_info", "gauge", "Always 1.", one(1, "version", s.Version, "machine", s.Machine, "model", s.modelName()))
	x.family("stirwatch_ticks_total", "counter", "Ticks of the agent.", one(float64(v.Tick)))
	x.family("stirwatch_run_active", "gauge", "1 while a run goes on.", one(truth(v.Running)))

	var values, good, ages []metric
	for i := range v.Channels {
		c := &v.Channels[i]
		good = append(good, one(truth(c.Quality == ""), "channel", c.Name))
		if c.Trusted {
			values = append(values, one(float64(c.Value), "channel", c.Name, "unit", c.Unit))
		}
		ages = append(ages, one(float64(c.Age), "channel", c.Name))
	}
	x.family("stirwatch_channel_value", "gauge", "Reading of a channel in its unit; not there while it is no measurement.", values...)
	x.family("stirwatch_channel_good", "gauge", "1 while the reading is good.", good...)
	x.family("stirwatch_channel_age_seconds", "gauge", "Time since the reading was measured; NaN where there is none.", ages...)

	var connected, messages, samples, rejected, lost []metric
	for i := range v.Sources {
		c := &v.Sources[i]
		connected = append(connected, one(truth(c.Connected), "source", c.Name))
		messages = append(messages, one(float64(c.Messages), "source", c.Name))
		samples = append(samples, one(float64(c.Samples), "source", c.Name))
		rejected = append(rejected, one(float64(c.Rejected), "source", c.Name))
		lost = append(lost, one(float64(c.Lost), "source", c.Name))
	}
	x.family("stirwatch_source_connected", "gauge", "1 while the device is open.", connected...)
	x.family("stirwatch_source_messages_total", "counter", "Messages taken from a source.", messages...)
	x.family("stirwatch_source_samples_total", "counter", "Readings in them.", samples...)
	x.family("stirwatch_source_rejected_total", "counter", "Messages that could not be read.", rejected...)
	x.family("stirwatch_source_lost_total", "counter", "Messages missing in the device's sequence.", lost...)

	standing := map[string]int{"high": 0, "medium": 0, "low": 0}
	unseen := 0
	for i := range v.Alarms.Alarms {
		a := &v.Alarms.Alarms[i]
		if a.Active && a.State != alarm.Shelved && a.State != alarm.OutOfService {
			standing[a.Priority.String()]++
		}
		if a.State.Unseen() {
			unseen++
		}
	}
	x.family("stirwatch_alarms_active", "gauge", "Alarms whose condition holds, without shelved ones.", one(float64(standing["high"]), "priority", "high"),
		one(float64(standing["medium"]), "priority", "medium"), one(float64(standing["low"]), "priority", "low"))
	x.family("stirwatch_alarms_unacknowledged", "gauge", "Alarms that nobody has acknowledged.", one(float64(unseen)))

	x.family("stirwatch_journal_lines_total", "counter", "Lines that went into the journal.", one(float64(v.Records)))
	x.family("stirwatch_journal_lost_lines_total", "counter", "Lines that the disk did not take.", one(float64(v.Lost)))
	x.family("stirwatch_journal_recording", "gauge", "1 while the journal records.", one(truth(v.Disk == "")))
	if v.Waiting >= 0 {
		x.family("stirwatch_upload_waiting_batches", "gauge", "Batches that wait for InfluxDB.", one(float64(v.Waiting)))
	}

	h := s.hub
	x.family("stirwatch_page_streams", "gauge", "Streams that are open.", one(float64(h.streams.Load())))
	x.family("stirwatch_page_frames_skipped_total", "counter", "Frames that streams did not get, since they were read too slowly.", one(float64(h.skipped.Load())))
	x.family("stirwatch_page_streams_refused_total", "counter", "Streams beyond how many are served.", one(float64(h.refused.Load())))
	x.family("stirwatch_page_streams_broken_total", "counter", "Streams that ended since nobody read them.", one(float64(h.broken.Load())))
	var requests []metric
	for i := range s.count.requests {
		if n := s.count.requests[i].Load(); n > 0 {
			requests = append(requests, one(float64(n), "code", strconv.Itoa(i)+"xx"))
		}
	}
	x.family("stirwatch_page_requests_total", "counter", "Requests answered, by the kind of answer.", requests...)
	x.family("stirwatch_page_logins_failed_total", "counter", "Logins with a wrong name or password.", one(float64(s.count.loginsFailed.Load())))
	x.family("stirwatch_page_logins_refused_total", "counter", "Logins refused since there were too many.", one(float64(s.count.loginsRefused.Load())))
	x.process()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write(x.b)
}

// process adds what every program tells of itself, under the usual names.
func (x *exposition) process() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	x.family("go_goroutines", "gauge", "Goroutines.", one(float64(runtime.NumGoroutine())))
	x.family("go_memstats_heap_alloc_bytes", "gauge", "Bytes of heap in use.", one(float64(m.HeapAlloc)))
	x.family("go_memstats_sys_bytes", "gauge", "Bytes got from the system.", one(float64(m.Sys)))
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		cpu := time.Duration(u.Utime.Nano() + u.Stime.Nano())
		x.family("process_cpu_seconds_total", "counter", "User and system time.", one(cpu.Seconds()))
	}
	if rss, ok := residentBytes(); ok {
		x.family("process_resident_memory_bytes", "gauge", "Memory that is resident.", one(rss))
	}
}

// pulse notices when the tick stands still.
type pulse struct {
	mu    sync.Mutex
	beats uint64
	since time.Time
}

// stillFor is how long the tick may stand still before the agent counts as unhealthy.
const stillFor = 10 * time.Second

// still is how long the count of ticks has been the same, as seen by the calls so far.
func (p *pulse) still(beats uint64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if beats != p.beats || p.since.IsZero() {
		p.beats, p.since = beats, now
	}
	return now.Sub(p.since)
}

// answerHealth is GET /healthz: the process answers and its tick goes.
func (s *Server) answerHealth(w http.ResponseWriter, _ *http.Request) {
	if still := s.pulse.still(s.Agent.Beats(), time.Now()); still > stillFor {
		api.Fail(w, http.StatusServiceUnavailable, fmt.Errorf("the tick has stood still for %v", still.Round(time.Second)))
		return
	}
	w.Write([]byte("ok\n"))
}

// answerReady is GET /readyz: it is healthy, something has been measured, and the journal records.
func (s *Server) answerReady(w http.ResponseWriter, r *http.Request) {
	var why error
	switch done := s.Journal.Stats(); {
	case s.Agent.View().Tick == 0:
		why = errors.New("nothing has been measured yet")
	case !done.Recording:
		why = fmt.Errorf("the journal records nothing: %s", done.Err)
	default:
		s.answerHealth(w, r)
		return
	}
	api.Fail(w, http.StatusServiceUnavailable, why)
}
