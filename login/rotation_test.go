package login_test

import (
	"path/filepath"
	"testing"
	"time"

	"devicegate/reason"
)

// With refresh_rotation off the same refresh token is returned until it expires, and nothing is reuse.
func TestNoRotation(t *testing.T) {
	cfg := noLimit
	cfg.RefreshRotation = false
	g := newGate(t, cfg)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	for range 5 {
		g.clock.Advance(lifetime - time.Millisecond)
		if next := g.refresh(t, s.Refresh); next.Refresh != s.Refresh || next.Access == "" {
			t.Errorf("Refresh = %+v", next)
		}
		g.want(t, u, s, reason.OK)
	}
	g.clock.Advance(lifetime)
	_, err := g.Refresh(t.Context(), s.Refresh, client)
	wantRefused(t, err, reason.DeviceNotRecognized)
}

// Rotation was just switched off: who asks again within the grace must get the successor, not the token that
// will soon be an old one.
func TestRotationSwitchedOff(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "test.db"), newClock()
	g := open(t, path, noLimit, c, newRandomness(1))
	g.user(t, "alice")
	first := g.signIn(t, "alice").Refresh
	second := g.refresh(t, first).Refresh
	g.close()
	cfg := noLimit
	cfg.RefreshRotation = false
	g = open(t, path, cfg, c, newRandomness(2))
	defer g.close()
	if got := g.refresh(t, first).Refresh; got != second {
		t.Error("a retry is not answered with the successor")
	}
	c.Advance(time.Hour)
	if got := g.refresh(t, second).Refresh; got != second {
		t.Error("the token is not kept")
	}
}

// max_lifetime counts from the last sign-in on the device, whatever its age.
func TestMaxLifetimeFromTheLastSignIn(t *testing.T) {
	cfg := noLimit
	cfg.MaxLifetime = 40 * 24 * time.Hour
	g := newGate(t, cfg)
	u := g.user(t, "alice")
	s := g.signIn(t, "alice")
	g.clock.Advance(25 * 24 * time.Hour)
	s = g.refresh(t, s.Refresh)
	if got := g.live(t, u)[0].ExpiresAt.Sub(g.clock.Now()); got != 15*24*time.Hour {
		t.Errorf("it expires after %v", got)
	}
	s = g.signInAs(t, "alice", s.Refresh, "")
	if got := g.live(t, u)[0].ExpiresAt.Sub(g.clock.Now()); got != lifetime {
		t.Errorf("signed in again it expires after %v", got)
	}
	g.clock.Advance(20 * 24 * time.Hour)
	g.refresh(t, s.Refresh)
	if got := g.live(t, u)[0].ExpiresAt.Sub(g.clock.Now()); got != 20*24*time.Hour {
		t.Errorf("refreshed it expires after %v", got)
	}
}
