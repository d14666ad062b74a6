package login_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

func TestEndOther(t *testing.T) {
	g := newGate(t, noLimit)
	alice, bob := g.user(t, "alice"), g.user(t, "bob")
	mine, other, theirs := g.signIn(t, "alice"), g.signIn(t, "alice"), g.signIn(t, "bob")
	var rule *device.RuleError
	if err := g.EndOther(t.Context(), caller(alice, mine), mine.Device); !errors.As(err, &rule) || rule.Code != "device_self_modification" {
		t.Errorf("EndOther of oneself = %v", err)
	}
	for _, c := range []struct {
		name   string
		target uuid.UUID
		want   error
	}{
		{"another user's", theirs.Device, device.ErrNotFound},
		{"unknown", uuid.New(), device.ErrNotFound},
		{"another of one's own", other.Device, nil},
		{"the same again", other.Device, device.ErrNotFound},
	} {
		if err := g.EndOther(t.Context(), caller(alice, mine), c.target); !errors.Is(err, c.want) {
			t.Errorf("%s: EndOther = %v, want %v", c.name, err, c.want)
		}
	}
	g.want(t, alice, mine, reason.OK)
	g.want(t, bob, theirs, reason.OK)
	g.want(t, alice, other, reason.DeviceNotRecognized)
	if diff := cmp.Diff(map[uuid.UUID][]device.EndReason{other.Device: {device.RevokedByDevice}}, g.journal.ended); diff != "" {
		t.Errorf("journal -want +got:\n%s", diff)
	}
}

func TestEndOthers(t *testing.T) {
	g := newGate(t, noLimit)
	alice, bob := g.user(t, "alice"), g.user(t, "bob")
	theirs := g.signIn(t, "bob")
	want := map[uuid.UUID][]device.EndReason{}
	for range 25 { // more than one transaction ends
		want[g.signIn(t, "alice").Device] = []device.EndReason{device.RevokeAll}
	}
	mine := g.signIn(t, "alice")
	for _, n := range []int{25, 0} {
		if got, kept, err := g.EndOthers(t.Context(), caller(alice, mine)); got != n || kept != 0 || err != nil {
			t.Errorf("EndOthers = %d and %d kept, %v, want %d and none", got, kept, err, n)
		}
	}
	g.want(t, alice, mine, reason.OK)
	g.want(t, bob, theirs, reason.OK)
	if got := g.live(t, alice); len(got) != 1 {
		t.Errorf("%d live devices, want 1", len(got))
	}
	if diff := cmp.Diff(want, g.journal.ended); diff != "" {
		t.Errorf("journal -want +got:\n%s", diff)
	}
}

func TestRename(t *testing.T) {
	g := newGate(t, noLimit)
	alice := g.user(t, "alice")
	g.user(t, "bob")
	mine, other, theirs := g.signIn(t, "alice"), g.signIn(t, "alice"), g.signIn(t, "bob")
	kitchen := "kitchen"
	for _, s := range []login.Session{mine, other} {
		rec, err := g.Change(t.Context(), caller(alice, mine), s.Device, device.Change{Name: &kitchen})
		if err != nil || rec.Name != "kitchen" {
			t.Errorf("Change = %q, %v", rec.Name, err)
		}
	}
	if _, err := g.Change(t.Context(), caller(alice, mine), theirs.Device, device.Change{Name: &kitchen}); !errors.Is(err, device.ErrNotFound) {
		t.Errorf("Change of another user's = %v, want ErrNotFound", err)
	}
	for _, rec := range g.live(t, alice) {
		if rec.Name != "kitchen" {
			t.Errorf("device %d is called %q", rec.Ordinal, rec.Name)
		}
	}
}

// Only what has surely happened is called done.
func TestEndsThatFail(t *testing.T) {
	g := newGate(t, noLimit)
	alice := g.user(t, "alice")
	mine, other := g.signIn(t, "alice"), g.signIn(t, "alice")
	g.store.FailCommits(db.ErrUnknown, false)
	_, _, all := g.EndOthers(t.Context(), caller(alice, mine))
	for name, err := range map[string]error{
		"EndOther": g.EndOther(t.Context(), caller(alice, mine), other.Device), "EndOthers": all,
		"Logout": g.Logout(t.Context(), caller(alice, mine)), "Revoke": g.Revoke(t.Context(), mine.Refresh),
	} {
		if !errors.Is(err, db.ErrUnknown) {
			t.Errorf("%s = %v, want ErrUnknown", name, err)
		}
	}
	if len(g.journal.ended) != 0 {
		t.Errorf("the journal was told of %v", g.journal.ended)
	}
}
