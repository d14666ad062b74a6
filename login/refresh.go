package login

import (
	"bytes"
	"context"
	"errors"

	"github.com/google/uuid"

	"devicegate/activity"
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
	p, ok := s.refresh.parse(token)
	if !ok && s.foreign != nil && !IsRefreshToken(token) {
		return s.exchange(ctx, token, client)
	}
	if !ok {
		return Session{}, ErrTokenNotValid
	}
	user, err := s.use(p, client)
	if err != nil {
		return Session{}, err
	}
	account, err := s.Users.ByID(ctx, user)
	if errors.Is(err, ErrNoUser) { // deleted a moment ago
		return Session{}, s.whyGone(user, p)
	}
	if err != nil {
		return Session{}, err
	}
	// The access token comes first: when it cannot be made, the refresh token is not used up.
	session, err := s.session(account, p.device, p.generation, token)
	if err != nil {
		return Session{}, err
	}
	_, err = s.Devices.Update(ctx, user, p.device, func(rec *device.Record) (err error) {
		session.Refresh, err = s.rotate(rec, p, token, client)
		return err
	})
	switch {
	case errors.Is(err, errReuse):
		return Session{}, s.compromised(ctx, user, p, client)
	case errors.Is(err, device.ErrNotFound):
		return Session{}, s.whyGone(user, p)
	case err != nil:
		return Session{}, err
	}
	return session, nil
}

// rotate changes the record for a presented token and returns the one to use next, or says that the token
// is an old one.
func (s *Service) rotate(rec *device.Record, p presented, token string, client Client) (next string, err error) {
	now := s.Users.now()
	next = s.refresh.successor(p.payload)
	switch s.standing(rec, p) {
	case current:
		if !s.config.RefreshRotation {
			next = token
		} else {
			rec.Refresh = device.Refresh{Current: hashRefresh(next), Previous: p.hash, RotatedAt: now}
		}
		if rec.SignedInAt.After(now) {
			rec.SignedInAt = now // the clock was ahead: max_lifetime must not wait for it to come round again
		}
		rec.ExpiresAt = s.expiry(rec.SignedInAt)
	case inGrace: // the successor was already made; nothing moves on
	default:
		return "", errReuse
	}
	rec.LastSeen, rec.LastIP = now, text(client.IP)
	return next, nil
}

// standing is what a refresh token of a live device is worth.
type standing int

const (
	old     standing = iota // rotated away: using it is reuse
	current                 // the one to use
	inGrace                 // the one before, whose answer may have been lost
)

func (s *Service) standing(rec *device.Record, p presented) standing {
	switch {
	case bytes.Equal(p.hash, rec.Refresh.Current):
		return current
	// Where the clock was set back by more than the grace, nobody knows how old the rotation is: a stolen token must not
	// have its grace for as long as the clock went back.
	case bytes.Equal(p.hash, rec.Refresh.Previous) && s.now().Sub(rec.Refresh.RotatedAt).Abs() <= s.config.RefreshGrace:
		return inGrace
	}
	return old
}

// use notes that a device is used by its refresh token, and returns its owner, or why it is refused.
func (s *Service) use(p presented, client Client) (uuid.UUID, error) {
	user, _ := s.Devices.Index.Owner(p.device)
	if _, why := s.Devices.Index.Check(s.useOf(user, p, client)); why != reason.OK {
		return user, &RefusedError{Reason: why}
	}
	return user, nil
}

func (s *Service) useOf(user uuid.UUID, p presented, client Client) device.Use {
	return device.Use{User: user, Device: p.device, Generation: p.generation, From: client.IP, At: s.now()}
}

// whyGone says why a device that was live a moment ago is not any more.
func (s *Service) whyGone(user uuid.UUID, p presented) error {
	if _, why := s.Devices.Index.Peek(s.useOf(user, p, Client{})); why != reason.OK {
		return &RefusedError{Reason: why}
	}
	return &RefusedError{Reason: reason.DeviceNotRecognized}
}

// compromised ends the device whose old token was used. A device that was signed in on again since is left
// alone: its tokens ended then, and the one who ended them knew the password.
func (s *Service) compromised(ctx context.Context, user uuid.UUID, p presented, client Client) error {
	by := activity.By{Actor: activity.ByService, IP: client.IP, UserAgent: client.UserAgent}
	err := s.Devices.EndTokens(ctx, user, p.device, p.generation, device.Cause{Why: device.RefreshReuse, By: by})
	if err != nil && !errors.Is(err, device.ErrNotFound) {
		return err
	}
	return s.whyGone(user, p)
}

// VerifyRefresh returns nil for a refresh token that Refresh would answer now. It changes nothing.
func (s *Service) VerifyRefresh(ctx context.Context, token string) error {
	p, ok := s.refresh.parse(token)
	if !ok {
		return ErrTokenNotValid
	}
	user, _ := s.Devices.Index.Owner(p.device)
	if _, why := s.Devices.Index.Peek(s.useOf(user, p, Client{})); why != reason.OK {
		return &RefusedError{Reason: why}
	}
	rec, err := s.Devices.Get(ctx, user, p.device)
	if errors.Is(err, device.ErrNotFound) {
		return s.whyGone(user, p)
	}
	if err != nil {
		return err
	}
	if st := s.standing(&rec, p); st != current && st != inGrace {
		return ErrTokenNotValid
	}
	return nil
}

// Revoke signs out the device that a refresh token belongs to. A token that this store did not make, or
// whose device is gone already, is no error (RFC 7009 section 2.2). Errors: *RefusedError where it cannot
// be known, and the store's.
func (s *Service) Revoke(ctx context.Context, token string, client Client) error {
	p, ok := s.refresh.parse(token)
	if !ok && s.foreign != nil && !IsRefreshToken(token) {
		return s.revokeForeign(ctx, token, client)
	}
	if !ok {
		return nil
	}
	if why := s.Devices.Index.State(); why != reason.OK {
		return &RefusedError{Reason: why} // an index that is not in step may not know a live device
	}
	user, known := s.Devices.Index.Owner(p.device)
	if !known {
		return nil
	}
	return s.Logout(ctx, device.Subject{User: user, Device: p.device, Generation: p.generation}, client)
}

// Logout ends the caller's device at its own wish, but not what was signed in on it since. That it is gone
// already is no error.
func (s *Service) Logout(ctx context.Context, caller device.Subject, client Client) error {
	cause := device.Cause{Why: device.Logout, By: byDevice(caller.Device, client)}
	err := s.Devices.EndTokens(ctx, caller.User, caller.Device, caller.Generation, cause)
	if err != nil && !errors.Is(err, device.ErrNotFound) {
		return err
	}
	return nil
}

// IsRefreshToken reports whether token has the form of a refresh token of this service.
func IsRefreshToken(token string) bool {
	return len(token) > len(RefreshPrefix) && token[:len(RefreshPrefix)] == RefreshPrefix
}
