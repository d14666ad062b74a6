package device

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
)

// ErrNotFound means: the user has no such live device. Another user's device is simply not there.
var ErrNotFound = errors.New("no such device")

// endsPerTxn bounds how many devices one transaction ends (two writes each, and two for the event), so that
// it stays under the limits of the seam together with what else a sign-in writes.
const endsPerTxn = 5

// maxRetries bounds how often a change is tried again because somebody else changed the same records.
const maxRetries = 100

// Registry changes devices. Each change is one transaction, and when a method has returned without an
// error the index knows it: the next check sees it.
type Registry struct {
	Store db.Store
	Index *Index
	Now   func() time.Time
	// Activity takes the event of every end, in the transaction of the end.
	Activity *activity.Log
	// Accounts makes the accounts of the users of other issuers; nil where there are none.
	Accounts Accounts
	// Keep is how long the row of an ended device stays: the life of an access token and the leeway.
	Keep time.Duration
	// Rules say what devices of one user may do to each other.
	Rules Rules
	// CanUpdateOthers and CanDeleteOthers are the rights of a new device.
	CanUpdateOthers, CanDeleteOthers bool
}

func listKey(user uuid.UUID) string           { return "l/" + user.String() }
func devicePrefix(user uuid.UUID) string      { return "d/" + user.String() + "/" }
func deviceKey(user, device uuid.UUID) string { return devicePrefix(user) + device.String() }

// set is the devices of one user as they stood, with what a transaction needs to be sure that they
// still stand so.
type set struct {
	list    db.Entry // revision 0 when the user never had a device
	ordinal uint64   // of the next device
	live    []Record // newest first
	user    db.Entry // the row that says which generation lives; key "" where only the list was read
}

// load reads the set. The list is read first: every change of the set rewrites it, so a transaction that
// demands it unchanged is sure of the devices read after it.
func (r *Registry) load(ctx context.Context, user uuid.UUID) (set, error) {
	if err := r.settle(ctx, user); err != nil {
		return set{}, err
	}
	s, err := r.list(ctx, user)
	if err != nil {
		return set{}, err
	}
	if s.user, err = r.userRow(ctx, user); err != nil {
		return set{}, err
	}
	now := r.Now()
	var recs []Record
	at, err := db.Each(ctx, r.Store, devicePrefix(user), func(e db.Entry) error {
		rec, err := decodeRecord(e.Key, e.Value)
		recs = append(recs, rec)
		return err
	})
	if err != nil {
		return set{}, err
	}
	if err := r.Index.reach(ctx, at); err != nil {
		return set{}, err
	}
	s.live = slices.DeleteFunc(recs, func(rec Record) bool { return !r.Index.lives(user, rec.UID, now) })
	slices.SortFunc(s.live, func(a, b Record) int { return cmp.Compare(b.Ordinal, a.Ordinal) })
	return s, nil
}

// userRow reads the user's row, before the devices: it is not the list that says that all of them ended.
func (r *Registry) userRow(ctx context.Context, user uuid.UUID) (db.Entry, error) {
	e, err := r.Store.Get(ctx, UserRowKey(user))
	if errors.Is(err, db.ErrNotFound) {
		return db.Entry{Key: UserRowKey(user)}, nil
	}
	return e, err
}

// list reads the device list alone.
func (r *Registry) list(ctx context.Context, user uuid.UUID) (set, error) {
	s := set{list: db.Entry{Key: listKey(user)}, ordinal: 1}
	e, err := r.Store.Get(ctx, s.list.Key)
	switch {
	case err == nil && len(e.Value) == 8:
		s.list, s.ordinal = e, binary.BigEndian.Uint64(e.Value)
	case err == nil:
		return set{}, fmt.Errorf("the record %q cannot be read", e.Key)
	case !errors.Is(err, db.ErrNotFound):
		return set{}, err
	}
	return s, nil
}

// touch returns the condition and the write that serialise a change of the set.
func (s set) touch(next uint64) (db.Condition, db.Write) {
	return db.Unchanged(s.list), db.Put(s.list.Key, binary.BigEndian.AppendUint64(nil, next))
}

