package dbtest

import (
	"context"
	"fmt"
	"sync"

	"devicegate/db"
)

// Faulty is a store that fails on command and passes everything else on. Its zero faults fail
// nothing. It is safe for concurrent use.
type Faulty struct {
	db.Store

	mu      sync.Mutex
	commit  error
	applied bool
	health  error
	broken  chan struct{} // closed when the feeds break, with why
	why     error
}

var _ db.Store = (*Faulty)(nil)

// NewFaulty returns a wrapper of s, which stays the caller's to close.
func NewFaulty(s db.Store) *Faulty {
	return &Faulty{Store: s, broken: make(chan struct{})}
}

// FailCommits makes every Commit return err, which should be db.ErrUnavailable or db.ErrUnknown,
// until it is called with nil. With applied the transaction has happened all the same: an answer
// that was lost.
func (f *Faulty) FailCommits(err error, applied bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commit, f.applied = err, applied
}

// FailHealth makes Health return err until it is called with nil.
func (f *Faulty) FailHealth(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.health = err
}

// BreakFeeds ends every feed that is open now with err. Later ones work.
func (f *Faulty) BreakFeeds(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.why = err
	close(f.broken)
	f.broken = make(chan struct{})
}

// Commit implements db.Store.
func (f *Faulty) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	f.mu.Lock()
	fault, applied := f.commit, f.applied
	f.mu.Unlock()
	if fault == nil {
		return f.Store.Commit(ctx, txn)
	}
	if applied {
		if _, err := f.Store.Commit(ctx, txn); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("injected: %w", fault)
}

// Health implements db.Store.
func (f *Faulty) Health() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.health != nil {
		return f.health
	}
	return f.Store.Health()
}

// Watch implements db.Store.
func (f *Faulty) Watch(ctx context.Context, after db.Revision, apply func(db.Batch)) (<-chan error, error) {
	f.mu.Lock()
	broken := f.broken
	f.mu.Unlock()
	inner, cancel := context.WithCancel(ctx)
	feed, err := f.Store.Watch(inner, after, apply)
	if err != nil {
		cancel()
		return nil, err
	}
	end := make(chan error, 1)
	go func() {
		defer close(end)
		defer cancel()
		select {
		case err := <-feed:
			end <- err
		case <-broken:
			cancel()
			for range feed { // until it ends: apply is not called again
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			end <- f.why
		}
	}()
	return end, nil
}
