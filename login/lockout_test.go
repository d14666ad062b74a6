package login_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/lockout"
	"devicegate/login"
	"devicegate/password"
	"devicegate/reason"
)

// locking returns a service on the gate's store that locks after 5 failures from one network, and 20 of one
// name.
func (g *gate) locking(t testing.TB) *gate {
	t.Helper()
	o := g.with(g.hasher)
	other := *g
	other.counters = lockout.New(lockout.Options{
		Store: g.store, Now: g.clock.Now, Threshold: 5, NameThreshold: 20,
		BaseDelay: time.Minute, MaxDelay: time.Hour, Window: 24 * time.Hour, Exists: g.Users.Exists,
	})
	o.Lockout = other.counters
	service, err := login.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	other.Service = service
	return &other
}

func (g *gate) hashes() int64 { _, n, _ := g.hasher.Calls(); return int64(n) }

// guess tries a wrong password n times, and demands that each is answered as one.
func (g *gate) guess(t *testing.T, n int, name, ip string) {
	t.Helper()
	for i := range n {
		if _, err := g.tryFrom(t, name, "wrong", ip); !errors.Is(err, login.ErrNoActiveAccount) {
			t.Fatalf("guess %d of %q from %s: %v", i+1, name, ip, err)
		}
	}
}

// What exists and what does not is locked by the same rule, told by the same answer, and costs no hash. A
// retry does not extend it.
func TestLocked(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	g.user(t, "alice")
	disabled := g.user(t, "bob")
	g.disable(t, disabled, true)
	for _, c := range []struct {
		name     string
		spelling string
		password string
	}{{"alice", "ALICE ", secret}, {"nobody", "ＮＯＢＯＤＹ", secret}, {"bob", "Bob", secret}} {
		t.Run(c.name, func(t *testing.T) {
			g.guess(t, 2, c.name, "192.0.2.7")
			g.guess(t, 3, c.spelling, "192.0.2.7")
			before := g.hashes()
			for range 3 {
				_, err := g.tryFrom(t, c.name, c.password, "192.0.2.7")
				if wait := wantWait(t, err, login.Locked, time.Minute); wait != time.Minute {
					t.Errorf("wait %v, want a minute", wait)
				}
			}
			if g.hashes() != before {
				t.Error("a hash was computed while locked")
			}
			if _, err := g.tryFrom(t, c.name, c.password, "192.0.2.8"); c.name == "alice" && err != nil {
				t.Errorf("from another network: %v", err)
			}
			g.clock.Advance(30 * time.Second)
			_, err := g.tryFrom(t, c.spelling, c.password, "192.0.2.7")
			if wait := wantWait(t, err, login.Locked, time.Minute); wait != 30*time.Second {
				t.Errorf("wait %v, want 30s: a retry extends the lock", wait)
			}
			g.clock.Advance(30 * time.Second)
			g.guess(t, 1, c.name, "192.0.2.7")
			_, err = g.tryFrom(t, c.name, c.password, "192.0.2.7")
			if wait := wantWait(t, err, login.Locked, 2*time.Minute); wait != 2*time.Minute {
				t.Errorf("wait %v, want 2m after one more failure", wait)
			}
		})
	}
}

