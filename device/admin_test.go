package device_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

// EndAll ends them with one write, however many there are.
func TestEndAll(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	var recs []device.Record
	for range 2*device.EndsPerTxn + 1 {
		recs = append(recs, g.add(t, user))
	}
	other := g.add(t, g.user(t))
	count := &counting{Store: g.store}
	g.reg.through(count)
	n, err := g.reg.EndAll(t.Context(), user, raising(g, user), device.Cause{Why: device.RevokedByAdmin, By: olga})
	if n != len(recs) || err != nil || count.n.Load() != 1 {
		t.Errorf("EndAll = %d, %v, with %d commits, want %d with one", n, err, count.n.Load(), len(recs))
	}
	for _, rec := range recs {
		g.want(t, rec, reason.DeviceNotRecognized)
	}
	g.want(t, other, reason.OK)
}

// Where none lives there is nothing to tell, and nothing is written: neither the guard nor an event.
func TestEndAllOfNone(t *testing.T) {
	for name, before := range map[string]func(*gate, uuid.UUID){
		"never one": func(*gate, uuid.UUID) {},
		"ended":     func(g *gate, user uuid.UUID) { g.end(t, g.add(t, user), device.Logout) },
		"expired":   func(g *gate, user uuid.UUID) { g.add(t, user); g.clock.Advance(lifetime) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			user := g.user(t)
			before(g, user)
			told := len(g.reg.told())
			count := &counting{Store: g.store}
			g.reg.through(count)
			n, err := g.reg.EndAll(t.Context(), user, raising(g, user), device.Cause{Why: device.RevokedByAdmin, By: olga})
			if n != 0 || err != nil || count.n.Load() != 0 || len(g.reg.told()) != told {
				t.Errorf("EndAll = %d, %v, with %d commits and %d events, want none", n, err, count.n.Load(), len(g.reg.told())-told)
			}
			if got := g.index.Known().Users[user].Generation; got != 1 {
				t.Errorf("the user is of generation %d, want 1", got)
			}
		})
	}
}

func deviceChanged(rec device.Record) activity.Event {
	e := olga.Event(activity.Admin, "device_changed")
	e.User, e.Device = rec.User, rec.UID
	return e
}

// An admin may what no rule lets a device do, and it is told once, also when it took two tries.
func TestOverride(t *testing.T) {
	g := newGate(t)
	g.reg.CanDeleteOthers, g.reg.CanUpdateOthers, g.reg.Rules = false, false, device.Rules{}
	user := g.user(t)
	recs := []device.Record{g.add(t, user), g.add(t, user)}
	yes, kitchen := true, "kitchen"
	g.reg.through(&sweepDuring{g.store, func() { meanwhile(t, g, recs) }})
	got, err := g.reg.Override(t.Context(), user, recs[0].UID, device.Change{Name: &kitchen, CanDeleteOthers: &yes}, deviceChanged(recs[0]))
	want := recs[0]
	want.Schema, want.Name, want.CanDeleteOthers = 1, kitchen, true
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Override = %v, -want +got:\n%s", err, diff)
	}
	if got, err := g.reg.Get(t.Context(), user, recs[0].UID); err != nil || !cmp.Equal(want, got) {
		t.Errorf("after it Get = %+v, %v", got, err)
	}
	told := []activity.Event{deviceChanged(recs[0])}
	g.wantEvents(t, recs, told, told)
	g.want(t, recs[0], reason.OK)
}

// Nothing is changed, and nothing told, of a device that is not a live one of the user's; also when it ends
// between the reading and the writing.
func TestOverrideOfNone(t *testing.T) {
	for name, before := range map[string]func(*gate, device.Record){
		"ended":   func(g *gate, r device.Record) { g.end(t, r, device.Logout) },
		"expired": func(g *gate, _ device.Record) { g.clock.Advance(lifetime) },
		"ended meanwhile": func(g *gate, r device.Record) {
			g.reg.through(&sweepDuring{g.store, func() { g.end(t, r, device.Logout) }})
		},
		"another user's": func(g *gate, r device.Record) {},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			before(g, rec)
			user, kitchen := rec.User, "kitchen"
			if name == "another user's" {
				user = g.user(t)
			}
			if _, err := g.reg.Override(t.Context(), user, rec.UID, device.Change{Name: &kitchen}, deviceChanged(rec)); !errors.Is(err, device.ErrNotFound) {
				t.Errorf("Override = %v, want ErrNotFound", err)
			}
			for _, e := range slices.Concat(g.reg.told(), g.stored(t, user)) {
				if e.Kind == activity.Admin {
					t.Errorf("an event tells of it: %+v", e)
				}
			}
		})
	}
}

