package login_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/login"
	"devicegate/password"
	"devicegate/reason"
	"devicegate/safetext"
)

func TestSignIn(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "Alice", "staff")
	s, err := g.SignIn(t.Context(), login.SignIn{Name: "alice", Password: secret, DeviceName: "a phone", Client: client})
	if err != nil {
		t.Fatal(err)
	}
	if s.Device.Version() != 4 || s.Device.Variant() != uuid.RFC4122 {
		t.Errorf("the device_uid %v is no UUIDv4", s.Device)
	}
	if caller(u, s).Device != s.Device || s.ExpiresIn != keep || !login.IsRefreshToken(s.Refresh) {
		t.Errorf("session = %+v", s)
	}
	who, why := g.index.Check(g.use(u, s))
	if diff := cmp.Diff(device.Subject{User: u.ID, Device: s.Device, Generation: 1, Name: "Alice", Roles: []string{"staff"}, Since: g.clock.Now().Truncate(time.Millisecond)}, who); why != reason.OK || diff != "" {
		t.Errorf("the check answers %v, -want +got:\n%s", why, diff)
	}
	now := g.clock.Now()
	want := device.Record{
		Schema: 1, UID: s.Device, User: u.ID, Name: "a phone", UserAgent: "test/1", IPAddress: "192.0.2.7", LastIP: "192.0.2.7",
		CreatedAt: now, SignedInAt: now, LastSeen: now, Tokens: 1, ExpiresAt: now.Add(lifetime), Ordinal: 1, Generation: 1, CanUpdateOthers: true, CanDeleteOthers: true,
	}
	if diff := cmp.Diff([]device.Record{want}, g.live(t, u), cmpopts.IgnoreFields(device.Record{}, "Refresh")); diff != "" {
		t.Errorf("records -want +got:\n%s", diff)
	}
	if got, err := g.Users.ByID(t.Context(), u.ID); err != nil || !got.LastSignInAt.Equal(now) {
		t.Errorf("last signed in at %v, %v, want %v", got.LastSignInAt, err, now)
	}
}

// Whatever is wrong with an attempt, it costs one hash, is told in one word to the journal and in one
// and the same error to the client.
func TestAttempts(t *testing.T) {
	for _, c := range []struct {
		what, name, password string
		busy                 bool
		want                 string
		err                  error
		dummies              int
		known                bool
	}{
		{"right", "alice", secret, false, login.SignedIn, nil, 0, true},
		{"wrong password", "alice", "wrong horse battery", false, login.WrongPassword, login.ErrNoActiveAccount, 0, true},
		{"empty password", "alice", "", false, login.WrongPassword, login.ErrNoActiveAccount, 0, true},
		{"unknown name", "bob", secret, false, login.UnknownUser, login.ErrNoActiveAccount, 1, false},
		{"empty name", "", secret, false, login.UnknownUser, login.ErrNoActiveAccount, 1, false},
		{"name of no text", "\xff\x00", secret, false, login.UnknownUser, login.ErrNoActiveAccount, 1, false},
		{"disabled", "carol", secret, false, login.DisabledUser, login.ErrNoActiveAccount, 0, true},
		{"disabled, wrong password", "carol", "wrong horse battery", false, login.WrongPassword, login.ErrNoActiveAccount, 0, true},
		{"account without a password", "dave", "", false, login.WrongPassword, login.ErrNoActiveAccount, 1, true},
		{"busy", "alice", secret, true, login.Busy, login.ErrBusy, 0, true},
		{"busy for nobody", "bob", secret, true, login.Busy, login.ErrBusy, 1, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			g := newGate(t, noLimit)
			g.user(t, "alice")
			g.disable(t, g.user(t, "carol"), true)
			if _, err := create(t.Context(), g.Users, "dave", nil, ""); err != nil {
				t.Fatal(err)
			}
			if c.busy {
				g.hasher.Err = password.ErrBusy
			}
			s, err := g.SignIn(t.Context(), login.SignIn{Name: c.name, Password: c.password, Client: client})
			if !errors.Is(err, c.err) || (c.err != nil && s != login.Session{}) {
				t.Errorf("SignIn = %+v, %v, want %v", s, err, c.err)
			}
			if c.err == login.ErrNoActiveAccount && err != c.err {
				t.Errorf("the error says more than the others: %v", err)
			}
			if _, verified, dummies := g.hasher.Calls(); verified != 1 || dummies != c.dummies {
				t.Errorf("%d hashes, %d of them for nobody, want 1, %d", verified, dummies, c.dummies)
			}
			want := []attempt{{NameTried: safetext.Bound(c.name, activity.MaxName), Client: client, Device: s.Device, Reason: c.want}}
			if diff := cmp.Diff(want, g.journal.attempts, cmpopts.EquateComparable(client.IP), cmpopts.IgnoreFields(attempt{}, "User")); diff != "" {
				t.Errorf("journal -want +got:\n%s", diff)
			}
			if known := g.journal.attempts[0].User != (uuid.UUID{}); known != c.known {
				t.Errorf("the journal knows the user: %v, want %v", known, c.known)
			}
			if live := g.index.Live(g.clock.Now()); (live == 1) != (c.err == nil) {
				t.Errorf("%d live devices", live)
			}
		})
	}
}

