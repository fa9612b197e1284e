package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	paho "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/agent/journal"
	"stirwatch/agent/journal/journaltest"
	"stirwatch/cmd/assemble"
	"stirwatch/cmd/loopback"
	"stirwatch/config"
	"stirwatch/sensors"
)

// frontEnd is the folder of the page's front end.
var frontEnd = filepath.Join("..", "..", "agent", "dashboard", "ui")

// browser is a tab of a real browser.
type browser struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	errors []string // of its console, but those of the network
}

// newBrowser starts Chromium with a profile of its own.
func newBrowser(t testing.TB) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no browser here: the Debian package chromium has one")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(patience))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(func() { chromedp.Cancel(ctx); end() })
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the page showed:\n%s\nits console said %q", b.text("document.body.innerText"), b.complaints())
		}
	})
	b.size(1920, 1080)
	messages := chromedp.Console(ctx)
	go func() { // until the tab is closed
		for m, err := range messages {
			if err != nil {
				return
			}
			if (m.Type == "error" || m.IsException()) && m.Source != "network" {
				b.mu.Lock()
				b.errors = append(b.errors, m.Text)
				b.mu.Unlock()
			}
		}
	}()
	return b
}

func (b *browser) size(width, height int64) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)); err != nil {
		b.t.Fatal(err)
	}
}

// colours lets the system of the browser be light or dark.
func (b *browser) colours(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.is("the page is "+scheme, `document.documentElement.dataset.theme === "`+scheme+`"`)
}

// text gives what a script says, "" where it fails.
func (b *browser) text(script string) string {
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("(async () => String("+script+"))()", chromedp.EvalAwaitPromise))
	if err != nil {
		return ""
	}
	return v
}

// is waits until an expression holds in the page.
func (b *browser) is(what, expression string) {
	b.t.Helper()
	wait(b.t, what+" ("+expression+")", func() bool { return b.text("!!("+expression+")") == "true" })
}

// shows waits until an element shows a text.
func (b *browser) shows(selector, text string) {
	b.t.Helper()
	b.is(selector+" shows "+text, fmt.Sprintf("document.querySelector(%q)?.innerText.includes(%q)", selector, text))
}

// press presses the button or link within an element that bears a text.
func (b *browser) press(within, label string) {
	b.t.Helper()
	b.is("there is "+label+" to press in "+within, fmt.Sprintf(`(e => e && (e.click(), true))([...document.querySelectorAll(%q)].flatMap(p => [...p.querySelectorAll("button, a")]).find(e => e.innerText.trim().startsWith(%q) && !e.disabled))`, within, label))
}

// fill writes into the field that a selector finds, as a person would.
func (b *browser) fill(selector, text string) {
	b.t.Helper()
	b.is("there is "+selector+" to fill", fmt.Sprintf(`(e => e && (e.value = %q, e.dispatchEvent(new Event("input", {bubbles: true})), true))(document.querySelector(%q))`, text, selector))
}

func (b *browser) open(view string) {
	b.t.Helper()
	b.is("opens "+view, fmt.Sprintf(`(location.hash = %q, true)`, view))
	b.is(view+" is open", fmt.Sprintf(`document.querySelector("nav a[aria-current]")?.hash === %q`, "#"+strings.Split(view, "/")[0]))
}

// complaints are what its console has said since they were asked for last.
func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.errors
	b.errors = nil
	return said
}

// accessible holds what is shown against WCAG 2.2 AA, as far as axe-core can judge it.
func (b *browser) accessible(axe, what string) {
	b.t.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Evaluate[any](axe+"; 1")); err != nil {
		b.t.Fatal(err)
	}
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.filter(v => v.impact === "serious" || v.impact === "critical").
		map(v => v.id + ": " + v.nodes.map(n => n.target.join(" ") + " " + (n.failureSummary ?? "")).join("; ")).join("\n"))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: axe: %v", what, err)
	}
	if found != "" {
		b.t.Errorf("%s is not accessible: %s", what, found)
	}
}

// cell is a simulated machine with an agent that watches and may command it, and an address of its page that stays the
// same while agents come and go.
type cell struct {
	t       testing.TB
	conf    string
	twin    *process
	agent   *process
	faults  paho.Client
	address atomic.Pointer[url.URL] // of the agent's page
	page    *httptest.Server
}

