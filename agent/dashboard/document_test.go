package dashboard

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"stirwatch/agent/journal"
)

// document is openapi.yaml, which must be right itself.
func document(t testing.TB) (*openapi3.T, routers.Router) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return doc, router
}

// Every request that is answered is in the document, and none else.
func TestDocumentHasEveryRequest(t *testing.T) {
	doc, _ := document(t)
	var told []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			told = append(told, method+" "+path)
		}
	}
	answered := []string{"GET /stream", "GET /session", "POST /login", "POST /logout", "GET /openapi.yaml"} // beside the table: some need no role, one no compression
	for _, x := range new(Server).api() {
		answered = append(answered, x.pattern)
	}
	slices.Sort(told)
	slices.Sort(answered)
	if !slices.Equal(told, answered) {
		t.Errorf("the document tells of\n%s\nand the page answers\n%s", strings.Join(told, "\n"), strings.Join(answered, "\n"))
	}
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// asDocumented asks, and fails where the answer is not as the document says.
func asDocumented(s *stand, router routers.Router, method, path, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	w := s.ask(method, path, body, func(r *http.Request) {
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
	})
	if err := fits(router, method, path, body, w); err != nil {
		s.t.Errorf("%s %s %s: %d %.300s: %v", method, path, body, w.Code, w.Body, err)
	}
	return w
}

func fits(router routers.Router, method, path, body string, w *httptest.ResponseRecorder) error {
	r := httptest.NewRequest(method, "/"+strings.TrimPrefix(path, "/"), strings.NewReader(body))
	found, params, err := router.FindRoute(r)
	if err != nil {
		return err
	}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: found, Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: w.Code, Header: w.Header(), Options: &openapi3filter.Options{IncludeResponseStatus: true}}
	out.SetBodyBytes(w.Body.Bytes())
	return openapi3filter.ValidateResponse(context.Background(), out)
}

func init() {
	text := func(r io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		text, err := io.ReadAll(r)
		return string(text), err
	}
	for _, kind := range []string{"application/yaml", "text/html", "text/event-stream", "application/vnd.apache.parquet"} {
		openapi3filter.RegisterBodyDecoder(kind, text)
	}
	openapi3filter.UnregisterBodyDecoder("text/csv") // the document says no more of it than that it is text
	openapi3filter.RegisterBodyDecoder("text/csv", text)
}

