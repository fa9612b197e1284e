package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stirwatch/agent"
	"stirwatch/agent/alarm"
	"stirwatch/agent/doctor"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/agent/models"
	"stirwatch/agent/notify"
	"stirwatch/agent/record"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// cell are the channels of the model that the demo ships.
var cell = []sensors.Channel{
	{Name: "tool_temperature", Role: sensors.ToolTemperature, Unit: unit.MustParse("°C"), Min: -20, Max: 700, MaxAge: time.Hour},
	{Name: "set_point", Role: sensors.SetPoint, Unit: unit.MustParse("°C"), Min: 0, Max: 1000, MaxAge: time.Hour},
	{Name: "spindle_speed", Role: sensors.SpindleSpeed, Unit: unit.MustParse("rpm"), Min: -1000, Max: 1000, MaxAge: time.Hour},
	{Name: "spindle_power", Role: "spindle power", Unit: unit.MustParse("W"), Min: -4e4, Max: 4e4, MaxAge: time.Hour},
	{Name: "feed_velocity", Role: "feed velocity", Unit: unit.MustParse("mm/min"), Min: -5000, Max: 5000, MaxAge: time.Hour},
	{Name: "path_velocity", Role: "path velocity", Unit: unit.MustParse("mm/min"), Min: -2e4, Max: 2e4, MaxAge: time.Hour},
}

// stand is a page of a real agent with a real journal, in which there is one run of ten seconds.
type stand struct {
	t testing.TB
	*Server
	bench        *source
	began, ended int64 // of the run, ns since the Unix epoch
	cookies      []*http.Cookie
}

// source is connected and sends what a test says.
type source struct{ health sensors.Health }

func (s *source) Name() string            { return "bench" }
func (s *source) Health() *sensors.Health { return &s.health }
func (s *source) Run(ctx context.Context, _ sensors.Sink) error {
	s.health.Connected.Store(true)
	<-ctx.Done()
	return nil
}

var demoModel = sync.OnceValues(func() (*model.Model, error) { return model.Load("../../cmd/demo/model.json") })

func newStand(t testing.TB, change ...func(*Options)) *stand {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	reg, err := sensors.NewRegistry(cell)
	if err != nil {
		t.Fatal(err)
	}
	m, err := demoModel()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	j, err := journal.Open(filepath.Join(dir, "journal.db"), journal.Options{Machine: "cell-1", Registry: reg, Archive: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, bench: &source{}}
	a, err := agent.New(agent.Options{Registry: reg, Journal: j, Model: m, Sources: []sensors.Source{s.bench}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s.began = time.Now().Add(-10 * time.Second).UnixNano()
	s.ended = s.began + int64(10*time.Second)
	for at := s.began; at < s.ended; at += int64(100 * time.Millisecond) {
		journaltest.Keep(j, s.samples(at))
	}
	if _, err := j.BeginRun("build-1", "the first", s.began); err != nil {
		t.Fatal(err)
	}
	if err := j.EndRun(s.ended); err != nil {
		t.Fatal(err)
	}
	desk := alarm.Desk{Board: a.Alarms(), Now: a.Now, Flush: j.Flush, Rows: func(ctx context.Context, from, to int64) ([]record.Alarm, error) {
		return history.Alarms(ctx, j.Reader, from, to)
	}}
	socket := http.NewServeMux()
	desk.Routes(socket)
	a.Handle(socket, &agent.Records{To: j})
	notify.Routes(socket, nil)
	shelf := models.New(models.Options{Folder: filepath.Join(t.TempDir(), "models"), File: "../../cmd/demo/model.json", Log: log, Use: a.Use, Fits: func(*model.Model) error { return nil }}, m)
	shelf.Routes(socket)
	o := Options{Listen: "127.0.0.1:0", Users: filepath.Join(t.TempDir(), "users.json"), Machine: "cell-1", Version: "test", Agent: a, Journal: j, Registry: reg,
		Models: shelf, Config: func() []byte { return []byte("machine: cell-1\n") }, Socket: socket, Log: log}
	o.Ports = func() ([]Port, error) { return []Port{{Path: "/dev/ttyACM0", USB: "2341:0043", Used: "bench"}}, nil }
	o.Doctor = func(ctx context.Context, found func(doctor.Finding)) {
		d := doctor.Doctor{Model: func() (string, error) { return "the demo's", nil }, Journal: doctor.Journal{Path: filepath.Join(dir, "journal.db"), Size: 1 << 30},
			Running: func(context.Context) ([]agent.SourceState, error) { return a.SourceStates(), nil }, Patience: patience, Found: found}
		d.Examine(ctx)
	}
	for _, c := range change {
		c(&o)
	}
	s.Server = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := a.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("the agent ends: %v", err)
		}
	})
	h := s.hub
	all.Go(func() { h.run(ctx) })
	t.Cleanup(func() {
		cancel()
		all.Wait()
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// samples are one of each channel.
func (s *stand) samples(at int64) (all []sensors.Sample) {
	for i, v := range []float64{450, 465, 380, 6000, 240, 500} {
		all = append(all, sensors.Sample{Time: at, Arrival: at, Value: v, Channel: sensors.ChannelID(i), Status: sensors.OK})
	}
	return all
}

// feed measures every channel now, and returns when the page shows it.
func (s *stand) feed() Now {
	s.t.Helper()
	s.Agent.Emit(s.samples(time.Now().UnixNano()), nil)
	n := Now{View: agent.NoView()}
	s.until("what is measured is shown", func() bool {
		n = Now{View: agent.NoView()} // what is not told must not stay as it was
		s.get("/api/v1/now", &n)
		return n.Tick > 0 && n.Good()
	})
	return n
}

// patience is how long what should come is waited for.
const patience = time.Minute

// until waits for what should come.
func (s *stand) until(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s: it does not come; %.2000s", what, s.ask(http.MethodGet, root+"/now", "").Body)
		}
	}
}

// ask sends a request as a browser on this computer would, and gives the answer.
func (s *stand) ask(method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8765"+path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:40000"
	for _, c := range s.cookies {
		r.AddCookie(c)
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// get asks for what must be there.
func (s *stand) get(path string, into any) {
	s.t.Helper()
	w := s.ask(http.MethodGet, path, "")
	if w.Code != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
}

// wants fails where an answer has another status.
func (s *stand) wants(status int, w *httptest.ResponseRecorder) string {
	s.t.Helper()
	text, _ := io.ReadAll(bytes.NewReader(w.Body.Bytes()))
	if w.Code != status {
		s.t.Fatalf("it answers %d %s, and %d was wanted", w.Code, text, status)
	}
	return string(text)
}

// login is from now on the user of a name.
func (s *stand) login(name, password string) {
	s.t.Helper()
	body, _ := json.Marshal(LoginRequest{name, password})
	s.cookies = nil
	w := s.ask(http.MethodPost, "/api/v1/login", string(body))
	s.wants(http.StatusOK, w)
	s.cookies = w.Result().Cookies()
}

const secretWord = "correct horse"

// people adds anna, an operator, and wall, a viewer, and eva, an engineer.
func (s *stand) people() {
	s.t.Helper()
	for name, role := range map[string]Role{"anna": Operator, "wall": Viewer, "eva": Engineer} {
		if err := s.users.Add(name, role, secretWord); err != nil {
			s.t.Fatal(err)
		}
	}
}
