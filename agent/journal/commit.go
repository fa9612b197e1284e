package journal

import (
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"stirwatch/agent/record"
	"stirwatch/sensors"
)

const (
	quietMin    = 4 * time.Millisecond // shortest silence that may mean "the sender waits for us"
	reactionMin = time.Millisecond
	cursorEvery = time.Second // the sent mark waits no longer than this for a commit to ride on
	tidyEvery   = 10 * time.Second
	lookEvery   = 2 * time.Second // a journal without a commit looks after its file
	retryEvery  = 250 * time.Millisecond
	logEvery    = time.Minute
)

// pace decides when what has gathered is committed.
//
// A line waits at most the commit interval. Senders that stop after so many unacknowledged
// messages (a broker with 20 in flight) would then crawl, so that silence while
// acknowledgements are due is answered earlier. Whether a silence of a given length means a
// waiting sender or only a slow one is learned from what follows: a sender that had waited goes
// on at once when it is acknowledged. If it does so twice running, the silence asked for is
// halved; if it does not, it is doubled. It ranges from 4 ms to the commit interval, where it does
// nothing, and is varied by a quarter from commit to commit: a regular sender may happen to
// answer at once after one length, not after two.
type pace struct {
	commit   time.Duration // longest wait
	quiet    time.Duration // silence that is taken for waiting
	odd      bool          // every other commit
	asked    bool          // the last commit followed a silence: the next arrival is the answer
	early    bool          // it came before the commit interval was over
	flows    bool          // lines came until the last commit: nobody waits, and silence is looked for later
	finished time.Duration // when it was on disk
	answers  int           // prompt answers running
}

// silence is the length asked for this time.
func (c *pace) silence() time.Duration {
	if c.odd {
		return c.quiet + c.quiet/4
	}
	return c.quiet - c.quiet/4
}

// look reports whether p must be committed at now, and if not, how long until the next look.
func (c *pace) look(now time.Duration, p *pending) (due bool, wait time.Duration) {
	if p.empty() {
		return false, -1
	}
	if c.asked {
		c.learn(p.began)
	}
	if now-p.began >= c.commit || len(p.buf) >= bigBatch {
		return true, 0
	}
	next := p.began + c.commit
	if len(p.acks) > 0 {
		idle, silence := now-p.latest, c.silence()
		if idle >= silence {
			return true, 0
		}
		look := p.latest + silence
		if c.flows {
			look = max(look, p.began+c.commit/2)
		}
		if idle < silence/2 { // lines keep coming: each look comes after twice the time of the one before
			look = max(look, now+(now-p.began))
		}
		next = min(next, look)
	}
	return false, max(next-now, 100*time.Microsecond)
}

func (c *pace) learn(arrival time.Duration) {
	c.asked = false
	after := arrival - c.finished
	switch prompt := after >= 0 && after <= max(reactionMin, c.quiet/3); {
	case prompt:
		if c.answers++; c.answers >= 2 {
			c.answers, c.quiet = 0, max(c.quiet/2, quietMin)
		}
	case c.early:
		c.answers, c.quiet = 0, min(c.quiet*2, c.commit)
	}
}

// committed notes a commit begun at start for p and finished at now.
func (c *pace) committed(start, now time.Duration, p *pending) {
	idle := start - p.latest
	c.early = start-p.began < c.commit && len(p.buf) < bigBatch
	c.asked = len(p.acks) > 0 && idle >= max(quietMin, c.quiet)/2
	c.flows = !c.early && idle < c.silence()
	c.finished = now
	c.odd = !c.odd
}

