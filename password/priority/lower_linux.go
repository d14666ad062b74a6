package priority

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// shortestSlice, in nanoseconds, is the least that a thread may ask to run at a time, since Linux 6.12 (kernel/sched/syscalls.c).
// Earlier ones take it and do nothing.
const shortestSlice = 100_000

// Lower gives every thread of this process nice 19 and, where the system allows it, the
// scheduling policy for idle time only. Both belong to a thread on Linux and are inherited by the
// threads it makes, and Go's runtime has several by now: so passes are made until one meets no new
// thread, after which none can be made that is not lowered. The error is the system's; some threads
// may be lowered by then.
//
// Start such a process without a new session: where the kernel groups tasks by session (autogroup), both
// settings count only inside the group, and it would be as strong as the process that started it.
func Lower() error {
	lowered := make(map[int]bool)
	for {
		before := len(lowered)
		if err := lowerThreads(lowered); err != nil {
			return err
		}
		if len(lowered) == before {
			return nil
		}
	}
}

func lowerThreads(lowered map[int]bool) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil || lowered[tid] {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, 19); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		// Sandboxes may forbid both. The slice stays with the thread when the policy changes, and can be set only before that.
		_ = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: 19, Runtime: shortestSlice}, 0)
		_ = unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
		lowered[tid] = true
	}
	return nil
}