// Whatever the limit, and whoever comes and goes meanwhile: who lives all the time is on one page, who does
// not live on none, and nobody on two.
func TestPage(t *testing.T) {
	for _, limit := range []int{1, 2, 3, 7, 1000} {
		g := newGate(t)
		var stay, gone, leave []device.Record
		var users []uuid.UUID
		for n := range 5 {
			user := g.user(t)
			users = append(users, user)
			gone = append(gone, g.add(t, user)) // will have expired
			if n == 2 {                         // all of his have ended, though their records are still there
				gone = append(gone, g.add(t, user))
				g.setUser(t, user, device.UserRow{Generation: 2})
			}
		}
		g.clock.Advance(lifetime)
		for n, user := range users {
			if n == 2 {
				continue
			}
			for range n {
				stay = append(stay, g.add(t, user))
				leave = append(leave, g.add(t, user))
			}
		}
		seen, ended, came := map[uuid.UUID]int{}, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
		var user, after uuid.UUID
		for pages, more := 0, true; more; pages++ {
			if pages > 1000 {
				t.Fatalf("limit %d: it never ends", limit)
			}
			var page []device.Record
			var err error
			if page, user, after, more, err = g.reg.Page(t.Context(), user, after, limit); err != nil || len(page) > limit {
				t.Fatalf("limit %d: a page of %d, %v", limit, len(page), err)
			}
			for _, rec := range page {
				if seen[rec.UID]++; ended[rec.UID] {
					t.Errorf("limit %d: device %v is shown after its end", limit, rec.UID)
				}
			}
			if n := len(leave); n > 0 && more {
				g.end(t, leave[n-1], device.Logout)
				ended[leave[n-1].UID], leave = true, leave[:n-1]
				came[g.add(t, users[n%2]).UID] = true
			}
		}
		for _, rec := range stay {
			if seen[rec.UID] != 1 {
				t.Errorf("limit %d: a live device is shown %d times", limit, seen[rec.UID])
			}
		}
		for _, rec := range gone {
			if seen[rec.UID] != 0 {
				t.Errorf("limit %d: a device that has ended is shown", limit)
			}
		}
		for uid, n := range seen {
			if n != 1 {
				t.Errorf("limit %d: device %v, which came meanwhile: %v, is shown %d times", limit, uid, came[uid], n)
			}
		}
	}
}

// A page is no answer while the index or a record cannot be trusted.
func TestPageFails(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.commit(t, db.Put("d/"+rec.User.String()+"/"+rec.UID.String(), []byte("x")))
	if page, _, _, more, err := g.reg.Page(t.Context(), uuid.UUID{}, uuid.UUID{}, 10); err == nil || len(page) != 0 || more {
		t.Errorf("with a damaged record Page = %v, %v, %v", page, more, err)
	}
	reg := registry(g.store, device.NewIndex(keep, device.IPChange{}), g.clock)
	if _, _, _, _, err := reg.Page(t.Context(), uuid.UUID{}, uuid.UUID{}, 10); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("before the index is filled Page = %v, want ErrUnavailable", err)
	}
}

// What is committed with the end of everything of a user tells of an end only where something ended, and a
// password change on the only device tells of none.
func TestNoEndOfNothing(t *testing.T) {
	cause := device.Cause{Why: device.PasswordChanged, By: olga}
	changed := olga.Event(activity.PasswordChanged, "password_changed")
	for name, act := range map[string]func(*gate, device.Record) error{
		"EndWith": func(g *gate, r device.Record) error {
			g.end(t, r, device.Logout)
			return g.reg.EndWith(t.Context(), r.User, raising(g, r.User), cause, changed)
		},
		"KeepOnly": func(g *gate, r device.Record) error {
			return g.reg.KeepOnly(t.Context(), as(r), 2, raising(g, r.User), cause, changed)
		},
		"Drop": func(g *gate, r device.Record) error {
			g.end(t, r, device.Logout)
			return g.reg.Drop(t.Context(), r.User, db.Txn{Writes: []db.Write{db.Delete(device.UserRowKey(r.User))}}, cause, changed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			user := g.user(t)
			if err := act(g, g.add(t, user)); err != nil {
				t.Fatal(err)
			}
			told := g.reg.told()
			if last := told[len(told)-1]; last.Kind != activity.PasswordChanged {
				t.Errorf("told last: %+v", last)
			}
			if _, err := g.store.Get(t.Context(), device.ListKey(user)); name == "Drop" && !errors.Is(err, db.ErrNotFound) {
				t.Errorf("the list: %v", err)
			}
		})
	}
}
