package main

import (
	"bufio"
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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

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
// or in a counted gap of the journal: where recording had stopped on a full or failing disk, the page that
// was overwritten held it, or the kill came between the removal of the file and the new one. (A file that is
// removed while the disk takes nothing can be saved by nobody who is killed: there the kill waits.) Twice in the journal is only what a kill kept from being acknowledged and came again.
//
// STIRWATCH_TEST_KILLS=200 does it so many times.
func TestKillsAndFaultsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	t.Parallel()
	rounds, err := strconv.Atoi(cmp.Or(os.Getenv("STIRWATCH_TEST_KILLS"), "4"))
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
	load := publish(t, b.address, b.base)
	faults := b.faults()
	injected := map[string]int{}
	for round := range rounds {
		b.rng.Shuffle(len(faults), func(i, k int) { faults[i], faults[k] = faults[k], faults[i] })
		var heal []func()
		life := time.Duration(300+b.rng.IntN(1500)) * time.Millisecond
		chosen := map[string]bool{}
		for _, f := range faults[:1+b.rng.IntN(3)] {
			chosen[f.name] = true
			time.Sleep(time.Duration(b.rng.IntN(300)) * time.Millisecond)
			injected[f.name]++
			h, lasts := f.inject(agent)
			heal = append(heal, h)
			life = max(life, lasts)
		}
		time.Sleep(time.Duration(b.rng.Int64N(int64(life))))
		away := chosen["deleted"] && (chosen["full disk"] || chosen["EIO"])
		if away || b.rng.IntN(2) == 0 { // what is healed before the kill, the agent must get over by itself
			for _, h := range heal {
				h()
			}
			heal = nil
			if away {
				wait(t, "a file to record into", func() bool { _, err := os.Stat(b.path); return err == nil })
			}
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

// killLoad is a client that publishes at a steady rate at QoS 1 and knows what became of each message. It is
// of a few lines so that what is missing cannot be its fault: what was not acknowledged is sent again, in order,
// on the next connection (MQTT 3.1.1, section 4.4).
type killLoad struct {
	t       *testing.T
	address string
	hello   []byte        // CONNECT with the session kept
	base    int64         // stamp of the first message
	stop    chan struct{} // nothing new is sent
	done    chan struct{} // all is acknowledged

	mu     sync.Mutex
	kills  int
	sent   int   // messages so far
	oldest int   // the first that is not acknowledged
	atSend []int // kills so far when it was sent first
	acked  []int // kills so far when it was acknowledged, -1: not yet
}

const (
	killRate   = 2500 // messages a second
	killWindow = 20000
	killApart  = int64(1000) // ns between two stamps
	killIDs    = 60000       // packet identifiers in use
)

// publish begins to send to the broker at address, as a user where it wants one.
func publish(t *testing.T, address string, base int64, login ...string) *killLoad {
	l := &killLoad{t: t, address: address, base: base, stop: make(chan struct{}), done: make(chan struct{})}
	flags, texts := byte(0), append([]string{"gate"}, login...)
	if len(login) > 0 {
		flags = 0xc0 // a name and a password follow
	}
	said := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, flags, 0, 0}
	for _, text := range texts {
		said = append(append(said, 0, byte(len(text))), text...)
	}
	l.hello = append([]byte{0x10, byte(len(said))}, said...)
	go func() {
		defer close(l.done)
		for !l.all() {
			if c, err := net.Dial("tcp", l.address); err == nil {
				l.talk(c)
				c.Close()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return l
}

// all reports whether everything is sent and acknowledged.
func (l *killLoad) all() bool {
	select {
	case <-l.stop:
	default:
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.oldest == l.sent
}

// talk publishes on one connection until it is lost.
func (l *killLoad) talk(c net.Conn) {
	in := bufio.NewReader(c)
	var answer [4]byte
	if _, err := c.Write(l.hello); err != nil {
		return
	}
	if _, err := io.ReadFull(in, answer[:]); err != nil || answer[0] != 0x20 || answer[3] != 0 {
		return
	}
	l.mu.Lock()
	next, end, first := l.oldest, l.sent, l.sent
	l.mu.Unlock()
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		for {
			var p [4]byte
			if _, err := io.ReadFull(in, p[:]); err != nil {
				return
			}
			if p[0] != 0x40 {
				l.t.Errorf("an answer that is no PUBACK: %x", p)
				return
			}
			l.acknowledged(int(p[2])<<8 | int(p[3]))
		}
	}()
	out := bufio.NewWriter(c)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		for ; next < end; next++ {
			l.mu.Lock()
			again := l.acked[next] >= 0
			l.mu.Unlock()
			if again { // it was acknowledged before one that was not
				continue
			}
			text := fmt.Sprintf(`{"ts":%d,"value":%d}`, l.base+int64(next)*killApart, next)
			id, head := next%killIDs+1, byte(0x32)
			if next < first {
				head |= 8 // DUP
			}
			out.Write([]byte{head, byte(5 + len(text)), 0, 1, 'n', byte(id >> 8), byte(id)})
			out.WriteString(text)
		}
		if out.Flush() != nil {
			<-lost
			return
		}
		select {
		case <-lost:
			return
		case <-tick.C:
		}
		if l.all() {
			c.Write([]byte{0xe0, 0}) // DISCONNECT
			c.Close()
			<-lost
			return
		}
		end = l.more()
	}
}

// more gives the number of messages that are to be sent by now.
func (l *killLoad) more() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.stop:
		return l.sent
	default:
	}
	for range killRate / 100 {
		if l.sent-l.oldest < killWindow {
			l.sent++
			l.atSend, l.acked = append(l.atSend, l.kills), append(l.acked, -1)
		}
	}
	return l.sent
}

func (l *killLoad) acknowledged(id int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.oldest + (id-1-l.oldest%killIDs+killIDs)%killIDs
	if n >= l.sent || l.acked[n] >= 0 {
		l.t.Errorf("an acknowledgement of %d, which does not wait for one", n)
		return
	}
	l.acked[n] = l.kills
	for l.oldest < l.sent && l.acked[l.oldest] >= 0 {
		l.oldest++
	}
}

// through is how many messages are acknowledged without one missing between them.
func (l *killLoad) through() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.oldest
}

// killed notes a kill. What is acknowledged while it dies counts as before it.
func (l *killLoad) killed() {
	l.mu.Lock()
	l.kills++
	l.mu.Unlock()
}

// end sends nothing new and waits until all is acknowledged.
func (l *killLoad) end() {
	close(l.stop)
	select {
	case <-l.done:
	case <-time.After(2 * patience):
		l.t.Fatal("not everything is acknowledged")
	}
}

// judge compares what was acknowledged with what is there.
func (b *killBench) judge(l *killLoad, influxd *parts.Influxd) {
	t := b.t
	points := make([]bool, l.sent)
	const page = 200_000 // messages asked for at once
	for first := 0; first < l.sent; first += page {
		stamp := func(n int) string {
			return time.Unix(0, b.base+int64(n)*killApart).UTC().Format(time.RFC3339Nano)
		}
		flux := fmt.Sprintf(`from(bucket:"kills/autogen") |> range(start: %s, stop: %s) |> filter(fn: (r) => r._measurement == "samples" and r.channel == "n" and r._field == "value") |> keep(columns: ["_time", "_value"])`,
			stamp(first), stamp(first+page))
		if _, err := influxd.Query(flux, func(row map[string]any) {
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
	missing, spans := 0, ""
	for n := 0; n < l.sent; n++ {
		first := n
		for n < l.sent && !points[n] {
			n++
		}
		if n > first {
			missing += n - first
			spans += fmt.Sprintf(" %d of %d (sent after %d kills, acknowledged after %d; %d times in the journal)", n-first, first, l.atSend[first], l.acked[first], seen[first])
		}
	}
	t.Logf("%d messages acknowledged, %d not in InfluxDB:%s; gaps count %d lines: %v; %d came again after a kill and are in the journal twice; %d files were set aside",
		l.sent, missing, spans, counted, reasons, again, b.aside)
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
