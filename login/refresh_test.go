package login_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"devicegate/db"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

func TestRotation(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	seen := map[string]bool{s.Refresh: true}
	for range 5 {
		g.clock.Advance(time.Hour)
		next := g.refresh(t, s.Refresh)
		if next.Device != s.Device || next.Access == "" || next.ExpiresIn != keep || seen[next.Refresh] {
			t.Errorf("Refresh = %+v after %+v", next, s)
		}
		seen[next.Refresh], s = true, next
	}
	g.want(t, u, s, reason.OK)
	rec := g.live(t, u)[0]
	if !rec.LastSeen.Equal(g.clock.Now()) || !rec.ExpiresAt.Equal(g.clock.Now().Add(lifetime)) || len(g.live(t, u)) != 1 {
		t.Errorf("record = %+v", rec)
	}
}

// A client whose answer was lost asks again within the grace and gets the same, also from a service that
// was restarted in between. Its grace does not grow with each try.
func TestRetryWithinGrace(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "test.db"), newClock()
	g := open(t, path, noLimit, c, newRandomness(1))
	u := g.user(t, "alice")
	first := g.signIn(t, "alice").Refresh
	second := g.refresh(t, first).Refresh
	for _, after := range []time.Duration{0, 10 * time.Second, 20 * time.Second} {
		c.Advance(after)
		g.close()
		g = open(t, path, noLimit, c, newRandomness(2))
		if got := g.refresh(t, first).Refresh; got != second {
			t.Errorf("after %v the successor is another", after)
		}
	}
	defer g.close()
	if got := g.refresh(t, second); got.Refresh == first || got.Refresh == second {
		t.Error("the successor has no successor of its own")
	}
	if n := len(g.live(t, u)); n != 1 {
		t.Errorf("%d live devices, want 1", n)
	}
}

// Both holders of one token get one chain: the same successor.
func TestParallelRefreshes(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	token := g.signIn(t, "alice").Refresh
	for range times(40) {
		var wg sync.WaitGroup
		next := make([]string, 8)
		for i := range next {
			wg.Go(func() { next[i] = g.refresh(t, token).Refresh })
		}
		wg.Wait()
		for _, n := range next {
			if n != next[0] || n == token {
				t.Fatalf("successors differ: %q", next)
			}
		}
		token = next[0]
	}
	if n := len(g.live(t, u)); n != 1 {
		t.Errorf("%d live devices, want 1", n)
	}
}

// A token that was rotated away is reuse, and ends the device for everybody who holds one of its tokens.
func TestReuse(t *testing.T) {
	for _, c := range []struct {
		name      string
		rotations int
		age       time.Duration // since the last rotation
		reuse     bool
	}{
		{"the current one", 0, time.Hour, false},
		{"the previous one within the grace", 1, grace, false},
		{"the previous one after the grace", 1, grace + time.Millisecond, true},
		{"the one before that, at once", 2, 0, true},
		{"a much older one", 9, time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t, noLimit)
			u := g.user(t, "alice")
			other := g.signIn(t, "alice")
			s := g.signIn(t, "alice")
			last := s
			for range c.rotations {
				last = g.refresh(t, last.Refresh)
			}
			g.clock.Advance(c.age)
			if err := g.VerifyRefresh(t.Context(), s.Refresh); (err != nil) != c.reuse {
				t.Errorf("VerifyRefresh = %v", err)
			}
			g.want(t, u, s, reason.OK) // asking ended nothing
			got, err := g.Refresh(t.Context(), s.Refresh, client)
			g.want(t, u, other, reason.OK)
			if !c.reuse {
				if err != nil {
					t.Errorf("Refresh = %v", err)
				}
				g.want(t, u, s, reason.OK)
				return
			}
			if got != (login.Session{}) {
				t.Errorf("Refresh handed out %+v", got)
			}
			wantRefused(t, err, reason.DeviceCompromised)
			g.want(t, u, s, reason.DeviceCompromised)
			if why := g.journal.ended[s.Device]; len(why) != 1 || why[0] != device.RefreshReuse {
				t.Errorf("the journal was told %v, want refresh_reuse once", why)
			}
			_, err = g.Refresh(t.Context(), last.Refresh, client)
			wantRefused(t, err, reason.DeviceCompromised)
		})
	}
}

