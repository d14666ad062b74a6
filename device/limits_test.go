package device_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

func TestLimitsFor(t *testing.T) {
	byRole := map[string]int{"staff": 1, "field": 5, "bots": 500, "none": 0, "odd": -3}
	for _, c := range []struct {
		name   string
		limits device.Limits
		roles  []string
		want   int
	}{
		{"nothing set is one device, never none", device.Limits{}, nil, 1},
		{"nothing set, with a role", device.Limits{}, []string{"staff"}, 1},
		{"no limit is the hard one", device.Limits{Hard: 200}, nil, 200},
		{"a limit", device.Limits{Max: 3, Hard: 200}, nil, 3},
		{"a limit over the hard one", device.Limits{Max: 300, Hard: 200}, nil, 200},
		{"a negative limit is none", device.Limits{Max: -1, Hard: 200}, nil, 200},
		{"a role below the limit", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"staff"}, 1},
		{"a role above the limit", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"field"}, 5},
		{"the smallest of several roles", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"field", "staff", "bots"}, 1},
		{"whatever their order", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"staff", "bots", "field"}, 1},
		{"a role without a limit", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"guest"}, 3},
		{"such a role beside another", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"guest", "field"}, 5},
		{"a role of zero or less is without", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"none", "odd"}, 3},
		{"a role over the hard limit", device.Limits{Max: 3, Hard: 200, ByRole: byRole}, []string{"bots"}, 200},
	} {
		if got := c.limits.For(c.roles).Count; got != c.want {
			t.Errorf("%s: For(%q) = %d, want %d", c.name, c.roles, got, c.want)
		}
	}
}

// The least recently seen goes first; of two seen at the same moment, the one that signed in first.
func TestEvictionOrder(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	recs := []device.Record{{}} // by ordinal, which starts at 1
	for range 5 {
		recs = append(recs, g.add(t, user)) // all in one moment
	}
	seen := func(n int) {
		g.clock.Advance(time.Second)
		if why := g.check(recs[n]); why != reason.OK {
			t.Fatalf("device %d: %v", n, why)
		}
	}
	seen(2) // a check counts
	g.clock.Advance(time.Second)
	_, err := g.reg.Update(t.Context(), user, recs[1].UID, func(rec *device.Record) error { // and so does a refresh
		rec.LastSeen = g.clock.Now()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(time.Second)
	for _, c := range []struct {
		limit int
		want  []uint64
	}{
		{6, nil},
		{6, []uint64{3}},
		{5, []uint64{4, 5}},
		{4, []uint64{2, 1}},
		{0, []uint64{6, 7, 8, 9}}, // no limit is ever below one
	} {
		fresh, out := g.addWithin(t, user, c.limit)
		if diff := cmp.Diff(append([]uint64{}, c.want...), ordinals(out)); diff != "" {
			t.Errorf("sign-in %d within %d puts out -want +got:\n%s", fresh.Ordinal, c.limit, diff)
		}
		for _, rec := range out {
			g.want(t, rec, reason.DeviceReplaced)
		}
		g.want(t, fresh, reason.OK)
	}
}

// fullest remembers the most that one transaction was.
type fullest struct {
	db.Store
	conditions, writes int
}

func (f *fullest) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	f.conditions, f.writes = max(f.conditions, len(txn.If)), max(f.writes, len(txn.Writes))
	return f.Store.Commit(ctx, txn)
}

// A lowered limit leaves more to end than one transaction can: all of them go at the next sign-in, also at
// one that takes no place of its own, and the last transaction has room for what a sign-in writes beside.
func TestLoweredLimit(t *testing.T) {
	for name, have := range map[string]int{"a new device": 200, "a known device": 201} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			user := g.user(t)
			var recs []device.Record
			for range have {
				recs = append(recs, g.add(t, user))
			}
			full := &fullest{Store: g.store}
			g.reg.through(full)
			n := newDevice(uuid.New(), user)
			if name == "a known device" {
				known := recs[100]
				n.Proves = func(r device.Record) bool { return r.UID == known.UID }
				recs = slices.Delete(slices.Clone(recs), 100, 101)
			}
			var guard db.Txn // the account, where it signed in from, two counters of failures
			for _, key := range []string{"account", "whereabouts", "own failures", "all failures"} {
				guard.If = append(guard.If, db.Absent(key))
				guard.Writes = append(guard.Writes, db.Put(key, nil))
			}
			fresh, out, err := g.reg.Add(t.Context(), n, device.Limit{Count: 1}, guard)
			if err != nil || len(out) != 200 || len(endedAs(g.stored(t, user), device.Replaced)) != 200 {
				t.Errorf("%d were reported as put out, want 200: %v", len(out), err)
			}
			for _, rec := range recs {
				g.want(t, rec, reason.DeviceReplaced)
			}
			g.want(t, fresh, reason.OK)
			if diff := cmp.Diff([]uint64{fresh.Ordinal}, g.live(t, user)); diff != "" {
				t.Errorf("live devices -want +got:\n%s", diff)
			}
			if want := map[string]uint64{"a new device": 201, "a known device": 101}[name]; fresh.Ordinal != want {
				t.Errorf("the device is number %d, want %d", fresh.Ordinal, want)
			}
			if last := 2*device.EndsPerTxn + 2*(device.EndsPerTxn+1) + 3 + len(guard.Writes); full.writes != last || full.conditions > db.MaxConditions {
				t.Errorf("the fullest transaction has %d writes and %d conditions, want that of the sign-in with %d", full.writes, full.conditions, last)
			}
		})
	}
}

