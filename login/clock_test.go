package login_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"devicegate/login"
	"devicegate/reason"
)

const (
	day  = 24 * time.Hour
	year = 365 * day

	longest = 2 * lifetime // since the sign-in
)

func slidingWithin(most time.Duration) login.Config {
	cfg := noLimit
	cfg.MaxLifetime = most
	return cfg
}

// to returns how far it is from where clocks of tests start.
func to(at time.Time) time.Duration { return at.Sub(newClock().Now()) }

// A clock that is set to another time: what has ended stays ended, what lives does so by its expiry and no longer, the
// previous refresh token counts for its grace and no longer, locks stay within their bounds and anybody can sign in.
// The same holds once the clock is set right again.
func TestAClockThatIsSet(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"a millisecond back": -time.Millisecond, "the grace back": -grace, "more than the grace back": -grace - time.Millisecond,
		"an hour back": -time.Hour, "a day back": -day, "ten years back": -10 * year, "to the first day of Unix": to(time.Unix(86_400, 0)),
		"a millisecond forward": time.Millisecond, "the grace forward": grace, "an hour forward": time.Hour, "a day forward": day,
		"ten years forward": 10 * year, "beyond 32 bits": to(time.Unix(1<<31, 0)), "beyond 32 bits without a sign": to(time.Unix(1<<32, 0)),
		"to the last year of nanoseconds": to(time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)),
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, slidingWithin(longest)).locking(t)
			u := g.user(t, "alice")
			gone := endedBefore(t, g, u)
			previous := g.signIn(t, "alice")
			current := g.refresh(t, previous.Refresh)
			g.guess(t, 5, "bob", "192.0.2.7")
			resetToken, _, err := g.StartReset(t.Context(), g.user(t, "carol").ID)
			if err != nil {
				t.Fatal(err)
			}

			g.clock.Advance(jump)
			g.wantGone(t, u, gone)
			g.wantLockBounded(t, "bob")
			lives, inGrace := jump < lifetime, jump.Abs() <= grace
			if why := g.check(u, current); (why == reason.OK) != lives {
				t.Errorf("the device answers %v, should live: %v", why, lives)
			}
			if err := g.VerifyRefresh(t.Context(), previous.Refresh); (err == nil) != (lives && inGrace) {
				t.Errorf("VerifyRefresh of the previous token = %v, in its grace: %v", err, inGrace)
			}
			next, err := g.Refresh(t.Context(), current.Refresh, client)
			if (err == nil) != lives {
				t.Fatalf("Refresh = %v, should live: %v", err, lives)
			}
			late := g.signIn(t, "alice")
			g.wantLifetimes(t, u)
			err = g.Reset(t.Context(), resetToken, secret, func(string) error { return nil })
			if ok := jump < time.Hour && jump >= -time.Hour; (err == nil) != ok {
				t.Errorf("Reset = %v, should do: %v", err, ok)
			}

			g.clock.Advance(-jump)
			g.wantGone(t, u, gone)
			g.wantLockBounded(t, "bob")
			for _, s := range []login.Session{next, late} {
				if s.Refresh == "" || g.check(u, s) != reason.OK {
					continue // it could not be refreshed, or was signed in too long ago
				}
				g.refresh(t, s.Refresh)
			}
			g.signIn(t, "alice")
			g.wantLifetimes(t, u)
		})
	}
}

// endedBefore returns sessions that have ended, each in another way.
func endedBefore(t *testing.T, g *gate, u login.User) map[string]login.Session {
	t.Helper()
	out, revoked, reused, deleted := g.signIn(t, "alice"), g.signIn(t, "alice"), g.signIn(t, "alice"), g.signIn(t, "alice")
	fromReused := g.refresh(t, g.refresh(t, reused.Refresh).Refresh)
	_, err := g.Refresh(t.Context(), reused.Refresh, client)
	wantRefused(t, err, reason.DeviceCompromised)
	by := caller(u, g.signIn(t, "alice"))
	for _, err := range []error{
		g.Logout(t.Context(), caller(u, out)), g.Revoke(t.Context(), revoked.Refresh), g.EndOther(t.Context(), by, deleted.Device),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return map[string]login.Session{"logged out": out, "revoked": revoked, "reused": reused, "the reused one's last": fromReused, "deleted": deleted}
}

func (g *gate) wantGone(t *testing.T, u login.User, gone map[string]login.Session) {
	t.Helper()
	for what, s := range gone {
		if why := g.check(u, s); why == reason.OK {
			t.Errorf("%s: the check lets it pass", what)
		}
		if got, err := g.Refresh(t.Context(), s.Refresh, client); err == nil || got != (login.Session{}) {
			t.Errorf("%s: it is refreshed", what)
		}
		if g.VerifyRefresh(t.Context(), s.Refresh) == nil {
			t.Errorf("%s: its refresh token is verified", what)
		}
	}
}

// wantLockBounded demands that the name is free, or locked for no longer than any lock.
func (g *gate) wantLockBounded(t *testing.T, name string) {
	t.Helper()
	_, err := g.tryFrom(t, name, secret, "192.0.2.7")
	if !errors.Is(err, login.ErrNoActiveAccount) {
		wantWait(t, err, login.Locked, time.Hour)
	}
}

// wantLifetimes demands of every device that was refreshed or signed in under this clock that it lives no longer than
// one may from now.
func (g *gate) wantLifetimes(t *testing.T, u login.User) {
	t.Helper()
	now := g.clock.Now()
	for _, rec := range g.live(t, u) {
		if !rec.LastSeen.Equal(now) {
			continue
		}
		if left := rec.ExpiresAt.Sub(now); left <= 0 || left > lifetime {
			t.Errorf("a device used now lives for another %v, at most %v", left, lifetime)
		}
		if last := rec.SignedInAt.Add(longest); rec.SignedInAt.After(now) || rec.ExpiresAt.After(last) {
			t.Errorf("a device used now was signed in at %v and lives until %v", rec.SignedInAt, rec.ExpiresAt)
		}
	}
}

// A device that signed in while the clock was years ahead slides no further than any other once the clock is right.
func TestSignedInByAClockThatWasAhead(t *testing.T) {
	g := newGate(t, slidingWithin(longest))
	u := g.user(t, "alice")
	g.clock.Advance(10 * year)
	s := g.signIn(t, "alice")
	g.clock.Advance(-10 * year)
	right := g.clock.Now()
	for g.check(u, s) == reason.OK && g.clock.Now().Sub(right) < 2*longest {
		s = g.refresh(t, s.Refresh)
		g.clock.Advance(lifetime / 2)
	}
	if lived := g.clock.Now().Sub(right); lived > longest {
		t.Errorf("it lived for %v, at most %v", lived, longest)
	}
}

// chain is one device as the model of TestAClockThatKeepsJumping has it.
type chain struct {
	session           login.Session
	tokens            []string // the last is the current one
	rotated           time.Time
	signedIn, expires time.Time
	ended             bool
}

func (c *chain) lives(now time.Time) bool { return !c.ended && now.Before(c.expires) }

// Whatever the clock does between any two acts, and with restarts and sweeps among them, each answer is the model's.
func TestAClockThatKeepsJumping(t *testing.T) {
	for seed := range uint64(times(8)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			h := &clockHistory{Rand: rand.New(rand.NewPCG(seed, 9)), path: filepath.Join(t.TempDir(), "test.db")}
			h.gate = open(t, h.path, slidingWithin(longest), newClock(), newRandomness(0))
			defer func() { h.close() }()
			h.user = h.gate.user(t, "alice")
			for i := range 150 {
				h.step(t, byte(i))
				if t.Failed() {
					return
				}
			}
		})
	}
}

