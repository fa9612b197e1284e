package anomaly

import (
	"slices"
	"testing"
)

// Every code is defined once, its causes stand before it, and its numbers make sense.
func TestRegistry(t *testing.T) {
	var before []Code
	for _, d := range Definitions() {
		if slices.Contains(before, d.Code) {
			t.Errorf("%s is defined twice", d.Code)
		}
		if d.Text == "" || d.Limit <= 0 || d.On < 0 || d.Off <= 0 || d.Priority < High || d.Priority > Low ||
			!slices.Contains([]Kind{AboutSource, AboutChannel, AboutModel, AboutAgent, AboutProcess}, d.About) {
			t.Errorf("%+v", d)
		}
		if d.Cause == "" || d.Response == "" {
			t.Errorf("%s does not tell what usually causes it, or what to do", d.Code)
		}
		for _, cause := range d.DependsOn {
			if !slices.Contains(before, cause) {
				t.Errorf("%s depends on %s, which does not stand before it", d.Code, cause)
			}
		}
		if Of(d.Code).Text != d.Code.Text() {
			t.Errorf("%s: %q", d.Code, d.Code.Text())
		}
		before = append(before, d.Code)
	}
}

// twelve is a set of a source with twelve channels and one of another source.
func twelve() (s *Set, source int, channels []int) {
	s = &Set{}
	source = s.Add(SourceMissing, Subject{Source: 0, Channel: None})
	s.Add(SourceMissing, Subject{Source: 1, Channel: None})
	for ch := range 13 {
		k := s.Add(SensorMissing, Subject{Source: None, Channel: ch})
		s.Feeds(k, ch/12)
		channels = append(channels, k)
	}
	return s, source, channels
}

func standing(s *Set) (codes []Code) {
	for _, a := range s.Standing(nil) {
		codes = append(codes, a.Code)
	}
	return codes
}

// step lets dt seconds pass with the same score for every channel of the first source.
func step(s *Set, source int, channels []int, dt, sourceScore, score float64) (changes int) {
	s.Tick()
	s.Step(source, dt, sourceScore)
	for ch, k := range channels {
		if ch < 12 {
			s.Step(k, dt, score)
		} else {
			s.Step(k, dt, 0)
		}
	}
	return len(s.Changed())
}

func TestOneDeadSourceIsOneAnomaly(t *testing.T) {
	s, source, channels := twelve()
	for range 20 {
		step(s, source, channels, 0.1, 1, 1)
	}
	if got := standing(s); !slices.Equal(got, []Code{SourceMissing}) {
		t.Errorf("twelve channels of one source are missing: %v", got)
	}
	if n := step(s, source, channels, 0.1, 1, 1); n != 0 {
		t.Errorf("%d changes while all stays as it is", n)
	}
}

// Channels that were missing by themselves become consequences when the whole source is gone, and stand by
// themselves again when it is back without them.
func TestConsequencesComeAndGoWithTheirCause(t *testing.T) {
	s, source, channels := twelve()
	for range 20 {
		step(s, source, channels, 0.1, 0, 1)
	}
	if got := standing(s); len(got) != 12 || got[0] != SensorMissing {
		t.Fatalf("channels by themselves: %v", got)
	}
	for range 10 {
		step(s, source, channels, 0.1, 1, 1)
	}
	if got := standing(s); !slices.Equal(got, []Code{SourceMissing}) {
		t.Errorf("with their source: %v", got)
	}
	for range 30 {
		step(s, source, channels, 0.1, 0, 1)
	}
	if got := standing(s); len(got) != 12 || got[0] != SensorMissing {
		t.Errorf("the source is back without them: %v", got)
	}
}

// Of another source's channel nothing is explained.
func TestAnotherSourceExplainsNothing(t *testing.T) {
	s, source, channels := twelve()
	for range 20 {
		s.Tick()
		s.Step(source, 0.1, 1)
		s.Step(channels[12], 0.1, 1)
	}
	if got := standing(s); !slices.Equal(got, []Code{SourceMissing, SensorMissing}) {
		t.Errorf("%v", got)
	}
}

// A source that has never fed any channel explains those that nobody has fed; one that has does not.
func TestASourceThatNeverSpokeExplainsOrphans(t *testing.T) {
	for _, fed := range []bool{false, true} {
		s := &Set{}
		source := s.Add(SourceMissing, Subject{Source: 0, Channel: None})
		orphan, own := s.Add(SensorMissing, Subject{Source: None, Channel: 0}), s.Add(SensorMissing, Subject{Source: None, Channel: 1})
		if fed {
			s.Feeds(own, 0)
		}
		for range 20 {
			s.Tick()
			s.Step(source, 0.1, 1)
			s.Step(orphan, 0.1, 1)
			s.Step(own, 0.1, 1)
		}
		want := []Code{SourceMissing}
		if fed {
			want = append(want, SensorMissing)
		}
		if got := standing(s); !slices.Equal(got, want) {
			t.Errorf("fed %v: %v, want %v", fed, got, want)
		}
	}
}

// The same channel's failure explains that the model is blind; another channel's does not.
func TestWhatIsAboutTheSameChannel(t *testing.T) {
	for _, channel := range []int{0, 1} {
		s := &Set{}
		failure := s.Add(SensorFailure, Subject{Source: None, Channel: channel})
		blind := s.Add(ModelBlind, Subject{Source: None, Channel: 0})
		s.Tick()
		s.Step(failure, 1, 1)
		s.Step(blind, 1, 1)
		if got := len(standing(s)); got != 1+channel {
			t.Errorf("a failure of channel %d: %v", channel, standing(s))
		}
	}
}
