//go:build unix && !linux

package password

import "golang.org/x/sys/unix"

// lowerPriority gives this process nice 19.
func lowerPriority() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 19) }
