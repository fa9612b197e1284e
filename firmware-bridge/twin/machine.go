package twin

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Mode is what the spindle's PID holds, M40.
type Mode int

const (
	ByTorque Mode = iota // N·m
	ByForce              // N on the tool
	ByKType              // °C of the plate
	ByTool               // °C of the tool
)

// NoSignal is the reading of a broken thermocouple.
const NoSignal = -2.0

// Config is one build.
type Config struct {
	Params   *Params // nil: 6061
	Seed     uint64
	Program  []Code  // nil: [StandardBuild]
	Operator []Timed // in order of time
	Faults   []Fault
	Interval float64 // s between rows; 0: 1 s
	Limit    float64 // s after which a build that has not ended is stopped; 0: 2 h
	Vary     bool    // bar, tool and cooling differ a little from build to build
}

// Machine is the simulated machine: one cell, its controller, program, operator and sensors. It
// has no I/O and no clock of its own; equal configurations give equal runs. It serves one
// goroutine.
type Machine struct {
	p    *Params
	cfg  Config
	path *outline
	cell *cell

	steps   int64
	program []Code
	pc      int     // next program code
	wait    *Code   // program code that is not done
	waited  float64 // s
	acts    int     // operator's codes done
	ended   bool

	mode         Mode
	pid          bool
	setPoint     float64
	law          Controller
	pv, slope    float64 // last value and filtered slope the PID has seen
	seen         bool
	command      float64 // rpm asked of the spindle
	rpm          float64
	accel        float64 // rpm/s
	feedCommand  float64 // mm/s
	feed         float64 // mm/s
	fed          float64 // mm
	forceReduced bool
	override     float64 // %
	speedCommand float64 // mm/s along the path
	speed        float64 // mm/s
	track        track   // of a program that moves by X, Y and Z
	lap          float64 // laps made
	goal         float64 // lap at which G1 ends
	climb        float64 // mm laid
	lift         float64 // mm over the deposit
	liftGoal     float64
	vx, vy, vz   float64 // mm/s
	logging      bool
	logRate      float64 // Hz
	touched      bool    // has had contact
	line         int
	faults       []Fault
	now          effects
	drive        drive
	load         load
	fast, slow   float64
	torque       float64 // N·m at the spindle
	sensor       float64 // °C after the lag
	delay        [maxDead + 1]float64
	reading      float64 // °C, last conversion
	plateReading float64
	history      [64]float64 // readings at 10 Hz, for late messages
	random       struct{ process, sensor, row *rand.Rand }
	spiking      bool
	spikeEnd     float64 // s
	feedForce    float64
	feedTorque   float64
}

// New prepares a build.
func New(cfg Config) (*Machine, error) {
	if cfg.Params == nil {
		p, err := Load("6061")
		if err != nil {
			return nil, err
		}
		cfg.Params = p
	}
	if cfg.Interval == 0 {
		cfg.Interval = 1
	}
	if cfg.Limit == 0 {
		cfg.Limit = 7200
	}
	if cfg.Program == nil {
		cfg.Program = StandardBuild(cfg.Params)
	}
	if !(cfg.Interval >= dt) {
		return nil, fmt.Errorf("interval of %g s: the shortest is %g s", cfg.Interval, dt)
	}
	for i := 1; i < len(cfg.Operator); i++ {
		if cfg.Operator[i].At < cfg.Operator[i-1].At {
			return nil, errors.New("operator's codes must be in order of time")
		}
	}
	p := *cfg.Params
	if cfg.Vary {
		vary(&p, rand.New(rand.NewPCG(cfg.Seed, 'v')))
	}
	m := &Machine{p: &p, cfg: cfg, path: defaultPath(), program: cfg.Program, override: 100, logRate: 1, law: p.Controller, mode: ByTool}
	m.cell = newCell(&p, m.path.length)
	m.random.process = rand.New(rand.NewPCG(cfg.Seed, 'p'))
	m.random.sensor = rand.New(rand.NewPCG(cfg.Seed, 's'))
	m.random.row = rand.New(rand.NewPCG(cfg.Seed, 'r'))
	m.faults = append(m.faults, cfg.Faults...)
	m.sensor, m.reading, m.plateReading = m.cell.tool[0], m.cell.tool[0], m.cell.tool[0]
	for i := range m.delay {
		m.delay[i] = m.sensor
	}
	for i := range m.history {
		m.history[i] = m.sensor
	}
	return m, nil
}

