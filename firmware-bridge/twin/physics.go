package twin

import "math"

const (
	dt       = 0.02 // s, the step of physics and machine
	maxDead  = 250  // steps of dead time
	shank    = 6    // tool nodes, 0 is the face
	segments = 24   // of the deposit's surface along a lap
	thickest = 8e-3 // m, a deposit layer of the conduction model splits above it
	gas      = 8.314462618
	celsius  = 273.15
	still    = 0.33 // share of the contact with the deposit that a tool keeps which no longer shears it
	stirs    = 25.0 // rad/s from which it shears in full
)

// cell is the thermal state of tool, deposit, plate and spindle. Heat is counted from ambient,
// and what enters, leaves and stays is kept in a ledger, so that conservation can be tested.
type cell struct {
	p        *Params
	shear    float64        // °C, metal sheared between shoulder and deposit
	gap      float64        // m³ of metal under the shoulder
	pressing float64        // m/s, the feed as pressure under the shoulder follows it
	tool     [shank]float64 // °C, face to holder
	bearing  float64        // °C
	coolant  float64        // °C, outlet
	surface  [segments]float64
	stack    []layer // plate from the bottom, then the deposit
	fresh    float64 // J/K of deposit still counted with the topmost plate layer

	toolCap, toolG [shank]float64 // J/K; W/K from node i to i+1
	segCap, segDown, segSide, segAir,
	footprint, full float64 // m² of the deposit; m³ of the gap when filled

	entered, left float64 // J
}

// layer is one node of the stack under the tool.
type layer struct{ temp, cap, thick, area float64 }

// drive is what machine and disturbances do to the cell in one step.
type drive struct {
	omega   float64 // rad/s
	feed    float64 // m/s of the bar
	speed   float64 // m/s of the tool along the path
	at      float64 // place on the lap, 0 to 1
	engaged bool    // tool on metal
	bar     bool    // there is bar to feed
	fast    float64 // relative disturbance of heat contact
	slow    float64 // relative disturbance of strength
	heat    float64 // factor of shoulder heat (wear)
	coolant float64 // factor of coolant flow
	sink    float64 // factor of what the deposit takes
}

// load is the cell's answer.
type load struct {
	torque   float64 // N·m of the metal on the tool, drag not included
	heat     float64 // W
	stress   float64 // Pa, flow stress
	pressure float64 // Pa on the bar
	fill     float64 // 0 to 1, how far the shoulder has metal under it
	axial    float64 // N on the tool
}

func newCell(p *Params, lap float64) *cell {
	c := &cell{p: p, shear: p.Build.Ambient, bearing: p.Spindle.CoolantIn, coolant: p.Spindle.CoolantIn}
	for i := range c.tool {
		c.tool[i] = p.Build.Ambient
		c.toolCap[i] = p.Tool.Capacity / (shank - 1)
		c.toolG[i] = p.Tool.Conductivity * (math.Pi*p.Tool.Radius*p.Tool.Radius - p.Tool.BarArea*1e-6) / (p.Tool.Length / (shank - 1))
	}
	c.toolCap[0], c.toolG[0] = p.Tool.Face, p.Tool.Spread
	for i := range c.surface {
		c.surface[i] = p.Build.Ambient
	}
	m, b := &p.Metal, &p.Build
	piece := lap / segments
	c.segCap = m.Density * m.Heat * b.TrackWidth * piece * b.Surface
	c.segDown = m.Conductivity * b.TrackWidth * piece / b.Surface
	c.segSide = m.Conductivity * b.TrackWidth * b.Surface / piece
	c.segAir = b.Air * b.TrackWidth * piece
	c.footprint = lap * b.TrackWidth
	c.full = math.Pi * p.Tool.Radius * p.Tool.Radius * p.Tool.Gap
	c.stack = make([]layer, 0, 64)
	for range 3 {
		thick := b.PlateThick / 3
		c.stack = append(c.stack, layer{b.Ambient, m.Density * m.Heat * b.PlateArea * thick, thick, b.PlateArea})
	}
	return c
}

