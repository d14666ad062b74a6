package login_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

func (g *gate) signInAs(t *testing.T, name, refresh, cookie string) login.Session {
	t.Helper()
	s, err := g.SignIn(t.Context(), login.SignIn{
		Name: name, Password: secret, Client: client, Refresh: refresh, Cookie: cookie, Secure: true,
	})
	if err != nil {
		t.Fatalf("sign %q in: %v", name, err)
	}
	return s
}

// What proves a known device, and what is ignored: the answer is then that of a sign-in without a proof, and
// nothing of anybody has ended.
func TestProofs(t *testing.T) {
	type scene struct {
		*gate
		alice, bob login.User
		was        login.Session // alice's, and what it was before two refreshes
		previous   login.Session
		now        login.Session
		theirs     login.Session // bob's
	}
	for _, c := range []struct {
		name  string
		shows func(*scene) (refresh, cookie string)
		known bool
	}{
		{"nothing", func(*scene) (string, string) { return "", "" }, false},
		{"the current refresh token", func(s *scene) (string, string) { return s.now.Refresh, "" }, true},
		{"the previous one, at the end of the grace", func(s *scene) (string, string) { s.clock.Advance(grace); return s.previous.Refresh, "" }, true},
		{"the previous one, a millisecond later", func(s *scene) (string, string) {
			s.clock.Advance(grace + time.Millisecond)
			return s.previous.Refresh, ""
		}, false},
		{"an old one", func(s *scene) (string, string) { return s.was.Refresh, "" }, false},
		{"the cookie", func(s *scene) (string, string) { return "", s.was.Cookie }, true},
		{"the cookie beside nonsense", func(s *scene) (string, string) { return "dgr_nonsense", s.was.Cookie }, true},
		{"the token beside nonsense", func(s *scene) (string, string) { return s.now.Refresh, "nonsense" }, true},
		{"the token beside another user's cookie", func(s *scene) (string, string) { return s.now.Refresh, s.theirs.Cookie }, true},
		{"another user's refresh token", func(s *scene) (string, string) { return s.theirs.Refresh, "" }, false},
		{"another user's cookie", func(s *scene) (string, string) { return "", s.theirs.Cookie }, false},
		{"the access token", func(s *scene) (string, string) { return s.now.Access, s.now.Access }, false},
		{"the device_uid", func(s *scene) (string, string) { return s.now.Device.String(), s.now.Device.String() }, false},
		{"a forged token", func(s *scene) (string, string) {
			b := raw(t, s.now.Refresh)
			b[60] ^= 1
			return encoded(b), ""
		}, false},
		{"a cookie with one letter more", func(s *scene) (string, string) { return "", s.was.Cookie + "A" }, false},
		{"a device that logged out", func(s *scene) (string, string) {
			_ = s.Logout(t.Context(), caller(s.alice, s.now))
			return s.now.Refresh, s.was.Cookie
		}, false},
		{"a device that has expired", func(s *scene) (string, string) { s.clock.Advance(lifetime); return s.now.Refresh, s.was.Cookie }, false},
		{"a device of a password ago", func(s *scene) (string, string) {
			_, _ = s.SetPassword(t.Context(), s.alice.ID, secret)
			return s.now.Refresh, s.was.Cookie
		}, false},
		{"a cookie that was replaced", func(s *scene) (string, string) {
			s.now = s.signInAs(t, "alice", s.now.Refresh, "")
			return "", s.was.Cookie
		}, false},
		{"a token of the sign-in before", func(s *scene) (string, string) {
			s.signInAs(t, "alice", s.now.Refresh, "")
			return s.now.Refresh, ""
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t, noLimit)
			s := &scene{gate: g, alice: g.user(t, "alice"), bob: g.user(t, "bob")}
			s.was, s.theirs = g.signInAs(t, "alice", "", ""), g.signInAs(t, "bob", "", "")
			s.previous = g.refresh(t, s.was.Refresh)
			s.now = g.refresh(t, s.previous.Refresh)
			refresh, cookie := c.shows(s)
			before, ended := g.index.Live(g.clock.Now()), len(g.journal.ended)
			got := g.signInAs(t, "alice", refresh, cookie)
			if known := got.Device == s.now.Device; known != c.known {
				t.Errorf("it is the known device: %v, want %v", known, c.known)
			}
			if after := g.index.Live(g.clock.Now()); (after == before) != c.known {
				t.Errorf("%d live devices after %d", after, before)
			}
			if got.Access == "" || !login.IsRefreshToken(got.Refresh) || got.Cookie == "" || got.ExpiresIn != keep {
				t.Errorf("the answer is %+v", got)
			}
			if len(g.journal.ended) != ended {
				t.Errorf("the journal was told of an end: %v", g.journal.ended)
			}
			g.want(t, s.alice, got, reason.OK)
			g.refresh(t, got.Refresh)
		})
	}
}

// With reuse_known_device off a proof is as good as none.
func TestProofsOff(t *testing.T) {
	cfg := noLimit
	cfg.ReuseKnown = false
	g := newGate(t, cfg)
	u := g.user(t, "alice")
	s := g.signInAs(t, "alice", "", "")
	if got := g.signInAs(t, "alice", s.Refresh, s.Cookie); got.Device == s.Device || len(g.live(t, u)) != 2 {
		t.Errorf("it is device %v after %v, %d live", got.Device, s.Device, len(g.live(t, u)))
	}
	g.want(t, u, s, reason.OK)
}

