package login

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/lockout"
	"devicegate/reason"
)

// maxRetries bounds how often a change is tried again because another request changed the same records.
const maxRetries = 100

// Why a call was refused. RefusedError carries the words of checks beside them.
var (
	// ErrNoActiveAccount is the one answer to a wrong password, an unknown name and a disabled user.
	ErrNoActiveAccount = errors.New("no active account found with the given credentials")
	// ErrTokenNotValid means: the token is bad in itself, whoever's it was.
	ErrTokenNotValid = errors.New("token is invalid or expired")
	// ErrBusy means: no room for another password hash now; try again in a few seconds.
	ErrBusy = errors.New("too many sign-ins at the moment")
)

// RefusedError refuses for a fact about the device or the user, in the check's own word.
type RefusedError struct{ Reason reason.Reason }

func (e *RefusedError) Error() string { return "refused: " + e.Reason.String() }

// Passwords computes and compares password hashes. An empty hash costs as much as any other and never
// matches.
type Passwords interface {
	Hash(ctx context.Context, password string) (phc string, err error)
	Verify(ctx context.Context, password, phc string) (match bool, err error)
}

// Tokens issues access tokens.
type Tokens interface {
	Issue(s device.Subject) (access string, expiresIn time.Duration, err error)
}

// Config is what the operator decides about signing in.
type Config struct {
	RefreshLifetime time.Duration // from the last refresh
	MaxLifetime     time.Duration // from the sign-in; 0 = none
	RefreshRotation bool          // false: a refresh token stays the same, and reuse cannot be seen
	RefreshGrace    time.Duration // how long the previous refresh token answers with the same successor
	ReuseKnown      bool          // a sign-in that proves its device keeps it
	Limits          device.Limits
	SignInRate      Rate // of each network, right or wrong
	// Weak reports whether a stored hash is to be computed anew at the next right password; nil: none is.
	Weak func(phc string) bool
}

// Service signs people in.
type Service struct {
	Users     *Users
	Devices   *device.Registry
	passwords Passwords
	tokens    Tokens
	foreign   Foreign
	refresh   refreshKey
	config    Config
	now       func() time.Time
	rand      io.Reader
	activity  *activity.Log
	lockout   *lockout.Counters
	rates     *rates
	places    Places
	lost      func(what string, err error)
}

// Client is where a request came from, as far as it is known.
type Client struct {
	IP        netip.Addr
	UserAgent string
}

// Options is what Open puts together.
type Options struct {
	Store     db.Store
	Users     *Users
	Devices   *device.Registry
	Passwords Passwords
	Tokens    Tokens
	Foreign   Foreign // nil: refresh tokens of ours alone are taken
	// Before is the service that this one follows, nil for none: the attempts of networks go on being counted
	// where it stopped, unless the rate is another.
	Before   *Service
	Config   Config
	Now      func() time.Time
	Rand     io.Reader
	Activity *activity.Log
	Lockout  *lockout.Counters
	Places   Places
	// Lost is told of what could not be written and is no error to anybody who asked.
	Lost func(what string, err error)
}

// Open returns the service, making the store's refresh key on first use.
func Open(ctx context.Context, o Options) (*Service, error) {
	key, err := openRefreshKey(ctx, o.Store, o.Rand)
	if err != nil {
		return nil, err
	}
	rates := newRates(o.Config.SignInRate, o.Now)
	if o.Before != nil && o.Before.config.SignInRate == o.Config.SignInRate {
		rates = o.Before.rates
	}
	return &Service{
		Users: o.Users, Devices: o.Devices, passwords: o.Passwords, tokens: o.Tokens, foreign: o.Foreign, refresh: key,
		config: o.Config, now: o.Now, rand: o.Rand, activity: o.Activity, lockout: o.Lockout,
		rates: rates, places: o.Places, lost: o.Lost,
	}, nil
}

// Session is what a client gets for a sign-in or a refresh.
type Session struct {
	Cookie    string // after a sign-in over https: proves the device at its next sign-in; else empty
	Access    string
	Refresh   string
	Device    uuid.UUID
	ExpiresIn time.Duration // of the access token
}

func (s *Service) session(u User, dev uuid.UUID, generation uint32, refresh string) (Session, error) {
	access, expiresIn, err := s.tokens.Issue(device.Subject{User: u.ID, Device: dev, Generation: generation, Name: u.Name, Roles: u.Roles})
	if err != nil {
		return Session{}, err
	}
	return Session{Access: access, Refresh: refresh, Device: dev, ExpiresIn: expiresIn}, nil
}

// expiry returns when a device that last signed in at signedIn and is refreshed now ends.
func (s *Service) expiry(signedIn time.Time) time.Time {
	end := s.Users.now().Add(s.config.RefreshLifetime)
	if s.config.MaxLifetime > 0 {
		if last := signedIn.Add(s.config.MaxLifetime); last.Before(end) {
			return last
		}
	}
	return end
}
