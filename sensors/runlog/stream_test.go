package runlog

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// streamed opens a text as a file, with what was found out about its columns.
func streamed(t testing.TB, text string) (*Stream, Options, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.csv")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opt, _, err := Discover(path, Options{})
	if err != nil {
		return nil, opt, err
	}
	s, err := Open(path, opt)
	return s, opt, err
}

// asRead fails where a stream says something else than the log that is read as a whole.
func asRead(t testing.TB, text string) {
	t.Helper()
	s, opt, err := streamed(t, text)
	if err != nil {
		if s == nil && !errors.Is(err, ErrWhole) {
			if _, whole := readText([]byte(text), opt); whole == nil {
				t.Fatalf("the whole log is read, row by row it is not: %v", err)
			}
		}
		return
	}
	log, whole := readText([]byte(text), opt)
	lost, rows := 0, 0
	err = s.Each(func(r *Row) error {
		if whole != nil {
			return nil
		}
		i := rows
		for lost < len(log.Lost) && log.Lost[lost] < r.Line {
			lost++
		}
		if i >= len(log.Time) || r.Time != log.Time[i] || r.Line != log.Line[i] || r.Index != i+lost {
			t.Fatalf("row %d: %+v", i, r)
		}
		for c := range log.Columns {
			if a, b := r.Value[c], log.Value[c][i]; a != b && !(math.IsNaN(a) && math.IsNaN(b)) || r.Status[c] != log.Status[c][i] {
				t.Fatalf("row %d, column %d: %g %v, in the whole log %g %v", i, c, a, r.Status[c], b, log.Status[c][i])
			}
		}
		rows++
		return nil
	})
	if (err == nil) != (whole == nil) {
		t.Fatalf("row by row: %v; as a whole: %v", err, whole)
	}
	if err != nil {
		return
	}
	log.Name = s.Name
	said := s.Remarks()
	if rows != len(log.Time) || s.Rows != rows+len(log.Lost) || s.SHA256 != log.SHA256 || s.Skips != log.Skips || s.BadCells != log.BadCells || !slices.Equal(said, log.Remarks()) {
		t.Errorf("%d of %d rows, %d skips of %d, said %q, of %d and %q", rows, s.Rows, s.Skips, log.Skips, said, len(log.Time), log.Remarks())
	}
	if !slices.Equal(s.Columns, log.Columns) {
		t.Errorf("columns %v, want %v", s.Columns, log.Columns)
	}
}

func TestAStreamSaysWhatTheWholeLogDoes(t *testing.T) {
	for name, text := range map[string]string{
		"plain":          "time,a,b\n0,1,2\n1,3,4\n2,5,6\n",
		"semicolons":     "datetime;flow [L/min];anomaly\n2020-03-09 10:14:33;32,1;0\n2020-03-09 10:14:34;32,2;0\n",
		"lost lines":     "time,a\n0,1\ngarbage\n1,2\n1,2\n0.5,9\n2,3\nx,y,z\n3,4\nlast,line,lost\n",
		"set back":       "time,a\n10,1\n11,2\n3,3\n4,4\n4,4\n5,5\n",
		"bad cells":      "time,a\n0,1\n1,none\n2,fault\n3,2\n",
		"dates":          "date,a\n03/04/2025 10:00:00,1\n03/04/2025 10:00:01,2\n13/04/2025 10:00:00,3\n",
		"no time":        "a,b\n1.5,2\n2.5,1\nx\n1.5,7\n",
		"header again":   "time,a\n0,1\ntime,a\n1,2\n",
		"described":      "time [s],plate temperature [°C],heater power [W]\n0,21,0\n1,22,10\n2,23,10\n",
		"degrees":        "time [s],plate temperature [°F]\n0,70\n1,71\n2,72\n",
		"quoted":         "time,a\n0,\"1\"\n1,\"2\n2,3\n3,4\n",
		"torn":           "time,a\n0,1.25\n1,2.25\n2,3.",
		"no row":         "time,a\nx,y\n",
		"nothing":        "",
		"newest first":   "time,a\n9,1\n8,2\n7,3\n6,4\n5,5\n",
		"long":           "time,a\n" + strings.Repeat("0,1\n", 3) + strings.Repeat("x", 300<<10) + "\n1,2\n2,3\n",
		"many lost":      "time,a\n0,1\n" + strings.Repeat("?,?,?\n", 3000) + "1,2\n2,2\n",
		"blanks":         "time   a    b\n0    1.5    2\n1    2.5    3\n2    3.5    4\n",
		"two, same name": "time,a,a\n0,1,2\n1,3,4\n",
	} {
		t.Run(name, func(t *testing.T) { asRead(t, text) })
	}
}

// A row that is enough ends the reading, and it may begin anew.
func TestAStreamIsReadAgain(t *testing.T) {
	s, _, err := streamed(t, "time,a\n"+"0,1\n1,2\n2,3\n3,4\n")
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for range 2 {
		n := 0
		if err := s.Each(func(r *Row) error {
			if n++; r.Index == 1 {
				return enough
			}
			return nil
		}); err != enough || n != 2 {
			t.Errorf("%d rows, %v", n, err)
		}
	}
	if err := s.Each(func(*Row) error { return nil }); err != nil || s.Rows != 4 {
		t.Errorf("%d rows, %v", s.Rows, err)
	}
}

// The units of a MELD log are told by all its rows.
func TestAMELDLogIsReadAsAWhole(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "20250708104310.csv")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the recordings are not here")
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrWhole) {
		t.Error(err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add("time,a\n0,1\ngarbage\n1,2\n0.5,9\n2,3\nx,y,z\n")
	f.Add("datetime;a;anomaly\n2020-03-09 10:14:33;32,1;0\n2020-03-09 10:14:34;\"32\n;2;0\n")
	f.Add("a,b\n1.5,2\n2.5,1\nx\n1.5,7\n")
	f.Fuzz(func(t *testing.T, text string) { asRead(t, text) })
}
