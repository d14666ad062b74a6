package login

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"slices"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/identity"
	"devicegate/reason"
)

// errOfLocal: a local user has the name.
var errOfLocal = errors.New("a local user has the name")

// claim returns what a transaction must hold and write so that user is found by name. Another user of an issuer who
// has it, or a spelling of it, keeps it, and nothing is to be written then: issuers tell their users apart by more
// than we do by names. Errors: errOfLocal, and the store's.
func (us *Users) claim(ctx context.Context, user uuid.UUID, name string) (txn db.Txn, err error) {
	e, err := us.Store.Get(ctx, nameKey(name))
	if errors.Is(err, db.ErrNotFound) {
		return db.Txn{If: []db.Condition{db.Absent(nameKey(name))}, Writes: []db.Write{db.Put(nameKey(name), []byte(user.String()))}}, nil
	}
	if err != nil {
		return txn, err
	}
	holder, err := us.idOf(ctx, nameKey(name))
	if err != nil || holder == user {
		return txn, err
	}
	other, err := us.ByID(ctx, holder)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return txn, err
	}
	if err == nil && other.Issuer == "" {
		return txn, errOfLocal
	}
	return db.Txn{If: []db.Condition{db.Unchanged(e)}}, nil
}

// names returns the writes that remove the names by which an account alone is found.
func (us *Users) dropNames(ctx context.Context, u User) ([]db.Write, error) {
	var writes []db.Write
	for _, name := range []string{u.Name, u.Owner} {
		if name == "" {
			continue
		}
		holder, err := us.idOf(ctx, nameKey(name))
		if err != nil {
			return nil, err
		}
		if w := db.Delete(nameKey(name)); holder == u.ID && !slices.Contains(deleted(writes), w.Key) {
			writes = append(writes, w)
		}
	}
	return writes, nil
}

func deleted(writes []db.Write) (keys []string) {
	for _, w := range writes {
		keys = append(keys, w.Key)
	}
	return keys
}

// ForeignSession is what a refresh token of another issuer vouches for.
type ForeignSession struct {
	User, Device uuid.UUID
	Generation   uint32
	Identity     *identity.Foreign
	ID           [sha256.Size]byte // of the token, however its signature is spelled
}

// Foreign verifies refresh tokens of other issuers that are exchanged for ours. Every reason but OK refuses.
type Foreign interface {
	Refresh(raw string) (ForeignSession, reason.Reason)
}

// Foreign implements device.Accounts: a user of another issuer has an account here, so that he can be seen,
// disabled and removed, and so that nobody else gets his name. It has no password and no roles.
func (us *Users) Foreign(ctx context.Context, user uuid.UUID, issuer, owner string) (txn db.Txn, generation uint32, events []activity.Event, err error) {
	u, e, err := us.byID(ctx, user)
	switch {
	case err == nil && u.Disabled:
		return txn, 0, nil, device.ErrNotFound
	case err == nil:
		return db.Txn{If: []db.Condition{db.Unchanged(e)}}, u.Generation, nil, nil
	case !errors.Is(err, ErrNoUser):
		return txn, 0, nil, err
	}
	name, err := us.claim(ctx, user, owner)
	if errors.Is(err, errOfLocal) {
		return txn, 0, nil, device.ErrNameTaken
	}
	if err != nil {
		return txn, 0, nil, err
	}
	u = User{ID: user, Name: owner, Owner: owner, Roles: []string{}, Generation: 1, Issuer: issuer, CreatedAt: us.now()}
	txn = u.txn(db.Txn{If: append(name.If, db.Absent(userKey(user))), Writes: name.Writes})
	return txn, u.Generation, []activity.Event{u.event(activity.By{Actor: activity.ByService}, UserCreated)}, nil
}

// VerifyForeign returns nil for a refresh token of another issuer that Refresh would exchange now. It changes nothing.
func (s *Service) VerifyForeign(ctx context.Context, token string) error {
	if s.foreign == nil {
		return ErrTokenNotValid
	}
	from, why := s.foreign.Refresh(token)
	if why != reason.OK {
		return &RefusedError{Reason: why}
	}
	use := device.Use{User: from.User, Device: from.Device, Generation: from.Generation, At: s.now(), Foreign: from.Identity}
	if _, why := s.Devices.Index.Peek(use); why != reason.OK {
		return &RefusedError{Reason: why}
	}
	rec, err := s.Devices.Get(ctx, from.User, from.Device)
	switch {
	case errors.Is(err, device.ErrNotFound):
		return nil // a check would register it
	case err != nil:
		return err
	case rec.Exchanged != nil:
		return ErrTokenNotValid
	}
	return nil
}

// errExchanged: the device has got its first tokens of ours already.
var errExchanged = errors.New("the device's refresh token was exchanged before")

// exchange answers a refresh token of another issuer with a pair of ours, once for each device. From then on the
// device is like one that signed in here. Its first exchange gives the account the name and the roles that the
// token says; from then on they are ours to change. Errors: as Refresh.
func (s *Service) exchange(ctx context.Context, token string, client Client) (Session, error) {
	from, why := s.foreign.Refresh(token)
	if why != reason.OK {
		return Session{}, &RefusedError{Reason: why}
	}
	use := device.Use{User: from.User, Device: from.Device, Generation: from.Generation, From: client.IP, At: s.now(), Foreign: from.Identity}
	if _, why := s.Devices.Index.Check(use); why != reason.OK {
		return Session{}, &RefusedError{Reason: why}
	}
	first, err := s.refresh.first(from.Device, from.Generation, s.rand)
	if err != nil {
		return Session{}, err
	}
	// It is in the index; the account may wait to be stored with it.
	if _, err := s.Devices.Get(ctx, from.User, from.Device); err != nil && !errors.Is(err, device.ErrNotFound) {
		return Session{}, err
	}
	session, err := s.moveOver(ctx, from, first, client)
	switch {
	case errors.Is(err, errReuse):
		return Session{}, s.compromised(ctx, from.User, presented{device: from.Device, generation: from.Generation}, client)
	case errors.Is(err, errExchanged):
		return Session{}, ErrTokenNotValid
	case errors.Is(err, device.ErrNotFound), errors.Is(err, ErrNoUser):
		return Session{}, s.whyGone(from.User, presented{device: from.Device, generation: from.Generation})
	}
	return session, err
}

