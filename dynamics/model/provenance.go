package model

import (
	"fmt"
	"time"
)

// Provenance says what a model was learned from.
type Provenance struct {
	Learned string      `json:"learned"` // RFC 3339, from Options.Date
	Runs    []RunSource `json:"runs"`

	// PriorConflict is how many times worse rows held out are forecast with what the hypotheses know beforehand of
	// other machines, which was left out where it is; 0: it was not.
	PriorConflict float64 `json:"prior_conflict,omitempty"`
}

// LeftOut says for people that what is known of other machines was left out, "" where it was not.
func (p *Provenance) LeftOut() string {
	if p.PriorConflict == 0 {
		return ""
	}
	return fmt.Sprintf("What is known of other machines was left out: with it, errors on rows held out are %.1f times as large.", p.PriorConflict)
}

// RunSource is one run that was learned from.
type RunSource struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Rows   int    `json:"rows"`

	// Began is when the recording began (RFC 3339), Lasted its length in s; empty and 0 where unknown.
	Began  string  `json:"began,omitempty"`
	Lasted float64 `json:"lasted_s,omitempty"`

	// Misfit is the root mean square error of the run's forecasts with known inputs by the equation that was learned from it
	// too, in units of what a good model has at each horizon.
	Misfit float64 `json:"misfit,omitempty"`
	// Start says by how much each hidden node began away from its start, by symbol, in its unit.
	Start map[string]float64 `json:"start,omitempty"`
	// Held is what each state that has no rate was in this run, by symbol, in its unit.
	Held map[string]float64 `json:"held,omitempty"`
}

// Sameness is why two sources are taken to be one recording.
type Sameness int

// Whether two sources are the same recording, from the weakest reason to the strongest.
const (
	Different   Sameness = iota
	SameTime             // they overlap in time: one build may have come once from the machine's log and once out of the journal
	SameName             // a run may have been read up to another row, or its oldest part forgotten
	SameContent          // by checksum
)

// Same gives the strongest sign that s and o are the same recording, [Different] if there is none.
func (s RunSource) Same(o RunSource) Sameness {
	switch {
	case s.SHA256 != "" && s.SHA256 == o.SHA256:
		return SameContent
	case s.Name != "" && s.Name == o.Name:
		return SameName
	case s.overlaps(o):
		return SameTime
	}
	return Different
}

func (s RunSource) overlaps(o RunSource) bool {
	from, known := s.began()
	other, both := o.began()
	return known && both && from.Before(other.Add(seconds(o.Lasted))) && other.Before(from.Add(seconds(s.Lasted)))
}

func (s RunSource) began() (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s.Began)
	return t, err == nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// LearnedFrom tells why a score of m on the recording o proves nothing: it was learned from it, or may
// have been. It is "" where nothing says so. This is the one rule by which a run counts as held out.
func (m *Model) LearnedFrom(o RunSource) string {
	why, strongest := "", Different
	for _, s := range m.Provenance.Runs {
		same := s.Same(o)
		if same <= strongest {
			continue
		}
		strongest = same
		switch same {
		case SameContent:
			why = "was learned from it"
		case SameName:
			why = "was learned from a run of this name"
		case SameTime:
			why = fmt.Sprintf("was learned from %s, which is of the same time", s.Name)
		}
	}
	return why
}
