package journal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The size that a journal may have follows the disk, and its own growth does not shrink it.
func TestFittingSize(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "not", "yet", "made", "j.db")
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Skip(err)
	}
	free := int64(fs.Bavail) * int64(fs.Bsize)
	want := min(max(free/2, leastSize), mostSize)
	if got := FittingSize(path); got < want-want/10 || got > want+want/10 { // others write to this disk too
		t.Errorf("%d of %d bytes free", got, free)
	}
	path = filepath.Join(dir, "j.db")
	before := FittingSize(path)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil { // sparse: it takes nothing of the disk
		t.Fatal(err)
	}
	if got := FittingSize(path); before < mostSize-1<<30 && got < before+1<<28 {
		t.Errorf("a journal of 1 GiB is not counted as room of its own: %d, %d without", got, before)
	}
}

// A disk that others have filled does not make the journal smaller than it is.
func TestFittingSizeOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=160m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	path := filepath.Join(dir, "j.db")
	if err := os.WriteFile(path, make([]byte, 150<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := FittingSize(path); got < 150<<20 {
		t.Errorf("a journal of %d bytes may have %d: the rest would be removed", 150<<20, got)
	}
}
