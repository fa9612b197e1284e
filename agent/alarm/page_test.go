package alarm

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/cmd/parts"
)

var update = flag.Bool("update", false, "write the codes of docs/alarms.md anew")

const (
	page  = "../../docs/alarms.md"
	begin = "<!-- made by `go generate ./agent/alarm` from the registry of agent/anomaly -->\n"
	end   = "<!-- end of what is made -->\n"
)

// The page has every code of the registry, with the setting that it is shipped with.
func TestPageIsCurrent(t *testing.T) {
	parts.Page(t, page, begin, end, describe(), "go generate ./agent/alarm", *update)
}

// describe writes a table of all codes, then a paragraph for each.
func describe() string {
	var b strings.Builder
	b.WriteString("\n| code | about | priority | lasts | gone | alarm's off-delay | when | group |\n|---|---|---|---|---|---|---|---|\n")
	for _, d := range anomaly.Definitions() {
		s := Default(&d)
		when := "always"
		if s.InRun {
			when = "run"
		}
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s | %g s | %g s | %g s | %s | %s |\n",
			d.Code, anchor(string(d.Code)), d.About, s.Priority, d.On, d.Off, s.OffDelay.Seconds(), when, s.Group)
	}
	for _, d := range anomaly.Definitions() {
		fmt.Fprintf(&b, "\n### `%s`\n\n%s.\n\n- Usual causes: %s.\n- What to do: %s.\n", d.Code, capital(d.Text), d.Cause, d.Response)
		if len(d.DependsOn) > 0 {
			names := make([]string, len(d.DependsOn))
			for i, c := range d.DependsOn {
				names[i] = "`" + string(c) + "`"
			}
			fmt.Fprintf(&b, "- Not raised while one of its causes stands: %s.\n", strings.Join(names, ", "))
		}
	}
	return b.String()
}

// anchor is how the link to a heading is written.
func anchor(code string) string { return strings.ReplaceAll(code, ".", "") }

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// What the page says of the numbers that are fixed.
func TestPageTellsTheFixedNumbers(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBoard(Options{})
	if b.opt.Flood != 10 || FloodSpan != 10*time.Minute || !bytes.Contains(text, []byte("More than ten alarms in ten minutes are a flood")) {
		t.Error("the page and the code differ in what a flood is")
	}
	for s := range states {
		if !bytes.Contains(text, []byte(s.String())) {
			t.Errorf("the page does not explain %q", s)
		}
	}
}
