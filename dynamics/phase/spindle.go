package phase

import "math"

// What a spindle shows of itself, and how far its machine may be from that of [DefaultContactRule] and still be taken for its like.
const (
	coldTo       = 150.0 // °C below which a tool that rubs warms,
	warmsFrom    = 0.3   // °C/s: and one that does not warm as fast is free
	muchTorque   = 160.0 // N·m that a spindle takes for
	muchFor      = 3.0   // s at least, while a tool below
	coldFrom     = 100.0 // °C warms by less than
	warmsHard    = 5.0   // °C/s, is that of a larger machine: so much would heat the like of the default's at once
	muchFree     = 0.34  // of it that a free spin takes
	showsFor     = 8.0   // s for which it must turn steadily, one way or the other
	steadyWithin = 0.02  // share by which a steady speed moves
	worksFor     = 20.0  // s that the torque of a working spindle is averaged over
	worksHot     = 250.0 // °C from which one that travels is at work,
	worksCools   = 20.0  // K below its mean over worksFor: but not where it cools so fast, as one does that has let go and turns freely

	freeLike   = 2.0   // times, either way, of the free torque
	lessFree   = 0.7   // of it: less is of a smaller machine where the work
	lessWork   = 105.0 // N·m takes less, too
	workLeast  = 30.0  // N·m above the free torque, averaged: the least
	workMost   = 260.0 // and the most that such machines take as they deposit
	workMiddle = 117.0 // and between them
	workShare  = 0.2   // of the torque at work that a free spin takes where nobody has seen one, or less:
	leastFor   = 3.0   // s that a spindle turns whose mean torque no free spin exceeds,
	leastAt    = 0.05  // share by which its speed may move meanwhile,
	leastOf    = 0.02  // share of the torque at work below which it is no torque of a spindle's
	totalLeast = 84.0  // N·m at work from which, and up to which, nothing speaks against the free torque of such machines
	totalMost  = 290.0

	startOver = 1.5 // s that the torque of a start is averaged over
)

// Spindle learns what a spindle takes, so that contact is told on machines of any size: what a tool that stays cold takes as it turns is
// the free torque, what one takes that is hot and travels is the torque of the work. A machine that is like that of
// [DefaultContactRule] keeps its rule. The zero Spindle is ready.
type Spindle struct {
	Free float64 // N·m: the torque of a free spin, 0 where none was seen
	Work float64 // N·m: the most that the spindle took on the average as it deposited, 0 where it has not
	// Least is the least (N·m) that it took on the average over leastFor at a speed that hardly moved: a free spin takes no more, as of a tool that
	// has been lifted off and is hot. 0 where there was none.
	Least float64

	// Start is the most (N·m) that it took, averaged over startOver, as it heated a tool from the cold to beyond coldTo; of several
	// starts that of the hardest, 0 where there was none.
	Start float64

	much         float64 // N·m: a free torque of a larger machine, as long as there is no other sign of it
	pushes       float64 // s that it has taken so much
	pushedAt     float64 // °C as that began
	pushed       float64 // N·m meanwhile
	leastSpeed   float64 // rad/s as the time of Least began,
	leastTurns   float64 // s since then
	leastMean    float64 // N·m, mean since then
	speed, turns float64 // rad/s, and s that it has turned as fast
	mean         float64 // N·m over them
	first        float64 // °C as they began
	works        float64 // s that it has been at work
	working      float64 // N·m, mean of late
	worked       float64 // °C, mean of late
	starting     float64 // N·m: mean of late on a cold tool,
	hardest      float64 // and the most of it since the spindle turns
}

