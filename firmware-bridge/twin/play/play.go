// Package play plays a recorded run as the devices of a cell would send it: the thermocouple
// over a serial port (a pseudo-terminal), forces and machine telemetry over MQTT.
package play

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"stirwatch/firmware-bridge/twin/device"
	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// Stamps says which time a message carries.
type Stamps string

const (
	Recorded Stamps = "recorded" // the run's own
	Now      Stamps = "now"      // that of sending; at another speed than 1 rates of change are as much faster
)

// Options say what to play where. At least one of Serial and MQTT is needed.
type Options struct {
	Serial       string         // link to make to the pseudo-terminal; "": no serial device
	SerialFormat device.Format  // "": csv; daq has single precision and the time since start
	MQTT         string         // broker, e.g. tcp://localhost:1883, user:password@ before the host; "": none
	Topic        string         // "": afsd/cell1
	MQTTFormat   device.Payload // "": frame
	Speed        float64        // 1: real time; 0: as fast as the peers take it
	Stamps       Stamps         // "": recorded
	From, To     int            // rows, counted from 1, both included; 0: first and last
	Loop         bool           // again from the beginning until ctx ends; stamps go on rising
	Hold         bool           // wait while nobody has the serial port open, instead of dropping lines; so does Speed 0
	Log          *slog.Logger   // nil: none
	Progress     func(Progress)
}

// Progress tells how far the play is, after each row.
type Progress struct {
	Row, Rows int   // of the run, counted from 1
	Time      int64 // the row's recorded stamp
}

// Summary is what was played.
type Summary struct {
	Rows      int            // rows played
	Messages  int            // serial lines written and MQTT messages acknowledged by the broker
	Samples   map[string]int // values in those messages by channel, sentinels included
	Sentinels int            // of them, sent as the device's mark for "no signal"
	Dropped   int            // serial lines nobody was there to read
	Unacked   int            // MQTT messages not acknowledged when ctx ended
	LeftOut   []string       // channels that are not wired, or whose device was not asked for
	Duration  time.Duration
}

const (
	maxInflight = 64   // MQTT messages not yet acknowledged
	maxQueued   = 1024 // serial lines not yet written
	ackPatience = 10 * time.Second
)

// Run plays the log and returns once every message is acknowledged and every line read, or
// soon after ctx has ended; that is no error. The serial thermocouple waits for someone to open
// the port before the first row, and greets each one who opens it with the end of a message. Unwired
// columns and fields without a number are not sent.
func Run(ctx context.Context, log *runlog.Log, opt Options) (Summary, error) {
	p, err := newPlayer(log, opt)
	if err != nil {
		return Summary{}, err
	}
	start := time.Now()
	err = p.run(ctx)
	p.sum.Duration = time.Since(start)
	if err != nil && ctx.Err() != nil {
		err = nil
	}
	return p.sum, err
}

type player struct {
	log   *runlog.Log
	opt   Options
	tool  int   // column of the serial device, -1 if none
	other []int // columns of the gateway
	sum   Summary

	port  *device.Port
	queue chan line
	mu    sync.Mutex // of sum, while the serial writer runs
	wrote chan error // how the serial writer ended

	broker device.Broker
	flying []flight
	enc    encoder
	topics []string
}

// line is one row of the serial device on its way.
type line struct {
	bytes    []byte
	sentinel bool
}

// flight is a published message that waits for its acknowledgement.
type flight struct {
	topic     string
	payload   []byte
	token     mqtt.Token
	columns   []int // whose values it carries
	sentinels int
}

