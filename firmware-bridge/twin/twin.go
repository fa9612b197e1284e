// Package twin is a simulated additive friction stir deposition machine that speaks the real
// protocols. Its physics is its own and shares nothing with the models that are learned from a
// machine's data; docs/twin.md describes it and compares it with a recorded build.
//
// [Simulate] runs builds without I/O for scoring detection and control by the thousand; [Run]
// offers the machine as devices: thermocouple or DAQ on a serial port, telemetry over MQTT, a
// growing machine log, a controller that takes M-codes.
package twin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"stirwatch/firmware-bridge/twin/device"
)

// Options say what the machine is and which of its devices to offer.
type Options struct {
	Config
	Serial       string         // link to make to the thermocouple's or DAQ's pseudo-terminal; "": none
	SerialFormat device.Format  // "": csv
	SerialRate   float64        // Hz, to 50; 0: as Interval for text, 10 Hz for daq
	Controller   string         // link to make to the controller's pseudo-terminal; "": none
	MQTT         string         // broker, e.g. tcp://localhost:1883, user:password@ before the host; "": none
	Topic        string         // "": afsd/cell1
	MQTTFormat   device.Payload // "": frame
	LogDir       string         // folder for the machine's log; "": none
	Truth        string         // file of JSON lines with what really happens; "": none
	Begin        time.Time      // stamp of the start; zero: now, or with Speed 0 such that the build ends now
	Now          bool           // stamps are those of sending; at another speed than 1 rates of change are as much faster
	Speed        float64        // 1: real time; 0: as fast as the peers take it
	Loop         bool           // another build, with the next seed, after each
	Hold         bool           // wait while nobody reads, instead of dropping; so does Speed 0
	Log          *slog.Logger   // nil: none
	Progress     func(*Row)     // after each row
}

// Summary is what was sent.
type Summary struct {
	Builds    int           // ended
	Rows      int           // rows made
	Simulated time.Duration // of the machine
	Serial    int           // messages written to the serial port
	Published int           // MQTT messages acknowledged by the broker
	Logged    int           // rows in machine logs
	Commands  int           // lines answered by the controller
	Dropped   int           // serial messages nobody was there to read, MQTT messages without a broker
	Duration  time.Duration
}

// Run lets the machine work until its program has ended, or ctx has; that is no error. With a
// serial port and Hold or Speed 0 it waits for someone to open it.
func Run(ctx context.Context, opt Options) (Summary, error) {
	s, err := open(&opt)
	if err != nil {
		return Summary{}, err
	}
	start := time.Now()
	err = s.run(ctx)
	err = errors.Join(err, s.close(ctx))
	s.sum.Duration = time.Since(start)
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		err = nil
	}
	return s.sum, err
}

// station is the machine with its devices.
type station struct {
	opt     Options
	sum     Summary
	machine *Machine
	build   float64 // s of the builds before
	begin   time.Time

	serial *serialDevice
	mqtt   *gateway
	meld   *meldLog
	truth  *truthLog

	port  *device.Port // of the controller
	panel panel
	lines chan command
	wg    sync.WaitGroup
	stop  context.CancelFunc
	fail  chan error
}

// command is a line for the controller, or a fault from outside.
type command struct {
	text string
	err  error
}

