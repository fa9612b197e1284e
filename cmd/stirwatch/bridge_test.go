package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

const bridgeHead = "machine: bench\nchannels: {t: {unit: °C}}\nsources: {log: {log: {path: a.csv}}}\njournal: {path: journal.db}\n"

// manualSections are the YAML blocks of the manual page.
func manualSections(t *testing.T) []string {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "bridge.md"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(page, -1) {
		all = append(all, string(m[1]))
	}
	return all
}

// kit emulates a two-heater temperature lab kit, written from its description: Q1 50 sets and
// echoes, T1 and SCAN answer floats, LED and X answer nothing, whatever it does not know switches
// the heaters off. Lines end in CR LF.
type kit struct {
	mu      sync.Mutex
	q       [2]float64
	t       [2]float64
	unknown []string
	most    float64
	deaf    bool
}

func (k *kit) answer(s string) (out string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.deaf {
		return ""
	}
	name, arg, _ := strings.Cut(s, " ")
	v, err := strconv.ParseFloat(arg, 64)
	switch {
	case (name == "Q1" || name == "Q2") && err == nil:
		k.q[name[1]-'1'] = max(0, min(100, v))
		k.most = max(k.most, v)
		return fmt.Sprintf("%.1f\r\n", k.q[name[1]-'1'])
	case s == "T1" || s == "T2":
		return fmt.Sprintf("%.2f\r\n", k.t[s[1]-'1'])
	case s == "SCAN":
		return fmt.Sprintf("%.2f\r\n%.2f\r\n%.1f\r\n%.1f\r\n", k.t[0], k.t[1], k.q[0], k.q[1])
	case s == "VER":
		return "TCLab Firmware 2.0.1\r\n"
	case name == "LED" && err == nil:
		return ""
	case s != "X":
		k.unknown = append(k.unknown, s)
	}
	k.q = [2]float64{}
	return ""
}

// kitOnPty is a lab kit on a pseudo terminal, and the path of a configuration that drives it with the
// manual's section, in which edits replace words by others. The folder is the test's own.
func kitOnPty(t *testing.T, edits ...string) (k *kit, path string) {
	var section string
	for _, s := range manualSections(t) {
		if strings.Contains(s, "SCAN") {
			section = s
		}
	}
	master, slave, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close(); slave.Close() })
	k = &kit{t: [2]float64{23.25, 22.5}}
	go func() {
		var line []byte
		buf := make([]byte, 64)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			for _, c := range buf[:n] {
				if c != '\n' {
					line = append(line, c)
					continue
				}
				master.WriteString(k.answer(strings.TrimRight(string(line), "\r")))
				line = line[:0]
			}
		}
	}()
	edits = append(edits, "/dev/serial/by-id/usb-lab-kit", slave.Name(), "settle: 2 s", "settle: 0 s") // nothing restarts here
	path = filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(bridgeHead+strings.NewReplacer(edits...).Replace(section)), 0o644); err != nil {
		t.Fatal(err)
	}
	return k, path
}

// The lab kit is driven by the manual's YAML alone, word for word except for the port.
func TestLabKitByConfigurationAlone(t *testing.T) {
	k, path := kitOnPty(t)
	dir := filepath.Dir(path)
	run := func(args ...string) (string, error) {
		c := bridgeCommand()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetErr(&out)
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetArgs(append(args, "-c", path))
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		err := c.ExecuteContext(ctx)
		return out.String(), err
	}
	expect := func(out string, err error, words ...string) {
		t.Helper()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("no %q in\n%s", w, out)
			}
		}
	}
	out, err := run("probe")
	expect(out, err, "TCLab Firmware", "temperature_1", "23.25 °C", "heater_2", "0 to 60 %")
	out, err = run("get", "temperature_2")
	expect(out, err, "22.5 °C")
	out, err = run("set", "heater_1", "95 %", "--for", "3s", "--dry-run")
	expect(out, err, "given 60 % (clamped to the limits)", `"SCAN\r\n"`, `"Q1 60.0\r\n"`, `"Q1 0.0\r\n"`)
	if k.most != 0 {
		t.Errorf("a dry run moved the heater to %g", k.most)
	}
	out, err = run("set", "heater_1", "15 %", "--for", "2500ms", "--who", "test", "--why", "shows the kit")
	expect(out, err, "accepted", "reached", "reads back 15 %", "reverted")
	if k.q != [2]float64{} || k.most != 15 || len(k.unknown) != 0 {
		t.Errorf("heaters at %v, at most %g, unknown %q", k.q, k.most, k.unknown)
	}
	if _, err := run("set", "heater_1", "15", "--why", "x"); err == nil || !strings.Contains(err.Error(), `heater_1 is in %, so write for example "15 %"`) {
		t.Error(err)
	}
	if _, err := run("set", "heater_1", "15 °C", "--why", "x"); err == nil || !strings.Contains(err.Error(), "wrong kind of unit") {
		t.Error(err)
	}
	if _, err := run("set", "heater_3", "15 %", "--why", "x"); err == nil || !strings.Contains(err.Error(), "heater_1, heater_2") {
		t.Error(err)
	}

	// On record; and while another process records, nothing is commanded.
	reader, err := journal.OpenReader(filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	var verdicts []string
	err = journal.Rows(context.Background(), reader, journal.Query{}, func(r *record.Command) error {
		verdicts = append(verdicts, r.Target+" "+r.Verdict)
		if r.Unit != "%" {
			t.Errorf("recorded in unit %q", r.Unit)
		}
		return nil
	})
	reader.Close()
	if got := strings.Join(verdicts, ", "); err != nil || got != "heater_1 accepted, heater_1 reached, heater_1 released, heater_1 reverted" {
		t.Errorf("%s, %v", got, err)
	}
	j, err := journal.Open(filepath.Join(dir, "journal.db"), journal.Options{Machine: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := run("set", "heater_1", "15 %", "--why", "x"); err == nil || !strings.Contains(err.Error(), "another process is recording into it") {
		t.Error(err)
	}
}

func TestBridgeWithoutASection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(path, []byte(bridgeHead), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadBridge(path); err == nil || !strings.Contains(err.Error(), "no bridge section") {
		t.Error(err)
	}
}