// txn is a change of the set: it holds while the set is as it was read and guard holds.
func (s set) txn(next uint64, guard db.Txn, writes ...db.Write) db.Txn {
	unchanged, touch := s.touch(next)
	conditions := append([]db.Condition{unchanged}, guard.If...)
	if s.user.Key != "" {
		conditions = append(conditions, db.Unchanged(s.user))
	}
	return db.Txn{
		If:     conditions,
		Writes: append(append([]db.Write{touch}, guard.Writes...), writes...),
	}
}

// endAll returns the writes that end several devices.
func (r *Registry) endAll(recs []Record, why EndReason) []db.Write {
	var writes []db.Write
	for _, rec := range recs {
		writes = append(writes, r.end(rec, why)...)
	}
	return writes
}

// end returns the writes that end one device for why.
func (r *Registry) end(rec Record, why EndReason) []db.Write {
	row := rec.row()
	row.ended, row.until = why, r.Now().Add(r.Index.keepOf(row.foreign)).UnixMilli()
	return []db.Write{db.Put(deviceRowKey(rec.UID), row.encode()), db.Delete(deviceKey(rec.User, rec.UID))}
}

// LastUse returns when and from where the device was last used: by a check, a sign-in or a refresh.
func (r *Registry) LastUse(rec Record) (at time.Time, from string) {
	at, addr := r.Index.LastUse(rec.UID)
	if !at.After(rec.LastSeen) {
		return rec.LastSeen, rec.LastIP
	}
	if !addr.IsValid() {
		return at, rec.LastIP
	}
	return at, addr.String()
}

func (r *Registry) seen(rec Record) time.Time {
	at, _ := r.LastUse(rec)
	return at
}

// List returns the live devices of user, newest first.
func (r *Registry) List(ctx context.Context, user uuid.UUID) ([]Record, error) {
	s, err := r.load(ctx, user)
	return s.live, err
}

// Get returns one live device of user, or ErrNotFound.
func (r *Registry) Get(ctx context.Context, user, device uuid.UUID) (Record, error) {
	rec, _, err := r.get(ctx, user, device)
	return rec, err
}

func (r *Registry) get(ctx context.Context, user, device uuid.UUID) (Record, db.Entry, error) {
	if err := r.settle(ctx, user); err != nil {
		return Record{}, db.Entry{}, err
	}
	key := deviceKey(user, device)
	found, at, err := r.Store.Range(ctx, key, key+"\x00", 1)
	if err != nil {
		return Record{}, db.Entry{}, err
	}
	if err := r.Index.reach(ctx, at); err != nil {
		return Record{}, db.Entry{}, err
	}
	if len(found) == 0 || !r.Index.lives(user, device, r.Now()) {
		return Record{}, db.Entry{}, ErrNotFound
	}
	rec, err := decodeRecord(key, found[0].Value)
	return rec, found[0], err
}

// Stored returns a device of user as the store has it at this moment, or ErrNotFound. Unlike Get it writes nothing, and does
// not say whether the device lives.
func (r *Registry) Stored(ctx context.Context, user, device uuid.UUID) (Record, error) {
	e, err := r.Store.Get(ctx, deviceKey(user, device))
	if errors.Is(err, db.ErrNotFound) {
		return Record{}, ErrNotFound
	}
	if err != nil {
		return Record{}, err
	}
	return decodeRecord(e.Key, e.Value)
}

// Update changes one live device through change, which may be called again when somebody else changed
// the record meanwhile; its error is returned as it is and nothing is written. What change does to
// UID, User, Ordinal, Generation, Tokens or CreatedAt is ignored.
func (r *Registry) Update(ctx context.Context, user, device uuid.UUID, change func(*Record) error) (Record, error) {
	return retry(func() (Record, error) { return r.UpdateWith(ctx, user, device, db.Txn{}, change) })
}

