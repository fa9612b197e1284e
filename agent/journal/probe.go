package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Disk is what [Probe] finds of a folder.
type Disk struct {
	Sync time.Duration // that it took to make 4 KiB safe
	Free int64         // bytes left for this user; -1 where the system does not tell
}

// Probe tries whether a journal can be kept in dir, which it makes where it is missing. Of a journal that
// is there it touches nothing.
func Probe(dir string) (d Disk, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return d, err
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return d, fmt.Errorf("the folder cannot be written: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	began := time.Now()
	if _, err := f.Write(make([]byte, 4096)); err != nil {
		return d, err
	}
	if err := f.Sync(); err != nil {
		return d, err
	}
	d.Sync, d.Free = time.Since(began), Free(f.Name())
	return d, nil
}

// Free is how many bytes this user may still write beside path; -1 where the system does not tell.
func Free(path string) int64 {
	var fs syscall.Statfs_t
	if syscall.Statfs(filepath.Dir(path), &fs) != nil {
		return -1
	}
	return int64(fs.Bavail) * int64(fs.Bsize)
}

// Bounds of what [FittingSize] gives.
const (
	leastSize = 64 << 20
	mostSize  = 100e9
)

// FittingSize is the size that a journal at path may have where nobody says: half of what its disk has free,
// what the journal itself takes counted as free. It is never less than the journal has: a disk that others
// have filled when the agent starts is no reason to remove half of the record.
func FittingSize(path string) int64 {
	free := int64(2 * leastSize) // where the system does not tell
	var fs syscall.Statfs_t
	dir := filepath.Dir(path)
	for syscall.Statfs(dir, &fs) != nil && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir) // not yet made
	}
	if fs.Bsize > 0 {
		free = int64(fs.Bavail) * int64(fs.Bsize)
	}
	var own int64
	for _, companion := range []string{"", "-wal", ".reserve"} {
		if f, err := os.Stat(path + companion); err == nil {
			own += f.Size()
		}
	}
	return max(min(max((free+own)/2, leastSize), mostSize), own)
}
