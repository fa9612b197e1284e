package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"stirwatch/config"
	"stirwatch/dynamics/model"
	"stirwatch/sensors"
)

// command runs the program in a folder and gives its exit code and what it said.
func command(t testing.TB, dir string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return ran(t, plain(t, args...), dir)
}

// ran runs c in a folder to its end.
func ran(t testing.TB, c *exec.Cmd, dir string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = dir, &out, &err
	if e := c.Run(); e != nil && !errors.As(e, new(*exec.ExitError)) {
		t.Fatal(e)
	}
	return c.ProcessState.ExitCode(), out.String(), err.String()
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "wrong.yaml"), "machine: cell-1\n")
	write(t, filepath.Join(dir, "unplugged.yaml"), `machine: cell-1
channels:
  tool_temperature: {is: tool temperature, unit: °C}
sources:
  thermocouple: {serial: {port: no-such-port}}
`)
	for _, c := range []struct {
		args string
		code int
		says string // on standard error, or on standard output where the code is 0
	}{
		{"", 0, "Beside the machine:"},
		{"version", 0, "stirwatch"},
		{"config", 0, "Available Commands"},
		{"config schema", 0, "$schema"},
		{"equation no-such-model.json", 1, "no-such-model.json"},
		{"learn no-such-run.csv", 1, "no-such-run.csv"},
		{"run -c no-such.yaml", 1, "stirwatch config init"},
		{"export --journal no-such.db", 1, "no-such.db"},
		{"ports --listen no-such-port", 1, "no-such-port"},
		{"nonsense", 2, `unknown command "nonsense"`},
		{"rnu", 2, "did you mean run?"},
		{"config chek", 2, "did you mean check?"},
		{"run --nonsense", 2, "stirwatch run --help"},
		{"run nonsense", 2, "stirwatch run --help"},
		{"equation", 2, "stirwatch equation --help"},
		{"play run.csv", 2, "--serial"},
		{"play --mqtt tcp://127.0.0.1:1", 2, "stirwatch play --help"},
		{"play run.csv --mqtt tcp://127.0.0.1:1 --speed -1", 2, "--speed"},
		{"play run.csv --mqtt tcp://127.0.0.1:1 --rows x", 2, "--rows"},
		{"play run.csv --mqtt tcp://127.0.0.1:1 --rows 1:20x", 2, "--rows"},
		{"replay --speed x run.csv", 2, "--speed"},
		{"demo --for soon", 2, "--for"},
		{"run -c wrong.yaml", 3, "channels"},
		{"config check wrong.yaml", 3, "channels"},
		{"config show -c wrong.yaml", 3, "channels"},
		{"replay -c wrong.yaml run.csv", 3, "channels"},
		{"doctor -c unplugged.yaml --patience 1s", 4, "to be mended"},
	} {
		code, stdout, stderr := ran(t, exec.Command(program(t), strings.Fields(c.args)...), dir)
		said := stderr
		if c.code == 0 {
			said = stdout
		}
		if code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("stirwatch %s: exit code %d, want %d, with %q:\n%s%s", c.args, code, c.code, c.says, stdout, stderr)
		}
		if code != 0 && strings.Contains(stderr, "panic") {
			t.Errorf("stirwatch %s panics:\n%s", c.args, stderr)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "completion" || c.Name() == "help" {
			return // cobra's own
		}
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s: help without an example or without a short text", c.CommandPath())
		}
		for line := range strings.Lines(c.Long) {
			if n := utf8.RuneCountInString(line) - 1; n > helpWidth {
				t.Errorf("%s: a line of help has %d columns: %s", c.CommandPath(), n, line)
			}
		}
		for line := range strings.Lines(c.Example) {
			if text := strings.TrimSpace(line); !strings.HasPrefix(text, "stirwatch ") && !strings.HasPrefix(text, "#") {
				t.Errorf("%s: example %q does not begin with the command", c.CommandPath(), text)
			}
		}
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code, stdout, _ := command(t, "", args...); code != 0 || !strings.Contains(stdout, "Examples:\n") || !strings.Contains(stdout, "Usage:\n") {
			t.Errorf("stirwatch %s: exit code %d\n%s", strings.Join(args, " "), code, stdout)
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(rootCommand())
}

