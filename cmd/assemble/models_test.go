package assemble

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stirwatch/config"
	"stirwatch/dynamics/model"
)

const withoutModel = `machine: cell
channels:
  tool_temperature: {is: tool temperature, unit: °C}
  set_point: {is: set-point, unit: °C}
  spindle_speed: {is: spindle speed, unit: rpm}
  spindle_power: {is: spindle power, unit: W}
  feed_velocity: {is: feed velocity, unit: mm/min}
  path_velocity: {is: path velocity, unit: mm/min}
sources: {log: {log: {path: a.csv}}}
journal: {path: journal.db}
model: {folder: models, hypotheses: mine.yaml}
`

// A machine whose configuration names no model has what was chosen on the page, and learns by its own hypotheses.
func TestTheFirstModelIsChosenOnThePage(t *testing.T) {
	dir := t.TempDir()
	conf, err := config.Parse(filepath.Join(dir, "agent.yaml"), []byte(withoutModel), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(conf); err == nil || !strings.Contains(err.Error(), "model.hypotheses") {
		t.Errorf("hypotheses that are not there: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(model.DefaultHypothesesText()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Check(conf); err != nil {
		t.Fatal(err)
	}
	use := func(want string) {
		t.Helper()
		c, err := New(conf, slog.New(slog.DiscardHandler), true)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Journal.Close()
		if _, name := c.models.Current(); name != want {
			t.Errorf("%q is used, not %q", name, want)
		}
		if c.models.Hypotheses != filepath.Join(dir, "mine.yaml") {
			t.Errorf("it learns by %q", c.models.Hypotheses)
		}
	}
	use("")
	m, err := model.Load("../demo/model.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "models"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(filepath.Join(dir, "models", "first.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("first.json", filepath.Join(dir, "models", "current")); err != nil {
		t.Fatal(err)
	}
	use("first.json")
}
