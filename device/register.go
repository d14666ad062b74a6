package device

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
)

// Why an admin cannot register a device.
var (
	// ErrEndedForGood means: the device was ended, and does not come back.
	ErrEndedForGood = errors.New("the device was ended and does not come back")
	// ErrOfAnother means: the device belongs to another user.
	ErrOfAnother = errors.New("the device belongs to another user")
)

// DeviceRegistered is the reason of the event of a device that an admin registered.
const DeviceRegistered = "device_registered"

// Registration is a device of another issuer that an admin lets in.
type Registration struct {
	User, Device  uuid.UUID
	Issuer, Owner string // as in identity.Foreign
	Name          string // empty: none, or the one it has
	Limit         int    // the most live devices that the user may have with it
}

// Register stores a device of another issuer, so that the next check of it passes. It is there already: then it
// gets the name, if there is one. Errors: ErrEndedForGood, ErrOfAnother, ErrNameTaken, ErrMaxDevices, ErrNotFound
// where the user is disabled, and the store's.
func (r *Registry) Register(ctx context.Context, n Registration, by activity.By) (Record, error) {
	return retry(func() (Record, error) {
		s, err := r.load(ctx, n.User)
		if err != nil {
			return Record{}, err
		}
		if err := r.Bury(ctx, n.User); err != nil {
			return Record{}, err
		}
		event := by.Event(activity.Admin, DeviceRegistered)
		event.User, event.Device, event.NameTried = n.User, n.Device, n.Owner
		e, err := r.Store.Get(ctx, deviceRowKey(n.Device))
		switch {
		case err == nil:
			return r.registered(ctx, n, e, event)
		case !errors.Is(err, db.ErrNotFound):
			return Record{}, err
		case len(s.live) >= n.Limit:
			return Record{}, ErrMaxDevices
		}
		return r.letIn(ctx, n, s, event)
	})
}

// letIn is one attempt to store a device that the store does not know.
func (r *Registry) letIn(ctx context.Context, n Registration, s set, event activity.Event) (Record, error) {
	storing := r.Index.storingOf(n.User)
	storing.Lock()
	defer storing.Unlock()
	rec, err := r.addForeign(ctx, newForeign{
		user: n.User, uid: n.Device, issuer: n.Issuer, owner: n.Owner, name: n.Name, at: r.Now(),
	}, s, db.Txn{}, event)
	if errors.Is(err, ErrEndedForGood) {
		return Record{}, db.ErrConflict // since a moment ago: the next attempt marks it, and tells
	}
	return rec, err
}

// registered answers for a device that the store knows.
func (r *Registry) registered(ctx context.Context, n Registration, e db.Entry, event activity.Event) (Record, error) {
	row, err := decodeDeviceRow(e.Value)
	if err != nil {
		return Record{}, err
	}
	if row.user != n.User {
		return Record{}, ErrOfAnother
	}
	if !r.Index.lives(n.User, n.Device, r.Now()) {
		if row.foreign && row.ended == 0 && !r.Index.endedWithUser(n.Device) {
			if _, err := r.forget(ctx, n.Device); err != nil { // its time ran out; it may come again
				return Record{}, err
			}
			return Record{}, db.ErrConflict
		}
		return Record{}, ErrEndedForGood
	}
	if n.Name == "" {
		return r.Get(ctx, n.User, n.Device)
	}
	return r.Override(ctx, n.User, n.Device, Change{Name: &n.Name}, event)
}

// Bury leaves a mark for each foreign device of a user who was removed: only then he can have an account again. The
// sweep does it as well. Errors: the store's.
func (r *Registry) Bury(ctx context.Context, user uuid.UUID) error {
	for _, uid := range r.Index.orphans(user) {
		if _, err := r.forget(ctx, uid); err != nil {
			return err
		}
	}
	return nil
}

// orphans returns the foreign devices of a user who has no account.
func (x *Index) orphans(user uuid.UUID) []uuid.UUID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if _, known := x.users[user]; known {
		return nil
	}
	return append([]uuid.UUID(nil), x.foreign[user]...)
}

// markFor returns the write that leaves a mark instead of the row of a device that ended with its user.
func (r *Registry) markFor(key string, row deviceRow) db.Write {
	row.ended, row.until = r.Index.endOfUser(row.user), r.Now().UnixMilli()
	return db.Put(key, row.encode())
}

// endOfUser returns why the devices of a user ended with him.
func (x *Index) endOfUser(user uuid.UUID) EndReason {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if u, known := x.users[user]; known && u.ended != 0 && u.ended != Expired {
		return u.ended
	}
	return RevokedByAdmin
}

// EndUnknown leaves the mark of a device of another issuer that nobody has seen yet, and which has just ended: its
// tokens may be shown for the first time later. That somebody has registered it meanwhile is db.ErrConflict. Errors:
// the store's.
func (r *Registry) EndUnknown(ctx context.Context, user, device uuid.UUID, cause Cause) error {
	storing := r.Index.storingOf(user)
	storing.Lock()
	defer storing.Unlock()
	now := r.Now()
	row := deviceRow{
		user: user, generation: 1, created: now.UnixMilli(), tokens: 1, foreign: true,
		ended: cause.Why, until: now.Add(r.Index.keepOf(true)).UnixMilli(),
	}
	_, err := r.Activity.Commit(ctx, db.Txn{
		If:     []db.Condition{db.Absent(deviceRowKey(device))},
		Writes: []db.Write{db.Put(deviceRowKey(device), row.encode())},
	}, cause.Event(user, device))
	return err
}