// Step takes an instant dt s after the last one: speed and power as [Contact.Step] has them, the path's velocity (mm/min) and the tool's
// temperature (°C); NaN is unknown.
func (s *Spindle) Step(dt, speed, power, path, temperature float64) {
	omega := math.Abs(speed) * math.Pi / 30
	if !(omega > TellsFrom*math.Pi/30) || math.IsNaN(power) || math.IsNaN(temperature) {
		s.turns, s.works, s.pushes, s.leastTurns = 0, 0, 0, 0
		s.starting, s.hardest = 0, 0
		return
	}
	torque := power / omega
	if s.leastTurns == 0 || !(math.Abs(omega-s.leastSpeed) <= leastAt*s.leastSpeed) {
		s.leastSpeed, s.leastTurns, s.leastMean = omega, dt, torque
	} else {
		s.leastMean += (torque - s.leastMean) * dt / (s.leastTurns + dt)
		if s.leastTurns += dt; s.leastTurns >= leastFor {
			if s.leastTurns = 0; s.leastMean > 0 && (s.Least == 0 || s.leastMean < s.Least) {
				s.Least = s.leastMean
			}
		}
	}
	if temperature < coldTo {
		s.starting += (torque - s.starting) * min(dt/startOver, 1)
		s.hardest = max(s.hardest, s.starting)
	} else {
		s.Start = max(s.Start, s.hardest)
		s.starting, s.hardest = 0, 0
	}
	if torque < muchTorque || temperature > coldFrom {
		s.pushes, s.pushedAt, s.pushed = 0, temperature, torque
	} else if s.pushes == 0 {
		s.pushes, s.pushedAt, s.pushed = dt, temperature, torque
	} else {
		s.pushed += (torque - s.pushed) * dt / (s.pushes + dt)
		if s.pushes += dt; s.pushes >= muchFor && temperature-s.pushedAt < warmsHard*s.pushes {
			s.much = max(s.much, muchFree*s.pushed)
		}
	}
	if !(math.Abs(omega-s.speed) <= steadyWithin*s.speed) || temperature >= coldTo {
		s.speed, s.turns, s.first, s.mean = omega, 0, temperature, torque
	} else {
		s.turns += dt
		s.mean += (torque - s.mean) * min(dt/max(s.turns, dt), 1)
		if s.turns >= showsFor {
			if rose := (temperature - s.first) / s.turns; math.Abs(rose) < warmsFrom && s.mean > 0 && (s.Free == 0 || s.mean < s.Free) {
				s.Free = s.mean
			}
			if s.turns >= 2*showsFor {
				s.turns, s.first, s.mean = 0, temperature, torque
			}
		}
	}
	if !(path >= TravelsFrom) || temperature < worksHot {
		s.works = 0
		return
	}
	s.works += dt
	share := min(dt/min(max(s.works, dt), worksFor), 1)
	s.working += share * (torque - s.working)
	s.worked += share * (temperature - s.worked)
	if s.works >= worksFor && temperature > s.worked-worksCools {
		s.Work = max(s.Work, s.working)
	}
}

// Like reports whether the machine may be that of [DefaultContactRule].
func (s *Spindle) Like() bool { return s.Rule() == DefaultContactRule }

// Rule is that of the machine, as far as it is known.
func (s *Spindle) Rule() ContactRule {
	r := DefaultContactRule
	like := func(free float64) bool { return free < freeLike*r.FreeTorque && free > r.FreeTorque/freeLike }
	free, size := 1.0, 1.0
	switch {
	case s.Free > 0 && (!like(s.Free) || s.Free < lessFree*r.FreeTorque && s.Work > 0 && s.Work < lessWork):
		free = s.Free / r.FreeTorque
		size = free
	case s.Free == 0 && s.Work == 0 && s.much > 0:
		free = s.much / r.FreeTorque
		size = free
	case s.Free == 0 && s.Work > 0 && (s.Work < totalLeast || s.Work > totalMost):
		free = workShare * s.Work / r.FreeTorque
		if s.Least > leastOf*s.Work {
			free = min(free, s.Least/r.FreeTorque)
		}
	}
	if s.Work > 0 {
		above := s.Work - free*r.FreeTorque
		work := max(above, 0.1*s.Work) / workMiddle
		switch {
		case s.Free > 0 && free != 1: // both tell of it
			size = math.Sqrt(free * work)
		case above > workMost || above < workLeast:
			size = work
		default:
			size = 1
		}
	}
	return ContactRule{FreeTorque: free * r.FreeTorque, Inertia: free * r.Inertia, From: size * r.From, Full: size * r.Full}
}
