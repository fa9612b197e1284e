package dynamics

// experiments ranks the runs that would tell most of what the data cannot tell.
func (l *learner) experiments(f *fitter, q *normal, spread float64, names []string) []Experiment {
	return nil
}
