package device

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"devicegate/db"
	"devicegate/reason"
)

// Follow fills the index from the store and keeps it in step until ctx ends. It returns once the index
// is complete. When the feed ends, or brings a row that cannot be read, every later answer is
// StoreUnavailable and, unless it was ctx that ended, failed is called with the cause, once. So ctx must
// outlive the last check.
func (x *Index) Follow(ctx context.Context, store db.Store, failed func(error)) error {
	after, err := x.fill(ctx, store)
	if err != nil {
		return err
	}
	var once sync.Once
	broke := func(err error) {
		x.distrust()
		once.Do(func() { failed(err) })
	}
	ended, err := store.Watch(ctx, after, func(b db.Batch) {
		if err := x.apply(b); err != nil {
			broke(err)
		}
	})
	if err != nil {
		return fmt.Errorf("watching the store: %w", err)
	}
	x.trust(after)
	go func() {
		if err := <-ended; err != nil && ctx.Err() == nil {
			broke(err)
		}
		x.distrust() // nobody keeps it in step any more
	}()
	return nil
}

func (x *Index) fill(ctx context.Context, store db.Store) (db.Revision, error) {
	after, err := db.Each(ctx, store, db.WatchedPrefix, func(e db.Entry) error {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.applyWrite(db.Put(e.Key, e.Value))
	})
	if err != nil {
		return 0, fmt.Errorf("filling the device index: %w", err)
	}
	if err := x.fillSightings(ctx, store); err != nil {
		return 0, fmt.Errorf("filling the device index: %w", err)
	}
	return after, nil
}

// apply takes one commit. A row that cannot be read means that this process no longer knows who may
// pass, so it stops answering rather than guess.
func (x *Index) apply(b db.Batch) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	var errs []error
	for _, w := range b.Writes {
		if err := x.applyWrite(w); err != nil {
			// The word is changed under the lock: no check may pass on half of a commit.
			x.state.Store(uint32(reason.StoreUnavailable))
			errs = append(errs, fmt.Errorf("the row %q: %w", w.Key, err))
		}
	}
	x.applied = max(x.applied, b.Revision)
	x.tell()
	return errors.Join(errs...)
}

// trust lets the index answer from after on, unless a row that was fed meanwhile could not be read.
func (x *Index) trust(after db.Revision) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.applied = max(x.applied, after)
	x.state.CompareAndSwap(uint32(reason.Starting), uint32(reason.OK))
	x.tell()
}

// distrust is for good: only a restart, which reads everything anew, makes the index answer again.
func (x *Index) distrust() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.state.Store(uint32(reason.StoreUnavailable))
	x.tell()
}

// tell wakes those who wait in reach. The lock is held.
func (x *Index) tell() {
	close(x.moved)
	x.moved = make(chan struct{})
}

// reach waits until the index has taken every commit up to at. A commit can be read from the store a
// moment before the feed has brought it here; whoever decides from both would count too few devices. It
// returns db.ErrUnavailable when the index is not in step or ctx ends first.
func (x *Index) reach(ctx context.Context, at db.Revision) error {
	for {
		x.mu.RLock()
		applied, moved, why := x.applied, x.moved, x.State()
		x.mu.RUnlock()
		switch {
		case why != reason.OK:
			return fmt.Errorf("the device index answers %s: %w", why, db.ErrUnavailable)
		case applied >= at:
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the device index: %w: %w", db.ErrUnavailable, ctx.Err())
		}
	}
}
