package priority_test

import (
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"devicegate/password/priority"
)

func TestTimerRunsOnlyWhileSomethingIsComputed(t *testing.T) {
	r := priority.NewReminder()
	running := func(want bool) {
		t.Helper()
		every, err := r.Interval()
		if err != nil || every > 0 != want {
			t.Errorf("the timer runs every %v, %v, want that it runs: %v", every, err, want)
		}
	}
	running(false)
	r.Begin()
	running(true)
	r.End()
	running(false)
}

// Where others want all cores all the time, who always lets go computes nothing.
func TestRemindersEnd(t *testing.T) {
	r := priority.NewReminder()
	r.Begin()
	defer r.End()
	for { // until none is left, at the latest after that many expiries of the timer
		if left, most := r.Left(); left < 0 {
			break
		} else if left > most {
			t.Fatalf("%d reminders are left of %d", left, most)
		}
		runtime.Gosched()
	}
	for range 100 { // the machine may be so busy that they have ended again
		r.Begin()
		left, _ := r.Left()
		r.End()
		if left > 0 {
			return
		}
	}
	t.Error("another Begin brings no reminders")
}

// A clock that cannot be read reminds nobody, and says nothing.
func TestClocksOfAllThreadsCanBeRead(t *testing.T) {
	release := make(chan struct{})
	other := make(chan int)
	go func() { // keeps a second thread, which may end with it
		runtime.LockOSThread()
		other <- unix.Gettid()
		<-release
	}()
	defer close(release)
	second := <-other
	threads := priority.OwnThreads(nil)
	if !slices.Contains(threads, second) || !slices.Contains(threads, unix.Getpid()) {
		t.Fatalf("the threads are %v, without %d or %d", threads, second, unix.Getpid())
	}
	var used unix.Timespec
	if err := unix.ClockGettime(priority.ThreadClock(second), &used); err != nil || used.Nano() == 0 {
		t.Errorf("the clock of thread %d: %v, %v, want some time", second, used, err)
	}
	if err := unix.ClockGettime(priority.ThreadClock(1<<28), &used); err == nil {
		t.Error("a thread that is not there has a clock")
	}
}
