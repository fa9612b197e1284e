package journal

import (
	"compress/gzip"
	"database/sql"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fixture is a journal as a program of that day wrote it: twelve rows of a simulated machine's log, replayed.
func fixture(t *testing.T, day string) (path string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", day+".db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "j.db")
	to, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := io.Copy(to, z); err != nil {
		t.Fatal(err)
	}
	return path
}

// oldStatements are what the first programs of format 1 ask of a journal, word by word. A program that is put back must be
// able to go on with what a newer one has written.
var oldStatements = []struct {
	text string
	args []any
}{
	{"SELECT (SELECT value FROM state WHERE key='sent'), (SELECT ifnull(max(id),0) FROM batches)", nil},
	{"SELECT count(*), ifnull(sum(lines),0), ifnull(sum(length(deflate)),0) FROM batches WHERE id > ? AND id <= ?", []any{0, int64(math.MaxInt64)}},
	{"SELECT id, first_ns, last_ns, lines, raw_len, crc, deflate FROM batches WHERE id > ? ORDER BY id", []any{0}},
	{"SELECT id, name, note, start_ns, end_ns FROM runs ORDER BY id", nil},
	{"SELECT from_ns, to_ns, lines, reason FROM gaps ORDER BY id", nil},
	{"SELECT batch, line, reason, at_ns FROM refused ORDER BY id", nil},
	{"SELECT at_ns, who, what, why FROM audit ORDER BY id", nil},
	{"INSERT INTO batches SELECT max(id)+1, ?, ?, lines, raw_len, crc, ?, deflate FROM batches WHERE id=(SELECT max(id) FROM batches)", []any{1, 2, 3}},
	{"INSERT INTO batches VALUES (?,?,?,?,?,?,?,?)", []any{1 << 40, 1, 2, 0, 0, 0, 3, []byte{}}},
	{"UPDATE state SET value=? WHERE key='sent'", []any{7}},
	{"INSERT INTO refused (batch, line, reason, at_ns) VALUES (?,?,?,?)", []any{1, "x", "y", 2}},
	{"INSERT INTO gaps (from_ns, to_ns, lines, reason, at_ns) VALUES (?,?,?,?,?)", []any{1, 2, 3, "x", 4}},
	{"UPDATE runs SET end_ns=? WHERE end_ns=0", []any{5}},
	{"INSERT INTO runs (name, note, start_ns, end_ns) VALUES (?,?,?,0)", []any{"a", "b", 1}},
	{"INSERT INTO audit (at_ns, who, what, why) VALUES (?,?,?,?)", []any{1, "a", "b", "c"}},
	{"INSERT INTO probe (filler) VALUES (zeroblob(?))", []any{10}},
	{"DELETE FROM probe", nil},
	{"DELETE FROM batches WHERE id <= ?", []any{1}},
}

