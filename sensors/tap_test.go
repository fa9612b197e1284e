package sensors

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The last messages are kept while somebody looks, and nothing while nobody does.
func TestTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tap Tap
		tap.Hear(1, nil, []byte("nobody looks"))
		if tap.ring != nil || tap.Open() {
			t.Error("it keeps what nobody looks at")
		}
		if all := tap.Look(); len(all) != 0 || !tap.Open() {
			t.Errorf("before anything has come: %v, open %v", all, tap.Open())
		}
		raw := []byte("x=1")
		tap.Hear(2, []byte("cell/x"), raw)
		raw[2] = '9' // its reader uses the bytes again
		tap.Hear(3, nil, []byte(strings.Repeat("y", tapRaw+7)))
		all := tap.Look()
		if len(all) != 2 || all[0].At != 2 || all[0].About != "cell/x" || string(all[0].Raw) != "x=1" || all[0].Size != 3 {
			t.Fatalf("%+v", all)
		}
		if m := all[1]; m.About != "" || len(m.Raw) != tapRaw || m.Size != tapRaw+7 {
			t.Errorf("a long one: %+v", m)
		}
		for i := range 3 * tapMessages {
			tap.Hear(int64(i), nil, fmt.Append(nil, i))
		}
		if all = tap.Look(); len(all) != tapMessages || string(all[0].Raw) != fmt.Sprint(2*tapMessages) || string(all[tapMessages-1].Raw) != fmt.Sprint(3*tapMessages-1) {
			t.Errorf("of many: %d, from %s to %s", len(all), all[0].Raw, all[len(all)-1].Raw)
		}
		for range 3 { // each look has it kept for longer
			time.Sleep(tapFor - time.Second)
			if len(tap.Look()) == 0 {
				t.Error("it is forgotten while somebody looks")
			}
		}
		time.Sleep(tapFor + time.Second)
		tap.mu.Lock()
		if tap.Open() || tap.ring != nil {
			t.Error("it is kept when nobody looks any more")
		}
		tap.mu.Unlock()
		if all = tap.Look(); len(all) != 0 {
			t.Errorf("who looks again finds %d old messages", len(all))
		}
	})
}

func TestTapDoesNotAllocate(t *testing.T) {
	var tap Tap
	about, raw := []byte("cell/x"), []byte("x=1")
	hear := func() { tap.Hear(1, about, raw) }
	if n := testing.AllocsPerRun(100, hear); n != 0 {
		t.Errorf("a message that nobody looks at allocates %g times", n)
	}
	tap.Look()
	for range tapMessages {
		hear()
	}
	if n := testing.AllocsPerRun(100, hear); n != 0 {
		t.Errorf("one that is looked at allocates %g times", n)
	}
}

// What a message costs while nobody looks. Budget: 5 ns.
func BenchmarkTapClosed(b *testing.B) {
	var tap Tap
	raw := []byte("x=1")
	for b.Loop() {
		tap.Hear(1, nil, raw)
	}
}