// examples are the command lines of this program among lines of shell, as the shell takes them apart.
func examples(t *testing.T, shell string) (all [][]string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(strings.ReplaceAll(shell, "\\\n", " ")) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "stirwatch ") {
			lines = append(lines, line)
		}
	}
	sh := exec.Command("sh", "-c", "stirwatch() { for a; do printf '%s\\036' \"$a\" >&3; done; echo >&3; }\n"+strings.Join(lines, "\n"))
	sh.Dir = t.TempDir()
	out, err := os.Create(filepath.Join(sh.Dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	sh.ExtraFiles = []*os.File{out}
	sh.Run() // what follows a pipe may have nothing to find
	said, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(said)) {
		all = append(all, strings.Split(strings.TrimSuffix(line, "\x1e\n"), "\x1e"))
	}
	if len(all) < len(lines) {
		t.Errorf("of %d lines the shell ran %d commands:\n%s", len(lines), len(all), strings.Join(lines, "\n"))
	}
	return all
}

// takes tells why the program does not take a command line, without running it.
func takes(args []string) error {
	c, rest, err := rootCommand().Find(args)
	if err != nil {
		return err
	}
	c.InitDefaultHelpFlag()
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if err := c.ValidateRequiredFlags(); err != nil {
		return err
	}
	if c.HasSubCommands() && c.Flags().NArg() > 0 {
		return fmt.Errorf("%s has no command %s", c.CommandPath(), c.Flags().Arg(0))
	}
	return c.ValidateArgs(c.Flags().Args())
}

// What help and manual show can be copied into a shell: there are such commands, flags and arguments.
func TestExamplesAreCommandLines(t *testing.T) {
	t.Parallel()
	shell := map[string]string{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		shell[c.CommandPath()+" --help"] = c.Example
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	root := rootCommand()
	for _, sub := range root.Commands() {
		if sub.Name() != "completion" { // cobra's own
			walk(sub)
		}
	}
	shell["stirwatch --help"] = root.Example
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	for _, page := range append(pages, filepath.Join("..", "..", "README.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("(?s)```(?:sh|console|bash)\n(.*?)```").FindAllSubmatch(text, -1) {
			shell[filepath.Base(page)] += string(m[1]) + "\n"
		}
	}
	checked := 0
	for where, lines := range shell {
		for _, args := range examples(t, lines) {
			checked++
			if err := takes(args); err != nil {
				t.Errorf("%s: stirwatch %s: %v", where, strings.Join(args, " "), err)
			}
		}
	}
	if checked < 100 {
		t.Errorf("%d examples", checked)
	}
	if takes([]string{"run", "now"}) == nil || takes([]string{"run", "--fast"}) == nil || takes([]string{"alarms", "lst"}) == nil {
		t.Error("a wrong command line is taken")
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "", "completion", "bash")
	if code != 0 || !strings.Contains(stdout, "__start_stirwatch") {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	script := filepath.Join(t.TempDir(), "completion.bash")
	write(t, script, stdout)
	if out, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
		t.Errorf("bash does not take the script: %v\n%s", err, out)
	}
	// What the script asks when the user presses the tabulator.
	if _, stdout, _ := command(t, "", "__complete", "config", ""); !strings.Contains(stdout, "check\t") || !strings.Contains(stdout, "init\t") {
		t.Errorf("completions of config: %s", stdout)
	}
}

// TestConfigCheckPrintsAllProblems: the command prints every problem that the room config finds,
// to the letter, and nothing else.
func TestConfigCheckPrintsAllProblems(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "config")
	wrong, err := filepath.Glob(filepath.Join(dir, "testdata", "*.bad.yaml"))
	if err != nil || len(wrong) == 0 {
		t.Fatalf("no wrong files: %v", err)
	}
	for _, file := range wrong {
		want, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := command(t, dir, "config", "check", filepath.Join("testdata", filepath.Base(file)))
		if code != exitConfig || stdout != "" || strings.TrimSpace(stderr) != strings.TrimSpace(string(want)) {
			t.Errorf("%s: exit code %d\n%s%s\nwant\n%s", file, code, stdout, stderr, want)
		}
	}
}

