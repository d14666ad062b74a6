package device

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
)

// newForeign is a foreign device about to be stored.
type newForeign struct {
	user, uid           uuid.UUID
	issuer, owner, name string
	at                  time.Time
	ip                  netip.Addr
}

// addForeign stores a device that the store does not know, and the account of its user where he has none. s is read
// before, and the lock of storingOf is held. Errors: ErrEndedForGood where the device, or others of a user who was
// removed, ended with him and are not marked yet; as Accounts.Foreign; and the store's.
func (r *Registry) addForeign(ctx context.Context, n newForeign, s set, guard db.Txn, events ...activity.Event) (Record, error) {
	if r.Accounts == nil {
		return Record{}, ErrNotFound
	}
	account, generation, more, unfit := r.Accounts.Foreign(ctx, n.user, n.issuer, n.owner)
	if unfit != nil && !errors.Is(unfit, ErrNameTaken) && !errors.Is(unfit, ErrNotFound) {
		return Record{}, unfit
	}
	// The index must know what the account has just told: that the user was removed or that everything of his ended.
	_, at, err := r.Store.Range(ctx, deviceRowKey(n.uid), deviceRowKey(n.uid)+"\x00", 1)
	if err != nil {
		return Record{}, err
	}
	if err := r.Index.reach(ctx, at); err != nil {
		return Record{}, err
	}
	if r.Index.endedUnmarked(n.user, n.uid) {
		return Record{}, ErrEndedForGood
	}
	if unfit != nil {
		return Record{}, unfit
	}
	rec := r.foreignRecord(n, s.ordinal, generation)
	guard.If = append(append(guard.If, account.If...), db.Absent(deviceRowKey(n.uid)))
	guard.Writes = append(guard.Writes, account.Writes...)
	txn := s.txn(s.ordinal+1, guard, db.Put(deviceKey(n.user, n.uid), rec.encode()), db.Put(deviceRowKey(n.uid), rec.row().encode()))
	_, err = r.Activity.Commit(ctx, txn, append(more, events...)...)
	return rec, err
}

// endedUnmarked reports whether a device that the store does not know has ended with everything of its user, or
// whether devices of a user who was removed wait for their marks: with a new account they would come back.
func (x *Index) endedUnmarked(user, device uuid.UUID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	u, known := x.users[user]
	if !known {
		return len(x.foreign[user]) > 0
	}
	at, there := x.devices[device]
	return there && x.slots[at].user == user && (x.slots[at].ended != 0 || x.slots[at].generation < u.generation)
}

func (r *Registry) foreignRecord(n newForeign, ordinal uint64, generation uint32) Record {
	at, ip := n.at.UTC().Truncate(time.Millisecond), ""
	if n.ip.IsValid() {
		ip = n.ip.String()
	}
	return Record{
		UID: n.uid, User: n.user, Name: n.name, Issuer: n.issuer, IPAddress: ip, LastIP: ip,
		CreatedAt: at, SignedInAt: at, LastSeen: at, ExpiresAt: r.Index.rules().expiry(at),
		Ordinal: ordinal, Generation: generation, Tokens: 1,
		CanUpdateOthers: r.CanUpdateOthers, CanDeleteOthers: r.CanDeleteOthers,
	}
}
