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
// ErrNoActiveAccount, *WaitError, ErrBusy, device.ErrMaxDevices, and the store's.
func (s *Service) SignIn(ctx context.Context, in SignIn) (Session, error) {
	a := s.newAttempt(in.Name, in.Client)
	defer a.done()
	session, err := s.signIn(ctx, in, a)
	if err != nil {
		return Session{}, s.settle(ctx, a, err)
	}
	return session, nil
}

func (s *Service) signIn(ctx context.Context, in SignIn, a *attempt) (Session, error) {
	id, err := s.Users.idOf(ctx, a.key)
	if err != nil {
		return Session{}, err
	}
	known, err := s.knownDevice(ctx, id, in)
	if err != nil {
		return Session{}, err
	}
	if err := s.begin(ctx, a, id, known); err != nil {
		return Session{}, err
	}
	checked := "" // the hash that the password was found to match
	stronger := ""
	for range maxRetries {
		u, entry, err := s.Users.byID(ctx, id)
		if err != nil && !errors.Is(err, ErrNoUser) {
			return Session{}, err
		}
		if checked == "" || u.PasswordHash != checked || u.Disabled {
			if err := s.prove(ctx, in.Password, u, a); err != nil {
				return Session{}, err
			}
			checked, stronger = u.PasswordHash, s.strengthen(ctx, in.Password, u.PasswordHash)
		}
		if stronger != "" {
			u.PasswordHash = stronger
		}
		session, err := s.addDevice(ctx, in, u, entry, a)
		if !errors.Is(err, db.ErrConflict) {
			return session, err
		}
	}
	return Session{}, fmt.Errorf("signing in: gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}

// strengthen hashes a right password anew where the stored hash has another cost than the current one, or
// returns "". A hash that was computed cheaper is quicker to compare than the dummy of a name that nobody
// has, which tells who has an account.
func (s *Service) strengthen(ctx context.Context, password, phc string) string {
	if s.config.Weak == nil || !s.config.Weak(phc) {
		return ""
	}
	hash, err := s.hash(ctx, password)
	if err != nil {
		return "" // the next sign-in will do
	}
	return hash
}

// addDevice is the transaction of a sign-in. It holds only if the account is still as it was read: not
// disabled meanwhile, with the same roles and the same password.
func (s *Service) addDevice(ctx context.Context, in SignIn, u User, entry db.Entry, a *attempt) (Session, error) {
	e := a.event
	e.Outcome, e.Reason, e.User = activity.Success, SignedIn, u.ID
	guard, err := a.try.Succeed(ctx)
	if err != nil {
		return Session{}, err
	}
	if err := s.Users.noteSignIn(ctx, u.ID, &e, &guard); err != nil {
		return Session{}, err
	}
	u.LastSignInAt = s.Users.now()
	guard.If = append(guard.If, db.Unchanged(entry))
	guard.Writes = append(guard.Writes, db.Put(entry.Key, u.encode()))
	n, session, err := s.newDevice(in, u, &e)
	if err != nil {
		return Session{}, err
	}
	rec, err := s.Devices.Add(ctx, n, s.config.Limits.For(u.Roles), guard)
	if err != nil {
		return Session{}, err
	}
	s.askPlace(e, rec)
	return *session, nil
}

// newDevice describes the device of a sign-in. session is filled when the registry has chosen the device
// and asks for its tokens: before anything is written, so that nobody is put out for a sign-in whose
// tokens cannot be made; e is then completed as well.
func (s *Service) newDevice(in SignIn, u User, e *activity.Event) (device.New, *Session, error) {
	uid, err := uuid.NewRandomFromReader(s.rand)
	if err != nil {
		return device.New{}, nil, fmt.Errorf("making a device_uid: %w", err)
	}
	agent := cut(in.Client.UserAgent, device.MaxUserAgent)
	session := &Session{}
	n := device.New{
		UID: uid, User: u.ID, Generation: u.Generation, Name: in.DeviceName, Guess: device.GuessName(agent),
		UserAgent: agent, IPAddress: text(in.Client.IP), Expires: s.expiry,
		Country: e.Country, Region: e.Region, City: e.City,
		By: activity.By{Actor: activity.ByService, IP: e.IP, UserAgent: e.UserAgent},
		Event: func(rec device.Record) activity.Event {
			e.ID, e.Device = s.activity.NewID(), rec.UID
			return *e
		},
	}
	if s.config.ReuseKnown {
		n.Proves = s.proof(in)
	}
	n.Issue = func(device uuid.UUID, generation uint32) (refreshHash, cookieHash []byte, err error) {
		refresh, err := s.refresh.first(device, generation, s.rand)
		if err != nil {
			return nil, nil, err
		}
		if *session, err = s.session(u, device, generation, refresh); err != nil {
			return nil, nil, err
		}
		session.Cookie, cookieHash, err = s.newCookie(in.Secure, device)
		return hashRefresh(refresh), cookieHash, err
	}
	return n, session, nil
}
