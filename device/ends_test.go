package device_test

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/reason"
)

// olga acts in these tests, and all that is known of her must be in the events of her acts.
var olga = activity.By{Actor: activity.ByAdmin("olga"), IP: netip.MustParseAddr("192.0.2.7"), UserAgent: "agent/1"}

// way is one by which devices end.
type way struct {
	name   string
	have   int                          // how many devices the user has, all from one moment
	before func(*gate, []device.Record) // what must have happened; may be nil
	act    func(context.Context, *gate, []device.Record) error
	want   func([]device.Record) []activity.Event
	race   string // what becomes of it when somebody else is faster: "again", "refused", "left"
}

// fresh is who signs in in the ways that are a sign-in.
var fresh = uuid.New()

var ways = []way{
	{
		name: "End", have: 2, race: "again",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			return g.reg.Registry.End(ctx, r[1].User, r[1].UID, device.Cause{Why: device.Logout, By: olga})
		},
		want: func(r []device.Record) []activity.Event { return ends("logout", olga, r[1]) },
	},
	{
		name: "EndTokens", have: 2, race: "again",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			return g.reg.Registry.EndTokens(ctx, r[1].User, r[1].UID, 1, device.Cause{Why: device.RefreshReuse, By: olga})
		},
		want: func(r []device.Record) []activity.Event { return ends("refresh_reuse", olga, r[1]) },
	},
	{
		name: "EndWhere, in several transactions", have: 2*device.EndsPerTxn + 2, race: "again",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			_, err := g.reg.Registry.EndWhere(ctx, r[0].User, device.Cause{Why: device.RevokedByAdmin, By: olga}, func(device.Record) bool { return true })
			return err
		},
		want: func(r []device.Record) []activity.Event { return ends("revoked_by_admin", olga, newestFirst(r)...) },
	},
	{
		name: "EndOther", have: 2, race: "again",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			return g.reg.Registry.EndOther(ctx, as(r[0]), r[1].UID, olga)
		},
		want: func(r []device.Record) []activity.Event { return ends("revoked_by_device", olga, r[1]) },
	},
	{
		name: "EndOthers, in several transactions", have: device.EndsPerTxn + 3, race: "again",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			_, _, err := g.reg.Registry.EndOthers(ctx, as(r[0]), olga)
			return err
		},
		want: func(r []device.Record) []activity.Event { return ends("revoke_all", olga, newestFirst(r[1:])...) },
	},
	{
		name: "Add", have: 3, race: "refused",
		act:  signInWithin(3),
		want: func(r []device.Record) []activity.Event { return thenSignedIn(ends("replaced", olga, r[0]), r) },
	},
	{
		name: "Add, in several transactions", have: device.EndsPerTxn + 3, race: "refused",
		act:  signInWithin(1),
		want: func(r []device.Record) []activity.Event { return thenSignedIn(ends("replaced", olga, r...), r) },
	},
	{
		name: "Trim", have: 3, race: "refused",
		act: trimTo(1),
		want: func(r []device.Record) []activity.Event {
			return append(rolesChanged(r), ends("replaced", olga, r[:2]...)...)
		},
	},
	{
		name: "Trim, in several transactions", have: 2*device.EndsPerTxn + 2, race: "refused",
		act: trimTo(1),
		want: func(r []device.Record) []activity.Event {
			before := 2 * device.EndsPerTxn
			return slices.Concat(ends("replaced", olga, r[:before]...), rolesChanged(r), ends("replaced", olga, r[before]))
		},
	},
	{
		name: "KeepOnly", have: 3, race: "refused",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			return g.reg.KeepOnly(ctx, as(r[0]), 2, raising(g, r[0].User), device.Cause{Why: device.PasswordChanged, By: olga})
		},
		want: func(r []device.Record) []activity.Event { return endOfAll(r, "password_changed") },
	},
	{
		name: "EndAll", have: 3, race: "refused",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			_, err := g.reg.EndAll(ctx, r[0].User, raising(g, r[0].User), device.Cause{Why: device.RevokedByAdmin, By: olga})
			return err
		},
		want: func(r []device.Record) []activity.Event { return endOfAll(r, "revoked_by_admin") },
	},
	{
		name: "EndWith", have: 3, race: "refused",
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			return g.reg.EndWith(ctx, r[0].User, raising(g, r[0].User), device.Cause{Why: device.InactiveAccount, By: olga})
		},
		want: func(r []device.Record) []activity.Event { return endOfAll(r, "inactive_account") },
	},
	{
		name: "Sweep", have: 2, race: "again",
		before: func(g *gate, r []device.Record) { g.clock.Advance(time.Hour); g.check(r[1]) },
		act: func(ctx context.Context, g *gate, r []device.Record) error {
			_, err := g.reg.Registry.Sweep(ctx, r[0].User, g.clock.Now(), uuid.UUID{}, false, olga)
			return err
		},
		want: func(r []device.Record) []activity.Event { return ends("expired", olga, r[0]) },
	},
	{
		name: "Forget", have: 1, race: "left",
		before: func(g *gate, _ []device.Record) { g.clock.Advance(lifetime) },
		act: func(ctx context.Context, g *gate, _ []device.Record) error {
			_, err := g.reg.Forget(ctx, 10)
			return err
		},
		want: func(r []device.Record) []activity.Event { return ends("expired", activity.By{Actor: "service"}, r[0]) },
	},
	{
		name: "Flush", have: 2, race: "again",
		before: func(g *gate, r []device.Record) { move(g, r[0], "192.0.2.1", "192.0.2.2") },
		act:    func(ctx context.Context, g *gate, _ []device.Record) error { return g.reg.Flush(ctx) },
		want: func(r []device.Record) []activity.Event {
			return ends("ip_change", activity.By{Actor: "service", IP: netip.MustParseAddr("192.0.2.2")}, r[0])
		},
	},
}

