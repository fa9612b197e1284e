package journal

import (
	"fmt"
	"strings"
	"time"
)

// Overview is how a journal is: what it holds, what waits, and what it misses.
type Overview struct {
	Path        string
	Last        time.Time // of the last record, zero where there is none yet
	Filling     Filling
	Unconfirmed Unconfirmed
	Waiting     Backlog
	Refused     []RefusedCount
	Gaps        []Gap // what it misses by its own fault
	Removed     []Gap // to make room, or by age
}

// OverviewOptions say what is known of a journal beside what stands in it.
type OverviewOptions struct {
	Size   int64         // most bytes that it may have; 0: not known, how it fills is not told
	Keep   time.Duration // as [Options.Keep]
	Upload bool          // there is a server to send it to: what waits is counted
}

// Overview tells how the journal is, also while an agent records into it.
func (r *Reader) Overview(opt OverviewOptions) (o Overview, err error) {
	o.Path = r.path
	last, err := r.LastCommit()
	if err != nil {
		return o, err
	}
	if last != 0 {
		o.Last = time.Unix(0, last)
	}
	if opt.Size > 0 {
		if o.Filling, err = r.Filling(opt.Size, opt.Keep); err != nil {
			return o, err
		}
	}
	if o.Unconfirmed, err = r.Unconfirmed(); err != nil {
		return o, err
	}
	if opt.Upload {
		if o.Waiting, err = r.Waiting(); err != nil {
			return o, err
		}
	}
	if o.Refused, err = r.RefusedCounts(); err != nil {
		return o, err
	}
	if o.Gaps, err = r.Gaps(); err != nil {
		return o, err
	}
	o.Removed, err = r.Removed()
	return o, err
}

// latestRemoved is how many of the times that lines were removed are told one by one.
const latestRemoved = 5

// String tells it to people, a line for each matter.
func (o *Overview) String() string {
	var b strings.Builder
	if o.Last.IsZero() {
		fmt.Fprintf(&b, "%s: nothing is recorded yet\n", o.Path)
	} else {
		fmt.Fprintf(&b, "%s: last record %s\n", o.Path, o.Last.Format(time.DateTime))
	}
	for _, text := range []string{o.Filling.String(), o.Unconfirmed.String()} {
		if text != "" {
			fmt.Fprintln(&b, text)
		}
	}
	if o.Waiting.Lines > 0 {
		fmt.Fprintf(&b, "waits to be sent: %d lines, the oldest since %s\n", o.Waiting.Lines, o.Waiting.Oldest.Format(time.DateTime))
	}
	for _, x := range o.Refused {
		fmt.Fprintf(&b, "refused by InfluxDB: %d lines of %s: %s", x.Lines, x.Measurement, x.Reason)
		if x.Resend > 0 {
			fmt.Fprintf(&b, " (%d of them will be sent again)", x.Resend)
		}
		fmt.Fprintln(&b)
	}
	for _, g := range o.Gaps {
		fmt.Fprintf(&b, "missing: %s\n", g)
	}
	removed := o.Removed
	if n := len(removed) - latestRemoved; n > 0 {
		fmt.Fprintf(&b, "removed: %d earlier times\n", n)
		removed = removed[n:]
	}
	for _, g := range removed {
		fmt.Fprintf(&b, "removed: %s\n", g)
	}
	return b.String()
}

// String is the same for people.
func (g Gap) String() string {
	return fmt.Sprintf("%d lines, %s to %s: %s", g.Lines, g.From.Format(time.DateTime), g.To.Format(time.DateTime), g.Reason)
}

// LinesRefused is how many lines were refused in all.
func (o *Overview) LinesRefused() (lines int) {
	for _, x := range o.Refused {
		lines += x.Lines
	}
	return lines
}
