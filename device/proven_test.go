package device_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
)

// Only a live device of the user's is proven, and none that a check has refused for its change of address:
// also while that is not written yet.
func TestProven(t *testing.T) {
	always := func(device.Record) bool { return true }
	for name, c := range map[string]struct {
		before func(*gate, device.Record)
		proves func(device.Record) bool
		want   bool
	}{
		"live":             {func(*gate, device.Record) {}, always, true},
		"the same address": {func(g *gate, r device.Record) { move(g, r, "192.0.2.1", "192.0.2.1") }, always, true},
		"not proven":       {func(*gate, device.Record) {}, func(device.Record) bool { return false }, false},
		"ended":            {func(g *gate, r device.Record) { g.end(t, r, device.Logout) }, always, false},
		"expired":          {func(g *gate, _ device.Record) { g.clock.Advance(lifetime) }, always, false},
		"ended with all":   {func(g *gate, r device.Record) { g.setUser(t, r.User, device.UserRow{Generation: 2}) }, always, false},
		"compromised":      {func(g *gate, r device.Record) { move(g, r, "192.0.2.1", "192.0.2.2") }, always, false},
		"and so it stays":  {func(g *gate, r device.Record) { move(g, r, "192.0.2.1", "192.0.2.2"); g.flush(t) }, always, false},
		"the right device": {func(*gate, device.Record) {}, func(r device.Record) bool { return r.Name == "a phone" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newMoving(t, device.IPChange{Revoke: true}).gate
			rec := g.add(t, g.user(t))
			c.before(g, rec)
			if got, err := g.reg.Proven(t.Context(), rec.User, rec.UID, c.proves); got != c.want || err != nil {
				t.Errorf("Proven = %v, %v, want %v", got, err, c.want)
			}
			for what, ids := range map[string][2]uuid.UUID{"of another user": {g.user(t), rec.UID}, "unknown": {rec.User, uuid.New()}} {
				if got, err := g.reg.Proven(t.Context(), ids[0], ids[1], c.proves); got || err != nil {
					t.Errorf("%s: Proven = %v, %v", what, got, err)
				}
			}
		})
	}
}

// Nothing is proven while the index cannot be asked.
func TestProvenFailsClosed(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	reg := registry(g.store, device.NewIndex(keep, device.IPChange{}), g.clock)
	if got, err := reg.Proven(t.Context(), rec.User, rec.UID, func(device.Record) bool { return true }); got || !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("Proven = %v, %v, want false, ErrUnavailable", got, err)
	}
}
