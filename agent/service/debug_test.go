package service

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestDebugAnswersOnLoopbackAlone(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0"} {
		if err := Debug(t.Context(), address); err == nil || !strings.Contains(err.Error(), "not a loopback address") {
			t.Errorf("%s: %v", address, err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Debug(ctx, address) }()
	get := func(host string) (int, string) {
		r, err := http.NewRequest("GET", "http://"+address+"/debug/pprof/goroutine?debug=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		for {
			resp, err := http.DefaultClient.Do(r)
			if err != nil { // not yet listening
				select {
				case err := <-done:
					t.Fatal(err)
				default:
					continue
				}
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(body)
		}
	}
	if status, body := get(address); status != 200 || !strings.Contains(body, "service.Debug") {
		t.Errorf("%d: %.200s", status, body)
	}
	if status, _ := get("evil.example:80"); status != http.StatusForbidden {
		t.Errorf("asked under another name: %d", status)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}
