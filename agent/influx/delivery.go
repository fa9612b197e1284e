package influx

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"stirwatch/agent/journal"
	"stirwatch/agent/record"
)

// delivery is the sending of one request, in pieces where the server wants it so.
type delivery struct {
	u        *Uploader
	ctx      context.Context
	accepted int // lines
	refused  []journal.Refused
	lost     int  // lines refused; a damaged batch is one entry of several lines
	probed   bool // the server has taken a line that is surely good
}

// smallBatch is the size, in bytes of lines, below which batches are compressed again for sending. Small ones
// say names and stamps so often that this halves what goes over the wire; large ones gain nothing.
const smallBatch = 32 << 10

// encode makes the body of a request: batches as they are stored, or, where they are small, as one. What
// is damaged is left as it is stored, and found when the server refuses it.
func (u *Uploader) encode(bs []journal.Batch) {
	raw := 0
	for i := range bs {
		raw += bs[i].Raw
	}
	if len(bs) > 1 && raw/len(bs) < smallBatch && u.compressed(bs) {
		u.body = u.gzipped.Bytes()
		return
	}
	u.stored = journal.AppendGzip(u.stored[:0], bs...)
	u.body = u.stored
}

// compressed puts the lines of bs into u.gzipped; false: they cannot all be read.
func (u *Uploader) compressed(bs []journal.Batch) bool {
	u.gzipped.Reset()
	if u.gzip == nil {
		u.gzip, _ = gzip.NewWriterLevel(&u.gzipped, gzip.BestSpeed) // the level is known to be valid
	}
	u.gzip.Reset(&u.gzipped)
	for i := range bs {
		lines, err := u.inflater.Lines(&bs[i])
		if err != nil {
			return false
		}
		u.gzip.Write(lines) // a bytes.Buffer cannot fail
	}
	u.gzip.Close()
	return true
}

// batches delivers all of bs or returns why it must be tried again.
func (d *delivery) batches(bs []journal.Batch) error {
	u := d.u
	u.encode(bs)
	err := u.post(d.ctx, u.body)
	lines := 0
	for i := range bs {
		lines += bs[i].Lines
	}
	switch v := verdictOf(err); {
	case err == nil:
		d.accepted += lines
		u.grow(lines)
		return nil
	case v == tooLarge && len(bs) > 1:
		u.most = max(lines/2, 1)
		u.limit, u.taken = u.most, 0
		if u.tried {
			u.tried, u.trial = false, min(2*u.trial, lastTrial)
		}
	case v != tooLarge && v != refused:
		if os.IsTimeout(err) { // a slow line: smaller requests get through
			u.limit = max(u.limit/2, limitMin)
		}
		return err
	}
	if half := len(bs) / 2; half > 0 {
		if err := d.batches(bs[:half]); err != nil {
			return err
		}
		return d.batches(bs[half:])
	}
	text, damage := u.inflater.Lines(&bs[0])
	if damage != nil {
		d.lost += bs[0].Lines
		d.refused = append(d.refused, journal.Refused{Batch: bs[0].ID, Reason: damage.Error(), At: time.Now().UnixNano()})
		return nil
	}
	return d.cut(bs[0].ID, text, err)
}

// A server that found a request too large may have been given a larger limit since: a larger one is tried
// after so many that were taken, ever more rarely where it is refused again.
const (
	firstTrial = 16
	lastTrial  = 1024
)

// grow makes requests larger after one with that many lines was taken.
func (u *Uploader) grow(lines int) {
	if top := max(u.opts.Request, u.opts.Batch); u.most < top && lines > u.most/2 {
		if u.taken++; u.taken >= u.trial {
			u.most, u.taken, u.tried = min(2*u.most, top), 0, true
		}
	}
	u.limit = min(2*u.limit, u.most)
}

// cut delivers lines that were refused together for the reason why.
func (d *delivery) cut(batch int64, text []byte, why error) error {
	n := bytes.Count(text, []byte("\n"))
	if n <= 1 || dropped(why) == n {
		if err := d.probe(why); err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			d.lost++
			d.refused = append(d.refused, journal.Refused{
				Batch: batch, Line: string(bytes.TrimSuffix(line, []byte("\n"))), Reason: why.Error(), At: time.Now().UnixNano()})
		}
		return nil
	}
	half := len(text) / 2
	half += bytes.IndexByte(text[half:], '\n') + 1
	if half == len(text) { // the last line is longer than all before it
		half = bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	}
	for _, part := range [][]byte{text[:half], text[half:]} {
		body, err := compress(part)
		if err != nil {
			return err
		}
		err = d.u.post(d.ctx, body)
		switch v := verdictOf(err); {
		case err == nil:
			d.accepted += bytes.Count(part, []byte("\n"))
		case v == refused || v == tooLarge:
			if err := d.cut(batch, part, err); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// probe tells a bad line from a server that refuses all: before the first line is set aside, the
// server must take one, if need be one that is surely good.
func (d *delivery) probe(why error) error {
	if d.accepted > 0 || d.probed {
		return nil
	}
	line, _ := record.Append(nil, "", &record.UploadHealth{Time: time.Now().UnixNano(), Source: record.InfluxDB, Probe: 1})
	body, err := compress(line)
	if err != nil {
		return err
	}
	if err := d.u.post(d.ctx, body); err != nil {
		if verdictOf(err) == refused {
			return fmt.Errorf("every line is refused, also one that is surely good: %w", why)
		}
		return err
	}
	d.probed = true
	return nil
}

func compress(lines []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(lines); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// dropped reads how many points the server says it has dropped, "… dropped=3"; -1 if it does not.
func dropped(err error) int {
	_, after, ok := strings.Cut(err.Error(), "dropped=")
	if !ok {
		return -1
	}
	end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(after)
	}
	n, err := strconv.Atoi(after[:end])
	if err != nil {
		return -1
	}
	return n
}
