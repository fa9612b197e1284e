package main

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/agent/journal"
	"stirwatch/cmd/parts"
)

// Kills with every fault of the journal at once. The agent is the broker; a client publishes 2,500 messages a
// second at QoS 1 and notes which were acknowledged. Round by round, one to three faults are injected while it
// runs, and it is killed (SIGKILL) at a random moment:
//
//	full disk   the file system of the journal is filled to the last byte
//	EIO         the kernel answers its writes and syncs with EIO (strace replaces the answer of the call)
//	clock       its wall clock is set, by up to 400 days
//	deleted     its file is removed
//	page        a page in the middle of its file is overwritten
//
// InfluxDB is away all the while and comes at the end. Then each message that was acknowledged is in InfluxDB,
// or in a counted gap of the journal: where recording had stopped on a full or failing disk, or the page that
// was overwritten held it. Twice in the journal is only what a kill kept from being acknowledged and came again.
//
// STIRWATCH_TEST_KILLS=200 does it so many times.
func TestKillsAndFaultsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("STIRWATCH_TEST_KILLS"), "6"))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(rounds)
	if s := os.Getenv("STIRWATCH_TEST_SEED"); s != "" {
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	influxd := parts.StartInfluxd(t, "kills")
	influxd.Stop(syscall.SIGTERM)
	b := newBench(t, rand.New(rand.NewPCG(23, seed)), influxd.URL)
	began := time.Now()
	agent := b.run()
	load := b.publish()
	faults := b.faults()
	injected := map[string]int{}
	for round := range rounds {
		b.rng.Shuffle(len(faults), func(i, k int) { faults[i], faults[k] = faults[k], faults[i] })
		var heal []func()
		life := time.Duration(300+b.rng.IntN(1500)) * time.Millisecond
		for _, f := range faults[:1+b.rng.IntN(3)] {
			time.Sleep(time.Duration(b.rng.IntN(300)) * time.Millisecond)
			injected[f.name]++
			h, lasts := f.inject(agent)
			heal = append(heal, h)
			life = max(life, lasts)
		}
		time.Sleep(time.Duration(b.rng.Int64N(int64(life))))
		if b.rng.IntN(2) == 0 { // what is healed before the kill, the agent must get over by itself
			for _, h := range heal {
				h()
			}
			heal = nil
			time.Sleep(time.Duration(b.rng.IntN(1500)) * time.Millisecond)
		}
		agent.end(syscall.SIGKILL)
		load.killed()
		for _, h := range heal {
			h()
		}
		b.clearAside()
		agent = b.run()
		if round%20 == 19 {
			t.Logf("%d kills after %v", round+1, time.Since(began).Round(time.Second))
		}
	}
	load.end()
	influxd.Start()
	for sending := time.Now(); !b.allSent(); time.Sleep(100 * time.Millisecond) {
		if time.Since(sending) > patience+time.Duration(rounds)*time.Second {
			t.Fatal("not all is sent")
		}
	}
	if code := agent.end(syscall.SIGTERM); code != 0 {
		t.Errorf("the agent ended with %d", code)
	}
	b.judge(load, influxd)
	t.Logf("%d kills in %v, faults injected: %v", rounds, time.Since(began).Round(time.Second), injected)
}

// killBench is an agent that is its own broker, with its journal on a file system of its own.
type killBench struct {
	t               *testing.T
	rng             *rand.Rand
	disk            string // "": no file system of its own
	dir, path, conf string
	address, clock  string
	base            int64 // stamp of the first message
	aside           int   // files that the agent set aside
}

func newBench(t *testing.T, rng *rand.Rand, influx string) *killBench {
	b := &killBench{t: t, rng: rng, dir: t.TempDir(), base: time.Now().UnixNano()}
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=400m"); err != nil {
		t.Logf("a small file system cannot be mounted here, the disk will not be full: %v", err)
	} else {
		b.disk = disk
		t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	}
	b.path, b.clock = filepath.Join(disk, "j.db"), filepath.Join(b.dir, "clock")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = free.Addr().String()
	free.Close()
	b.conf = filepath.Join(b.dir, "agent.yaml")
	if err := os.WriteFile(b.conf, []byte(fmt.Sprintf(`machine: own
channels: {n: {unit: 1, max_age: 0 s}}
sources: {gate: {mqtt: {listen: tcp://%s, clock: device, topics: [{topic: n, payload: json, channel: n, time: {key: ts, unit: ns}}]}}}
journal: {path: %s, health: 1 d}
influxdb: {url: %s, org: none, bucket: kills/autogen}
api: {socket: agent.sock}
`, b.address, b.path, influx)), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *killBench) run() *process {
	p := &process{t: b.t, name: "agent", cmd: exec.Command(program(b.t), "run", "-c", b.conf)}
	p.cmd.Env = append(os.Environ(), setClock+"="+b.clock)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.run()
	p.says("listening at", 1)
	return p
}