// Each fact about a device has its own answer, to Refresh and to VerifyRefresh alike.
func TestRefreshRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(*testing.T, *gate, login.User, login.Session)
		want   reason.Reason
	}{
		{"logged out", func(t *testing.T, g *gate, u login.User, s login.Session) {
			if err := g.Logout(t.Context(), caller(u, s)); err != nil {
				t.Fatal(err)
			}
		}, reason.DeviceNotRecognized},
		{"replaced", func(t *testing.T, g *gate, _ login.User, _ login.Session) { g.signIn(t, "alice"); g.signIn(t, "alice") }, reason.DeviceReplaced},
		{"disabled", func(t *testing.T, g *gate, u login.User, _ login.Session) { g.disable(t, u, true) }, reason.InactiveAccount},
		{"expired", func(t *testing.T, g *gate, _ login.User, _ login.Session) { g.clock.Advance(lifetime) }, reason.DeviceNotRecognized},
		{"forgotten", func(t *testing.T, g *gate, _ login.User, _ login.Session) {
			g.clock.Advance(lifetime)
			if _, err := g.Devices.Forget(t.Context(), 9); err != nil {
				t.Fatal(err)
			}
		}, reason.DeviceNotRecognized},
		{"the index not in step", func(t *testing.T, g *gate, _ login.User, _ login.Session) {
			if _, err := g.store.Commit(t.Context(), db.Txn{Writes: []db.Write{db.Put(device.UserRowKey([16]byte{1}), nil)}}); err != nil {
				t.Fatal(err)
			}
		}, reason.StoreUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := open(quiet{t}, filepath.Join(t.TempDir(), "test.db"), within(2), newClock(), newRandomness(1))
			defer g.close()
			u := g.user(t, "alice")
			s := g.signIn(t, "alice")
			c.before(t, g, u, s)
			got, err := g.Refresh(t.Context(), s.Refresh, client)
			if got != (login.Session{}) {
				t.Errorf("Refresh handed out %+v", got)
			}
			wantRefused(t, err, c.want)
			wantRefused(t, g.VerifyRefresh(t.Context(), s.Refresh), c.want)
		})
	}
}

// quiet is for a test that breaks the feed on purpose.
type quiet struct{ *testing.T }

func (quiet) Errorf(string, ...any) {}

// The expiry slides with each refresh, but never past the longest life since the sign-in.
func TestExpirySlides(t *testing.T) {
	const most = 10 * time.Hour
	cfg := noLimit
	cfg.RefreshLifetime, cfg.MaxLifetime = 4*time.Hour, most
	g := newGate(t, cfg)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	created := g.clock.Now()
	for _, want := range []time.Duration{7 * time.Hour, 10 * time.Hour, most} {
		g.clock.Advance(3 * time.Hour)
		s = g.refresh(t, s.Refresh)
		if got := g.live(t, u)[0].ExpiresAt.Sub(created); got != want {
			t.Errorf("it expires %v after the sign-in, want %v", got, want)
		}
	}
	g.clock.Advance(time.Hour - time.Millisecond)
	g.want(t, u, s, reason.OK)
	s = g.refresh(t, s.Refresh)
	g.clock.Advance(time.Millisecond)
	g.want(t, u, s, reason.DeviceNotRecognized)
}

// A longest life below the refresh token's bounds the first one too.
func TestExpiryOfTheFirst(t *testing.T) {
	cfg := noLimit
	cfg.MaxLifetime = time.Hour
	g := newGate(t, cfg)
	u := g.user(t, "alice")
	g.signIn(t, "alice")
	if got := g.live(t, u)[0].ExpiresAt.Sub(g.clock.Now()); got != time.Hour {
		t.Errorf("it expires after %v, want 1h", got)
	}
}

