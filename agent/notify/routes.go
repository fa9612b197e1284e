package notify

import (
	"errors"
	"net/http"

	"stirwatch/agent/api"
)

// TestRequest is the body of POST /notify/test.
type TestRequest struct {
	Name string `json:"name"` // of the target
}

// Routes adds the requests of a notifier, nil where nobody is told of alarms:
//
//	GET  /notify       the [Status] of every target
//	POST /notify/test  [TestRequest] → nothing, once the other side has taken the message
func Routes(mux *http.ServeMux, n *Notifier) {
	mux.HandleFunc("GET /notify", func(w http.ResponseWriter, _ *http.Request) {
		api.Write(w, n.Status())
	})
	mux.HandleFunc("POST /notify/test", func(w http.ResponseWriter, r *http.Request) {
		var q TestRequest
		if !api.Read(w, r, &q) {
			return
		}
		switch err := n.Test(r.Context(), q.Name); {
		case errors.Is(err, ErrNoTarget):
			api.Fail(w, http.StatusNotFound, err)
		case err != nil:
			api.Fail(w, http.StatusBadGateway, err)
		default:
			api.Write(w, struct{}{})
		}
	})
}