func newPlayer(log *runlog.Log, opt Options) (*player, error) {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def((*string)(&opt.SerialFormat), string(device.CSV))
	def((*string)(&opt.MQTTFormat), string(device.Frame))
	def((*string)(&opt.Stamps), string(Recorded))
	def(&opt.Topic, "afsd/cell1")
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.From == 0 {
		opt.From = 1
	}
	if opt.To == 0 {
		opt.To = len(log.Time)
	}
	switch {
	case opt.Serial == "" && opt.MQTT == "":
		return nil, errors.New("nothing to play to: name a serial link, an MQTT broker or both")
	case opt.Stamps != Recorded && opt.Stamps != Now:
		return nil, fmt.Errorf("stamps %q: use recorded or now", opt.Stamps)
	case !(opt.Speed >= 0) || math.IsInf(opt.Speed, 0):
		return nil, fmt.Errorf("speed %g: use 1 for real time, 0 for as fast as possible, or any positive factor", opt.Speed)
	case opt.From < 1 || opt.To > len(log.Time) || opt.From > opt.To:
		return nil, fmt.Errorf("rows %d to %d: the run has rows 1 to %d", opt.From, opt.To, len(log.Time))
	}
	if err := errors.Join(opt.SerialFormat.Check(), opt.MQTTFormat.Check(), device.CheckTopic(opt.Topic)); err != nil {
		return nil, err
	}
	p := &player{log: log, opt: opt, tool: -1, sum: Summary{Samples: map[string]int{}}}
	if opt.Serial != "" {
		var ok bool
		if p.tool, ok = log.Find(sensors.ToolTemperature); !ok {
			return nil, fmt.Errorf("run %s has no tool temperature for the serial port; play it over MQTT alone", log.Name)
		}
	}
	for i, c := range log.Columns {
		unwired := log.Status[i][0].Reason == sensors.Unwired
		switch {
		case unwired || i != p.tool && opt.MQTT == "":
			p.sum.LeftOut = append(p.sum.LeftOut, c.Name)
		case i != p.tool:
			p.other = append(p.other, i)
			p.topics = append(p.topics, opt.Topic+"/"+c.Name)
		}
	}
	return p, nil
}

func (p *player) run(ctx context.Context) error {
	if p.opt.MQTT != "" {
		var err error
		if p.broker, err = device.Connect(p.opt.MQTT, "stirwatch-play", p.opt.Log, nil); err != nil {
			return err
		}
		defer p.broker.Disconnect(250)
	}
	if p.tool >= 0 {
		var err error
		if p.port, err = device.Open(p.opt.Serial, p.opt.SerialFormat.Mark()); err != nil {
			return err
		}
		defer p.port.Close()
		p.opt.Log.Info("waiting for someone to open the serial port", "link", p.opt.Serial, "device", p.port.Name())
		if err := p.port.Await(ctx); err != nil {
			return err
		}
		p.queue, p.wrote = make(chan line, maxQueued), make(chan error, 1)
		go func() { p.wrote <- p.serial(ctx) }()
	}
	err := p.rows(ctx)
	if p.queue != nil {
		close(p.queue)
		err = errors.Join(err, <-p.wrote)
	}
	if p.opt.MQTT != "" {
		err = errors.Join(err, p.land(ctx, 0))
		p.sum.Unacked = len(p.flying)
	}
	return err
}

// rows sends row after row at its time.
func (p *player) rows(ctx context.Context) error {
	first, last := p.opt.From-1, p.opt.To-1
	start := time.Now()
	var played, shift int64 // ns of the run since its first row; what a loop adds to the stamps
	for i := first; ; i++ {
		if i > last {
			if !p.opt.Loop {
				return nil
			}
			// The next round begins one row after this one ended.
			pause := int64(time.Second)
			if last > first {
				pause = max(1, p.log.Time[last]-p.log.Time[last-1])
			}
			played += pause
			shift += max(0, p.log.Time[last]+pause-p.log.Time[first])
			i = first
		} else if i > first {
			played += max(0, p.log.Time[i]-p.log.Time[i-1])
		}
		if p.opt.Speed > 0 {
			if err := device.Sleep(ctx, time.Until(start.Add(time.Duration(float64(played)/p.opt.Speed)))); err != nil {
				return err
			}
		}
		stamp := p.log.Time[i] + shift
		if p.opt.Stamps == Now {
			stamp = time.Now().UnixNano()
		}
		if err := p.row(ctx, i, stamp, played); err != nil {
			return err
		}
		p.mu.Lock()
		p.sum.Rows++
		p.mu.Unlock()
		if p.opt.Progress != nil {
			p.opt.Progress(Progress{Row: i + 1, Rows: len(p.log.Time), Time: p.log.Time[i]})
		}
	}
}

func (p *player) row(ctx context.Context, i int, stamp, played int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.tool >= 0 && p.sends(p.tool, i) {
		l := line{sentinel: p.sentinel(p.tool, i)}
		l.bytes = p.enc.serial(p.opt.SerialFormat, p.log.Columns[p.tool], stamp, played, p.log.Value[p.tool][i], l.sentinel)
		if err := p.enqueue(ctx, l); err != nil {
			return err
		}
	}
	if p.opt.MQTT == "" {
		return nil
	}
	if p.opt.MQTTFormat == device.Flat {
		for k, c := range p.other {
			if !p.sends(c, i) {
				continue
			}
			n := 0
			if p.sentinel(c, i) {
				n = 1
			}
			if err := p.publish(ctx, p.topics[k], device.AppendFlat(nil, p.log.Columns[c].Unit.Symbol, stamp, number(nil, p.log.Value[c][i])), []int{c}, n); err != nil {
				return err
			}
		}
		return nil
	}
	columns, n := make([]int, 0, len(p.other)), 0
	for _, c := range p.other {
		if p.sends(c, i) {
			columns = append(columns, c)
			if p.sentinel(c, i) {
				n++
			}
		}
	}
	if len(columns) == 0 {
		return nil
	}
	return p.publish(ctx, p.opt.Topic+"/frame", p.enc.frame(p.log, columns, i, stamp), columns, n)
}