func TestVerifyRefreshChangesNothing(t *testing.T) {
	g := newGate(t, noLimit)
	g.user(t, "alice")
	s := g.signIn(t, "alice")
	previous, current := s.Refresh, g.refresh(t, s.Refresh).Refresh
	_, before, err := g.store.Range(t.Context(), "", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{previous, current, "dgr_junk"} {
		if err := g.VerifyRefresh(t.Context(), token); (err == nil) == (token == "dgr_junk") {
			t.Errorf("VerifyRefresh(%q) = %v", token, err)
		}
	}
	g.clock.Advance(time.Hour)
	if err := g.VerifyRefresh(t.Context(), previous); !errors.Is(err, login.ErrTokenNotValid) {
		t.Errorf("VerifyRefresh of an old one = %v, want ErrTokenNotValid", err)
	}
	if _, after, err := g.store.Range(t.Context(), "", "", 1); err != nil || after != before {
		t.Errorf("the store went from revision %d to %d, %v", before, after, err)
	}
	if at, _ := g.index.LastUse(s.Device); !at.Equal(g.clock.Now().Add(-time.Hour)) { // the refresh
		t.Error("it left a trace in the index")
	}
}

// A rotation that the store did not take hands out nothing, and the client can try again.
func TestRefreshStoreFails(t *testing.T) {
	for _, applied := range []bool{false, true} {
		g := newGate(t, noLimit)
		g.user(t, "alice")
		s := g.signIn(t, "alice")
		g.store.FailCommits(db.ErrUnknown, applied)
		if got, err := g.Refresh(t.Context(), s.Refresh, client); got != (login.Session{}) || !errors.Is(err, db.ErrUnknown) {
			t.Errorf("Refresh = %+v, %v, want nothing, ErrUnknown", got, err)
		}
		g.store.FailCommits(nil, false)
		g.refresh(t, s.Refresh)
	}
}

// Revoke logs the device out, whichever of its tokens is shown, and has nothing to say about any other.
func TestRevoke(t *testing.T) {
	g := newGate(t, noLimit)
	u := g.user(t, "alice")
	other := g.signIn(t, "alice")
	for name, pick := range map[string]func(first, second string) string{
		"current": func(_, second string) string { return second }, "old": func(first, _ string) string { return first },
	} {
		s := g.signIn(t, "alice")
		next := g.refresh(t, s.Refresh)
		g.clock.Advance(time.Hour)
		for range 2 {
			if err := g.Revoke(t.Context(), pick(s.Refresh, next.Refresh)); err != nil {
				t.Errorf("%s: Revoke = %v", name, err)
			}
			g.want(t, u, s, reason.DeviceNotRecognized)
		}
		if why := g.journal.ended[s.Device]; len(why) != 1 || why[0] != device.Logout {
			t.Errorf("%s: the journal was told %v, want logout once", name, why)
		}
	}
	g.want(t, u, other, reason.OK)
	for _, junk := range []string{"", "dgr_", "dgr_junk", "a.b.c", other.Refresh + "x", "\x00"} {
		if err := g.Revoke(t.Context(), junk); err != nil {
			t.Errorf("Revoke(%q) = %v", junk, err)
		}
	}
	g.want(t, u, other, reason.OK)
	g.store.FailCommits(db.ErrUnavailable, false)
	if err := g.Revoke(t.Context(), other.Refresh); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("Revoke = %v: it says done and the device lives", err)
	}
}

// Before the index is filled nobody knows which devices live, so nothing is said to be done.
func TestRevokeTooEarly(t *testing.T) {
	g := newGate(t, noLimit)
	g.user(t, "alice")
	s := g.signIn(t, "alice")
	options := g.with(g.hasher)
	options.Devices = &device.Registry{Store: g.store, Index: device.NewIndex(keep, device.IPChange{}), Now: g.clock.Now, Keep: keep, Activity: g.log}
	early, err := login.Open(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, early.Revoke(t.Context(), s.Refresh, client), reason.Starting)
}
