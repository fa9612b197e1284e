package agent

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"stirwatch/agent/record"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
)

// Another model takes over between two ticks: no tick is lost, the alarms stay as they are, and the new one forecasts.
func TestAnotherModelTakesOver(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Model: learned(t), Process: process()})
	now, ticks := 1000*second, uint64(0)
	turn := func() {
		now += 1e8
		put(a, now, 470, 7, 400, 8, 300, 475)
		a.tick(now)
		ticks++
	}
	for range 600 {
		turn()
	}
	alarms := len(a.Alarms().Names())
	other := *learned(t)
	other.Provenance.Learned = "2026-02-03T04:05:06Z"
	if err := during(turn, func() error { return a.Use(t.Context(), &other, "other.json", "eva", "it is better") }); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		turn()
		v := a.View()
		if v.Tick != ticks {
			t.Fatalf("tick %d of %d", v.Tick, ticks)
		}
	}
	v := a.View()
	if n := len(v.Expected.Mean); n == 0 || math.IsNaN(float64(v.Expected.Mean[n-1])) || v.Lead != 0 || v.Expected.Unit != "°C" {
		t.Errorf("the new one forecasts %+v, channel %d leads", v.Expected, v.Lead)
	}
	if !strings.Contains(v.Advised.Model, "2026-02-03") {
		t.Errorf("advice rests on %q", v.Advised.Model)
	}
	if n := len(a.Alarms().Names()); n != alarms {
		t.Errorf("there are %d alarms, and were %d", n, alarms)
	}
	if told := lines(t, a, record.Events); !strings.Contains(strings.Join(told, "\n"), "other.json") || !strings.Contains(strings.Join(told, "\n"), "eva: it is better") {
		t.Errorf("the record says %s", told)
	}
}

// An agent that has watched without a model goes on with its first.
func TestTheFirstModelTakesOver(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Process: process()})
	now := 1000 * second
	turn := func() {
		now += 1e8
		put(a, now, 470, 7, 400, 8, 300, 475)
		a.tick(now)
	}
	for range 100 {
		turn()
	}
	if v := a.View(); len(v.Expected.Mean) != 0 || v.Lead != 0 {
		t.Fatalf("without a model it forecasts %+v, channel %d leads", v.Expected, v.Lead)
	}
	if err := during(turn, func() error { _, err := a.Ask(t.Context(), WhatIf{}); return err }); err == nil || !strings.Contains(err.Error(), "no model") {
		t.Errorf("a question to no model: %v", err)
	}
	m := *learned(t)
	m.Spindle = &phase.ContactRule{FreeTorque: 3, Inertia: 0.7, From: 1, Full: 2}
	if err := during(turn, func() error { return a.Use(t.Context(), &m, "first.json", "eva", "there was none") }); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		turn()
	}
	v := a.View()
	if n := len(v.Expected.Mean); n == 0 || math.IsNaN(float64(v.Expected.Mean[n-1])) || v.Lead != 0 || v.Advised.Model == "" {
		t.Errorf("it forecasts %+v and advises by %q; channel %d leads", v.Expected, v.Advised.Model, v.Lead)
	}
	if got := a.phases.contact.Now(); got != *m.Spindle {
		t.Errorf("contact is told by %+v", got)
	}
	if err := during(turn, func() error { _, err := a.Ask(t.Context(), WhatIf{}); return err }); err != nil {
		t.Errorf("a question to the first model: %v", err)
	}
}

// A model with other outputs: what the old one had to say of its own is over, and the new one is judged.
func TestAModelOfAnotherOutputTakesOver(t *testing.T) {
	a := agentOf(t, Options{Registry: cell(t), Model: learned(t)})
	now, value := 1000*second, 470.0
	turn := func() {
		now += 1e8
		put(a, now, value, 7, 400, 8, 300, 475)
		a.tick(now)
	}
	for range 100 {
		turn()
	}
	bad := *learned(t)
	bad.Inputs = append(slices.Clone(bad.Inputs), model.Input{Name: "weather", Symbol: "weather", Unit: "°C"})
	if err := a.Use(t.Context(), &bad, "bad.json", "eva", "x"); err == nil || !strings.Contains(err.Error(), "weather") {
		t.Errorf("a model that needs what nobody measures: %v", err)
	}
	members := a.watch.set.Len()
	w := *a.watch // of the present model, for a place that the new one does not have
	extra := a.watch.set.Place("innovation", 1)
	a.watch.output = append(a.watch.output, extra)
	a.watch.unseen = append(a.watch.unseen, 0)
	a.watch.take(learned(t))
	if len(a.watch.retired) != 1 || a.watch.retired[0] != extra || len(a.watch.output) != len(w.output) || a.watch.set.Len() != members+1 {
		t.Errorf("retired %v, judged %v of %d", a.watch.retired, a.watch.output, a.watch.set.Len())
	}
	a.alarms.grow()
	a.teller.grow()
	a.watch.set.Tick()
	for range 100 {
		a.watch.set.Step(extra, 1, 100)
	}
	if !a.watch.set.Active(extra) {
		t.Fatal("it is not raised")
	}
	for range 1000 {
		turn()
	}
	if a.watch.set.Active(extra) {
		t.Error("what only the old model said stands for ever")
	}
	if _, err := a.Ask(cancelled(t), WhatIf{}); err == nil {
		t.Error("a question was answered without a tick")
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	return ctx
}

// While a loop commands by it, the model stays.
func TestALoopThatCommandsKeepsItsModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLooped(t, nil)
		defer d.end()
		d.ticks(10)
		var holds *CommandsError
		if err := d.a.succeed(&successor{}); !errors.As(err, &holds) || holds.Target != "set-point" {
			t.Errorf("it gives %v", err)
		}
	})
}
