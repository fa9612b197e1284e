package models

import (
	"errors"
	"net/http"
	"strings"

	"stirwatch/agent"
	"stirwatch/agent/api"
)

// Request is what a person asks of models.
type Request struct {
	Name   string   `json:"name,omitempty"`   // of use: the model
	Models []string `json:"models,omitempty"` // of compare: both, the new one first
	Runs   []string `json:"runs,omitempty"`   // of learn and compare
	Who    string   `json:"who"`
	Why    string   `json:"why,omitempty"` // use needs it
}

// Answer is the result of a [Request].
type Answer struct {
	Warning string `json:"warning,omitempty"` // it is done, and will be forgotten at the next start
}

// Routes adds the shelf's requests:
//
//	GET  /models          list of [Document]
//	GET  /models/job      [Job]
//	POST /models/use      [Request] → [Answer]; so are learn, compare and cancel
func (s *Shelf) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /models", func(w http.ResponseWriter, _ *http.Request) { api.Write(w, s.List()) })
	mux.HandleFunc("GET /models/job", func(w http.ResponseWriter, _ *http.Request) { api.Write(w, s.Job()) })
	post := func(name string, do func(*http.Request, Request) (warning, err error)) {
		mux.HandleFunc("POST /models/"+name, func(w http.ResponseWriter, r *http.Request) {
			var q Request
			if !api.Read(w, r, &q) {
				return
			}
			if q.Who == "" {
				api.Fail(w, http.StatusBadRequest, errors.New("who must be told"))
				return
			}
			warning, err := do(r, q)
			var commands *agent.CommandsError
			switch {
			case errors.Is(err, ErrNone):
				api.Fail(w, http.StatusNotFound, err)
			case errors.Is(err, ErrBusy), errors.As(err, &commands):
				api.Fail(w, http.StatusConflict, err)
			case err != nil:
				api.Fail(w, http.StatusBadRequest, err)
			default:
				var a Answer
				if warning != nil {
					a.Warning = warning.Error()
				}
				api.Write(w, a)
			}
		})
	}
	post("use", func(r *http.Request, q Request) (warning, err error) {
		if strings.TrimSpace(q.Why) == "" {
			return nil, errors.New("why must be told")
		}
		return s.UseAs(r.Context(), q.Name, q.Who, q.Why)
	})
	post("learn", func(_ *http.Request, q Request) (_, err error) { return nil, s.Learn(q.Runs, q.Who) })
	post("compare", func(_ *http.Request, q Request) (_, err error) {
		if len(q.Models) != 2 {
			return nil, errors.New("name two models, the new one first")
		}
		return nil, s.Compare(q.Models[0], q.Models[1], q.Runs, q.Who)
	})
	post("cancel", func(*http.Request, Request) (_, err error) { return nil, s.Cancel() })
}
