package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"stirwatch/cmd/assemble"
	"stirwatch/cmd/parts"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// This file holds the parts of the tests from end to end: the program itself, a real broker, a
// real InfluxDB and a recorded run. All are processes ended by their own id.

// patience bounds every wait for something that must happen.
const patience = 3 * time.Minute

// The recordings: one to learn from, another to watch, and a light plunge that was stopped.
const (
	plunged = "20250707144618"
	watched = "20250708104310"
	learned = "20250707151600"
)

// asProgram in the environment makes this test binary the program: it is built already, and looks for
// data races where the tests do. It then ends with code 66.
const asProgram = "STIRWATCH_TEST_AS_PROGRAM"

// setClock in the environment names a file that says by how much the program's wall clock is set wrong.
const setClock = "STIRWATCH_TEST_CLOCK"

func clockSet(path string) time.Duration {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	d, _ := time.ParseDuration(string(text)) // being written: as it was at first
	return d
}

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if path := os.Getenv(setClock); path != "" {
			assemble.WallClock = func(t time.Time) int64 { return t.Add(clockSet(path)).UnixNano() }
		}
		main()
		return
	}
	os.Setenv(asProgram, "yes") // of every program started from here
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // instead of a second at each end of the program
	}
	var err error
	if scratch, err = os.MkdirTemp("", "stirwatch-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// program is stirwatch, with the race detector where the tests have it.
func program(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// fixture is a file that is made once for all tests.
type fixture struct {
	once sync.Once
	name string
	err  error
}

// made runs a command that writes what comes after -o, and gives the path.
func (f *fixture) made(t testing.TB, command ...string) string {
	t.Helper()
	path := filepath.Join(scratch, f.name)
	f.once.Do(func() {
		c := exec.Command(command[0], append(command[1:], "-o", path)...)
		if out, err := c.CombinedOutput(); err != nil {
			f.err = fmt.Errorf("%s: %w\n%s", c, err, out)
		}
	})
	if f.err != nil {
		t.Fatal(f.err)
	}
	return path
}

var scratch string // folder of the fixtures
var plainProgram, learnedModel = fixture{name: "stirwatch"}, fixture{name: "model.json"}

// plain is the program without the race detector, for what waits for nothing and shares nothing:
// learning is ten times slower under it, and has it in the tests of dynamics. It gives way to what
// plays in real time.
func plain(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return exec.Command("nice", append([]string{plainProgram.made(t, "go", "build")}, args...)...)
}

// learnedOnce is the model document of the recording to learn from.
func learnedOnce(t testing.TB) string {
	return learnedModel.made(t, plain(t, "learn", recording(t, learned)).Args...)
}

// csvRows are the rows of a CSV file, its header first.
func csvRows(t testing.TB, path string) [][]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// recording is the path of a recorded run.
func recording(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "shared", "data", name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the recorded depositions are not beside the project: %v", err)
	}
	return path
}

// wait returns once is holds.
func wait(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// process is a program that was started; what it says is kept.
type process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu  sync.Mutex
	out bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start starts a program; it ends with the test.
func start(t testing.TB, name, bin string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(bin, args...)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.run()
	return p
}

func (p *process) run() {
	p.t.Helper()
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // should the tests be killed
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("%s: %v", p.name, err)
	}
	p.done = make(chan struct{})
	go func() { p.cmd.Wait(); close(p.done) }()
	p.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if p.t.Failed() {
			said := p.said()
			p.t.Logf("%s said:\n%s", p.name, said[max(0, len(said)-3000):])
		}
	})
}

// end sends a signal and gives the exit code, -1 after a deadly signal.
func (p *process) end(s os.Signal) int {
	p.t.Helper()
	p.cmd.Process.Signal(s)
	return p.ended()
}

