package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// The pictures of docs/page.md, in the folder that STIRWATCH_PICTURES names: `make pictures`. They show the simulated machine while
// it deposits, and with a thermocouple that has failed.
func TestPictures(t *testing.T) {
	dir := os.Getenv("STIRWATCH_PICTURES")
	if dir == "" {
		t.Skip("STIRWATCH_PICTURES is not set")
	}
	built(t)
	b := newBrowser(t)
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(1920, 1080, chromedp.EmulateScale(0.75))); err != nil {
		t.Fatal(err)
	}
	c := newCell(t)
	if err := chromedp.Do(b.ctx, chromedp.Navigate(c.page.URL)); err != nil {
		t.Fatal(err)
	}
	picture := func(name string) {
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.is("it deposits, and nothing waits for anybody", `(document.querySelector(".verdict.alarm") && await fetch("./api/v1/alarms/ack", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"name": "all"}'}),
		document.querySelector("[data-test=lap]") && document.querySelector("[data-kind=hold], [data-kind=change]") && document.querySelector(".verdict.well") && /deposit/.test(document.querySelector(".phase").innerText))`)
	picture("page-now.png")
	c.fault("open+3000s:1")
	b.open("alarms")
	b.shows("[data-alarm='sensor.failure tool_temperature']", "What to do")
	b.is("its history is told", `document.querySelector("section[aria-label=History]").innerText.includes("raised")`)
	b.colours("dark")
	picture("page-alarms.png")
}
