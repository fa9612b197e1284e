package anomaly

import "slices"

// Subject is what an anomaly is about. Sources and channels are counted from 0; None is none.
type Subject struct {
	Source  int
	Channel int
}

// None stands for no source or channel, and for a source that is not known yet.
const None = -1

// Anomaly is what an estimate cannot explain, or a sensor or source that cannot be right.
type Anomaly struct {
	Code     Code
	About    Subject
	Channels []int   // of the source that it is about, as they were when it was raised; not to be changed
	Since    float64 // s that the condition has lasted; once cleared, that it had lasted
	Score    float64 // by how much it is wrong, in the unit of Limit: the worst while it lasts
	Limit    float64
	Active   bool
}

// Set is the detectors of one machine, with what depends on what. Step does not allocate.
type Set struct {
	members []member
	changed []int
	fed     []bool // by source: whether a channel is known that it feeds
}

type member struct {
	Detector
	about    Subject
	channels []int
	causes   []int // members whose code this one's depends on
}

// Add makes a detector of code about a subject, and gives its place. Causes are added before their
// consequences.
func (s *Set) Add(code Code, about Subject) int {
	d := Of(code)
	m := member{Detector: *NewDetector(d.Limit, d.On, d.Off), about: about}
	m.Detector.a.Code = code
	for i := range s.members {
		if slices.Contains(d.DependsOn, s.members[i].a.Code) {
			m.causes = append(m.causes, i)
		}
	}
	s.members = append(s.members, m)
	if about.Source >= len(s.fed) {
		s.fed = append(s.fed, make([]bool, about.Source+1-len(s.fed))...)
	}
	s.changed = slices.Grow(s.changed, len(s.members))
	return len(s.members) - 1
}

// Place gives the place of the detector of code about a channel, which it makes where there is none.
func (s *Set) Place(code Code, channel int) int {
	for i := range s.members {
		if m := &s.members[i]; m.a.Code == code && m.about.Channel == channel {
			return i
		}
	}
	return s.Add(code, Subject{Source: None, Channel: channel})
}

// Feeds notes that source feeds the channel of member k.
func (s *Set) Feeds(k, source int) {
	s.members[k].about.Source = source
	s.fed[source] = true
}

// Tick begins a round of steps.
func (s *Set) Tick() { s.changed = s.changed[:0] }

// Step takes the score of member k that held for the last dt seconds.
func (s *Set) Step(k int, dt, score float64) Change {
	m := &s.members[k]
	change := Unchanged
	if (score > m.a.Limit || m.a.Active) && s.explained(m) {
		change = m.Explain()
	} else {
		change = m.Detector.Step(dt, score)
	}
	if change != Unchanged {
		s.changed = append(s.changed, k)
	}
	return change
}

// explained reports whether a cause of m stands. A source that has fed no channel yet explains every channel
// that no source has fed.
func (s *Set) explained(m *member) bool {
	for _, c := range m.causes {
		cause := &s.members[c]
		if !cause.a.Active {
			continue
		}
		switch {
		case cause.about.Channel != None:
			if cause.about.Channel == m.about.Channel {
				return true
			}
		case cause.about.Source == m.about.Source, m.about.Source == None && !s.fed[cause.about.Source]:
			return true
		}
	}
	return false
}

// Covers says which channels the anomaly of member k is about besides its subject. Called when it is
// raised; channels are kept.
func (s *Set) Covers(k int, channels []int) { s.members[k].channels = channels }

// Changed are the members that were raised or cleared since [Set.Tick].
func (s *Set) Changed() []int { return s.changed }

// Anomaly is the state of member k.
func (s *Set) Anomaly(k int) Anomaly {
	m := &s.members[k]
	a := m.Detector.Anomaly()
	a.About, a.Channels = m.about, m.channels
	return a
}

// Explained reports whether a cause of member k stands, and how high k's last score was.
func (s *Set) Explained(k int) (explained bool, score float64) {
	m := &s.members[k]
	return s.explained(m), m.now
}

// Active reports whether the anomaly of member k stands.
func (s *Set) Active(k int) bool { return s.members[k].a.Active }

// Limit is that of member k's score.
func (s *Set) Limit(k int) float64 { return s.members[k].a.Limit }

// Len is the number of members.
func (s *Set) Len() int { return len(s.members) }

// Standing appends the anomalies that stand.
func (s *Set) Standing(dst []Anomaly) []Anomaly {
	for k := range s.members {
		if s.members[k].a.Active {
			dst = append(dst, s.Anomaly(k))
		}
	}
	return dst
}
