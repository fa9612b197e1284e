package export

import (
	"bufio"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// kind is what a column holds.
type kind uint8

const (
	instant kind = iota // ns since the Unix epoch
	whole
	number
	text
)

// column of a sheet. What is optional may be missing in a row; a text is empty then.
type column struct {
	name     string
	kind     kind
	optional bool
}

// cell holds a value of its column's kind.
type cell struct {
	whole   int64 // or an instant
	number  float64
	text    string
	missing bool
}

func numberCell(v float64) cell {
	return cell{number: measured(v), missing: math.IsNaN(v)}
}

// sheet takes rows, one cell for each column, and end completes it.
type sheet interface {
	row([]cell) error
	end() error
}

func newSheet(w io.Writer, o Options, columns []column) (sheet, error) {
	if o.Format == Parquet {
		return newParquet(w, columns)
	}
	return newCSV(w, o, columns)
}

// digits that a measured value can have. Converting it (25.4 × 0.0104) leaves an error behind them.
const digits = 15

// measured is v as it was measured; zero has no sign.
func measured(v float64) float64 {
	if v == 0 || v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return v + 0
	}
	var buf [32]byte
	b := strconv.AppendFloat(buf[:0], v, 'g', digits, 64)
	r, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return v // infinite
	}
	return r
}

// csvSheet writes RFC 4180 with line feeds.
type csvSheet struct {
	out     *bufio.Writer
	columns []column
	local   *time.Location
	b       []byte
}

func newCSV(w io.Writer, o Options, columns []column) (*csvSheet, error) {
	s := &csvSheet{out: bufio.NewWriterSize(w, 64<<10), columns: columns, local: o.Local}
	if o.BOM {
		s.out.WriteString("\ufeff")
	}
	for i, c := range columns {
		if i > 0 {
			s.b = append(s.b, ',')
		}
		s.b = appendCSV(s.b, c.name)
	}
	_, err := s.out.Write(append(s.b, '\n'))
	return s, err
}

func (s *csvSheet) row(cells []cell) error {
	b := s.b[:0]
	for i := range cells {
		c := &cells[i]
		if i > 0 {
			b = append(b, ',')
		}
		switch kind := s.columns[i].kind; {
		case c.missing:
		case kind == text:
			b = appendCSV(b, c.text)
		case kind == whole:
			b = strconv.AppendInt(b, c.whole, 10)
		case kind == number:
			b = strconv.AppendFloat(b, c.number, 'g', -1, 64)
		case s.local != nil:
			b = time.Unix(0, c.whole).In(s.local).AppendFormat(b, localStamp)
		default:
			b = time.Unix(0, c.whole).UTC().AppendFormat(b, utcStamp)
		}
	}
	s.b = b
	_, err := s.out.Write(append(b, '\n'))
	return err
}

func (s *csvSheet) end() error { return s.out.Flush() }

// appendCSV quotes where RFC 4180 asks for it.
func appendCSV(b []byte, s string) []byte {
	if !strings.ContainsAny(s, ",\"\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, strings.ReplaceAll(s, `"`, `""`)...)
	return append(b, '"')
}
