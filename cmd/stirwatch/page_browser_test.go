package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
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

// sizes of the screens that the page is made for; the last is the one that the browser has.
var sizes = []struct {
	name          string
	width, height int64
}{{"phone", 390, 844}, {"tablet", 1024, 768}, {"wall", 1920, 1080}}

// shot keeps pictures of what is shown, at three sizes, where STIRWATCH_SCREENSHOTS names a folder.
func (b *browser) shot(view, scheme string) {
	b.t.Helper()
	dir := os.Getenv("STIRWATCH_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, s := range sizes {
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
