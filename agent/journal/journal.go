// Package journal is the durable record: everything worth keeping is written here once, as
// compressed batches of InfluxDB line protocol in one SQLite file, and read from here by the
// uploader, the screen, exports and learning.
//
// Appending costs an encode into a buffer; one goroutine groups what has gathered into one
// transaction, syncs it to disk and only then acknowledges it to its senders.
//
// Two lines with equal measurement, tags and time stamp are one point to InfluxDB, and the later
// one wins. A source must therefore not give two samples of one channel the same Time.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"stirwatch/agent/record"
	"stirwatch/sensors"
)

// Options of a journal; zero fields take the defaults named.
type Options struct {
	Machine  string            // tag machine of every line
	Registry *sensors.Registry // channels of the samples
	Commit   time.Duration     // longest wait of a line for its commit; default 100 ms
	Keep     time.Duration     // batches kept for longer may go, by running time; 0: no limit
	Size     int64             // bytes the file may hold before the oldest batches go; 0: no limit
	// Archive says that nothing is uploaded from here: every batch may go by age or size.
	// Otherwise only batches acknowledged by [Journal.Sent] go by age, and others only when Size
	// is exceeded, which is recorded as a gap.
	Archive    bool
	MaxPending int // bytes of lines waiting for the disk before senders are held back; default 4 MiB
	// Hold is how long a disk that takes nothing may hold senders back, with their
	// acknowledgements withheld, before recording stops with a counted gap and monitoring goes
	// on without it. Default 5 s; negative: for as long as it takes, without ever losing a sample.
	Hold time.Duration
	// Recover is for an agent that must watch in any case. A damaged file is moved aside, with its
	// name in the log, and a new one begun; while the file cannot be opened (disk full, no permission)
	// lines are counted as lost and it is tried again each second. Otherwise both are errors of Open.
	// A file under the path that is no journal is an error nevertheless.
	Recover bool
	Clock   sensors.Clock // wall time, ns since the Unix epoch; default the system's
	Log     *slog.Logger
}

const (
	defaultCommit     = 100 * time.Millisecond
	defaultHold       = 5 * time.Second
	defaultMaxPending = 4 << 20

	smallBuffer = 64 << 10  // bytes of an empty buffer that are kept anyway
	bigBatch    = 256 << 10 // bytes of lines that are committed without waiting for more
)

// Journal is an open record. Its methods may be called from several goroutines.
type Journal struct {
	*Reader
	opts  Options
	log   *slog.Logger
	start time.Time // origin of the monotonic instants below
	acks  acker

	// tally is held while batches stop counting as unsent: acknowledged or dropped, never both.
	// It is taken before mu and may wait for the disk; the tick never takes it.
	tally sync.Mutex

	mu        sync.Mutex
	samples   *record.SampleEncoder
	bands     deadBands
	room      sync.Cond // fill was emptied, or recording stopped
	fill      pending
	gap       gap   // what was lost since recording stopped
	held      gap   // what the file holds and nobody else has
	missed    gap   // what its gaps count
	reckoned  bool  // before is what the file lacks of it
	partial   bool  // the file is one that a kill left before all was in it
	before    tally // what it held and missed at the end of the process before, until it is known to be there or gone
	suspended bool  // recording has stopped: lines are counted, not kept
	closed    bool
	writer    *database // of st, for the few rows that people cause; nil: not open
	marks     []runMark
	memory    map[memoryKey][]byte // all that this process has made it remember
	broken    string               // why the file can be used no longer
	unsent    backlogCount
	sent      int64 // last acknowledged batch
	sentAt    time.Duration
	sentDirty bool          // sent is not yet on disk
	watch     int           // unsent lines at which full is signalled; 0: never
	full      chan struct{} // see Full
	lastErr   string

	kick chan struct{}
	turn chan func() // what the committing goroutine is to do between two commits
	stop chan struct{}
	done chan struct{}

	unsummed context.CancelFunc // ends the summarist
	summing  sync.WaitGroup     // until it has ended

	countsMu sync.Mutex // orders what is written into counts; taken before mu
	counts   counts

	// The committing goroutine's own.
	st       *store // nil while the file cannot be opened
	lock     *os.File
	old      *predecessor
	replaced []replacement
	out      pending
	deflater deflater
	pace     pace
	lastLog  time.Duration
	mergedAt time.Duration
	merged   int64 // id up to which batches have become one where they can

	// Its own too; see age.go.
	age         *mark // at the origin of the monotonic instants; nil: never opened
	marked      time.Duration
	doubt       doubt
	storedBytes int64 // since it was opened
	toldRemoved time.Duration
	announced   time.Duration

	appended, skipped, lost, commits, stored atomic.Uint64
}

