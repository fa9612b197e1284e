package screen

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// Progress is a line on W that is overwritten, if W is a terminal. If it is not, nothing is written or, with Lines, each step
// that begins on a line of its own.
type Progress struct {
	W     io.Writer
	Lines bool
	next  time.Time
}

// Show writes how far something is, at most twice a second.
func (p *Progress) Show(format string, args ...any) {
	if now := time.Now(); now.After(p.next) && terminal(p.W) {
		p.next = now.Add(500 * time.Millisecond)
		fmt.Fprintf(p.W, "\r\x1b[K"+format, args...)
	}
}

// Begin writes at once that a step begins.
func (p *Progress) Begin(format string, args ...any) {
	if p.Lines && !terminal(p.W) {
		fmt.Fprintf(p.W, format+"\n", args...)
	}
	p.next = time.Time{}
	p.Show(format, args...)
}

// Note writes a line that stays.
func (p *Progress) Note(text string) {
	p.Done()
	fmt.Fprintln(p.W, text)
}

// Done erases the line.
func (p *Progress) Done() {
	if terminal(p.W) {
		fmt.Fprint(p.W, "\r\x1b[K")
	}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