func TestAnswersAreAsDocumented(t *testing.T) {
	_, router := document(t)
	s := newStand(t)
	n := s.feed()
	if n.Machine != "cell-1" || len(n.Channels) != len(cell) || n.Channels[0].Value != 450 {
		t.Errorf("now: %+v", n)
	}
	span := fmt.Sprintf("?from=%d&to=%d", s.began, s.ended)
	s.Report = func(_ context.Context, w io.Writer, run journal.Run) error {
		_, err := io.WriteString(w, "<h1>"+run.Name+"</h1>")
		return err
	}
	for _, path := range []string{"/now", "/series" + span, "/series" + span + "&channel=tool_temperature,set-point&points=7", "/series?from=1h", "/forecasts" + span, "/forecasts?horizon=60s",
		"/export.csv" + span, "/export.parquet" + span, "/export.csv" + span + "&channel=tool_temperature&every=1", "/runs", "/runs/build-1", "/runs/build-1/report", "/runs/build-1/notes", "/runs/last", "/model", "/models", "/models/model.json", "/models/job", "/config", "/control", "/sources", "/sources/bench/messages", "/ports", "/alarms", "/alarms?all=1", "/alarms/history", "/alarms/stats", "/audit", "/session", "/openapi.yaml"} {
		s.wants(http.StatusOK, asDocumented(s, router, http.MethodGet, root+path, ""))
	}
	for path, status := range map[string]int{"/runs/none": 404, "/models/none": 404, "/sources/none/messages": 404, "/models/..%2fmodel.json": 404, "/runs/none/report": 404, "/export.csv?every=-1": 400, "/export.parquet?every=-1": 400, "/export.csv?channel=none": 400, "/series?channel=none": 400, "/series?points=0": 400, "/series?points=1e9": 400, "/series?from=5&to=4": 400,
		"/series?from=yesterday": 400, "/series?from=400d": 400, "/series?channel=tool_temperature,tool_temperature": 400, "/forecasts?from=400d": 400, "/stream?every=-1": 400, "/stream?every=NaN": 400} {
		s.wants(status, asDocumented(s, router, http.MethodGet, root+path, ""))
	}
	for _, x := range []struct {
		path, body string
		status     int
	}{
		{"/whatif", `{"set_point": 440}`, 200}, {"/whatif", `{"inputs": {"none": 1}}`, 400}, {"/whatif", `{"x": 1}`, 400},
		{"/alarms/shelve", `{"name": "sensor.failure tool_temperature", "why": "it is being changed", "for_s": 60}`, 200},
		{"/alarms/shelve", `{"name": "sensor.failure tool_temperature", "for_s": 60}`, 409},
		{"/alarms/unshelve", `{"name": "sensor.failure tool_temperature"}`, 200},
		{"/alarms/ack", `{"name": "none"}`, 404}, {"/alarms/reset", `[]`, 400}, {"/alarms/ack", `null`, 400},
		{"/control/none/mode", `{"mode": "off", "why": "x"}`, 400}, {"/control/none/accept", `{}`, 400}, {"/control/none/decline", `{"why": "x"}`, 400},
		{"/runs/build-1/notes", `{"text": " the plate was cold "}`, 200}, {"/runs/none/notes", `{"text": "x"}`, 404}, {"/runs/build-1/notes", `{"text": " "}`, 400},
		{"/models/use", `{"name": "model.json"}`, 400}, {"/models/use", `{"name": "none", "why": "x"}`, 404}, {"/models/use", `{"name": "../model.json", "why": "x"}`, 404},
		{"/models/use", `{"name": "model.json", "why": "x"}`, 200}, {"/models/learn", `{"runs": []}`, 400}, {"/models/compare", `{"models": ["model.json"], "runs": ["build-1"]}`, 400},
		{"/doctor", `{}`, 200}, {"/models/cancel", `{}`, 400}, {"/models/compare", `{"models": ["model.json", "none"], "runs": ["build-1"]}`, 404},
		{"/login", `{"name": "x", "password": "y"}`, 401}, {"/logout", ``, 204},
	} {
		s.wants(x.status, asDocumented(s, router, http.MethodPost, root+x.path, x.body))
	}
	var notes []Note
	s.get(root+"/runs/build-1/notes", &notes)
	if len(notes) != 1 || notes[0].Text != "the plate was cold" || notes[0].Who != unnamed || notes[0].At == 0 {
		t.Errorf("notes: %+v", notes)
	}
	if table := s.ask(http.MethodGet, root+"/export.csv"+span+"&channel=tool_temperature&every=1", "").Body.String(); strings.Count(table, ",450\n") < 10 || !strings.HasPrefix(table, "time,tool_temperature (°C)\n") {
		t.Errorf("export: %s", table)
	}
	s.Report = func(ctx context.Context, _ io.Writer, run journal.Run) error { // ten seconds tell nothing
		_, err := s.history.Rows(ctx, run, must(demoModel()).Channels())
		return err
	}
	s.wants(http.StatusConflict, s.ask(http.MethodGet, root+"/runs/build-1/report", ""))
	if page := s.wants(http.StatusConflict, s.ask(http.MethodGet, root+"/runs/build-1/report", "", func(r *http.Request) { r.Header.Set("Accept", "text/html,*/*;q=0.8") })); !strings.Contains(page, "<h1>There is no report of this run</h1>") {
		t.Errorf("a person is told %s", page)
	}
	s.Report = nil
	s.wants(http.StatusNotFound, s.ask(http.MethodGet, root+"/runs/build-1/report", ""))
	s.wants(http.StatusNotFound, s.ask(http.MethodPost, root+"/now", "{}"))
	s.wants(http.StatusNotFound, s.ask(http.MethodGet, root+"/", ""))
}

// A second request with the ETag of the first has nothing new to be told while the tick stands.
func TestNowIsTaggedByTick(t *testing.T) {
	var now Now
	s := newStand(t)
	now.Tick = 5
	h := newHub(func() (Now, string) { return now, fmt.Sprint(now.Tick) })
	s.hub = h
	tag := s.ask(http.MethodGet, root+"/now", "").Header().Get("ETag")
	again := func(r *http.Request) { r.Header.Set("If-None-Match", tag) }
	s.wants(http.StatusNotModified, s.ask(http.MethodGet, root+"/now", "", again))
	now.Tick = 6
	s.until("the next tick is told", func() bool { return s.ask(http.MethodGet, root+"/now", "", again).Code == http.StatusOK })
}