// A journalFault is injected into a running agent. It lasts until it is healed, and tells how long it may be let be.
type journalFault struct {
	name   string
	inject func(*process) (heal func(), lasts time.Duration)
}

func nothing() {}

func (b *killBench) faults() []journalFault {
	all := []journalFault{
		{"clock", func(*process) (func(), time.Duration) {
			by := time.Duration(b.rng.Int64N(int64(800*24*time.Hour))) - 400*24*time.Hour
			if err := os.WriteFile(b.clock, []byte(by.String()), 0o600); err != nil {
				b.t.Error(err)
			}
			return nothing, 0
		}},
		{"deleted", func(*process) (func(), time.Duration) {
			os.Remove(b.path)
			if b.rng.IntN(2) == 0 {
				os.Remove(b.path + "-wal")
				os.Remove(b.path + "-shm")
			}
			return nothing, 0
		}},
		{"page", func(*process) (func(), time.Duration) {
			f, err := os.OpenFile(b.path, os.O_RDWR, 0)
			if errors.Is(err, fs.ErrNotExist) { // just deleted
				return nothing, 0
			} else if err != nil {
				b.t.Error(err)
				return nothing, 0
			}
			defer f.Close()
			if i, err := f.Stat(); err == nil && i.Size() > 64<<12 {
				page := make([]byte, 4096)
				for k := range page {
					page[k] = byte(b.rng.Uint32())
				}
				pages := i.Size() / 4096
				if _, err := f.WriteAt(page, (pages/10+b.rng.Int64N(pages*8/10))*4096); err != nil {
					b.t.Error(err)
				}
			}
			return nothing, 0
		}},
	}
	if b.disk != "" {
		all = append(all, journalFault{"full disk", b.fill})
	}
	if strace, err := exec.LookPath("strace"); err == nil {
		all = append(all, journalFault{"EIO", func(p *process) (func(), time.Duration) { return b.failWrites(strace, p) }})
	} else {
		b.t.Log("no EIO is injected: ", err)
	}
	return all
}

// fill takes all room of the disk.
func (b *killBench) fill(*process) (heal func(), lasts time.Duration) {
	name := filepath.Join(b.disk, "others")
	f, err := os.Create(name)
	if err != nil {
		b.t.Error(err)
		return nothing, 0
	}
	for size := 1 << 20; size >= 4096; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 16
		}
	}
	f.Close()
	return func() { os.Remove(name) }, 8 * time.Second // longer than senders are held back
}

// failWrites lets the kernel refuse whatever the process writes to files, or syncs.
func (b *killBench) failWrites(strace string, p *process) (heal func(), lasts time.Duration) {
	const calls = "pwrite64,fsync,fdatasync,ftruncate"
	c := exec.Command(strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+calls, "-e", "inject="+calls+":error=EIO", "-p", strconv.Itoa(p.cmd.Process.Pid))
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		b.t.Error(err)
		return nothing, 0
	}
	return sync.OnceFunc(func() { c.Process.Signal(syscall.SIGINT); c.Wait() }), 7 * time.Second
}

func (b *killBench) allSent() bool {
	r, err := journal.OpenReader(b.path)
	if err != nil {
		return false
	}
	defer r.Close()
	waits, err := r.Waiting()
	return err == nil && waits.Lines == 0
}

// clearAside removes what the agent has set aside, as a person would in time.
func (b *killBench) clearAside() {
	old, _ := filepath.Glob(b.path + ".2*")
	for _, name := range old {
		os.Remove(name)
	}
	b.aside += len(old)
}

// killLoad publishes at a steady rate and knows what became of each message.
type killLoad struct {
	b      *killBench
	client paho.Client
	stop   chan struct{}
	done   chan struct{}

	mu      sync.Mutex
	sent    int
	kills   int
	atSend  []int // kills so far when it was sent first
	acked   []int // kills so far when it was acknowledged, -1: never
	waiting sync.WaitGroup
}

const (
	killRate   = 2500 // messages a second
	killWindow = 20000
	killApart  = int64(1000) // ns between two stamps
)

