package device

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
)

// ErrMaxDevices means: the user has as many devices as he may, and OnLimit is Refuse.
var ErrMaxDevices = errors.New("the user has as many devices as allowed")

// New is a sign-in about to become a device.
type New struct {
	UID        uuid.UUID // of the device, unless it is a known one
	User       uuid.UUID
	Generation uint32 // the user's
	Name       string // what the app calls it; empty: a new device gets Guess, a known one keeps its name
	Guess      string
	UserAgent  string
	IPAddress  string

	// Country, Region and City are where it signs in from, as far as is known.
	Country, Region, City string

	// By is who signs in; Event is told which device it became, and returns the event of the sign-in.
	By    activity.By
	Event func(Record) activity.Event

	// Proves reports whether the sign-in proves to be this live device of the user; nil: it proves none.
	Proves func(Record) bool
	// Issue makes the tokens for a generation of a device's and returns the hashes of the refresh token and
	// of its cookie (nil: it keeps the one it has). It may be called for a transaction that does not happen.
	Issue func(device uuid.UUID, generation uint32) (refreshHash, cookieHash []byte, err error)
	// Expires returns when a device signed in now ends.
	Expires func(signedIn time.Time) time.Time
}

// Add signs a device in and makes room for it within limit, all in one transaction with the conditions
// and writes of guard, so that no race gets round the limit. A sign-in that proves to be a known device
// keeps it, with its name, rights and age, and ends its tokens. Those put out have ended also beside an
// error, when there were too many for one transaction and only a later one failed. Errors: ErrMaxDevices,
// and the store's.
//
// When another request changed the user or his devices meanwhile it returns db.ErrConflict and nothing
// has happened but that: the caller reads the user again and decides anew.
func (r *Registry) Add(ctx context.Context, n New, limit Limit, guard db.Txn) (Record, error) {
	s, err := r.shrink(ctx, n, limit, guard.If)
	if err != nil {
		return Record{}, err
	}
	known, others := r.known(s, n)
	out, err := limit.surplus(others, 1, r.seen)
	if err != nil {
		return Record{}, err
	}
	rec, ordinal := r.record(n, s.ordinal), s.ordinal+1
	if known != nil {
		rec, ordinal = r.again(n, *known), s.ordinal
	}
	if rec.Refresh.Current, rec.Cookie, err = n.Issue(rec.UID, rec.Tokens); err != nil {
		return Record{}, err
	}
	if known != nil && rec.Cookie == nil {
		rec.Cookie = known.Cookie
	}
	txn := s.txn(ordinal, guard,
		db.Put(deviceKey(n.User, rec.UID), rec.encode()), db.Put(deviceRowKey(rec.UID), rec.row().encode()))
	if known == nil {
		txn.If = append(txn.If, db.Absent(deviceRowKey(rec.UID)))
	}
	cause := Cause{Replaced, n.By}
	txn.Writes = append(txn.Writes, r.endAll(out, cause.Why)...)
	// Those put out come first: who reads the history sees them go before the one who came.
	if _, err := r.Activity.Commit(ctx, txn, append(cause.events(out), n.Event(rec))...); err != nil {
		return Record{}, err
	}
	return rec, nil
}

// shrink loads the user's devices and, where a lowered limit left more over it than one transaction can
// end, ends the surplus in batches first, each while guard holds.
func (r *Registry) shrink(ctx context.Context, n New, limit Limit, guard []db.Condition) (s set, err error) {
	for {
		if s, err = r.load(ctx, n.User); err != nil {
			return set{}, err
		}
		_, others := r.known(s, n)
		out, err := limit.surplus(others, 1, r.seen)
		if err != nil || len(out) <= endsPerTxn {
			return s, err
		}
		if err := r.commitEnds(ctx, s, db.Txn{If: guard}, out[:endsPerTxn], Cause{Replaced, n.By}); err != nil {
			return set{}, err
		}
	}
}

// known finds the device that the sign-in proves to be, and returns the others beside it. A device that a
// check has refused for its change of address has ended, though that may not be written yet.
func (r *Registry) known(s set, n New) (known *Record, others []Record) {
	if n.Proves == nil {
		return nil, s.live
	}
	i := slices.IndexFunc(s.live, func(rec Record) bool {
		return n.Proves(rec) && !r.Index.sightings.compromised(rec.UID, rec.Tokens)
	})
	if i < 0 {
		return nil, s.live
	}
	return &s.live[i], slices.Delete(slices.Clone(s.live), i, i+1)
}

// Proven reports whether device is a live one of user's that proves accepts, and no check has refused it
// for its change of address.
func (r *Registry) Proven(ctx context.Context, user, device uuid.UUID, proves func(Record) bool) (bool, error) {
	rec, err := r.Get(ctx, user, device)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && proves(rec) && !r.Index.sightings.compromised(rec.UID, rec.Tokens), err
}

// record is a new device.
func (r *Registry) record(n New, ordinal uint64) Record {
	now := r.Now().UTC().Truncate(time.Millisecond)
	name := n.Name
	if name == "" {
		name = n.Guess
	}
	return Record{
		UID: n.UID, User: n.User, Generation: n.Generation, Ordinal: ordinal, Tokens: 1,
		Name: name, UserAgent: n.UserAgent, IPAddress: n.IPAddress, LastIP: n.IPAddress,
		CreatedAt: now, SignedInAt: now, LastSeen: now, ExpiresAt: n.Expires(now).UTC().Truncate(time.Millisecond),
		CanUpdateOthers: r.CanUpdateOthers, CanDeleteOthers: r.CanDeleteOthers,
		Country: n.Country, Region: n.Region, City: n.City,
		Refresh: Refresh{RotatedAt: now},
	}
}

// again is a known device that signed in again.
func (r *Registry) again(n New, rec Record) Record {
	now := r.Now().UTC().Truncate(time.Millisecond)
	if n.Name != "" {
		rec.Name = n.Name
	}
	rec.Tokens++
	rec.UserAgent, rec.LastIP, rec.LastSeen, rec.SignedInAt = n.UserAgent, n.IPAddress, now, now
	rec.Country, rec.Region, rec.City = n.Country, n.Region, n.City
	rec.ExpiresAt = n.Expires(now).UTC().Truncate(time.Millisecond)
	rec.Refresh = Refresh{RotatedAt: now}
	return rec
}
