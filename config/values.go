package config

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"stirwatch/sensors/unit"
)

// Temperature is a quantity in °C, K or °F.
type Temperature struct{ unit.Quantity }

// AngularRate is a quantity in rpm or rad/s.
type AngularRate struct{ unit.Quantity }

// Frequency is a quantity in Hz or kHz.
type Frequency struct{ unit.Quantity }

// Period is the time of one cycle.
func (f Frequency) Period() time.Duration {
	return time.Duration(math.Round(float64(time.Second) / f.SI()))
}

// Rate is a change per time, written in a unit of the table (150 K/s) or in any unit per time
// (500 W/s, 2 kN/min).
type Rate struct {
	Value float64
	Unit  string
}

// String prints the rate as it may be written.
func (r Rate) String() string { return number(r.Value) + " " + r.Unit }

// PerSecond is the change per second of a value in u; it panics where the rate is of another
// kind, which [Parse] does not let through.
func (r Rate) PerSecond(u unit.Unit) float64 {
	v, ok := r.in(u)
	if !ok {
		panic(fmt.Sprintf("config: %s is no rate of %s", r, u))
	}
	return v
}

func (r Rate) in(u unit.Unit) (perSecond float64, ok bool) {
	if own, err := unit.Parse(r.Unit); err == nil && own.Dim == u.Dim.Over(unit.Time) && !strings.HasPrefix(r.Unit, "/") {
		return r.Value * own.Scale / u.Scale, true
	}
	i := strings.LastIndexByte(r.Unit, '/')
	if i < 0 {
		return 0, false
	}
	of, err1 := unit.Parse(r.Unit[:i])
	per, err2 := unit.Parse(r.Unit[i+1:])
	if err1 != nil || err2 != nil || of.Dim != u.Dim || bare(of, u) || per.Dim != unit.Time {
		return 0, false
	}
	return r.Value * of.Scale / u.Scale / per.Scale, true
}

// Difference is a step between two values of a channel, written in a unit of its kind: 0.5 K of a channel in °C.
type Difference struct {
	Value float64
	Unit  string
}

// String prints the difference as it may be written.
func (d Difference) String() string { return number(d.Value) + " " + d.Unit }

func (d Difference) in(u unit.Unit) (v float64, ok bool) {
	own, err := unit.Parse(d.Unit)
	if err != nil || own.Dim != u.Dim || bare(own, u) {
		return 0, false
	}
	return d.Value * own.Scale / u.Scale, true
}

// Size is a number of bytes.
type Size int64

// String prints the size in the largest unit that needs no fraction.
func (s Size) String() string { return inLargest(int64(s), sizes) }

// Path is a file name; a relative one starts at the configuration file's folder: [Config.Abs].
type Path string

// URL is an address with its scheme, without user or password.
type URL string

// Key names a value inside a message: a column name, a column number counted from 1, a key or a
// JSON path.
type Key string

// Role says what a channel measures, in the words of the sensors.
type Role string

// roles lists what a channel can be and the kind of quantity that it then must be; nil = any.
var roles = []struct {
	Role
	dim *unit.Dimension
}{
	{"tool temperature", &unit.Temperature},
	{"build temperature", &unit.Temperature},
	{"spindle speed", &unit.AngularRate},
	{"spindle torque", &unit.Torque},
	{"spindle power", &unit.Power},
	{"set-point", nil}, // the spindle's own controller may hold a temperature, a torque or a force
	{"feed velocity", &unit.Speed},
	{"feed position", &unit.Length},
	{"feed torque", nil}, // controllers show it in units of their own
	{"feed force", &unit.Force},
	{"feed override", &unit.None},
	{"path velocity", &unit.Speed},
	{"x position", &unit.Length},
	{"y position", &unit.Length},
	{"z position", &unit.Length},
	{"x velocity", &unit.Speed},
	{"y velocity", &unit.Speed},
	{"z velocity", &unit.Speed},
	{"x torque", nil},
	{"y torque", nil},
	{"z torque", nil},
	{"program line", &unit.None},
	{"bearing temperature", &unit.Temperature},
	{"coolant temperature", &unit.Temperature},
	{"coolant flow", &unit.Flow},
	{"ambient temperature", &unit.Temperature},
	{"oxygen", &unit.None},
	{"other", nil},
}

// Roles lists what a channel can be, "other" last.
func Roles() []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r.Role)
	}
	return names
}

// dimension is the kind of quantity that the role must be; nil = any.
func (r Role) dimension() *unit.Dimension {
	for _, known := range roles {
		if known.Role == r {
			return known.dim
		}
	}
	return nil
}

// Secret says where a password or token is kept: in an environment variable or in a file. It
// never holds the secret itself, so that printing a configuration shows none.
type Secret struct {
	Env  string
	File Path

	dir    string
	getenv func(string) string // nil = os.Getenv
}

// IsSet reports whether the configuration names a secret.
func (s Secret) IsSet() bool { return s.Env != "" || s.File != "" }

// String hides the secret.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return "(hidden)"
}

// maxSecret bounds a secret's file, in bytes.
const maxSecret = 64 << 10

// Resolve fetches the secret, without the line end of its file; "" if none is set. It fails
// where the variable or the file is missing or empty.
func (s Secret) Resolve() (string, error) {
	switch {
	case s.Env != "":
		getenv := s.getenv
		if getenv == nil {
			getenv = os.Getenv
		}
		if v := getenv(s.Env); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("secret: the environment variable %s is not set or empty", s.Env)
	case s.File != "":
		path := (&Config{dir: s.dir}).Abs(s.File)
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("secret: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil {
			return "", fmt.Errorf("secret: %w", err)
		}
		if len(b) > maxSecret {
			return "", fmt.Errorf("secret: %s is larger than %d bytes", path, maxSecret)
		}
		v := strings.TrimRight(string(b), "\r\n")
		if v == "" {
			return "", fmt.Errorf("secret: %s is empty", path)
		}
		return v, nil
	}
	return "", nil
}