// flowStress is σ in Pa at a temperature in °C and a strain rate in 1/s.
func (m *Metal) flowStress(temp, rate float64) float64 {
	if temp >= m.Solidus || rate <= 0 {
		return 0
	}
	lnZ := math.Log(rate) + m.Q*1e3/(gas*(temp+celsius))
	x := math.Exp((lnZ - m.LnA) / m.N)
	return math.Asinh(x) / m.Alpha * 1e6 * math.Tanh((m.Solidus-temp)/m.SoftWidth)
}

// flows is the share of the fed metal that spreads under the shoulder.
func (m *Metal) flows(temp float64) float64 { return 1 / (1 + math.Exp((m.Flow-temp)/20)) }

// load computes torque, heat and forces at the present temperatures.
func (c *cell) load(d *drive) load {
	var l load
	if !d.engaged {
		return l
	}
	p := c.p
	l.fill = smooth((c.gap/c.full - 0.3) / 0.6)
	rate := d.omega * 0.7 * p.Tool.Radius / p.Tool.Shear / math.Sqrt(3)
	l.stress = p.Metal.flowStress(c.shear, max(rate, 1e-3)) * (1 + d.slow)
	shear := l.stress / math.Sqrt(3)
	bar := 0.0
	if d.bar {
		// A bar that stands still keeps its pressure for a few seconds.
		behind := max(d.feed, c.pressing)
		l.pressure = p.Feed.Pressure*1e6*behind/10e-3 + p.Feed.Hard*l.stress*math.Tanh(behind/1e-3)
		slip := p.Metal.Friction * l.pressure
		bar = shear * slip / math.Sqrt(math.Sqrt(pow4(shear)+pow4(slip)+1)) // the weaker of sticking and slipping
	}
	pressed := 1 + p.Tool.Press*(min(c.pressing*60/0.5, 1.6)-1)
	rb, rs := cube(p.Tool.BarRadius), cube(p.Tool.Radius)
	turn := 2 * math.Pi * d.at
	press := 1 + p.Build.LapPress*math.Sin(turn+0.6) + p.Build.HalfPress*math.Sin(2*turn+2.2)
	l.torque = 2 * math.Pi / 3 * (bar*rb + p.Tool.Stick*pressed*press*d.heat*shear*l.fill*(rs-rb)) * math.Tanh(d.omega)
	l.heat = l.torque * d.omega
	l.axial = l.pressure*p.Tool.BarArea*1e-6 + 0.12*l.stress*press*l.fill*math.Pi*p.Tool.Radius*p.Tool.Radius
	return l
}