const pageSections = `
page: {listen: "127.0.0.1:0", users: users.json}
api: {socket: agent.sock}
bridge:
  serial: {port: @DIR/controller, baud: 115200}
  targets:
    set_point: {unit: °C, min: 300 °C, max: 480 °C, slew: 5 °C/s, tolerance: 0.5, lease: 30 s, safe: {name: as found, as_found: true}}
  meld:
    words:
      set_point: {code: M41, key: sp}
control:
  tool: {mode: advise, output: tool_temperature, goal: 455 °C, target: set_point, lease: 10 s}
`

func newCell(t testing.TB) *cell {
	t.Helper()
	broker, address, err := loopback.Broker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	model, err := filepath.Abs(filepath.Join("..", "demo", "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &cell{t: t, conf: filepath.Join(dir, "agent.yaml")}
	write(t, c.conf, strings.NewReplacer("@DIR", dir, "@BROKER", address, "file: model.json", "file: "+model+", hypotheses: small.yaml", "page: {listen: 127.0.0.1:8765}", "").Replace(contents(t, filepath.Join("..", "demo", "agent.yaml"))+pageSections))
	if err := os.MkdirAll(filepath.Join(dir, "stirwatch-data", "models"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "stirwatch-data", "models", "other.json"), contents(t, model))
	c.remembers("build-1", "build-2")
	c.twin = start(t, "twin", program(t), "twin", "--serial", filepath.Join(dir, "thermocouple"), "--controller", filepath.Join(dir, "controller"), "--mqtt", "tcp://"+address, "--speed", "10", "--loop", "--seed", "7")
	c.faults = paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + address).SetClientID("faults"))
	if token := c.faults.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	t.Cleanup(func() { c.faults.Disconnect(0) })
	c.page = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(c.address.Load()); r.Out.Host = r.In.Host },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(c.page.Close)
	wait(t, "the twin has its ports", func() bool {
		_, err := os.Stat(filepath.Join(dir, "controller"))
		return err == nil
	})
	c.up()
	return c
}

// remembers records short builds of the last hours, the last name the newest.
func (c *cell) remembers(names ...string) {
	c.t.Helper()
	conf, err := config.Load(c.conf)
	if err != nil {
		c.t.Fatal(err)
	}
	reg, err := assemble.Registry(conf)
	if err != nil {
		c.t.Fatal(err)
	}
	j, err := journal.Open(conf.Abs(conf.Journal.Path), journal.Options{Machine: conf.Machine, Registry: reg, Hold: -1})
	if err != nil {
		c.t.Fatal(err)
	}
	for i, name := range names {
		begin, dir := time.Now().Add(time.Duration(i-len(names))*time.Hour).Truncate(time.Second).UTC(), c.t.TempDir()
		stirwatch(c.t, "twin", "--speed", "0", "--seed", strconv.Itoa(i+1), "--log-dir", dir, "--begin", begin.Format(time.RFC3339))
		files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
		if err != nil || len(files) != 1 {
			c.t.Fatalf("the twin has left %v, %v", files, err)
		}
		build, err := assemble.ReadRun(conf, reg, files[0])
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := j.BeginRun(name, "", build.Time[0]); err != nil {
			c.t.Fatal(err)
		}
		var all []sensors.Sample
		for next, end := build.Rows(reg), build.Time[0]+int64(6*time.Minute); ; {
			at, row, ok := next()
			if !ok || at > end {
				break
			}
			all = append(all, row...)
		}
		journaltest.Keep(j, all)
		if err := j.EndRun(all[len(all)-1].Time); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		c.t.Fatal(err)
	}
}

