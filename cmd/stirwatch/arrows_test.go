package main

import (
	"bytes"
	"cmp"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms are the top-level folders that hold Go code. The value says which rooms a room may
// import, with the reason that a failing test gives. A room always may import its own packages.
var rooms = map[string]struct {
	may []string
	why string
}{
	"config":          {nil, "configuration is plain data; cmd turns its sections into each room's Options"},
	"sensors":         {nil, "drivers must be testable and usable without an agent"},
	"dynamics":        {nil, "numbers in, numbers out: models know no channels, clocks or logs"},
	"firmware-bridge": {nil, "the last gate before the machine must not depend on the code it guards"},
	"control":         {[]string{"dynamics"}, "control knows a model and an estimate, never a device"},
	"agent":           {[]string{"sensors", "dynamics", "control", "firmware-bridge"}, "the agent owns the tick and the interfaces it uses; configuration reaches it as Options"},
	"cmd":             {[]string{"config", "sensors", "dynamics", "control", "firmware-bridge", "agent"}, "wiring"},
}

// exceptions are arrows that every rule above forbids and that stand for a written reason.
var exceptions = []struct{ from, to, why string }{
	{"", "stirwatch/sensors/unit", "one table of units for all rooms; it imports the standard library alone (docs/decisions/0002-units.md)"},
	{"", "stirwatch/cmd/parts", "real programs for the tests of all rooms; it imports nothing of ours, and what is no test may not import it"},
	{"firmware-bridge/twin", "stirwatch/dynamics/gcode", "one reader of programs; it imports the standard library alone (docs/decisions/0013-the-program-is-the-plan.md)"},
	{"firmware-bridge/twin", "stirwatch/sensors/wire", "a simulated device speaks with the codecs that read it"},
	{"firmware-bridge/twin", "stirwatch/sensors", "the words of those codecs"},
	{"firmware-bridge/twin/play", "stirwatch/sensors/runlog", "a recorded run is played"},
	{"firmware-bridge/twin/play", "stirwatch/sensors/serialport", "the tests read what is played as the agent does"},
	{"firmware-bridge/firmware", "stirwatch/sensors", "the firmware's tests read it as the agent does"},
	{"firmware-bridge/firmware", "stirwatch/sensors/wire", "the firmware's tests read it as the agent does"},
	{"firmware-bridge/firmware", "stirwatch/sensors/serialport", "the firmware's tests read it as the agent does"},
}

// upward are arrows between the packages of one room that run the wrong way.
var upward = []struct{ from, to, why string }{
	{"firmware-bridge", "stirwatch/firmware-bridge/dialect", "leases, limits and the watchdog know no controller; a dialect implements what they ask for"},
}

// ladder orders the packages of dynamics: each may import those before it.
var ladder = []string{"num", "watch", "gcode", "phase", "signature", "expr", "model", "system", "filter", "program", "runs", "score", "learn", "report"}

// step is the place of a package of dynamics on the ladder, -1 where it has none.
func step(path string) int {
	rest, ok := strings.CutPrefix(path, "dynamics/")
	if !ok {
		return -1
	}
	name, _, _ := strings.Cut(rest, "/")
	return slices.Index(ladder, name)
}

// forbidden are imports of one room that the design keeps out of all the others.
var forbidden = []struct{ prefix, only, why string }{
	{"go.bug.st/serial", "sensors/serialport firmware-bridge/dialect", "third-party drivers stay in their driver"},
	{"github.com/eclipse/paho.mqtt.golang", "sensors/mqtt firmware-bridge/dialect firmware-bridge/twin agent/notify", "third-party drivers stay in their driver"},
	{"github.com/influxdata/influxdb-client-go", "agent/influx cmd/parts", "only the uploader speaks to InfluxDB"},
	{"modernc.org/sqlite", "agent/journal", "only the journal opens the database"},
	{"github.com/parquet-go", "", "it links 7 MB; agent/journal/export writes what it needs, and tests read it with this library"},
	{"github.com/mochi-mqtt", "cmd sensors/mqtt", "the broker that the agent itself can be is a source; else one is for the demo and for tests"},
	{"stirwatch/cmd", "cmd", "nothing imports the wiring"},
	{"stirwatch/agent/journal/journaltest", "agent/journal/journaltest", "it is for tests"},
}

func TestArrowsBetweenRooms(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		files++
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			target, _ := strconv.Unquote(imp.Path.Value)
			if why := broken(rel, target); why != "" {
				t.Errorf("%s imports %s: %s", rel, target, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("only %d Go files found below %s", files, root)
	}
}

// broken gives the reason why file (slash-separated, from the root) must not import target, or "".
func broken(file, target string) string {
	dir, test := filepath.ToSlash(filepath.Dir(file)), strings.HasSuffix(file, "_test.go")
	for _, f := range forbidden {
		if !strings.HasPrefix(target, f.prefix) || test {
			continue
		}
		allowed := false
		for _, only := range strings.Fields(f.only) {
			allowed = allowed || dir == only || strings.HasPrefix(dir, only+"/")
		}
		if !allowed {
			return f.why + "; only " + cmp.Or(f.only, "a test") + " may"
		}
	}
	rest, ours := strings.CutPrefix(target, "stirwatch/")
	if !ours {
		return ""
	}
	for _, e := range exceptions {
		if target == e.to && strings.HasPrefix(dir, e.from) {
			return ""
		}
	}
	for _, u := range upward {
		if target == u.to && u.from == dir {
			return u.why
		}
	}
	from, to := room(file), room(rest)
	if to == "dynamics" {
		switch at := step(rest); {
		case at < 0:
			return "dynamics holds " + strings.Join(ladder, ", ") + ", in this order, and no other package"
		case from == "dynamics" && step(dir) >= 0 && at > step(dir):
			return "dynamics is a ladder: " + strings.Join(ladder, ", ") + "; a package imports those before it"
		case !test && (from == "agent" || from == "control") && at >= slices.Index(ladder, "learn"):
			return "what runs on the tick does not carry what learns"
		}
	}
	if from == to {
		return ""
	}
	r, known := rooms[from]
	if !known {
		return "the top level holds " + strings.Join(roomNames(), ", ") + " and no other room"
	}
	for _, m := range r.may {
		if m == to {
			return ""
		}
	}
	return r.why
}

func room(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

func roomNames() []string {
	var names []string
	for n := range rooms {
		names = append(names, n)
	}
	return names
}

func TestBrokenArrowsAreNamed(t *testing.T) {
	for _, c := range []struct{ file, target, want string }{
		{"sensors/mqtt/mqtt.go", "stirwatch/agent/journal", "drivers must be testable"},
		{"dynamics/filter/estimator.go", "stirwatch/sensors", "numbers in, numbers out"},
		{"dynamics/filter/estimator.go", "stirwatch/sensors/unit", ""},
		{"dynamics/filter/estimator.go", "stirwatch/dynamics/system", ""},
		{"dynamics/filter/estimator.go", "stirwatch/dynamics/score", "dynamics is a ladder"},
		{"dynamics/learn/learn.go", "stirwatch/dynamics/score", ""},
		{"dynamics/model/model.go", "stirwatch/dynamics/other", "no other package"},
		{"agent/agent.go", "stirwatch/dynamics/filter", ""},
		{"agent/agent.go", "stirwatch/dynamics/learn", "what runs on the tick"},
		{"firmware-bridge/bridge.go", "stirwatch/control", "must not depend on the code it guards"},
		{"firmware-bridge/bridge.go", "stirwatch/firmware-bridge/dialect", "know no controller"},
		{"firmware-bridge/dialect/line.go", "stirwatch/firmware-bridge", ""},
		{"firmware-bridge/pilot.go", "go.bug.st/serial", "stay in their driver"},
		{"control/control.go", "stirwatch/dynamics/filter", ""},
		{"agent/agent.go", "stirwatch/config", "configuration reaches it as Options"},
		{"agent/agent.go", "github.com/eclipse/paho.mqtt.golang", "stay in their driver"},
		{"agent/influx/influx.go", "github.com/influxdata/influxdb-client-go/v2", ""},
		{"agent/agent.go", "stirwatch/cmd/parts", "nothing imports the wiring"},
		{"agent/agent_test.go", "stirwatch/cmd/parts", ""},
		{"agent/history/history.go", "stirwatch/agent/journal/journaltest", "it is for tests"},
		{"agent/history/history_test.go", "stirwatch/agent/journal/journaltest", ""},
		{"helpers/x.go", "stirwatch/sensors", "no other room"},
	} {
		got := broken(c.file, c.target)
		if c.want == "" && got != "" || c.want != "" && !strings.Contains(got, c.want) {
			t.Errorf("%s -> %s: %q, want %q", c.file, c.target, got, c.want)
		}
	}
}

// heavy are packages whose weight the agent would carry in memory for nothing.
var heavy = map[string]string{
	"github.com/influxdata/influxdb-client-go/v2/domain": "code generated from all of InfluxDB's interface; api/http alone does not bring it",
	"github.com/parquet-go/parquet-go":                   "agent/journal/export writes the one schema there is",
	"google.golang.org/protobuf/proto":                   "nothing here speaks protobuf",
	"runtime/cgo":                                        "a static binary has no C library to map",
}

func TestProgramLinksNothingHeavy(t *testing.T) {
	c := exec.Command("go", "list", "-deps", ".")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "stirwatch/agent/influx") {
		t.Fatalf("the list of what is linked is not to be believed: %d packages", len(linked))
	}
	for _, name := range linked {
		if why, no := heavy[name]; no {
			t.Errorf("%s is linked: %s", name, why)
		}
	}
}

// The page of the architecture has a row for every package and for none else, with about as many lines as it has
// (without tests), and names no file that is not there.
func TestArrowsPageTellsWhatThereIs(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| (?:\\*\\*)?`([a-z/-]+)`(?:\\*\\*)? \\|.*\\| (\\d*) \\|$").FindAllStringSubmatch(string(text), -1) {
		told[m[1]], _ = strconv.Atoi(m[2])
	}
	is := map[string]int{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		dir, _ := filepath.Rel(root, filepath.Dir(path))
		is[filepath.ToSlash(dir)] += 0
		if !strings.HasSuffix(path, "_test.go") {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is[filepath.ToSlash(dir)] += bytes.Count(b, []byte("\n"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, lines := range is {
		if about, ok := told[name]; !ok {
			t.Errorf("docs/architecture.md has no row of %s (%d lines)", name, lines)
		} else if off := lines - about; max(off, -off) > 200+about/3 {
			t.Errorf("docs/architecture.md gives %s %d lines, it has %d", name, about, lines)
		}
	}
	for name := range told {
		if _, ok := is[name]; !ok && name != "dynamics" && name != "cmd" {
			t.Errorf("docs/architecture.md tells of %s, which is not there", name)
		}
	}
	for _, m := range regexp.MustCompile("`([a-z-]+/[a-z/_-]+\\.go)`").FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("docs/architecture.md names %s: %v", m[1], err)
		}
	}
}

func TestTopLevelHoldsTheFixedRooms(t *testing.T) {
	for _, name := range []string{"agent", "sensors", "dynamics", "control", "config", "firmware-bridge", "cmd", "go.mod", "go.sum", "agent.yaml"} {
		if _, err := os.Stat(filepath.Join("..", "..", name)); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// The page of faults names tests that are there.
func TestFaultsPageNamesTestsThatAre(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Benchmark)[A-Z]\\w+)`").FindAllSubmatch(page, -1)
	if len(named) < 100 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, m := range named {
		if !there[string(m[1])] {
			t.Errorf("docs/faults.md names %s, which is not there", m[1])
		}
	}
}
