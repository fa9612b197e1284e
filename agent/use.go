package agent

import (
	"context"
	"fmt"
	"math"

	"stirwatch/agent/anomaly"
	"stirwatch/agent/journal"
	"stirwatch/agent/record"
	"stirwatch/control"
	"stirwatch/dynamics/model"
	"stirwatch/dynamics/phase"
)

// Use goes on with another model, from one tick to the next; why and who did it are kept as an event of the record. It
// knows nothing yet of the hidden states, so that its forecasts are wide until measurements have told. An agent that has
// watched without a model estimates and forecasts from then on. It fails, and nothing is changed, where the new one does
// not fit the channels, and with a [CommandsError] while a loop commands by the old one. All that takes time is made
// beside the tick.
func (a *Agent) Use(ctx context.Context, m *model.Model, name, who, why string) error {
	n, err := a.successor(m)
	if err != nil {
		return err
	}
	if err := a.onTick(ctx, func() error { return a.succeed(n) }); err != nil {
		return err
	}
	a.health.note(anomaly.ModelNoSkill, noSkill(m))
	text := fmt.Sprintf("%s (%s) is used from now on, by %s: %s", name, modelName(m), who, why)
	a.opt.Log.Info("the model is another one", "model", name, "learned", m.Provenance.Learned, "who", who, "why", why)
	journal.Write(a.opt.Journal, record.Event{Time: a.Now(), Source: record.ModelSource, Kind: record.Switched, Text: text})
	return nil
}

// CommandsError tells that a loop commands its target by the model in use.
type CommandsError struct{ Loop, Target string }

func (e *CommandsError) Error() string {
	return fmt.Sprintf("control %s commands %s by the model in use: switch it to advise or off first", e.Loop, e.Target)
}

// successor is everything that is built from a model before the tick takes it over.
type successor struct {
	estimator *estimator
	advisor   *advisor
	usual     []usualRange
	contact   phase.ContactRule
	laws      []control.Law // by loop
}

func (a *Agent) successor(m *model.Model) (n *successor, err error) {
	n = &successor{}
	if n.estimator, err = newEstimator(m, a.opt.Registry, a.opt.Horizon); err != nil {
		return nil, err
	}
	if n.usual, err = usualRanges(m, a.opt.Registry); err != nil {
		return nil, err
	}
	n.contact = contactRule(m)
	if a.opt.Process != nil {
		if n.advisor, err = newAdvisor(*a.opt.Process, a.opt.Registry, n.estimator); err != nil {
			return nil, err
		}
	}
	for _, l := range a.loops {
		law, err := l.NewLaw(m, n.estimator.filter, &n.estimator.estimate)
		if err != nil {
			return nil, fmt.Errorf("control %s: %w", l.Name, err)
		}
		n.laws = append(n.laws, law)
	}
	return n, nil
}

// succeed hands over to n. It is on the tick, and may allocate: people switch seldom.
func (a *Agent) succeed(n *successor) error {
	for _, l := range a.loops {
		if _, holds := l.holds(); holds {
			return &CommandsError{l.Name, l.Target}
		}
	}
	for i, l := range a.loops {
		l.log.Info("how it commands", "law", n.laws[i].String(), "every", l.Every)
		if l.law = n.laws[i]; l.began { // it begins again with the new law, once all has been in order for a while
			l.began, l.good = false, 0
		}
	}
	if n.advisor != nil {
		a.advisor = n.advisor
	}
	a.estimator = n.estimator
	a.estimator.commanded = math.NaN()
	a.phases.contact.Rule, a.phases.start = n.contact, n.estimator.model.StartTorque
	a.recordAt = max(a.recordAt, a.frame.Time+1) // there is nothing to record before it has taken a step
	a.watch.take(n.estimator.model)
	a.usual.take(n.usual, a.watch.set)
	a.alarms.grow()
	a.teller.grow()
	a.mu.Lock()
	a.snap.adopt(n.estimator)
	a.mu.Unlock()
	return nil
}
