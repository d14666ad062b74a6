package device_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

func TestGetIsForTheOwnerAlone(t *testing.T) {
	g := newGate(t)
	mine, theirs := g.add(t, g.user(t)), g.add(t, g.user(t))
	got, err := g.reg.Get(t.Context(), mine.User, mine.UID)
	want := mine
	want.Schema = 1
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Get = %v, -want +got:\n%s", err, diff)
	}
	for name, uid := range map[string]uuid.UUID{"another user's": theirs.UID, "unknown": uuid.New()} {
		if _, err := g.reg.Get(t.Context(), mine.User, uid); !errors.Is(err, device.ErrNotFound) {
			t.Errorf("Get of a device that is %s = %v, want ErrNotFound", name, err)
		}
		if err := g.reg.End(t.Context(), mine.User, uid, device.RevokedByDevice); !errors.Is(err, device.ErrNotFound) {
			t.Errorf("End of a device that is %s = %v, want ErrNotFound", name, err)
		}
	}
	g.want(t, theirs, reason.OK)
}

// One device_uid is one device, whoever's.
func TestUIDsAreUnique(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	for name, user := range map[string]uuid.UUID{"the same user": rec.User, "another": g.user(t)} {
		_, _, err := g.reg.Add(t.Context(), newDevice(rec.UID, user), device.Limit{Count: 9}, db.Txn{})
		if !errors.Is(err, db.ErrConflict) {
			t.Errorf("%s: Add = %v, want ErrConflict", name, err)
		}
	}
}

func TestEndEndsOnce(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.end(t, rec, device.RefreshReuse)
	if err := g.reg.End(t.Context(), rec.User, rec.UID, device.Logout); !errors.Is(err, device.ErrNotFound) {
		t.Errorf("End of an ended device = %v, want ErrNotFound", err)
	}
	g.want(t, rec, reason.DeviceCompromised) // the first reason stays
}

func TestUpdate(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	later := rec.ExpiresAt.Add(time.Hour)
	got, err := g.reg.Update(t.Context(), rec.User, rec.UID, func(r *device.Record) error {
		*r = device.Record{Name: "another name", ExpiresAt: later} // the identity is not the caller's to change
		return nil
	})
	want := device.Record{
		Schema: got.Schema, Name: "another name", ExpiresAt: later,
		UID: rec.UID, User: rec.User, Ordinal: rec.Ordinal, Generation: rec.Generation, Tokens: rec.Tokens, CreatedAt: rec.CreatedAt,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Update = %v, -want +got:\n%s", err, diff)
	}
	g.clock.Advance(lifetime)
	g.want(t, rec, reason.OK) // the index follows the expiry
	g.clock.Advance(time.Hour)
	g.want(t, rec, reason.DeviceNotRecognized)
}

func TestUpdateRefused(t *testing.T) {
	change := func(r *device.Record) error { r.ExpiresAt = r.ExpiresAt.Add(time.Hour); return nil }
	mine := errors.New("no")
	for _, c := range []struct {
		name   string
		before func(*gate, device.Record)
		change func(*device.Record) error
		want   error
	}{
		{"ended", func(g *gate, r device.Record) { g.end(t, r, device.Logout) }, change, device.ErrNotFound},
		{"expired", func(g *gate, _ device.Record) { g.clock.Advance(lifetime) }, change, device.ErrNotFound},
		{"disabled user", func(g *gate, r device.Record) { g.setUser(t, r.User, device.UserRow{Generation: 1, Disabled: true}) }, change, device.ErrNotFound},
		{"ended with the user", func(g *gate, r device.Record) { g.setUser(t, r.User, device.UserRow{Generation: 2}) }, change, device.ErrNotFound},
		{"the caller's error", func(*gate, device.Record) {}, func(*device.Record) error { return mine }, mine},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			c.before(g, rec)
			before, err := g.store.Get(t.Context(), device.DeviceRowKey(rec.UID))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.reg.Update(t.Context(), rec.User, rec.UID, c.change); !errors.Is(err, c.want) {
				t.Errorf("Update = %v, want %v", err, c.want)
			}
			if after, err := g.store.Get(t.Context(), before.Key); err != nil || after.Revision != before.Revision {
				t.Errorf("the row was written at %d, after %d: %v", after.Revision, before.Revision, err)
			}
		})
	}
}

// The change runs between reading and writing: what happens meanwhile is seen by the second try.
func TestUpdateLosesARace(t *testing.T) {
	for name, meanwhile := range map[string]func(*gate, device.Record){
		"ended":              func(g *gate, r device.Record) { g.end(t, r, device.Replaced) },
		"the user disabled":  func(g *gate, r device.Record) { g.setUser(t, r.User, device.UserRow{Generation: 2, Disabled: true}) },
		"expired and swept":  func(g *gate, r device.Record) { g.clock.Advance(lifetime); sweepAll(t, g) },
		"expired, with more": func(g *gate, r device.Record) { g.clock.Advance(lifetime); g.addWithin(t, r.User, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			_, err := g.reg.Update(t.Context(), rec.User, rec.UID, func(r *device.Record) error {
				if meanwhile != nil {
					meanwhile(g, rec)
				}
				meanwhile = nil
				r.ExpiresAt = r.ExpiresAt.Add(lifetime)
				return nil
			})
			if !errors.Is(err, device.ErrNotFound) {
				t.Errorf("Update = %v, want ErrNotFound", err)
			}
			if _, why := g.index.Peek(g.use(rec)); why == reason.OK {
				t.Error("the device lives")
			}
		})
	}
}

// More than one transaction can end is ended in several, each told once.
func TestEndWhere(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	other := g.add(t, g.user(t))
	const all = 2*device.EndsPerTxn + 3
	for range all {
		g.add(t, user)
	}
	n, err := g.reg.EndWhere(t.Context(), user, device.RevokeAll, func(r device.Record) bool { return r.Ordinal != 7 })
	told := endedAs(g.reg.told(), device.RevokeAll)
	if err != nil || n != all-1 || len(told) != n || len(g.reg.told()) != 1+all+n {
		t.Errorf("EndWhere = %d, %v, told of %v, want %d, each once", n, err, told, all-1)
	}
	if diff := cmp.Diff([]uint64{7}, g.live(t, user)); diff != "" {
		t.Errorf("live devices -want +got:\n%s", diff)
	}
	g.want(t, other, reason.OK)
	if n, err := g.reg.EndWhere(t.Context(), user, device.RevokeAll, func(r device.Record) bool { return false }); n != 0 || err != nil {
		t.Errorf("EndWhere of none = %d, %v", n, err)
	}
}

func TestListIsNewestFirst(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	for range 12 {
		g.add(t, user)
	}
	g.addWithin(t, user, 4)
	if diff := cmp.Diff([]uint64{13, 12, 11, 10}, g.live(t, user)); diff != "" {
		t.Errorf("live devices -want +got:\n%s", diff)
	}
}

// A damaged list or record stops what needs it: to go on would count too few.
func TestDamagedRecords(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	for name, key := range map[string]string{"list": "l/" + rec.User.String(), "device": "d/" + rec.User.String() + "/" + rec.UID.String()} {
		e, err := g.store.Get(t.Context(), key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		g.commit(t, db.Put(key, []byte("x")))
		_, _, err = g.reg.Add(t.Context(), newDevice(uuid.New(), rec.User), device.Limit{Count: 1}, db.Txn{})
		if err == nil {
			t.Errorf("Add with a damaged %s = nil, want an error", name)
		}
		g.commit(t, db.Put(key, e.Value))
	}
	g.want(t, rec, reason.OK)
}
