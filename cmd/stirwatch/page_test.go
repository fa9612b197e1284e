package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// An operator's page, in a real browser, on a real agent that watches and may command the simulated machine.
func TestPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute of real time")
	}
	built(t)
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

	step("lap", func(t *testing.T) {
		b.shows("[data-test=lap]", "about ") // the temperature comes and goes with the passes of the tool
		b.is("how long it lasts is told", `/one every \d+(\.\d)? s, \d+ % done/.test(document.querySelector("[data-test=lap] .note").innerText)`)
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
		b.press(alarm, "Unshelve")
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
		b.shows(`section[aria-label="Audit trail"]`, "the plate is warm already")
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
		b.shows("[data-loop=tool]", "Commanding set_point")
		to("advise")
		b.shows("[data-loop=tool]", "Not commanding")
		if _, out, _ := command(t, filepath.Dir(c.conf), "control", "status", "-c", c.conf); !strings.Contains(out, "tool: advise") {
			t.Errorf("the agent says %s", out)
		}
		b.is("a question can be asked", `(e => e && (e.value = 400, e.dispatchEvent(new Event("input", {bubbles: true})), e.dispatchEvent(new Event("change", {bubbles: true})), true))(document.querySelector("input[type=range]"))`)
		b.is("the model answers", `/instead of \d+/.test(document.querySelector(".answer").innerText)`)
	})

	step("what advice brings", func(t *testing.T) {
		b.is("it is told with it and without", `/if followed\s+\d+ °C[^]*if nothing changes\s+\d+ °C/.test(document.querySelector("[data-test=prospects]").innerText.replaceAll("\u00a0", " "))`)
		b.is("it is drawn", `document.querySelector("[data-test=prospects] .uplot canvas")`)
	})

	step("agent killed and back", func(t *testing.T) {
		b.open("now")
		c.agent.end(syscall.SIGKILL)
		b.shows("body", "The agent has been offline since")
		b.is("nothing is shown as if it were now", `document.querySelectorAll("[data-trust=good]").length === 0 && !/\d/.test(`+lead+`)`)
		b.shot("agent-offline", "light")
		b.complaints() // that nobody answered
		c.up()
		b.shows("body", "The agent is back")
		b.is("a temperature is shown", `/\d{2,3}\.\d/.test(`+lead+`)`)
	})

	step("stale source", func(t *testing.T) {
		c.fault("lost+3000s:1")
		b.is("the temperature is stale", `/stale/.test(document.querySelector("section.first").innerText) && !/\d/.test(`+lead+`)`)
		b.is("what other sources give is good", `document.querySelector("[data-channel=spindle_speed]").dataset.trust === "good"`)
		b.shot("thermocouple-silent", "light")
		c.fault("clear")
		b.is("it comes back", `/\d/.test(`+lead+`)`)
		c.twin.cmd.Process.Signal(syscall.SIGSTOP)
		b.is("a channel is stale", `document.querySelector("[data-channel=spindle_speed]").dataset.trust === "stale"`)
		b.is("no number stands for it", `!/\d/.test(document.querySelector("[data-channel=spindle_speed] .value").innerText)`)
		b.shows("[data-channel=spindle_speed]", "last ")
		b.shot("machine-silent", "light")
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
		b.press("section[aria-label=Notes]", "Add note")
		b.shows("section[aria-label=Notes] .note", "the plate was cold")
		b.is("another run is laid over it", `(e => e && e.options.length > 1 && (e.selectedIndex = 1, e.dispatchEvent(new Event("change", {bubbles: true})), true))(document.querySelector("main select"))`)
		b.is("both are drawn", `document.querySelector("main select").value && location.hash.includes("+") && document.querySelectorAll("main .uplot canvas").length > 5`)
	})

	step("report", func(t *testing.T) {
		b.open("runs")
		b.press("main table td", "build-2")
		b.fill("textarea[name=note]", "the bar was <new>")
		b.press("section[aria-label=Notes]", "Add note")
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
		b.press("main section[aria-label=Sources] tbody tr:nth-of-type(2)", "Show")
		b.shows("[data-messages=telemetry] pre", "spindle_speed")
		b.press("section[aria-label=Doctor]", "Check now")
		b.shows("section[aria-label=Doctor]", "source thermocouple")
		b.shows("section[aria-label=Doctor] [role=status]", "to fix")
		b.is("ports are told", `document.querySelector("section[aria-label^='Serial ports']") && !document.querySelector("section[aria-label^='Serial ports']").innerText.includes("Loading")`)
	})

	axe, err := os.ReadFile(filepath.Join(frontEnd, "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Skip("axe-core is not installed: `make build` does it")
	}
	step("first screen", func(t *testing.T) {
		c.fault("open+3000s:1")
		b.open("now")
		b.shows("section.alarm", "What to do")
		b.is("in words it is not well", `/\d unacknowledged alarms?/.test(document.querySelector(".verdict").innerText)`)
		for _, s := range sizes {
			b.size(s.width, s.height)
			b.is("whether the machine is well, why not and what to do is seen without scrolling", fmt.Sprintf(`innerWidth === %d && ["section.alarm .title", "section.alarm .what p:nth-of-type(2)", "section.alarm button", ".verdict"].every(x => {
				const r = document.querySelector(x).getBoundingClientRect(), low = innerWidth < 640 ? document.querySelector("nav").getBoundingClientRect().top : innerHeight
				return r.height > 0 && r.top >= 0 && r.bottom <= low
			})`, s.width))
		}
	})

	names := strings.Fields(b.text(`[...document.querySelectorAll("nav a")].map(a => a.hash.slice(1)).join(" ")`))
	step("accessible", func(t *testing.T) {
		b.is("there is an alarm", `document.querySelector("section.alarm")`)
		if want := []string{"now", "why", "advice", "alarms", "runs", "models", "setup"}; !slices.Equal(names, want) {
			t.Errorf("the views are %v, not %v", names, want)
		}
		for _, scheme := range []string{"light", "dark"} {
			b.colours(scheme)
			for _, name := range append(names, "runs/last", "runs/build-1+build-2", "models/other.json") {
				switch name {
				case "runs/last":
					b.open("runs")
					b.press("main table td", "20")
				case "setup":
					b.open(name)
					b.press("main section[aria-label=Sources] tbody tr", "Show")
					b.press("section[aria-label=Doctor]", "Check now")
					b.shows("section[aria-label=Doctor] [role=status]", "to fix")
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

	step("phone", func(t *testing.T) {
		b.size(360, 844)
		b.is("it is a phone", "innerWidth === 360")
		for _, name := range names {
			b.open(name)
			b.is("nothing is being loaded", `!document.querySelector("main").innerText.includes("Loading …")`)
			b.is(name+" is no wider than the screen", `document.documentElement.scrollWidth <= innerWidth && ![...document.querySelectorAll("main *")].some(e => e.getBoundingClientRect().right > innerWidth && !e.closest(".scroll, pre"))`)
		}
		b.open("now")
		for _, width := range []int64{360, 390, 412} {
			b.size(width, 844)
			b.is("it is a phone", fmt.Sprintf("innerWidth === %d", width))
			// The texts of another language are longer, and so may be the name of a machine.
			b.is("what can be pressed is in sight with long texts, too", `(() => {
				document.querySelector("header .machine").textContent = "Reibrührauftragschweißanlage 3, Halle Nord"
				document.querySelector("header .state").lastChild.textContent = "Steuerung nicht erreichbar"
				document.querySelectorAll("header button span").forEach(e => e.textContent = "Farben des Betriebssystems")
				return [...document.querySelectorAll("header button, header .who")].every(e => { const r = e.getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth && (e.classList.contains("who") || e.scrollWidth <= e.clientWidth && r.width >= 48 && r.height >= 48) })
			})()`)
		}
		b.size(1920, 1080)
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
		b.shot("models-without-one", "dark")
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
		b.shot("signing-in", "dark")
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
