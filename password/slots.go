package password

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// slots bounds how many hashes are computed and how many callers wait for one, in the order they
// came: the memory of a flood of sign-ins is bounded by both.
type slots struct {
	taken      chan struct{} // a buffered channel: its senders wait in order
	waiting    atomic.Int64
	maxWaiting int64
	wait       time.Duration
}

func newSlots(number, maxWaiting int, wait time.Duration) *slots {
	return &slots{taken: make(chan struct{}, number), maxWaiting: int64(maxWaiting), wait: wait}
}

// acquire takes a slot, or returns an error that wraps ErrBusy: the queue is full, the wait is over,
// or ctx ended.
func (s *slots) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	select {
	case s.taken <- struct{}{}:
		return nil
	default:
	}
	defer s.waiting.Add(-1)
	if s.waiting.Add(1) > s.maxWaiting {
		return fmt.Errorf("%w: %d are waiting already", ErrBusy, s.maxWaiting)
	}
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	select {
	case s.taken <- struct{}{}:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: none ended within %v", ErrBusy, s.wait)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

func (s *slots) release() { <-s.taken }
