package learn

import (
	"context"

	"stirwatch/dynamics/model"
	"stirwatch/dynamics/runs"
)

// Segments learns as [Learn] does, from runs that may hold more columns than the hypotheses of o, whose inputs it takes: of
// each run the segment that is chosen, or else the active part.
func Segments(ctx context.Context, given []*runs.Run, chosen runs.Segments, o Options) (*model.Model, error) {
	o.Inputs = nil
	for _, in := range o.Hypotheses.Channels().Inputs {
		o.Inputs = append(o.Inputs, in.Name)
	}
	var cut []runs.Run
	for _, r := range given {
		c, err := chosen.Cut(r, o.Inputs)
		if err != nil {
			return nil, err
		}
		cut = append(cut, *c)
	}
	return Learn(ctx, cut, o)
}
