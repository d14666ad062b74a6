package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
)

// hashTimeout bounds the wait for one password hash, so that a stuck worker does not hold clients for ever.
const hashTimeout = 10 * time.Second

// SignIn is what a client sends to sign in.
type SignIn struct {
	Name       string
	Password   string
	DeviceName string // what the app calls the device; may be empty
	Client     Client
	// Refresh and Cookie may prove that the client is a known device of the same user. What proves none
	// is ignored, and tells nothing.
	Refresh, Cookie string
	// Secure says that the request came over https, so that a cookie may be set.
	Secure bool
}

// SignIn checks the password, makes a device and ends those over the user's limit, in one transaction.
// When it has returned without an error, all of that is kept and every check knows it. Errors:
// ErrNoActiveAccount, ErrBusy, device.ErrMaxDevices, and the store's.
func (s *Service) SignIn(ctx context.Context, in SignIn) (Session, error) {
	attempt := Attempt{NameTried: in.Name, Client: in.Client}
	session, err := s.signIn(ctx, in, &attempt)
	if attempt.Reason == NothingDecided {
		attempt.Reason = StoreFailed
	}
	s.journal.SignIn(attempt)
	return session, err
}

func (s *Service) signIn(ctx context.Context, in SignIn, attempt *Attempt) (Session, error) {
	checked := "" // the hash that the password was found to match
	for range maxRetries {
		u, entry, err := s.Users.byName(ctx, in.Name)
		if err != nil && !errors.Is(err, ErrNoUser) {
			return Session{}, err
		}
		if checked == "" || u.PasswordHash != checked {
			if err := s.prove(ctx, in.Password, u, attempt); err != nil {
				return Session{}, err
			}
			checked = u.PasswordHash
		}
		if u.Disabled {
			attempt.Reason = DisabledUser
			return Session{}, ErrNoActiveAccount
		}
		session, err := s.addDevice(ctx, in, u, entry, attempt)
		if !errors.Is(err, db.ErrConflict) {
			return session, err
		}
	}
	return Session{}, fmt.Errorf("signing in: gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}

// prove computes a hash in every case, so that an unknown name takes as long as a wrong password.
func (s *Service) prove(ctx context.Context, password string, u User, attempt *Attempt) error {
	ctx, cancel := context.WithTimeout(ctx, hashTimeout)
	defer cancel()
	match, err := s.passwords.Verify(ctx, password, u.PasswordHash)
	attempt.User = u.ID
	switch {
	case err != nil:
		attempt.Reason = Busy
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case u.ID == uuid.UUID{}:
		attempt.Reason = UnknownUser
		return ErrNoActiveAccount
	case !match:
		attempt.Reason = WrongPassword
		return ErrNoActiveAccount
	}
	return nil
}

// addDevice is the transaction of a sign-in. It holds only if the account is still as it was read: not
// disabled meanwhile, with the same roles and the same password.
func (s *Service) addDevice(ctx context.Context, in SignIn, u User, entry db.Entry, attempt *Attempt) (Session, error) {
	n, session, err := s.newDevice(in, u)
	if err != nil {
		return Session{}, err
	}
	u.LastSignInAt = s.Users.now()
	guard := db.Txn{If: []db.Condition{db.Unchanged(entry)}, Writes: []db.Write{db.Put(entry.Key, u.encode())}}
	rec, out, err := s.Devices.Add(ctx, n, s.config.Limits.For(u.Roles), guard)
	for _, old := range out {
		s.journal.Ended(u.ID, old.UID, device.Replaced)
	}
	if errors.Is(err, device.ErrMaxDevices) {
		attempt.Reason = TooManyDevices
	}
	if err != nil {
		return Session{}, err
	}
	attempt.Device, attempt.Reason = rec.UID, SignedIn
	return *session, nil
}

// newDevice describes the device of a sign-in. session is filled when the registry has chosen the device
// and asks for its tokens: before anything is written, so that nobody is put out for a sign-in whose
// tokens cannot be made.
func (s *Service) newDevice(in SignIn, u User) (device.New, *Session, error) {
	uid, err := uuid.NewRandomFromReader(s.rand)
	if err != nil {
		return device.New{}, nil, fmt.Errorf("making a device_uid: %w", err)
	}
	cookie, cookieHash, err := s.newCookie(in.Secure)
	if err != nil {
		return device.New{}, nil, err
	}
	agent := cut(in.Client.UserAgent, device.MaxUserAgent)
	session := &Session{}
	n := device.New{
		UID: uid, User: u.ID, Generation: u.Generation, Name: in.DeviceName, Guess: device.GuessName(agent),
		UserAgent: agent, IPAddress: text(in.Client.IP), Cookie: cookieHash,
		Proves: s.proof(in), Expires: s.expiry,
	}
	n.Issue = func(device uuid.UUID, generation uint32) ([]byte, error) {
		refresh, err := s.refresh.first(device, generation, s.rand)
		if err != nil {
			return nil, err
		}
		*session, err = s.session(u, device, generation, refresh)
		session.Cookie = cookie
		return hashRefresh(refresh), err
	}
	return n, session, nil
}