// step advances by dt under a load that [cell.load] gave for the same drive.
func (c *cell) step(d *drive, l *load) {
	p, m := c.p, &c.p.Metal
	amb := p.Build.Ambient
	rc := m.Density * m.Heat
	// Heat flows of the tool, face to holder, W.
	air := p.Tool.Air * (1 + p.Tool.AirSpeed*d.omega/41.9) / shank
	var gain [shank]float64
	for i := range c.tool {
		q := air * (c.tool[i] - amb)
		c.left += q * dt
		gain[i] -= q
		if i+1 < shank {
			q := c.toolG[i] * (c.tool[i] - c.tool[i+1])
			gain[i] -= q
			gain[i+1] += q
		}
	}
	hold := p.Spindle.Shank * (c.tool[shank-1] - c.bearing)
	gain[shank-1] -= hold

	// The bar takes heat on its way through the bore.
	fed := 0.0 // m³/s
	if d.engaged && d.bar {
		fed = d.feed * p.Tool.BarArea * 1e-6
	}
	barTemp := amb
	if fed > 0 {
		e := 1 - math.Exp(-p.Tool.Bore/(fed*rc))
		barTemp += e * (c.tool[1] - amb)
		gain[1] -= fed * rc * (barTemp - amb)
	}

	// Metal under the shoulder: what is fed spreads once hot, the track takes its share, the
	// rest leaves as flash.
	laid, flash := 0.0, 0.0
	if d.engaged {
		spread := fed * m.flows(c.shear)
		laid = min(p.Build.TrackWidth*p.Build.Layer*d.speed, c.gap/(10*dt))
		over := max(0, c.gap-c.full)/0.5 + 0.02*c.gap
		flash = fed - spread + over
	} else {
		flash = c.gap / 0.5
	}

	c.pressing += (d.feed - c.pressing) * dt / 3
	toTool := p.Tool.Contact * (c.shear - c.tool[0])
	toDeposit := 0.0
	i := int(d.at*segments) % segments
	if d.engaged {
		turn := 2 * math.Pi * d.at
		lap := 1 + p.Build.LapHeat*math.Sin(turn) + p.Build.HalfLapHeat*math.Sin(2*turn)
		toTool *= (0.02 + 0.98*l.fill) * (1 + d.fast)
		g := p.Build.Rest + p.Build.Moving*math.Sqrt(d.speed*60)
		g *= 0.35 + 0.65*min(1, c.pressing/4e-3) // a tool that no feed presses touches less
		g *= still + (1-still)*min(1, d.omega/stirs)
		toDeposit = g * (0.12 + 0.88*l.fill) * lap * (1 - d.fast) * d.sink * (c.shear - c.surface[i])
	}
	gain[0] += toTool

	// The sheared metal: enthalpy over ambient, exact for a changing mass.
	capacity := p.Tool.ShearHeat + rc*c.gap
	h := capacity * (c.shear - amb)
	out := rc * (laid + flash) * (c.shear - amb)
	h += dt * (l.heat - toTool - toDeposit + rc*fed*(barTemp-amb) - out)
	c.gap = max(0, c.gap+dt*(fed-laid-flash))
	c.entered += l.heat * dt
	c.left += rc * flash * (c.shear - amb) * dt
	old := c.shear
	c.shear = amb + h/(p.Tool.ShearHeat+rc*c.gap)

	for k := range c.tool {
		c.tool[k] += gain[k] * dt / c.toolCap[k]
	}
	c.spindle(d, hold)
	c.deposit(d, i, toDeposit, laid, old)
}

// spindle warms bearing and coolant by drag and by what the shank brings.
func (c *cell) spindle(d *drive, hold float64) {
	s := &c.p.Spindle
	drag := s.BearingHeat * c.drag() * d.omega
	flow := s.CoolantFlow * d.coolant
	q := 0.0
	if flow > 0 {
		q = s.Coolant * math.Sqrt(d.coolant) * (c.bearing - s.CoolantIn)
		c.coolant += (s.CoolantIn + q/flow - c.coolant) * dt / 5
	} else {
		c.coolant += (c.bearing - c.coolant) * dt / 60
	}
	if d.coolant < 1 && flow > 0 { // little flow: the loop warms towards the bearing
		c.coolant += (1 - d.coolant) * (c.bearing - c.coolant) * dt / 60
	}
	c.bearing += (drag + hold - q) * dt / s.BearingCap
	c.entered += drag * dt
	c.left += q * dt
}

// drag is the torque of a free spin, N·m.
func (c *cell) drag() float64 {
	return c.p.Spindle.Drag * math.Exp(-c.p.Spindle.ColdDrag*(c.bearing-25))
}

