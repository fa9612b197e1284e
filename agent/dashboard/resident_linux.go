package dashboard

import (
	"os"
	"strconv"
	"strings"
)

// residentBytes reads how much memory of this process is resident: proc(5), /proc/pid/statm.
func residentBytes() (float64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	return pages * float64(os.Getpagesize()), err == nil
}
