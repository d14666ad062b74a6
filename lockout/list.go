package lockout

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
)

// Unreadable is shown for the name of a counter whose record is damaged.
const Unreadable = "(damaged record)"

// Lockout is one counter, to be shown.
type Lockout struct {
	ID          string // one segment of a URL
	NameHash    string // of the name that is counted
	Name        string // as it was sent last; at most 600 bytes that print
	Network     string // empty: from everywhere, from an unknown address, or of a device
	Device      uuid.UUID
	Failures    int
	LastFailure time.Time
	LockedUntil time.Time // zero when not locked now
}

// Query says which counters are wanted. The zero Query wants all that are locked now.
type Query struct {
	NameHash string       // of one name; empty: of all
	Network  netip.Prefix // those whose network overlaps; invalid: all
	All      bool         // also those that are not locked now
}

// maxScan is how many records one call of List reads at most.
const maxScan = 1000

// List returns up to limit counters behind the id after (empty: from the first), and the id to go on from
// (empty: that was all). A page may be short, even empty, though more follow: the work of one call is
// bounded. An after that is no id is ErrNotFound.
func (c *Counters) List(ctx context.Context, q Query, after string, limit int) (found []Lockout, next string, err error) {
	from, to, err := bounds(q, after)
	if err != nil {
		return nil, "", err
	}
	page, _, err := c.o.Store.Range(ctx, from, to, maxScan)
	if err != nil {
		return nil, "", fmt.Errorf("reading the counters: %w", err)
	}
	now, wanted := c.now(), plainPrefix(q.Network)
	for i, e := range page {
		of, r, err := decodeEntry(e)
		l := c.lockout(of, r, now)
		if of == (counter{}) {
			return nil, "", err
		}
		if err != nil {
			l = unreadable(of)
		}
		counts := err != nil || (q.All || !l.LockedUntil.IsZero()) && !c.o.forgotten(r, now)
		if counts && (!q.Network.IsValid() || of.network().Overlaps(wanted)) {
			found = append(found, l)
		}
		if more := i+1 < len(page) || len(page) == maxScan; more && (len(found) >= limit || i+1 == len(page)) {
			return found, l.ID, nil
		}
	}
	return found, "", nil
}

// unreadable is a counter whose record cannot be read: every attempt that needs it is refused, so it is
// shown as one that locks, to be cleared.
func unreadable(of counter) Lockout {
	return Lockout{ID: of.id(), NameHash: of.nameHash(), Name: Unreadable, Network: of.networkText(), Device: of.device()}
}

// bounds returns the range of keys that a query looks at.
func bounds(q Query, after string) (from, to string, err error) {
	from = root
	if q.NameHash != "" {
		if _, err := decodeHash(q.NameHash); err != nil {
			return "", "", err
		}
		from += q.NameHash + "/"
	}
	to = db.PrefixEnd(from)
	if after != "" {
		of, ok := parseID(after)
		if !ok {
			return "", "", ErrNotFound
		}
		from = max(from, of.key()+"\x00")
	}
	return from, to, nil
}

func (c *Counters) lockout(of counter, r record, now time.Time) Lockout {
	return Lockout{
		ID: of.id(), NameHash: of.nameHash(), Name: r.Name, Network: of.networkText(), Device: of.device(),
		Failures: r.Failures, LastFailure: r.LastFailure, LockedUntil: c.o.lockedUntil(r, now),
	}
}

// Get returns one counter, also one that locks nobody now. One that does not exist, and an id that is none,
// are ErrNotFound.
func (c *Counters) Get(ctx context.Context, id string) (Lockout, error) {
	of, ok := parseID(id)
	if !ok {
		return Lockout{}, ErrNotFound
	}
	e, err := c.o.Store.Get(ctx, of.key())
	if errors.Is(err, db.ErrNotFound) {
		return Lockout{}, ErrNotFound
	}
	if err != nil {
		return Lockout{}, fmt.Errorf("reading a counter: %w", err)
	}
	_, r, err := decodeEntry(e)
	if err != nil {
		return unreadable(of), nil
	}
	return c.lockout(of, r, c.now()), nil
}

// Clear removes one counter: commit is called with the condition and the write, to be committed with
// whatever else tells of it, and again while it returns db.ErrConflict; after 100 times that is db.ErrUnavailable. A counter that does not
// exist, and an id that is none, are ErrNotFound.
func (c *Counters) Clear(ctx context.Context, id string, commit func(context.Context, db.Txn) error) error {
	of, ok := parseID(id)
	if !ok {
		return ErrNotFound
	}
	err := again(func() error {
		e, err := c.o.Store.Get(ctx, of.key())
		if errors.Is(err, db.ErrNotFound) {
			return ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("reading a counter: %w", err)
		}
		txn := db.Txn{If: []db.Condition{db.Unchanged(e)}, Writes: []db.Write{db.Delete(e.Key)}}
		return c.unknown.removing([]counter{of}, func() error { return commit(ctx, txn) })
	})
	if err == nil {
		c.gates.wake(of)
	}
	return err
}

// ClearName removes all counters of a name: after a new password. They go in several transactions.
func (c *Counters) ClearName(ctx context.Context, nameHash string) error {
	from, to, err := bounds(Query{NameHash: nameHash}, "")
	if nameHash == "" || err != nil {
		return errHash
	}
	for {
		page, _, err := c.o.Store.Range(ctx, from, to, db.MaxWrites)
		if err != nil {
			return fmt.Errorf("reading the counters of a name: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		if err := c.clear(ctx, page); err != nil {
			return fmt.Errorf("removing the counters of a name: %w", err)
		}
		from = page[len(page)-1].Key + "\x00"
	}
}

// clear removes entries, also those that cannot be read: a new password helps against these too.
func (c *Counters) clear(ctx context.Context, page []db.Entry) error {
	var txn db.Txn
	var gone []counter
	for _, e := range page {
		txn.Writes = append(txn.Writes, db.Delete(e.Key))
		if of, ok := parseKey(e.Key); ok {
			gone = append(gone, of)
		}
	}
	err := c.unknown.removing(gone, func() error { _, err := c.o.Store.Commit(ctx, txn); return err })
	if err == nil {
		for _, of := range gone {
			c.gates.wake(of)
		}
	}
	return err
}
