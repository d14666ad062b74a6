//go:build !linux

package priority

// newClock has no means on this system.
func newClock() clock { return nil }

// GiveWay has no means on this system.
func GiveWay() {}