// A sign-in on a known device ends its tokens at once, access and refresh, and using one of them is no sign
// of theft: who signed in knew the password.
func TestSignInAgainEndsItsTokens(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	first := g.signInAs(t, "alice", "", "")
	second := g.refresh(t, first.Refresh)
	again := g.signInAs(t, "alice", second.Refresh, "")
	if again.Device != first.Device {
		t.Fatal("it is another device")
	}
	for name, old := range map[string]login.Session{"first": first, "second": second} {
		g.want(t, u, old, reason.DeviceNotRecognized)
		if _, why := g.index.Check(g.use(u, old)); why != reason.DeviceNotRecognized {
			t.Errorf("%s: its access token answers %v", name, why)
		}
		_, err := g.Refresh(t.Context(), old.Refresh, client)
		wantRefused(t, err, reason.DeviceNotRecognized)
		wantRefused(t, g.VerifyRefresh(t.Context(), old.Refresh), reason.DeviceNotRecognized)
		if err := g.Revoke(t.Context(), old.Refresh); err != nil {
			t.Errorf("%s: Revoke = %v", name, err)
		}
		if err := g.Logout(t.Context(), caller(u, old)); err != nil {
			t.Errorf("%s: Logout = %v", name, err)
		}
		g.want(t, u, again, reason.OK)
	}
	g.refresh(t, again.Refresh)
	if len(g.journal.ended) != 0 {
		t.Errorf("the journal was told of %v", g.journal.ended)
	}
}

// A cookie is made for a request over https alone.
func TestCookieOnlyOverHTTPS(t *testing.T) {
	g := newGate(t, noLimit)
	g.user(t, "alice")
	if s := g.signIn(t, "alice"); s.Cookie != "" {
		t.Error("a cookie was made for a request without https")
	}
	a, b := g.signInAs(t, "alice", "", ""), g.signInAs(t, "alice", "", "")
	if len(a.Cookie) != 86 || a.Cookie == b.Cookie {
		t.Errorf("the cookies are %q and %q", a.Cookie, b.Cookie)
	}
}

// With on_limit refuse a full user is told so only after the right password, and a known device comes in.
func TestRefuse(t *testing.T) {
	cfg := within(2)
	cfg.Limits.On = device.Refuse
	g := newGate(t, cfg)
	u := g.user(t, "alice")
	a, b := g.signInAs(t, "alice", "", ""), g.signIn(t, "alice")
	_, err := g.SignIn(t.Context(), login.SignIn{Name: "alice", Password: "wrong horse battery", Client: client})
	if !errors.Is(err, login.ErrNoActiveAccount) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := g.trySignIn("alice"); !errors.Is(err, device.ErrMaxDevices) {
		t.Errorf("the right one: %v", err)
	}
	for i, want := range []string{login.SignedIn, login.SignedIn, login.WrongPassword, login.TooManyDevices} {
		if got := g.journal.attempts[i]; got.Reason != want || got.User != u.ID {
			t.Errorf("attempt %d: %+v, want %s", i, got, want)
		}
	}
	g.want(t, u, a, reason.OK)
	g.want(t, u, b, reason.OK)
	if got := g.signInAs(t, "alice", "", a.Cookie); got.Device != a.Device {
		t.Error("the known device became another")
	}
	if _, err := g.SetRoles(t.Context(), u.ID, nil); err != nil || len(g.live(t, u)) != 2 {
		t.Errorf("SetRoles = %v, %d live", err, len(g.live(t, u)))
	}
}

// A role with a lower limit ends the surplus at once, with on_limit refuse too, each told once; a higher one
// ends nothing.
func TestRolesChangeTheLimit(t *testing.T) {
	for _, have := range []int{5, 40} { // few go; few stay
		cfg := within(50)
		cfg.Limits.On, cfg.Limits.ByRole = device.Refuse, map[string]int{"staff": 2}
		g := newGate(t, cfg)
		u := g.user(t, "alice")
		var all []login.Session
		for range have {
			all = append(all, g.signIn(t, "alice"))
		}
		g.clock.Advance(time.Second)
		all[0] = g.refresh(t, all[0].Refresh) // the oldest, used last
		if _, err := g.SetRoles(t.Context(), u.ID, []string{"staff"}); err != nil {
			t.Fatal(err)
		}
		for i, s := range all {
			want := reason.DeviceReplaced
			if i == 0 || i == have-1 {
				want = reason.OK
			}
			g.want(t, u, s, want)
			if told := len(g.journal.ended[s.Device]); (told == 1) != (want != reason.OK) {
				t.Errorf("device %d: told %d times", i+1, told)
			}
		}
		g.refresh(t, all[0].Refresh)
		for _, roles := range [][]string{{"staff", "guest"}, nil} {
			if _, err := g.SetRoles(t.Context(), u.ID, roles); err != nil || len(g.live(t, u)) != 2 {
				t.Errorf("SetRoles(%q) = %v, %d live", roles, err, len(g.live(t, u)))
			}
		}
		if s, why := g.index.Peek(g.use(u, all[0])); why != reason.OK || len(s.Roles) != 0 {
			t.Errorf("the check answers %v with the roles %q", why, s.Roles)
		}
	}
	g := newGate(t, noLimit)
	if _, err := g.SetRoles(t.Context(), uuid.New(), nil); !errors.Is(err, login.ErrNoUser) {
		t.Errorf("SetRoles of nobody = %v", err)
	}
	var invalid *login.InvalidError
	if _, err := g.SetRoles(t.Context(), g.user(t, "alice").ID, []string{"A"}); !errors.As(err, &invalid) {
		t.Errorf("SetRoles to nonsense = %v", err)
	}
}
