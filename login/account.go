package login

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
)

// ErrWrongPassword means: the current password of a password change is not the account's.
var ErrWrongPassword = errors.New("the current password is wrong")

// A password reset token is "dgp_" and the unpadded base64url form of user (16) | secret (32). One at a
// time is kept for a user, as a hash: r/<user>.
const (
	resetPrefix   = "dgp_"
	resetLifetime = time.Hour
)

// reset is the record of an outstanding reset token.
type reset struct {
	Hash      []byte    `json:"hash"`
	ExpiresAt time.Time `json:"expires_at"`
}

func resetKey(user uuid.UUID) string { return "r/" + user.String() }

// ChangePassword sets a new password for the caller's user, who proves the current one, and ends all his
// other devices in the same transaction. newPassword was checked by the caller. A wrong guess is counted
// against the caller's device, as a failed sign-in is. Errors: ErrWrongPassword, *WaitError,
// *device.RuleError where the device is too new, ErrBusy, *RefusedError, and the store's.
func (s *Service) ChangePassword(ctx context.Context, caller device.Subject, current, newPassword string, client Client) error {
	if err := s.Devices.MayChangePassword(ctx, caller); err != nil {
		return s.refusal(caller, err)
	}
	u, err := s.Users.ByID(ctx, caller.User)
	if errors.Is(err, ErrNoUser) || u.Disabled { // since a moment ago
		return s.refusal(caller, device.ErrCallerGone)
	}
	if err != nil {
		return err
	}
	a := s.newAttempt(u.Name, client)
	defer a.done()
	err = s.begin(ctx, a, u.ID, caller.Device)
	if err == nil {
		err = s.prove(ctx, current, u, a)
	}
	if err != nil {
		if err = s.settle(ctx, a, err); errors.Is(err, ErrNoActiveAccount) {
			return ErrWrongPassword
		}
		return err
	}
	hash, err := s.hash(ctx, newPassword)
	if err != nil {
		return err
	}
	return s.refusal(caller, s.replacePassword(ctx, caller, a, u.PasswordHash, hash, client))
}

// replacePassword stores the new hash, while the old one is still there, and keeps only the caller's device.
func (s *Service) replacePassword(ctx context.Context, caller device.Subject, a *attempt, old, hash string, client Client) error {
	by := byDevice(caller.Device, client)
	_, err := s.Users.change(ctx, caller.User, func(now *User) (db.Txn, []activity.Event, error) {
		if now.PasswordHash != old {
			return db.Txn{}, nil, ErrWrongPassword // somebody else has just changed it
		}
		txn, err := a.try.Succeed(ctx)
		if err != nil {
			return db.Txn{}, nil, err
		}
		now.PasswordHash = hash
		now.raise(device.PasswordChanged, s.Users.now())
		txn.Writes = append(txn.Writes, dropReset(caller.User))
		return txn, []activity.Event{passwordEvent(now.ID, by)}, nil
	}, func(now User, txn db.Txn, events []activity.Event) error {
		return s.Devices.KeepOnly(ctx, caller, now.Generation, txn, device.Cause{Why: device.PasswordChanged, By: by}, events...)
	})
	return err
}

// passwordEvent tells that a password was changed. What ended by it is told beside it.
func passwordEvent(user uuid.UUID, by activity.By) activity.Event {
	e := by.Event(activity.PasswordChanged, string(activity.PasswordChanged))
	e.User = user
	return e
}

// dropReset ends an outstanding reset token: whoever got hold of it must not undo the new password.
func dropReset(user uuid.UUID) db.Write { return db.Delete(resetKey(user)) }

func (s *Service) hash(ctx context.Context, newPassword string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	hash, err := s.passwords.Hash(ctx, newPassword)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBusy, err)
	}
	return hash, nil
}

