package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestReport(t *testing.T) {
	t.Parallel()
	model, dir := learnedOnce(t), t.TempDir()
	code, _, stderr := command(t, dir, "report", "-m", model, "--pictures", "figures", "--rows", watched+"=2:1098", recording(t, learned), recording(t, watched))
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, stderr)
	}
	for _, part := range []string{"forecasting with inputs known", "report.html is written", "figures"} {
		if !strings.Contains(stderr, part) {
			t.Errorf("no %q in\n%s", part, stderr)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"additive friction stir deposition", "Rows 2 to 1097 of the log (1096)", "in sample: learned from", "On 1 run that it was not learned from", "deposit", "spindle power"} {
		if !strings.Contains(string(page), part) {
			t.Errorf("no %q in the page", part)
		}
	}
	// The figures of the page are those that score prints.
	table := stirwatch(t, "score", "-m", model, "--inputs", "known", "--rows", watched+"=2:1098", recording(t, watched))
	fields := strings.Fields(strings.Split(table[strings.Index(table, "horizon"):], "\n")[3]) // 10 s, all rows
	if fields[0] != "10" {
		t.Fatalf("not the line of 10 s: %q", fields)
	}
	head := string(page)[strings.Index(string(page), `id="headline-table"`):]
	shown := regexp.MustCompile(`>([0-9.]+)</td>`).FindAllStringSubmatch(head[:strings.Index(head, "</table>")], -1)
	for _, want := range []float64{number(t, fields[3]), number(t, fields[6])} {
		if !slices.ContainsFunc(shown, func(s []string) bool { return math.Abs(number(t, s[1])-want) < 0.006*want }) {
			t.Errorf("no %g in the table of the headline: %q", want, shown)
		}
	}
	for _, kind := range []string{"svg", "png"} {
		if files, _ := filepath.Glob(filepath.Join(dir, "figures", "*."+kind)); len(files) < 16 {
			t.Errorf("%d pictures of kind %s", len(files), kind)
		}
	}
	if code, stdout, stderr := command(t, dir, "report", "-m", model, "-o", "-", recording(t, learned)); code != 0 || !strings.HasPrefix(stdout, "<!doctype html>") || !strings.Contains(stdout, "Nothing is proved") {
		t.Errorf("to standard output: exit code %d\n%s", code, stderr)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"report", "-m", "no-such-model.json", "x.csv"}, 1, "no-such-model.json"},
		{[]string{"report", "-m", model, "no-such-run.csv"}, 1, "no-such-run.csv"},
		{[]string{"report", "-m", model}, 2, "report --help"},
		{[]string{"report", "-m", model, "--rows", "other=1:9", recording(t, learned)}, 2, "other"},
		{[]string{"report", "-m", model, "-o", "no/such/folder.html", recording(t, learned)}, 1, "no/such/folder.html"},
	} {
		if code, _, stderr := command(t, dir, c.args...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit code %d, want %d with %q\n%s", c.args, code, c.code, c.says, stderr)
		}
	}
}

// A report is read on a phone too: nothing is wider than the screen, and the words of every figure are large enough.
func TestReportOnAPhone(t *testing.T) {
	t.Parallel()
	b, dir := newBrowser(t), t.TempDir()
	if code, _, stderr := command(t, dir, "twin", "--log-dir", "logs", "--speed", "0", "--seed", "3"); code != 0 {
		t.Fatal(stderr)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*.csv"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	model, err := filepath.Abs(filepath.Join("..", "demo", "model.json"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t, dir, "report", "-m", model, logs[0]); code != 0 {
		t.Fatal(stderr)
	}
	if err := chromedp.Do(b.ctx, chromedp.Navigate("file://"+filepath.Join(dir, "report.html"))); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{390, 768, 1280} {
		b.size(width, 844)
		b.is("the page has the width of the screen", fmt.Sprintf("innerWidth === %d && document.readyState === 'complete'", width))
		if wide := b.text("document.documentElement.scrollWidth"); wide != fmt.Sprint(width) {
			t.Errorf("on a screen of %d px the page is %s px wide", width, wide)
		}
		// Of each figure that is seen its name, the size of its smallest words and what of it does not fit, in px.
		figures := strings.Split(b.text(`[...document.querySelectorAll("svg")].filter(s => s.checkVisibility()).map(s => {
			const box = s.parentElement, sizes = [...s.querySelectorAll("text, tspan")].map(e => parseFloat(getComputedStyle(e).fontSize) * s.getScreenCTM().a)
			return [s.querySelector("title").textContent.replaceAll(/[|;]/g, ","), Math.min(...sizes), box.scrollWidth - box.clientWidth].join("|")
		}).join(";")`), ";")
		if len(figures) < 12 {
			t.Errorf("at %d px %d figures: %q", width, len(figures), figures)
		}
		for _, f := range figures {
			if parts := strings.Split(f, "|"); len(parts) != 3 || number(t, parts[1]) < 10 || parts[2] != "0" {
				t.Errorf("at %d px: %s", width, f)
			}
		}
	}
	if to := os.Getenv("STIRWATCH_REPORT_PICTURE"); to != "" {
		b.size(390, 844)
		picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(90))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
