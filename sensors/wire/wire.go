// Package wire turns what devices send into samples: text lines (CSV, key=value), JSON, bare
// numbers and the binary DAQ frame. Decoders are pure: bytes in, samples out, no clock, no I/O.
package wire

import (
	"stirwatch/sensors"
	"stirwatch/sensors/unit"
)

// Field maps one value of a message to a channel. The zero Map is taken as [unit.Identity].
type Field struct {
	Channel   sensors.ChannelID
	Key       string    // column name or 1-based number, key, or JSON path, as the format says
	Map       unit.Map  // from the message's unit to the channel's
	Unit      unit.Unit // the channel's: a unit behind a number in text is converted to it; zero: such a number is refused
	Sentinels []float64 // values by which the device says "no signal"; compared before conversion
}

// TimeUnit says how a device writes its time stamp.
type TimeUnit string

// Nanoseconds to Seconds count since the Unix epoch; RFC3339 is text such as
// "2025-07-08T10:43:15.30Z". The Uptime units count since the device's own start and are tied
// to the arrival time of the first message, then follow the device's clock; where it falls more
// than 0.25 s behind arrival time it is sped up by less than 1 %, where it runs ahead of it, slowed
// down, so that stamps stay in order; a device time that goes backwards (a reboot) ties it again.
const (
	NoTime        TimeUnit = ""
	Nanoseconds   TimeUnit = "ns"
	Microseconds  TimeUnit = "us"
	Milliseconds  TimeUnit = "ms"
	Seconds       TimeUnit = "s"
	RFC3339       TimeUnit = "rfc3339"
	UptimeMicros  TimeUnit = "uptime us"
	UptimeMillis  TimeUnit = "uptime ms"
	UptimeSeconds TimeUnit = "uptime s"
)

// Options describes the messages of one device.
type Options struct {
	Fields      []Field
	TimeKey     string // where the time stamp stands, as Field.Key; "" means there is none
	TimeUnit    TimeUnit
	DeviceClock bool // the device's stamp rules (Sample.Time); otherwise the arrival time does
	Decimal     byte // '.' or ',': decimal sign of numbers in text; 0: the numbers tell, and what may be two is refused
}

// Decoder reads one message (a line without its end, a JSON document, a frame without its
// delimiter). It appends the message's samples to dst and returns it; arrival is ns since the
// Unix epoch. On error dst comes back unchanged and nothing of the message counts. A decoder
// keeps nothing of msg, does not allocate on the good path, and serves one goroutine.
type Decoder interface {
	Decode(dst []sensors.Sample, arrival int64, msg []byte) ([]sensors.Sample, error)
}

// Doubter is a decoder that takes what is good of a message and says what is not.
type Doubter interface {
	// Doubt is what was wrong with the last decoded message although it counts: a value that is no
	// number (its sample is a failure), or a time stamp that cannot be used where the arrival rules.
	Doubt() error
}

// Stamped is a decoder whose messages carry the device's own time.
type Stamped interface {
	// DeviceTime is the stamp of the last decoded message, ns since the Unix epoch (uptimes
	// already tied to it), or 0 if it had none.
	DeviceTime() int64
}

// Sequenced is a decoder whose messages are numbered.
type Sequenced interface {
	// LastGap is how many messages are missing before the last decoded one, 0 for the first one,
	// and -1 where that cannot be told because the device restarted. A message refused as
	// damaged has no number: 0.
	LastGap() int
}