// moveOver changes the account and the device in one transaction.
func (s *Service) moveOver(ctx context.Context, from ForeignSession, first string, client Client) (session Session, err error) {
	_, err = s.Users.change(ctx, from.User, func(u *User) (db.Txn, []activity.Event, error) {
		txn, err := s.Users.moveIn(ctx, u, from.Identity)
		if err != nil {
			return db.Txn{}, nil, err
		}
		// The access token comes first: when it cannot be made, the refresh token is not used up.
		session, err = s.session(*u, from.Device, from.Generation, first)
		return txn, []activity.Event{exchanged(*u, from, client)}, err
	}, func(_ User, txn db.Txn, events []activity.Event) error {
		_, err := s.Devices.UpdateWith(ctx, from.User, from.Device, txn, func(rec *device.Record) error {
			return s.takeOver(rec, from, first, client)
		}, events...)
		return err
	})
	return session, err
}

// Exchanged is the reason of the event of a device that got its first tokens of ours for one of its issuer.
const Exchanged = "exchanged"

func exchanged(u User, from ForeignSession, client Client) activity.Event {
	by := activity.By{IP: client.IP, UserAgent: client.UserAgent}
	e := by.Event(activity.SignIn, Exchanged)
	e.User, e.Device, e.NameTried = u.ID, from.Device, u.Name
	return e
}

// likeOwner matches names that a user of some issuer could have: "issuer:user_id".
var likeOwner = regexp.MustCompile(`^[a-z0-9-]{1,32} ?:`)

// moveIn gives an account the name and roles of a token, the first time. That a local user has the name was
// refused before; that one has just got it is now.
func (us *Users) moveIn(ctx context.Context, u *User, f *identity.Foreign) (txn db.Txn, err error) {
	if !u.MovedAt.IsZero() {
		return txn, nil
	}
	u.MovedAt, u.Roles = us.now(), f.Roles
	if u.Roles == nil {
		u.Roles = []string{}
	}
	txn, err = us.claim(ctx, u.ID, f.Name)
	switch {
	case err == nil && f.Name != f.Owner && likeOwner.MatchString(FoldName(f.Name)):
		return db.Txn{}, nil // it could be a user of an issuer that is configured later
	case errors.Is(err, errOfLocal):
		return txn, &RefusedError{Reason: reason.TokenUnverified}
	case err != nil:
		return txn, err
	case len(txn.Writes) > 0 || nameKey(f.Name) == nameKey(u.Name):
		u.Name = f.Name // otherwise another user of an issuer has it, and this one stays issuer:user_id
	}
	return txn, nil
}

// takeOver gives a device its first refresh token of ours. The same token of theirs once more is reuse: somebody
// has a copy. Inside the grace it is only refused, because clients try again.
func (s *Service) takeOver(rec *device.Record, from ForeignSession, first string, client Client) error {
	now := s.Users.now()
	if rec.Exchanged != nil {
		if bytes.Equal(rec.Exchanged, from.ID[:]) && now.Sub(rec.SignedInAt) > s.config.RefreshGrace {
			return errReuse
		}
		return errExchanged
	}
	rec.Exchanged = from.ID[:]
	rec.Refresh = device.Refresh{Current: hashRefresh(first), RotatedAt: now}
	rec.SignedInAt, rec.ExpiresAt = now, s.expiry(now)
	rec.LastSeen, rec.LastIP = now, text(client.IP)
	if rec.UserAgent == "" {
		rec.UserAgent = cut(client.UserAgent, device.MaxUserAgent)
	}
	return nil
}

// knows reports whether anybody has seen a device.
func (s *Service) knows(dev uuid.UUID) bool {
	_, known := s.Devices.Index.Owner(dev)
	return known
}

// revokeForeign signs out the device that a refresh token of another issuer belongs to, for good. What cannot be
// verified is no error (RFC 7009 section 2.2).
func (s *Service) revokeForeign(ctx context.Context, token string, client Client) error {
	from, why := s.foreign.Refresh(token)
	if why.Outcome() == reason.Unavailable {
		return &RefusedError{Reason: why}
	}
	if why != reason.OK {
		return nil
	}
	use := device.Use{User: from.User, Device: from.Device, Generation: from.Generation, From: client.IP, At: s.now(), Foreign: from.Identity}
	cause := device.Cause{Why: device.Logout, By: byDevice(from.Device, client)}
	switch _, why := s.Devices.Index.Peek(use); {
	case why.Outcome() == reason.Unavailable:
		return &RefusedError{Reason: why}
	case !s.knows(from.Device):
		err := s.Devices.EndUnknown(ctx, from.User, from.Device, cause)
		if !errors.Is(err, db.ErrConflict) {
			return err
		}
	case why != reason.OK:
		return nil // it has ended
	}
	return s.Logout(ctx, device.Subject{User: from.User, Device: from.Device, Generation: from.Generation}, client)
}
