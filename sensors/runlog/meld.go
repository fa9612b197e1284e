package runlog

import (
	"time"

	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// Mode is the system of units a MELD controller is programmed in. It decides the unit of every
// length, feed and of the spindle torque in its log.
type Mode string

const (
	Auto       Mode = ""     // found out from the log itself, row by row
	Inch       Mode = "inch" // inch, inch/min, ft·lbf
	Millimetre Mode = "mm"   // mm, mm/min, N·m
)

// String is "auto", "inch" or "mm".
func (m Mode) String() string {
	if m == Auto {
		return "auto"
	}
	return string(m)
}

// meldColumn describes one column of the MELD log. A column whose two units differ depends on
// the mode the controller is in.
type meldColumn struct {
	key        string
	inch, mm   unit.Unit
	anyUnit    bool // its unit is not known: the number is in that of its channel
	sentinels  []float64
	unwired    float64 // what the column shows for ever where nothing is connected
	hasUnwired bool
	channel    sensors.Channel
}

const (
	meldDate, meldTime = "Date", "Time"
	meldSpeed          = "SpinVel"
	meldTorque         = "SpinTrq"
	meldPower          = "SpinPwr"
)

// meldPositions are the columns that show a change of mode as a jump by 25.4.
var meldPositions = []string{"FeedPos", "XPos", "YPos", "ZPos"}

var meldColumns = func() []meldColumn {
	u := unit.MustParse
	one, pct, degC := u("1"), u("%"), u("°C")
	fixed := func(key, name string, role sensors.Role, un unit.Unit, lo, hi float64) meldColumn {
		return meldColumn{key: key, inch: un, mm: un,
			channel: sensors.Channel{Name: name, Role: role, Unit: un, Min: lo, Max: hi, MaxAge: 3 * time.Second}}
	}
	byMode := func(key, name string, role sensors.Role, inch, mm string, lo, hi float64) meldColumn {
		c := fixed(key, name, role, u(mm), lo, hi)
		c.inch = u(inch)
		return c
	}
	thermocouple := func(key, name string, role sensors.Role) meldColumn {
		c := fixed(key, name, role, degC, -20, 700)
		c.sentinels = []float64{-2}
		c.channel.MaxRate = 150 // a start pressed hard into the plate makes 114 °C in one second
		return c
	}
	mayBeUnwired := func(c meldColumn, v float64) meldColumn {
		c.unwired, c.hasUnwired = v, true
		return c
	}
	ownNumber := func(key, name string, role sensors.Role) meldColumn {
		c := fixed(key, name, role, one, 0, 0)
		c.anyUnit = true
		return c
	}
	slow := func(c meldColumn) meldColumn {
		c.channel.MaxAge = 10 * time.Second
		return c
	}
	return []meldColumn{
		thermocouple("ToolTemp", "tool_temperature", sensors.ToolTemperature),
		mayBeUnwired(thermocouple("Tool2Temp", "tool2_temperature", sensors.Other), 0),
		fixed("SpinVel", "spindle_speed", sensors.SpindleSpeed, u("rpm"), -1000, 1000),
		byMode("SpinTrq", "spindle_torque", sensors.SpindleTorque, "ft·lbf", "N·m", -1500, 1500),
		fixed("SpinPwr", "spindle_power", sensors.SpindlePower, u("W"), -40000, 40000),
		fixed("SpinSP", "set_point", sensors.SetPoint, degC, 0, 1000),
		byMode("FeedVel", "feed_velocity", sensors.FeedVelocity, "in/min", "mm/min", -5000, 5000),
		byMode("FeedPos", "feed_position", sensors.FeedPosition, "in", "mm", 0, 0),
		ownNumber("FeedTrq", "feed_torque", sensors.FeedTorque),
		fixed("FRO", "feed_override", sensors.FeedOverride, pct, 0, 300),
		byMode("PathVel", "path_velocity", sensors.PathVelocity, "in/min", "mm/min", -20000, 20000),
		byMode("XPos", "x_position", sensors.XPosition, "in", "mm", 0, 0),
		byMode("XVel", "x_velocity", sensors.XVelocity, "in/min", "mm/min", -20000, 20000),
		ownNumber("XTrq", "x_torque", sensors.XTorque),
		byMode("YPos", "y_position", sensors.YPosition, "in", "mm", 0, 0),
		byMode("YVel", "y_velocity", sensors.YVelocity, "in/min", "mm/min", -20000, 20000),
		ownNumber("YTrq", "y_torque", sensors.YTorque),
		byMode("ZPos", "z_position", sensors.ZPosition, "in", "mm", 0, 0),
		byMode("ZVel", "z_velocity", sensors.ZVelocity, "in/min", "mm/min", -20000, 20000),
		ownNumber("ZTrq", "z_torque", sensors.ZTorque),
		fixed("Gcode", "program_line", sensors.ProgramLine, one, 0, 0),
		slow(fixed("Low", "bearing_low", sensors.BearingTemperature, degC, -20, 120)),
		slow(fixed("High", "bearing_high", sensors.Other, degC, -20, 120)),
		mayBeUnwired(thermocouple("Ktype1", "ktype_1", sensors.Other), 0),
		mayBeUnwired(thermocouple("Ktype2", "ktype_2", sensors.Other), 0),
		mayBeUnwired(thermocouple("Ktype3", "ktype_3", sensors.Other), 0),
		mayBeUnwired(thermocouple("Ktype4", "ktype_4", sensors.Other), 0),
		slow(mayBeUnwired(fixed("O2", "oxygen", sensors.OxygenLevel, pct, 0, 100), -0.2098)),
	}
}()

// MELDChannels is the channel set of a MELD log, in metric units, with the ranges, ages and
// roles of such a machine. The unit of the feed and axis torques is not known (the log's own
// number is kept, "1"); the set-point is the quantity of the spindle's PID, °C in
// tool-temperature mode. The slice is the caller's own.
func MELDChannels() []sensors.Channel {
	c := make([]sensors.Channel, len(meldColumns))
	for i := range meldColumns {
		c[i] = meldColumns[i].channel
	}
	return c
}

func meldByKey(key string) *meldColumn {
	for i := range meldColumns {
		if meldColumns[i].key == key {
			return &meldColumns[i]
		}
	}
	return nil
}

// isMELD recognises the header: date, time and at least four columns of the table.
func isMELD(header []string) bool {
	known, stamp := 0, 0
	for _, key := range header {
		switch {
		case key == meldDate || key == meldTime:
			stamp++
		case meldByKey(key) != nil:
			known++
		}
	}
	return stamp == 2 && known >= 4
}