// ends are the events of the ends of devices, written out.
func ends(word string, by activity.By, recs ...device.Record) (events []activity.Event) {
	for _, rec := range recs {
		events = append(events, activity.Event{
			Kind: "device_ended", Outcome: "success", Reason: word, User: rec.User, Device: rec.UID,
			Actor: by.Actor, IP: by.IP, UserAgent: by.UserAgent,
		})
	}
	return events
}

// endOfAll is the one event of the end of everything of a user.
func endOfAll(r []device.Record, word string) []activity.Event {
	return ends(word, olga, device.Record{User: r[0].User})
}

func newestFirst(r []device.Record) []device.Record {
	r = slices.Clone(r)
	slices.Reverse(r)
	return r
}

func thenSignedIn(events []activity.Event, r []device.Record) []activity.Event {
	return append(events, signedIn(device.Record{User: r[0].User, UID: fresh}))
}

func signInWithin(limit int) func(context.Context, *gate, []device.Record) error {
	return func(ctx context.Context, g *gate, r []device.Record) error {
		n := newDevice(fresh, r[0].User)
		n.By = olga
		_, err := g.reg.Registry.Add(ctx, n, device.Limit{Count: limit}, db.Txn{})
		return err
	}
}

func rolesChanged(r []device.Record) []activity.Event {
	return []activity.Event{{Kind: activity.Admin, Outcome: activity.Success, Reason: "roles_changed", User: r[0].User}}
}

func trimTo(limit int) func(context.Context, *gate, []device.Record) error {
	return func(ctx context.Context, g *gate, r []device.Record) error {
		return g.reg.Registry.Trim(ctx, r[0].User, device.Limit{Count: limit}, db.Txn{}, olga, rolesChanged(r)...)
	}
}

// raising ends everything of the user, who is of generation 1.
func raising(g *gate, user uuid.UUID) db.Txn {
	row := device.UserRow{Generation: 2, Ended: device.RevokedByAdmin, EndedAt: g.clock.Now(), Name: "someone"}
	return db.Txn{Writes: []db.Write{db.Put(device.UserRowKey(user), row.Encode())}}
}

