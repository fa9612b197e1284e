package detect

import (
	"slices"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
)

// session is one of the first 400 rows, without voltage, and what it tells.
func session(told *[]string) *Session {
	return &Session{Good: Stretch{To: 400}, Ignore: []string{"Voltage"}, Told: func(text string) { *told = append(*told, text) }}
}

func TestSessionTrainsOnEachLogOrOnOne(t *testing.T) {
	path := pump(t, 1100, nil)
	run := open(t, path)
	var told []string
	s := session(&told)
	var flags, again []Flag
	events, err := s.Judge(run, nil, func(_ int, f Flag) { flags = append(flags, f) })
	if err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 || !strings.Contains(told[0], "2 channels are watched, trained on 400 rows (0:400)") {
		t.Errorf("told %q", told)
	}
	if len(flags) != 1100 || len(events) == 0 || events[0].From < 600 || events[0].From > 620 {
		t.Errorf("%d flags, events %+v", len(flags), events)
	}

	// Trained on one log, another is judged by it: nothing is trained again.
	var once []string
	s = session(&once)
	if err := s.Train(run); err != nil {
		t.Fatal(err)
	}
	before := len(once)
	_, err = s.Judge(run, nil, func(_ int, f Flag) { again = append(again, f) })
	if err != nil || !slices.Equal(again, flags) || len(once) != before {
		t.Errorf("%v, told %q", err, once)
	}
}

func TestSessionRefuses(t *testing.T) {
	run := open(t, pump(t, 1100, nil))
	for _, c := range []struct {
		edit func(*Session)
		says string
	}{
		{func(s *Session) { s.Ignore = []string{"speed"} }, `no channel "speed"`},
		{func(s *Session) { s.Good = Stretch{To: 4000} }, "1100 data rows"},
		{func(s *Session) { s.Model = &model.Model{} }, "spindle speed and tool temperature"},
	} {
		s := session(new([]string))
		c.edit(s)
		if _, err := s.Judge(run, nil, func(int, Flag) {}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}
