package priority

import "sync"

// Reminder has the system ask often, while this process computes, whether somebody else should have its core.
//
// Linux chooses the thread that runs next among those that had less than their share, and then lets it run until its clock
// ticks, 4 ms at 250 ticks a second, unless another one wakes up on that core. A thread of the lowest priority is chosen whenever
// all others there are a few microseconds over their share, and these then wait for the tick. So a process that only ever takes
// what is left over still keeps others waiting for milliseconds. To read a thread's CPU clock is to have it accounted for, and who
// has used up his slice then has to let go (update_curr in kernel/sched/fair.c, Linux 6.18). It takes no privilege.
//
// It stops 100 ms after the last Begin. What is not computed by then is on a machine where others want all cores all the time: who lets
// go at once there gets nothing done at all, and the wait for the tick is what he lives on.
//
// It fails open: where the system has no means, nothing is done. The zero value does nothing.
type Reminder struct {
	mu        sync.Mutex
	computing int
	clock     clock
}

// clock reminds the system for a while whenever it is set to run, until it is set not to.
type clock interface {
	run(bool)
}

// NewReminder starts one that rests. Its goroutine and its descriptor are the process's until that ends.
func NewReminder() *Reminder { return &Reminder{clock: newClock()} }

// Begin says that something is computed from now on, until as many End as Begin were called.
func (r *Reminder) Begin() { r.add(1) }

// End takes back one Begin.
func (r *Reminder) End() { r.add(-1) }

func (r *Reminder) add(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.computing += n
	if r.clock != nil && (n > 0 || r.computing == 0) {
		r.clock.run(n > 0)
	}
}
