package device_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/reason"
)

func (g *gate) lastUse(t *testing.T, rec device.Record) (time.Time, string) {
	t.Helper()
	rec, err := g.reg.Get(t.Context(), rec.User, rec.UID)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return g.reg.LastUse(rec)
}

func (g *gate) wantSeen(t *testing.T, what string, rec device.Record, at time.Time, from string) {
	t.Helper()
	if gotAt, gotFrom := g.lastUse(t, rec); !gotAt.Equal(at) || gotFrom != from {
		t.Errorf("%s: last used at %v from %q, want %v, %q", what, gotAt, gotFrom, at, from)
	}
}

// When and from where a device was last used moves with each check without a write, and a flush writes many
// at once. It survives a restart; what is lost without one is what was since the last.
func TestSightings(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "test.db"), newClock()
	s := mustOpen(t, path)
	g := follow(t, s, c)
	user := g.user(t)
	var recs []device.Record
	for range 2*db.MaxWrites + 1 {
		recs = append(recs, g.add(t, user))
	}
	count := &counting{Store: g.store}
	g.reg.through(count)
	check := func(rec device.Record, from string) time.Time {
		g.clock.Advance(time.Second)
		use := g.use(rec)
		use.From = netip.MustParseAddr(from)
		if _, why := g.index.Check(use); why != reason.OK {
			t.Fatalf("the check answers %v", why)
		}
		return g.clock.Now()
	}
	at := map[uuid.UUID]time.Time{}
	for range 10 {
		for _, rec := range recs {
			at[rec.UID] = check(rec, "192.0.2.1")
		}
	}
	g.wantSeen(t, "after checks", recs[0], at[recs[0].UID], "192.0.2.1")
	if count.n.Load() != 0 {
		t.Errorf("%d commits for the checks", count.n.Load())
	}
	g.flush(t)
	if count.n.Load() != 3 {
		t.Errorf("%d commits for %d devices, want 3", count.n.Load(), len(recs))
	}
	g.flush(t)
	if count.n.Load() != 3 {
		t.Error("a flush writes where nothing was seen")
	}
	check(recs[1], "192.0.2.2") // after the last flush
	g.wantSeen(t, "before a crash", recs[1], g.clock.Now(), "192.0.2.2")
	g.stop()
	_ = s.Close() // as a crash: no flush
	s = mustOpen(t, path)
	defer s.Close()
	g = follow(t, s, c)
	defer g.stop()
	for _, rec := range recs {
		g.wantSeen(t, "after a crash", rec, at[rec.UID], "192.0.2.1")
	}
}

// The later of the record's word (a sign-in, a refresh) and a check's counts.
func TestLastUseIsTheLater(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	start := g.clock.Now()
	g.wantSeen(t, "never checked", rec, start, "")
	g.clock.Advance(time.Second)
	use := g.use(rec)
	use.From = netip.MustParseAddr("2001:db8::1")
	g.index.Check(use)
	g.wantSeen(t, "checked", rec, start.Add(time.Second), "2001:db8::1")
	g.clock.Advance(time.Second)
	if _, err := g.reg.Update(t.Context(), rec.User, rec.UID, func(r *device.Record) error {
		r.LastSeen, r.LastIP = g.clock.Now(), "192.0.2.1"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	g.wantSeen(t, "refreshed", rec, start.Add(2*time.Second), "192.0.2.1")
	g.clock.Advance(time.Second)
	g.check(rec)
	g.wantSeen(t, "checked from nowhere known", rec, start.Add(3*time.Second), "192.0.2.1")
}

// A flush writes beside the records: it can revive nothing and leaves what has ended as it is, whenever that
// was: before the check's sighting is taken, after it, or with the row long gone.
func TestFlushTouchesNoDevice(t *testing.T) {
	for name, over := range map[string]func(*gate, device.Record){
		"logged out": func(g *gate, r device.Record) { g.end(t, r, device.Logout) },
		"disabled": func(g *gate, r device.Record) {
			g.setUser(t, r.User, device.UserRow{Generation: 2, Disabled: true, Ended: device.InactiveAccount, EndedAt: g.clock.Now()})
		},
		"forgotten": func(g *gate, r device.Record) { g.clock.Advance(lifetime); sweepAll(t, g) },
		"alive":     func(*gate, device.Record) {},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			g.check(rec)
			over(g, rec)
			state := func() [2]db.Entry {
				row, _ := g.store.Get(t.Context(), device.DeviceRowKey(rec.UID)) // may be gone
				full, _ := g.store.Get(t.Context(), "d/"+rec.User.String()+"/"+rec.UID.String())
				return [2]db.Entry{row, full}
			}
			before, why := state(), g.check(rec)
			g.flush(t)
			after := state()
			for i := range before {
				if before[i].Revision != after[i].Revision {
					t.Errorf("%q was written", after[i].Key)
				}
			}
			g.want(t, rec, why)
			_, err := g.store.Get(t.Context(), device.SightingKey(rec.UID))
			if kept := err == nil; kept != (name == "alive" || name == "disabled") {
				t.Errorf("a sighting was written: %v", kept)
			}
			g.clock.Advance(lifetime + keep)
			sweepAll(t, g)
			if _, err := g.store.Get(t.Context(), device.SightingKey(rec.UID)); !errors.Is(err, db.ErrNotFound) {
				t.Errorf("its sighting outlives it: %v", err)
			}
		})
	}
}

