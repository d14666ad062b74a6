package login_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

const fresh = "a fresh horse battery"

func (g *gate) signInWith(name, password string) (login.Session, error) {
	return g.SignIn(context.Background(), login.SignIn{Name: name, Password: password, Client: client})
}

// wantPassword checks which of the two passwords is the account's.
func (g *gate) wantPassword(t *testing.T, want string) {
	t.Helper()
	for _, password := range []string{secret, fresh} {
		if _, err := g.signInWith("alice", password); (err == nil) != (password == want) {
			t.Errorf("sign-in with %q: %v, the password is %q", password, err, want)
		}
	}
}

func fine(string) error { return nil }

// A password change ends the others in its own transaction; one's own device stays, with its tokens.
func TestChangePassword(t *testing.T) {
	g := newGate(t, noLimit)
	u, bob := g.user(t, "alice"), g.user(t, "bob")
	others, theirs := []login.Session{g.signIn(t, "alice"), g.signIn(t, "alice")}, g.signIn(t, "bob")
	mine := g.signIn(t, "alice")
	if err := g.ChangePassword(t.Context(), caller(u, mine), secret, fresh, client); err != nil {
		t.Fatal(err)
	}
	for _, s := range others {
		g.want(t, u, s, reason.DeviceNotRecognized)
		_, err := g.Refresh(t.Context(), s.Refresh, client)
		wantRefused(t, err, reason.DeviceNotRecognized)
	}
	g.want(t, u, mine, reason.OK)
	g.want(t, bob, theirs, reason.OK)
	g.refresh(t, mine.Refresh)
	g.wantPassword(t, fresh)
	if why := g.journal.ended[uuid.Nil]; len(why) != 1 || why[0] != device.PasswordChanged {
		t.Errorf("the journal was told %v", why)
	}
}

// A wrong current password is told and counted, and changes nothing.
func TestChangePasswordWrong(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	mine, other := g.signIn(t, "alice"), g.signIn(t, "alice")
	g.journal.attempts = nil
	if err := g.ChangePassword(t.Context(), caller(u, mine), fresh, fresh, client); !errors.Is(err, login.ErrWrongPassword) {
		t.Errorf("ChangePassword = %v, want ErrWrongPassword", err)
	}
	want := attempt{NameTried: "alice", Client: client, User: u.ID, Device: mine.Device, Reason: login.WrongPassword}
	if got := g.journal.attempts; len(got) != 1 || got[0] != want {
		t.Errorf("the journal was told %+v, want %+v", got, want)
	}
	g.want(t, u, other, reason.OK)
	g.wantPassword(t, secret)
}

// Only seniority forbids a password change: no switch, right or delay does, and the only device may.
func TestChangePasswordTooNew(t *testing.T) {
	g := newGate(t, noLimit)
	g.Devices.Rules = device.Rules{SeniorityDelay: 24 * time.Hour, DeleteDelay: 24 * time.Hour}
	g.Devices.CanDeleteOthers, g.Devices.CanUpdateOthers = false, false
	u := g.user(t, "alice")
	old := g.signIn(t, "alice")
	g.clock.Advance(time.Hour)
	young := g.signIn(t, "alice")
	g.clock.Advance(24*time.Hour - time.Millisecond)
	_, verified, _ := g.hasher.Calls()
	var rule *device.RuleError
	err := g.ChangePassword(t.Context(), caller(u, young), secret, fresh, client)
	if !errors.As(err, &rule) || rule.Code != "device_too_new" || rule.RetryAfter != time.Millisecond {
		t.Errorf("a millisecond too early: %v", err)
	}
	if _, after, _ := g.hasher.Calls(); after != verified {
		t.Error("it tells a device that may not whether the password is right")
	}
	g.clock.Advance(time.Millisecond)
	if err := g.ChangePassword(t.Context(), caller(u, young), secret, fresh, client); err != nil {
		t.Errorf("at the delay's age: %v", err)
	}
	g.want(t, u, old, reason.DeviceNotRecognized)
	g.want(t, u, young, reason.OK)

	younger, err := g.signInWith("alice", fresh)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.ChangePassword(t.Context(), caller(u, young), fresh, secret, client); err != nil {
		t.Errorf("the older of two: %v", err)
	}
	g.want(t, u, younger, reason.DeviceNotRecognized)
	bob := g.user(t, "bob")
	if err := g.ChangePassword(t.Context(), caller(bob, g.signIn(t, "bob")), secret, fresh, client); err != nil {
		t.Errorf("the only device: %v", err)
	}
}

