package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"stirwatch/agent/alarm"
	"stirwatch/agent/api"
	"stirwatch/agent/journal"
	bridge "stirwatch/firmware-bridge"
)

// Client asks a running agent for what [Agent.Handle] answers. Every call fails with [api.ErrNoAgent] where none
// runs, and else with what the agent said.
type Client struct{ *api.Client }

func ask[T any](ctx context.Context, c Client, method, path string, in any) (out T, err error) {
	err = c.Do(ctx, method, path, in, &out)
	return out, err
}

// Loops tells what every loop does.
func (c Client) Loops(ctx context.Context) ([]LoopStatus, error) {
	return ask[[]LoopStatus](ctx, c, http.MethodGet, "/control", nil)
}

// SetMode changes how far a loop goes, and tells what every loop then does.
func (c Client) SetMode(ctx context.Context, loop string, r ModeRequest) ([]LoopStatus, error) {
	return ask[[]LoopStatus](ctx, c, http.MethodPost, "/control/"+url.PathEscape(loop)+"/mode", r)
}

// Accept lets a loop in the mode confirm command what it wants; the answer's Text is that value, with its unit.
func (c Client) Accept(ctx context.Context, loop string, r AcceptRequest) (Answer, error) {
	return ask[Answer](ctx, c, http.MethodPost, "/control/"+url.PathEscape(loop)+"/accept", r)
}

// WhatIf asks the model.
func (c Client) WhatIf(ctx context.Context, q WhatIf) ([]Outlook, error) {
	return ask[[]Outlook](ctx, c, http.MethodPost, "/whatif", q)
}

// ListAlarms lists the alarms that are not normal, or all.
func (c Client) ListAlarms(ctx context.Context, all bool) (alarm.Listing, error) {
	path := "/alarms"
	if all {
		path += "?all=1"
	}
	return ask[alarm.Listing](ctx, c, http.MethodGet, path, nil)
}

// OperateAlarms does what a person asks of alarms: alarm.Ack, Reset, Shelve or Unshelve.
func (c Client) OperateAlarms(ctx context.Context, do alarm.Event, r alarm.Request) (alarm.Answer, error) {
	return ask[alarm.Answer](ctx, c, http.MethodPost, "/alarms/"+string(do), r)
}

// Sources tells how every source does.
func (c Client) Sources(ctx context.Context) ([]SourceState, error) {
	return ask[[]SourceState](ctx, c, http.MethodGet, "/sources", nil)
}

// View tells what a live view shows.
func (c Client) View(ctx context.Context) (View, error) {
	return ask[View](ctx, c, http.MethodGet, "/view", nil)
}

// ConfirmClock says that the clock is right: see [journal.Journal.ConfirmClock].
func (c Client) ConfirmClock(ctx context.Context, r ConfirmRequest) (journal.Unconfirmed, error) {
	return ask[journal.Unconfirmed](ctx, c, http.MethodPost, "/journal/confirm-clock", r)
}

// Survey asks the controller who it is, and for every target and reading.
func (c Client) Survey(ctx context.Context) ([]Answer, error) {
	return ask[[]Answer](ctx, c, http.MethodGet, "/bridge", nil)
}

// Read reads one target or reading from the controller, as text with its unit.
func (c Client) Read(ctx context.Context, name string) (string, error) {
	a, err := ask[Answer](ctx, c, http.MethodGet, "/bridge/"+url.PathEscape(name), nil)
	return a.Text, err
}

// Command lets the agent carry out a command for its time, and returns when its target is in the safe state again.
// tell gets each decision of the bridge. Where ctx ends before, the agent reverts the target.
func (c Client) Command(ctx context.Context, cmd bridge.Command, tell func(RecordText)) error {
	body, err := c.Stream(ctx, http.MethodPost, "/bridge/"+url.PathEscape(cmd.Target), SetRequest{Value: cmd.Value.String(), For: cmd.For, Who: cmd.Who, Why: cmd.Why})
	if err != nil {
		return err
	}
	defer body.Close()
	for d := json.NewDecoder(body); ; {
		var t Told
		switch err := d.Decode(&t); {
		case ctx.Err() != nil:
			return fmt.Errorf("the agent reverts %s: %w", cmd.Target, ctx.Err())
		case err != nil:
			return fmt.Errorf("the agent went away: %w; whatever uses this bridge next reverts what is under lease", err)
		case t.Record != nil:
			tell(*t.Record)
		case t.Done && t.Error != "":
			return errors.New(t.Error)
		case t.Done:
			return nil
		}
	}
}
