package dashboard

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"net/http"
	"strings"
	"time"

	"stirwatch/agent/api"
	"stirwatch/agent/history"
	"stirwatch/agent/journal"
	"stirwatch/agent/journal/export"
	"stirwatch/agent/record"
)

// exportWait is how long a table or a report may take.
const exportWait = 30 * time.Minute

// answerExport is GET /export.csv.
func (s *Server) answerExport(w http.ResponseWriter, r *http.Request) {
	s.table(w, r, "text/csv; charset=utf-8", ".csv", export.Options{Format: export.CSV, Wide: true})
}

// answerParquet is GET /export.parquet.
func (s *Server) answerParquet(w http.ResponseWriter, r *http.Request) {
	s.table(w, r, "application/vnd.apache.parquet", ".parquet", export.Options{Format: export.Parquet, Wide: true})
}

// table answers with the channels of a span, a row for each instant.
func (s *Server) table(w http.ResponseWriter, r *http.Request, kind, suffix string, o export.Options) {
	from, to, err := s.span(r, time.Hour)
	every, e := seconds(r, "every", 0, 86400)
	names, e2 := s.channels(r)
	o.Every = every
	if err = errors.Join(err, e, e2, o.Check(record.Samples)); err == nil && time.Duration(to-from) > longestSpan {
		err = fmt.Errorf("from=%d to=%d is more than %v", from, to, longestSpan)
	}
	if err != nil {
		api.Fail(w, http.StatusBadRequest, err)
		return
	}
	if r.FormValue("channel") == "" {
		names = nil // also those that the configuration no longer has
	}
	done, err := s.reading(r.Context())
	if err != nil {
		failed(w, err)
		return
	}
	defer done()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportWait))
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+s.Machine+time.Unix(0, from).UTC().Format("-20060102-150405")+suffix+`"`)
	o.Channels = names
	_, err = export.Write(r.Context(), w, s.Journal.Reader, journal.Query{From: from, To: to}, o)
	if err != nil { // the answer has begun: what is missing can only be told here, and by the table that breaks off
		s.Log.Warn("a table for the page is not whole", "error", err)
	}
}

// reportPolicy lets a report be styled by itself, and run nothing.
const reportPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"

// answerReport is GET /runs/{run}/report.
func (s *Server) answerReport(w http.ResponseWriter, r *http.Request) {
	if s.Report == nil {
		noReport(w, r, http.StatusNotFound, errors.New("there is no model that could tell of a run"))
		return
	}
	run, ok := s.find(w, r)
	if !ok {
		return
	}
	done, err := turn(r.Context(), s.reports)
	if err != nil {
		failed(w, err)
		return
	}
	defer done()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportWait))
	var page bytes.Buffer
	var left history.Unusable
	switch err := s.Report(r.Context(), &page, run); {
	case errors.As(err, &left):
		noReport(w, r, http.StatusConflict, err)
	case err != nil:
		failed(w, err)
	default:
		w.Header().Set("Content-Security-Policy", reportPolicy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Disposition", `inline; filename="`+s.Machine+"-"+run.Name+`.html"`)
		w.Write(page.Bytes())
	}
}

// noReport answers a person who has followed a link to a report with a page that says why there is none.
func noReport(w http.ResponseWriter, r *http.Request, status int, err error) {
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		api.Fail(w, status, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>stirwatch</title>\n<h1>There is no report of this run</h1>\n<p>%s.\n</html>\n", html.EscapeString(err.Error()))
}
