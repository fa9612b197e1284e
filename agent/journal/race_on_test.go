//go:build race

package journal

const raceEnabled = true // sync.Pool drops entries at random under the race detector