// move uses rec from one address and at once from another.
func move(g *gate, rec device.Record, from, to string) {
	for _, addr := range []string{from, to} {
		use := g.use(rec)
		use.From = netip.MustParseAddr(addr)
		g.index.Check(use)
	}
}

// start makes a gate and the devices of the way.
func (w way) start(t *testing.T) (*gate, []device.Record) {
	t.Helper()
	g := newMoving(t, device.IPChange{Revoke: true}).gate
	user := g.user(t)
	recs := make([]device.Record, w.have)
	for i := range recs {
		recs[i] = g.add(t, user)
	}
	if w.before != nil {
		w.before(g, recs)
	}
	return g, recs
}

// stored returns the user's events as the store has them, oldest first.
func (g *gate) stored(t tb, user uuid.UUID) []activity.Event {
	t.Helper()
	events, next, err := g.reg.Activity.List(context.Background(), activity.Query{User: &user}, uuid.UUID{}, 4000)
	if err != nil || next != (uuid.UUID{}) {
		t.Fatalf("the events of %v: %v, more from %v", user, err, next)
	}
	slices.Reverse(events)
	return events
}

// wantEvents checks what was told and what was stored since the sign-ins of recs.
func (g *gate) wantEvents(t *testing.T, recs []device.Record, told, stored []activity.Event) {
	t.Helper()
	for what, c := range map[string]struct{ want, got []activity.Event }{
		"told": {told, g.reg.told()}, "stored": {stored, g.stored(t, recs[0].User)},
	} {
		if len(c.got) < len(recs) {
			t.Fatalf("%s: %d events, not even those of %d sign-ins", what, len(c.got), len(recs))
		}
		if diff := cmp.Diff(c.want, c.got[len(recs):], cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}),
			cmpopts.IgnoreFields(activity.Event{}, "ID", "Time")); diff != "" {
			t.Errorf("%s -want +got:\n%s", what, diff)
		}
	}
}

// Every way to end devices writes one event for each of them, or one for all of a user, and tells it.
func TestEveryEndHasOneEvent(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			g, recs := w.start(t)
			if err := w.act(t.Context(), g, recs); err != nil {
				t.Fatalf("%v", err)
			}
			want := w.want(recs)
			g.wantEvents(t, recs, want, want)
			if diff := cmp.Diff(g.reg.told(), g.stored(t, recs[0].User), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("-told +stored:\n%s", diff)
			}
		})
	}
}

// What was not committed has ended nobody, and no event says that it has.
func TestFailedEndsHaveNoEvent(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			g, recs := w.start(t)
			before := g.live(t, recs[0].User)
			faulty := dbtest.NewFaulty(g.store)
			faulty.FailCommits(db.ErrUnavailable, false)
			g.reg.through(faulty)
			if err := w.act(t.Context(), g, recs); !errors.Is(err, db.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
			g.wantEvents(t, recs, nil, nil)
			if diff := cmp.Diff(before, g.live(t, recs[0].User)); diff != "" {
				t.Errorf("live devices -before +after:\n%s", diff)
			}
			faulty.FailCommits(nil, false)
			if err := w.act(t.Context(), g, recs); err != nil {
				t.Errorf("once the store is back: %v", err)
			}
			want := w.want(recs)
			g.wantEvents(t, recs, want, want)
		})
	}
}