// pending gathers lines until they are committed.
type pending struct {
	buf         []byte
	lines       int
	first, last int64 // stamps of its lines
	acks        []sensors.Acker
	memory      map[memoryKey][]byte // to be remembered; nil: to be forgotten
	began       time.Duration        // when its first line or ack came
	latest      time.Duration        // when the newest came
	most        int                  // bytes of its fullest batch since trim
}

func (p *pending) empty() bool { return p.lines == 0 && len(p.acks) == 0 && len(p.memory) == 0 }

func (p *pending) note(stamp int64) {
	if p.lines == 0 {
		p.first, p.last = stamp, stamp
	}
	p.first, p.last = min(p.first, stamp), max(p.last, stamp)
	p.lines++
}

func (p *pending) reset() {
	p.most = max(p.most, len(p.buf))
	if cap(p.buf) > 4*bigBatch {
		p.buf = nil // grown while the disk was slow
	}
	clear(p.acks)
	*p = pending{buf: p.buf[:0], acks: p.acks[:0], most: p.most}
}

// trim gives up a buffer that a backlog has made large and that has had little in it since the last time.
func (p *pending) trim() {
	if len(p.buf) == 0 && cap(p.buf) > smallBuffer && p.most < cap(p.buf)/8 {
		p.buf = nil
	}
	p.most = 0
}

// gap counts lines that could not be kept, with their first and last stamp.
type gap struct {
	from, to int64
	lines    int
}

func (g *gap) add(from, to int64, lines int) {
	if lines == 0 {
		return
	}
	if g.lines == 0 {
		g.from, g.to = from, to
	}
	g.from, g.to, g.lines = min(g.from, from), max(g.to, to), g.lines+lines
}

type backlogCount struct {
	batches, lines int
	bytes          int64
}

// Open opens the journal at path, and makes file and folder if they are not there. It fails, and says why, if the file is
// something else, damaged (see [Options.Recover]), or in use by another process.
func Open(path string, opts Options) (*Journal, error) {
	if opts.Commit <= 0 {
		opts.Commit = defaultCommit
	}
	if opts.Hold == 0 {
		opts.Hold = defaultHold
	}
	if opts.MaxPending <= 0 {
		opts.MaxPending = defaultMaxPending
	}
	if opts.Clock == nil {
		opts.Clock = func() int64 { return time.Now().UnixNano() }
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{
		Reader: &Reader{path: path}, opts: opts, log: opts.Log, start: time.Now(),
		samples: record.NewSampleEncoder(opts.Machine, opts.Registry), bands: newDeadBands(opts.Registry),
		full: make(chan struct{}, 1), kick: make(chan struct{}, 1), turn: make(chan func()),
		stop: make(chan struct{}), done: make(chan struct{}),
		pace: pace{commit: opts.Commit, quiet: quietMin},
	}
	j.room.L = &j.mu
	j.acks.init(j.saveCounts)
	if err := j.attach(); err != nil {
		if !opts.Recover || errors.As(err, new(mistake)) {
			return nil, err
		}
		j.suspended, j.lastErr = true, err.Error()
		j.log.Error("the journal cannot be opened: monitoring starts without a record, which begins when it can", "path", path, "err", err)
		j.rememberGap(false)
	}
	go j.acks.run()
	go j.run()
	ctx, cancel := context.WithCancel(context.Background())
	j.unsummed = cancel
	j.summing.Go(func() { j.summarist(ctx) })
	return j, nil
}

// lockFile locks the journal against a second writer; readers need no lock.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, mistake{errors.New("another process is recording into it: stop that one or choose another journal path")}
	}
	return f, nil
}

// Close commits what is pending, acknowledges it and closes the file. Lines that cannot be
// committed are not acknowledged, and the reason is returned.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.room.Broadcast()
	j.mu.Unlock()
	j.unsummed()
	close(j.stop)
	<-j.done
	j.summing.Wait()
	j.acks.close()
	var err error
	if j.st != nil {
		err = j.st.close()
	}
	err = errors.Join(err, j.Reader.Close())
	if j.old != nil {
		j.old.db.Close()
	}
	if j.lock != nil {
		j.lock.Close()
	}
	j.saveCounts()
	j.counts.close()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fill.lines > 0 || j.gap.lines > 0 {
		err = errors.Join(err, fmt.Errorf("journal closed without %d lines: %s", j.fill.lines+j.gap.lines, j.lastErr))
	}
	return err
}

func (j *Journal) now() time.Duration { return time.Since(j.start) }

