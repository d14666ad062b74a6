package device_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

// sweepAll sweeps until nothing is left to do and returns how many went.
func sweepAll(t *testing.T, g *gate) int {
	t.Helper()
	total := 0
	for {
		n, err := g.reg.Forget(t.Context(), 4)
		if err != nil {
			t.Fatalf("sweep: %v", err)
		}
		if n > 4 {
			t.Fatalf("a sweep of at most 4 removed %d", n)
		}
		if total += n; n == 0 {
			return total
		}
	}
}

// kept says whether anything of the device is left in the store.
func kept(t *testing.T, g *gate, rec device.Record) bool {
	t.Helper()
	_, err := g.store.Get(t.Context(), device.DeviceRowKey(rec.UID))
	row := err == nil
	_, err = g.store.Get(t.Context(), "d/"+rec.User.String()+"/"+rec.UID.String())
	return row || !errors.Is(err, db.ErrNotFound)
}

// Each row says when a device may be forgotten: one millisecond earlier it must stay.
func TestSweepForgets(t *testing.T) {
	for _, c := range []struct {
		name  string
		over  func(*gate, device.Record)
		after time.Duration
	}{
		{"expired", func(*gate, device.Record) {}, lifetime},
		{"ended with a word", func(g *gate, r device.Record) { g.end(t, r, device.Replaced) }, keep},
		{"ended without a word", func(g *gate, r device.Record) { g.end(t, r, device.Logout) }, keep},
		{"ended with the user", func(g *gate, r device.Record) {
			g.setUser(t, r.User, device.UserRow{Generation: 2, Disabled: true, Ended: device.InactiveAccount, EndedAt: g.clock.Now()})
		}, keep},
		{"ended with the user, without a word", func(g *gate, r device.Record) {
			g.setUser(t, r.User, device.UserRow{Generation: 2, Ended: device.PasswordChanged, EndedAt: g.clock.Now()})
		}, keep},
		{"the user gone", func(g *gate, r device.Record) { g.commit(t, db.Delete(device.UserRowKey(r.User))) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			c.over(g, rec)
			if c.after > 0 {
				g.clock.Advance(c.after - time.Millisecond)
				if n := sweepAll(t, g); n != 0 || !kept(t, g, rec) {
					t.Errorf("it went a millisecond too early")
				}
				g.clock.Advance(time.Millisecond)
			}
			if n := sweepAll(t, g); n != 1 || kept(t, g, rec) {
				t.Errorf("%d went, left in the store: %v; want 1, nothing", n, kept(t, g, rec))
			}
			g.want(t, rec, reason.DeviceNotRecognized)
		})
	}
}

// A sweep takes what is over in batches and leaves every live device where it is.
func TestSweepLeavesTheLiving(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	var live, over []device.Record
	for i := range 30 {
		rec := g.add(t, user)
		if i%3 == 0 {
			live = append(live, rec)
			continue
		}
		over = append(over, rec)
		g.end(t, rec, device.RevokeAll)
	}
	g.clock.Advance(keep)
	if n := sweepAll(t, g); n != len(over) {
		t.Errorf("%d went, want %d", n, len(over))
	}
	for _, rec := range live {
		g.want(t, rec, reason.OK)
		if _, err := g.reg.Get(t.Context(), user, rec.UID); err != nil {
			t.Errorf("device %d: %v", rec.Ordinal, err)
		}
	}
}

// sweepDuring does something after the index has named who is due and before the sweep writes.
type sweepDuring struct {
	db.Store
	once func()
}

func (s *sweepDuring) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if once := s.once; once != nil {
		s.once = nil
		once()
	}
	return s.Store.Commit(ctx, txn)
}

// A row that is written again meanwhile stays, whatever the index thought of it.
func TestSweepLosesARace(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.clock.Advance(lifetime)
	g.reg.through(&sweepDuring{g.store, func() {
		g.commit(t, db.Put(device.DeviceRowKey(rec.UID), device.EncodeDeviceRow(device.DeviceRow{
			User: rec.User, Generation: 1, Tokens: 1, Ordinal: rec.Ordinal, Until: g.clock.Now().Add(lifetime).UnixMilli(),
		})))
	}})
	if n, err := g.reg.Forget(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("Forget = %d, %v, want 0", n, err)
	}
	g.want(t, rec, reason.OK)
}

// behind hands the sweep a row that is newer than what the index has.
type behind struct {
	db.Store
	key string
	row device.DeviceRow
}

func (b behind) Get(ctx context.Context, key string) (db.Entry, error) {
	e, err := b.Store.Get(ctx, key)
	if key == b.key {
		e.Value = device.EncodeDeviceRow(b.row)
	}
	return e, err
}

// Between the index and the store, the store is right.
func TestSweepLooksAgain(t *testing.T) {
	for name, ended := range map[string]device.EndReason{"refreshed": 0, "ended": device.RefreshReuse} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			g.clock.Advance(lifetime)
			g.reg.through(behind{g.store, device.DeviceRowKey(rec.UID), device.DeviceRow{
				User: rec.User, Generation: 1, Tokens: 1, Ended: ended, Until: g.clock.Now().UnixMilli() + 1,
			}})
			if n, err := g.reg.Forget(t.Context(), 10); n != 0 || err != nil || !kept(t, g, rec) {
				t.Errorf("Forget = %d, %v, want 0", n, err)
			}
		})
	}
}

func TestSweepFails(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.clock.Advance(lifetime)
	g.reg.through(failing{g.store})
	if n, err := g.reg.Forget(t.Context(), 10); n != 0 || !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("Forget = %d, %v, want 0, ErrUnavailable", n, err)
	}
	if !kept(t, g, rec) {
		t.Error("it went all the same")
	}
}

type failing struct{ db.Store }

func (failing) Commit(context.Context, db.Txn) (db.Revision, error) { return 0, db.ErrUnavailable }