// A caller who has ended changes nothing, and is told why in the check's word.
func TestChangePasswordByNobody(t *testing.T) {
	g := newGate(t, within(1))
	u := g.user(t, "alice")
	mine := g.signIn(t, "alice")
	g.signIn(t, "alice")
	err := g.ChangePassword(t.Context(), caller(u, mine), secret, fresh, client)
	wantRefused(t, err, reason.DeviceReplaced)
	g.wantPassword(t, secret)
}

// A change while the current password is compared makes it a wrong one, whoever made it.
func TestPasswordChangesMeanwhile(t *testing.T) {
	const first = "the first horse battery"
	for name, meanwhile := range map[string]func(*gate, device.Subject) error{
		"by the same device": func(g *gate, who device.Subject) error {
			return g.ChangePassword(context.Background(), who, secret, first, client)
		},
		"by an admin": func(g *gate, who device.Subject) error {
			_, err := g.SetPassword(context.Background(), who.User, first)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, noLimit)
			u := g.user(t, "alice")
			who := caller(u, g.signIn(t, "alice"))
			hasher := &changing{Passwords: g.hasher, once: func() {
				if err := meanwhile(g, who); err != nil {
					t.Errorf("meanwhile: %v", err)
				}
			}}
			service, err := login.Open(t.Context(), g.with(hasher))
			if err != nil {
				t.Fatal(err)
			}
			if err := service.ChangePassword(t.Context(), who, secret, fresh, client); !errors.Is(err, login.ErrWrongPassword) {
				t.Errorf("ChangePassword = %v, want ErrWrongPassword", err)
			}
			if _, err := g.signInWith("alice", first); err != nil {
				t.Errorf("the first change is lost: %v", err)
			}
		})
	}
}