// vary draws what differs between builds.
func vary(p *Params, r *rand.Rand) {
	f := func(std float64) float64 { return math.Exp(std * max(-2, min(2, r.NormFloat64()))) }
	p.Tool.Stick *= f(0.06)
	p.Metal.Friction *= f(0.10)
	p.Tool.Contact *= f(0.05)
	p.Build.Bed *= f(0.15)
	p.Build.Rest *= f(0.05)
	p.Spindle.Drag *= f(0.04)
	p.Build.Ambient += 2 * max(-2, min(2, r.NormFloat64()))
	p.Thermo.Lag *= f(0.08)
}

// Time is the build's time in s.
func (m *Machine) Time() float64 { return float64(m.steps) * dt }

// Ended tells that the program has come to its M30 or the limit was reached.
func (m *Machine) Ended() bool { return m.ended || m.Time() >= m.cfg.Limit }

// Inject adds a fault; an onset in the past begins now.
func (m *Machine) Inject(f Fault) {
	f.At = max(f.At, m.Time())
	m.faults = append(m.faults, f)
}

// Clear ends the faults of a kind that act now; "" ends all.
func (m *Machine) Clear(k Kind) {
	t := m.Time()
	for i := range m.faults {
		if f := &m.faults[i]; (k == "" || f.Kind == k) && f.level(t) > 0 {
			f.For = max(t-f.At, dt/2)
		}
	}
}

// Do carries out a code. A code that waits (M04, M42, M43, G-codes) is done once [Machine.Done]
// says so. A code that the machine's state forbids is an error and changes nothing.
func (m *Machine) Do(c Code) error {
	switch c.Name {
	case "M04", "M06":
		m.pid, m.command = false, c.S
	case "M05":
		m.pid, m.command = false, 0
	case "M24":
		m.feedCommand = c.S / 60
	case "M34":
		m.feedCommand = c.S / 600
	case "M25", "M35":
		m.feedCommand = 0
	case "M08", "M09": // the coolant always flows
	case "M27", "M28":
		m.forceReduced = c.Name == "M27"
	case "M40":
		if m.pid && Mode(c.S) != m.mode {
			return errors.New("the PID is on: M41 S0 first")
		}
		m.mode = Mode(c.S)
	case "M41":
		if limit := [...]float64{1000, 30000, 700, 700}[m.mode]; c.S > limit {
			return fmt.Errorf("value S%g is above %g in mode %d", c.S, limit, m.mode)
		}
		if m.setPoint = c.S; c.S == 0 {
			m.pid = false
			break
		}
		if !m.pid {
			m.pid, m.seen = true, false
			m.command = max(m.command, m.rpm)
		}
	case "M42", "M43", "M30", "G4":
	case "M52":
		m.override = c.S
	case "M60", "M61":
		m.logging = c.Name == "M60"
	case "M62":
		m.logRate = c.S
	case "M71":
		m.law.Kp = c.S / 100
	case "M72":
		if c.S == 0 {
			return errors.New("the reset time Tn must be more than 0")
		}
		m.law.Tn = c.S / 10
	case "M73":
		m.law.Tv = c.S / 10
	case "M74":
		m.law.Td = c.S / 10
	case "M75":
		if c.S > m.law.Max {
			return fmt.Errorf("min %g rpm would be above max %g rpm", c.S, m.law.Max)
		}
		m.law.Min = c.S
	case "M76":
		if c.S < m.law.Min {
			return fmt.Errorf("max %g rpm would be below min %g rpm", c.S, m.law.Min)
		}
		m.law.Max = c.S
	case "G0":
		m.liftGoal = c.Z
	case "G1":
		if m.track.begin(c.Move); c.Move == nil {
			m.speedCommand, m.goal = c.F/60, m.lap+c.L
		}
	default:
		return fmt.Errorf("%s is not known", c.Name)
	}
	return nil
}

// Done reports whether a code that waits has its condition; since is how long it has waited, s.
func (m *Machine) Done(c *Code, since float64) bool {
	switch c.Name {
	case "M04":
		return math.Abs(m.rpm-c.S) < 3
	case "M42":
		return m.torque >= c.S
	case "M43":
		return m.reading >= c.S
	case "G0":
		return m.lift == m.liftGoal
	case "G1":
		if c.Move != nil {
			return m.track.done()
		}
		if m.lap >= m.goal {
			m.speedCommand = 0
			return true
		}
		return false
	case "G4":
		return since >= c.P
	}
	return true
}