// hypotheses makes a pipe where whoever learns reads hypotheses, and waits until give has written some.
func (c *cell) hypotheses() (give func()) {
	c.t.Helper()
	pipe := filepath.Join(filepath.Dir(c.conf), "small.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		c.t.Helper()
		var w *os.File
		wait(c.t, "somebody reads hypotheses", func() (is bool) {
			var err error
			w, err = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
			return err == nil
		})
		if _, err := w.WriteString(smallHypotheses); err != nil { // shorter than a pipe holds
			c.t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// unmodelled takes the model out of the configuration, and forgets which was chosen.
func (c *cell) unmodelled() {
	c.t.Helper()
	write(c.t, c.conf, regexp.MustCompile(`(?m)^model: .*$`).ReplaceAllString(contents(c.t, c.conf), "model: {hypotheses: small.yaml}"))
	if err := os.Remove(filepath.Join(filepath.Dir(c.conf), "stirwatch-data", "models", "current")); err != nil {
		c.t.Fatal(err)
	}
}

var served = regexp.MustCompile(`the page is served.*address=(http://[0-9.:]+)`)

// up starts an agent.
func (c *cell) up() {
	c.t.Helper()
	c.agent = start(c.t, "run", program(c.t), "run", "-c", c.conf)
	c.agent.says("the page is served", 1)
	wait(c.t, "the agent tells the address of its page", func() bool {
		m := served.FindStringSubmatch(c.agent.said())
		if m == nil {
			return false
		}
		u, err := url.Parse(m[1])
		c.address.Store(u)
		return err == nil
	})
}

// fault gives the machine a fault, or clears all.
func (c *cell) fault(text string) {
	c.t.Helper()
	if token := c.faults.Publish("afsd/cell1/fault", 1, false, text); !token.WaitTimeout(patience) || token.Error() != nil {
		c.t.Fatal(token.Error())
	}
}

// An operator's page, in a real browser, on a real agent that watches and may command the simulated machine.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute of real time")
	}
	if _, err := os.Stat(filepath.Join(frontEnd, "dist", "index.html")); err != nil {
		t.Skip("the page is not built: `make build` does it")
	}
	t.Parallel()
	b := newBrowser(t)
	c := newCell(t)
	if err := chromedp.Do(b.ctx, chromedp.Navigate(c.page.URL)); err != nil {
		t.Fatal(err)
	}
	lead := `document.querySelector("[data-test=lead]").innerText`
	step := func(name string, do func(t *testing.T)) {
		if t.Failed() {
			return // each goes on where the one before has ended
		}
		t.Run(name, func(t *testing.T) {
			b.t = t
			do(t)
			if said := b.complaints(); len(said) > 0 {
				t.Errorf("the console says %q", said)
			}
		})
	}

	step("live", func(t *testing.T) {
		b.is("a temperature is shown", `/\d{3}\.\d\s*°C/.test(`+lead+`)`)
		was := b.text(lead)
		b.is("it changes", fmt.Sprintf("%s !== %q", lead, was))
		b.is("a forecast is told", `/\d+\s°C/.test(document.querySelector("[data-test=forecast]").innerText)`)
		b.is("what is right of now is drawn", `(c => { const w = c.width, h = c.height, p = c.getContext("2d").getImageData(w * 0.9, 0, w * 0.07, h * 0.8).data; let n = 0; for (let i = 3; i < p.length; i += 4) n += p[i] > 0; return n > 500 })(document.querySelector(".uplot canvas"))`)
		b.is("every channel is shown and good", `document.querySelectorAll("[data-channel]").length === 7 && document.querySelectorAll("[data-trust=good]").length === 7`)
	})

	step("alarm", func(t *testing.T) {
		c.fault("open+3000s:1")
		b.is("a temperature that nobody measures is none", `document.querySelector("[data-test=lead].stale") && !/\d/.test(`+lead+`)`)
		b.open("alarms")
		alarm := `[data-alarm="sensor.failure tool_temperature"]`
		b.is("the alarm is raised", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "unacknowledged"`, alarm))
		b.shows(`section.alarm`, "What to do")
		b.press(alarm, "Acknowledge")
		b.is("it is acknowledged", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "acknowledged"`, alarm))
		b.press(alarm, "Shelve")
		b.fill(`dialog[open] input[name=why]`, "the thermocouple is being changed")
		b.press(`dialog[open]`, "Shelve")
		b.is("it is shelved", fmt.Sprintf(`document.querySelector(%q)?.dataset.state === "shelved"`, alarm))
		b.shows(`section[aria-label=History] table`, "the thermocouple is being changed")
		b.press(alarm, "Bring back")
		b.is("it is back", fmt.Sprintf(`document.querySelector(%q)?.dataset.state !== "shelved"`, alarm))
		c.fault("clear")
		b.open("now")
		b.is("the temperature is measured again", `/\d/.test(`+lead+`)`)
	})

	step("advice declined", func(t *testing.T) {
		b.open("advice")
		b.press(`[data-loop=tool]`, "Confirm")
		b.fill(`dialog[open] input[name=why]`, "the test of the page")
		b.press(`dialog[open]`, "Switch to")
		b.press("[data-loop=tool]", "Decline")
		b.fill(`dialog[open] input[name=why]`, "the plate is warm already")
		b.press(`dialog[open]`, "Decline")
		b.is("it is taken", `!document.querySelector("dialog[open]")`)
		b.press(`[data-loop=tool]`, "Advise")
		b.fill(`dialog[open] input[name=why]`, "the test of the page")
		b.press(`dialog[open]`, "Switch to")
		b.is("the mode is advise", `document.querySelector("[data-loop=tool]").dataset.mode === "advise"`)
		b.open("setup")
		b.shows(`section[aria-label="Who did what"]`, "the plate is warm already")
	})

	step("mode", func(t *testing.T) {
		b.open("advice")
		to := func(mode string) {
			b.press(`[data-loop=tool]`, strings.ToUpper(mode[:1])+mode[1:])
			b.fill(`dialog[open] input[name=why]`, "the test of the page")
			b.press(`dialog[open]`, "Switch to")
			b.is("the mode is "+mode, fmt.Sprintf(`document.querySelector("[data-loop=tool]").dataset.mode === %q`, mode))
		}
		to("confirm")
		b.shows("[data-loop=tool]", "Proposal: Set point to")
		b.press("[data-loop=tool]", "Accept")
		b.shows("[data-loop=tool]", "It commands set_point")
		to("advise")
		b.shows("[data-loop=tool]", "It commands nothing")
		if _, out, _ := command(t, filepath.Dir(c.conf), "control", "status", "-c", c.conf); !strings.Contains(out, "tool: advise") {
			t.Errorf("the agent says %s", out)
		}
		b.is("a question can be asked", `(e => e && (e.value = 400, e.dispatchEvent(new Event("input", {bubbles: true})), e.dispatchEvent(new Event("change", {bubbles: true})), true))(document.querySelector("input[type=range]"))`)
		b.is("the model answers", `/instead of \d+/.test(document.querySelector(".answer").innerText)`)
	})

	step("agent killed and back", func(t *testing.T) {
		b.open("now")
		c.agent.end(syscall.SIGKILL)
		b.shows("body", "The agent is away since")
		b.is("nothing is shown as if it were now", `document.querySelectorAll("[data-trust=good]").length === 0 && !/\d/.test(`+lead+`)`)
		b.complaints() // that nobody answered
		c.up()
		b.shows("body", "The agent is back")
		b.is("a temperature is shown", `/\d{2,3}\.\d/.test(`+lead+`)`)
	})

	step("stale source", func(t *testing.T) {
		c.fault("lost+3000s:1")
		b.is("the temperature is stale", `/stale/.test(document.querySelector("section.first").innerText) && !/\d/.test(`+lead+`)`)
		b.is("what other sources give is good", `document.querySelector("[data-channel=spindle_speed]").dataset.trust === "good"`)
		c.fault("clear")
		b.is("it comes back", `/\d/.test(`+lead+`)`)
		c.twin.cmd.Process.Signal(syscall.SIGSTOP)
		b.is("a channel is stale", `document.querySelector("[data-channel=spindle_speed]").dataset.trust === "stale"`)
		b.is("no number stands for it", `!/\d/.test(document.querySelector("[data-channel=spindle_speed] .value").innerText)`)
		b.shows("[data-channel=spindle_speed]", "last ")
		c.twin.cmd.Process.Signal(syscall.SIGCONT)
		b.is("it comes back", `document.querySelector("[data-channel=spindle_speed]").dataset.trust === "good"`)
	})

	step("run reopened", func(t *testing.T) {
		b.open("runs")
		b.press("main table td", "20")
		b.is("its channels are drawn", `document.querySelectorAll("main .uplot canvas").length > 5`)
		b.shows("main section[aria-label='What happened'] table", "advice")
		b.is("its table is had", `(await fetch(document.querySelector("a[download]").href)).ok`)
		b.fill("textarea[name=note]", "the plate was cold")
		b.press("section[aria-label=Notes]", "Add the note")
		b.shows("section[aria-label=Notes] .note", "the plate was cold")
		b.is("another run is laid over it", `(e => e && e.options.length > 1 && (e.selectedIndex = 1, e.dispatchEvent(new Event("change", {bubbles: true})), true))(document.querySelector("main select"))`)
		b.is("both are drawn", `document.querySelector("main select").value && location.hash.includes("+") && document.querySelectorAll("main .uplot canvas").length > 5`)
	})

	step("report", func(t *testing.T) {
		b.open("runs")
		b.press("main table td", "build-2")
		b.fill("textarea[name=note]", "the bar was <new>")
		b.press("section[aria-label=Notes]", "Add the note")
		b.shows("section[aria-label=Notes] .note", "the bar was <new>")
		b.is("a report can be opened", `document.querySelector("a[href$='/report']")`)
		if err := chromedp.Do(b.ctx, chromedp.Navigate(b.text(`document.querySelector("a[href$='/report']").href`))); err != nil {
			t.Fatal(err)
		}
		b.shows("h1", "what was learned")
		b.shows("header", "build-2")
		b.shows("#notes", "the bar was <new>")
		b.is("its figures are drawn", `document.querySelectorAll("figure svg").length > 5`)
		if err := chromedp.Do(b.ctx, chromedp.Navigate(c.page.URL)); err != nil {
			t.Fatal(err)
		}
	})

	step("model learned", func(t *testing.T) {
		give := c.hypotheses()
		b.open("models")
		b.is("there are two models", `document.querySelectorAll("[data-model]").length === 2`)
		for _, run := range []string{"build-1", "build-2"} {
			b.is(run+" can be chosen", fmt.Sprintf(`(e => e && (e.checked || e.click(), e.checked))(document.querySelector("input[type=checkbox][value=%s]"))`, run))
		}
		b.press("section[aria-label='Learn a model']", "Learn from 2 runs")
		b.is("it goes on", `document.querySelector("[data-job=busy] progress")`)
		b.is("no other is begun", `document.querySelector("section[aria-label='Learn a model'] button").disabled`)
		b.is("how far it is will be kept", `(() => { window.told = []; new MutationObserver(() => { const p = document.querySelector("[data-job] [role=status]"); if (p) told.push(p.innerText) }).observe(document.querySelector("main"), {subtree: true, childList: true, characterData: true}); return true })()`)
		give()
		b.is("it is done", `document.querySelector("[data-job=done]")`)
		b.is("what it is was told", `told.some(x => x.includes("has been learned"))`)
		b.is("there are three models", `document.querySelectorAll("[data-model]").length === 3`)
	})

	step("model switched", func(t *testing.T) {
		name := b.text(`[...document.querySelectorAll("[data-model]")].map(e => e.dataset.model).find(n => /^[0-9-]+.json$/.test(n))`)
		b.press("[data-model='"+name+"']", "Use")
		b.fill(`dialog[open] input[name=why]`, "it knows this machine")
		b.press(`dialog[open]`, "Use it")
		used := `document.querySelector("[data-model='` + name + `']")?.dataset.use === "true"`
		b.is("it is in use", used)
		b.open("now")
		b.is("a forecast is told", `/\d+\s°C/.test(document.querySelector("[data-test=forecast]").innerText)`)
		c.agent.end(syscall.SIGKILL)
		c.up()
		b.complaints() // that nobody answered
		b.open("models")
		b.is("it is used after the next start", used)
	})

	step("setup", func(t *testing.T) {
		b.open("setup")
		b.press("main section[aria-label=Sources] tbody tr:nth-of-type(2)", "Look")
		b.shows("[data-messages=telemetry] pre", "spindle_speed")
		b.press("section[aria-label=Doctor]", "Examine")
		b.shows("section[aria-label=Doctor]", "source thermocouple")
		b.is("what is to be mended is counted", `/mended/.test(document.querySelector("section[aria-label=Doctor] [role=status]").innerText)`)
		b.is("ports are told", `document.querySelector("section[aria-label^='Serial ports']") && !document.querySelector("section[aria-label^='Serial ports']").innerText.includes("Loading")`)
	})

	axe, err := os.ReadFile(filepath.Join(frontEnd, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Skip("axe-core is not installed: `make build` does it")
	}
	step("accessible", func(t *testing.T) {
		c.fault("open+3000s:1") // alarms are shown, too
		b.is("there is an alarm", `document.querySelector("section.alarm")`)
		names := strings.Fields(b.text(`[...document.querySelectorAll("nav a")].map(a => a.hash.slice(1)).join(" ")`))
		if want := []string{"now", "why", "advice", "alarms", "runs", "models", "setup"}; !slices.Equal(names, want) {
			t.Errorf("the views are %v, not %v", names, want)
		}
		names = append(names, "runs/last", "runs/build-1+build-2", "models/other.json")
		for _, scheme := range []string{"light", "dark"} {
			b.colours(scheme)
			for _, name := range names {
				switch name {
				case "runs/last":
					b.open("runs")
					b.press("main table td", "20")
				case "setup":
					b.open(name)
					b.press("main section[aria-label=Sources] tbody tr", "Look")
					b.press("section[aria-label=Doctor]", "Examine")
					b.shows("section[aria-label=Doctor]", "mended")
				default:
					b.open(name)
				}
				b.is("nothing is being loaded", `!document.querySelector("main").innerText.includes("Loading …")`)
				b.accessible(string(axe), name+" in "+scheme)
				b.shot(name, scheme)
			}
		}
		c.fault("clear")
	})

	step("first model", func(t *testing.T) {
		c.agent.end(syscall.SIGKILL)
		c.unmodelled()
		c.up()
		b.complaints() // that nobody answered
		b.open("models")
		b.shows("[data-test=no-model]", "No model is in use")
		b.is("nothing explains a forecast", `![...document.querySelectorAll("nav a")].some(a => a.hash === "#why")`)
		b.accessible(string(axe), "models without one")
		b.press("[data-model='other.json']", "Use")
		b.fill(`dialog[open] input[name=why]`, "it is the first")
		b.press(`dialog[open]`, "Use it")
		b.is("it is in use", `document.querySelector("[data-model='other.json']")?.dataset.use === "true"`)
		b.is("there is a view for it", `[...document.querySelectorAll("nav a")].some(a => a.hash === "#why")`)
		b.open("now")
		b.is("a forecast is told", `/\d+\s°C/.test(document.querySelector("[data-test=forecast]").innerText)`)
	})

	step("users", func(t *testing.T) {
		for _, role := range []string{"viewer", "operator"} {
			add := exec.Command(program(t), "user", "add", role, "--role", role, "-c", c.conf)
			add.Stdin = strings.NewReader("correct horse\n")
			if out, err := add.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		signIn := func(name, password string) {
			b.is("somebody has to sign in", `document.querySelector("input[name=user]")`)
			b.fill("input[name=user]", name)
			b.fill("input[name=password]", password)
			b.press("form", "Sign in")
		}
		if err := chromedp.Do(b.ctx, chromedp.Reload()); err != nil {
			t.Fatal(err)
		}
		signIn("viewer", "wrong horse")
		b.shows("form [role=alert]", "That did not work")
		b.accessible(string(axe), "signing in")
		signIn("viewer", "correct horse")
		b.shows("header", "viewer, viewer")
		b.open("advice")
		b.is("a viewer may switch nothing", `document.querySelector("[data-loop=tool]") && !document.querySelector("[data-loop=tool] button")`)
		if status := b.text(`await fetch("./api/v1/control/tool/mode", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"mode": "off", "why": "x"}'}).then(r => r.status)`); status != "403" {
			t.Errorf("a viewer who asks to switch gets %s", status)
		}
		b.press("header", "Sign out")
		signIn("operator", "correct horse")
		b.shows("header", "operator, operator")
		b.is("an operator may switch", `document.querySelector("[data-loop=tool] button")`)
	})
}

// shot keeps pictures of what is shown, at three sizes, where STIRWATCH_SCREENSHOTS names a folder.
func (b *browser) shot(view, scheme string) {
	b.t.Helper()
	dir := os.Getenv("STIRWATCH_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, s := range []struct {
		name          string
		width, height int64
	}{{"phone", 390, 844}, {"tablet", 1024, 768}, {"wall", 1920, 1080}} { // the last is as it was
		b.size(s.width, s.height)
		b.is("charts have taken their size", fmt.Sprintf(`innerWidth === %d && [...document.querySelectorAll(".uplot")].every(u => Math.abs(u.clientWidth - u.parentElement.clientWidth) < 2)`, s.width))
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(view, "/", "-")+"-"+s.name+"-"+scheme+".png"), picture, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}
