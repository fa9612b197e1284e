//go:build !linux

package dashboard

// residentBytes is not known on this system.
func residentBytes() (float64, bool) { return 0, false }