// run goes on with the program and does what the operator does.
func (m *Machine) run() {
	t := m.Time()
	for m.acts < len(m.cfg.Operator) && m.cfg.Operator[m.acts].At <= t {
		_ = m.Do(m.cfg.Operator[m.acts].Code) // a refused code changes nothing, as at the panel
		m.acts++
	}
	for !m.ended {
		if m.wait != nil {
			m.waited += dt
			if !m.Done(m.wait, m.waited) {
				return
			}
			m.wait = nil
		}
		if m.pc >= len(m.program) {
			return
		}
		c := &m.program[m.pc]
		m.pc++
		if m.line = c.Line; m.line == 0 {
			m.line = m.pc
		}
		if c.Name == "M30" {
			m.ended = true
			return
		}
		if _ = m.Do(*c); codes[c.Name].wait || c.Name[0] == 'G' {
			m.wait, m.waited = c, 0
		}
	}
}

// step advances program, machine, cell and sensors by dt.
func (m *Machine) step() {
	p := m.p
	t := m.Time()
	m.now.of(m.faults, t)
	e := &m.now
	m.run()

	// Spindle: the law asks, the drive follows within its slew.
	if every := max(1, int64(math.Round(1/(p.Controller.Rate*dt)))); m.pid && m.steps%every == 0 {
		m.control(float64(every) * dt)
	}
	was := m.rpm
	m.rpm += max(-p.Spindle.Slew*dt, min(p.Spindle.Slew*dt, m.command-m.rpm))
	m.accel = (m.rpm - was) / dt

	// Feed: with M27 the actuator gives way.
	want := m.feedCommand
	if m.forceReduced {
		want *= 0.5
	}
	want *= 1 + 1.5*e.flash
	want *= 1 - 0.9*e.jam
	step := p.Feed.Accel * dt
	m.feed += max(-step, min(step, want-m.feed))
	m.fed += m.feed * dt

	m.move(e)

	process := m.random.process
	m.fast = ou(m.fast, p.Noise.Fast, p.Noise.FastTime, process)
	m.slow = ou(m.slow, p.Noise.Slow, p.Noise.SlowTime, process)
	ripple := 0.0
	if e.jam > 0 {
		ripple = 0.25 * e.jam * math.Sin(2*math.Pi*0.8*t) * (0.6 + 0.4*math.Sin(2*math.Pi*0.31*t))
	}
	d := &m.drive
	*d = drive{
		omega: m.rpm * math.Pi / 30, feed: max(0, m.feed) * 1e-3, speed: m.speed * 1e-3, at: m.lap - math.Floor(m.lap),
		engaged: m.lift < 0.3 && e.lift == 0, bar: e.feedstock == 0,
		fast: max(-0.6, min(0.6, m.fast)), slow: max(-0.5, m.slow+ripple), heat: 1 - 0.35*e.wear, coolant: 1 - e.coolant, sink: 1 + 0.9*e.unreachable,
	}
	m.touched = m.touched || d.engaged && m.load.torque > 1
	if e.cold > 0 && d.engaged && m.cell.shear < 200 {
		m.cell.press((0.3+0.6*e.cold)*m.cell.full, e.cold*13e-3)
	}
	m.load = m.cell.load(d)
	m.cell.step(d, &m.load)
	drag := m.cell.drag() * math.Tanh(m.rpm/5)
	m.torque = m.load.torque + drag + p.Spindle.Inertia*m.accel*math.Pi/30
	m.feedLoad(e)
	m.sense(t, e)
	m.steps++
}

// press puts metal under the shoulder, at the temperature of what is there, and presses as a feed
// would.
func (c *cell) press(volume, feed float64) {
	c.pressing = max(c.pressing, feed)
	if volume > c.gap {
		c.entered += c.p.Metal.Density * c.p.Metal.Heat * (volume - c.gap) * (c.shear - c.p.Build.Ambient)
		c.gap = volume
	}
}

