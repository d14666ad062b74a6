package device_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

// counting counts the commits that reached the store.
type counting struct {
	db.Store
	n atomic.Int64
}

func (c *counting) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	c.n.Add(1)
	return c.Store.Commit(ctx, txn)
}

// family is a user with an old and a young device, and rules that look at their ages.
func family(t *testing.T) (g *gate, old, young device.Record) {
	g = newGate(t)
	g.reg.Rules.SeniorityDelay = day
	user := g.user(t)
	old = g.add(t, user)
	g.clock.Advance(10 * day)
	return g, old, g.add(t, user)
}

func wantRule(t *testing.T, what string, err error, want string) {
	t.Helper()
	var rule *device.RuleError
	if !errors.As(err, &rule) || rule.Code != want {
		t.Errorf("%s = %v, want %s", what, err, want)
	}
}

// Every way to end or change another goes through the rules; what is no act of a device does not.
func TestSeniorityAndItsExemptions(t *testing.T) {
	g, old, young := family(t)
	yes := true
	wantRule(t, "EndOther", g.reg.EndOther(t.Context(), as(young), old.UID), "device_too_new")
	_, err := g.reg.Change(t.Context(), as(young), old.UID, device.Change{CanDeleteOthers: &yes})
	wantRule(t, "Change", err, "device_too_new")
	wantRule(t, "MayChangePassword", g.reg.MayChangePassword(t.Context(), as(young)), "device_too_new")
	wantRule(t, "KeepOnly", g.reg.KeepOnly(t.Context(), as(young), 2, db.Txn{}, device.Cause{}), "device_too_new")
	ended, kept, err := g.reg.EndOthers(t.Context(), as(young))
	if ended != 0 || kept != 1 || err != nil {
		t.Errorf("EndOthers = %d, %d kept, %v, want the old one kept", ended, kept, err)
	}
	g.want(t, old, reason.OK)

	another := g.add(t, old.User)
	for _, act := range []struct { // in this order: the last one ends the actor of the first
		name string
		end  func() error
	}{
		{"an older one ends a younger", func() error { return g.reg.EndOther(t.Context(), as(old), another.UID) }},
		{"one's own logout", func() error { return g.reg.EndTokens(t.Context(), young.User, young.UID, young.Tokens, device.Logout) }},
		{"an admin", func() error { return g.reg.End(t.Context(), old.User, old.UID, device.RevokedByAdmin) }},
	} {
		if err := act.end(); err != nil {
			t.Errorf("%s: %v", act.name, err)
		}
	}

	g, old, young = family(t)
	if _, out := g.addWithin(t, old.User, 1); len(out) != 2 {
		t.Errorf("the limit put out %v, want both", ordinals(out))
	}
	g, old, young = family(t)
	g.clock.Advance(lifetime - 10*day)
	g.want(t, old, reason.DeviceNotRecognized) // expiry
	if err := g.reg.MayChangePassword(t.Context(), as(young)); err != nil {
		t.Errorf("with no older one left: %v", err)
	}
	g, old, _ = family(t)
	g.setUser(t, old.User, device.UserRow{Generation: 2, Disabled: true, Ended: device.InactiveAccount, EndedAt: g.clock.Now()})
	g.want(t, old, reason.InactiveAccount)
}

// A caller whose device or tokens have ended since he proved himself does nothing any more.
func TestCallerGone(t *testing.T) {
	for name, gone := range map[string]func(*gate, device.Record){
		"ended":           func(g *gate, r device.Record) { g.end(t, r, device.Logout) },
		"expired":         func(g *gate, r device.Record) { g.clock.Advance(lifetime) },
		"signed in again": func(g *gate, r device.Record) { g.again(t, r) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			user := g.user(t)
			caller := g.add(t, user)
			gone(g, caller)
			target, fresh := g.add(t, user), "kitchen"
			_, change := g.reg.Change(t.Context(), as(caller), target.UID, device.Change{Name: &fresh})
			_, _, all := g.reg.EndOthers(t.Context(), as(caller))
			for act, err := range map[string]error{
				"EndOther": g.reg.EndOther(t.Context(), as(caller), target.UID), "EndOthers": all, "Change": change,
				"MayChangePassword": g.reg.MayChangePassword(t.Context(), as(caller)), "KeepOnly": g.reg.KeepOnly(t.Context(), as(caller), 2, db.Txn{}, device.Cause{}),
			} {
				if !errors.Is(err, device.ErrCallerGone) {
					t.Errorf("%s = %v, want ErrCallerGone", act, err)
				}
			}
			if err := g.reg.EndTokens(t.Context(), user, caller.UID, caller.Tokens, device.Logout); !errors.Is(err, device.ErrNotFound) {
				t.Errorf("EndTokens = %v, want ErrNotFound", err)
			}
			g.want(t, target, reason.OK)
		})
	}
}