// Whoever proves to be a known device signs in while strangers have locked the name, and has tries of his own.
func TestKnownDeviceIsExempt(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	u := g.user(t, "alice")
	own := g.signInAs(t, "alice", "", "")
	g.user(t, "mallory")
	theirs := g.signInAs(t, "mallory", "", "")
	for i := range 4 {
		g.guess(t, 5, "alice", fmt.Sprintf("198.51.100.%d", i))
	}
	sign := func(refresh, cookie, password string) (login.Session, error) {
		return g.SignIn(t.Context(), login.SignIn{Name: "alice", Password: password, Client: client, Refresh: refresh, Cookie: cookie, Secure: true})
	}
	for what, proof := range map[string][2]string{
		"no proof": {}, "another user's device": {theirs.Refresh, theirs.Cookie}, "nonsense": {"dgr_x", "x"},
	} {
		_, err := sign(proof[0], proof[1], secret)
		wantWait(t, err, login.Locked, time.Minute)
		if t.Failed() {
			t.Fatal(what)
		}
	}
	for what, proof := range map[string]func() (refresh, cookie string){
		"the refresh token": func() (string, string) { return own.Refresh, "" },
		"the cookie":        func() (string, string) { return "", own.Cookie },
	} {
		refresh, cookie := proof()
		s, err := sign(refresh, cookie, secret)
		if err != nil || s.Device != own.Device {
			t.Fatalf("%s: %v", what, err)
		}
		own = s
	}
	// A stolen cookie is no endless ticket.
	for range 5 {
		if _, err := sign("", own.Cookie, "wrong"); !errors.Is(err, login.ErrNoActiveAccount) {
			t.Fatal(err)
		}
	}
	before := g.hashes()
	_, err := sign("", own.Cookie, secret)
	wantWait(t, err, login.Locked, time.Minute)
	if g.hashes() != before {
		t.Error("a hash was computed while locked")
	}
	if e := g.newest(t, u.ID); e.Reason != login.Locked || e.Device != own.Device {
		t.Errorf("recorded %+v", e)
	}
	g.clock.Advance(time.Minute)
	if _, err := sign("", own.Cookie, secret); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// A guess about the current password of a signed-in user is counted against his device alone.
func TestPasswordChangeIsCounted(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	u := g.user(t, "alice")
	who := caller(u, g.signIn(t, "alice"))
	for range 5 {
		if err := g.ChangePassword(t.Context(), who, "wrong", "another password", client); !errors.Is(err, login.ErrWrongPassword) {
			t.Fatal(err)
		}
	}
	wantWait(t, g.ChangePassword(t.Context(), who, secret, "another password", client), login.Locked, time.Minute)
	if e := g.newest(t, u.ID); e.Reason != login.Locked || e.Kind != activity.SignIn || e.Device != who.Device {
		t.Errorf("recorded %+v", e)
	}
	if _, err := g.trySignIn("alice"); err != nil {
		t.Errorf("the name is locked: %v", err)
	}
	g.clock.Advance(time.Minute)
	if err := g.ChangePassword(t.Context(), who, secret, "another password", client); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	found, _, err := g.counters.List(t.Context(), lockout.Query{NameHash: login.NameHash("alice"), All: true}, "", 10)
	if err != nil || len(found) != 0 {
		t.Errorf("left over: %+v, %v", found, err)
	}
}

// An owner who signs in takes his own typing errors back, not what others have guessed.
func TestSuccessResetsOwnFailures(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	g.user(t, "alice")
	for i := range 3 {
		g.guess(t, 5, "alice", fmt.Sprintf("198.51.100.%d", i))
	}
	for range 3 { // 15 of others; each time 4 of his own, which would be 27
		g.guess(t, 4, "alice", "192.0.2.7")
		if _, err := g.tryFrom(t, "alice", secret, "192.0.2.7"); err != nil {
			t.Fatal(err)
		}
	}
	g.guess(t, 4, "alice", "198.51.100.50")
	g.guess(t, 1, "alice", "198.51.100.51")
	_, err := g.tryFrom(t, "alice", secret, "192.0.2.7")
	wantWait(t, err, login.Locked, time.Minute)
}

// Whoever has a new password gets in.
func TestNewPasswordUnlocks(t *testing.T) {
	for what, renew := range map[string]func(*testing.T, *gate, login.User) error{
		"by an admin": func(t *testing.T, g *gate, u login.User) error {
			_, err := g.SetPassword(t.Context(), u.ID, secret)
			return err
		},
		"by a reset token": func(t *testing.T, g *gate, u login.User) error {
			token, _, err := g.StartReset(t.Context(), u.ID)
			if err != nil {
				return err
			}
			return g.Reset(t.Context(), token, secret, func(string) error { return nil })
		},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGate(t, noLimit).locking(t)
			u := g.user(t, "alice")
			for i := range 4 {
				g.guess(t, 5, "alice", fmt.Sprintf("198.51.100.%d", i))
			}
			if err := renew(t, g, u); err != nil {
				t.Fatal(err)
			}
			if _, err := g.tryFrom(t, "alice", secret, "198.51.100.1"); err != nil {
				t.Error(err)
			}
		})
	}
}

// 200 guesses at once are no more than the threshold: from one network, and from 200 of them. Each has its
// event, in the transaction that counts it.
func TestParallelGuesses(t *testing.T) {
	for what, c := range map[string]struct {
		ip   func(i int) string
		most int64
	}{
		"one network":  {func(int) string { return "192.0.2.7" }, 5},
		"200 networks": {func(i int) string { return fmt.Sprintf("198.51.%d.7", i) }, 20},
	} {
		for _, name := range []string{"alice", "nobody"} {
			t.Run(what+" "+name, func(t *testing.T) {
				g := newGate(t, noLimit).locking(t)
				u := g.user(t, "alice")
				var wrong, locked atomic.Int64
				var all sync.WaitGroup
				for i := range 200 {
					all.Go(func() {
						_, err := g.tryFrom(t, name, "wrong", c.ip(i))
						var wait *login.WaitError
						switch {
						case errors.Is(err, login.ErrNoActiveAccount):
							wrong.Add(1)
						case errors.As(err, &wait):
							locked.Add(1)
						default:
							t.Errorf("guess %d: %v", i, err)
						}
					})
				}
				all.Wait()
				if wrong.Load() != c.most || locked.Load() != 200-c.most || g.hashes() != c.most {
					t.Errorf("%d wrong, %d locked, %d hashes; want %d, %d, %d", wrong.Load(), locked.Load(), g.hashes(), c.most, 200-c.most, c.most)
				}
				user := u.ID
				if name != "alice" {
					user = uuid.UUID{}
				}
				events, _, err := g.log.List(t.Context(), activity.Query{User: &user, Outcome: activity.Failure}, uuid.UUID{}, 500)
				if err != nil || len(events) != 200 {
					t.Errorf("%d events, %v; want 200", len(events), err)
				}
			})
		}
	}
}

