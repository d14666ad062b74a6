package login_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/lockout"
	"devicegate/login"
)

// hangsUp is the store and the passwords of a service whose client hangs up: after some reads, or while the
// hash is computed, which is of a wrong password.
type hangsUp struct {
	db.Store
	login.Passwords
	reads  int // before he does; 0: only at the hash
	cancel context.CancelFunc
}

func (h *hangsUp) Get(ctx context.Context, key string) (db.Entry, error) {
	e, err := h.Store.Get(ctx, key)
	if h.reads--; h.reads == 0 {
		h.cancel()
	}
	return e, err
}

func (h *hangsUp) Verify(context.Context, string, string) (bool, error) {
	h.cancel()
	return false, nil
}

// hungUpOn is a second service on the gate's store, which locks after 5 failures.
func (g *gate) hungUpOn(t *testing.T, h *hangsUp, rate int) (*login.Service, *lockout.Counters) {
	t.Helper()
	o, users := g.with(h), *g.Users
	users.Store = h
	counters := lockout.New(lockout.Options{
		Store: h, Now: g.clock.Now, Threshold: 5, NameThreshold: 20,
		BaseDelay: time.Minute, MaxDelay: time.Hour, Window: 24 * time.Hour, Exists: g.Users.Exists,
	})
	o.Users, o.Lockout, o.Config.SignInRate = &users, counters, login.Rate{Count: rate, Per: time.Minute}
	service, err := login.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return service, counters
}

// Who hangs up is counted and recorded all the same: else guessing would be free, and unseen, for whoever does
// not wait for the answer.
func TestWhoHangsUpIsRecorded(t *testing.T) {
	for _, c := range []struct {
		reason        string
		before        int // guesses that were answered
		rate          int
		reads         int // before he hangs up
		alice, nobody string
		failures      int
	}{
		{"at the hash", 0, 100, 0, login.WrongPassword, login.UnknownUser, 1},
		{"when throttled", 1, 1, 1, login.Throttled, login.Throttled, 1}, // his name was looked up
		{"when locked", 5, 100, 3, login.Locked, login.Locked, 5},        // and both counters
	} {
		for name, reason := range map[string]string{"alice": c.alice, "nobody": c.nobody} {
			t.Run(name+" "+c.reason, func(t *testing.T) {
				g := newGate(t, noLimit)
				user := g.user(t, "alice").ID
				if name == "nobody" {
					user = uuid.UUID{}
				}
				h := &hangsUp{Store: g.store, Passwords: g.hasher, cancel: func() {}}
				service, counters := g.hungUpOn(t, h, c.rate)
				guess := login.SignIn{Name: name, Password: "wrong", Client: client}
				for range c.before {
					_, _ = service.SignIn(t.Context(), guess)
				}
				ctx, cancel := context.WithCancel(t.Context())
				h.reads, h.cancel = c.reads, cancel
				if _, err := service.SignIn(ctx, guess); ctx.Err() == nil || errors.Is(err, db.ErrUnavailable) {
					t.Errorf("it answers %v, the context %v", err, ctx.Err())
				}
				if e := g.newest(t, user); e.Reason != reason || e.NameTried != name {
					t.Errorf("recorded %+v, want %s", e, reason)
				}
				found, _, err := counters.List(t.Context(), lockout.Query{All: true}, "", 10)
				if err != nil || len(found) != 2 || found[0].Failures != c.failures || found[1].Failures != c.failures {
					t.Errorf("counted %+v, %v, want %d", found, err, c.failures)
				}
			})
		}
	}
}