func TestConfigInitCheckShow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, step := range []struct {
		args string
		code int
	}{
		{"config init agent.yaml", 0},
		{"config init agent.yaml", 1}, // is there, and stays
		{"config init --force agent.yaml", 0},
		{"config check agent.yaml", 0},
		{"config check", 0},
	} {
		if code, stdout, stderr := command(t, dir, strings.Fields(step.args)...); code != step.code {
			t.Fatalf("stirwatch %s: exit code %d, want %d\n%s%s", step.args, code, step.code, stdout, stderr)
		}
	}
	printed, err := os.ReadFile(filepath.Join(dir, "agent.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(printed), "\n")
	if _, err := os.Stat(filepath.Join(dir, strings.TrimPrefix(first, "# yaml-language-server: $schema="))); err != nil {
		t.Errorf("the schema is not where %q says: %v", first, err)
	}
	if _, stdout, _ := command(t, dir, "config", "init"); stdout != rest {
		t.Error("config init prints another file than it writes")
	}
	if _, stdout, _ := command(t, dir, "--version"); !strings.HasPrefix(stdout, "stirwatch "+version) {
		t.Errorf("--version: %s", stdout)
	}
	_, shown, _ := command(t, dir, "config", "show")
	write(t, filepath.Join(dir, "shown.yaml"), shown)
	if code, _, stderr := command(t, dir, "config", "check", "shown.yaml"); code != 0 {
		t.Errorf("what config show prints is no configuration: %s", stderr)
	}
}

// table reads a forecast CSV and checks its header.
func table(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 || strings.Join(rows[0], ",") != "log,t_index,time_s,horizon,output,forecast,lower,upper,measured,lower_going_on,upper_going_on,stopped,stopped_lower,stopped_upper" {
		t.Fatalf("header %v", rows[:min(1, len(rows))])
	}
	return rows[1:]
}

func TestForecastTable(t *testing.T) {
	t.Parallel()
	path, log, dir, model := recording(t, watched), readLog(t, watched), t.TempDir(), learnedOnce(t)
	const from, to = 300, 420
	base := []string{"forecast", "-m", model, "--rows", watched + "=300:420", "--horizons", "1s,10s,60s"}
	code, stdout, stderr := command(t, dir, append(base, path)...)
	if code != 0 {
		t.Fatal(stderr)
	}
	tool, _ := log.Column("tool_temperature")
	origins := map[string][]int{}
	for _, r := range table(t, stdout) {
		at, err := strconv.Atoi(r[1])
		if err != nil || r[0] != watched {
			t.Fatalf("row %v", r)
		}
		if math.Abs(number(t, r[2])-float64(log.Time[at]-log.Time[0])/1e9) > 1e-6 || r[4] != "tool temperature" {
			t.Fatalf("row %v", r)
		}
		origins[r[3]] = append(origins[r[3]], at)
		forecast, lower, upper := number(t, r[5]), number(t, r[6]), number(t, r[7])
		if !(lower < forecast && forecast < upper) || forecast < 0 || forecast > 700 {
			t.Errorf("row %v: no forecast within its interval", r)
		}
		if log.Value[tool][at] <= 200 {
			t.Errorf("row %v starts below 200 °C", r)
		}
	}
	// 0-based data rows, end exclusive; the instant forecast lies in the segment too. The log has
	// about a row a second.
	for horizon, seconds := range map[string]int{"1": 1, "10": 10, "60": 60} {
		o := origins[horizon]
		if len(o) == 0 || o[0] != from || o[len(o)-1] >= to-seconds || o[len(o)-1] < to-seconds-3 || !slices.IsSorted(o) {
			t.Errorf("horizon %s: %d origins, %v", horizon, len(o), o)
		}
	}
	if len(origins) != 3 {
		t.Errorf("%d horizons", len(origins))
	}

	// -o writes the same to a file.
	if code, out, stderr := command(t, dir, append(base, "-o", "f.csv", path)...); code != 0 || out != "" {
		t.Fatalf("exit code %d: %s%s", code, out, stderr)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "f.csv")); err != nil || string(b) != stdout {
		t.Errorf("-o writes something else: %v", err)
	}

	// No temperature after the origin is used: with another end of the run, the forecasts that
	// start before it stay as they are. Nor does the open loop use any after its first.
	const cut = 360
	changed := filepath.Join(dir, watched+".csv")
	write(t, changed, otherTemperatures(t, path, cut))
	for _, extra := range [][]string{nil, {"--inputs", "held"}, {"--open-loop"}} {
		_, a, _ := command(t, dir, slices.Concat(base, extra, []string{path})...)
		_, b, _ := command(t, dir, slices.Concat(base, extra, []string{changed})...)
		before, after := map[[2]string]string{}, 0
		for _, r := range table(t, a) {
			before[[2]string{r[1], r[3]}] = r[5]
		}
		open := []int{}
		for _, r := range table(t, b) {
			at, _ := strconv.Atoi(r[1])
			same := before[[2]string{r[1], r[3]}] == r[5]
			switch {
			case r[3] == "0":
				open = append(open, at)
				if !same {
					t.Errorf("%v: the open loop uses temperatures: row %v, before %v", extra, r, before[[2]string{r[1], r[3]}])
				}
			case at < cut && !same:
				t.Fatalf("%v: a forecast uses temperatures after its origin: %v, before %v", extra, r, before[[2]string{r[1], r[3]}])
			case at >= cut && !same:
				after++
			}
		}
		if after == 0 {
			t.Errorf("%v: the forecasts do not depend on the temperature", extra)
		}
		if want := slices.Contains(extra, "--open-loop"); want && (len(open) != to-from || open[0] != from || open[len(open)-1] != to-1) || !want && len(open) != 0 {
			t.Errorf("%v: %d rows of horizon 0", extra, len(open))
		}
	}

	for _, wrong := range [][]string{{"--rows", "other=1:2"}, {"--rows", watched + "=9:3"}, {"--horizons", "5"}, {"--inputs", "guessed"}} {
		if code, _, stderr := command(t, dir, slices.Concat([]string{"forecast", "-m", model}, wrong, []string{path})...); code != exitUsage || !strings.Contains(stderr, wrong[0]) {
			t.Errorf("forecast %v: exit code %d: %s", wrong, code, stderr)
		}
	}
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// otherTemperatures is a recording whose tool is at 300 °C from a 0-based data row on.
func otherTemperatures(t *testing.T, path string, from int) string {
	t.Helper()
	rows := csvRows(t, path)
	column := slices.Index(rows[0], "ToolTemp")
	for _, r := range rows[1+from:] {
		r[column] = "300.0"
	}
	var b strings.Builder
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestScoreTellsWhatTheModelKnows(t *testing.T) {
	t.Parallel()
	model := learnedOnce(t)
	for name, marks := range map[string][2]string{
		watched: {"not learned from", ""},
		learned: {"in sample", "proves nothing"},
	} {
		code, stdout, stderr := command(t, "", "score", "-m", model, recording(t, name))
		if code != 0 || !strings.Contains(stdout, marks[0]) || !strings.Contains(stderr, marks[1]) {
			t.Errorf("%s: exit code %d\n%s%s", name, code, stdout, stderr)
		}
		for _, part := range []string{name, "inputs known", "all rows", "one phase", "RMSE", "persistence", "inside 95 %", "   60 s"} {
			if !strings.Contains(stdout, part) {
				t.Errorf("%s: no %q in\n%s", name, part, stdout)
			}
		}
	}
}

// TestRolesAgree: what agent.yaml may say after "is" is what the sensors know, in one order.
func TestRolesAgree(t *testing.T) {
	var known []string
	for _, r := range sensors.Roles() {
		known = append(known, string(r))
	}
	if !slices.Equal(known, config.Roles()) {
		t.Errorf("sensors: %q\nconfig: %q", known, config.Roles())
	}
}

// Nothing is forecast from a log that lacks what the model needs, and no answer comes as if it were.
func TestForecastNeedsTheInputs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nopower.csv")
	head := "Date,Time,SpinVel,SpinTrq,SpinSP,FeedVel,PathVel,ZVel,ToolTemp\n"
	row := "2025-07-08,10:43:%02d.00,400,80,465,9.5,10,0,%d\n"
	text := head
	for i := range 50 {
		text += fmt.Sprintf(row, i, 300+i)
	}
	write(t, path, text)
	code, _, stderr := command(t, "", "forecast", "-m", demoModel, "--units", "inch", path)
	if code == 0 || !strings.Contains(stderr, "has no spindle power") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// One run given twice, a segment that reaches beyond the log and a page that cannot be written are said
// before any work is done.
func TestRunsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	head := "Date,Time,SpinVel,SpinTrq,SpinPwr,SpinSP,FeedVel,PathVel,ZVel,ToolTemp\n"
	var text strings.Builder
	text.WriteString(head)
	for i := range 50 {
		fmt.Fprintf(&text, "2025-07-08,10:43:%02d.00,400,80,4640,465,9.5,10,0,%d\n", i, 300+i)
	}
	model, err := filepath.Abs(demoModel)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a.csv"), text.String())
	write(t, filepath.Join(dir, "b.csv"), text.String())
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"forecast -m MODEL -o x.csv a.csv b.csv", 2, "a.csv and b.csv are one run"},
		{"score -m MODEL --units inch --rows a=2:80 a.csv", 0, "a ends at row 50: of its rows 2:80 what lies beyond is left out"},
		{"score -m MODEL --units inch --rows b=2:8 a.csv", 2, "--rows: rows of b are chosen, and no run of this name is given"},
		{"score -m MODEL --units inch /dev/stdin", 1, "stdin"},
		{"score -m MODEL --decimal ; a.csv", 2, `decimal sign ";": use . or ,`},
		{"score -m MODEL --decimal . --thousands . a.csv", 2, "cannot stand before decimals and between thousands"},
		{"score -m MODEL --dates us a.csv", 2, `order of dates "us": use dmy`},
		{"score -m MODEL --units mm a.csv", 0, "a: units mm are believed, but the log says otherwise: rows 1–50: inch"},
		{"learn -o no-such-folder/m.json a.csv", 1, "no-such-folder/m.json cannot be written"},
		{"learn -o m.json --report . a.csv", 1, ". is a directory"},
		{"report -m MODEL -o no-such-folder/r.html a.csv", 1, "no-such-folder/r.html cannot be written"},
	} {
		code, _, stderr := command(t, dir, strings.Fields(strings.ReplaceAll(c.args, "MODEL", model))...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("stirwatch %s: exit code %d, want %d with %q:\n%s", c.args, code, c.code, c.says, stderr)
		}
	}
}