type clockHistory struct {
	*gate
	*rand.Rand
	path   string
	user   login.User
	chains []*chain
}

func (h *clockHistory) step(t *testing.T, n byte) {
	t.Helper()
	switch h.IntN(10) {
	case 0, 1:
		if len(h.chains) < 40 { // well under the limit
			now := h.clock.Now()
			s := h.signIn(t, "alice")
			h.chains = append(h.chains, &chain{session: s, tokens: []string{s.Refresh}, signedIn: now, expires: now.Add(lifetime)})
		}
	case 2, 3, 4:
		h.jump()
	case 5:
		h.sweepOrRestart(t, n)
	default:
		if len(h.chains) > 0 {
			h.use(t, h.chains[h.IntN(len(h.chains))])
		}
	}
	for i, c := range h.chains {
		if why := h.check(h.user, c.session); (why == reason.OK) != c.lives(h.clock.Now()) {
			t.Errorf("device %d answers %v, should live: %v", i, why, c.lives(h.clock.Now()))
		}
	}
}

func (h *clockHistory) jump() {
	d := []time.Duration{time.Millisecond, grace, grace + time.Millisecond, time.Hour, lifetime, longest, 10 * year}[h.IntN(7)]
	if h.IntN(2) == 0 {
		d = -d
	}
	if at := h.clock.Now().Add(d); at.Year() > 1971 && at.Year() < 2200 {
		h.clock.Advance(d)
	}
}

func (h *clockHistory) sweepOrRestart(t *testing.T, n byte) {
	t.Helper()
	if h.IntN(2) == 0 {
		h.close()
		h.gate = open(t, h.path, slidingWithin(longest), h.clock, newRandomness(n+1))
		return
	}
	if _, err := h.Devices.Forget(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	for _, c := range h.chains { // what a sweep finds expired is gone for good
		c.ended = c.ended || !c.lives(h.clock.Now())
	}
}

// use presents one of the device's tokens, or logs it out.
func (h *clockHistory) use(t *testing.T, c *chain) {
	t.Helper()
	now := h.clock.Now()
	at := h.IntN(len(c.tokens) + 2)
	if at > len(c.tokens) && c.lives(now) {
		if err := h.Logout(t.Context(), caller(h.user, c.session)); err != nil {
			t.Error(err)
		}
		c.ended = true
		return
	}
	at = min(at, len(c.tokens)-1)
	current, inGrace := at == len(c.tokens)-1, at == len(c.tokens)-2 && now.Sub(c.rotated).Abs() <= grace
	want := c.lives(now) && (current || inGrace)
	got, err := h.Refresh(context.Background(), c.tokens[at], client)
	if (err == nil) != want {
		t.Errorf("Refresh with token %d of %d, %v after the last rotation, = %v, should do: %v", at, len(c.tokens), now.Sub(c.rotated), err, want)
	}
	switch {
	case !want:
		c.ended = c.ended || c.lives(now) // reuse
	case inGrace && got.Refresh != c.tokens[at+1]:
		t.Error("a retry within the grace got another successor")
	case current:
		c.tokens, c.rotated = append(c.tokens, got.Refresh), now
		if c.signedIn.After(now) {
			c.signedIn = now
		}
		c.expires = now.Add(lifetime)
		if last := c.signedIn.Add(longest); last.Before(c.expires) {
			c.expires = last
		}
	}
}