// The surplus is ended only while the guard holds, and what was ended is told even if the rest fails.
func TestLoweredLimitAndGuard(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	for range 3 * device.EndsPerTxn {
		g.add(t, user)
	}
	add := func(guard db.Txn) ([]device.Record, error) {
		_, out, err := g.reg.Add(t.Context(), newDevice(uuid.New(), user), device.Limit{Count: 1}, guard)
		return out, err
	}
	if out, err := add(db.Txn{If: []db.Condition{{Key: "changed", Revision: 9}}}); err == nil || len(out) != 0 {
		t.Errorf("Add = %d put out, %v, want none and a conflict", len(out), err)
	}
	if got := len(g.live(t, user)); got != 3*device.EndsPerTxn {
		t.Errorf("%d live devices, want all", got)
	}
	tooMuch := db.Txn{Writes: []db.Write{db.Put("big", make([]byte, db.MaxValue+1))}}
	out, err := add(tooMuch)
	if err == nil || len(out)+len(g.live(t, user)) != 3*device.EndsPerTxn || len(out) == 0 {
		t.Errorf("Add = %d put out, %v, and %d live of %d", len(out), err, len(g.live(t, user)), 3*device.EndsPerTxn)
	}
}

// 64 sign-ins at once against a limit of one: one device lives, and it is the last that was written.
func TestParallelSignInsWithinOne(t *testing.T) {
	g := newGate(t)
	for range 3 {
		user := g.user(t)
		var wg sync.WaitGroup
		all := make([]device.Record, 64)
		for i := range all {
			wg.Go(func() {
				for {
					rec, _, err := g.reg.Add(t.Context(), newDevice(uuid.New(), user), device.Limit{Count: 1}, db.Txn{})
					if err == nil {
						all[i] = rec
						return
					}
				}
			})
		}
		wg.Wait()
		last := slices.MaxFunc(all, func(a, b device.Record) int { return int(a.Ordinal) - int(b.Ordinal) })
		for _, rec := range all {
			if rec.UID == last.UID {
				g.want(t, rec, reason.OK)
			} else {
				g.want(t, rec, reason.DeviceReplaced)
			}
		}
		if diff := cmp.Diff([]uint64{64}, g.live(t, user)); diff != "" {
			t.Errorf("live devices -want +got:\n%s", diff)
		}
	}
}
