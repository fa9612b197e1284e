package detect

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
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

// quoted is a field of a CSV.
func quoted(s string) string {
	for _, c := range s {
		if c == ',' || c == '"' || c == '\n' || c == '\r' {
			return strconv.Quote(s)
		}
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
