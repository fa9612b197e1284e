// Package sensors holds the words between a machine and the agent: Channel, Sample, Status, Frame.
//
// A channel is declared once; samples arrive when they like; a frame is all that is known at
// one tick. Drivers live below this package (serialport, mqtt, runlog) and hand their samples
// to a [Sink].
package sensors

import (
	"context"
	"fmt"
	"time"

	"stirwatch/sensors/unit"
)

// ChannelID is a dense index into a [Registry], fixed at start.
type ChannelID uint16

// Role says what a channel measures, so that rules and models find it without knowing its name.
type Role string

// Roles of an additive friction stir deposition cell. Other stands for everything that is
// only recorded.
const (
	Other              Role = "other"
	ToolTemperature    Role = "tool temperature"
	BuildTemperature   Role = "build temperature"
	SpindleSpeed       Role = "spindle speed"
	SpindleTorque      Role = "spindle torque"
	SpindlePower       Role = "spindle power"
	SetPoint           Role = "set-point"
	FeedVelocity       Role = "feed velocity"
	FeedPosition       Role = "feed position"
	FeedTorque         Role = "feed torque"
	FeedForce          Role = "feed force"
	FeedOverride       Role = "feed override"
	PathVelocity       Role = "path velocity"
	XPosition          Role = "x position"
	YPosition          Role = "y position"
	ZPosition          Role = "z position"
	XVelocity          Role = "x velocity"
	YVelocity          Role = "y velocity"
	ZVelocity          Role = "z velocity"
	XTorque            Role = "x torque"
	YTorque            Role = "y torque"
	ZTorque            Role = "z torque"
	ProgramLine        Role = "program line"
	BearingTemperature Role = "bearing temperature"
	CoolantTemperature Role = "coolant temperature"
	CoolantFlow        Role = "coolant flow"
	AmbientTemperature Role = "ambient temperature"
	OxygenLevel        Role = "oxygen"
)

// roleDimension gives each role the dimension its unit must have. Other may have any;
// set-point too, since the spindle's PID may hold torque, force or temperature.
var roleDimension = map[Role]unit.Dimension{
	ToolTemperature: unit.Temperature, BuildTemperature: unit.Temperature,
	SpindleSpeed: unit.AngularRate, SpindleTorque: unit.Torque, SpindlePower: unit.Power,
	FeedVelocity: unit.Speed, FeedPosition: unit.Length, FeedForce: unit.Force, FeedOverride: unit.None,
	PathVelocity: unit.Speed,
	XPosition:    unit.Length, YPosition: unit.Length, ZPosition: unit.Length,
	XVelocity: unit.Speed, YVelocity: unit.Speed, ZVelocity: unit.Speed,
	ProgramLine:        unit.None,
	BearingTemperature: unit.Temperature, CoolantTemperature: unit.Temperature,
	CoolantFlow: unit.Flow, AmbientTemperature: unit.Temperature, OxygenLevel: unit.None,
}

// Roles lists every role, Other last, in the order of a cell from tool to surroundings.
func Roles() []Role {
	return []Role{
		ToolTemperature, BuildTemperature, SpindleSpeed, SpindleTorque, SpindlePower, SetPoint,
		FeedVelocity, FeedPosition, FeedTorque, FeedForce, FeedOverride, PathVelocity,
		XPosition, YPosition, ZPosition, XVelocity, YVelocity, ZVelocity, XTorque, YTorque, ZTorque,
		ProgramLine, BearingTemperature, CoolantTemperature, CoolantFlow, AmbientTemperature, OxygenLevel, Other,
	}
}

// Channel describes one measured quantity. Everything is in the channel's own unit.
type Channel struct {
	Name     string    // as in agent.yaml and in InfluxDB's channel tag
	Role     Role      // what it is
	Unit     unit.Unit // unit of every value of the channel
	Min, Max float64   // values outside are out of specification; both 0: no limits
	MaxRate  float64   // largest believable change per second; 0: not checked
	Changes  bool      // only what has moved by more than DeadBand is recorded, and at times what has not
	DeadBand float64
	MaxAge   time.Duration // a value older than this is stale; 0: never
}