// A reset token sets the password once, within an hour, and only the last one made.
func TestReset(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*testing.T, *gate, login.User) string
		want error
	}{
		{"good", func(t *testing.T, g *gate, u login.User) string { return g.startReset(t, u) }, nil},
		{"at its last millisecond", func(t *testing.T, g *gate, u login.User) string {
			token := g.startReset(t, u)
			g.clock.Advance(time.Hour - time.Millisecond)
			return token
		}, nil},
		{"expired", func(t *testing.T, g *gate, u login.User) string {
			token := g.startReset(t, u)
			g.clock.Advance(time.Hour)
			return token
		}, login.ErrTokenNotValid},
		{"replaced", func(t *testing.T, g *gate, u login.User) string {
			token := g.startReset(t, u)
			g.startReset(t, u)
			return token
		}, login.ErrTokenNotValid},
		{"used", func(t *testing.T, g *gate, u login.User) string {
			token := g.startReset(t, u)
			if err := g.Reset(t.Context(), token, secret, fine); err != nil {
				t.Fatal(err)
			}
			return token
		}, login.ErrTokenNotValid},
		{"outdated by an admin", func(t *testing.T, g *gate, u login.User) string {
			token := g.startReset(t, u)
			if _, err := g.SetPassword(t.Context(), u.ID, secret); err != nil {
				t.Fatal(err)
			}
			return token
		}, login.ErrTokenNotValid},
		{"outdated by its owner", func(t *testing.T, g *gate, u login.User) string {
			token := g.startReset(t, u)
			if err := g.ChangePassword(t.Context(), caller(u, g.signIn(t, "alice")), secret, secret, client); err != nil {
				t.Fatal(err)
			}
			return token
		}, login.ErrTokenNotValid},
		{"never made", func(t *testing.T, g *gate, u login.User) string { return "" }, login.ErrTokenNotValid},
		{"nonsense", func(t *testing.T, g *gate, u login.User) string { return "dgp_nonsense" }, login.ErrTokenNotValid},
		{"another prefix", func(t *testing.T, g *gate, u login.User) string { return "dgr" + g.startReset(t, u)[3:] }, login.ErrTokenNotValid},
		{"cut", func(t *testing.T, g *gate, u login.User) string { s := g.startReset(t, u); return s[:len(s)-1] }, login.ErrTokenNotValid},
		{"longer", func(t *testing.T, g *gate, u login.User) string { return g.startReset(t, u) + "A" }, login.ErrTokenNotValid},
		{"with a line break", func(t *testing.T, g *gate, u login.User) string { return g.startReset(t, u) + "\n" }, login.ErrTokenNotValid},
		{"another secret", func(t *testing.T, g *gate, u login.User) string {
			s := []byte(g.startReset(t, u))
			s[40] ^= 1
			return string(s)
		}, login.ErrTokenNotValid},
		{"another user's", func(t *testing.T, g *gate, u login.User) string {
			bob := g.startReset(t, g.user(t, "bob"))
			return g.startReset(t, u)[:25] + bob[25:]
		}, login.ErrTokenNotValid},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t, noLimit)
			u := g.user(t, "alice")
			token := c.make(t, g, u)
			s := g.signIn(t, "alice")
			if err := g.Reset(t.Context(), token, fresh, fine); !errors.Is(err, c.want) {
				t.Errorf("Reset = %v, want %v", err, c.want)
			}
			if c.want != nil {
				g.want(t, u, s, reason.OK)
				g.wantPassword(t, secret)
				return
			}
			g.want(t, u, s, reason.DeviceNotRecognized)
			g.wantPassword(t, fresh)
			if err := g.Reset(t.Context(), token, secret, fine); !errors.Is(err, login.ErrTokenNotValid) {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

func (g *gate) startReset(t *testing.T, u login.User) string {
	t.Helper()
	token, until, err := g.StartReset(t.Context(), u.ID)
	if err != nil || !until.Equal(g.clock.Now().Add(time.Hour)) {
		t.Fatalf("StartReset = until %v, %v", until, err)
	}
	return token
}

// A new password that may not be used leaves the token as it is; it is not even looked at for a bad token.
func TestResetAndTheNewPassword(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	token, weak, asked := g.startReset(t, u), errors.New("too weak"), 0
	refuse := func(string) error { asked++; return weak }
	if err := g.Reset(t.Context(), "dgp_nonsense", fresh, refuse); !errors.Is(err, login.ErrTokenNotValid) || asked != 0 {
		t.Errorf("Reset = %v, asked %d times", err, asked)
	}
	if err := g.Reset(t.Context(), token, "x", refuse); !errors.Is(err, weak) || asked != 1 {
		t.Errorf("Reset = %v, asked %d times", err, asked)
	}
	if err := g.Reset(t.Context(), token, fresh, fine); err != nil {
		t.Errorf("Reset = %v", err)
	}
	if _, _, err := g.StartReset(t.Context(), uuid.New()); !errors.Is(err, login.ErrNoUser) {
		t.Errorf("StartReset of nobody = %v", err)
	}
	e, err := g.store.Get(t.Context(), "r/"+u.ID.String())
	if !errors.Is(err, db.ErrNotFound) {
		t.Errorf("the store keeps %q", e.Value)
	}
}

// Parallel uses of one reset token: one of them succeeds.
func TestResetOnce(t *testing.T) {
	g := newGate(t, noLimit)
	token := g.startReset(t, g.user(t, "alice"))
	done := make(chan error, 8)
	for i := range cap(done) {
		go func() { done <- g.Reset(context.Background(), token, fmt.Sprint(fresh, i), fine) }()
	}
	succeeded := 0
	for range cap(done) {
		switch err := <-done; {
		case err == nil:
			succeeded++
		case !errors.Is(err, login.ErrTokenNotValid):
			t.Errorf("Reset = %v", err)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d succeeded", succeeded)
	}
}

// Whatever ends everything of a user costs one write, however many devices he has.
func TestEndingAllIsOneWrite(t *testing.T) {
	for name, end := range map[string]func(*gate, login.User, login.Session, string) error{
		"change the password": func(g *gate, u login.User, s login.Session, _ string) error {
			return g.ChangePassword(context.Background(), caller(u, s), secret, fresh, client)
		},
		"reset": func(g *gate, _ login.User, _ login.Session, token string) error {
			return g.Reset(context.Background(), token, fresh, fine)
		},
		"set the password": func(g *gate, u login.User, _ login.Session, _ string) error {
			_, err := g.SetPassword(context.Background(), u.ID, fresh)
			return err
		},
		"disable": func(g *gate, u login.User, _ login.Session, _ string) error {
			_, err := g.SetDisabled(context.Background(), u.ID, true)
			return err
		},
	} {
		g := newGate(t, noLimit)
		u := g.user(t, "alice")
		var all []login.Session
		for range 60 {
			all = append(all, g.signIn(t, "alice"))
		}
		mine, token := all[0], g.startReset(t, u)
		_, before, err := g.store.Range(t.Context(), "", "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := end(g, u, mine, token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, after, err := g.store.Range(t.Context(), "", "", 1); err != nil || after != before+1 {
			t.Errorf("%s: the store went from %d to %d, %v: want one write", name, before, after, err)
		}
		want := reason.DeviceNotRecognized
		if name == "disable" {
			want = reason.InactiveAccount
		}
		for _, s := range all[1:] {
			g.want(t, u, s, want)
		}
		if name != "change the password" {
			g.want(t, u, mine, want)
		}
		if why := g.journal.ended; len(why) != 1 || len(why[uuid.Nil]) != 1 {
			t.Errorf("%s: the journal was told %v", name, why)
		}
	}
}
