package twin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"stirwatch/firmware-bridge/twin/device"
	"stirwatch/sensors/wire"
)

// DAQ channels of the simulated board, in their order in the frame.
var daqChannels = []wire.DAQChannel{
	{Name: "tool_temperature", Unit: "°C"}, {Name: "plate_temperature", Unit: "°C"},
	{Name: "axial_force", Unit: "N"}, {Name: "feed_force", Unit: "N"},
}

// serialDevice is the thermocouple's converter, or the DAQ board. Messages wait in a queue for
// their writer, so that the machine does not wait for its line.
type serialDevice struct {
	port   *device.Port
	format device.Format
	queue  chan []byte
	done   chan struct{} // the writer has written all

	sequence uint16
	frames   int
	values   [4]float32
	faults   [4]wire.DAQFault
	late     []lateMessage

	sent, dropped int // by the writer
	full          atomic.Int64
}

type lateMessage struct {
	due   float64
	bytes []byte
}

func newSerialDevice(opt *Options) (*serialDevice, error) {
	port, err := device.Open(opt.Serial, opt.SerialFormat.Mark())
	if err != nil {
		return nil, err
	}
	return &serialDevice{port: port, format: opt.SerialFormat, queue: make(chan []byte, 1024), done: make(chan struct{})}, nil
}

// send queues what the device has to say at a moment; t is its own clock, s.
func (d *serialDevice) send(ctx context.Context, m *Machine, at time.Time, t float64, hold bool) error {
	for len(d.late) > 0 && d.late[0].due <= t {
		if err := d.enqueue(ctx, d.late[0].bytes, hold); err != nil {
			return err
		}
		d.late = d.late[1:]
	}
	if m.now.lost > 0 {
		return nil
	}
	b := d.message(m, at, t)
	if m.now.late > 0 || len(d.late) > 0 {
		// Order is kept: what comes after a late message waits for it.
		due := t + 5*m.now.late
		if n := len(d.late); n > 0 {
			due = max(due, d.late[n-1].due)
		}
		d.late = append(d.late, lateMessage{due, b})
		return nil
	}
	return d.enqueue(ctx, b, hold)
}

func (d *serialDevice) enqueue(ctx context.Context, b []byte, hold bool) error {
	if !hold {
		select {
		case d.queue <- b:
		default:
			d.full.Add(1)
		}
		return nil
	}
	select {
	case d.queue <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// message is one message, line end or delimiter included.
func (d *serialDevice) message(m *Machine, at time.Time, t float64) []byte {
	b := make([]byte, 0, 128)
	if d.format != device.DAQ {
		return d.format.AppendLine(b, "tool_temperature", at.UnixNano(), strconv.AppendFloat(nil, m.reading, 'f', 1, 64))
	}
	micros := uint32(uint64(t * 1e6))
	// All channels at first, then one each second in turn.
	if d.frames == 0 {
		for i := range daqChannels {
			b = d.describe(b, i, micros)
		}
	} else if d.frames%10 == 0 {
		b = d.describe(b, d.frames/10%len(daqChannels), micros)
	}
	noise := func(std float64) float64 { return std * m.random.row.NormFloat64() }
	d.values = [4]float32{float32(m.reading), float32(m.plateReading), float32(m.load.axial + noise(20)), float32(m.feedForce + noise(10))}
	d.faults = [4]wire.DAQFault{}
	if m.now.open > 0 {
		d.values[0], d.faults[0] = NoSignal, wire.FaultOpen
	}
	b = wire.AppendDAQData(b, d.sequence, micros, d.values[:], d.faults[:])
	d.sequence++
	d.frames++
	return b
}

func (d *serialDevice) describe(b []byte, i int, micros uint32) []byte {
	c := daqChannels[i]
	c.Index, c.Count, c.Firmware = i, len(daqChannels), "stirwatch twin"
	b = wire.AppendDAQDescription(b, d.sequence, micros, c)
	d.sequence++
	return b
}

// write empties the queue into the port until it is closed, and greets who opens the port.
func (d *serialDevice) write(ctx context.Context, hold bool) error {
	defer close(d.done)
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if _, err := d.port.Greet(); err != nil {
				return err
			}
		case b, more := <-d.queue:
			if !more {
				d.dropped += int(d.full.Load())
				return nil
			}
			ok, err := d.port.Write(ctx, b, hold)
			if err != nil {
				return err
			}
			if ok {
				d.sent++
			} else {
				d.dropped++
			}
		}
	}
}

// finished waits until the writer has written all.
func (d *serialDevice) finished(ctx context.Context) {
	select {
	case <-d.done:
	case <-ctx.Done():
	}
}

// truthLog is the file of what really happens.
type truthLog struct {
	file *os.File
	w    *bufio.Writer
}

func newTruthLog(path string) (*truthLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("truth file: %w", err)
	}
	return &truthLog{f, bufio.NewWriter(f)}, nil
}

// write appends a line; the file grows whole lines at a time.
func (l *truthLog) write(line []byte) error {
	if l.w.Available() < len(line)+1 {
		if err := l.w.Flush(); err != nil {
			return fmt.Errorf("truth file: %w", err)
		}
	}
	_, _ = l.w.Write(line)
	if err := l.w.WriteByte('\n'); err != nil {
		return fmt.Errorf("truth file: %w", err)
	}
	return nil
}

func (l *truthLog) close() error {
	err := l.w.Flush()
	if e := l.file.Close(); err == nil {
		err = e
	}
	return err
}

// truthLine is one line of ground truth.
type truthLine struct {
	TS      int64   `json:"ts"` // ns since the Unix epoch, as in the messages
	At      float64 `json:"t"`  // s of the build
	Seed    uint64  `json:"seed"`
	Phase   Phase   `json:"phase"`
	Face    float64 `json:"face"`  // °C
	Shear   float64 `json:"shear"` // °C
	Fill    float64 `json:"fill"`
	Heat    float64 `json:"heat"` // W
	AtLimit bool    `json:"at_limit"`
	Faults  []Fault `json:"faults"`          // that act now
	Onset   []Kind  `json:"onset,omitempty"` // began since the line before
	End     []Kind  `json:"end,omitempty"`
}

// eventLog notes which faults began and ended between rows.
type eventLog struct{ before map[Kind]bool }

func (e *eventLog) line(at time.Time, r *Row, m *Machine) []byte {
	round := func(v float64) float64 { return math.Round(v*100) / 100 }
	l := truthLine{TS: at.UnixNano(), At: round(r.At), Seed: m.cfg.Seed, Phase: r.True.Phase, Face: round(r.True.Face), Shear: round(r.True.Shear),
		Fill: round(r.True.Fill), Heat: round(r.True.Heat), AtLimit: r.True.AtLimit, Faults: r.True.Active}
	if l.Faults == nil {
		l.Faults = []Fault{}
	}
	now := map[Kind]bool{}
	for _, f := range l.Faults {
		now[f.Kind] = true
	}
	for _, k := range Kinds {
		if now[k] && !e.before[k] {
			l.Onset = append(l.Onset, k)
		}
		if !now[k] && e.before[k] {
			l.End = append(l.End, k)
		}
	}
	e.before = now
	b, err := json.Marshal(l)
	if err != nil {
		panic("twin: " + err.Error()) // finite numbers and names
	}
	return b
}
