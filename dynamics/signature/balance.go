package signature

import (
	"math"

	"stirwatch/dynamics/phase"
)

// What tells that the balance moves by which the machine's controller holds the set-point. Changes are of logarithms: 0.1 is
// about a tenth.
const (
	sameFeed  = 0.03 // change of feed or set-point that begins another balance of heat
	samePath  = 0.15 // and of the path, for a reading that creeps
	balanceIn = 25.0 // s until it is there, and that it is averaged over
	balanceOf = 40.0 // s that the first one is averaged over
	speaksFor = 2.0  // s that a reading speaks for at most, where the next does not usually come later
	heldTo    = 15.0 // °C within which the set-point is held

	faster  = 0.06 // by which the speed rises and the torque falls at the same power, as a tool wears
	lessFor = 0.5  // of a fall of power, and all of one of the feed's torque: metal that softens is no wear. On record a good build's torque fell by 0.3, its power by 0.2, the feed's torque by 0.1

	slower  = 0.11  // by which the speed falls as a reading creeps up,
	stiffer = 0.055 // the torque rises, since the metal is colder than shown,
	harder  = 0.045 // and that of the feed. A lap does as much for half of it, on record: it must last
	hotter  = 15.0  // °C above the set-point, with the spindle as slow as it goes,
	risen   = 10.0  // and above what it read as that balance began
)

// drive is what holds the set-point: logarithms of the spindle's speed, of its torque above the free one, and of the feed's torque.
type drive [3]float64

const (
	turns = iota
	shears
	pushes
)

// balance follows how speed and torques move while feed and set-point stay.
type balance struct {
	same          float64 // s of the same feed and set-point
	atFeed, atSet float64
	first, now    drive
	atPath, path  float64 // mm/min; path is followed slowly, over corners
	onPath        float64 // s of the same path as well
	onFirst       drive   // as the path became what it is
	begun, reads  float64 // °C, as first and now
	passed        float64 // s since the last reading that the balance has taken
	creeps, wears Score   // after that reading
}

// disturbed reports whether another fault is there, so that the speed is not that of a balance.
func (f *Follower) disturbed() bool {
	for _, k := range [...]Fault{Feedstock, Jam, LiftOff, Flash, Frozen, Step} {
		if f.Score[k].Value > 1 {
			return true
		}
	}
	return false
}

// balanced scores how the balance moves. At the same set-point, wear takes torque and the controller gives speed for it, so that the power
// stays (the metal is as hot and as strong as it was); a reading that creeps up makes it slow down while the metal, colder than shown, resists more.
// A build that warms up needs less speed at the same torque, a path that is faster more: neither is a fault.
func (f *Follower) balanced(dt float64, x *Frame) {
	v, b := &x.Value, &f.held
	speed := math.Abs(v[Speed])
	b.path += (v[Path] - b.path) * min(dt/10, 1)
	if math.IsNaN(b.path) {
		b.path = 0
	}
	atLimit := b.same < balanceIn+balanceOf && speed >= atLimit*f.fastest && v[SetPoint]-f.slow > heldTo/2
	if f.disturbed() || x.Phase != phase.Deposit || atLimit || !(math.Abs(v[FeedVelocity]-b.atFeed) <= sameFeed*b.atFeed && v[SetPoint] == b.atSet) {
		*b = balance{atFeed: v[FeedVelocity], atSet: v[SetPoint], path: b.path}
		return
	}
	above := math.Abs(v[Torque]) - x.Rule.FreeTorque
	if math.IsNaN(speed) || !(above > 0) {
		return
	}
	if b.passed += dt; !x.Fresh[Temperature] {
		f.Score[Creep], f.Score[Wear] = b.creeps, b.wears
		return
	}
	dt, b.passed = min(b.passed, f.speaksFor(Temperature)), 0
	b.creeps, b.wears = Score{}, Score{}
	if b.same += dt; b.same < balanceIn || b.atFeed < f.feedsFrom() {
		b.atPath = b.path
		return
	}
	d := drive{math.Log(max(speed, 1)), math.Log(above), math.Log(max(v[FeedTorque], faint*f.feedTorque, 1e-9))}
	if math.IsNaN(d[pushes]) {
		d[pushes] = b.now[pushes] // as if it did not change
	}
	if math.Abs(b.path-b.atPath) > samePath*b.atPath {
		b.atPath, b.onPath = b.path, 0
	}
	settles := max(b.same-balanceIn, dt)
	b.onPath += dt
	for k, v := range d {
		b.now[k] += (v - b.now[k]) * dt / min(max(settles, dt), balanceIn)
		if settles <= balanceOf {
			b.first[k] += (v - b.first[k]) * dt / settles
		}
		if b.onPath <= balanceOf {
			b.onFirst[k] += (v - b.onFirst[k]) * dt / b.onPath
		}
	}
	b.reads += (v[Temperature] - b.reads) * dt / min(max(settles, dt), balanceIn)
	if settles <= balanceOf {
		b.begun = b.reads
		return
	}
	var since, on drive
	for k := range since {
		since[k], on[k] = b.now[k]-b.first[k], b.now[k]-b.onFirst[k]
	}
	if over := f.slow - v[SetPoint]; f.constant >= constantFor && over > heldTo/2 {
		f.set(Creep, min(over/hotter, (b.reads-b.begun)/risen), weight{Temperature, 2}, weight{Speed, 1})
	}
	if math.Abs(f.slow-v[SetPoint]) <= heldTo {
		if b.onPath > balanceOf {
			push := on[pushes] / harder
			if math.IsNaN(v[FeedTorque]) {
				push = math.Inf(1) // then the spindle's alone has to tell
			}
			f.set(Creep, max(f.Score[Creep].Value, min(-on[turns]/slower, on[shears]/stiffer, push)), weight{Speed, 2}, weight{Torque, 1}, weight{FeedTorque, 1}, weight{Temperature, 1})
		}
		power := since[turns] + since[shears]
		softens := lessFor*max(-power, 0) + max(-since[pushes], 0)
		f.set(Wear, (min(since[turns], -since[shears])-softens)/faster, weight{Speed, 1}, weight{Torque, 1}, weight{Temperature, 1})
	}
	b.creeps, b.wears = f.Score[Creep], f.Score[Wear]
}
