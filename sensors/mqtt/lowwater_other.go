//go:build !linux

package mqtt

// setLowWater is a saving that only Linux offers for TCP.
func setLowWater(uintptr, int) {}