// Registry is the list of declared channels; it does not change once made.
type Registry struct {
	channels []Channel
	byName   map[string]ChannelID
	byRole   map[Role]ChannelID
}

// NewRegistry checks the channels and fixes their order. It fails on an empty or repeated
// name, a role taken twice (Other excepted), a unit that cannot measure the role, or Min > Max.
func NewRegistry(channels []Channel) (*Registry, error) {
	r := &Registry{
		channels: append([]Channel(nil), channels...),
		byName:   make(map[string]ChannelID, len(channels)),
		byRole:   make(map[Role]ChannelID, len(channels)),
	}
	if len(channels) > 1<<16-1 {
		return nil, fmt.Errorf("%d channels: at most %d", len(channels), 1<<16-1)
	}
	for i := range r.channels {
		c, id := &r.channels[i], ChannelID(i)
		if c.Role == "" {
			c.Role = Other
		}
		if c.Name == "" {
			return nil, fmt.Errorf("channel %d has no name", i)
		}
		if _, twice := r.byName[c.Name]; twice {
			return nil, fmt.Errorf("channel %q is declared twice", c.Name)
		}
		if d, ok := roleDimension[c.Role]; ok && d != c.Unit.Dim {
			return nil, fmt.Errorf("channel %q: %s cannot be in %q; use one of %v", c.Name, c.Role, c.Unit, unit.Of(d))
		}
		if c.Min > c.Max {
			return nil, fmt.Errorf("channel %q: range %g to %g is empty", c.Name, c.Min, c.Max)
		}
		if prev, taken := r.byRole[c.Role]; taken && c.Role != Other {
			return nil, fmt.Errorf("channels %q and %q are both %s", r.channels[prev].Name, c.Name, c.Role)
		}
		r.byName[c.Name] = id
		r.byRole[c.Role] = id
	}
	return r, nil
}

// Len is the number of channels.
func (r *Registry) Len() int { return len(r.channels) }

// Channel gives the description of id; it panics on an id of another registry.
func (r *Registry) Channel(id ChannelID) *Channel { return &r.channels[id] }

// Lookup finds a channel by name.
func (r *Registry) Lookup(name string) (ChannelID, bool) {
	id, ok := r.byName[name]
	return id, ok
}

// Find finds the channel of a role; Other is never found.
func (r *Registry) Find(role Role) (ChannelID, bool) {
	if role == Other {
		return 0, false
	}
	id, ok := r.byRole[role]
	return id, ok
}

// Sample is one reading of one channel, in the channel's unit.
type Sample struct {
	Time    int64 // the time stamp that rules (device or arrival, as the source says), ns since the Unix epoch
	Arrival int64 // when its bytes came in, ns since the Unix epoch
	Value   float64
	Sent    string // the text where a number should be, if the source had any
	Channel ChannelID
	Status  Status
}

// Acker is told once that what it stands for is safe on disk.
type Acker interface{ Ack() }

// Sink takes what sources read.
type Sink interface {
	// Emit takes samples in order of arrival and keeps nothing of the slice. If ack is not nil,
	// it is called once, from another goroutine, after every one of them is durable. Emit may
	// block while the record cannot keep up; it never drops a sample that carries an ack.
	Emit(samples []Sample, ack Acker)
	// Event records what happened to a source.
	Event(e Event)
}

// Keeper is a Sink that remembers how far a source has read, for sources whose input can be read again.
type Keeper interface {
	Sink
	// EmitUpTo is Emit of samples and of the place in its input that the source has reached with them: both are on
	// disk, or neither. The place is kept.
	EmitUpTo(samples []Sample, source string, place []byte)
	// Known takes the newest samples up to the place, of before a restart. They are on record: they are shown with their
	// age until newer ones come, and not kept again.
	Known(samples []Sample)
	// Place is the newest place of a source, also of before a restart; nil if there is none.
	Place(source string) []byte
}

// Source reads one device until ctx ends or it fails. It returns nil only if ctx has ended or
// a finite input is exhausted; any other return is retried by its supervisor.
type Source interface {
	Name() string
	Run(ctx context.Context, to Sink) error
	Health() *Health
}

// Clock gives the time of arrival, ns since the Unix epoch. It runs on monotonic time; only a
// recorded clock step makes it jump.
type Clock func() int64
