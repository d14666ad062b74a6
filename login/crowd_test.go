package login_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// Several clients of one user act at the same moment, round after round, and several users beside each
// other. Nobody can say in which order the acts of one round happen; what must be so whatever the order
// is: never more live devices than the limit, nothing lives that an acknowledged act has ended, nothing
// ends without an act, and the last acknowledged sign-in stays.
func TestCrowds(t *testing.T) {
	cfg := within(3)
	cfg.Limits.ByRole = map[string]int{"staff": 1, "lab": 12}
	g := newGate(t, cfg)
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			c := &crowd{gate: g, Rand: rand.New(rand.NewPCG(7, uint64(i))), user: g.user(t, fmt.Sprint("user ", i))}
			for range phases * 5 {
				if c.round(t); t.Failed() {
					return
				}
			}
		})
	}
	users.Wait()
}

type crowd struct {
	*gate
	*rand.Rand
	user     login.User
	sessions []login.Session // that live

	mu    sync.Mutex
	ended map[uuid.UUID]bool // devices that an acknowledged act of the round has ended
	dead  []login.Session    // sessions that one has
	swept bool               // everything that lived before the round has been ended
	kept  uuid.UUID          // but this
	any   bool               // something was tried that ends devices
	made  []login.Session
}

// clients is how many act at once.
const clients = 5

func (c *crowd) round(t *testing.T) {
	before := c.sessions
	c.ended, c.dead, c.swept, c.kept, c.any, c.made = map[uuid.UUID]bool{}, nil, false, uuid.Nil, false, nil
	var all sync.WaitGroup
	for range clients {
		do := c.pick(before)
		all.Go(func() {
			var rule *device.RuleError // who picks himself
			if err := do(); err != nil && !refusal(err) && !errors.As(err, &rule) {
				t.Errorf("%s: %v", c.user.Name, err)
			}
		})
	}
	all.Wait()
	u, err := c.Users.ByID(context.Background(), c.user.ID)
	if err != nil {
		t.Errorf("%v", err)
	}
	live := c.live(t, c.user)
	if limit := cfgLimit(u); len(live) > limit {
		t.Errorf("%s: %d live devices, limit %d", u.Name, len(live), limit)
	}
	c.sessions = nil
	for _, s := range append(slices.Clone(before), c.made...) {
		lives := c.check(u, s) == reason.OK
		if lives {
			c.sessions = append(c.sessions, s)
		}
		if lives && (c.ended[s.Device] || slices.Contains(c.dead, s) || u.Disabled) {
			t.Errorf("%s: a device lives that was ended", u.Name)
		}
	}
	for _, s := range before {
		lives := c.check(u, s) == reason.OK
		if c.swept && s.Device != c.kept && lives {
			t.Errorf("%s: a device lives that was ended with all", u.Name)
		}
		if !c.any && len(c.made) == 0 && !lives {
			t.Errorf("%s: a device ended for nothing", u.Name)
		}
	}
	if !c.any && len(c.made) > 0 && !slices.ContainsFunc(c.made, func(s login.Session) bool { return c.check(u, s) == reason.OK }) {
		t.Errorf("%s: %d sign-ins, and none of them stays", u.Name, len(c.made))
	}
	if len(c.sessions) != len(live) {
		t.Errorf("%s: %d sessions on %d live devices", u.Name, len(c.sessions), len(live))
	}
	c.SetDisabled(context.Background(), u.ID, false)
}

func cfgLimit(u login.User) int {
	switch {
	case slices.Contains(u.Roles, "staff"):
		return 1
	case slices.Contains(u.Roles, "lab"):
		return 12
	}
	return 3
}

// pick chooses what one client does. What it may end is written down once it is acknowledged.
func (c *crowd) pick(before []login.Session) func() error {
	ctx := context.Background()
	if len(before) == 0 || c.IntN(3) == 0 {
		proof := ""
		if len(before) > 0 && c.IntN(2) == 0 {
			proof = before[c.IntN(len(before))].Refresh
		}
		return func() error { return c.signIn(proof) }
	}
	mine, other := before[c.IntN(len(before))], before[c.IntN(len(before))]
	as, n := caller(c.user, mine), c.IntN(24)
	c.any = c.any || n < 8
	switch n {
	case 0:
		return func() error { return c.acked(c.Logout(ctx, as), func() { c.dead = append(c.dead, mine) }) }
	case 1:
		return func() error { return c.acked(c.Revoke(ctx, mine.Refresh), func() { c.dead = append(c.dead, mine) }) }
	case 2:
		return func() error {
			return c.acked(c.EndOther(ctx, as, other.Device), func() { c.ended[other.Device] = true })
		}
	case 3:
		return func() error {
			_, _, err := c.EndOthers(ctx, as)
			return c.acked(err, func() { c.sweep(mine.Device) })
		}
	case 4:
		return func() error {
			return c.acked(c.ChangePassword(ctx, as, secret, secret, client), func() { c.sweep(mine.Device) })
		}
	case 5:
		return func() error {
			_, err := c.SetPassword(ctx, c.user.ID, secret)
			return c.acked(err, func() { c.sweep(uuid.Nil) })
		}
	case 6:
		return func() error {
			_, err := c.SetDisabled(ctx, c.user.ID, true)
			return c.acked(err, func() { c.sweep(uuid.Nil) })
		}
	case 7:
		roles := [][]string{nil, {"staff"}, {"lab"}, {"lab"}}[c.IntN(4)]
		return func() error { _, err := c.SetRoles(ctx, c.user.ID, roles); return err }
	case 8, 9, 10:
		fresh := "another"
		return func() error { _, err := c.Change(ctx, as, other.Device, device.Change{Name: &fresh}); return err }
	case 11, 12, 13:
		return func() error { _, err := c.Refresh(ctx, mine.Refresh, client); return err }
	default:
		return func() error { c.index.Check(c.use(c.user, mine)); return nil }
	}
}

func (c *crowd) signIn(proof string) error {
	s, err := c.SignIn(context.Background(), login.SignIn{Name: c.user.Name, Password: secret, Client: client, Refresh: proof})
	return c.acked(err, func() { c.made = append(c.made, s) })
}

func (c *crowd) acked(err error, then func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		then()
	}
	return err
}

// sweep notes that everything that lived before is ended, but kept. Two who keep different devices end all.
func (c *crowd) sweep(kept uuid.UUID) {
	if c.swept && kept != c.kept {
		kept = uuid.Nil
	}
	c.swept, c.kept = true, kept
}
