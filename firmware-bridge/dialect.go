package bridge

import (
	"context"
	"errors"
	"fmt"
)

// Dialect speaks one controller's language. It connects when it is first used and again after its
// connection broke. Calls come one at a time; every call returns soon after its context ends, and
// whatever it leaves behind on the wire (a late reply, half a line) is the next call's to clear up.
// Values are in the target's unit.
type Dialect interface {
	// Open connects, where it is not, and returns when the controller has started; [ErrStarting]
	// where ctx ends before that.
	Open(ctx context.Context) error
	// Set commands a value and returns nil when it was acknowledged, or written where the command
	// answers nothing. An error of the controller is a [*DeviceError].
	Set(ctx context.Context, target string, value float64) error
	// Safe commands the safe state's value, or the line that stands for it, at once: without
	// waiting for what an interrupted request may still bring. It returns [ErrUnsure] where the
	// reply may belong to that request, or there is none.
	Safe(ctx context.Context, target string, value float64) error
	// Get reads the value that the controller holds; [ErrNoReadBack] where it cannot be asked.
	Get(ctx context.Context, target string) (float64, error)
	// Probe asks for the controller's identity or status, as text for people.
	Probe(ctx context.Context) (string, error)
	// Show is what a request would put on the wire, for people.
	Show(op Op, target string, value float64) (string, error)
	// Resolution is the smallest step of a target's value that can be expressed; 0: any.
	Resolution(target string) float64
	// Unsettled tells that bytes written long ago may still reach the controller.
	Unsettled() bool
	// Close ends the connection. It does not wait for stuck writes.
	Close() error
}

// Teller is a [Dialect] that can tell several values with fewer requests than one each.
type Teller interface {
	// Tell reads the values that the controller holds into values, in the order of targets; what it cannot
	// read stays as it was.
	Tell(ctx context.Context, targets []string, values []float64) error
}

// Op is a kind of request.
type Op string

const (
	OpSet   Op = "set"
	OpSafe  Op = "safe"
	OpGet   Op = "get"
	OpProbe Op = "probe"
)

// DeviceError is a request that the controller understood, or not, and refused.
type DeviceError struct {
	Request, Reply string
}

func (e *DeviceError) Error() string {
	return fmt.Sprintf("the controller answered %q to %q", e.Reply, e.Request)
}

var (
	// ErrStarting tells that the connection is open and the controller is still starting.
	ErrStarting = errors.New("the controller is still starting")
	// ErrNoReadBack tells that a target's value cannot be asked for.
	ErrNoReadBack = errors.New("this value cannot be read back")
	// ErrUnsure tells that a command was written, but no reply tells that it arrived: there is none,
	// or it may be another one's.
	ErrUnsure = errors.New("no reply that is certainly to this request")
	// ErrNoTarget tells that the dialect has no words for a target.
	ErrNoTarget = errors.New("the dialect does not know this target")
)
