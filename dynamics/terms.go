package dynamics

import "math"

// Names of the inputs that a model may use; they are the role words of the channels.
const (
	SpindlePower = "spindle power"
	SpindleSpeed = "spindle speed"
	PathVelocity = "path velocity"
	FeedVelocity = "feed velocity"
)

// ToolTemperature names the measurement and the first state.
const ToolTemperature = "tool temperature"

// Slots of the inputs as the terms see them.
const (
	inPower = iota
	inSpeed
	inPath
	inFeed
	inCount
)

// inputSlots lists the inputs that terms can use, with the unit that a model document must state.
var inputSlots = [inCount]struct{ name, unit, symbol, latex string }{
	inPower: {SpindlePower, "W", "P", "P"},
	inSpeed: {SpindleSpeed, "rpm", "n", "n"},
	inPath:  {PathVelocity, "mm/min", "v", "v"},
	inFeed:  {FeedVelocity, "mm/min", "f", "f"},
}

func inputSlot(name string) int {
	for i := range inputSlots {
		if inputSlots[i].name == name {
			return i
		}
	}
	return -1
}

// Names of the parameters that terms use.
const (
	paramSoftening = "Tm"         // where the heat factor (Tm - T) reaches zero
	paramAmbient   = "Ta"         // surroundings
	paramDrag      = "drag"       // torque of a free spin: P_free = drag·ω
	paramContact   = "contact"    // heat above which the tool is taken to be in contact
	paramGate      = "gate"       // span above ambient within which a cold contact starts to heat
	paramBody      = "tau_body"   // time constant of the tool body behind the tool face
	paramMemory    = "tau_memory" // time constant with which the disturbance is forgotten
)

const (
	pSoftening = iota
	pAmbient
	pDrag
	pContact
	pGate
	pBody
	pMemory
	pCount
)

var paramSlots = [pCount]struct {
	name, unit string
	min, max   float64
	text       string
}{
	pSoftening: {paramSoftening, "°C", 100, 3000, "temperature at which the softened metal takes no more heat"},
	pAmbient:   {paramAmbient, "°C", -50, 100, "surroundings"},
	pDrag:      {paramDrag, "N·m", 0, 1e4, "torque of a free spin, so P_free = drag·ω"},
	pContact:   {paramContact, "W", 1, 1e6, "heat at which contact counts as half"},
	pGate:      {paramGate, "K", 1, 1000, "span above ambient over which a cold contact begins to heat"},
	pBody:      {paramBody, "s", 1, 1e5, "time constant of the tool body behind the face"},
	pMemory:    {paramMemory, "s", 1, 1e6, "time constant with which the filter forgets its disturbance"},
}

// termKind is one row of the library of terms.
type termKind uint8

const (
	heatFading termKind = iota
	lossAir
	lossSpin
	lossContact
	lossPath
	lossFeed
	lossBody
	termCount
)

// library lists every term that can stand in dT/dt, by the expression that stands in the document.
// A heat term without (Tm - T) is not among them: Tm is free, and no data can tell the two apart.
// sign is that of the term's contribution; coefficients themselves are never negative.
var library = [termCount]struct {
	expression  string
	unit        string // of the coefficient, so that the term is in K/s
	sign        int
	mode        string
	needs       []int  // input slots
	text, latex string // for people; {Tm} and {Ta} stand for the values
}{
	heatFading:  {"gate*heat*(Tm - T)", "1/J", +1, "contact", []int{inPower, inSpeed}, "gate(T)·(P − P_free)·({Tm} − T)", `\gamma(T)\,(P-P_\mathrm{free})\,({Tm}-T)`},
	lossAir:     {"(T - Ta)", "1/s", -1, "always", nil, "(T − {Ta})", `(T-{Ta})`},
	lossSpin:    {"speed*(T - Ta)", "1/(s·rpm)", -1, "spinning", []int{inSpeed}, "n·(T − {Ta})", `n\,(T-{Ta})`},
	lossContact: {"contact*(T - Ta)", "1/s", -1, "contact", []int{inPower, inSpeed}, "c·(T − {Ta})", `c\,(T-{Ta})`},
	lossPath:    {"contact*path*(T - Ta)", "1/(s·mm/min)", -1, "contact", []int{inPower, inSpeed, inPath}, "c·v·(T − {Ta})", `c\,v\,(T-{Ta})`},
	lossFeed:    {"contact*feed*(T - Ta)", "1/(s·mm/min)", -1, "contact", []int{inPower, inSpeed, inFeed}, "c·f·(T − {Ta})", `c\,f\,(T-{Ta})`},
	lossBody:    {"(T - body)", "1/s", -1, "always", nil, "(T − T_body)", `(T-T_\mathrm{body})`},
}

func termByExpression(expr string) (termKind, bool) {
	for k := range library {
		if library[k].expression == expr {
			return termKind(k), true
		}
	}
	return 0, false
}

// equation is a model made ready for arithmetic: immutable, shareable.
type equation struct {
	p    [pCount]float64
	coef [termCount]float64 // signed; 0 where the model has no such term
	in   [inCount]int       // index of each slot in the caller's inputs, -1 where absent
}

// drive holds what the terms need of the inputs, worked out once per set of inputs.
type drive struct {
	heat, speed, contact, path, feed float64
}

// radPerRPM turns rpm into rad/s.
const radPerRPM = math.Pi / 30

func pick(u []float64, i int) float64 {
	if i < 0 {
		return 0
	}
	return u[i]
}

// drive works out heat and contact from inputs u (model order and units; NaN is not allowed).
// Heat is the spindle's power less that of a free spin, never negative. Contact rises from 0
// to 1 between half and one and a half times its parameter, so that noise does not switch it.
func (e *equation) drive(u []float64) drive {
	speed := math.Abs(pick(u, e.in[inSpeed]))
	heat := max(0, pick(u, e.in[inPower])-e.p[pDrag]*speed*radPerRPM)
	c := heat/e.p[pContact] - 0.5
	return drive{
		heat: heat, speed: speed, contact: min(1, max(0, c)),
		path: math.Abs(pick(u, e.in[inPath])), feed: math.Abs(pick(u, e.in[inFeed])),
	}
}

// gate is the share of the heat that a face at temperature t takes up: a cold contact slides
// before it sticks, and the first heat is lost to the plate. It rises from 0.1 at ambient to 1.
func (e *equation) gate(t float64) float64 {
	return min(1, max(0.1, (t-e.p[pAmbient])/e.p[pGate]))
}

// basis fills phi with every term of the library, without coefficient or sign.
func (e *equation) basis(phi *[termCount]float64, d *drive, t, body float64) {
	over := t - e.p[pAmbient]
	phi[heatFading] = e.gate(t) * d.heat * (e.p[pSoftening] - t)
	phi[lossAir] = over
	phi[lossSpin] = d.speed * over
	phi[lossContact] = d.contact * over
	phi[lossPath] = d.contact * d.path * over
	phi[lossFeed] = d.contact * d.feed * over
	phi[lossBody] = t - body
}

// rate is dT/dt in K/s at temperature t with the body at body, both °C.
func (e *equation) rate(d *drive, t, body float64) float64 {
	c := &e.coef
	loss := c[lossAir] + c[lossSpin]*d.speed + d.contact*(c[lossContact]+c[lossPath]*d.path+c[lossFeed]*d.feed)
	return c[heatFading]*e.gate(t)*d.heat*(e.p[pSoftening]-t) + loss*(t-e.p[pAmbient]) + c[lossBody]*(t-body)
}
