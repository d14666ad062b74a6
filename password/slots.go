package password

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// maxInARow is how many preferred callers are served, one after the other, before a stranger who
// waits: without a bound, whoever holds enough devices could keep everybody else out for ever. With
// this one the strangers have at least a ninth of the slots, so that they get on, and the preferred
// have the rest, so that a flood of strangers costs them nothing that they would notice.
const maxInARow = 8

// slots bounds how many hashes are computed and how many callers wait for one: the memory of a flood
// of sign-ins is bounded by both. Callers wait in two lanes, strangers and preferred, each in the
// order they came and with a bound of its own, so that neither can fill the other.
type slots struct {
	number     int
	maxWaiting int // in each lane
	wait       time.Duration

	mu                   sync.Mutex
	free                 int       // while it is not 0, nobody waits
	strangers, preferred list.List // of chan struct{}, which is closed to hand over a slot
	inARow               int       // preferred ones that were served while a stranger waited
}

func newSlots(number, maxWaiting int, wait time.Duration) *slots {
	return &slots{number: number, maxWaiting: maxWaiting, wait: wait, free: number}
}

// run waits for a slot, computes, and waits for the key. The slot belongs to the computation, not to
// the caller: it is free again when compute returns. From the moment it is taken only ctx's deadline
// counts, for the caller and for compute; then the error wraps ErrBusy.
func (s *slots) run(ctx context.Context, compute func(context.Context) ([keySize]byte, error)) ([keySize]byte, error) {
	type result struct {
		key [keySize]byte
		err error
	}
	if err := s.acquire(ctx); err != nil {
		return [keySize]byte{}, err
	}
	ctx, cancel := onlyDeadline(ctx)
	defer cancel()
	done := make(chan result, 1)
	go func() {
		key, err := compute(ctx)
		s.release()
		done <- result{key, err}
	}()
	select {
	case r := <-done:
		return r.key, r.err
	case <-ctx.Done():
		return [keySize]byte{}, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

// onlyDeadline returns a context that ends at ctx's deadline, if it has one, and not when ctx is
// cancelled.
func onlyDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(free, end)
	}
	return free, func() {}
}

// acquire takes a slot, which the caller must release, or returns an error that wraps ErrBusy: the
// lane is full, the wait is over, or ctx ended.
func (s *slots) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	lane := &s.strangers
	if isPreferred(ctx) {
		lane = &s.preferred
	}
	place, err := s.enter(lane)
	if place == nil {
		return err
	}
	timer := time.NewTimer(s.wait)
	defer timer.Stop()
	select {
	case <-handed(place):
		return nil
	case <-timer.C:
		err = fmt.Errorf("%w: none ended within %v", ErrBusy, s.wait)
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
	s.leave(lane, place)
	return err
}

// enter takes a free slot, or else a place in the lane. No place and no error: it has the slot.
func (s *slots) enter(lane *list.List) (place *list.Element, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free > 0 {
		s.free--
		return nil, nil
	}
	if lane.Len() >= s.maxWaiting {
		return nil, fmt.Errorf("%w: %d are waiting already", ErrBusy, s.maxWaiting)
	}
	return lane.PushBack(make(chan struct{})), nil
}

// leave gives up a place. A slot that was handed over at that very moment goes to the next.
func (s *slots) leave(lane *list.List, place *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-handed(place):
		s.handLocked()
	default:
		lane.Remove(place)
	}
}

func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handLocked()
}

// handLocked hands a slot to the next who waits; if nobody does, it is free.
func (s *slots) handLocked() {
	lane := s.nextLocked()
	place := lane.Front()
	if place == nil {
		s.free++
		return
	}
	lane.Remove(place)
	close(handed(place))
}

// nextLocked returns the lane whose turn it is, which is empty only if both are.
func (s *slots) nextLocked() *list.List {
	switch {
	case s.strangers.Len() == 0:
		s.inARow = 0
		return &s.preferred
	case s.preferred.Len() == 0 || s.inARow >= maxInARow:
		s.inARow = 0
		return &s.strangers
	default:
		s.inARow++
		return &s.preferred
	}
}

// load returns how many slots are taken and how many callers wait, in both lanes together.
func (s *slots) load() (taken, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.number - s.free, s.strangers.Len() + s.preferred.Len()
}

func handed(place *list.Element) chan struct{} { return place.Value.(chan struct{}) }
