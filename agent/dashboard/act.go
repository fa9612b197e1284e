package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"stirwatch/agent/api"
)

// unnamed is the name on record for what is done on the page by somebody who need not log in and gives no name.
const unnamed = "page"

// act hands a person's request on to the agent's socket, in that person's name whatever the request says, and puts it on
// the audit trail once it is done. Without users the request may say who.
func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	var body map[string]json.RawMessage
	text, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || body == nil {
		api.Fail(w, http.StatusBadRequest, fmt.Errorf("the request cannot be read: a JSON object is wanted (%v)", err))
		return
	}
	var said, why string
	for key, v := range body {
		switch {
		case strings.EqualFold(key, "who"):
			json.Unmarshal(v, &said)
			delete(body, key)
		case strings.EqualFold(key, "why"):
			json.Unmarshal(v, &why)
		}
	}
	who := s.whoever(r, said)
	told, err := json.Marshal(body)
	if err == nil {
		body["who"], err = json.Marshal(who)
	}
	if err == nil {
		text, err = json.Marshal(body)
	}
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	s.socket(seen, r)
	if seen.status/100 == 2 {
		s.audit(who, strings.TrimPrefix(r.URL.Path, root+"/")+" "+string(told), why)
	}
}

// audit puts on record who did what, and why.
func (s *Server) audit(who, what, why string) {
	if err := s.Journal.Audit(s.Agent.Now(), who, what, why); err != nil {
		s.Log.Error("what was done on the page is not on the audit trail", "who", who, "what", what, "why", why, "error", err)
	}
}

// statusWriter remembers the status that was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap gives [http.ResponseController] the writer underneath.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// AuditRow is one row of the audit trail.
type AuditRow struct {
	At   int64  `json:"at"` // ns since the Unix epoch
	Who  string `json:"who"`
	What string `json:"what"`
	Why  string `json:"why"`
}

const mostAudit = 1000

// answerAudit is GET /audit: the newest first.
func (s *Server) answerAudit(w http.ResponseWriter, _ *http.Request) {
	trail, err := s.Journal.AuditTrail()
	if err != nil {
		failed(w, err)
		return
	}
	rows := []AuditRow{}
	for i := len(trail) - 1; i >= 0 && len(rows) < mostAudit; i-- {
		x := trail[i]
		rows = append(rows, AuditRow{x.At, x.Who, x.What, x.Why})
	}
	api.Write(w, rows)
}
