package activity

import (
	"context"
	"sync"
)

// maxQueued bounds how many users wait for the background. For whoever comes when it is reached the commit
// itself does what there is to do. Below maxQuotas: what is queued is not forgotten.
const maxQueued = 1024

// job is to count a share, or a whole class, and to bring it back to its limit.
type job struct {
	share
	whole bool // the class; the share's user is zero
}

// queue is the jobs of the background, each once. The counts' mu is held for all of it.
type queue struct {
	waiting []job
	queued  map[job]bool // those that wait, and the one that is worked at
	working bool
	closed  bool
}

// tallyOf returns what the job is about. mu is held.
func (c *counts) tallyOf(j job) tally {
	if j.whole {
		return j.class.tally
	}
	return c.tally(j.share)
}

// enqueue queues the job if it is due. mu is held.
func (c *counts) enqueue(j job) {
	if c.queued[j] || !c.tallyOf(j).due() {
		return
	}
	c.queued[j] = true
	c.waiting = append(c.waiting, j)
}

// look returns whether what the job is about is counted, its class too, and how many events are to be
// removed.
func (c *counts) look(j job) (counted, filled bool, over int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tallyOf(j)
	return t.counted, j.class.counted, t.over(0)
}

// next returns the job to do. Without one the work has ended.
func (c *counts) next() (j job, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.waiting) == 0 {
		c.working = false
		return job{}, false
	}
	j, c.waiting = c.waiting[0], c.waiting[1:]
	return j, true
}

// did ends a step of the job. While it is due it goes to the end of the queue, so that a long one holds up
// nobody. Without progress, with a store that fails or where all are about to be stored, the work ends; the
// next commit begins it again.
func (c *counts) did(j job, progress bool) (goOn bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tallyOf(j).due() {
		delete(c.queued, j)
		return true
	}
	c.waiting = append(c.waiting, j)
	c.working = progress
	return progress
}

// begin has worker call work if something is queued and nobody is at it.
func (c *counts) begin(worker *sync.WaitGroup, work func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.working || c.closed || len(c.waiting) == 0 {
		return
	}
	c.working = true
	worker.Go(work)
}

// work does what is queued, in one goroutine at a time, and ends with it. The errors of the store are told
// by Sweep, and by Commit once there is no more room.
func (l *Log) work() {
	for {
		j, ok := l.counts.next()
		if !ok {
			return
		}
		progress, err := l.do(context.Background(), j)
		if !l.counts.did(j, progress && err == nil) {
			return
		}
	}
}

// do is one step of a job: some reads, or the removal of up to trimAtOnce events.
func (l *Log) do(ctx context.Context, j job) (progress bool, err error) {
	counted, filled, _ := l.counts.look(j)
	switch {
	case !counted && !j.whole:
		return true, l.count(ctx, j.share)
	case !filled: // nothing is removed before
		return true, l.fillPage(ctx, j.class)
	}
	j.class.mu.Lock()
	defer j.class.mu.Unlock()
	_, _, over := l.counts.look(j) // somebody else may have trimmed
	trim := l.trimShare
	if j.whole {
		trim = func(ctx context.Context, s share, n int) (int, error) { return l.trim(ctx, s.class, n) }
	}
	n, err := trim(ctx, j.share, min(over, trimAtOnce))
	return n > 0, err
}

// Close ends the work in the background, and waits until it has. Call it before the store is closed. What is
// not done is left to Sweep, of this log or of the next: Commit goes on working, within the same bounds. It
// may be called more than once. The error is nil.
func (l *Log) Close() error {
	l.counts.mu.Lock()
	l.counts.closed = true
	l.counts.mu.Unlock()
	l.worker.Wait()
	return nil
}