// An attempt for which there was no room counts nothing, and one whose store fails is no guess either: it is
// answered alike, right or wrong.
func TestNothingIsCounted(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	g.user(t, "alice")
	g.hasher.Err = password.ErrBusy
	for range 10 {
		if _, err := g.tryFrom(t, "alice", "wrong", "192.0.2.7"); !errors.Is(err, login.ErrBusy) {
			t.Fatal(err)
		}
	}
	g.hasher.Err = nil
	g.store.FailCommits(db.ErrUnavailable, false)
	for _, password := range []string{"wrong", secret} {
		if s, err := g.tryFrom(t, "alice", password, "192.0.2.7"); !errors.Is(err, db.ErrUnavailable) || s != (login.Session{}) {
			t.Errorf("without a store: %v", err)
		}
	}
	g.store.FailCommits(nil, false)
	g.guess(t, 4, "alice", "192.0.2.7")
	if _, err := g.tryFrom(t, "alice", secret, "192.0.2.7"); err != nil {
		t.Errorf("after four failures: %v", err)
	}
}

// Locks survive a restart.
func TestLockSurvivesRestart(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "test.db"), newClock()
	g := open(t, path, noLimit, c, newRandomness(1))
	g.user(t, "alice")
	g.locking(t).guess(t, 5, "alice", "192.0.2.7")
	g.locking(t).guess(t, 5, "nobody", "192.0.2.7")
	g.close()
	h := open(t, path, noLimit, c, newRandomness(2))
	t.Cleanup(h.close)
	again := h.locking(t)
	if err := again.counters.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "nobody"} {
		_, err := again.tryFrom(t, name, secret, "192.0.2.7")
		wantWait(t, err, login.Locked, time.Minute)
	}
}

// Clearing a lock lets in again at once, and is an event of the user whose name it is.
func TestClearLockout(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	u := g.user(t, "alice")
	for _, name := range []string{"alice", "nobody"} {
		g.guess(t, 5, name, "192.0.2.7")
	}
	found, _, err := g.counters.List(t.Context(), lockout.Query{}, "", 10)
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, l := range found {
		if err := g.ClearLockout(t.Context(), operator, l.ID); err != nil {
			t.Fatal(err)
		}
		if err := g.ClearLockout(t.Context(), operator, l.ID); !errors.Is(err, lockout.ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
	}
	if e := g.newest(t, u.ID); e.Kind != activity.Admin || e.Reason != login.LockoutEnded || e.NameTried != "alice" || e.Actor != activity.BySocket {
		t.Errorf("recorded %+v", e)
	}
	if _, err := g.tryFrom(t, "alice", secret, "192.0.2.7"); err != nil {
		t.Error(err)
	}
}

// Whoever holds a session does not get new guesses by using it.
func TestRefreshResetsNoCounter(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	home := client.IP.String()
	g.guess(t, 4, "alice", home)
	for range 3 {
		s = g.refresh(t, s.Refresh)
		g.want(t, u, s, reason.OK)
		if err := g.VerifyRefresh(t.Context(), s.Refresh); err != nil {
			t.Error(err)
		}
	}
	g.guess(t, 1, "alice", home)
	g.refresh(t, s.Refresh)
	_, err := g.tryFrom(t, "alice", secret, home)
	wantWait(t, err, login.Locked, time.Minute)
}

// While strangers and he himself have locked his name, whoever is in stays in and goes on: nothing about a session asks a
// counter.
func TestLockTouchesNoSession(t *testing.T) {
	g := newGate(t, noLimit).locking(t)
	u := g.user(t, "alice")
	s, other := g.signIn(t, "alice"), g.signIn(t, "alice")
	home := client.IP.String()
	g.guess(t, 5, "alice", home)
	for i := range 3 {
		g.guess(t, 5, "alice", fmt.Sprintf("198.51.100.%d", i))
	}
	for _, from := range []string{home, "203.0.113.9"} {
		_, err := g.tryFrom(t, "alice", secret, from)
		wantWait(t, err, login.Locked, time.Hour)
	}
	for range 3 {
		if _, why := g.index.Check(g.use(u, s)); why != reason.OK {
			t.Errorf("a check answers %v", why)
		}
		if err := g.VerifyRefresh(t.Context(), s.Refresh); err != nil {
			t.Errorf("VerifyRefresh = %v", err)
		}
		s = g.refresh(t, s.Refresh)
	}
	if err := g.EndOther(t.Context(), caller(u, s), other.Device); err != nil {
		t.Errorf("ending another device: %v", err)
	}
	if err := g.Logout(t.Context(), caller(u, s)); err != nil {
		t.Errorf("Logout = %v", err)
	}
}
