package dynamics

import "stirwatch/sensors/unit"

// Plan is how the endogenous inputs move when only feed, path and stops are known.
type Plan struct{}

// HypothesisPlan asks for a [Plan].
type HypothesisPlan struct{}

func (h *HypothesisPlan) draft() *Plan { return &Plan{} }

func (p *Plan) symbols(mark func(string)) {}

func (p *Plan) check(m *Model, of func(string) (unit.Dimension, bool)) []error { return nil }
