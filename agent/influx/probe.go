package influx

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// Probe sends one record (measurement health, source=doctor), through a journal of its own in a temporary
// folder, and gives how that went: SentLines is above zero where the server took it. It ends when the
// record is stored, when a person must act, or with ctx.
func Probe(ctx context.Context, o Options, machine string) (s State, err error) {
	dir, err := os.MkdirTemp("", "stirwatch-probe-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	j, err := journal.Open(filepath.Join(dir, "journal.db"), journal.Options{Machine: machine, Log: o.Log})
	if err != nil {
		return s, err
	}
	defer j.Close()
	up, err := New(o, j)
	if err != nil {
		return s, err
	}
	journal.Write(j, record.SourceHealth{Time: time.Now().UnixNano(), Source: "doctor", Connected: true})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { up.Run(ctx); close(ended) }()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for ctx.Err() == nil {
		if s = up.State(); s.SentLines > 0 || s.Err != "" && s.Phase.NeedsAction() {
			break
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
	cancel()
	<-ended
	return s, nil
}
