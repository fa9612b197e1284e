package detect

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// FlagWriter writes one line for each data row: log,t_index,anomaly,score,code.
type FlagWriter struct {
	w     *bufio.Writer
	begun bool
	log   string // as a field
	next  int    // row to be written next
	last  Flag
}

// NewFlagWriter makes one.
func NewFlagWriter(w io.Writer) *FlagWriter { return &FlagWriter{w: bufio.NewWriter(w)} }

// Begin begins with the rows of a log.
func (f *FlagWriter) Begin(log string) {
	if !f.begun {
		fmt.Fprintln(f.w, "log,t_index,anomaly,score,code")
		f.begun = true
	}
	f.log, f.next, f.last = quoted(log), 0, Flag{}
}

// Write writes the flag of a data row; rows are given in order. One that could not be read, and is not given, has the flag of the one before it.
func (f *FlagWriter) Write(row int, flag Flag) {
	f.End(row)
	f.last = flag
	f.End(row + 1)
}

// End completes a log that has rows data rows.
func (f *FlagWriter) End(rows int) {
	for ; f.next < rows; f.next++ {
		is := byte('0')
		if f.last.Anomaly {
			is = '1'
		}
		b := append(f.w.AvailableBuffer(), f.log...)
		b = append(b, ',')
		b = strconv.AppendInt(b, int64(f.next), 10)
		b = append(b, ',', is, ',')
		b = strconv.AppendFloat(b, f.last.Score, 'f', 3, 64)
		b = append(b, ',')
		b = append(b, f.last.Code...)
		f.w.Write(append(b, '\n'))
	}
}

// Flush ends writing and gives the first error.
func (f *FlagWriter) Flush() error { return f.w.Flush() }

// quoted is a field of a CSV (RFC 4180).
func quoted(s string) string {
	if strings.ContainsAny(s, ",\"\r\n") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// WriteEvents writes each event as a line of JSON.
func WriteEvents(w io.Writer, events []Event) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range events {
		if err := e.Encode(&events[i]); err != nil {
			return err
		}
	}
	return nil
}

// PrintEvents writes the events of a log for people, with its number of data rows, or that there are none.
func PrintEvents(w io.Writer, log string, rows int, events []Event) {
	if len(events) == 0 {
		fmt.Fprintf(w, "%s: nothing found in %d rows\n", log, rows)
	}
	for _, e := range events {
		fmt.Fprintf(w, "%s: rows %d–%d, %s to %s: %s (%s), confidence %.2f\n", e.Log, e.From, e.To,
			e.Start.Format(time.DateTime), e.End.Format(time.DateTime), e.What, e.Code, e.Confidence)
		var parts []string
		for i, c := range e.Contributions {
			if i == 4 || c.Share < 0.05 {
				break
			}
			part := fmt.Sprintf("%s %.0f %%", c.Channel, 100*c.Share)
			if c.Deviation != 0 {
				part += fmt.Sprintf(" (%+.1f sd)", c.Deviation)
			}
			parts = append(parts, part)
		}
		fmt.Fprintf(w, "    carried by %s\n    usually: %s\n    do: %s\n", strings.Join(parts, ", "), e.Cause, e.Response)
	}
}