// AppendSamples takes samples into the record and keeps nothing of the slice. Unknown channels are counted as skipped; of a channel with a dead band only changes are kept. If ack is not nil it is called once,
// from another goroutine and in the order of the calls, when every sample is safe on disk.
//
// It waits only while MaxPending bytes wait for the disk, at most Options.Hold. When recording
// has stopped, samples are counted in the gap and acknowledged, so that senders go on.
func (j *Journal) AppendSamples(samples []sensors.Sample, ack sensors.Acker) {
	j.appendSamples(samples, ack, memoryKey{}, nil)
}

// AppendAndRemember is [Journal.AppendSamples] of samples with a value that is remembered ([Journal.Remember]) with
// them: both are on disk, or neither.
func (j *Journal) AppendAndRemember(samples []sensors.Sample, room, key string, value []byte) {
	j.appendSamples(samples, nil, memoryKey{room, key}, value)
}

func (j *Journal) appendSamples(samples []sensors.Sample, ack sensors.Acker, key memoryKey, value []byte) {
	now := j.now()
	j.mu.Lock()
	if len(j.fill.buf) >= j.opts.MaxPending && !j.suspended {
		j.waitForRoom()
	}
	if j.closed {
		j.lost.Add(uint64(len(samples)))
		j.mu.Unlock()
		return
	}
	if j.suspended {
		for i := range samples {
			j.gap.add(samples[i].Time, samples[i].Time, 1)
		}
		j.lost.Add(uint64(len(samples)))
		j.keepInMind(key, value)
		j.mu.Unlock()
		if ack != nil {
			j.acks.add(ack)
		}
		return
	}
	p := &j.fill
	empty, wake := p.empty(), false
	before, skipped, taken := len(p.buf), 0, 0
	for i := range samples {
		first, second := j.bands.pass(&samples[i])
		for _, s := range [...]*sensors.Sample{first, second} {
			if s == nil {
				continue
			}
			n := len(p.buf)
			if p.buf = j.samples.Append(p.buf, s); len(p.buf) == n {
				skipped++
				continue
			}
			p.note(s.Time)
			taken++
		}
	}
	j.keepInMind(key, value)
	if ack != nil {
		wake = len(p.acks) == 0 // what began without a sender that waits was to be looked at later
		p.acks = append(p.acks, ack)
	}
	wake = j.touch(now, empty, before) || wake
	j.mu.Unlock()
	j.appended.Add(uint64(taken))
	if skipped > 0 {
		j.skipped.Add(uint64(skipped))
	}
	if wake {
		signal(j.kick)
	}
}

// Write records a row other than a [record.Sample], for which [Journal.AppendSamples] is. It never
// waits: when the journal is full of what the disk does not take, the row is counted as lost. A row
// without any field is counted as skipped. It does not allocate once the journal is warm.
func Write[R record.Row](j *Journal, r R) { write(j, r, false) }

// write is [Write]; own are rows of the committing goroutine, which commits once more after the journal is closed.
func write[R record.Row](j *Journal, r R, own bool) {
	now := j.now()
	j.mu.Lock()
	p := &j.fill
	wake, before := p.empty(), len(p.buf)
	line, stamp := record.Append(p.buf, j.opts.Machine, &r)
	switch {
	case len(line) == before:
		j.mu.Unlock()
		j.skipped.Add(1)
		return
	case j.suspended || j.closed && !own || before >= 2*j.opts.MaxPending:
		j.gap.add(stamp, stamp, 1)
		j.mu.Unlock()
		j.lost.Add(1)
		return
	}
	p.buf = line
	p.note(stamp)
	wake = j.touch(now, wake, before)
	j.mu.Unlock()
	j.appended.Add(1)
	if wake {
		signal(j.kick)
	}
}

// touch notes the time of an append and reports whether the committing goroutine must look now.
func (j *Journal) touch(now time.Duration, wasEmpty bool, before int) (wake bool) {
	p := &j.fill
	p.latest = now
	if wasEmpty {
		if p.empty() {
			return false
		}
		p.began = now
	}
	return wasEmpty || before < bigBatch && len(p.buf) >= bigBatch
}

// waitForRoom holds a sender back until the disk has taken what is pending. A disk that hangs
// for longer than Hold stops the recording.
func (j *Journal) waitForRoom() {
	var timer *time.Timer
	if j.opts.Hold > 0 {
		timer = time.AfterFunc(j.opts.Hold, func() {
			j.mu.Lock()
			if len(j.fill.buf) >= j.opts.MaxPending && !j.suspended {
				j.suspend("the disk has not answered for " + j.opts.Hold.String())
			}
			j.mu.Unlock()
		})
		defer timer.Stop()
	}
	for len(j.fill.buf) >= j.opts.MaxPending && !j.suspended && !j.closed {
		j.room.Wait()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// db is the writing connection.
func (j *Journal) db() *database {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.writer == nil {
		return noFile
	}
	return j.writer
}