// UpdateWith is one attempt of Update, together with guard and events. Errors: as Update, and db.ErrConflict
// when something changed meanwhile.
func (r *Registry) UpdateWith(ctx context.Context, user, device uuid.UUID, guard db.Txn, change func(*Record) error, events ...activity.Event) (Record, error) {
	s, err := r.list(ctx, user)
	if err != nil {
		return Record{}, err
	}
	rec, entry, err := r.get(ctx, user, device)
	if err != nil {
		return Record{}, err
	}
	next := rec
	if err := change(&next); err != nil {
		return Record{}, err
	}
	next.UID, next.User, next.Ordinal, next.CreatedAt = rec.UID, rec.User, rec.Ordinal, rec.CreatedAt
	next.Generation, next.Tokens, next.Issuer = rec.Generation, rec.Tokens, rec.Issuer
	guard.If = append(guard.If[:len(guard.If):len(guard.If)], db.Unchanged(entry))
	// It changes the set: a sign-in that took the device for expired a moment ago must not find it
	// alive beside its own.
	txn := s.txn(s.ordinal, guard,
		db.Put(entry.Key, next.encode()), db.Put(deviceRowKey(device), next.row().encode()))
	// A user who is disabled meanwhile must not get his device back with a later expiry.
	if err := r.guardUser(ctx, user, rec.Generation, &txn); err != nil {
		return Record{}, err
	}
	_, err = r.Activity.Commit(ctx, txn, events...)
	return next, err
}

// SetPlace writes where rec signed in from, unless somebody signed in on it since. Errors: as Update.
func (r *Registry) SetPlace(ctx context.Context, rec Record, country, region, city string) error {
	_, err := r.Update(ctx, rec.User, rec.UID, func(now *Record) error {
		if now.Tokens != rec.Tokens {
			return ErrNotFound
		}
		now.Country, now.Region, now.City = country, region, city
		return nil
	})
	return err
}

// guardUser adds the condition that the user's row is unchanged and checks that it lets devices of
// generation live.
func (r *Registry) guardUser(ctx context.Context, user uuid.UUID, generation uint32, txn *db.Txn) error {
	e, err := r.Store.Get(ctx, UserRowKey(user))
	if errors.Is(err, db.ErrNotFound) {
		return ErrNotFound
	}
	if err != nil {
		return err
	}
	row, err := decodeUserRow(e.Value)
	if err != nil {
		return err
	}
	if row.Disabled || generation < row.Generation {
		if err := r.Index.reach(ctx, e.Revision); err != nil {
			return err
		}
		return ErrNotFound
	}
	txn.If = append(txn.If, db.Unchanged(e))
	return nil
}

