package priority

import (
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// remindEvery was measured: with 300 µs a check waits half as long beside hashes as without, and the hashes take no longer.
	remindEvery = 250 * time.Microsecond
	// mostReminders is for how long: three times what a hash takes on a core of its own.
	mostReminders = int64(100 * time.Millisecond / remindEvery)
	// listEvery is how many reminders go by between two looks at which threads there are.
	listEvery = 100
)

// GiveWay has the system ask once whether somebody else should have the core of the calling thread. It costs a system call, and is
// for who computes in short pieces and can say so. A Reminder is for who cannot.
func GiveWay() { _ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, new(unix.Timespec)) }

// timerClock is a timer of the system's, because Go's own are only as exact as a millisecond, and a goroutine that sleeps in the
// system instead keeps Go's scheduler so busy that hashes took a fifth longer.
type timerClock struct {
	fd   int
	left atomic.Int64 // reminders
}

func newClock() clock {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil
	}
	c := &timerClock{fd: fd}
	go c.remind(os.NewFile(uintptr(fd), "timerfd"))
	return c
}

func (c *timerClock) run(on bool) {
	var every unix.Timespec
	if on {
		c.left.Store(mostReminders)
		every = unix.NsecToTimespec(remindEvery.Nanoseconds())
	}
	_ = unix.TimerfdSettime(c.fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil)
}

// remind reads the CPU clocks of all threads whenever the timer ends, while reminders are left.
func (c *timerClock) remind(timer *os.File) {
	var threads []int
	expired := make([]byte, 8)
	for n := 0; ; n++ {
		if _, err := timer.Read(expired); err != nil {
			return
		}
		if c.left.Add(-1) < 0 {
			continue
		}
		if n%listEvery == 0 {
			threads = ownThreads(threads[:0])
		}
		for _, id := range threads {
			_ = unix.ClockGettime(threadClock(id), new(unix.Timespec))
		}
	}
}

// ownThreads appends the threads of this process to those.
func ownThreads(ids []int) []int {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if id, err := strconv.Atoi(task.Name()); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// threadClock is the clock of the CPU time that one of this process's threads has used: the bits of its number turned over, then
// 4 for one thread and 2 for the time that the scheduler counts (include/linux/posix-timers.h).
func threadClock(id int) int32 { return int32(^id<<3 | 4 | 2) }