// run is the committing goroutine.
func (j *Journal) run() {
	defer close(j.done)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	tidied, looked := j.now(), time.Duration(0)
	for {
		now := j.now()
		j.tellReplaced()
		j.mu.Lock()
		due, wait := j.pace.look(now, &j.fill)
		suspended, unfit := j.suspended, j.broken != ""
		cursor, cursorWait := j.sentDirty, j.sentAt+cursorEvery-now
		j.mu.Unlock()
		if now-looked >= lookEvery { // each commit looks too
			looked = now
			unfit = j.unfit() != ""
			if !unfit && j.st != nil && j.st.logGone() {
				if err := j.reopen(); err != nil {
					j.fail(err)
				}
			}
		}
		switch {
		case suspended:
			j.resume()
			due, wait = false, time.Second
		case unfit:
			if err := j.fit(); err != nil {
				j.fail(err)
				j.mu.Lock()
				j.suspend(err.Error())
				j.mu.Unlock()
			}
			continue
		case due:
			j.commit(now, false)
			if now = j.now(); now-tidied >= tidyEvery {
				tidied = now
				j.tidy(now)
			}
			continue
		case cursor && cursorWait <= 0:
			j.saveCursor()
			continue
		case now-j.mergedAt >= mergeEvery && j.merge():
			j.mergedAt = now
			continue
		case cursor && (wait < 0 || cursorWait < wait):
			wait = cursorWait
		}
		if wait < 0 {
			wait = lookEvery
			if now-tidied >= tidyEvery {
				tidied = now
				j.tidy(now)
			}
		}
		timer.Reset(wait)
		select {
		case <-j.kick:
		case <-timer.C:
		case do := <-j.turn:
			do()
		case <-j.stop:
			j.commit(j.now(), true)
			j.saveCursor()
			if j.st != nil {
				j.markRuns()
				j.marked -= markEvery // a stop is measured from here
				if err := j.keepMark(j.now()); err != nil {
					j.fail(err)
				}
			}
			return
		}
	}
}

// commit makes durable what has gathered and acknowledges it.
func (j *Journal) commit(start time.Duration, last bool) {
	p := &j.out
	j.mu.Lock()
	j.fill, j.out = j.out, j.fill
	j.room.Broadcast()
	j.mu.Unlock()
	if p.lines == 0 && len(p.memory) == 0 || j.keep(p, last) {
		j.pace.committed(start, j.now(), p)
		j.acks.add(p.acks...)
	}
	p.reset()
}

// keep stores p, waiting for the disk if need be. It returns false if p is lost: the recording
// was suspended, and p acknowledged; or the journal closes, and p's senders must keep it.
func (j *Journal) keep(p *pending, last bool) bool {
	b := p.batch(&j.deflater)
	for began, again := j.now(), false; ; again = true {
		var err error
		if again || j.st == nil || j.damage() != "" { // whether the file is still there is seen behind the append
			err = j.fit()
		}
		if err == nil {
			sent, dirty := j.cursor()
			if err = j.st.append(&b, p.memory, j.opts.Clock(), sent, dirty); err == nil {
				gone := j.st.gone()
				if !gone && j.st.logEmpty() { // before anything more is put into the file
					if b.Lines > 0 {
						j.st.next = b.ID
					}
					if err := j.renew("its write-ahead log (-wal) was emptied while in use"); err != nil {
						j.fail(err)
					}
					continue
				}
				if !gone {
					j.kept(&b, sent, dirty)
					if j.st.logGone() { // before anything of it is acknowledged
						if err := j.reopen(); err != nil {
							j.fail(err)
						}
					}
					return true
				}
				j.st.takeBack(&b) // it went into a file that was deleted, and goes into the next
				continue
			}
		}
		j.noteDamage(err, nil)
		if isDamaged(err) && j.st != nil {
			if err = j.fit(); err == nil {
				continue
			}
		}
		if j.st != nil && isFull(j.path, err) && j.st.makeRoom(j.disposable(), j.opts.Clock()) {
			continue
		}
		j.fail(err)
		held := j.opts.Hold > 0 && j.now()-began >= j.opts.Hold
		if last || held {
			j.mu.Lock()
			j.gap.add(p.first, p.last, p.lines)
			j.lost.Add(uint64(p.lines))
			j.remind(p.memory)
			if !last {
				j.acks.add(p.acks...)
				j.suspend(err.Error())
			}
			j.mu.Unlock()
			return false
		}
		select {
		case <-time.After(retryEvery):
		case <-j.stop:
			last = true
		}
	}
}