// control is the machine's own law, in the form that changes its output:
//
//	Δn = −Kp·Δx − Kp/Tn·(x − x_set)·Δt − Kp·Tv·Δẋ
//
// with n held between min and max. Torque and force rise when the spindle slows: for them the
// sign turns. The law sees what the sensor says: a broken thermocouple reads −2 °C.
func (m *Machine) control(h float64) {
	var x float64
	gain := 1.0
	switch m.mode {
	case ByTorque:
		x, gain = m.torque, -0.5
	case ByForce:
		x, gain = m.load.axial, -0.005
	case ByKType:
		x = m.plateReading
	default:
		x = m.reading
	}
	if !m.seen {
		m.pv, m.slope, m.seen = x, 0, true
	}
	change := x - m.pv
	slope := m.slope + (change/h-m.slope)*h/(h+m.law.Td)
	out := -m.law.Kp*change - m.law.Kp/m.law.Tn*(x-m.setPoint)*h - m.law.Kp*m.law.Tv*(slope-m.slope)
	m.pv, m.slope = x, slope
	m.command = max(m.law.Min, min(m.law.Max, m.command+gain*out))
}

// traverse is how fast the axes gain and lose speed along the path, mm/s².
const traverse = 60.0

// move follows the path and the height.
func (m *Machine) move(e *effects) {
	if m.track.move != nil {
		m.follow(e)
		return
	}
	_, _, dx, dy, pace := m.path.at(m.lap - math.Floor(m.lap))
	want := m.speedCommand * m.override / 100 * pace * (1 + 0.4*e.unreachable)
	m.speed += max(-traverse*dt, min(traverse*dt, want-m.speed))
	along := m.speed * dt / (m.path.length * 1e3)
	m.lap += along
	m.climb += along * m.p.Build.Layer * 1e3
	m.vx, m.vy = m.speed*dx, m.speed*dy
	lift := m.lift
	goal := m.liftGoal
	m.lift += max(-30*dt, min(30*dt, goal-m.lift))
	m.vz = (m.lift-lift)/dt + along*m.p.Build.Layer*1e3/dt
}

// feedLoad is the actuator's force on the bar and the number that the machine shows for it.
func (m *Machine) feedLoad(e *effects) {
	f := &m.p.Feed
	force := m.load.pressure * m.p.Tool.BarArea * 1e-6
	force *= 1 - 0.5*e.flash
	idle := f.Idle * math.Tanh(math.Abs(m.feed)/0.5)
	if e.feedstock > 0 {
		idle *= 0.1
	}
	number := idle + f.Number*force*1e-3
	if e.jam > 0 && m.feedCommand > 0 {
		number += (f.Limit - number) * min(1, 1.6*e.jam)
		force = max(force, (number-idle)/f.Number*1e3)
	}
	a := dt / 0.4
	m.feedForce += (force - m.feedForce) * a
	m.feedTorque += (min(number, f.Limit) - m.feedTorque) * a
}

// sense brings the face's temperature through lag, dead time and converter, ten times a second.
func (m *Machine) sense(t float64, e *effects) {
	th := &m.p.Thermo
	m.sensor += (m.cell.tool[0] - m.sensor) * dt / max(dt, th.Lag)
	m.delay[m.steps%(maxDead+1)] = m.sensor
	if m.steps%5 != 0 {
		return
	}
	dead := int64(math.Round(th.Dead / dt))
	v := m.delay[((m.steps-dead)%(maxDead+1)+maxDead+1)%(maxDead+1)]
	v += th.Std * m.random.sensor.NormFloat64()
	chance := m.random.sensor.Float64()
	v += 0.5 * e.drift * e.driftFor
	switch {
	case e.spike == 0:
		m.spiking = false
	case !m.spiking || chance < 0.005:
		m.spiking, m.spikeEnd = true, max(m.spikeEnd, t+1-dt)
	}
	if t < m.spikeEnd {
		v += 180 * e.spike
	}
	v = math.Round(v/th.Step) * th.Step
	if e.frozen > 0 {
		v = m.reading
	}
	if e.open > 0 {
		v = NoSignal
	}
	m.reading = v
	m.history[(m.steps/5)%int64(len(m.history))] = v
	plate := m.cell.stack[2].temp
	m.plateReading += (plate - m.plateReading) * 0.1 / 2
}

// ou is a step of an Ornstein-Uhlenbeck process.
func ou(x, std, time float64, r *rand.Rand) float64 {
	return x - x*dt/time + std*math.Sqrt(2*dt/time)*r.NormFloat64()
}