// ended waits for the end of a process and gives its exit code.
func (p *process) ended() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * patience): // a whole play
		p.t.Fatalf("%s does not end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// says waits until the process has said text n times.
func (p *process) says(text string, n int) {
	p.t.Helper()
	wait(p.t, fmt.Sprintf("%s says %q, %d times", p.name, text, n), func() bool {
		said := strings.Count(p.said(), text) >= n
		select {
		case <-p.done:
			if !said {
				p.t.Fatalf("%s has ended without saying %q", p.name, text)
			}
		default:
		}
		return said
	})
}

// stirwatch runs the program to its end and gives what it printed; it must succeed.
func stirwatch(t testing.TB, args ...string) string {
	t.Helper()
	return succeeds(t, exec.Command(program(t), args...))
}

// plainly does the same without the race detector.
func plainly(t testing.TB, args ...string) string {
	t.Helper()
	return succeeds(t, plain(t, args...))
}

func succeeds(t testing.TB, c *exec.Cmd) string {
	t.Helper()
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", c, err, out)
	}
	return string(out)
}

// player is a running `stirwatch play`, without the race detector, which its own tests have; its progress goes to a
// terminal of its own.
type player struct {
	*process
	row atomic.Int64 // played last
}

var rowOf = regexp.MustCompile(`row (\d+) of`)

func startPlay(t testing.TB, args ...string) *player {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	p := &player{process: &process{t: t, name: "play", cmd: exec.Command(plainProgram.made(t, "go", "build"), append([]string{"play"}, args...)...)}}
	p.cmd.Stdout, p.cmd.Stderr = p.process, tty
	p.run()
	tty.Close()
	go func() {
		defer master.Close()
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil { // the player has ended
				return
			}
			if all := rowOf.FindAllSubmatch(buf[:n], -1); all != nil {
				row, _ := strconv.Atoi(string(all[len(all)-1][1]))
				p.row.Store(int64(row))
			}
		}
	}()
	return p
}

// reaches waits until a row is played.
func (p *player) reaches(row int64) {
	p.t.Helper()
	wait(p.t, fmt.Sprintf("row %d is played", row), func() bool { return p.row.Load() >= row })
}

// played waits for the end of the play and checks that it got everything off.
func (p *player) played() {
	p.t.Helper()
	if code := p.ended(); code != 0 {
		p.t.Fatalf("play ends with code %d", code)
	}
	if said := p.said(); !strings.Contains(said, " 0 dropped, 0 unacknowledged") {
		p.t.Errorf("play: %s", said)
	}
}

// broker is a real one.
type broker struct{ *parts.Mosquitto }

func startMosquitto(t testing.TB) broker { return broker{parts.StartMosquitto(t)} }

// subscribed waits until the agent has subscribed.
func (b broker) subscribed(t testing.TB) {
	t.Helper()
	wait(t, "the agent has subscribed", func() bool {
		return strings.Contains(b.Said(), "stirwatch-cell-1-telemetry 1 afsd/cell1/frame")
	})
}

// influxd is a real InfluxDB with a database e2e.
type influxd struct {
	*parts.Influxd
	t testing.TB
}

func startInfluxd(t testing.TB) influxd { return influxd{parts.StartInfluxd(t, "e2e"), t} }

// query runs Flux over everything of a measurement and calls each with every row.
func (d influxd) query(measurement, rest string, each func(row map[string]any)) {
	d.t.Helper()
	flux := fmt.Sprintf(`from(bucket: "e2e/autogen") |> range(start: 2020-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z) |> filter(fn: (r) => r._measurement == %q) %s`, measurement, rest)
	if _, err := d.Query(flux, each); err != nil {
		d.t.Fatalf("%s: %v", flux, err)
	}
}