// A store that fails at the commit hands out nothing, and says nothing about what it may have kept.
func TestSignInStoreFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   error
		applied bool
		live    int
	}{
		{"unavailable", db.ErrUnavailable, false, 0},
		{"unknown, lost", db.ErrUnknown, false, 0},
		{"unknown, kept", db.ErrUnknown, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t, noLimit)
			g.user(t, "alice")
			g.store.FailCommits(c.fault, c.applied)
			s, err := g.trySignIn("alice")
			if s != (login.Session{}) || !errors.Is(err, c.fault) {
				t.Errorf("SignIn = %+v, %v, want nothing, %v", s, err, c.fault)
			}
			if a := g.journal.attempts; len(a) != 1 || a[0].Reason != login.StoreFailed || a[0].Device != (uuid.UUID{}) {
				t.Errorf("journal = %+v, want one store_unavailable without a device", a)
			}
			if got := g.index.Live(g.clock.Now()); got != c.live {
				t.Errorf("%d live devices, want %d", got, c.live)
			}
		})
	}
}

// When no access token can be made nobody is put out, and no refresh token is used up.
func TestTokensFail(t *testing.T) {
	g := newGate(t, within(1))
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	g.tokens.err = errors.New("no key")
	if got, err := g.trySignIn("alice"); got != (login.Session{}) || !errors.Is(err, g.tokens.err) {
		t.Errorf("SignIn = %+v, %v, want the issuer's error", got, err)
	}
	if got, err := g.Refresh(t.Context(), s.Refresh, client); got != (login.Session{}) || !errors.Is(err, g.tokens.err) {
		t.Errorf("Refresh = %+v, %v, want the issuer's error", got, err)
	}
	g.tokens.err = nil
	g.clock.Advance(time.Hour)
	g.want(t, u, s, reason.OK)
	g.refresh(t, s.Refresh)
}

// With an index that is not in step nothing is decided.
func TestSignInWithoutIndex(t *testing.T) {
	g := newGate(t, noLimit)
	g.user(t, "alice")
	g.close()
	if s, err := g.trySignIn("alice"); s != (login.Session{}) || !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("SignIn = %+v, %v, want ErrUnavailable", s, err)
	}
}

// changing does something between the reading of an account and the sign-in's transaction.
type changing struct {
	login.Passwords
	once func()
}

func (c *changing) Verify(ctx context.Context, text, phc string) (bool, error) {
	match, err := c.Passwords.Verify(ctx, text, phc)
	if once := c.once; once != nil {
		c.once = nil
		once()
	}
	return match, err
}