// End ends one device of user, or returns ErrNotFound when it is not live: then somebody else has ended
// it already.
func (r *Registry) End(ctx context.Context, user, device uuid.UUID, cause Cause) error {
	n, err := r.EndWhere(ctx, user, cause, func(rec Record) bool { return rec.UID == device })
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// EndTokens is End while the device's tokens are of generation: whoever signed in on the device since then
// keeps it.
func (r *Registry) EndTokens(ctx context.Context, user, device uuid.UUID, generation uint32, cause Cause) error {
	n, err := r.EndWhere(ctx, user, cause, func(rec Record) bool { return rec.UID == device && rec.Tokens == generation })
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// EndWhere ends every live device of user that which picks, and returns how many that were. More than a
// few are ended in several transactions; on an error those already ended stay ended.
func (r *Registry) EndWhere(ctx context.Context, user uuid.UUID, cause Cause, which func(Record) bool) (int, error) {
	total := 0
	for {
		ended, err := retry(func() (int, error) { return r.endSome(ctx, user, cause, which) })
		total += ended
		if err != nil || ended < endsPerTxn {
			return total, err
		}
	}
}

func (r *Registry) endSome(ctx context.Context, user uuid.UUID, cause Cause, which func(Record) bool) (int, error) {
	s, err := r.load(ctx, user)
	if err != nil {
		return 0, err
	}
	var ended []Record
	for _, rec := range s.live {
		if len(ended) < endsPerTxn && which(rec) {
			ended = append(ended, rec)
		}
	}
	if len(ended) == 0 {
		return 0, nil
	}
	if err := r.commitEnds(ctx, s, db.Txn{}, ended, cause); err != nil {
		return 0, err
	}
	return len(ended), nil
}

// commitEnds ends recs, which are at most endsPerTxn, while guard holds and the set is as it was read.
func (r *Registry) commitEnds(ctx context.Context, s set, guard db.Txn, recs []Record, cause Cause, more ...activity.Event) error {
	_, err := r.Activity.Commit(ctx, s.txn(s.ordinal, guard, r.endAll(recs, cause.Why)...), append(more, cause.events(recs)...)...)
	return err
}

// EndAll ends all devices of user in one write and with one event: guard raises the generation of the user.
// It returns how many lived. Where none did, nothing is written. Errors: db.ErrConflict when something
// changed meanwhile, and the store's.
func (r *Registry) EndAll(ctx context.Context, user uuid.UUID, guard db.Txn, cause Cause) (int, error) {
	s, err := r.load(ctx, user)
	if err != nil || len(s.live) == 0 {
		return 0, err
	}
	if _, err := r.Activity.Commit(ctx, s.txn(s.ordinal, guard), cause.Event(user, uuid.UUID{})); err != nil {
		return 0, err
	}
	return len(s.live), nil
}

// EndWith commits guard, which raises the generation of user, and events; where devices of his end by that,
// with one event for all of them. Errors: as EndAll.
func (r *Registry) EndWith(ctx context.Context, user uuid.UUID, guard db.Txn, cause Cause, events ...activity.Event) error {
	s, err := r.load(ctx, user)
	if err != nil {
		return err
	}
	_, err = r.Activity.Commit(ctx, s.txn(s.ordinal, guard), s.ending(cause, user, 0, events)...)
	return err
}

// Drop is EndWith for a guard that removes the user: his device list goes with him.
func (r *Registry) Drop(ctx context.Context, user uuid.UUID, guard db.Txn, cause Cause, events ...activity.Event) error {
	s, err := r.load(ctx, user)
	if err != nil {
		return err
	}
	txn := s.txn(s.ordinal, guard)
	txn.Writes[0] = db.Delete(s.list.Key) // instead of touching it
	_, err = r.Activity.Commit(ctx, txn, s.ending(cause, user, 0, events)...)
	return err
}

// ending adds the event of the end of all devices but stay, where there are any.
func (s set) ending(cause Cause, user uuid.UUID, stay int, events []activity.Event) []activity.Event {
	if len(s.live) <= stay {
		return events
	}
	return append(events[:len(events):len(events)], cause.Event(user, uuid.UUID{}))
}

// retry runs attempt again while it loses against others. Each loss means that somebody else got on.
func retry[T any](attempt func() (T, error)) (result T, err error) {
	for range maxRetries {
		if result, err = attempt(); !errors.Is(err, db.ErrConflict) {
			return result, err
		}
	}
	return result, fmt.Errorf("gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}

// Page returns the live devices of all users after the given one, user by user, from up to limit records,
// and where to go on; more is false at the end. A page may be short though more follow.
func (r *Registry) Page(ctx context.Context, user, after uuid.UUID, limit int) (page []Record, lastUser, last uuid.UUID, more bool, err error) {
	from := "d/"
	if user != (uuid.UUID{}) {
		from = deviceKey(user, after) + "\x00"
	}
	entries, at, err := r.Store.Range(ctx, from, db.PrefixEnd("d/"), limit)
	if err != nil {
		return nil, lastUser, last, false, err
	}
	if err := r.Index.reach(ctx, at); err != nil {
		return nil, lastUser, last, false, err
	}
	for _, e := range entries {
		rec, err := decodeRecord(e.Key, e.Value)
		if err != nil {
			return nil, lastUser, last, false, err
		}
		lastUser, last = rec.User, rec.UID
		if r.Index.lives(rec.User, rec.UID, r.Now()) {
			page = append(page, rec)
		}
	}
	return page, lastUser, last, len(entries) == limit, nil
}
