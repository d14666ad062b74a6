package lockout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"devicegate/db"
)

// Fill reads what is stored, so that the bound on unknown names holds after a restart, and drops what is
// over it. It may run beside attempts; until it has returned the bound counts only what was written since the start.
// Records that cannot be read are passed over, and the first of them is the error.
func (c *Counters) Fill(ctx context.Context) error {
	type stored struct {
		of counter
		at int64 // the last failure
	}
	var found []stored
	var bad error
	_, err := db.Each(ctx, c.o.Store, root, func(e db.Entry) error {
		of, r, err := decodeEntry(e)
		if err != nil {
			bad = cmp.Or(bad, err)
		} else if !r.Known {
			found = append(found, stored{of, r.LastFailure.UnixMilli()})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the counters: %w", err)
	}
	slices.SortFunc(found, func(a, b stored) int { return cmp.Compare(a.at, b.at) })
	older := make([]counter, len(found))
	for i, f := range found {
		older[i] = f.of
	}
	c.unknown.prepend(older)
	return cmp.Or(c.unknown.trim(ctx), bad)
}

// prepend puts records that were stored before anything on the list to its beginning, in their order.
func (u *unknown) prepend(older []counter) {
	u.mu.Lock()
	defer u.mu.Unlock()
	newer := u.order.Keys()
	u.order = newOrder()
	for _, of := range append(older, newer...) {
		u.order.Add(of, struct{}{}) // one that is in both moves to its later place
	}
}

// trim drops what is over the bound: more was stored than the bound is now.
func (u *unknown) trim(ctx context.Context) error {
	for {
		r := &room{u: u}
		err := r.fill(ctx, db.MaxWrites)
		if err == nil && len(r.drops) > 0 {
			_, err = u.o.Store.Commit(ctx, db.Txn{If: r.conditions, Writes: r.writes})
		}
		r.settle(err == nil)
		switch {
		case errors.Is(err, db.ErrConflict): // one of them failed again; others go
		case err != nil:
			return fmt.Errorf("dropping counters: %w", err)
		case len(r.drops) == 0:
			return nil
		}
	}
}

// decodeEntry returns the counter and the record of an entry below root.
func decodeEntry(e db.Entry) (counter, record, error) {
	of, ok := parseKey(e.Key)
	if !ok {
		return counter{}, record{}, fmt.Errorf("the key %q is not one of a counter", e.Key)
	}
	r, err := decodeRecord(e)
	return of, r, err
}
