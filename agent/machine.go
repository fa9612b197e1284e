package agent

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"stirwatch/agent/anomaly"
	"stirwatch/dynamics/phase"
	"stirwatch/dynamics/signature"
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// machine finds the faults that show in the machine's own signals.
type machine struct {
	follower signature.Follower
	frame    signature.Frame
	in       [signature.Signals]signal
	others   []signal                  // thermocouples beside the tool's, of which the hottest is signature.Other
	place    [signature.Faults]int     // in the set
	lasts    [signature.Faults]float64 // s that a slow reading counts for at most
	passed   time.Duration             // since the last judgement
	slow     [signature.Faults]bool    // what has not been judged in this run, since its readings came too slowly
	led      float64                   // °C that a loop leads the tool to, 0: none does
	unsaid   bool                      // there is more of it
	lacks    string                    // what is never judged, since nobody measures what it needs
}

// machineCodes are those of the faults.
var machineCodes = [signature.Faults]anomaly.Code{
	signature.Feedstock: anomaly.Feedstock, signature.Jam: anomaly.Jam, signature.LiftOff: anomaly.LiftOff,
	signature.Flash: anomaly.Flash, signature.ColdStart: anomaly.ColdStart, signature.Coolant: anomaly.Coolant,
	signature.Unreachable: anomaly.Unreachable, signature.Stopped: anomaly.StoppedInContact,
	signature.Frozen: anomaly.SensorStuck, signature.Step: anomaly.SensorStep,
	signature.Creep: anomaly.SensorDrift, signature.Wear: anomaly.ToolWear, signature.Reversed: anomaly.SensorReversed, signature.Swapped: anomaly.SensorSwapped,
}

// newMachine finds the signals by role; a fault whose signals nobody measures is never found.
func newMachine(reg *sensors.Registry, set *anomaly.Set) (*machine, error) {
	m := &machine{}
	in := &m.in
	if err := findSignals(reg,
		wanted{&in[signature.Speed], sensors.SpindleSpeed, "rpm"},
		wanted{&in[signature.Torque], sensors.SpindleTorque, "N·m"},
		wanted{&in[signature.FeedVelocity], sensors.FeedVelocity, "mm/min"},
		wanted{&in[signature.Path], sensors.PathVelocity, "mm/min"},
		wanted{&in[signature.Rise], sensors.ZVelocity, "mm/min"},
		wanted{&in[signature.Temperature], sensors.ToolTemperature, "°C"},
		wanted{&in[signature.Bearing], sensors.BearingTemperature, "°C"},
	); err != nil {
		return nil, err
	}
	// What pushes the bar is compared with itself, whatever its unit. A set-point is a temperature in one mode of
	// the spindle alone.
	m.push(reg)
	if s, err := signalFor(reg, sensors.SetPoint, "°C"); err == nil {
		in[signature.SetPoint] = s
	}
	if err := m.thermocouples(reg); err != nil {
		return nil, err
	}
	for k, code := range machineCodes {
		about := anomaly.Subject{Source: anomaly.None, Channel: anomaly.None}
		if anomaly.Of(code).About == anomaly.AboutChannel && in[signature.Temperature].known {
			about.Channel = int(in[signature.Temperature].id)
		}
		m.place[k] = set.Add(code, about)
		m.lasts[k] = max(longestFrame.Seconds(), anomaly.Of(code).On/fewReadings)
	}
	_, power := reg.Find(sensors.SpindlePower)
	m.lacks = m.lacking(power)
	return m, nil
}

// signalWords name the signals where they are not measured.
var signalWords = [signature.Signals]string{
	signature.Speed: "spindle speed", signature.Torque: "spindle torque or power", signature.FeedVelocity: "feed velocity", signature.FeedTorque: "feed torque or force",
	signature.Path: "path velocity", signature.Rise: "z velocity", signature.Temperature: "tool temperature", signature.SetPoint: "set-point",
	signature.Bearing: "bearing temperature", signature.Other: "another thermocouple",
}

