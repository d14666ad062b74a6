package device_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
)

// Who read a device a moment before its time ran out, and writes after it was forgotten, ends it no second
// time, does not bring it back, and leaves nothing behind that nobody forgets.
func TestForgottenMeanwhile(t *testing.T) {
	kitchen := "kitchen"
	for name, c := range map[string]struct {
		act  func(*gate, device.Record) error
		want error
	}{
		"End": {func(g *gate, r device.Record) error {
			return g.reg.End(t.Context(), r.User, r.UID, device.Logout)
		}, device.ErrNotFound},
		"Change": {func(g *gate, r device.Record) error {
			_, err := g.reg.Change(t.Context(), as(r), r.UID, device.Change{Name: &kitchen})
			return err
		}, device.ErrCallerGone},
		"Override": {func(g *gate, r device.Record) error {
			_, err := g.reg.Override(t.Context(), r.User, r.UID, device.Change{Name: &kitchen}, deviceChanged(r))
			return err
		}, device.ErrNotFound},
		"KeepOnly": {func(g *gate, r device.Record) error {
			return g.reg.KeepOnly(t.Context(), as(r), 2, raising(g, r.User), device.Cause{Why: device.PasswordChanged, By: olga})
		}, db.ErrConflict},
		"EndAll": {func(g *gate, r device.Record) error {
			_, err := g.reg.EndAll(t.Context(), r.User, raising(g, r.User), device.Cause{Why: device.RevokedByAdmin, By: olga})
			return err
		}, db.ErrConflict},
		"Trim": {func(g *gate, r device.Record) error {
			return g.reg.Trim(t.Context(), r.User, device.Limit{Count: 1}, db.Txn{})
		}, db.ErrConflict},
		"Add on it": {func(g *gate, r device.Record) error {
			n := newDevice(uuid.New(), r.User)
			n.Proves = func(rec device.Record) bool { return rec.UID == r.UID }
			_, _, err := g.reg.Add(t.Context(), n, device.Limit{Count: 9}, db.Txn{})
			return err
		}, db.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			g.reg.through(&sweepDuring{g.store, func() { g.clock.Advance(lifetime); sweepAll(t, g) }})
			if err := c.act(g, rec); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			want := ends("expired", activity.By{Actor: activity.ByService}, rec)
			g.wantEvents(t, []device.Record{rec}, want, want)
			if kept(t, g, rec) {
				t.Error("something of it is in the store")
			}
		})
	}
}
