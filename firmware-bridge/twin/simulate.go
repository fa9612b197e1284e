package twin

import (
	"context"
	"fmt"
	"math"
)

// Phase is what an operator would call the moment.
type Phase string

const (
	Cold    Phase = "COLD"
	WarmUp  Phase = "WARM-UP"
	Prime   Phase = "PRIME"
	Deposit Phase = "DEPOSIT"
	Reload  Phase = "RELOAD"
	Cool    Phase = "COOL"
)

// Row is what the machine shows at one moment, as its sensors say, and what is true. Lengths are
// mm, speeds mm/min, torque N·m, power W, temperatures °C.
type Row struct {
	At         float64 // s since start
	ToolTemp   float64 // [NoSignal]: broken
	ToolAge    float64 // s that the message of the thermocouple is old
	ToolLost   bool    // no message of the thermocouple
	PlateTemp  float64
	RPM        float64
	Torque     float64
	Power      float64
	SetPoint   float64
	FeedVel    float64
	FeedPos    float64
	FeedTrq    float64
	Override   float64
	PathVel    float64
	X, Y, Z    float64
	XVel       float64
	YVel       float64
	ZVel       float64
	XTrq       float64
	YTrq       float64
	ZTrq       float64
	Line       int
	Low, High  float64 // bearing
	CoolantOut float64
	Axial      float64 // N on the tool
	FeedForce  float64 // N on the bar
	Logging    bool
	True       Truth
}

// String is the row in short, for people: time, phase, temperature, speed, power and the faults at work.
func (r *Row) String() string {
	text := fmt.Sprintf("%5.0f s  %-8s %5.1f °C  %3.0f rpm  %5.0f W", r.At, r.True.Phase, r.ToolTemp, r.RPM, r.Power)
	for _, f := range r.True.Active {
		text += "  " + string(f.Kind)
	}
	return text
}

// Truth is what no sensor tells.
type Truth struct {
	Phase   Phase
	Face    float64 // °C of the tool's face
	Shear   float64 // °C of the deforming metal
	Fill    float64 // 0 to 1
	Heat    float64 // W into the metal
	Engaged bool
	AtLimit bool // the law's output is at a limit
	Active  []Fault
	Surface float64 // °C of the deposit under the tool
}

// Step advances to the next row and fills r; r.True.Active is reused. It reports false once the
// build has ended.
func (m *Machine) Step(r *Row) bool {
	if m.Ended() {
		return false
	}
	until := int64(math.Round((m.Time() + m.cfg.Interval) / dt))
	for m.steps < until {
		m.step()
	}
	m.row(r)
	return true
}

func (m *Machine) row(r *Row) {
	active := r.True.Active[:0]
	t := m.Time()
	for i := range m.faults {
		if m.faults[i].level(t-dt) > 0 {
			active = append(active, m.faults[i])
		}
	}
	rnd := m.random.row
	noise := func(std float64) float64 { return std * rnd.NormFloat64() }
	grain := func(v, g float64) float64 { return math.Round(v/g) * g }
	x, y, _, _, _ := m.path.at(m.lap - math.Floor(m.lap))
	if m.track.move != nil {
		x, y = m.track.at[0]*1e-3, m.track.at[1]*1e-3
	}
	torque := m.torque
	if m.rpm > 1 {
		torque *= 1 + noise(m.p.Noise.Torque)
	}
	rpm := m.rpm
	if rpm > 1 {
		rpm += noise(0.2)
	}
	setPoint := 0.0
	if m.pid {
		setPoint = m.setPoint
	}
	feed := m.feed
	moving := math.Tanh(math.Abs(feed) / 0.5)
	*r = Row{
		At: t, ToolTemp: m.reading, PlateTemp: grain(m.plateReading+noise(0.05), 0.1),
		RPM: grain(rpm, 0.01), Torque: torque, Power: m.p.Spindle.Meter * torque * m.rpm * math.Pi / 30, SetPoint: setPoint,
		FeedVel: feed*60 + noise(0.02)*moving, FeedPos: m.fed, FeedTrq: m.feedTorque + noise(0.8)*moving, Override: m.override,
		PathVel: m.speed * 60, X: x * 1e3, Y: y * 1e3, Z: m.climb + m.lift + m.now.lift*5,
		XVel: m.vx * 60, YVel: m.vy * 60, ZVel: m.vz * 60,
		XTrq: 5*m.vx/40 + noise(1), YTrq: -2 + 6*m.vy/40 + noise(1), ZTrq: 1.5 - 1.2e-3*m.load.axial + noise(0.3),
		Line: m.line, Low: grain(m.cell.bearing, 0.1), High: grain(0.6*m.p.Spindle.CoolantIn+0.4*m.cell.coolant+1, 0.1), CoolantOut: grain(m.cell.coolant+noise(0.03), 0.1),
		Axial: m.load.axial * (1 + noise(0.01)), FeedForce: m.feedForce * (1 + noise(0.01)), Logging: m.logging,
	}
	if m.now.late > 0 {
		n := int64(math.Round(5 * m.now.late * 10))
		k := (m.steps-1)/5 - n
		if k >= 0 {
			r.ToolTemp, r.ToolAge = m.history[k%int64(len(m.history))], float64(n)/10
		}
	}
	r.ToolLost = m.now.lost > 0
	r.True = Truth{
		Phase: m.phase(), Face: m.cell.tool[0], Shear: m.cell.shear, Fill: m.load.fill, Heat: m.load.heat, Engaged: m.drive.engaged,
		AtLimit: m.pid && (m.command >= m.law.Max || m.command <= m.law.Min), Active: active,
		Surface: m.cell.surface[int(m.drive.at*segments)%segments],
	}
}

func (m *Machine) phase() Phase {
	switch {
	case m.rpm < 1 && m.cell.tool[0] > m.p.Build.Ambient+15, m.rpm > 1 && m.command == 0:
		return Cool
	case m.rpm < 1:
		return Cold
	case m.drive.engaged && m.speed > 1 && m.load.fill > 0.6:
		return Deposit
	case m.lap > 0 && m.feedCommand == 0:
		return Reload
	case m.cell.shear > m.p.Metal.Flow && m.drive.engaged:
		return Prime
	default:
		return WarmUp
	}
}

// Simulate runs a build without I/O, as fast as it goes, and gives each row to each, which may
// command the machine and must not keep the row's slices. It ends with the build, with an error
// of each, or with ctx.
func Simulate(ctx context.Context, cfg Config, each func(*Machine, *Row) error) error {
	m, err := New(cfg)
	if err != nil {
		return err
	}
	var r Row
	for m.Step(&r) {
		if err := each(m, &r); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Laps is how many laps of the path have been made.
func (m *Machine) Laps() float64 { return m.lap }