// Where the answer of the store was lost the events are in it exactly with the ends; nobody is told what
// nobody knows.
func TestLostAnswers(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			g, recs := w.start(t)
			live := g.liveUIDs(t, recs[0].User)
			faulty := dbtest.NewFaulty(g.store)
			faulty.FailCommits(db.ErrUnknown, true)
			g.reg.through(faulty)
			if err := w.act(t.Context(), g, recs); !errors.Is(err, db.ErrUnknown) {
				t.Errorf("got %v, want ErrUnknown", err)
			}
			want := w.want(recs)
			if w.have > device.EndsPerTxn { // the first of several transactions
				want = want[:device.EndsPerTxn]
			}
			g.wantEvents(t, recs, nil, want)
			for _, e := range want {
				switch {
				case e.Kind == activity.SignIn:
					live[e.Device] = true
				case e.Kind == activity.DeviceEnded && e.Device != uuid.UUID{}:
					delete(live, e.Device)
				case e.Kind == activity.DeviceEnded:
					clear(live)
					live[recs[0].UID] = w.name == "KeepOnly"
				}
			}
			maps.DeleteFunc(live, func(_ uuid.UUID, lives bool) bool { return !lives })
			if diff := cmp.Diff(live, g.liveUIDs(t, recs[0].User)); diff != "" {
				t.Errorf("live devices -as the events say +got:\n%s", diff)
			}
		})
	}
}

func (g *gate) liveUIDs(t tb, user uuid.UUID) map[uuid.UUID]bool {
	t.Helper()
	recs, err := g.reg.List(context.Background(), user)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	live := map[uuid.UUID]bool{}
	for _, rec := range recs {
		live[rec.UID] = true
	}
	return live
}

// meanwhile writes everything of the user anew, as it is: each condition of who read it before is broken.
func meanwhile(t *testing.T, g *gate, recs []device.Record) {
	keys := []string{device.ListKey(recs[0].User)}
	for _, rec := range recs {
		keys = append(keys, device.DeviceRowKey(rec.UID))
	}
	for _, key := range keys {
		e, err := g.store.Get(t.Context(), key)
		if err != nil {
			t.Errorf("get %q: %v", key, err)
		}
		g.commit(t, db.Put(key, e.Value))
	}
}

// Who loses against somebody else does it again, with one event for both tries, or not at all and without.
func TestConflictsHaveNoEvent(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			g, recs := w.start(t)
			before := g.live(t, recs[0].User)
			race := &sweepDuring{g.store, func() { meanwhile(t, g, recs) }}
			g.reg.through(race)
			err := w.act(t.Context(), g, recs)
			if race.once != nil {
				t.Error("there was no race")
			}
			if w.race == "again" {
				want := w.want(recs)
				g.wantEvents(t, recs, want, want)
			} else {
				g.wantEvents(t, recs, nil, nil)
				if diff := cmp.Diff(before, g.live(t, recs[0].User)); diff != "" {
					t.Errorf("live devices -before +after:\n%s", diff)
				}
			}
			if refused := errors.Is(err, db.ErrConflict); refused != (w.race == "refused") || err != nil && !refused {
				t.Errorf("got %v, want it %s", err, w.race)
			}
		})
	}
}

// Who finds that somebody else has just ended the device ends it no second time.
func TestSomebodyElseWasFaster(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*gate, device.Record, device.Record) error
		want error
	}{
		"End": {func(g *gate, _, r device.Record) error {
			return g.reg.End(t.Context(), r.User, r.UID, device.Logout)
		}, device.ErrNotFound},
		"EndTokens": {func(g *gate, _, r device.Record) error {
			return g.reg.EndTokens(t.Context(), r.User, r.UID, 1, device.Logout)
		}, device.ErrNotFound},
		"EndOther": {func(g *gate, caller, r device.Record) error {
			return g.reg.EndOther(t.Context(), as(caller), r.UID)
		}, device.ErrNotFound},
		"EndOthers": {func(g *gate, caller, _ device.Record) error {
			n, _, err := g.reg.EndOthers(t.Context(), as(caller))
			return counted(n, err)
		}, nil},
		"EndWhere": {func(g *gate, _, r device.Record) error {
			n, err := g.reg.EndWhere(t.Context(), r.User, device.RevokeAll, func(rec device.Record) bool { return rec.UID == r.UID })
			return counted(n, err)
		}, nil},
		"Flush": {func(g *gate, _, r device.Record) error {
			move(g, r, "192.0.2.1", "192.0.2.2")
			return g.reg.Flush(t.Context())
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := newMoving(t, device.IPChange{Revoke: true}).gate
			user := g.user(t)
			recs := []device.Record{g.add(t, user), g.add(t, user)}
			g.reg.through(&sweepDuring{g.store, func() { g.end(t, recs[1], device.RefreshReuse) }})
			if err := c.end(g, recs[0], recs[1]); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			want := ends("refresh_reuse", somebody, recs[1])
			g.wantEvents(t, recs, want, want)
			g.want(t, recs[1], reason.DeviceCompromised)
		})
	}
}

