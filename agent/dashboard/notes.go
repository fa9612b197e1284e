package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"stirwatch/agent/api"
	"stirwatch/agent/journal"
)

// Note is what a person has written about a run.
type Note struct {
	At   int64  `json:"at"` // ns since the Unix epoch
	Who  string `json:"who"`
	Text string `json:"text"`
}

// NoteRequest writes about a run.
type NoteRequest struct {
	Text string `json:"text"`
	Who  string `json:"who,omitempty"` // counts only where nobody logs in
}

const longestNote = 4000 // characters

// answerNotes is GET /runs/{run}/notes: the oldest first.
func (s *Server) answerNotes(w http.ResponseWriter, r *http.Request) {
	run, ok := s.find(w, r)
	if !ok {
		return
	}
	found, err := s.Journal.Notes(run)
	if err != nil {
		failed(w, err)
		return
	}
	all := []Note{}
	for _, n := range found {
		all = append(all, Note(n))
	}
	api.Write(w, all)
}

// answerAddNote is POST /runs/{run}/notes. Nothing of what was written before changes.
func (s *Server) answerAddNote(w http.ResponseWriter, r *http.Request) {
	var q NoteRequest
	if !api.Read(w, r, &q) {
		return
	}
	text := strings.TrimSpace(q.Text)
	if n := utf8.RuneCountInString(text); n == 0 || n > longestNote {
		api.Fail(w, http.StatusBadRequest, fmt.Errorf("text has %d characters: 1 to %d are wanted", n, longestNote))
		return
	}
	run, ok := s.find(w, r)
	if !ok {
		return
	}
	n := journal.Note{At: s.Agent.Now(), Who: s.whoever(r, q.Who), Text: text}
	if err := s.Journal.AddNote(run, n); err != nil {
		failed(w, errors.Join(errors.New("the note is not on disk"), err))
		return
	}
	api.Write(w, Note(n))
}

// whoever is the name on record for a request: that of the login or, without users, the one that the request gives.
func (s *Server) whoever(r *http.Request, said string) string {
	if name := personOf(r).Name; name != "" {
		return name
	}
	if said = strings.TrimSpace(said); said == "" || len(said) > 64 {
		return unnamed
	}
	return said
}
