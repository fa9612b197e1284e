package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"runtime/debug"
	"syscall"
)

// Some counts outlive a kill although the journal cannot hold them: of the lines that were lost since the
// recording stopped, of those that the journal holds and nobody else has, and of those in its gaps. By these
// a file that is deleted is missed also where the agent is killed before it can begin a new one.

// counts is a file of one block that is mapped: a store needs no answer of the disk, which may be full or
// failing. It reaches the disk in the kernel's own time: a kill loses nothing, a power cut the last seconds.
type counts struct {
	f    *os.File
	page []byte // nil: not open, and a kill loses the counts
	is   tally  // what is in it
	seq  [countPlaces]uint64
}

// tally are the counts, by place.
type tally [countPlaces]gap

const (
	lostAt = iota
	heldAt
	missedAt
	countPlaces
)

const (
	countsSize = 4096
	slotSize   = 64 // of two for each count, written in turn, so that a kill in between leaves the other
)

// open maps the file, or makes it with its block on disk, and reads the counts that another process has left.
func (c *counts) open(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return
	}
	if i, err := f.Stat(); err == nil && i.Size() < countsSize {
		_, err = f.WriteAt(make([]byte, countsSize), 0)
		if err = errors.Join(err, f.Sync()); err != nil {
			f.Close()
			os.Remove(path)
			return
		}
	}
	page, err := syscall.Mmap(int(f.Fd()), 0, countsSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		f.Close()
		return
	}
	c.f, c.page = f, page
	c.guarded(func() {
		for place := range c.is {
			c.is[place] = c.get(place)
		}
	})
}

// guarded runs do, which touches the map. If somebody has truncated the file, the counts are given up.
func (c *counts) guarded(do func()) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			c.page = nil
		}
	}()
	do()
}

func (c *counts) slot(place int, seq uint64) []byte {
	return c.page[(2*place+int(seq%2))*slotSize:][:slotSize]
}

// get gives the newer intact one of the two slots of a place.
func (c *counts) get(place int) (g gap) {
	for n := range uint64(2) {
		b := c.slot(place, n)
		seq := binary.LittleEndian.Uint64(b)
		if seq%2 != n || seq <= c.seq[place] || binary.LittleEndian.Uint32(b[32:]) != crc32.ChecksumIEEE(b[:32]) {
			continue
		}
		c.seq[place] = seq
		g = gap{int64(binary.LittleEndian.Uint64(b[8:])), int64(binary.LittleEndian.Uint64(b[16:])), int(binary.LittleEndian.Uint64(b[24:]))}
	}
	return g
}

func (c *counts) put(place int, g gap) {
	c.is[place] = g
	c.seq[place]++
	var b [36]byte
	binary.LittleEndian.PutUint64(b[:], c.seq[place])
	binary.LittleEndian.PutUint64(b[8:], uint64(g.from))
	binary.LittleEndian.PutUint64(b[16:], uint64(g.to))
	binary.LittleEndian.PutUint64(b[24:], uint64(g.lines))
	binary.LittleEndian.PutUint32(b[32:], crc32.ChecksumIEEE(b[:32]))
	copy(c.slot(place, c.seq[place]), b[:])
}

func (c *counts) save(t tally) {
	if c.page == nil || t == c.is {
		return
	}
	c.guarded(func() {
		for place, g := range t {
			if g != c.is[place] {
				c.put(place, g)
			}
		}
	})
}

func (c *counts) close() {
	if c.page != nil {
		syscall.Munmap(c.page)
		c.page = nil
	}
	if c.f != nil {
		c.f.Close()
	}
}

// saveCounts keeps the counts as they are now where a kill does not lose them.
func (j *Journal) saveCounts() {
	j.countsMu.Lock()
	defer j.countsMu.Unlock()
	j.mu.Lock()
	t := tally{lostAt: j.gap, heldAt: j.held, missedAt: j.missed}
	for place, b := range j.before {
		t[place].add(b.from, b.to, b.lines)
	}
	j.mu.Unlock()
	j.counts.save(t)
}

// holds sets what a file that was just opened holds and nobody else has, and misses; mu is held.
func (j *Journal) holds(st *store) {
	j.missed = st.missed
	switch {
	case !j.opts.Archive:
		j.held = st.unsentSpan
		j.held.lines = st.unsent.lines
	case j.old != nil: // what was in the other is told
		j.held = gap{}
	}
}

// release notes that lines are not the journal's alone any more, or are gone; mu is held.
func (j *Journal) release(removed int) {
	left := j.unsent.lines
	if j.opts.Archive {
		left = j.held.lines - removed
	}
	if j.held.lines = left; left <= 0 {
		j.held = gap{}
	}
}

// Reasons for gaps that the counts tell of.
const (
	killedStopped = "recording had stopped when the agent was ended"
	wasGone       = "the file was gone when the agent started"
	gapsOfGone    = "gaps of the file that was gone when the agent started"
	gapsUnread    = "gaps of a file that was damaged and could not be read"
)

// openCounts opens the counts and reads what another process has left there.
func (j *Journal) openCounts() {
	if j.counts.f != nil {
		return
	}
	j.counts.open(j.path + ".gap")
	j.mu.Lock()
	j.before = j.counts.is
	j.mu.Unlock()
}

// rememberGap records what another process has left in the counts, now, or with what follows when recording
// begins. replaced tells that the file is the successor of another, of which all is told.
func (j *Journal) rememberGap(replaced bool) {
	j.openCounts()
	if lost := j.before[lostAt]; lost.lines > 0 {
		kept := j.missing(lost, killedStopped)
		j.mu.Lock()
		j.before[lostAt] = gap{}
		if !kept {
			j.gap.add(lost.from, lost.to, lost.lines)
		}
		j.mu.Unlock()
	}
	if j.st != nil {
		j.missRest(replaced)
	}
	j.saveCounts()
}

// missRest records what the counts of another process tell of and the file does not have.
func (j *Journal) missRest(replaced bool) {
	held, missed := j.before[heldAt], j.before[missedAt]
	if !j.st.fresh && !j.reckoned {
		if missed.lines -= j.st.missed.lines; replaced || missed.lines <= 0 {
			missed = gap{}
		}
		if held.lines -= j.st.unsent.lines; replaced || !j.partial || j.opts.Archive || held.lines <= 0 {
			held = gap{}
		}
	}
	kept := j.missing(held, wasGone)
	if kept {
		held = gap{}
		if kept = j.missing(missed, gapsOfGone); kept {
			missed = gap{}
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if !kept { // the disk takes nothing
		j.before[heldAt], j.before[missedAt], j.reckoned = held, missed, true
		return
	}
	b := j.before
	if j.before, j.partial, j.reckoned = (tally{}), false, false; j.opts.Archive && !j.st.fresh && !replaced && b[heldAt].lines > 0 {
		j.held = b[heldAt]
	}
}

// missing records a gap that was found at the start, if it is one; false: it cannot be now.
func (j *Journal) missing(g gap, why string) bool {
	if g.lines == 0 {
		return true
	}
	if j.st == nil || j.st.addGap(g, why, j.opts.Clock()) != nil {
		return false
	}
	j.noteMissed()
	j.replaced = append(j.replaced, replacement{g, why, 0})
	return true
}

// noteMissed takes over the number of lines in the file's gaps.
func (j *Journal) noteMissed() {
	j.mu.Lock()
	j.missed = j.st.missed
	j.mu.Unlock()
}