// StartReset makes a token with which the user's password can be set once within an hour. An earlier one
// ends. Errors: ErrNoUser, and the store's.
func (s *Service) StartReset(ctx context.Context, by activity.By, user uuid.UUID) (token string, expires time.Time, err error) {
	u, err := s.Users.ByID(ctx, user)
	if err != nil {
		return "", time.Time{}, err
	}
	b := append(slices.Clone(u.ID[:]), make([]byte, secretSize)...)
	if _, err := io.ReadFull(s.rand, b[len(u.ID):]); err != nil {
		return "", time.Time{}, fmt.Errorf("making a reset token: %w", err)
	}
	token = resetPrefix + base64.RawURLEncoding.EncodeToString(b)
	rec := reset{Hash: hashReset(token), ExpiresAt: s.Users.now().Add(resetLifetime)}
	value, err := json.Marshal(rec)
	if err != nil {
		return "", time.Time{}, err
	}
	for range maxRetries {
		u, e, err := s.Users.byID(ctx, user) // one who is gone leaves nothing behind
		if err != nil {
			return "", time.Time{}, err
		}
		txn := db.Txn{If: []db.Condition{db.Unchanged(e)}, Writes: []db.Write{db.Put(resetKey(user), value)}}
		if _, err = s.activity.Commit(ctx, txn, u.event(by, ResetStarted)); !errors.Is(err, db.ErrConflict) {
			return token, rec.ExpiresAt, err
		}
	}
	return "", time.Time{}, fmt.Errorf("gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}

func hashReset(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Reset sets the password of the user whose reset token this is, once, and ends all his devices. check
// says whether the user of that name may have the new password; it is asked only for a good token. Errors:
// ErrTokenNotValid for a token that is unknown, used or expired, check's, ErrBusy, and the store's.
func (s *Service) Reset(ctx context.Context, token, newPassword string, client Client, check func(name, password string) error) error {
	user, _, err := s.findReset(ctx, token)
	if err != nil {
		return err
	}
	u, err := s.Users.ByID(ctx, user)
	if errors.Is(err, ErrNoUser) {
		return ErrTokenNotValid
	}
	if err != nil {
		return err
	}
	if err := check(u.Name, newPassword); err != nil {
		return err
	}
	hash, err := s.hash(ctx, newPassword)
	if err != nil {
		return err
	}
	by := activity.By{Actor: activity.ByResetToken, IP: client.IP, UserAgent: client.UserAgent}
	_, err = s.Users.change(ctx, user, func(u *User) (db.Txn, []activity.Event, error) {
		_, entry, err := s.findReset(ctx, token) // somebody else may have used it while the hash was computed
		if err != nil {
			return db.Txn{}, nil, err
		}
		u.PasswordHash = hash
		u.raise(device.PasswordChanged, s.Users.now())
		txn := db.Txn{If: []db.Condition{db.Unchanged(entry)}, Writes: []db.Write{dropReset(user)}}
		return txn, []activity.Event{passwordEvent(user, by)}, nil
	}, func(_ User, txn db.Txn, events []activity.Event) error {
		return s.Devices.EndWith(ctx, user, txn, device.Cause{Why: device.PasswordChanged, By: by}, events...)
	})
	if errors.Is(err, ErrNoUser) {
		return ErrTokenNotValid
	}
	if err == nil {
		s.forgetFailures(ctx, u.Name)
	}
	return err
}

// forgetFailures clears the lockout counters of a user who has a new password: what was guessed about the
// old one is worth nothing now, and he must get in.
func (s *Service) forgetFailures(ctx context.Context, name string) {
	if err := s.lockout.ClearName(ctx, NameHash(name)); err != nil {
		s.lost("the lockout counters of a user with a new password could not be cleared", err)
	}
}

func (s *Service) findReset(ctx context.Context, token string) (uuid.UUID, db.Entry, error) {
	encoded, found := strings.CutPrefix(token, resetPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	var user uuid.UUID
	if !found || err != nil || len(b) != len(user)+secretSize {
		return user, db.Entry{}, ErrTokenNotValid
	}
	copy(user[:], b)
	entry, err := s.Users.Store.Get(ctx, resetKey(user))
	if errors.Is(err, db.ErrNotFound) {
		return user, db.Entry{}, ErrTokenNotValid
	}
	if err != nil {
		return user, db.Entry{}, err
	}
	var rec reset
	if err := json.Unmarshal(entry.Value, &rec); err != nil {
		return user, db.Entry{}, fmt.Errorf("the record %q cannot be read: %w", entry.Key, err)
	}
	left := rec.ExpiresAt.Sub(s.now())
	// One that lives longer than any was made by a clock that was ahead; a small step back is no harm.
	if subtle.ConstantTimeCompare(rec.Hash, hashReset(token)) != 1 || left <= 0 || left > 2*resetLifetime {
		return user, db.Entry{}, ErrTokenNotValid
	}
	return user, entry, nil
}
