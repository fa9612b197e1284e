package assemble

import (
	"context"
	"os"
	"os/exec"
	"strconv"

	"stirwatch/agent/models"
	"stirwatch/dynamics/model"
)

// shelf has the models of the configuration; m, which may be nil, is in use.
func (c *Cell) shelf(m *model.Model) *models.Shelf {
	return models.New(models.Options{
		Folder: c.conf.Abs(c.conf.Model.Folder), File: c.conf.Abs(c.conf.Model.File), Hypotheses: c.conf.Abs(c.conf.Model.Hypotheses), Log: c.log, Use: c.Agent.Use, Work: c.work,
		Fits: func(m *model.Model) error { return CheckModel(c.conf, c.Registry, m) },
	}, m)
}

// niceness is the priority of what works beside the agent, the tick's being 0.
const niceness = 10

// workMemory is what such a process tries to do with, in Go's own words; with the agent's share it stays below what the unit
// of systemd allows both.
const workMemory = "160MiB"

// work runs this program beside the agent: another process, so that neither its memory nor its collector is the tick's.
func (c *Cell) work(ctx context.Context, args ...string) *exec.Cmd {
	args = append(args, "--config", c.conf.Name())
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	cmd := exec.CommandContext(ctx, self, args...)
	if nice, err := exec.LookPath("nice"); err == nil { // it becomes the program, and goes on where it may not be nice
		cmd = exec.CommandContext(ctx, nice, append([]string{"-n", strconv.Itoa(niceness), self}, args...)...)
	}
	cmd.Env = append(os.Environ(), "GOMEMLIMIT="+workMemory, "GOGC=50")
	return cmd
}
