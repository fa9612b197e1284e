package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Command runs a program for each message: the text on its standard input, and STIRWATCH_TITLE, STIRWATCH_PRIORITY,
// STIRWATCH_MACHINE, STIRWATCH_MESSAGE (the message's name) and STIRWATCH_CODES in its environment. It has taken the message where it
// ends with 0.
type Command struct {
	Run     []string // program and arguments
	Dir     string   // where it runs; "": where the agent does
	Timeout time.Duration
}

// Send implements [Sender].
func (c *Command) Send(ctx context.Context, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	codes := make([]string, len(m.Items))
	for i := range m.Items {
		codes[i] = m.Items[i].Key.String()
	}
	cmd := exec.CommandContext(ctx, c.Run[0], c.Run[1:]...)
	cmd.Dir = c.Dir
	cmd.Stdin = strings.NewReader(m.Text + "\n")
	cmd.Env = append(os.Environ(), "STIRWATCH_TITLE="+m.Title, "STIRWATCH_PRIORITY="+m.Priority.String(),
		"STIRWATCH_MACHINE="+m.Machine, "STIRWATCH_MESSAGE="+m.ID, "STIRWATCH_CODES="+strings.Join(codes, ","))
	said := &head{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends with all that it has started
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s did not end within %v", c.Run[0], c.Timeout)
	}
	return errors.New(strings.TrimSpace(fmt.Sprintf("%s: %v %s", c.Run[0], err, strings.Join(strings.Fields(said.String()), " "))))
}

// head keeps the first bytes that are written.
type head struct{ bytes.Buffer }

func (h *head) Write(b []byte) (int, error) {
	h.Buffer.Write(b[:min(len(b), max(0, 200-h.Len()))])
	return len(b), nil
}