func (b *killBench) publish() *killLoad {
	l := &killLoad{b: b, stop: make(chan struct{}), done: make(chan struct{})}
	l.client = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + b.address).SetClientID("gate").SetCleanSession(false).
		SetConnectRetry(true).SetConnectRetryInterval(20 * time.Millisecond).SetMaxReconnectInterval(50 * time.Millisecond).SetMessageChannelDepth(killWindow))
	if token := l.client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		b.t.Fatal(token.Error())
	}
	window := make(chan struct{}, killWindow)
	go func() {
		defer close(l.done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
			}
			for range killRate / 100 {
				select {
				case window <- struct{}{}:
				case <-l.stop:
					return
				}
				l.mu.Lock()
				n := l.sent
				l.sent++
				l.atSend, l.acked = append(l.atSend, l.kills), append(l.acked, -1)
				l.mu.Unlock()
				l.waiting.Add(1)
				go func() {
					defer l.waiting.Done()
					text := fmt.Sprintf(`{"ts":%d,"value":%d}`, b.base+int64(n)*killApart, n)
					for {
						token := l.client.Publish("n", 1, false, text)
						if <-token.Done(); token.Error() == nil {
							break
						} // the client did not take it: it was just losing its connection
					}
					l.mu.Lock()
					l.acked[n] = l.kills
					l.mu.Unlock()
					<-window
				}()
			}
		}
	}()
	return l
}

// killed notes a kill. What is acknowledged while it dies counts as before it.
func (l *killLoad) killed() {
	l.mu.Lock()
	l.kills++
	l.mu.Unlock()
}

// end sends no more and waits until all is acknowledged.
func (l *killLoad) end() {
	close(l.stop)
	<-l.done
	all := make(chan struct{})
	go func() { l.waiting.Wait(); close(all) }()
	select {
	case <-all:
	case <-time.After(2 * patience):
		l.b.t.Fatal("not everything is acknowledged")
	}
	l.client.Disconnect(0)
}

// judge compares what was acknowledged with what is there.
func (b *killBench) judge(l *killLoad, influxd *parts.Influxd) {
	t := b.t
	points := make([]bool, l.sent)
	if _, err := influxd.Query(`from(bucket:"kills/autogen") |> range(start: 0, stop: 2100-01-01T00:00:00Z) |> filter(fn: (r) => r._measurement == "samples" and r.channel == "n" and r._field == "value") |> keep(columns: ["_time", "_value"])`,
		func(row map[string]any) {
			at := row["_time"].(time.Time).UnixNano() - b.base
			n := at / killApart
			if at%killApart != 0 || n < 0 || n >= int64(l.sent) || row["_value"].(float64) != float64(n) {
				t.Errorf("a point that was never sent: %v", row)
				return
			}
			points[n] = true
		}); err != nil {
		t.Fatal(err)
	}
	r, err := journal.OpenReader(b.path)
	if err != nil {
		t.Fatal(err)
	}
	gaps, err := r.Gaps()
	r.Close()
	if err != nil {
		t.Fatal(err)
	}
	counted, reasons := 0, map[string]int{}
	for _, g := range gaps {
		counted += g.Lines
		reason, _, _ := strings.Cut(g.Reason, ";")
		reasons[reason] += g.Lines
	}
	missing, first := 0, -1
	for n := range l.sent {
		if !points[n] {
			if missing++; first < 0 {
				first = n
			}
		}
	}
	seen, again, wrong := make([]int, l.sent), 0, 0
	for n := range b.recorded() {
		if n < 0 || n >= l.sent {
			wrong++
			continue
		}
		if seen[n]++; seen[n] > 1 {
			if again++; l.acked[n] == l.atSend[n] {
				t.Errorf("message %d was acknowledged without a kill between, and is there %d times", n, seen[n])
			}
		}
	}
	t.Logf("%d messages acknowledged, %d points in InfluxDB, %d not there, the first %d; gaps count %d lines: %v; %d came again after a kill and are in the journal twice; %d files were set aside",
		l.sent, len(slices.DeleteFunc(slices.Clone(points), func(there bool) bool { return !there })), missing, first, counted, reasons, again, b.aside)
	if missing > counted {
		t.Errorf("%d acknowledged messages are not there, and the gaps count %d", missing, counted)
	}
	if wrong > 0 {
		t.Errorf("%d rows were never sent", wrong)
	}
}

// recorded gives the messages in the journal.
func (b *killBench) recorded() func(yield func(int) bool) {
	return func(yield func(int) bool) {
		out := filepath.Join(b.dir, "out.csv")
		if text, err := exec.Command(program(b.t), "export", "--journal", b.path, "--format", "csv", "-o", out).CombinedOutput(); err != nil {
			b.t.Logf("export: %v\n%s", err, text) // damage is told so; the rest is there
		}
		f, err := os.Open(out)
		if err != nil {
			b.t.Fatal(err)
		}
		defer f.Close()
		rows := csv.NewReader(f)
		rows.ReuseRecord = true
		rows.Read()
		for {
			row, err := rows.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				b.t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339Nano, row[0])
			if err != nil {
				b.t.Fatal(err)
			}
			v, err := strconv.ParseFloat(row[2], 64)
			n := int((at.UnixNano() - b.base) / killApart)
			if err != nil || v != float64(n) {
				b.t.Errorf("%v", row)
			}
			if !yield(n) {
				return
			}
		}
	}
}