func open(opt *Options) (*station, error) {
	if opt.SerialFormat == "" {
		opt.SerialFormat = device.CSV
	}
	if opt.MQTTFormat == "" {
		opt.MQTTFormat = device.Frame
	}
	if opt.Topic == "" {
		opt.Topic = "afsd/cell1"
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Interval == 0 {
		opt.Interval = 1
	}
	if opt.SerialRate == 0 {
		if opt.SerialRate = 1 / opt.Interval; opt.SerialFormat == device.DAQ {
			opt.SerialRate = 10
		}
	}
	switch {
	case opt.Serial == "" && opt.Controller == "" && opt.MQTT == "" && opt.LogDir == "" && opt.Truth == "":
		return nil, errors.New("nobody would see the machine: name a serial link, a controller link, an MQTT broker, a log folder or a truth file")
	case opt.Serial != "" && !(opt.SerialRate > 0 && opt.SerialRate <= 1/dt):
		return nil, fmt.Errorf("serial rate %g Hz: use more than 0 and at most %g Hz", opt.SerialRate, 1/dt)
	case !(opt.Speed >= 0) || math.IsInf(opt.Speed, 0):
		return nil, fmt.Errorf("speed %g: use 1 for real time, 0 for as fast as possible, or any positive factor", opt.Speed)
	case opt.Serial != "" && opt.Serial == opt.Controller:
		return nil, fmt.Errorf("serial and controller cannot share the link %s", opt.Serial)
	}
	if err := errors.Join(opt.SerialFormat.Check(), opt.MQTTFormat.Check(), device.CheckTopic(opt.Topic)); err != nil {
		return nil, err
	}
	s := &station{opt: *opt, lines: make(chan command, 16), fail: make(chan error, 4)}
	var err error
	if s.machine, err = New(opt.Config); err != nil {
		return nil, err
	}
	if s.begin = opt.Begin; s.begin.IsZero() {
		if s.begin, err = opt.present(time.Now()); err != nil {
			return nil, err
		}
	}
	ok := false
	defer func() {
		if !ok {
			_ = s.close(context.Background())
		}
	}()
	if opt.Truth != "" {
		if s.truth, err = newTruthLog(opt.Truth); err != nil {
			return nil, err
		}
	}
	if opt.Serial != "" {
		if s.serial, err = newSerialDevice(opt); err != nil {
			return nil, err
		}
	}
	if opt.Controller != "" {
		if s.port, err = device.Open(opt.Controller, ""); err != nil {
			return nil, err
		}
	}
	if opt.MQTT != "" {
		if s.mqtt, err = newGateway(opt, s.lines); err != nil {
			return nil, err
		}
	}
	ok = true
	return s, nil
}

// present is the stamp of the start where none is given. What is simulated in no time would else end in the future.
func (o *Options) present(now time.Time) (time.Time, error) {
	if o.Speed > 0 || o.Loop || o.Controller != "" { // it has no end, or its end is others' to say
		return now, nil
	}
	m, err := New(o.Config)
	if err != nil {
		return now, err
	}
	for !m.Ended() {
		m.step()
	}
	return now.Add(-time.Duration(m.Time() * float64(time.Second))), nil
}

func (s *station) hold() bool { return s.opt.Hold || s.opt.Speed == 0 }

func (s *station) run(ctx context.Context) error {
	ctx, s.stop = context.WithCancel(ctx)
	if s.serial != nil {
		s.opt.Log.Info("serial port", "link", s.opt.Serial, "device", s.serial.port.Name())
		if s.hold() {
			if err := s.serial.port.Await(ctx); err != nil {
				return err
			}
		}
		s.wg.Go(func() {
			if err := s.serial.write(ctx, s.hold()); err != nil && ctx.Err() == nil {
				s.fail <- err
				s.stop()
			}
		})
	}
	if s.port != nil {
		s.opt.Log.Info("controller", "link", s.opt.Controller, "device", s.port.Name())
		s.wg.Go(func() {
			err := listen(ctx, s.port, func(text string, err error) {
				select {
				case s.lines <- command{text, err}:
				case <-ctx.Done():
				}
			})
			if err != nil {
				s.fail <- err
				s.stop()
			}
		})
	}
	start := time.Now()
	for {
		if err := s.work(ctx, start); err != nil {
			return err
		}
		s.sum.Builds++
		if !s.opt.Loop {
			return nil
		}
		s.build += s.machine.Time()
		cfg := s.opt.Config
		cfg.Seed += uint64(s.sum.Builds)
		var err error
		if s.machine, err = New(cfg); err != nil {
			return err
		}
		s.panel = panel{}
	}
}

// work runs one build.
func (s *station) work(ctx context.Context, start time.Time) error {
	m := s.machine
	each := max(1, int64(math.Round(s.opt.Interval/dt)))
	serialEach := max(1, int64(math.Round(1/(s.opt.SerialRate*dt))))
	var events eventLog
	var r Row
	lastLogged, logFrom := math.Inf(-1), 0.0
	for !m.Ended() {
		if !m.logging {
			logFrom = m.Time()
		}
		m.step()
		s.sum.Simulated = time.Duration((s.build + m.Time()) * float64(time.Second))
		if m.steps%5 == 0 { // the controller looks ten times a second
			if err := s.command(ctx); err != nil {
				return err
			}
			if s.opt.Speed > 0 {
				at := start.Add(time.Duration((s.build + m.Time()) / s.opt.Speed * float64(time.Second)))
				if err := s.pause(ctx, time.Until(at)); err != nil {
					return err
				}
			} else if err := ctx.Err(); err != nil {
				return err
			}
		}
		full := m.steps%each == 0
		if s.serial != nil && m.steps%serialEach == 0 {
			if err := s.serial.send(ctx, m, s.stamp(m.Time()), s.build+m.Time(), s.hold()); err != nil {
				return err
			}
		}
		if logEach := max(1, int64(math.Round(1/(m.logRate*dt)))); !full && !(s.opt.LogDir != "" && m.logging && m.steps%logEach == 0) {
			continue
		}
		m.row(&r)
		at := s.stamp(r.At)
		if s.opt.LogDir != "" && m.logging && r.At-lastLogged >= 1/m.logRate-dt/2 {
			lastLogged = r.At
			if s.meld == nil {
				var err error
				if s.meld, err = newMELDLog(s.opt.LogDir, s.stamp(logFrom).Local()); err != nil {
					return err
				}
			}
			if err := s.meld.write(at.Local(), &r); err != nil {
				return err
			}
			s.sum.Logged++
		}
		if !m.logging && s.meld != nil {
			if err := s.meld.close(); err != nil {
				return err
			}
			s.meld = nil
		}
		if !full {
			continue
		}
		s.sum.Rows++
		if s.truth != nil || s.mqtt != nil {
			text := events.line(at, &r, m)
			if s.truth != nil {
				if err := s.truth.write(text); err != nil {
					return err
				}
			}
			if s.mqtt != nil {
				if err := s.mqtt.publish(ctx, s.opt.Topic+"/truth", text, s.hold()); err != nil {
					return err
				}
			}
		}
		if s.mqtt != nil {
			if err := s.mqtt.row(ctx, at, &r, s.opt.Serial == "", s.hold()); err != nil {
				return err
			}
		}
		if s.opt.Progress != nil {
			s.opt.Progress(&r)
		}
	}
	if s.meld != nil {
		err := s.meld.close()
		s.meld = nil
		return err
	}
	return nil
}

// stamp is the time that a message carries.
func (s *station) stamp(at float64) time.Time {
	if s.opt.Now {
		return time.Now()
	}
	return s.begin.Add(time.Duration((s.build + at) * float64(time.Second)))
}

// command lets the controller answer what has come in and what was waiting for its condition.
func (s *station) command(ctx context.Context) error {
	for {
		select {
		case err := <-s.fail:
			return err
		case c := <-s.lines:
			s.take(c)
		default:
			s.answer(s.panel.poll(s.machine))
			return ctx.Err()
		}
	}
}

// take answers one line.
func (s *station) take(c command) {
	if fault, is := strings.CutPrefix(c.text, faultPrefix); is {
		s.fault(fault)
		return
	}
	if c.err != nil {
		s.answer("error: " + c.err.Error() + "\r\n")
		return
	}
	s.answer(s.panel.line(s.machine, c.text))
}

// pause waits; the controller answers at once meanwhile.
func (s *station) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case c := <-s.lines:
			s.take(c)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *station) answer(reply string) {
	if reply == "" || s.port == nil {
		return
	}
	s.sum.Commands += strings.Count(reply, "\n")
	if !s.port.Answer([]byte(reply)) {
		s.opt.Log.Warn("nobody takes the controller's reply", "reply", strings.TrimSpace(reply))
	}
}