// A journal of an earlier program is read as it is, goes on under this one, and can be taken back.
func TestJournalsOfEarlierPrograms(t *testing.T) {
	for day, want := range map[string]struct{ lines, samples int }{"2026-11-23": {889, 336}, "2026-11-25": {883, 336}} {
		t.Run(day, func(t *testing.T) {
			path := fixture(t, day)
			schema := func(r *Reader, tables []string) (all []string) {
				for _, name := range tables {
					var text string
					if err := r.conn().QueryRow("SELECT sql FROM sqlite_schema WHERE name=?", name).Scan(&text); err != nil {
						t.Fatal(name, err)
					}
					all = append(all, text)
				}
				return all
			}
			r, err := OpenReader(path) // no agent has opened it: the tables of later programs are not there
			if err != nil {
				t.Fatal(err)
			}
			tables, err := list(r, "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL", func(rows *sql.Rows, x *string) error { return rows.Scan(x) })
			if err != nil || len(tables) < 8 {
				t.Fatal(tables, err)
			}
			before, lines := schema(r, tables), allLines(t, r)
			sums, samples := seen(t, r, Query{}, Fine, true)
			if len(lines) != want.lines || samples != want.samples || len(sums) == 0 {
				t.Errorf("%d lines, %d samples in %d sums; written were %d and %d", len(lines), samples, len(sums), want.lines, want.samples)
			}
			run, err := r.Run("last")
			if err != nil || run.End <= run.Start {
				t.Errorf("run %+v, %v", run, err)
			}
			if o, err := r.Overview(OverviewOptions{Size: 1 << 30, Upload: true}); err != nil || o.Waiting.Lines != want.lines {
				t.Errorf("overview %+v, %v", o, err)
			}
			if _, err := r.Notes(run); err != nil {
				t.Error(err)
			}
			if m, err := r.Remembered("alarms"); err != nil || len(m) > 0 {
				t.Error(m, err)
			}
			r.Close()

			j := testOpen(t, path, Options{})
			if got := allLines(t, j.Reader); !slices.Equal(got, lines) {
				t.Errorf("this program reads %d lines, %d before it opened the file", len(got), len(lines))
			}
			begin := unsent(t, j)
			if len(begin) != 1 {
				t.Fatalf("%d batches wait", len(begin))
			}
			if err := j.Sent(begin[0].ID); err != nil {
				t.Fatal(err)
			}
			last := run.End + 1e9
			appendDurably(t, j, good(last, 1), good(last+1, 2))
			j.Remember("alarms", "a", []byte("b"))
			if err := j.AddNote(run, Note{At: last, Who: "w", Text: "x"}); err != nil {
				t.Fatal(err)
			}
			if left := unsent(t, j); len(left) != 1 || left[0].ID <= begin[0].ID || left[0].Lines != 2 {
				t.Errorf("the upload goes on with %+v", left)
			}
			j.Close()

			j = testOpen(t, path, Options{})
			if got := allLines(t, j.Reader); len(got) != len(lines)+2 || !slices.Equal(got[:len(lines)], lines) {
				t.Errorf("%d lines after %d and 2", len(got), len(lines))
			}
			if m, err := j.Remembered("alarms"); err != nil || string(m["a"]) != "b" {
				t.Error(m, err)
			}
			if after := schema(j.Reader, tables); !slices.Equal(after, before) {
				t.Errorf("the tables of an earlier program are now\n%s\nand were\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
			}
			var version int
			if err := j.conn().QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != 1 {
				t.Errorf("format %d, %v: a program of format 1 would not open it", version, err)
			}
			j.Close()

			db, err := open(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for _, s := range oldStatements {
				if strings.HasPrefix(s.text, "SELECT") {
					rows, err := db.Query(s.text, s.args...)
					if err != nil {
						t.Errorf("%s: %v", s.text, err)
						continue
					}
					if !rows.Next() && strings.Contains(s.text, "batches") {
						t.Errorf("%s: nothing", s.text)
					}
					rows.Close()
				} else if _, err := db.Exec(s.text, s.args...); err != nil {
					t.Errorf("%s: %v", s.text, err)
				}
			}
		})
	}
}

// A program that knows no summaries removes batches and leaves what was summed up of them. It must not be told of any more.
func TestSummariesAfterAnEarlierProgram(t *testing.T) {
	for name, gone := range map[string]int{"a part of a block": 10, "a part of a chapter": 5*blockSpan + 3, "more than a chapter": chapterSpan + 7, "all": 5 * chapterSpan} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "j.db")
			j := testOpen(t, path, Options{Archive: true})
			chaptersOf(t, j, 3*chapterSpan+100)
			if err := j.Summarise(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := len(chaptersIn(t, j)); n != 3 {
				t.Fatalf("%d chapters", n)
			}
			j.Close()
			db, err := open(path, 1)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("DELETE FROM batches WHERE id <= ?", gone); err != nil {
				t.Fatal(err)
			}
			db.Close()
			j = testOpen(t, path, Options{Archive: true})
			want, _ := seen(t, j.Reader, Query{}, Coarse, false)
			got, _ := seen(t, j.Reader, Query{}, Coarse, true)
			if len(want) != len(got) {
				t.Errorf("%d sums, by samples %d", len(got), len(want))
			}
			for k, w := range want {
				if g := got[k]; g.Last != w.Last || g.Min != w.Min && !math.IsNaN(w.Min) || g.Max != w.Max && !math.IsNaN(w.Max) {
					t.Fatalf("%s: %+v, by samples %+v", k, g, w)
				}
			}
		})
	}
}
