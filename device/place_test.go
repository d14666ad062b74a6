package device_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
)

// A place that is known at once is the device's from the start.
func TestPlaceOfASignIn(t *testing.T) {
	g := newGate(t)
	n := newDevice(uuid.New(), g.user(t))
	n.Country, n.Region, n.City = "AT", "Tyrol", "Innsbruck"
	rec, _, err := g.reg.Add(t.Context(), n, device.Limit{Count: 9}, db.Txn{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := g.reg.Get(t.Context(), rec.User, rec.UID)
	if err != nil || got.Country != "AT" || got.Region != "Tyrol" || got.City != "Innsbruck" {
		t.Errorf("it is %+v, %v", got, err)
	}
}

// A place that is known only after the answer is written to the device, and to nothing else of it; it is no
// event.
func TestSetPlace(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	if err := g.reg.SetPlace(t.Context(), rec, "AT", "Tyrol", "Innsbruck"); err != nil {
		t.Errorf("SetPlace = %v", err)
	}
	got, err := g.reg.Get(t.Context(), rec.User, rec.UID)
	want := rec
	want.Schema, want.Country, want.Region, want.City = 1, "AT", "Tyrol", "Innsbruck"
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if n := len(g.stored(t, rec.User)); n != 1 {
		t.Errorf("%d events, want that of the sign-in", n)
	}
}

// A sign-in on the device since then has a place of its own: the late one of the sign-in before is not its.
func TestSetPlaceComesTooLate(t *testing.T) {
	signIn := func(g *gate, r device.Record) {
		n := newDevice(uuid.New(), r.User)
		n.Proves = func(rec device.Record) bool { return rec.UID == r.UID }
		n.Country, n.Region, n.City = "PT", "Lisboa", "Lisbon"
		if got, _, err := g.reg.Add(t.Context(), n, device.Limit{Count: 9}, db.Txn{}); err != nil || got.UID != r.UID {
			t.Fatalf("sign in again: %v, %v", got.UID, err)
		}
	}
	for name, before := range map[string]func(*gate, device.Record){
		"signed in again": signIn,
		"signed in again meanwhile": func(g *gate, r device.Record) {
			g.reg.through(&sweepDuring{g.store, func() { signIn(g, r) }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			before(g, rec)
			if err := g.reg.SetPlace(t.Context(), rec, "AT", "Tyrol", "Innsbruck"); !errors.Is(err, device.ErrNotFound) {
				t.Errorf("SetPlace = %v, want ErrNotFound", err)
			}
			got, err := g.reg.Get(t.Context(), rec.User, rec.UID)
			if err != nil || got.Country != "PT" || got.Region != "Lisboa" || got.City != "Lisbon" || got.Tokens != 2 {
				t.Errorf("it is %+v, %v, want what its last sign-in said", got, err)
			}
		})
	}
	for name, over := range map[string]func(*gate, device.Record){
		"ended":   func(g *gate, r device.Record) { g.end(t, r, device.Logout) },
		"expired": func(g *gate, _ device.Record) { g.clock.Advance(lifetime) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			over(g, rec)
			count := &counting{Store: g.store}
			g.reg.through(count)
			if err := g.reg.SetPlace(t.Context(), rec, "AT", "", ""); !errors.Is(err, device.ErrNotFound) || count.n.Load() != 0 {
				t.Errorf("SetPlace = %v with %d commits, want ErrNotFound", err, count.n.Load())
			}
		})
	}
}