// What a store could not take is written by the next flush, unless the device was used again since.
func TestFlushFails(t *testing.T) {
	path, c := filepath.Join(t.TempDir(), "test.db"), newClock()
	s := mustOpen(t, path)
	faulty := dbtest.NewFaulty(s)
	g := follow(t, faulty, c)
	user := g.user(t)
	quiet, busy := g.add(t, user), g.add(t, user)
	g.clock.Advance(time.Second)
	g.check(quiet)
	g.check(busy)
	seen := g.clock.Now()
	faulty.FailCommits(db.ErrUnavailable, false)
	if err := g.reg.Flush(t.Context()); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("Flush = %v, want ErrUnavailable", err)
	}
	g.wantSeen(t, "after a flush that failed", quiet, seen, "")
	g.clock.Advance(time.Second)
	g.check(busy)
	faulty.FailCommits(nil, false)
	g.flush(t)
	g.stop()
	_ = s.Close()
	s = mustOpen(t, path)
	defer s.Close()
	g = follow(t, s, c)
	defer g.stop()
	g.wantSeen(t, "after a restart", quiet, seen, "")
	g.wantSeen(t, "after a restart", busy, seen.Add(time.Second), "")
}

// used checks a device while a flush of it fails.
type used struct {
	db.Store
	check func()
}

func (u used) Commit(context.Context, db.Txn) (db.Revision, error) {
	u.check()
	return 0, db.ErrUnavailable
}

func TestFlushFailsDuringAUse(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.check(rec)
	g.clock.Advance(time.Second)
	g.reg.through(used{g.store, func() { g.check(rec) }})
	if err := g.reg.Flush(t.Context()); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("Flush = %v, want ErrUnavailable", err)
	}
	g.reg.through(g.store)
	g.wantSeen(t, "after both", rec, g.clock.Now(), "")
}

// A sighting that cannot be read stops the start, as any other row that cannot.
func TestBadSightings(t *testing.T) {
	for name, value := range map[string]string{"empty": "", "short": "\x01", "another version": string(append([]byte{2}, make([]byte, 28)...))} {
		store := dbtest.New(t)
		dbtest.MustPut(t, store, device.SightingKey(uuid.New()), value)
		x := device.NewIndex(keep, device.IPChange{})
		if err := x.Follow(t.Context(), store, func(error) {}); err == nil || x.State() == reason.OK {
			t.Errorf("%s: Follow = %v", name, err)
		}
	}
	whole := append([]byte{1}, make([]byte, 28)...)
	if again, ok := device.DecodeSighting(whole); !ok || string(again) != string(whole) {
		t.Errorf("%x became %x", whole, again)
	}
}

// A sweep by age ends who was last used before a moment, with a refresh and a check both being a use; a dry
// run ends nobody.
func TestSweepByAge(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	var recs []device.Record
	for range 2*device.EndsPerTxn + 5 {
		recs = append(recs, g.add(t, user))
	}
	g.clock.Advance(time.Hour)
	cutoff := g.clock.Now()
	g.check(recs[3])
	other := g.add(t, g.user(t))
	for _, dry := range []bool{true, false} {
		n, err := g.reg.Sweep(t.Context(), user, cutoff, dry)
		told := len(endedAs(g.reg.told(), device.Expired))
		if n != len(recs)-1 || err != nil || dry && told != 0 || !dry && told != n {
			t.Errorf("dry run %v: Sweep = %d, %v, told %d, want %d", dry, n, err, told, len(recs)-1)
		}
		if live := len(g.live(t, user)); dry && live != len(recs) || !dry && live != 1 {
			t.Errorf("dry run %v: %d live devices", dry, live)
		}
	}
	g.want(t, recs[3], reason.OK)
	g.want(t, other, reason.OK)
	g.want(t, recs[0], reason.DeviceNotRecognized)
	if n, err := g.reg.Sweep(t.Context(), user, cutoff.Add(ms), false); n != 1 || err != nil {
		t.Errorf("a millisecond later Sweep = %d, %v, want 1", n, err)
	}
}