// deposit conducts heat from the surface into layers and plate, and lays metal of the shear
// temperature on segment i: an equal mass of what was there becomes part of the layers.
func (c *cell) deposit(d *drive, i int, heat, laid, shear float64) {
	p := c.p
	amb := p.Build.Ambient
	top := len(c.stack) - 1
	topGain, prev := 0.0, c.surface[segments-1]
	first := c.surface[0]
	for k := range c.surface {
		t := c.surface[k]
		next := first
		if k+1 < segments {
			next = c.surface[k+1]
		}
		down := c.segDown * (t - c.stack[top].temp)
		air := c.segAir * (t - amb)
		q := c.segSide*(prev+next-2*t) - down - air
		if k == i {
			q += heat
		}
		topGain += down
		c.left += air * dt
		prev = t
		c.surface[k] = t + q*dt/c.segCap
	}
	if laid > 0 {
		mass := p.Metal.Density * p.Metal.Heat * laid * dt // J/K
		old := c.surface[i]
		c.surface[i] += mass / c.segCap * (shear - old)
		l := &c.stack[top]
		l.temp = (l.cap*l.temp + mass*old) / (l.cap + mass)
		l.cap += mass
		thick := laid * dt / c.footprint
		if top < 3 {
			c.fresh += mass
			if c.fresh >= p.Metal.Density*p.Metal.Heat*c.footprint*thickest/2 {
				l.cap -= c.fresh
				c.stack = append(c.stack, layer{l.temp, c.fresh, thickest / 2, c.footprint})
				c.fresh = 0
			}
		} else if l.thick += thick; l.thick >= thickest && len(c.stack) < cap(c.stack) {
			l.cap, l.thick = l.cap/2, l.thick/2
			c.stack = append(c.stack, *l)
		}
	}
	top = len(c.stack) - 1
	// From the bottom: bed, then layer to layer.
	q := -p.Build.Bed * (c.stack[0].temp - amb)
	c.left -= q * dt
	for k := range c.stack {
		l := &c.stack[k]
		up := topGain
		if k < top {
			n := &c.stack[k+1]
			up = 2 * p.Metal.Conductivity * (n.temp - l.temp) / (l.thick/l.area + n.thick/n.area)
		}
		l.temp += (q + up) * dt / l.cap
		q = -up
	}
}

// stored is the heat in the cell over ambient, J; bearing over the coolant's inlet.
func (c *cell) stored() float64 {
	amb := c.p.Build.Ambient
	h := (c.p.Tool.ShearHeat + c.p.Metal.Density*c.p.Metal.Heat*c.gap) * (c.shear - amb)
	for i, t := range c.tool {
		h += c.toolCap[i] * (t - amb)
	}
	for _, t := range c.surface {
		h += c.segCap * (t - amb)
	}
	for _, l := range c.stack {
		h += l.cap * (l.temp - amb)
	}
	return h + c.p.Spindle.BearingCap*(c.bearing-amb)
}

// stiffest is the largest share of the explicit step's stability limit that any node uses.
func stiffest(p *Params) float64 {
	c := newCell(p, defaultPath().length)
	moving := p.Build.Rest + 2*p.Build.Moving
	worst := dt * (p.Tool.Contact*1.5 + moving) / p.Tool.ShearHeat
	for i := range c.tool {
		g := c.toolG[i] + p.Tool.Air
		if i > 0 {
			g += c.toolG[i-1]
		} else {
			g += p.Tool.Contact * 1.5
		}
		worst = max(worst, dt*g/c.toolCap[i])
	}
	worst = max(worst, dt*(c.segDown+2*c.segSide+moving)/c.segCap)
	for _, area := range [...]float64{c.footprint, p.Build.PlateArea} {
		thick := thickest / 2
		if area == p.Build.PlateArea {
			thick = p.Build.PlateThick / 3
		}
		worst = max(worst, dt*2*p.Metal.Conductivity/(thick*thick*p.Metal.Density*p.Metal.Heat))
	}
	return worst
}

// smooth goes from 0 to 1 without a kink.
func smooth(x float64) float64 {
	x = max(0, min(1, x))
	return x * x * (3 - 2*x)
}

func cube(x float64) float64 { return x * x * x }
func pow4(x float64) float64 { return x * x * x * x }
