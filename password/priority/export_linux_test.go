package priority

import (
	"time"

	"golang.org/x/sys/unix"
)

var (
	OwnThreads  = ownThreads
	ThreadClock = threadClock
)

// Interval returns how often the system is reminded, 0 while it is not.
func (r *Reminder) Interval() (time.Duration, error) {
	var now unix.ItimerSpec
	err := unix.TimerfdGettime(int(r.clock.(timerClock)), &now)
	return time.Duration(now.Interval.Nano()), err
}
