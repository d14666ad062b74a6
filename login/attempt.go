package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/lockout"
	"devicegate/password"
)

// What comes of an attempt, as records, logs and metrics say it. UnknownUser, WrongPassword and
// DisabledUser are told to nobody.
const (
	SignedIn       = "ok"
	UnknownUser    = "unknown_user"
	WrongPassword  = "wrong_password"
	DisabledUser   = "inactive_account"
	Locked         = "locked"
	Throttled      = "throttled"
	Busy           = "busy"
	TooManyDevices = "max_devices"
	StoreFailed    = "store_unavailable" // told to log and metric only: it cannot be recorded
)

// AttemptReasons lists all of them.
func AttemptReasons() []string {
	return []string{SignedIn, UnknownUser, WrongPassword, DisabledUser, Locked, Throttled, Busy, TooManyDevices, StoreFailed}
}

// WaitError refuses an attempt before a password was looked at.
type WaitError struct {
	Reason     string // Locked or Throttled
	RetryAfter time.Duration
}

func (e *WaitError) Error() string { return fmt.Sprintf("%s for %s", e.Reason, e.RetryAfter) }

// attempt is one try to prove a password. Its event starts as a failure without a reason.
type attempt struct {
	event activity.Event
	key   string // of the name's record
	try   *lockout.Try
}

func (s *Service) newAttempt(name string, client Client) *attempt {
	e := activity.Event{Kind: activity.SignIn, Outcome: activity.Failure, NameTried: name, IP: client.IP, UserAgent: client.UserAgent}
	if place, known := s.places.Find(client.IP); known {
		e.Country, e.Region, e.City = place.Country, place.Region, place.City
	}
	return &attempt{event: e, key: nameKey(name)}
}

// begin lets an attempt on the account user (zero: there is none of the name) go on to the password, or
// refuses it: then nothing more is computed, whoever the name belongs to. known is the device of the user
// that the attempt proves to come from. The caller ends the attempt with done.
func (s *Service) begin(ctx context.Context, a *attempt, user, known uuid.UUID) error {
	a.event.User, a.event.Device = user, known
	if wait := s.rates.take(a.event.IP); wait > 0 {
		a.event.Reason = Throttled
		return &WaitError{Reason: Throttled, RetryAfter: wait}
	}
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	try, err := s.lockout.Begin(ctx, lockout.Attempt{
		Name: a.event.NameTried, NameHash: nameHash(a.key), Known: user != uuid.UUID{}, IP: a.event.IP, Device: known,
	})
	var locked *lockout.LockedError
	switch {
	case errors.As(err, &locked):
		a.event.Reason = Locked
		return &WaitError{Reason: Locked, RetryAfter: locked.RetryAfter}
	case errors.Is(err, lockout.ErrCrowded), err != nil && ctx.Err() != nil:
		a.event.Reason = Busy
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	a.try = try
	return err
}

func (a *attempt) done() {
	if a.try != nil {
		a.try.Done()
	}
}

// prove computes a hash in every case, so that an unknown name takes as long as a wrong password.
func (s *Service) prove(ctx context.Context, secret string, u User, a *attempt) error {
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	if a.event.Device != (uuid.UUID{}) { // a flood of strangers must not keep the owner out
		ctx = password.Preferred(ctx)
	}
	match, err := s.passwords.Verify(ctx, secret, u.PasswordHash)
	switch {
	case err != nil:
		a.event.Reason = Busy
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case u.ID == uuid.UUID{}:
		a.event.Reason = UnknownUser
		return ErrNoActiveAccount
	case !match:
		a.event.Reason = WrongPassword
		return ErrNoActiveAccount
	case u.Disabled:
		a.event.Reason = DisabledUser
		return ErrNoActiveAccount
	}
	return nil
}

// settle records an attempt that failed with err, and returns the error to answer with. A wrong guess is
// counted and recorded in one transaction; who hangs up is counted too.
func (s *Service) settle(ctx context.Context, a *attempt, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hashTimeout)
	defer cancel()
	var failed error
	switch {
	case errors.Is(err, ErrNoActiveAccount):
		failed = a.try.Fail(ctx, func(ctx context.Context, txn db.Txn) error {
			_, err := s.activity.Commit(ctx, txn, a.event)
			return err
		})
	case errors.Is(err, device.ErrMaxDevices): // the password was right
		a.event.Reason = TooManyDevices
		failed = s.recordRight(ctx, a)
	case a.event.Reason != "":
		_, failed = s.activity.Commit(ctx, db.Txn{}, a.event)
	default:
		failed = err
	}
	if failed == nil {
		return err
	}
	a.event.Reason = StoreFailed
	s.activity.Told(a.event)
	return failed
}

func (s *Service) recordRight(ctx context.Context, a *attempt) error {
	for range maxRetries {
		txn, err := a.try.Succeed(ctx)
		if err != nil {
			return err
		}
		if _, err := s.activity.Commit(ctx, txn, a.event); !errors.Is(err, db.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}
