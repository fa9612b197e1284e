package runlog

import (
	"encoding/json"
	"hash/crc32"
	"io"
	"os"
)

// place is how far a log has been handed out. It is recorded with the samples, so that after a restart the file is read from
// its beginning again, as its header, units and dates must be known, and only what comes after is handed out.
type place struct {
	Path    string `json:"path"` // that was to be followed: a file or a pattern
	File    string `json:"file"`
	Offset  int64  `json:"offset"`  // bytes that were read
	Sum     uint32 `json:"sum"`     // of the last of them: tells the content from another
	Row     int    `json:"row"`     // line of the last row
	Held    int    `json:"held"`    // line of the first row whose columns with a unit by mode were not handed out; 0: none
	Written int64  `json:"written"` // when the file was last written to, ns since the Unix epoch
	Header  string `json:"header"`  // the newest: a file that its writer truncates and goes on with has none
}

// sumSize is how many bytes before an offset tell a content. Rows have a time in them, so that two logs that are
// equal there at the same offset are one.
const sumSize = 512

// readPlace gives the place that was recorded of a log, or nil.
func readPlace(text []byte, path string) *place {
	p := &place{}
	if len(text) == 0 || json.Unmarshal(text, p) != nil || p.Path != path || p.Offset <= 0 {
		return nil
	}
	return p
}

// known is a decoder with the header of the place, nil if it has none.
func (p *place) known(opt Options) *decoder {
	d := &decoder{opt: opt, onNote: func(note) {}}
	if p.Header == "" || d.line([]byte(p.Header), 1, true) != nil || d.blank() {
		return nil
	}
	return d
}

// in tells whether a file has the content that was read.
func (p *place) in(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, min(p.Offset, sumSize))
	n, err := f.ReadAt(b, p.Offset-int64(len(b)))
	return n == len(b) && (err == nil || err == io.EOF) && crc32.ChecksumIEEE(b) == p.Sum
}

// place is how far the file has been handed out with what is in the batch.
func (f *follower) place() place {
	p := place{Path: f.tail.opt.Path, File: f.path, Offset: f.offset, Sum: crc32.ChecksumIEEE(f.before), Row: max(f.newest, f.past.Row), Written: f.info.ModTime().UnixNano()}
	if d := f.dec.latest(); d != nil {
		p.Header = string(d.raw)
	}
	switch {
	case f.released < len(f.held):
		p.Held = f.held[f.released].line
	case f.past.Held > 0 && f.newest < f.past.Row: // not yet read again
		p.Held = max(f.past.Held, f.newest+1)
	}
	return p
}

// seen notes bytes that were read.
func (f *follower) seen(b []byte) {
	f.before = append(f.before, b[max(0, len(b)-sumSize):]...)
	if over := len(f.before) - sumSize; over > 0 {
		f.before = append(f.before[:0], f.before[over:]...)
	}
}