// enqueue hands a line to the serial writer. Without hold the machine does not wait for its
// serial line: where the queue is full, the line is dropped.
func (p *player) enqueue(ctx context.Context, l line) error {
	if !p.hold() {
		select {
		case p.queue <- l:
		default:
			p.drop()
		}
		return nil
	}
	select {
	case p.queue <- l:
		return nil
	case err := <-p.wrote: // the writer has given up
		p.wrote <- err
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *player) hold() bool { return p.opt.Hold || p.opt.Speed == 0 }

func (p *player) drop() {
	p.mu.Lock()
	p.sum.Dropped++
	first := p.sum.Dropped == 1
	p.mu.Unlock()
	if first {
		p.opt.Log.Warn("nobody reads the serial port: lines are dropped", "link", p.opt.Serial)
	}
}

// sends reports whether the device of a column says something in a row: a number is there and the
// input is wired.
func (p *player) sends(column, i int) bool {
	v := p.log.Value[column][i]
	return !math.IsNaN(v) && !math.IsInf(v, 0) && p.log.Status[column][i].Reason != sensors.Unwired
}

func (p *player) sentinel(column, i int) bool {
	return p.log.Status[column][i].Reason == sensors.Sentinel
}

// serial writes the queued lines until the queue is closed and the reader has them all. Between
// lines it looks for a reader who comes or goes.
func (p *player) serial(ctx context.Context) error {
	look := time.NewTicker(device.LookAgain)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if _, err := p.port.Greet(); err != nil {
				return err
			}
		case l, more := <-p.queue:
			if !more {
				return p.port.Drain(ctx)
			}
			if err := p.line(ctx, l); err != nil {
				return err
			}
		}
	}
}

func (p *player) line(ctx context.Context, l line) error {
	ok, err := p.port.Write(ctx, l.bytes, p.hold())
	if err != nil {
		return err
	}
	if !ok {
		p.drop()
		return nil
	}
	p.mu.Lock()
	p.sum.Messages++
	p.sum.Samples[p.log.Columns[p.tool].Name]++
	if l.sentinel {
		p.sum.Sentinels++
	}
	p.mu.Unlock()
	return nil
}

// publish sends one message once fewer than maxInflight wait for their acknowledgement.
func (p *player) publish(ctx context.Context, topic string, payload []byte, columns []int, sentinels int) error {
	if err := p.land(ctx, maxInflight-1); err != nil {
		return err
	}
	p.flying = append(p.flying, flight{topic, payload, p.broker.Publish(topic, 1, false, payload), columns, sentinels})
	return nil
}

// land takes the acknowledgements that are there, and waits while more than left are missing.
// After ctx has ended it waits a little for those on their way.
func (p *player) land(ctx context.Context, left int) error {
	for len(p.flying) > 0 {
		f := &p.flying[0]
		select {
		case <-f.token.Done():
		default:
			if len(p.flying) <= left {
				return nil
			}
			if ctx.Err() != nil {
				if !f.token.WaitTimeout(200 * time.Millisecond) {
					return ctx.Err()
				}
				break
			}
			select {
			case <-f.token.Done():
			case <-ctx.Done():
				continue
			case <-time.After(ackPatience):
				p.opt.Log.Warn("the broker does not acknowledge", "broker", p.broker.Address, "waiting", len(p.flying))
				continue
			}
		}
		if err := f.token.Error(); err != nil {
			// Refused while the connection was being lost: it goes again, once there is one.
			if ctx.Err() != nil {
				return ctx.Err()
			}
			p.opt.Log.Warn("a message is sent again", "topic", f.topic, "error", err)
			if err := device.Sleep(ctx, 100*time.Millisecond); err != nil {
				return err
			}
			f.token = p.broker.Publish(f.topic, 1, false, f.payload)
			continue
		}
		p.mu.Lock()
		p.sum.Messages++
		p.sum.Sentinels += f.sentinels
		for _, c := range f.columns {
			p.sum.Samples[p.log.Columns[c].Name]++
		}
		p.mu.Unlock()
		p.flying = p.flying[1:]
	}
	return nil
}
