package login

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/uuid"

	"devicegate/device"
	"devicegate/reason"
)

// errReuse: an old refresh token was presented. Two parties hold the chain, and nobody can tell which
// of them is the owner.
var errReuse = errors.New("a refresh token was used again")

// Refresh answers a refresh token with an access token and the next refresh token. The token it
// presents is the previous one from then on: for the grace it answers with the same successor (the
// client may never have seen the answer), after that its use ends the device, as RFC 9700 section
// 4.14.2 demands. Errors: ErrTokenNotValid, *RefusedError, and the store's.
func (s *Service) Refresh(ctx context.Context, token string, client Client) (Session, error) {
	uid, payload, ok := s.refresh.parse(token)
	if !ok {
		return Session{}, ErrTokenNotValid
	}
	user, err := s.live(uid)
	if err != nil {
		return Session{}, err
	}
	account, err := s.Users.ByID(ctx, user)
	if err != nil {
		return Session{}, err
	}
	// The access token comes first: when it cannot be made, the refresh token is not used up.
	next := s.refresh.successor(payload)
	session, err := s.session(account, uid, next)
	if err != nil {
		return Session{}, err
	}
	_, err = s.Devices.Update(ctx, user, uid, func(rec *device.Record) error {
		return s.rotate(rec, token, next, client)
	})
	switch {
	case errors.Is(err, errReuse):
		return Session{}, s.compromised(ctx, user, uid)
	case errors.Is(err, device.ErrNotFound):
		return Session{}, s.whyGone(user, uid)
	case err != nil:
		return Session{}, err
	}
	return session, nil
}

// rotate changes the record for a presented token, or says that the token is an old one.
func (s *Service) rotate(rec *device.Record, token, next string, client Client) error {
	hash, now := hashRefresh(token), s.Users.now()
	switch s.standing(rec, hash) {
	case current:
		rec.Refresh = device.Refresh{Current: hashRefresh(next), Previous: hash, RotatedAt: now}
		rec.ExpiresAt = s.expiry(rec.CreatedAt)
	case inGrace: // the successor was already made; nothing moves on
	default:
		return errReuse
	}
	rec.LastSeen, rec.LastIP = now, text(client.IP)
	return nil
}

// standing is what a refresh token of a live device is worth.
type standing int

const (
	old     standing = iota // rotated away: using it is reuse
	current                 // the one to use
	inGrace                 // the one before, whose answer may have been lost
)

func (s *Service) standing(rec *device.Record, hash []byte) standing {
	switch {
	case bytes.Equal(hash, rec.Refresh.Current):
		return current
	case bytes.Equal(hash, rec.Refresh.Previous) && s.now().Sub(rec.Refresh.RotatedAt) <= s.config.RefreshGrace:
		return inGrace
	}
	return old
}

// live returns the owner of a device that lives, or why it does not.
func (s *Service) live(uid uuid.UUID) (uuid.UUID, error) {
	user, known := s.Devices.Index.Owner(uid)
	if !known {
		user = uuid.UUID{}
	}
	if _, why := s.Devices.Index.Peek(user, uid, s.now()); why != reason.OK {
		return user, &RefusedError{Reason: why}
	}
	return user, nil
}

// whyGone says why a device that was live a moment ago is not any more.
func (s *Service) whyGone(user, uid uuid.UUID) error {
	if _, why := s.Devices.Index.Peek(user, uid, s.now()); why != reason.OK {
		return &RefusedError{Reason: why}
	}
	return &RefusedError{Reason: reason.DeviceNotRecognized}
}

func (s *Service) compromised(ctx context.Context, user, uid uuid.UUID) error {
	err := s.end(ctx, user, uid, device.RefreshReuse)
	if err != nil && !errors.Is(err, device.ErrNotFound) {
		return err
	}
	return s.whyGone(user, uid)
}

func (s *Service) end(ctx context.Context, user, uid uuid.UUID, why device.EndReason) error {
	err := s.Devices.End(ctx, user, uid, why)
	if err == nil {
		s.journal.Ended(user, uid, why)
	}
	return err
}

// VerifyRefresh returns nil for a refresh token that Refresh would answer now. It changes nothing.
func (s *Service) VerifyRefresh(ctx context.Context, token string) error {
	uid, _, ok := s.refresh.parse(token)
	if !ok {
		return ErrTokenNotValid
	}
	user, err := s.live(uid)
	if err != nil {
		return err
	}
	rec, err := s.Devices.Get(ctx, user, uid)
	if errors.Is(err, device.ErrNotFound) {
		return s.whyGone(user, uid)
	}
	if err != nil {
		return err
	}
	if s.standing(&rec, hashRefresh(token)) == old {
		return ErrTokenNotValid
	}
	return nil
}

// Revoke signs out the device that a refresh token belongs to. A token that this store did not make, or
// whose device is gone already, is no error (RFC 7009 section 2.2). Errors: *RefusedError where it cannot
// be known, and the store's.
func (s *Service) Revoke(ctx context.Context, token string) error {
	uid, _, ok := s.refresh.parse(token)
	if !ok {
		return nil
	}
	if why := s.Devices.Index.State(); why != reason.OK {
		return &RefusedError{Reason: why} // an index that is not in step may not know a live device
	}
	user, known := s.Devices.Index.Owner(uid)
	if !known {
		return nil
	}
	return s.Logout(ctx, user, uid)
}

// Logout ends a device at its own wish. That it is gone already is no error.
func (s *Service) Logout(ctx context.Context, user, uid uuid.UUID) error {
	if err := s.end(ctx, user, uid, device.Logout); err != nil && !errors.Is(err, device.ErrNotFound) {
		return err
	}
	return nil
}

// IsRefreshToken reports whether token has the form of a refresh token of this service.
func IsRefreshToken(token string) bool {
	return len(token) > len(refreshPrefix) && token[:len(refreshPrefix)] == refreshPrefix
}
