package runlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"stirwatch/sensors/wire"
)

// A writer that saves the whole file anew each time it has a row, in place or under the same name, has each row once in the record.
func TestTailOfALogThatIsWrittenAnew(t *testing.T) {
	row := func(i int) string { return fmt.Sprintf("2025-07-08 10:43:%02d,%d,%d.5\n", i, 100+i, 40+i) }
	for name, save := range map[string]func(path, text string){
		"under the same name": func(path, text string) {
			write(t, path+".tmp", text)
			if err := os.Rename(path+".tmp", path); err != nil {
				t.Fatal(err)
			}
		},
		"in place, at once": func(path, text string) {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"in place, slowly": func(path, text string) {
			if err := os.Truncate(path, 0); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			write(t, path, text[:len(text)/2])
			time.Sleep(300 * time.Millisecond)
			write(t, path, text[len(text)/2:])
		},
	} {
		for _, rows := range []int{1, 5, 40} {
			t.Run(fmt.Sprint(name, " ", rows), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "live.csv")
					text := "stamp,T1,T2\n"
					for i := range rows {
						text += row(i)
					}
					write(t, path, text)
					rec, _, stop := follow(t, generic(t, path))
					settle()
					for i := rows; i < rows+5; i++ {
						text += row(i)
						save(path, text)
						time.Sleep(time.Second)
					}
					settle()
					stop()
					expect(t, rec.values(0), 0, rows+5)
				})
			})
		}
	}
}

// One that begins again as it began, with other rows, is read from its beginning, as soon as that shows.
func TestTailOfALogThatBeginsAlike(t *testing.T) {
	head := "stamp,T1,T2\n" + strings.Repeat("# a remark of which every file has the same\n", 20)
	row := func(i int) string { return fmt.Sprintf("2025-07-08 10:43:%02d,%d,40.5\n", i, 100+i) }
	path := filepath.Join(t.TempDir(), "live.csv")
	synctest.Test(t, func(t *testing.T) {
		text := head
		for i := range 20 {
			text += row(i)
		}
		write(t, path, text)
		rec, _, stop := follow(t, generic(t, path))
		settle()
		if err := os.WriteFile(path, []byte(head), 0o644); err != nil {
			t.Fatal(err)
		}
		for i := 20; i < 25; i++ {
			write(t, path, row(i))
			time.Sleep(time.Second)
		}
		settle()
		stop()
		expect(t, rec.values(0), 0, 25)
		if n := strings.Count(rec.texts(), "truncated"); n != 1 {
			t.Errorf("told %d times\n%s", n, rec.texts())
		}
	})
}

// A stamp that counts from the start of the log cannot be that of its samples, which is told.
func TestTailTellsOfTheYear1970(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.csv")
	synctest.Test(t, func(t *testing.T) {
		write(t, path, "stamp,T1,T2\n0,100,40.5\n1,101,40.5\n")
		opt := generic(t, path)
		opt.Time.Unit = wire.Seconds
		rec, _, stop := follow(t, opt)
		settle()
		stop()
		if n := strings.Count(rec.texts(), "line 2: stamped 1970-01-01T00:00:00Z: is the unit"); n != 1 || len(rec.values(0)) != 2 {
			t.Errorf("told %d times\n%s", n, rec.texts())
		}
	})
}