// again signs in on rec and returns what it is then.
func (g *gate) again(t *testing.T, rec device.Record) device.Record {
	t.Helper()
	n := newDevice(uuid.New(), rec.User)
	n.Name, n.Proves = "", func(r device.Record) bool { return r.UID == rec.UID }
	got, out, err := g.reg.Add(t.Context(), n, device.Limit{Count: 1000}, db.Txn{})
	if err != nil || len(out) != 0 {
		t.Fatalf("sign in again: %d put out, %v", len(out), err)
	}
	return got
}

// Rights are what the record says at the moment of the act, and every device that has lost them gets them
// back with a fresh sign-in.
func TestRights(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	a, b := g.add(t, user), g.add(t, user)
	no, yes := false, true
	if rec, err := g.reg.Change(t.Context(), as(a), b.UID, device.Change{CanDeleteOthers: &no}); err != nil || rec.CanDeleteOthers || !rec.CanUpdateOthers {
		t.Errorf("Change = %+v, %v", rec, err)
	}
	wantRule(t, "EndOther", g.reg.EndOther(t.Context(), as(b), a.UID), "device_lacks_delete_permission")
	_, _, err := g.reg.EndOthers(t.Context(), as(b))
	wantRule(t, "EndOthers", err, "device_lacks_delete_permission")
	_, err = g.reg.Change(t.Context(), as(b), a.UID, device.Change{CanDeleteOthers: &yes})
	wantRule(t, "Change", err, "device_permission_escalation")
	kitchen := "kitchen"
	_, err = g.reg.Change(t.Context(), as(b), b.UID, device.Change{Name: &kitchen, CanDeleteOthers: &yes})
	wantRule(t, "Change of oneself", err, "device_self_modification")
	if rec, err := g.reg.Get(t.Context(), user, b.UID); err != nil || rec.Name == kitchen || rec.CanDeleteOthers {
		t.Errorf("after a refusal it is %+v, %v", rec, err)
	}
	if _, err := g.reg.Change(t.Context(), as(b), a.UID, device.Change{CanDeleteOthers: &no, CanUpdateOthers: &no}); err != nil {
		t.Errorf("taking a right that one lacks: %v", err)
	}
	_, err = g.reg.Change(t.Context(), as(a), b.UID, device.Change{CanUpdateOthers: &no})
	wantRule(t, "Change without the right", err, "device_lacks_edit_permission")
	fresh := g.add(t, user)
	if _, err := g.reg.Change(t.Context(), as(fresh), a.UID, device.Change{CanDeleteOthers: &yes, CanUpdateOthers: &yes}); err != nil {
		t.Errorf("a fresh sign-in gives them back: %v", err)
	}
	if err := g.reg.EndOther(t.Context(), as(a), b.UID); err != nil {
		t.Errorf("EndOther = %v", err)
	}
	g.reg.CanDeleteOthers, g.reg.CanUpdateOthers = false, true
	if rec := g.add(t, user); rec.CanDeleteOthers || !rec.CanUpdateOthers {
		t.Errorf("the rights of a new device are %+v, want the configured ones", rec)
	}
}

// Where the switch or the right forbids revoke-all it is forbidden, also with nobody else there.
func TestEndOthersAlone(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	if ended, kept, err := g.reg.EndOthers(t.Context(), as(rec)); ended != 0 || kept != 0 || err != nil {
		t.Errorf("EndOthers = %d, %d, %v", ended, kept, err)
	}
	g.reg.Rules.AllowDelete = false
	_, _, err := g.reg.EndOthers(t.Context(), as(rec))
	wantRule(t, "EndOthers", err, "device_deletion_disabled")
}

// Those that may not be ended are kept and counted once, however many transactions it takes.
func TestEndOthersCounts(t *testing.T) {
	for _, young := range []int{0, 1, device.EndsPerTxn, device.EndsPerTxn + 1, 3 * device.EndsPerTxn} {
		g := newGate(t)
		g.reg.Rules.DeleteDelay = time.Hour
		user := g.user(t)
		caller := g.add(t, user)
		for range young {
			g.add(t, user)
		}
		g.clock.Advance(time.Hour)
		want := append(ordinals([]device.Record{g.add(t, user), g.add(t, user), g.add(t, user)}), caller.Ordinal)
		slices.SortFunc(want, func(a, b uint64) int { return int(b) - int(a) })
		ended, kept, err := g.reg.EndOthers(t.Context(), as(caller))
		told := endedAs(g.reg.told(), device.RevokeAll)
		if ended != young || kept != 3 || err != nil || len(told) != young {
			t.Errorf("EndOthers = %d ended, %d kept, %d told, %v, want %d, 3", ended, kept, len(told), err, young)
		}
		if diff := cmp.Diff(want, g.live(t, user)); diff != "" {
			t.Errorf("live devices -want +got:\n%s", diff)
		}
	}
}

