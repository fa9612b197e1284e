package play

import (
	"math"
	"math/rand/v2"
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/runlog"
)

// Synthetic makes a run of a cell that does not exist, so that a demonstration needs no
// recording: one row a second of heat-up, deposition held near 475 °C by a controller of the
// machine's form, a feed that asks for more heat than the spindle can give, a thermocouple that
// drops out and later spikes, a reload, more deposition, and cooling. Its physics is a first-order
// balance of its own, tuned to look like a real run; nothing should be learned from it. Equal
// seeds give equal runs; less than 3 minutes are made 3.
func Synthetic(seed uint64, minutes float64) *runlog.Log {
	if !(minutes >= 3) {
		minutes = 3
	}
	channels := map[string]sensors.Channel{}
	for _, c := range runlog.MELDChannels() {
		channels[c.Name] = c
	}
	log := &runlog.Log{Name: "synthetic", Format: "synthetic"}
	for _, name := range []string{"tool_temperature", "spindle_speed", "spindle_torque", "spindle_power", "set_point",
		"feed_velocity", "feed_position", "feed_torque", "feed_override", "path_velocity",
		"x_position", "x_velocity", "y_position", "y_velocity", "z_position", "z_velocity", "program_line", "bearing_low", "bearing_high"} {
		c := channels[name]
		log.Columns = append(log.Columns, runlog.Column{Name: c.Name, Key: c.Name, Role: c.Role, Unit: c.Unit})
	}
	log.Value = make([][]float64, len(log.Columns))
	log.Status = make([][]sensors.Status, len(log.Columns))

	c := cell{rng: rand.New(rand.NewPCG(seed, 0x5717)), temp: ambient, sensor: ambient, bearing: ambient}
	begin := time.Date(2025, time.January, 1, 8, 0, 0, 0, time.UTC).UnixNano()
	rows := int(minutes * 60)
	for k := range rows {
		c.plan(float64(k) / float64(rows))
		for range substeps {
			c.step(1.0 / substeps)
		}
		log.Time = append(log.Time, begin+int64(k)*int64(time.Second))
		log.Line = append(log.Line, k+1)
		for i, v := range c.row(k, rows) {
			status := sensors.OK
			if i == 0 && v == lostSignal {
				status = sensors.Status{Signal: sensors.Failure, Reason: sensors.Sentinel}
			}
			log.Value[i] = append(log.Value[i], v)
			log.Status[i] = append(log.Status[i], status)
		}
	}
	return log
}

const (
	ambient    = 22.0  // °C
	target     = 475.0 // °C
	melting    = 566.0 // °C, where the softened metal gives no more heat
	lapSeconds = 40.0
	radius     = 80.0 // mm, of the round path
	layer      = 1.0  // mm a lap
	lostSignal = -2.0
	substeps   = 20

	rpmLow, rpmHigh = 300.0, 450.0
	feedNormal      = 300.0 // mm/min
	feedTooMuch     = 850.0 // mm/min: more than 450 rpm can heat
)

// cell is the state of the synthetic machine.
type cell struct {
	rng                  *rand.Rand
	temp, sensor         float64 // °C, of the tool and as measured
	rpm, torque          float64 // rpm, N·m
	feed, fed            float64 // mm/min, mm
	x, y, z              float64 // mm
	vx, vy, vz           float64 // mm/min
	path                 float64 // mm/min
	angle, laps          float64 // rad; laps made
	drift                float64 // slow disturbance of the heat, 1
	bearing              float64 // °C
	spinning, depositing bool
	feedWanted           float64
}

// plan sets what the program asks for at a fraction of the run.
func (c *cell) plan(at float64) {
	c.spinning = at >= 0.02 && at < 0.88
	c.depositing = at >= 0.14 && at < 0.62 || at >= 0.70 && at < 0.88
	switch {
	case !c.spinning || at >= 0.62 && at < 0.68: // the reload stops the feed
		c.feedWanted = 0
	case at >= 0.42 && at < 0.54:
		c.feedWanted = feedTooMuch
	case at < 0.14:
		c.feedWanted = feedNormal * 0.8
	default:
		c.feedWanted = feedNormal
	}
}

