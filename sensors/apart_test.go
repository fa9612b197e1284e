package sensors

import (
	"slices"
	"testing"
)

func TestStampsAreKeptApartByChannel(t *testing.T) {
	var a Apart
	var got []int64
	for _, message := range [][]Sample{
		{{Channel: 0, Time: 10}, {Channel: 3, Time: 10}}, // one message, one time
		{{Channel: 1, Time: 10}},                         // another message about the same instant
		{{Channel: 0, Time: 10}, {Channel: 2, Time: 10}}, // 0 once more: another moment, for both
		{{Channel: 0, Time: 10}},
		{{Channel: 0, Time: 11}},
		{{Channel: 0, Time: 10}}, // set back
	} {
		a.Move(message)
		for _, s := range message {
			got = append(got, s.Time)
		}
	}
	if want := []int64{10, 10, 10, 11, 11, 12, 13, 10}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	message := []Sample{{Channel: 0, Time: 10}, {Channel: 3, Time: 10}}
	if n := testing.AllocsPerRun(100, func() { message[0].Time++; a.Move(message) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
