package main

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An agent that is the broker is killed again and again while a client publishes: what the client was
// acknowledged is in the journal, once.
func TestBrokerOfOurOwnSurvivesKills(t *testing.T) {
	t.Parallel()
	const messages, kills = 3000, 6
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	conf := filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(conf, []byte(`machine: own
channels: {n: {unit: 1, max_age: 0 s}}
sources:
  gate:
    mqtt:
      listen: tcp://`+address+`
      users: {gate: {password: {env: GATE}}}
      clock: device
      topics: [{topic: n, payload: json, channel: n, time: {key: ts, unit: ns}}]
journal: {path: j.db}
api: {socket: agent.sock}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("the broker is %s", address)
	run := func() *process {
		p := &process{t: t, name: "agent", cmd: exec.Command(program(t), "run", "-c", conf)}
		p.cmd.Env = append(os.Environ(), "GATE=way")
		p.cmd.Stdout, p.cmd.Stderr = p, p
		p.run()
		p.says("listening at", 1)
		return p
	}
	agent := run()
	now := time.Now().UnixNano()
	load := publish(t, address, now, "gate", "way")
	rng := rand.New(rand.NewPCG(15, 9))
	for k := range kills {
		goal := (k+1)*messages/(kills+1) + rng.IntN(50)
		wait(t, fmt.Sprintf("%d messages are acknowledged", goal), func() bool { return load.through() >= goal })
		agent.end(syscall.SIGKILL)
		agent = run()
	}
	wait(t, "all messages are acknowledged", func() bool { return load.through() >= messages })
	load.end()
	sent := load.through()
	if code := agent.end(syscall.SIGTERM); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
	out := stirwatch(t, "export", "--journal", filepath.Join(dir, "j.db"), "--format", "csv", "-o", filepath.Join(dir, "out.csv"))
	text, err := os.ReadFile(filepath.Join(dir, "out.csv"))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]string{} // a message that was recorded and killed before its acknowledgement comes again: the same sample
	for _, r := range rows[1:] {
		if old, twice := at[r[0]]; twice && old != r[2] {
			t.Errorf("two values at %s: %s and %s", r[0], old, r[2])
		}
		at[r[0]] = r[2]
	}
	missing := 0
	for i := range sent {
		stamp := time.Unix(0, now+int64(i)*killApart).UTC().Format(time.RFC3339Nano)
		if at[stamp] != strconv.Itoa(i) {
			missing++
		}
	}
	t.Logf("%d acknowledged, %d rows, %d came again, %d missing", sent, len(rows)-1, len(rows)-1-len(at), missing)
	if missing > 0 || len(at) != sent {
		t.Errorf("%d of %d missing, %d different", missing, sent, len(at))
	}
}