// A password change ends all others with one write, however many there are.
func TestKeepOnly(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	var others []device.Record
	for range 40 {
		others = append(others, g.add(t, user))
	}
	mine := g.add(t, user)
	count := &counting{Store: g.store}
	g.reg.through(count)
	row := device.UserRow{Generation: 2, Ended: device.PasswordChanged, EndedAt: g.clock.Now(), Name: "someone"}
	if err := g.reg.KeepOnly(t.Context(), as(mine), 2, db.Txn{Writes: []db.Write{db.Put(device.UserRowKey(user), row.Encode())}}, device.Cause{Why: device.PasswordChanged, By: olga}); err != nil || count.n.Load() != 1 {
		t.Errorf("KeepOnly = %v with %d commits, want one", err, count.n.Load())
	}
	for _, rec := range others {
		g.want(t, rec, reason.DeviceNotRecognized)
	}
	g.want(t, mine, reason.OK)
	if diff := cmp.Diff([]uint64{mine.Ordinal}, g.live(t, user)); diff != "" {
		t.Errorf("live devices -want +got:\n%s", diff)
	}
}

// Trim ends as many as one transaction can together with the guard, those beyond in batches before. In
// every case the least recent go, with one word, and the others keep their tokens.
func TestTrim(t *testing.T) {
	for _, c := range []struct {
		name                 string
		have, limit, commits int
	}{
		{"nobody goes", 5, 5, 1},
		{"a raised limit", 5, 9, 1},
		{"as many go as one transaction ends", 25, 25 - device.EndsPerTxn, 1},
		{"one more", 25, 24 - device.EndsPerTxn, 2},
		{"few stay", 40, 3, 8},
		{"one stays", 2*device.EndsPerTxn + 1, 1, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t)
			user := g.user(t)
			var recs []device.Record
			for range c.have {
				recs = append(recs, g.add(t, user))
			}
			g.clock.Advance(time.Second)
			g.check(recs[0]) // the oldest, used last
			recs = append(recs[1:], recs[0])
			count := &counting{Store: g.store}
			g.reg.through(count)
			row := device.UserRow{Generation: 1, Name: "someone", Roles: []string{"new"}}
			guard := db.Txn{Writes: []db.Write{db.Put(device.UserRowKey(user), row.Encode())}}
			if err := g.reg.Trim(t.Context(), user, device.Limit{Count: c.limit, On: device.Refuse}, guard); err != nil || count.n.Load() != int64(c.commits) {
				t.Errorf("Trim = %v with %d commits, want %d", err, count.n.Load(), c.commits)
			}
			out, gone := max(0, c.have-c.limit), map[uuid.UUID]int{}
			for i, rec := range recs {
				want := reason.OK
				if i < out {
					want = reason.DeviceReplaced
					gone[rec.UID] = 1
				}
				g.want(t, rec, want)
			}
			if diff := cmp.Diff(gone, endedAs(g.reg.told(), device.Replaced)); diff != "" {
				t.Errorf("gone -want +got:\n%s", diff)
			}
			if s, why := g.index.Peek(g.use(recs[len(recs)-1])); why != reason.OK || !slices.Equal(s.Roles, []string{"new"}) {
				t.Errorf("the guard's writes are missing: %+v, %v", s, why)
			}
		})
	}
}

// While the guard does not hold nobody goes, neither with it nor before it.
func TestTrimAndGuard(t *testing.T) {
	for _, limit := range []int{30 - device.EndsPerTxn, 3} {
		g := newGate(t)
		user := g.user(t)
		for range 30 {
			g.add(t, user)
		}
		guard := db.Txn{If: []db.Condition{{Key: "changed", Revision: 9}}}
		err := g.reg.Trim(t.Context(), user, device.Limit{Count: limit}, guard)
		told := endedAs(g.reg.told(), device.Replaced)
		if !errors.Is(err, db.ErrConflict) || len(told) != 0 || len(g.live(t, user)) != 30 {
			t.Errorf("Trim to %d = %d gone, %v, %d live", limit, len(told), err, len(g.live(t, user)))
		}
	}
}
