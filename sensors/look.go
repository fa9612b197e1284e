package sensors

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Look runs sources for a while and keeps the newest reading of every channel. Messages are acknowledged to nobody.
type Look struct {
	reg     *Registry
	sources []Source
	board   *Board // judges as the agent's does

	mu   sync.Mutex
	seen []seen // by channel
	said []said // by source
	errs []error
}

// lookAgain is the time between two attempts to open what is not there.
const lookAgain = 200 * time.Millisecond

type seen struct {
	newest  Sample
	source  int
	count   int
	bad     int    // of them, that are no good values
	first   Sample // of those
	several bool   // sources give it
	low, up float64
}

// said is what a source has reported about its input, and its doubts. Of texts that differ only in numbers the newest is kept.
type said struct {
	texts []string
	more  int
}

// mostSaid bounds what is kept of it.
const mostSaid = 12

// event takes what happened to a source.
func (s *said) event(e Event) {
	if e.Kind != Detected && e.Kind != Doubted {
		return
	}
	like := slices.IndexFunc(s.texts, func(text string) bool { return digitless(text) == digitless(e.Text) })
	if like >= 0 { // of a count the newest
		s.texts[like] = e.Text
		return
	}
	if len(s.texts) == mostSaid {
		s.more++
		return
	}
	s.texts = append(s.texts, e.Text)
}

// digitless is a text without its whole numbers, such as counts and line numbers.
func digitless(text string) string {
	words := slices.DeleteFunc(strings.Fields(text), func(w string) bool { return strings.Trim(w, "0123456789:,;") == "" })
	return strings.Join(words, " ")
}

// all are the texts, and how many more there were.
func (s *said) all() []string {
	if s.more > 0 {
		return append(slices.Clone(s.texts), fmt.Sprintf("and %d more", s.more))
	}
	return s.texts
}

// LookAt runs the sources until ctx ends, or all of them have.
func LookAt(ctx context.Context, reg *Registry, sources []Source) *Look {
	l := &Look{reg: reg, sources: sources, board: NewBoard(reg, false), seen: make([]seen, reg.Len()), said: make([]said, len(sources)), errs: make([]error, len(sources))}
	var all sync.WaitGroup
	for i, s := range sources {
		all.Go(func() {
			for ctx.Err() == nil { // what is not there yet may come
				if err := s.Run(ctx, looker{l, i}); ctx.Err() == nil {
					l.errs[i] = err
					if err == nil {
						return
					}
				}
				select {
				case <-ctx.Done():
				case <-time.After(lookAgain):
				}
			}
		})
	}
	all.Wait()
	return l
}

// looker is where one source puts what it reads.
type looker struct {
	*Look
	source int
}

// Emit implements [Sink].
func (l looker) Emit(samples []Sample, _ Acker) {
	l.board.Put(samples)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range samples {
		s, x := &l.seen[samples[i].Channel], &samples[i]
		s.several = s.several || s.count > 0 && s.source != l.source
		if s.count == 0 {
			s.low, s.up = math.Inf(1), math.Inf(-1)
		}
		if x.Status.IsGood() {
			s.low, s.up = min(s.low, x.Value), max(s.up, x.Value)
		} else if s.bad++; s.bad == 1 {
			s.first = *x
		}
		s.newest, s.source, s.count = *x, l.source, s.count+1
	}
}

// Event implements [Sink].
func (l looker) Event(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said[l.source].event(e)
}

// Missing counts the channels without a good value, except those that are not wired, and the sources that have given nothing.
func (l *Look) Missing() (channels, sources int) {
	gave := make([]bool, len(l.sources))
	for i := range l.seen {
		s := &l.seen[i]
		if s.count == s.bad && s.newest.Status.Reason != Unwired {
			channels++
		}
		if s.count > 0 {
			gave[s.source] = true
		}
	}
	for _, g := range gave {
		if !g {
			sources++
		}
	}
	return channels, sources
}

// Print writes a line for each channel, and what is wrong with sources. Looked is how long they ran.
func (l *Look) Print(out io.Writer, looked time.Duration) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CHANNEL\tVALUE\tLOWEST TO HIGHEST\tSTATUS\tA SECOND\tSOURCE")
	for i := range l.seen {
		c, s := l.reg.Channel(ChannelID(i)), &l.seen[i]
		if s.count == 0 {
			fmt.Fprintf(w, "%s\t–\t\tnothing came\t\t\n", c.Name)
			continue
		}
		span, name := "", l.sources[s.source].Name()
		if s.low <= s.up {
			span = fmt.Sprintf("%.6g to %.6g", s.low, s.up)
		}
		if s.several {
			name += " and others: a channel has one source"
		}
		status := s.newest.Status.String()
		if s.bad > 0 && s.count > 1 {
			status += fmt.Sprintf("; %d of %d are no good: %s", s.bad, s.count, unusable(&s.first))
		}
		fmt.Fprintf(w, "%s\t%.6g %s\t%s\t%s\t%.3g\t%s\n", c.Name, s.newest.Value, c.Unit, span, status, float64(s.count)/looked.Seconds(), name)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, s := range l.sources {
		h := s.Health().Snapshot()
		fmt.Fprintf(out, "source %s: %d messages, %d rejected", s.Name(), h.Messages, h.Rejected)
		switch {
		case l.errs[i] != nil && h.Messages == 0: // else it came later
			fmt.Fprintf(out, "; %v", l.errs[i])
		case h.Rejected > 0:
			fmt.Fprintf(out, "; the last: %s", h.LastBad)
		case h.LastError != "" && h.Messages == 0:
			fmt.Fprintf(out, "; %s", h.LastError)
		case h.Messages == 0 && h.Connects > 0:
			fmt.Fprint(out, "; it is open, but nothing came: is the device sending, and are names and topics right?")
		}
		fmt.Fprintln(out)
		for _, text := range l.said[i].all() {
			fmt.Fprintf(out, "  %s\n", text)
		}
	}
	return nil
}

// unusable says why a reading is no good value, and what was sent.
func unusable(s *Sample) string {
	if s.Sent == "" {
		return s.Status.String()
	}
	return fmt.Sprintf("%s, %q", s.Status, s.Sent)
}