// batch compresses what is pending; it is valid until d is used again.
func (p *pending) batch(d *deflater) Batch {
	return Batch{
		First: p.first, Last: p.last, Lines: p.lines, Raw: len(p.buf),
		CRC: crc32.ChecksumIEEE(p.buf), Deflate: d.run(p.buf),
	}
}

// fit makes sure that there is a file that can be written, a new one if need be.
func (j *Journal) fit() error {
	if j.st == nil {
		return j.attach()
	}
	if why := j.unfit(); why != "" {
		return j.renew(why)
	}
	return nil
}

func (j *Journal) kept(b *Batch, sent int64, dirty bool) {
	j.commits.Add(1)
	j.stored.Add(uint64(b.Lines))
	j.storedBytes += int64(len(b.Deflate)) + rowBytes
	j.mu.Lock()
	j.lastErr = ""
	if dirty && j.sent == sent {
		j.sentDirty = false
	}
	if b.Lines == 0 {
		j.mu.Unlock()
		return
	}
	j.held.add(b.First, b.Last, b.Lines)
	j.unsent.batches++
	j.unsent.lines += b.Lines
	j.unsent.bytes += int64(len(b.Deflate))
	full := j.watch > 0 && j.unsent.lines >= j.watch
	j.mu.Unlock()
	if full {
		signal(j.full)
	}
}

func (j *Journal) cursor() (sent int64, dirty bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.sent, j.sentDirty
}

func (j *Journal) saveCursor() {
	sent, dirty := j.cursor()
	if !dirty || j.st == nil {
		return
	}
	err := j.st.saveSent(sent)
	if err != nil {
		j.fail(err)
	}
	j.mu.Lock()
	if err == nil && j.sent == sent {
		j.sentDirty = false
	} else {
		j.sentAt = j.now()
	}
	j.mu.Unlock()
}

// fail notes a failure of the disk, in the log at most once a minute.
func (j *Journal) fail(err error) {
	j.noteDamage(err, nil)
	j.mu.Lock()
	j.lastErr = err.Error()
	j.mu.Unlock()
	if now := j.now(); j.lastLog == 0 || now-j.lastLog >= logEvery {
		j.lastLog = now
		j.log.Error("the journal cannot be written", "path", j.path, "err", err)
	}
}

// suspend stops the recording; mu is held. What is pending is counted as lost and its senders
// are acknowledged: a broker that waits for us longer would go silent after its few messages in
// flight, which blinds the operator, and then drop without telling anyone.
func (j *Journal) suspend(why string) {
	j.suspended, j.lastErr = true, why
	p := &j.fill
	j.gap.add(p.first, p.last, p.lines)
	j.lost.Add(uint64(p.lines))
	j.acks.add(p.acks...)
	memory := p.memory
	p.reset()
	p.memory = memory
	j.room.Broadcast()
	j.log.Error("recording has stopped; monitoring goes on", "path", j.path, "err", why)
	signal(j.kick)
}

// resume tries to record the gap; when that works, recording goes on.
func (j *Journal) resume() {
	j.mu.Lock()
	g, why := j.gap, j.lastErr
	j.mu.Unlock()
	err := j.fit()
	if err == nil {
		err = j.st.addGap(g, why, j.opts.Clock())
	}
	if j.st != nil && isFull(j.path, err) && j.st.makeRoom(j.disposable(), j.opts.Clock()) {
		err = j.st.addGap(g, why, j.opts.Clock())
	}
	if err != nil {
		j.fail(err)
		return
	}
	j.markRuns()
	j.noteMissed()
	j.mu.Lock()
	j.suspended, j.lastErr = false, ""
	late := gap{j.gap.from, j.gap.to, j.gap.lines - g.lines} // lost while the gap was being written
	j.gap = gap{}
	j.mu.Unlock()
	if late.lines > 0 {
		if err := j.st.addGap(late, why, j.opts.Clock()); err != nil {
			j.fail(err)
		}
		g.to, g.lines = max(g.to, late.to), g.lines+late.lines
		j.noteMissed()
	}
	j.saveCounts()
	j.log.Warn("recording goes on", "lines_lost", g.lines, "from", time.Unix(0, g.from), "to", time.Unix(0, g.to))
	if g.lines > 0 {
		j.gapEvent(g, why)
	}
}

