package detect

import (
	"slices"
	"strings"
	"testing"

	"stirwatch/dynamics/model"
	"stirwatch/sensors/runlog"
)

// session is one of the first 400 rows, without voltage, and what it tells.
func session(told *[]string) *Session {
	return &Session{Good: func(int) Stretch { return Stretch{0, 400} }, Ignore: []string{"Voltage"}, Told: func(text string) { *told = append(*told, text) }}
}

func TestSessionTrainsOnEachLogOrOnOne(t *testing.T) {
	path := pump(t, 1100, nil)
	log, reg, err := Read(path, runlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	s := session(&told)
	tab, flags, events, err := s.Judge(log, reg)
	if err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 || !strings.Contains(told[0], "2 channels are watched, trained on 400 rows (0:400)") {
		t.Errorf("told %q", told)
	}
	if !slices.Equal(tab.Channel, []string{"flow [L/min]", "current"}) || len(flags) != 1100 || len(events) == 0 || events[0].From < 600 || events[0].From > 620 {
		t.Errorf("channels %q, %d flags, events %+v", tab.Channel, len(flags), events)
	}

	// Trained on one log, another is judged by it: nothing is trained again.
	var once []string
	s = session(&once)
	if err := s.Train(log); err != nil {
		t.Fatal(err)
	}
	before := len(once)
	_, again, _, err := s.Judge(log, reg)
	if err != nil || !slices.Equal(again, flags) || len(once) != before {
		t.Errorf("%v, told %q", err, once)
	}
}

func TestSessionRefuses(t *testing.T) {
	log, reg, err := Read(pump(t, 1100, nil), runlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		edit func(*Session)
		says string
	}{
		{func(s *Session) { s.Ignore = []string{"speed"} }, `no channel "speed"`},
		{func(s *Session) { s.Good = func(int) Stretch { return Stretch{0, 4000} } }, "1100 data rows"},
		{func(s *Session) { s.Model = &model.Model{} }, "spindle speed and tool temperature"},
	} {
		s := session(new([]string))
		c.edit(s)
		if _, _, _, err := s.Judge(log, reg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}
