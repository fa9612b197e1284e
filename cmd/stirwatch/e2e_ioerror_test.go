package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sys/unix"
)

// Every write to the journal fails for a while (SQLITE_IOERR: a limit on the size of files, set from outside,
// makes the kernel refuse them). Monitoring goes on, what is not kept is counted, and recording begins again by itself.
func TestWritesThatFail(t *testing.T) {
	t.Parallel()
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
sources: {gate: {mqtt: {listen: tcp://`+address+`, clock: device, topics: [{topic: n, payload: json, channel: n, time: {key: ts, unit: ns}}]}}}
journal: {path: j.db}
api: {socket: agent.sock}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := start(t, "agent", program(t), "run", "-c", conf)
	agent.says("listening at", 1)
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("gate").SetCleanSession(false))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer c.Disconnect(0)
	now, sent := time.Now().UnixNano(), 0
	publish := func() {
		t.Helper()
		var all []paho.Token
		for range 100 {
			all = append(all, c.Publish("n", 1, false, fmt.Sprintf(`{"ts":%d,"value":%d}`, now+int64(sent)*1000, sent)))
			sent++
		}
		for _, token := range all {
			if !token.WaitTimeout(patience) || token.Error() != nil {
				t.Fatalf("not acknowledged: %v", token.Error())
			}
		}
	}
	limit := func(bytes uint64) {
		t.Helper()
		var was unix.Rlimit
		if err := unix.Prlimit(agent.cmd.Process.Pid, unix.RLIMIT_FSIZE, nil, &was); err != nil {
			t.Skip("the limits of another process cannot be set here: ", err)
		}
		if err := unix.Prlimit(agent.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: was.Max}, nil); err != nil {
			t.Skip("the limits of another process cannot be set here: ", err)
		}
	}
	publish()
	limit(4096)
	publish() // held back, then counted and let go
	if !strings.Contains(agent.said(), "disk I/O error") {
		t.Errorf("the failure is not told:\n%s", agent.said())
	}
	limit(unix.RLIM_INFINITY)
	agent.says("recording goes on", 1)
	publish()
	if code := agent.end(syscall.SIGTERM); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
	out, err := exec.Command(program(t), "export", "--journal", filepath.Join(dir, "j.db"), "--format", "csv").Output()
	if err != nil {
		t.Fatal(err)
	}
	kept, lost := strings.Count(string(out), "\n")-1, 0
	for _, m := range regexp.MustCompile(`lines_lost=(\d+)`).FindAllStringSubmatch(agent.said(), -1) {
		n, _ := strconv.Atoi(m[1])
		lost += n
	}
	t.Logf("%d sent, %d kept, %d lines counted as lost", sent, kept, lost)
	if kept < 200 || kept+lost < sent { // lines of other rows may be lost too
		t.Errorf("%d sent, %d kept, %d counted as lost", sent, kept, lost)
	}
}