// step advances by dt seconds.
func (c *cell) step(dt float64) {
	c.feed += max(-400*dt, min(400*dt, c.feedWanted-c.feed))
	c.fed += c.feed / 60 * dt

	measured := c.sensor
	slope := (c.temp - c.sensor) / 1.5 // of the reading: sensor lag 1.5 s
	c.sensor += slope * dt
	if c.spinning {
		// The machine's own law: mostly integral action, and the limits of its spindle.
		c.rpm += (-0.374*slope - 0.387*(measured-target)) * dt
		lowest := min(rpmLow, c.rpm+1)
		if c.rpm < rpmLow {
			c.rpm += 50 * dt
			lowest = 0
		}
		c.rpm = max(lowest, min(rpmHigh, c.rpm))
	} else {
		c.rpm = max(0, c.rpm-60*dt)
	}

	c.drift += -c.drift*dt/20 + 0.012*math.Sqrt(dt)*c.rng.NormFloat64()
	lap := 0.0
	if c.depositing {
		c.laps += dt / lapSeconds
		phase := 2 * math.Pi * c.laps
		lap = 0.08*math.Sin(phase) + 0.03*math.Sin(2*phase+1)
		c.angle = phase
		c.path = 2 * math.Pi * radius / lapSeconds * 60
	} else {
		c.path = 0
	}
	c.vx, c.vy, c.vz = -c.path*math.Sin(c.angle), c.path*math.Cos(c.angle), 0
	if c.depositing {
		c.vz = layer / lapSeconds * 60
	}
	c.x, c.y, c.z = radius*math.Cos(c.angle), radius*math.Sin(c.angle), layer*c.laps

	c.torque = 0
	if c.rpm > 1 {
		pressed := 0.25
		if c.feed > 0 {
			pressed = 0.8 + 0.2*c.feed/feedNormal
		}
		c.torque = 180 * pressed * math.Pow(max(c.rpm, 50)/380, -0.94)
	}
	heat := 2.7e-3 * c.torque * c.rpm * math.Pi / 30 * math.Pow(max(c.rpm, 1)/380, 0.8) // °C/s at the target
	heat *= min(2.5, (melting-c.temp)/(melting-target)) * (1 + c.drift)
	if c.temp < 60 {
		heat *= 0.3 // cold contact wastes the first seconds
	}
	loss := (1.0/44 + 0.02*c.feed/feedNormal) * (1 + lap)
	c.temp += (heat - loss*(c.temp-ambient)) * dt
	c.bearing += (ambient + 0.02*c.rpm - c.bearing) / 300 * dt
}

// row is what the controller would log, in the order of the columns.
func (c *cell) row(k, rows int) []float64 {
	noise := func(sigma float64) float64 { return sigma * c.rng.NormFloat64() }
	grain := func(v, step float64) float64 { return math.Round(v/step) / math.Round(1/step) }
	temp := grain(c.sensor+noise(0.03), 0.1)
	at := float64(k) / float64(rows)
	switch lost := int(0.30 * float64(rows)); {
	case k >= lost && k < lost+max(5, rows/60):
		temp = lostSignal
	case k == int(0.36*float64(rows)):
		temp = grain(temp+190, 0.1)
	}
	setPoint := 0.0
	if c.spinning {
		setPoint = target
	}
	rpm, torque := c.rpm, c.torque
	if c.rpm > 1 {
		rpm, torque = rpm+noise(0.3), torque*(1+noise(0.01))
	}
	feedTorque := 0.0
	if c.feed > 1 {
		feedTorque = 15 + 0.05*c.feed + noise(0.6)
	}
	return []float64{
		temp, grain(rpm, 0.01), grain(torque, 0.01), grain(1.02*torque*rpm*math.Pi/30, 0.01), setPoint,
		grain(c.feed, 0.01), grain(c.fed, 0.001), grain(feedTorque, 0.01), 100, grain(c.path, 0.01),
		grain(c.x, 0.001), grain(c.vx, 0.01), grain(c.y, 0.001), grain(c.vy, 0.01), grain(c.z, 0.001), grain(c.vz, 0.01),
		math.Floor(1 + 400*at), grain(c.bearing, 0.1), grain(c.bearing+1, 0.1),
	}
}