// counted is err, or that more than none were ended.
func counted(n int, err error) error {
	if err == nil && n != 0 {
		return errors.New("it counts what it has not ended")
	}
	return err
}

// Many who end the same devices at once end each of them once.
func TestManyEndTheSame(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	var recs []device.Record
	for range device.EndsPerTxn + 2 {
		recs = append(recs, g.add(t, user))
	}
	g.clock.Advance(time.Second)
	all := func(device.Record) bool { return true }
	var wg sync.WaitGroup
	for _, end := range []func() error{
		func() error { return g.reg.End(t.Context(), user, recs[3].UID, device.Logout) },
		func() error { return g.reg.EndOther(t.Context(), as(recs[0]), recs[3].UID) },
		func() error { _, _, err := g.reg.EndOthers(t.Context(), as(recs[0])); return err },
		func() error { _, err := g.reg.EndWhere(t.Context(), user, device.RevokedByAdmin, all); return err },
		func() error { _, err := g.reg.Sweep(t.Context(), user, g.clock.Now(), false); return err },
	} {
		for range 2 {
			wg.Go(func() {
				if err := end(); err != nil && !errors.Is(err, device.ErrNotFound) && !errors.Is(err, device.ErrCallerGone) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
	wg.Wait()
	ended := map[uuid.UUID]int{}
	for _, e := range g.stored(t, user)[len(recs):] {
		ended[e.Device]++
	}
	for _, rec := range recs {
		if ended[rec.UID] != 1 {
			t.Errorf("device %d has %d events of its end", rec.Ordinal, ended[rec.UID])
		}
	}
	if len(g.live(t, user)) != 0 || len(ended) != len(recs) {
		t.Errorf("%d live, %d ended of %d", len(g.live(t, user)), len(ended), len(recs))
	}
}

// A device that ended, by itself or with its user, had its event then: only one whose time ran out gets it
// when it is forgotten.
func TestForgetTellsOnlyOfExpiry(t *testing.T) {
	for name, over := range map[string]func(*gate, device.Record){
		"ended": func(g *gate, r device.Record) { g.end(t, r, device.Logout) },
		"ended with the user": func(g *gate, r device.Record) {
			_, err := g.reg.EndAll(t.Context(), r.User, raising(g, r.User), device.Cause{Why: device.RevokedByAdmin, By: olga})
			if err != nil {
				t.Fatal(err)
			}
		},
		"expired, then ended with the user": func(g *gate, r device.Record) {
			g.clock.Advance(lifetime)
			if _, err := g.reg.Activity.Commit(t.Context(), raising(g, r.User), endOfAll([]device.Record{r}, "inactive_account")...); err != nil {
				t.Fatal(err)
			}
		},
		"the user gone": func(g *gate, r device.Record) {
			gone := db.Txn{Writes: []db.Write{db.Delete(device.UserRowKey(r.User)), db.Delete(device.ListKey(r.User))}}
			if _, err := g.reg.Activity.Commit(t.Context(), gone, endOfAll([]device.Record{r}, "revoked_by_admin")...); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(g *gate, r device.Record) { g.clock.Advance(lifetime); sweepAll(t, g) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			over(g, rec)
			g.clock.Advance(lifetime + keep)
			sweepAll(t, g)
			if kept(t, g, rec) {
				t.Error("it was not forgotten")
			}
			if events := g.stored(t, rec.User); len(events) != 2 || events[1].Kind != activity.DeviceEnded {
				t.Errorf("its events are %+v, want a sign-in and an end", events)
			}
		})
	}
}
