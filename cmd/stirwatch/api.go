package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"stirwatch/agent/api"
)

// answer serves the agent's socket until ctx ends. An agent that cannot have it watches all the same.
func answer(ctx context.Context, c *cell, log *slog.Logger) {
	path := c.conf.Abs(c.conf.API.Socket)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = api.Serve(ctx, path, c.handler())
	}
	if err != nil {
		log.Error("the agent cannot be reached by commands", "socket", path, "error", err)
	}
}

// handler answers what the command line asks of a running agent.
func (c *cell) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		api.Write(w, struct {
			Machine string `json:"machine"`
			Version string `json:"version"`
			Process int    `json:"process"`
		}{c.conf.Machine, version, os.Getpid()})
	})
	alarmDesk(c).Routes(mux)
	c.agent.Handle(mux, c.records)
	c.notifyRoutes(mux)
	return mux
}