// lacking says which faults of a machine are never judged because a signal is not measured, and which signal; "" where the channels are of no deposition machine. Of two
// thermocouples that are exchanged only a machine that has two can tell.
func (m *machine) lacking(power bool) string {
	measured := func(s signature.Signal) bool {
		return m.in[s].known || s == signature.Torque && power || s == signature.Other
	}
	if !measured(signature.Speed) || !measured(signature.Temperature) || !measured(signature.Torque) && !measured(signature.FeedVelocity) {
		return ""
	}
	codes := [signature.Signals][]string{}
	for k, code := range machineCodes {
		if s, lacks := signature.Lacks(signature.Fault(k), measured); lacks {
			codes[s] = append(codes[s], string(code))
		}
	}
	var all []string
	for s, codes := range codes {
		if len(codes) > 0 {
			all = append(all, fmt.Sprintf("without %s: %s", signalWords[s], strings.Join(codes, ", ")))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "not judged " + strings.Join(all, "; ")
}

// thermocouples finds the channels that measure a temperature where one of metal may be.
func (m *machine) thermocouples(reg *sensors.Registry) error {
	celsius := unit.MustParse("°C")
	for id := range reg.Len() {
		c := reg.Channel(sensors.ChannelID(id))
		if c.Unit.Dim != unit.Temperature || c.Role != sensors.BuildTemperature && c.Role != sensors.BearingTemperature && c.Role != sensors.Other {
			continue
		}
		s := signal{name: c.Name, id: sensors.ChannelID(id), known: true}
		var err error
		if s.unit, err = unit.Between(c.Unit, celsius); err != nil {
			return err
		}
		m.others = append(m.others, s)
	}
	return nil
}

// hottest makes the hottest of the other thermocouples signature.Other.
func (m *machine) hottest(f *sensors.Frame) {
	best := math.NaN()
	for i := range m.others {
		if v := m.others[i].value(f); !(v <= best) && v == v {
			best, m.in[signature.Other] = v, m.others[i]
		}
	}
}

// push takes the feed's torque as its channel has it, or where there is none its force.
func (m *machine) push(reg *sensors.Registry) {
	for _, role := range []sensors.Role{sensors.FeedTorque, sensors.FeedForce} {
		if id, ok := reg.Find(role); ok {
			if s, err := signalFor(reg, role, reg.Channel(id).Unit.Symbol); err == nil {
				m.in[signature.FeedTorque] = s
				return
			}
		}
	}
}

// longestFrame bounds how long a frame counts as having held: after a pause the agent has not seen what was in between.
const longestFrame = 2 * time.Second

// fewReadings are the least that an on-delay of more than a few seconds is made of, however slowly they come.
const fewReadings = 3

// judge takes the frame dt after the last one, once something in it is new: what is held meanwhile has not been seen again. It does not allocate.
func (m *machine) judge(dt time.Duration, f *sensors.Frame, p *phases, contact float64, set *anomaly.Set) {
	if p.change == phase.Began {
		m.follower.Reset()
		m.slow = [signature.Faults]bool{}
	}
	m.hottest(f)
	fresh, every := false, 0.0
	for k := range m.in {
		in := &m.in[k]
		if m.frame.Value[k] = in.value(f); signature.Signal(k) == signature.SetPoint && m.led != 0 {
			m.frame.Value[k] = m.led
		}
		m.frame.Fresh[k] = in.known && f.Fresh[in.id]
		fresh = fresh || m.frame.Fresh[k]
	}
	every = m.follower.Every(signature.Speed)
	m.passed += dt
	if !fresh && m.passed.Seconds() < max(longestFrame.Seconds(), 1.5*every) {
		return
	}
	dt, m.passed = m.passed, 0
	m.frame.Contact, m.frame.Phase, m.frame.Rule = contact, p.Phase, p.contact.Now()
	m.frame.Start = p.start
	m.frame.Learned = p.contact.Rule != (phase.ContactRule{})
	if m.frame.Derived = !m.in[signature.Torque].known && p.power.known; m.frame.Derived {
		m.frame.Fresh[signature.Torque] = f.Fresh[p.power.id]
		if omega := math.Abs(m.frame.Value[signature.Speed]) * math.Pi / 30; omega > phase.TellsFrom*math.Pi/30 {
			m.frame.Value[signature.Torque] = p.power.value(f) / omega
		}
	}
	m.follower.Step(dt.Seconds(), &m.frame)
	for k, place := range m.place {
		if p.Running && !m.slow[k] && !m.follower.Judged(signature.Fault(k)) {
			m.slow[k], m.unsaid = true, true
		}
		set.Step(place, min(dt.Seconds(), max(longestFrame.Seconds(), min(every, m.lasts[k]))), m.follower.Score[k].Value)
	}
}

// carriers tells the signals in which a fault of the machine shows now, with the share of it that each has, 0 to 1; false where it
// shows in none.
func (m *machine) carriers(code anomaly.Code, each func(in *signal, share float64)) bool {
	fault := slices.Index(machineCodes[:], code)
	if fault < 0 || m.follower.Score[fault].Value <= 0 {
		return false
	}
	score := &m.follower.Score[fault]
	for k, part := range score.Part {
		if part > 0 {
			each(&m.in[k], part/score.Value)
		}
	}
	return true
}

// showsIn says in which channels a fault of the machine shows now, with their shares of it in %, the largest first; "" where it
// shows in none.
func (m *machine) showsIn(code anomaly.Code) string {
	type carrier struct {
		name  string
		share float64
	}
	var in []carrier
	m.carriers(code, func(s *signal, share float64) {
		if s.known { // a torque made of power and speed is no channel
			in = append(in, carrier{s.name, share})
		}
	})
	slices.SortStableFunc(in, func(a, b carrier) int { return cmp.Compare(b.share, a.share) })
	var all []string
	for _, c := range in {
		all = append(all, fmt.Sprintf("%s %.0f %%", c.name, 100*c.share))
	}
	return strings.Join(all, ", ")
}

// unjudged says what has not been judged in this run, "" where all was.
func (m *machine) unjudged() string {
	var codes []string
	for k, slow := range m.slow {
		if slow {
			codes = append(codes, string(machineCodes[k]))
		}
	}
	if len(codes) == 0 {
		return ""
	}
	return fmt.Sprintf("a reading each %.3g s is too slow to judge %s", m.every(), strings.Join(codes, ", "))
}

// stuck reports whether a channel is the tool temperature and known to be stuck.
func (m *machine) stuck(id sensors.ChannelID, set *anomaly.Set) bool {
	in := &m.in[signature.Temperature]
	return in.known && in.id == id && set.Active(m.place[signature.Frozen])
}

// every is how far apart the readings of the slowest signal are by which a fault would be judged, s.
func (m *machine) every() (slowest float64) {
	for k, in := range m.in {
		if in.known && signature.Signal(k) != signature.SetPoint {
			slowest = max(slowest, m.follower.Every(signature.Signal(k)))
		}
	}
	return slowest
}
