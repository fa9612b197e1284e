package models

import (
	"fmt"
	"os"
)

// expendable lets the kernel end a process before any other where memory is short (proc(5), oom_score_adj; children
// inherit it).
func expendable(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte("1000"), 0)
}
