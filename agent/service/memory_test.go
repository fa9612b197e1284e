package service

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// residentFile is what of the process's files is in memory, in kB.
func residentFile(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	m := regexp.MustCompile(`RssFile:\s*(\d+) kB`).FindSubmatch(text)
	if m == nil {
		t.Skip("the kernel does not tell")
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheStartIsForgotten(t *testing.T) {
	before := residentFile(t)
	forget(programParts())
	if after := residentFile(t); after > before*3/4 {
		t.Errorf("%d kB of the program's file were resident, and %d are", before, after)
	}
}

func TestPartsOfTheProgramThatMayGo(t *testing.T) {
	const program = "/opt/my programs/stirwatch"
	const clean, changed = "\nRss: 64 kB\nAnonymous:             0 kB\nVmFlags: rd\n", "\nRss: 64 kB\nAnonymous:            64 kB\nVmFlags: rd\n"
	smaps := "00400000-01a3f000 r-xp 00000000 fe:00 1835 /opt/my programs/stirwatch" + clean +
		"01a3f000-02f00000 r--p 01640000 fe:00 1835                 /opt/my programs/stirwatch" + clean +
		"02e00000-02f00000 r--p 02a00000 fe:00 1835 /opt/my programs/stirwatch" + changed + // relocated, then protected
		"02f00000-02f80000 rw-p 02b00000 fe:00 1835 /opt/my programs/stirwatch" + clean +
		"7f0000000000-7f0000001000 r--s 00000000 fe:00 1836 /opt/my programs/stirwatch" + clean +
		"7f0000000000-7f0000001000 r-xp 00000000 fe:00 1837 /lib/libc.so" + clean +
		"c000000000-c000400000 rw-p 00000000 00:00 0" + clean
	want := [][2]uintptr{{0x400000, 0x1a3f000}, {0x1a3f000, 0x2f00000}}
	if got := unchanged([]byte(smaps), program); !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if got := unchanged(nil, program); got != nil {
		t.Errorf("%x of nothing", got)
	}
}