// faultPrefix marks a fault among the controller's lines; no line of the port can hold it.
const faultPrefix = "\n"

// fault injects "jam+30s:0.8" from now on, or "clear" or "clear jam".
func (s *station) fault(text string) {
	text = strings.TrimSpace(text)
	if kind, is := strings.CutPrefix(text, "clear"); is {
		s.machine.Clear(Kind(strings.TrimSpace(kind)))
		return
	}
	if !strings.Contains(text, "@") {
		cut := strings.IndexAny(text, "+:")
		if cut < 0 {
			cut = len(text)
		}
		text = text[:cut] + "@0s" + text[cut:]
	}
	f, err := ParseFault(text)
	if err != nil {
		s.opt.Log.Warn("fault refused", "error", err)
		return
	}
	f.At += s.machine.Time()
	s.machine.Inject(f)
	s.opt.Log.Info("fault", "fault", f)
}

func (s *station) close(ctx context.Context) error {
	var err error
	if s.serial != nil {
		close(s.serial.queue)
		if s.stop != nil {
			s.serial.finished(ctx) // unless ctx has ended: then nobody waits for the rest
		}
	}
	if s.stop != nil {
		s.stop()
	}
	s.wg.Wait()
	if s.serial != nil {
		if ctx.Err() == nil && s.stop != nil {
			_ = s.serial.port.Drain(ctx)
		}
		s.sum.Serial, s.sum.Dropped = s.serial.sent, s.sum.Dropped+s.serial.dropped
		s.serial.port.Close()
	}
	if s.port != nil {
		s.port.Close()
	}
	if s.mqtt != nil {
		err = errors.Join(err, s.mqtt.close(ctx))
		s.sum.Published, s.sum.Dropped = s.mqtt.published, s.sum.Dropped+s.mqtt.dropped
	}
	if s.meld != nil {
		err = errors.Join(err, s.meld.close())
	}
	if s.truth != nil {
		err = errors.Join(err, s.truth.close())
	}
	return err
}