// What an account was when its password was compared counts for nothing if it is another at the commit.
func TestAccountChangesDuringSignIn(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	hasher := &changing{Passwords: g.hasher, once: func() { g.disable(t, u, true) }}
	service, err := login.Open(t.Context(), g.with(hasher))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.SignIn(t.Context(), login.SignIn{Name: "alice", Password: secret}); !errors.Is(err, login.ErrNoActiveAccount) {
		t.Errorf("SignIn = %v, want ErrNoActiveAccount", err)
	}
	if a := g.journal.attempts; len(a) != 1 || a[0].Reason != login.DisabledUser {
		t.Errorf("journal = %+v, want inactive_account", a)
	}
	if got := g.index.Live(g.clock.Now()); got != 0 {
		t.Errorf("%d live devices, want none", got)
	}
}

func TestUserAgentIsCut(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""}, {"abc", "abc"}, {"abcd", "abcd"}, {"abcde", "abcd"}, {"abcë", "abc"}, {"abë", "abë"}, {"ab\xff", "ab"}, {"\xffa", "\uFFFDa"},
	} {
		if got := login.Cut(c.in, 4); got != c.want || !utf8.ValidString(got) {
			t.Errorf("Cut(%q, 4) = %q, want %q", c.in, got, c.want)
		}
	}
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	_, err := g.SignIn(t.Context(), login.SignIn{Name: "alice", Password: secret, Client: login.Client{UserAgent: strings.Repeat("ë", 400)}})
	if err != nil {
		t.Fatal(err)
	}
	if rec := g.live(t, u)[0]; len(rec.UserAgent) != device.MaxUserAgent || rec.IPAddress != "" {
		t.Errorf("a user agent of %d bytes from %q, want %d from nowhere", len(rec.UserAgent), rec.IPAddress, device.MaxUserAgent)
	}
}

// A password that was right a moment ago is compared anew with a hash that was changed meanwhile.
func TestPasswordChangesDuringSignIn(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	hasher := &changing{Passwords: g.hasher, once: func() {
		e, err := g.store.Get(t.Context(), "u/"+u.ID.String())
		if err != nil {
			t.Fatal(err)
		}
		other, err := g.hasher.Hash(t.Context(), "another horse battery")
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(e.Value), u.PasswordHash, other, 1)
		dbtest.MustPut(t, g.store, e.Key, changed)
	}}
	service, err := login.Open(t.Context(), g.with(hasher))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.SignIn(t.Context(), login.SignIn{Name: "alice", Password: secret}); !errors.Is(err, login.ErrNoActiveAccount) {
		t.Errorf("SignIn = %v, want ErrNoActiveAccount", err)
	}
	if a := g.journal.attempts; len(a) != 1 || a[0].Reason != login.WrongPassword {
		t.Errorf("journal = %+v, want wrong_password", a)
	}
}

// A hash of another cost than the current one is replaced by the right password, and by nothing else.
func TestHashIsComputedAnew(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	old := strings.Replace(u.PasswordHash, "m=8,", "m=16,", 1)
	hasher := &verbatim{Passwords: g.hasher, old: old, now: u.PasswordHash}
	o := g.with(hasher)
	o.Config.Weak = func(phc string) bool { return phc == old }
	service, err := login.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stored := func() string {
		now, err := g.Users.ByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return now.PasswordHash
	}
	e, err := g.store.Get(t.Context(), "u/"+u.ID.String())
	if err != nil {
		t.Fatal(err)
	}
	dbtest.MustPut(t, g.store, e.Key, strings.Replace(string(e.Value), u.PasswordHash, old, 1))
	try := func(password string) error {
		_, err := service.SignIn(t.Context(), login.SignIn{Name: "alice", Password: password, Client: client})
		return err
	}
	if err := try("wrong"); !errors.Is(err, login.ErrNoActiveAccount) || stored() != old {
		t.Errorf("a wrong password: %v", err)
	}
	for range 2 {
		if err := try(secret); err != nil || stored() != u.PasswordHash {
			t.Errorf("the right password: %v, the hash is still the old one: %v", err, stored() == old)
		}
	}
}

// verbatim takes the old hash for the current one.
type verbatim struct {
	login.Passwords
	old, now string
}

func (v *verbatim) Verify(ctx context.Context, password, phc string) (bool, error) {
	if phc == v.old {
		phc = v.now
	}
	return v.Passwords.Verify(ctx, password, phc)
}
