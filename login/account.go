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
// other devices in the same transaction. newPassword was checked by the caller. Errors: ErrWrongPassword
// (counted like a failed sign-in), *device.RuleError where the device is too new, ErrBusy, *RefusedError,
// and the store's.
func (s *Service) ChangePassword(ctx context.Context, caller device.Subject, current, newPassword string, client Client) error {
	if err := s.Devices.MayChangePassword(ctx, caller); err != nil {
		return s.refusal(caller, err)
	}
	u, err := s.Users.ByID(ctx, caller.User)
	if err != nil {
		return err
	}
	attempt := Attempt{NameTried: u.Name, Client: client, Device: caller.Device}
	if err := s.prove(ctx, current, u, &attempt); err != nil {
		s.journal.SignIn(attempt)
		if errors.Is(err, ErrNoActiveAccount) {
			return ErrWrongPassword
		}
		return err
	}
	hash, err := s.hash(ctx, newPassword)
	if err != nil {
		return err
	}
	_, err = s.Users.change(ctx, caller.User, func(now *User) (db.Txn, error) {
		if now.PasswordHash != u.PasswordHash {
			return db.Txn{}, ErrWrongPassword // somebody else has just changed it
		}
		now.PasswordHash = hash
		now.raise(device.PasswordChanged, s.Users.now())
		return dropReset(caller.User), nil
	}, func(now User, txn db.Txn) error { return s.Devices.KeepOnly(ctx, caller, now.Generation, txn) })
	if err == nil {
		s.journal.Ended(caller.User, uuid.UUID{}, device.PasswordChanged)
	}
	return s.refusal(caller, err)
}

// SetPassword sets a user's password for an admin and ends all his devices, in one write. Errors:
// ErrNoUser, ErrBusy, and the store's.
func (s *Service) SetPassword(ctx context.Context, user uuid.UUID, newPassword string) (User, error) {
	hash, err := s.hash(ctx, newPassword)
	if err != nil {
		return User{}, err
	}
	return s.setHash(ctx, user, hash, func() ([]db.Condition, error) { return nil, nil })
}

// setHash stores a password hash and ends every device, while what demand returns holds; demand is asked
// again when something has changed.
func (s *Service) setHash(ctx context.Context, user uuid.UUID, hash string, demand func() ([]db.Condition, error)) (User, error) {
	u, err := s.Users.change(ctx, user, func(u *User) (db.Txn, error) {
		u.PasswordHash = hash
		u.raise(device.PasswordChanged, s.Users.now())
		txn := dropReset(user)
		var err error
		txn.If, err = demand()
		return txn, err
	}, s.Users.commit(ctx))
	if err == nil {
		s.journal.Ended(user, uuid.UUID{}, device.PasswordChanged)
	}
	return u, err
}

// dropReset ends an outstanding reset token: whoever got hold of it must not undo the new password.
func dropReset(user uuid.UUID) db.Txn { return db.Txn{Writes: []db.Write{db.Delete(resetKey(user))}} }

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
func (s *Service) StartReset(ctx context.Context, user uuid.UUID) (token string, expires time.Time, err error) {
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
	_, err = s.Users.Store.Commit(ctx, db.Txn{Writes: []db.Write{db.Put(resetKey(user), value)}})
	return token, rec.ExpiresAt, err
}

func hashReset(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Reset sets the password of the user whose reset token this is, once, and ends all his devices. check
// says whether the new password may be used; it is asked only for a good token. Errors: ErrTokenNotValid
// for a token that is unknown, used or expired, check's, ErrBusy, and the store's.
func (s *Service) Reset(ctx context.Context, token, newPassword string, check func(string) error) error {
	user, _, err := s.findReset(ctx, token)
	if err != nil {
		return err
	}
	if err := check(newPassword); err != nil {
		return err
	}
	hash, err := s.hash(ctx, newPassword)
	if err != nil {
		return err
	}
	_, err = s.setHash(ctx, user, hash, func() ([]db.Condition, error) {
		_, entry, err := s.findReset(ctx, token) // somebody else may have used it while the hash was computed
		return []db.Condition{db.Unchanged(entry)}, err
	})
	if errors.Is(err, ErrNoUser) {
		return ErrTokenNotValid
	}
	return err
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
	if subtle.ConstantTimeCompare(rec.Hash, hashReset(token)) != 1 || !s.now().Before(rec.ExpiresAt) {
		return user, db.Entry{}, ErrTokenNotValid
	}
	return user, entry, nil
}

// SetRoles changes a user's roles. They count at once; where the new ones lower his limit, the surplus
// ends, least recent first, in the same transaction. Errors: *InvalidError, ErrNoUser, and the store's.
func (s *Service) SetRoles(ctx context.Context, user uuid.UUID, roles []string) (User, error) {
	roles, err := checkRoles(roles)
	if err != nil {
		return User{}, err
	}
	var ended []device.Record
	set, err := s.Users.change(ctx, user, func(u *User) (db.Txn, error) {
		u.Roles = roles
		return db.Txn{}, checkIdentity(u.Name, roles, s.Users.EncodeHeader)
	}, func(u User, txn db.Txn) error {
		raise := func() (db.Txn, uint32) {
			u.raise(device.Replaced, s.Users.now())
			return u.txn(db.Txn{If: txn.If}), u.Generation
		}
		gone, err := s.Devices.Trim(ctx, user, s.config.Limits.For(roles), txn, raise)
		ended = append(ended, gone...)
		return err
	})
	for _, rec := range ended {
		s.journal.Ended(user, rec.UID, device.Replaced)
	}
	return set, err
}
