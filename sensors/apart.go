package sensors

import "slices"

// Apart keeps the stamps of a channel apart: the record holds one value per channel and stamp, and a device that
// counts milliseconds and sends faster means different moments, as do messages that arrive in one burst. What
// has been read at one instant of different channels keeps one stamp, also where it comes in several messages.
// The zero value is ready.
type Apart struct {
	stamp []int64 // last of each channel, as given
	moved []int64 // by how much it was moved, ns
}

// Move moves a message's samples by a nanosecond for each message before with the same stamp and one of its channels.
func (a *Apart) Move(samples []Sample) {
	var by int64
	for i := range samples {
		ch := int(samples[i].Channel)
		if n := ch + 1 - len(a.stamp); n > 0 {
			a.stamp, a.moved = append(a.stamp, make([]int64, n)...), append(a.moved, slices.Repeat([]int64{-1}, n)...)
		}
		if after := samples[i].Time - a.stamp[ch]; after >= 0 && after <= a.moved[ch] {
			by = max(by, a.moved[ch]+1-after)
		}
	}
	for i := range samples {
		ch := samples[i].Channel
		a.stamp[ch], a.moved[ch] = samples[i].Time, by
		samples[i].Time += by
	}
}
