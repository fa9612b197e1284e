package assemble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"stirwatch/agent"
	"stirwatch/config"
	bridge "stirwatch/firmware-bridge"
)

// tellLeft prints which targets a program that died has left under lease.
func tellLeft(w io.Writer) func(targets []string) {
	return func(targets []string) {
		fmt.Fprintf(w, "%s: left under lease by a program that died; it is reverted first\n", strings.Join(targets, ", "))
	}
}

// revertLeft shows and reverts, on record, what a program that died has left under lease. Leases that another
// program has in force are left alone. It gives up where the controller cannot be reached.
func revertLeft(ctx context.Context, conf *config.Config, o bridge.Options, notes io.Writer) error {
	left, err := o.Left()
	if errors.Is(err, bridge.ErrInUse) {
		return nil // those leases are in force
	}
	if err != nil || len(left) == 0 {
		return err
	}
	tellLeft(notes)(left)
	tell := tellAndRecord{w: notes}
	if reg, err := Registry(conf); err == nil {
		j, err := Journal(conf, reg, nil, Logger(conf.Log, notes), false)
		if err == nil {
			defer j.Close()
			tell.to = agent.CommandRecord{Journal: j}
		} else { // safety comes before the record
			fmt.Fprintf(notes, "this does not go on record: %v\n", err)
		}
	}
	o.Recorder = tell
	longest := o.RevertTime()
	if s := conf.Bridge.Serial; s != nil {
		longest += s.Settle
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	_, err = bridge.Recover(ctx, o)
	return err
}

// Asked answers what people ask of the controller.
type Asked interface {
	Survey(context.Context) ([]agent.Answer, error)
	Read(ctx context.Context, name string) (string, error)
	Close() error
}

// Ask is how people ask the controller: by the agent that runs, which has the port, else over a connection of their own,
// before which what a program that died has left under lease is reverted. What that does is told to notes.
func Ask(ctx context.Context, conf *config.Config, o bridge.Options, notes io.Writer) (Asked, error) {
	if a := Client(conf); a.Runs(ctx) {
		return byAgent{a}, nil
	}
	if err := revertLeft(ctx, conf, o, notes); err != nil {
		return nil, err
	}
	if s := conf.Bridge.Serial; s != nil && s.Settle > 0 {
		fmt.Fprintf(notes, "opening the port restarts the controller (settle %v): what it held before is gone\n", s.Settle)
	}
	b, err := bridge.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	return byBridge{b}, nil
}

type byAgent struct{ agent.Client }

func (byAgent) Close() error { return nil }

type byBridge struct{ *bridge.Bridge }

func (b byBridge) Survey(ctx context.Context) (all []agent.Answer, err error) {
	for _, a := range b.Bridge.Survey(ctx) {
		all = append(all, agent.AnswerOf(a))
	}
	return all, nil
}

func (b byBridge) Read(ctx context.Context, name string) (string, error) {
	q, err := b.Ask(ctx, name)
	return q.String(), err
}

// Hold carries out a command for its time, where no agent runs, and returns when the target is in its safe state. It goes
// to the journal, without which nothing is commanded, and is told to w. What a program that died has left under lease
// is reverted first. While the safe state cannot be reached it is tried again, until abandon is closed.
func Hold(ctx context.Context, conf *config.Config, o bridge.Options, c bridge.Command, abandon <-chan struct{}, w io.Writer) (err error) {
	reg, err := Registry(conf)
	if err != nil {
		return err
	}
	j, err := Journal(conf, reg, nil, Logger(conf.Log, w), false)
	if err != nil {
		return fmt.Errorf("a command goes on record, and the record cannot be written: %w", err)
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	o.Recorder = tellAndRecord{w: w, to: agent.CommandRecord{Journal: j}}
	return bridge.Hold(ctx, o, c, bridge.Watch{Abandon: abandon, Left: tellLeft(w), Waiting: func(why error) {
		fmt.Fprintf(w, "%v; it is tried again until that is done, or a second Ctrl-C\n", why)
	}})
}

// tellAndRecord prints records for the person at the command line as well.
type tellAndRecord struct {
	w  io.Writer
	to bridge.Recorder // nil: none
}

func (t tellAndRecord) Record(r bridge.Record) {
	if t.to != nil {
		t.to.Record(r)
	}
	fmt.Fprintln(t.w, r)
}
