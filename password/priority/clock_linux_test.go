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