// Another process is learned from its file of hypotheses and a CSV that says what its columns are: an
// electric heater of 0.002 K/J, losing 0.006 of its warmth a second and more in the wind of a fan.
func TestLearnAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hypotheses, err := filepath.Abs(filepath.Join("..", "..", "dynamics", "heater.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	heated := func(seed uint64, header string) string {
		rng := rand.New(rand.NewPCG(seed, 1))
		var b strings.Builder
		b.WriteString(header + "\n")
		temp, reading, power, fan := 20.0, 20.0, 0.0, 0.0
		for i := range 1800 {
			if i%60 == 0 {
				power, fan = 1.5*rng.Float64(), 300*rng.Float64()
			}
			fmt.Fprintf(&b, "%d;%.4f;%.3f;%.1f\n", i, power, (reading+0.05*rng.NormFloat64())*1.8+32, fan)
			for range 20 {
				temp += 0.05 * (2*power - (0.006+3e-5*fan*math.Pi/30)*(temp-20))
				reading += 0.05 * (temp - reading) / 3
			}
		}
		return b.String()
	}
	// In their own units and order; a column that nobody asks for is no harm.
	write(t, filepath.Join(dir, "monday.csv"), heated(1, "time [s];Heater power [kW];plate temperature [°F];fan speed [rpm]"))
	write(t, filepath.Join(dir, "tuesday.csv"), heated(2, "time [s];heater power (kW);plate temperature (°F);fan speed (rpm)"))
	code, stdout, stderr := command(t, dir, "learn", "--hypotheses", hypotheses, "monday.csv", "tuesday.csv", "-o", "heater.json", "--report", "heater.html")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	m, err := model.Load(filepath.Join(dir, "heater.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range m.Terms {
		if term.Name == "heating" && math.Abs(term.Coefficient-2e-3) > 1e-4 {
			t.Errorf("heating %g K/J, the truth is 0.002\n%s", term.Coefficient, stdout)
		}
	}
	if code, stdout, stderr = command(t, dir, "score", "-m", "heater.json", "--inputs", "known", "tuesday.csv"); code != 0 || !strings.Contains(stdout, "inside 95 %") {
		t.Errorf("score: exit code %d\n%s%s", code, stdout, stderr)
	}
	// A product of units, a blank first line, and a role in capitals.
	text, err := os.ReadFile(hypotheses)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "product.yaml"), strings.NewReplacer("is: heater power, unit: W", "is: Heater power, unit: J/s").Replace(string(text)))
	write(t, filepath.Join(dir, "product.csv"), "\n"+heated(4, "time [s];heater power [kW];plate temperature [°F];fan speed [rpm]"))
	// Whoever reads the output is gone (`| head`): the model and the report are written anyway.
	reader, gone, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	c := plain(t, "learn", "--hypotheses", "product.yaml", "product.csv", "-o", "product.json", "--report", "product.html")
	c.Dir, c.Stdout = dir, gone
	err = c.Run()
	gone.Close()
	if err != nil {
		t.Errorf("a product of units, its output unread: %v", err)
	}
	for _, file := range []string{"product.json", "product.html"} {
		if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || len(text) < 1000 {
			t.Errorf("%s has %d bytes: %v", file, len(text), err)
		}
	}
	// What is no number, or may be two, is told by column, and is no value.
	text1 := heated(5, "time [s];heater power [kW];plate temperature [°F];fan speed [rpm]")
	lines := strings.Split(text1, "\n")
	for i := 100; i < 120; i++ {
		f := strings.Split(lines[i], ";")
		f[1] = "---"
		lines[i] = strings.Join(f, ";")
	}
	write(t, filepath.Join(dir, "cells.csv"), strings.Join(lines, "\n"))
	if code, _, stderr = command(t, dir, "learn", "--hypotheses", hypotheses, "cells.csv"); code != 0 || !strings.Contains(stderr, `cells: heater power [kW]: 20 values are no number, the first in line 101: "---"`) {
		t.Errorf("cells without a number: exit code %d: %s", code, stderr)
	}
	for i := 100; i < len(lines); i++ {
		f := strings.Split(lines[i], ";")
		if len(f) > 1 {
			f[1] = "---"
			lines[i] = strings.Join(f, ";")
		}
	}
	write(t, filepath.Join(dir, "cells.csv"), strings.Join(lines, "\n"))
	if code, _, stderr = command(t, dir, "learn", "--hypotheses", hypotheses, "cells.csv"); code == 0 || !strings.Contains(stderr, "too many to learn or judge anything from") {
		t.Errorf("a column of text: exit code %d: %s", code, stderr)
	}
	write(t, filepath.Join(dir, "bare.csv"), heated(3, "time [s];heater power;plate temperature;fan speed"))
	if code, _, stderr = command(t, dir, "learn", "--hypotheses", hypotheses, "bare.csv"); code == 0 || !strings.Contains(stderr, `column "heater power" has no unit`) {
		t.Errorf("no units: exit code %d: %s", code, stderr)
	}
	write(t, filepath.Join(dir, "other.csv"), heated(3, "a;b;c;d"))
	if code, _, stderr = command(t, dir, "learn", "--hypotheses", hypotheses, "other.csv"); code == 0 || !strings.Contains(stderr, "plate temperature [°C]") {
		t.Errorf("other columns: exit code %d: %s", code, stderr)
	}
}