// gapEvent records a gap; only the committing goroutine may call it.
func (j *Journal) gapEvent(g gap, why string) {
	write(j, record.Event{Time: j.opts.Clock(), Source: "journal", Kind: string(sensors.Gap), Count: int64(g.lines),
		Text: fmt.Sprintf("%d lines from %s to %s are missing: %s", g.lines,
			time.Unix(0, g.from).UTC().Format(time.RFC3339Nano), time.Unix(0, g.to).UTC().Format(time.RFC3339Nano), why)}, true)
}

// disposable is the id of the last batch that may be removed without loss.
func (j *Journal) disposable() int64 {
	if j.opts.Archive {
		return 1<<63 - 1
	}
	sent, _ := j.cursor()
	return sent
}

// tidy applies the limits of age and size.
func (j *Journal) tidy(now time.Duration) {
	if j.st == nil {
		return
	}
	do := func(err error) {
		if err != nil {
			j.fail(err)
		}
	}
	j.markRuns()
	do(j.settleDoubt(now))
	do(j.keepMark(now))
	do(j.resend())
	if j.opts.Keep > 0 {
		do(j.limitAge(now))
	}
	if j.opts.Size > 0 {
		do(j.limitSize())
	}
	j.mu.Lock()
	j.fill.trim()
	j.out.trim()
	j.release(j.st.takeRemoved())
	j.missed = j.st.missed
	j.mu.Unlock()
	do(j.tellRemoved(now))
	do(j.st.shrink())
	j.st.reserve()
}

// limitSize drops the oldest batches of a journal that is over its size.
func (j *Journal) limitSize() error {
	now := j.opts.Clock()
	j.tally.Lock()
	lost, unsent, err := j.st.dropTo(j.opts.Size, j.disposable(), now)
	j.mu.Lock()
	j.unsent.batches -= unsent.batches
	j.unsent.lines -= unsent.lines
	j.unsent.bytes -= unsent.bytes
	j.release(0)
	j.mu.Unlock()
	j.tally.Unlock()
	if lost.lines > 0 {
		j.lost.Add(uint64(lost.lines))
		j.log.Error("the journal is over its size: unsent lines were dropped", "path", j.path, "lines", lost.lines, "size", j.opts.Size)
		j.gapEvent(lost, overSize)
	}
	return err
}

// acker calls acknowledgements in order from a goroutine of its own, so that a sender that is
// slow to take them delays no commit.
type acker struct {
	mu     sync.Mutex
	wake   sync.Cond
	next   []sensors.Acker
	before func() // what must be done before any of them
	closed bool
	done   chan struct{}
}

func (a *acker) init(before func()) {
	a.before = before
	a.wake.L = &a.mu
	a.done = make(chan struct{})
}

func (a *acker) add(acks ...sensors.Acker) {
	if len(acks) == 0 {
		return
	}
	a.mu.Lock()
	a.next = append(a.next, acks...)
	a.mu.Unlock()
	a.wake.Signal()
}

func (a *acker) run() {
	defer close(a.done)
	var now []sensors.Acker
	a.mu.Lock()
	for {
		for len(a.next) == 0 && !a.closed {
			a.wake.Wait()
		}
		if len(a.next) == 0 {
			a.mu.Unlock()
			return
		}
		now, a.next = a.next, now[:0]
		a.mu.Unlock()
		a.before()
		for i, ack := range now {
			ack.Ack()
			now[i] = nil
		}
		a.mu.Lock()
	}
}

func (a *acker) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.wake.Signal()
	<-a.done
}
