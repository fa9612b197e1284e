package watch

import (
	"math"
	"slices"
)

// This file moves what levels are judged against.

// A level is part of what is flagged if it is off by so many variances while the flag is young, or by far more
// later on: then it may have drifted by itself.
const (
	apart    = 4
	farApart = 9
)

// follow lets the references follow the levels by as much as those walk in the good stretch. References that are
// held do not follow a level that is off; it is counted for how long, up to the length of the good stretch: by so
// much more may the level have walked. While something is flagged, a channel may be back where it was before, or where
// it has meanwhile drifted to by itself: the nearer one is its reference. Channels are followed, and directions go with them.
func (w *Watch) follow(dt float64, held bool) {
	f, t := w.fit, &w.alone
	rows, most := dt/f.step, float64(f.rows)
	for j := range t.ref {
		switch {
		case held && !w.held:
			w.before[j], w.drifted[j] = t.ref[j], t.ref[j]
		case !held:
			w.drifted[j] = t.ref[j]
		}
		d := t.slow[j] - w.drifted[j]
		off := w.off(j, d)
		w.part[j] = held && (w.part[j] || off > apart && w.young < f.opt.Memory)
		if held && (w.part[j] || off > farApart) {
			t.old[j] = min(t.old[j]+rows, most)
		} else {
			share := min(f.alone.gain[j]*rows, 1)
			w.drifted[j] += share * d
			t.old[j] = min(t.old[j]*(1-share), most)
		}
		t.ref[j] = w.drifted[j]
		if held && math.Abs(t.slow[j]-w.before[j]) < math.Abs(t.slow[j]-w.drifted[j]) {
			t.ref[j] = w.before[j]
		}
	}
	w.young++
	if w.held = held; !held {
		w.young = 0
	}
	if w.settled && !held {
		return
	}
	w.settled = !held && !f.walks
	for k, dir := range f.v {
		ref, old := 0.0, 0.0
		for j, c := range dir {
			ref += c * t.ref[j]
			old += c * c * t.old[j]
		}
		w.along.ref[k], w.along.old[k] = ref, old
	}
}

// carries is the share of the most that a channel carries of what is flagged from which it is one of its causes.
const carries = 0.25

// cause notes which channels carry a flag while that is young: they are its causes. When those are back for as long as a flag takes to
// end, and nothing is off but levels that walk in the good stretch, these have walked meanwhile: they go on from where they are.
func (w *Watch) cause(v *Verdict) {
	if !v.Flag {
		w.flagged, w.calm = 0, 0
		clear(w.carried)
		return
	}
	f := w.fit
	if w.flagged++; w.flagged <= f.opt.Memory {
		for j, c := range f.watched {
			if v.Value > 0 {
				w.carried[j] += v.Part[c] / v.Value
			}
		}
		return
	}
	least := carries * slices.Max(w.carried)
	back := v.Score > 1
	for _, s := range [...]Statistic{Change, Spread, Missing} {
		back = back && w.value[s] <= f.limit[s]
	}
	for j := range w.z {
		back = back && (w.carried[j] < least || w.off(j, w.alone.slow[j]-w.alone.ref[j]) <= apart)
	}
	if w.calm++; !back {
		w.calm = 0
	}
	if w.calm < f.opt.Off {
		return
	}
	w.calm = 0
	for j := range w.z {
		if w.carried[j] < least && f.alone.gain[j] > 0 {
			w.drifted[j], w.before[j], w.part[j] = w.alone.slow[j], w.alone.slow[j], false
		}
	}
}

// off is how many variances of its level watched channel j is from its reference, by a distance d.
func (w *Watch) off(j int, d float64) float64 {
	n := max(min(w.rows, w.fit.opt.Memory), 1)
	return d * d / (w.fit.alone.variance[n][j] + w.fit.alone.walk[j]*w.alone.old[j])
}
