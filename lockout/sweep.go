package lockout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"devicegate/db"
)

// Sweep removes counters whose window is over, and returns how many. It looks at up to limit counters, going
// on where the last call stopped; more says that it has not seen all of them since it began anew.
//
// A record of the future, left by a clock that was set back, is moved to now with its lock, so that it
// comes to an end. Records that cannot be read are passed over, and the first of them is the error.
func (c *Counters) Sweep(ctx context.Context, limit int) (removed int, more bool, err error) {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	limit = max(limit, 1)
	page, _, err := c.o.Store.Range(ctx, c.swept, db.PrefixEnd(root), limit)
	if err != nil {
		return 0, false, fmt.Errorf("reading the counters: %w", err)
	}
	removed, err = c.sweep(ctx, page)
	if ctx.Err() != nil {
		return removed, true, err // the same page again
	}
	c.swept = root
	if more = len(page) == limit; more {
		c.swept = page[limit-1].Key + "\x00"
	}
	return removed, more, err
}

// change is what Sweep does to one record.
type change struct {
	of        counter
	unchanged db.Condition
	write     db.Write
}

func (c *Counters) sweep(ctx context.Context, page []db.Entry) (removed int, bad error) {
	now := c.now()
	var changes []change
	for _, e := range page {
		of, r, err := decodeEntry(e)
		switch {
		case err != nil:
			bad = cmp.Or(bad, err)
		case c.o.forgotten(r, now):
			changes = append(changes, change{of, db.Unchanged(e), db.Delete(e.Key)})
		case r.LastFailure.After(now):
			r.LastFailure, r.LockedUntil = now, c.o.lockedUntil(r, now)
			changes = append(changes, change{of, db.Unchanged(e), db.Put(e.Key, r.encode())})
		}
	}
	for some := range slices.Chunk(changes, db.MaxWrites) {
		n, err := c.apply(ctx, some)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("sweeping the counters: %w", err)
		}
	}
	return removed, bad
}

// apply makes changes in one transaction, or, where one of the records failed again meanwhile, each in its own.
func (c *Counters) apply(ctx context.Context, changes []change) (removed int, err error) {
	var txn db.Txn
	var gone []counter
	for _, ch := range changes {
		txn.If, txn.Writes = append(txn.If, ch.unchanged), append(txn.Writes, ch.write)
		if ch.write.Delete {
			gone = append(gone, ch.of)
		}
	}
	err = c.unknown.removing(gone, func() error { _, err := c.o.Store.Commit(ctx, txn); return err })
	if err == nil {
		return len(gone), nil
	}
	if !errors.Is(err, db.ErrConflict) {
		return 0, err
	}
	if len(changes) == 1 {
		return 0, nil
	}
	for i := range changes {
		n, err := c.apply(ctx, changes[i:i+1])
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}
