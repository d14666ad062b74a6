package device_test

import (
	"errors"
	"testing"

	"devicegate/db"
	"devicegate/device"
)

// Who read a device a moment before all of its user ended, and writes after that, ends it no second time, and
// changes nothing of it: its end has been told, with the user's reason.
func TestAllEndedMeanwhile(t *testing.T) {
	kitchen := "kitchen"
	for name, c := range map[string]struct {
		act  func(*gate, []device.Record) error
		want error
	}{
		"End": {func(g *gate, r []device.Record) error {
			return g.reg.End(t.Context(), r[0].User, r[0].UID, device.Logout)
		}, device.ErrNotFound},
		"EndOther": {func(g *gate, r []device.Record) error {
			return g.reg.EndOther(t.Context(), as(r[0]), r[1].UID)
		}, device.ErrCallerGone},
		"EndOthers": {func(g *gate, r []device.Record) error {
			_, _, err := g.reg.EndOthers(t.Context(), as(r[0]))
			return err
		}, device.ErrCallerGone},
		"Change": {func(g *gate, r []device.Record) error {
			_, err := g.reg.Change(t.Context(), as(r[0]), r[1].UID, device.Change{Name: &kitchen})
			return err
		}, device.ErrCallerGone},
		"Override": {func(g *gate, r []device.Record) error {
			_, err := g.reg.Override(t.Context(), r[0].User, r[0].UID, device.Change{Name: &kitchen}, deviceChanged(r[0]))
			return err
		}, device.ErrNotFound},
		"Trim": {func(g *gate, r []device.Record) error {
			return g.reg.Trim(t.Context(), r[0].User, device.Limit{Count: 1}, db.Txn{})
		}, db.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			user := g.user(t)
			recs := []device.Record{g.add(t, user), g.add(t, user)}
			want := endOfAll(recs, "inactive_account")
			g.reg.through(&sweepDuring{g.store, func() {
				if _, err := g.reg.Activity.Commit(t.Context(), raising(g, user), want...); err != nil {
					t.Errorf("end all: %v", err)
				}
			}})
			if err := c.act(g, recs); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			g.wantEvents(t, recs, want, want)
		})
	}
}
