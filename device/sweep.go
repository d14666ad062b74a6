package device

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
)

// Forget removes up to limit devices whose time is over: expired, ended with everything of their user, or
// ended so long ago that no token of theirs can live. It returns how many it removed; fewer than limit
// means that nothing is left to do. A device that changes meanwhile is left alone.
func (r *Registry) Forget(ctx context.Context, limit int) (int, error) {
	removed := 0
	// An index that is not filled lacks users, and a device without its user would look forgotten.
	if err := r.Index.reach(ctx, 0); err != nil {
		return 0, err
	}
	for _, uid := range r.Index.due(r.Now(), limit) {
		gone, err := r.forget(ctx, uid)
		if err != nil {
			return removed, err
		}
		removed += gone
	}
	return removed, nil
}

// Sweep ends the live devices of user that were last used before cutoff, but not the device but (an admin's
// who sweeps; zero for none), and returns how many those are; with dryRun it only counts.
func (r *Registry) Sweep(ctx context.Context, user uuid.UUID, cutoff time.Time, but uuid.UUID, dryRun bool, by activity.By) (int, error) {
	stale := func(rec Record) bool { return rec.UID != but && r.seen(rec).Before(cutoff) }
	if !dryRun {
		return r.EndWhere(ctx, user, Cause{Expired, by}, stale)
	}
	s, err := r.load(ctx, user)
	n := 0
	for _, rec := range s.live {
		if stale(rec) {
			n++
		}
	}
	return n, err
}

func (r *Registry) forget(ctx context.Context, uid uuid.UUID) (int, error) {
	e, err := r.Store.Get(ctx, deviceRowKey(uid))
	if errors.Is(err, db.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	row, err := decodeDeviceRow(e.Value)
	if err != nil {
		return 0, err
	}
	if row.until > r.Now().UnixMilli() && (row.ended != 0 || !r.Index.endedWithUser(uid)) {
		return 0, nil // refreshed or ended since the index was asked
	}
	txn := db.Txn{
		If:     []db.Condition{db.Unchanged(e)},
		Writes: []db.Write{db.Delete(e.Key), db.Delete(deviceKey(row.user, uid)), db.Delete(sightingKey(uid))},
	}
	switch {
	case row.foreign && r.Index.endedWithUser(uid):
		txn.Writes[0] = r.markFor(e.Key, row)
	case row.moved && row.ended == 0:
		mark := row
		mark.ended = Expired
		txn.Writes[0] = db.Put(e.Key, mark.encode())
	}
	// A device whose time ran out has its end noted here. All others have had theirs: their own, or the
	// one of all devices of their user.
	var events []activity.Event
	if row.ended == 0 && !r.Index.endedWithUser(uid) {
		// It changes the set: whoever read the device a moment ago, alive, must not end or keep it now.
		s, err := r.list(ctx, row.user)
		if err != nil {
			return 0, err
		}
		txn = s.txn(s.ordinal, txn)
		events = append(events, ofService(Expired).Event(row.user, uid))
	}
	_, err = r.Activity.Commit(ctx, txn, events...)
	if errors.Is(err, db.ErrConflict) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// endedWithUser reports whether the device is of an ended generation, or its user is gone.
func (x *Index) endedWithUser(uid uuid.UUID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, known := x.devices[uid]
	if !known {
		return false
	}
	u, known := x.users[x.slots[at].user]
	return !known || x.slots[at].generation < u.generation
}