// count is the number of rows of a query.
func (d influxd) count(measurement, rest string) int {
	d.t.Helper()
	n := 0
	d.query(measurement, rest, func(map[string]any) { n++ })
	return n
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// contents is what the file at path holds.
func contents(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// demoModel is a model that is learned from builds of the simulated machine.
const demoModel = "../demo/model.json"

// site is a folder with an agent's configuration, journal and serial link.
type site struct {
	t                   testing.TB
	conf, journal, link string
	plain               bool // the agent runs without the race detector, ten times as fast
}

// newSite writes agent.yaml for the devices that `stirwatch play` stands in for.
func newSite(t testing.TB, broker, influxURL, model string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{t: t, conf: filepath.Join(dir, "agent.yaml"), journal: filepath.Join(dir, "journal.db"), link: filepath.Join(dir, "thermocouple")}
	var b strings.Builder
	var telemetry []string
	for _, c := range runlog.MELDChannels() {
		if c.Role != sensors.ToolTemperature {
			telemetry = append(telemetry, c.Name+": "+c.Name)
		}
	}
	b.WriteString("machine: cell-1\ntick: {rate: 100 Hz, clock: device}\n")
	b.WriteString(channelSection())
	fmt.Fprintf(&b, `sources:
  thermocouple:
    serial:
      port: %s
      clock: device
      time: {key: 1, unit: ns}
      silence: 1 s
      fields:
        tool_temperature: {key: 2, sentinel: [-2]}
  telemetry:
    mqtt:
      broker: %s
      clock: device
      silence: 1 s
      topics:
        - topic: afsd/cell1/frame
          payload: frame
          time: {key: ts, unit: ns}
          fields: {%s}
process:
  set_point: {min: 300 °C, max: 480 °C}
  spindle: {min: 300 rpm, max: 450 rpm}
  ceiling: 577 °C
journal: {path: journal.db, health: 1 s}
`, s.link, broker, strings.Join(telemetry, ", "))
	if model != "" {
		fmt.Fprintf(&b, "model: {file: %s}\n", model)
	}
	if influxURL != "" {
		fmt.Fprintf(&b, "influxdb: {url: %q, org: any, bucket: e2e/autogen, flush: 200 ms}\n", influxURL)
	}
	write(t, s.conf, b.String())
	return s
}

// channelSection declares the channels of a MELD log. Played 50 times as fast, a message that is
// late by 60 ms is late by 3 s of the run: the longest ages are as much longer.
func channelSection() string {
	var b strings.Builder
	b.WriteString("channels:\n")
	for _, c := range runlog.MELDChannels() {
		fmt.Fprintf(&b, "  %s: {is: %s, unit: %q, max_age: %g s", c.Name, c.Role, c.Unit.Symbol, 50*c.MaxAge.Seconds())
		if c.Min != 0 || c.Max != 0 {
			fmt.Fprintf(&b, ", min: %g %s, max: %g %s", c.Min, c.Unit.Symbol, c.Max, c.Unit.Symbol)
		}
		if c.MaxRate != 0 {
			fmt.Fprintf(&b, ", max_rate: %g K/s", c.MaxRate)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// with writes the configuration once more with parts of it replaced, and gives its path.
func (s *site) with(oldnew ...string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.conf)
	if err != nil {
		s.t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(s.conf), "changed.yaml")
	write(s.t, path, strings.NewReplacer(oldnew...).Replace(string(text)))
	return path
}

// run starts the agent.
func (s *site) run() *process {
	s.t.Helper()
	bin := program(s.t)
	if s.plain {
		bin = plainProgram.made(s.t, "go", "build")
	}
	p := start(s.t, "agent", bin, "run", "-c", s.conf)
	p.says("stirwatch starts", 1)
	return p
}

// instant is one reading's place.
type instant struct {
	channel string
	time    int64
}

// reading is what stands there.
type reading struct {
	value           float64
	quality, reason string
}

func (r reading) good() bool { return r.quality == "" }

func (r reading) same(o reading) bool {
	return math.Float64bits(r.value) == math.Float64bits(o.value) && r.quality == o.quality && r.reason == o.reason
}

// expected is everything that a play of the log sends, with what the agent must make of it.
func expected(log *runlog.Log) map[instant]reading {
	limits := map[string]sensors.Channel{}
	for _, c := range runlog.MELDChannels() {
		limits[c.Name] = c
	}
	all := map[instant]reading{}
	for i, c := range log.Columns {
		ch := limits[c.Name]
		var last reading
		var lastTime int64
		for row, t := range log.Time {
			v, s := log.Value[i][row], log.Status[i][row]
			r := reading{value: v}
			switch {
			case s.Reason == sensors.Unwired || math.IsNaN(v):
				continue
			case !s.IsGood():
				r.quality, r.reason = s.Signal.String(), s.Reason.String()
			case (ch.Min != 0 || ch.Max != 0) && (v < ch.Min || v > ch.Max):
				r.quality, r.reason = "out_of_specification", "out_of_range"
			case ch.MaxRate > 0 && lastTime != 0 && last.good() && math.Abs(v-last.value) > ch.MaxRate*float64(t-lastTime)/1e9:
				r.quality, r.reason = "out_of_specification", "rate_of_change"
			}
			all[instant{c.Name, t}] = r
			last, lastTime = r, t
		}
	}
	return all
}

// found is every reading in InfluxDB; a place with more than one has them all.
func (d influxd) found() map[instant][]reading {
	d.t.Helper()
	all := map[instant][]reading{}
	d.query("samples", `|> keep(columns: ["_time", "_value", "channel", "quality", "reason"])`, func(row map[string]any) {
		at := instant{text(row["channel"]), row["_time"].(time.Time).UnixNano()}
		v, ok := row["_value"].(float64)
		if !ok {
			d.t.Errorf("%v: value %v is no number", at, row["_value"])
		}
		all[at] = append(all[at], reading{v, text(row["quality"]), text(row["reason"])})
	})
	return all
}

// holds waits until n samples, of those that the filter of Flux lets pass, are there.
func (d influxd) holds(n int, filter string) {
	d.t.Helper()
	there := 0
	defer func() {
		if there < n {
			d.t.Logf("InfluxDB holds %d samples of %d", there, n)
		}
	}()
	wait(d.t, fmt.Sprintf("InfluxDB holds %d samples", n), func() bool {
		there = 0
		d.query("samples", filter+` |> group() |> count()`, func(row map[string]any) {
			n, _ := row["_value"].(int64)
			there = int(n)
		})
		return there >= n
	})
}

func text(v any) string { s, _ := v.(string); return s }

// tally compares what is there with what must be.
type tally struct {
	good, doubtful             int // as they must be
	lost, twice, wrong, unsent int // unsent: there, but nobody sent them
	lostBy                     map[string]int
	first                      string // of the wrong ones
}

func compare(want map[instant]reading, got map[instant][]reading) tally {
	c := tally{lostBy: map[string]int{}}
	for at, w := range want {
		switch g := got[at]; {
		case len(g) == 0:
			c.lost++
			c.lostBy[at.channel]++
		case len(g) > 1:
			c.twice++
			c.first = fmt.Sprintf("%v: %v, want %v", at, g, w)
		case !g[0].same(w):
			c.wrong++
			c.first = fmt.Sprintf("%v: %v, want %v", at, g[0], w)
		case w.good():
			c.good++
		default:
			c.doubtful++
		}
	}
	for at := range got {
		if _, ok := want[at]; !ok {
			c.unsent++
			c.first = fmt.Sprintf("%v: %v, want nothing", at, got[at])
		}
	}
	return c
}

func (c tally) String() string {
	return fmt.Sprintf("%d good and %d doubtful readings once and to the bit; %d lost %v, %d twice, %d wrong, %d never sent %s",
		c.good, c.doubtful, c.lost, c.lostBy, c.twice, c.wrong, c.unsent, c.first)
}

// complete fails the test unless every reading is there once and right.
func (c tally) complete(t testing.TB) {
	t.Helper()
	t.Log(c)
	if c.lost+c.twice+c.wrong+c.unsent != 0 || c.good == 0 {
		t.Errorf("not complete: %v", c)
	}
}
