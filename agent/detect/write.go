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
}

// NewFlagWriter makes one.
func NewFlagWriter(w io.Writer) *FlagWriter { return &FlagWriter{w: bufio.NewWriter(w)} }

// Write writes the flags of a table. A row that could not be read has the flag of the one before it.
func (f *FlagWriter) Write(t *Table, flags []Flag) {
	if !f.begun {
		fmt.Fprintln(f.w, "log,t_index,anomaly,score,code")
		f.begun = true
	}
	next, last := 0, Flag{}
	log := quoted(t.Log)
	for row := range t.Rows {
		if next < len(t.Index) && t.Index[next] == row {
			last = flags[next]
			next++
		}
		is := byte('0')
		if last.Anomaly {
			is = '1'
		}
		f.w.WriteString(log)
		f.w.WriteByte(',')
		f.w.WriteString(strconv.Itoa(row))
		f.w.WriteByte(',')
		f.w.WriteByte(is)
		f.w.WriteByte(',')
		f.w.WriteString(strconv.FormatFloat(last.Score, 'f', 3, 64))
		f.w.WriteByte(',')
		f.w.WriteString(string(last.Code))
		f.w.WriteByte('\n')
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

// PrintEvents writes the events of a table for people, or that there are none.
func PrintEvents(w io.Writer, t *Table, events []Event) {
	if len(events) == 0 {
		fmt.Fprintf(w, "%s: nothing found in %d rows\n", t.Log, t.Rows)
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
