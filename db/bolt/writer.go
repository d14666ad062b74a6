package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"

	"go.etcd.io/bbolt"

	"devicegate/db"
)

// Bounds of the transactions that share one sync.
const (
	groupRequests = 256
	groupBytes    = 4 << 20
)

// request is one transaction on its way to the writer, which alone writes result and then closes
// done.
type request struct {
	ctx    context.Context
	txn    db.Txn
	result result
	done   chan struct{}
}

type result struct {
	revision db.Revision
	err      error
}

// errNothing ends a bbolt transaction in which no request was accepted.
var errNothing = errors.New("nothing to commit")

// Commit implements db.Store.
func (s *Store) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if err := txn.Validate(); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%w: %w", db.ErrUnavailable, err)
	}
	r := &request{ctx: ctx, txn: txn, done: make(chan struct{})}
	select {
	case s.requests <- r:
	case <-ctx.Done():
		return 0, fmt.Errorf("%w: %w", db.ErrUnavailable, ctx.Err())
	case <-s.closing:
		return 0, errClosed
	}
	<-r.done // the writer answers each request it took
	return r.result.revision, r.result.err
}

// write is the one writer. It takes all that wait and lets them share one sync; a lone request
// waits for nothing.
func (s *Store) write() {
	defer close(s.stopped)
	for {
		select {
		case r := <-s.requests:
			group := s.gather(r)
			s.perform(group)
			for _, r := range group {
				close(r.done)
			}
		case <-s.closing:
			return
		}
	}
}

// gather adds to first the requests that are waiting at this moment.
func (s *Store) gather(first *request) []*request {
	group, bytes, yielded := []*request{first}, first.size(), false
	for len(group) < groupRequests && bytes < groupBytes {
		select {
		case r := <-s.requests:
			group, bytes = append(group, r), bytes+r.size()
			continue
		default:
		}
		if yielded {
			break
		}
		runtime.Gosched() // those just answered may be about to write again
		yielded = true
	}
	return group
}

func (r *request) size() int {
	n := 0
	for _, w := range r.txn.Writes {
		n += len(w.Value)
	}
	return n
}

// perform sets the result of every request of the group.
func (s *Store) perform(group []*request) {
	if err := s.Health(); err != nil {
		failAll(group, err)
		return
	}
	batches, err := s.try(group)
	switch {
	case err == nil:
		s.feed.publish(batches)
	case errors.Is(err, errNothing): // every request has its conflict
	case errors.Is(err, db.ErrUnavailable) && len(group) > 1:
		// A small request must not fail because a large one no longer fits.
		for _, r := range group {
			s.perform([]*request{r})
		}
	case errors.Is(err, db.ErrUnavailable):
		failAll(group, err)
	default:
		s.fail(err)
		failAll(group, fmt.Errorf("%w: %w", db.ErrUnknown, err))
	}
}

func failAll(group []*request, err error) {
	for _, r := range group {
		r.result = result{err: err}
	}
}

// try evaluates the group in order inside one bbolt transaction and commits it. Errors: errNothing;
// db.ErrUnavailable where surely nothing was written; anything else leaves the file's state unknown.
func (s *Store) try(group []*request) (batches []db.Batch, err error) {
	before, err := s.headers()
	if err != nil {
		return nil, err
	}
	s.logged.reset()
	err = guard(func() error {
		tx, err := s.bolt.Begin(true)
		if err != nil {
			return err
		}
		committing := false
		defer func() {
			if !committing {
				_ = tx.Rollback() // in memory only; it fails on nothing but a closed transaction
			}
		}()
		if batches, err = evaluate(tx, group); err != nil {
			return err
		}
		committing = true
		return s.commit(tx)
	})
	if err == nil || errors.Is(err, errNothing) {
		return batches, err
	}
	return nil, s.judge(err, before)
}

// evaluate gives each request its result and the accepted ones a revision each. A request sees what
// those before it in the group have written.
func evaluate(tx *bbolt.Tx, group []*request) ([]db.Batch, error) {
	kv, revision := tx.Bucket(bucketKV), revisionOf(tx)
	var batches []db.Batch
	for _, r := range group {
		if err := r.ctx.Err(); err != nil {
			r.result = result{err: fmt.Errorf("%w: %w", db.ErrUnavailable, err)}
			continue
		}
		if err := holds(kv, r.txn.If); errors.Is(err, db.ErrConflict) {
			r.result = result{err: err}
			continue
		} else if err != nil {
			return nil, err
		}
		revision++
		if err := apply(kv, r.txn.Writes, revision); err != nil {
			return nil, err
		}
		r.result = result{revision: revision}
		batches = append(batches, watched(r.txn.Writes, revision))
	}
	if len(batches) == 0 {
		return nil, errNothing
	}
	return batches, tx.Bucket(bucketMeta).Put(keyRevision, binary.BigEndian.AppendUint64(nil, uint64(revision)))
}

// holds returns db.ErrConflict where a condition does not hold.
func holds(kv *bbolt.Bucket, conditions []db.Condition) error {
	for _, c := range conditions {
		var at db.Revision
		if stored := kv.Get([]byte(c.Key)); stored != nil {
			var ok bool
			if at, ok = revisionIn(stored); !ok {
				return fmt.Errorf("%w: the record %q has no revision", ErrDamaged, c.Key)
			}
		}
		if at != c.Revision {
			return fmt.Errorf("%w: %q is at revision %d, not %d", db.ErrConflict, c.Key, at, c.Revision)
		}
	}
	return nil
}

func apply(kv *bbolt.Bucket, writes []db.Write, revision db.Revision) error {
	for _, w := range writes {
		key := []byte(w.Key)
		if w.Delete {
			if err := kv.Delete(key); err != nil {
				return err
			}
			continue
		}
		stored := make([]byte, 0, 8+len(w.Value)) // bbolt keeps it until the commit
		stored = binary.BigEndian.AppendUint64(stored, uint64(revision))
		if err := kv.Put(key, append(stored, w.Value...)); err != nil {
			return err
		}
	}
	return nil
}

// watched returns what of a commit watchers are given, copied: the caller owns the transaction again
// as soon as it is answered.
func watched(writes []db.Write, revision db.Revision) db.Batch {
	b := db.Batch{Revision: revision}
	for _, w := range writes {
		if len(w.Key) >= len(db.WatchedPrefix) && w.Key[:len(db.WatchedPrefix)] == db.WatchedPrefix {
			b.Writes = append(b.Writes, w)
		}
	}
	return clone(b)
}
