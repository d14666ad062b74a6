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
	err := unix.TimerfdGettime(r.clock.(*timerClock).fd, &now)
	return time.Duration(now.Interval.Nano()), err
}

// Left returns how many reminders are left of the most.
func (r *Reminder) Left() (left, most int64) { return r.clock.(*timerClock).left.Load(), mostReminders }
