package device_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

func TestStartingBeforeFilled(t *testing.T) {
	x := device.NewIndex(keep, device.IPChange{})
	if got := x.State(); got != reason.Starting {
		t.Errorf("State = %v, want starting", got)
	}
	for name, ask := range map[string]func(device.Use) (device.Subject, reason.Reason){"Check": x.Check, "Peek": x.Peek} {
		if s, got := ask(device.Use{User: uuid.New(), Device: uuid.New(), Generation: 1, At: time.Now()}); got != reason.Starting || s.User != uuid.Nil {
			t.Errorf("%s = %+v, %v, want nobody, starting", name, s, got)
		}
	}
}

// The word for an end is told until keep is over, to the millisecond, and then forgotten.
func TestEndedDeviceAnswersItsWord(t *testing.T) {
	for why, want := range map[device.EndReason]reason.Reason{
		device.Logout:          reason.DeviceNotRecognized,
		device.RevokedByDevice: reason.DeviceNotRecognized,
		device.RevokedByAdmin:  reason.DeviceNotRecognized,
		device.RevokeAll:       reason.DeviceNotRecognized,
		device.Replaced:        reason.DeviceReplaced,
		device.RefreshReuse:    reason.DeviceCompromised,
		device.PasswordChanged: reason.DeviceNotRecognized,
		device.InactiveAccount: reason.InactiveAccount,
		device.Expired:         reason.DeviceNotRecognized,
		device.IPChanged:       reason.DeviceCompromised,
	} {
		t.Run(why.String(), func(t *testing.T) {
			g := newGate(t)
			rec := g.add(t, g.user(t))
			g.want(t, rec, reason.OK)
			g.end(t, rec, why)
			g.want(t, rec, want)
			g.clock.Advance(keep - time.Millisecond)
			g.want(t, rec, want)
			g.clock.Advance(time.Millisecond)
			g.want(t, rec, reason.DeviceNotRecognized)
		})
	}
}

// A number that this version does not know is no reason to let anybody pass, nor to panic.
func TestUnknownEndReason(t *testing.T) {
	for _, why := range []device.EndReason{0, device.IPChanged + 1, 255} {
		if why.String() != "unknown" || why.Check() != reason.DeviceNotRecognized {
			t.Errorf("EndReason(%d) = %v, %v, want unknown, device_not_recognized", why, why, why.Check())
		}
	}
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.commit(t, db.Put(device.DeviceRowKey(rec.UID), device.EncodeDeviceRow(device.DeviceRow{
		User: rec.User, Generation: 1, Tokens: 1, Ended: 200, Until: rec.ExpiresAt.UnixMilli(),
	})))
	g.want(t, rec, reason.DeviceNotRecognized)
}

// Raising the user's generation ends everything of his with his word for keep; nothing brings it back.
func TestGenerationEnds(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	other := g.add(t, g.user(t))
	g.setUser(t, rec.User, device.UserRow{Generation: 2, Disabled: true, Ended: device.InactiveAccount, EndedAt: g.clock.Now()})
	g.want(t, rec, reason.InactiveAccount)
	g.want(t, other, reason.OK)
	g.clock.Advance(keep - time.Millisecond)
	g.want(t, rec, reason.InactiveAccount)
	g.clock.Advance(time.Millisecond)
	g.want(t, rec, reason.DeviceNotRecognized)
	g.setUser(t, rec.User, device.UserRow{Generation: 2, Ended: device.InactiveAccount, EndedAt: g.clock.Now().Add(-keep)})
	g.want(t, rec, reason.DeviceNotRecognized)
	if got := g.live(t, rec.User); len(got) != 0 {
		t.Errorf("live devices after enabling: %v, want none", got)
	}
}

// Even a device of the right generation is refused while its user is disabled.
func TestDisabledUser(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.setUser(t, rec.User, device.UserRow{Generation: 1, Disabled: true})
	g.want(t, rec, reason.InactiveAccount)
}

func TestExpiryIsExact(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	g.clock.Advance(lifetime - time.Millisecond)
	g.want(t, rec, reason.OK)
	g.clock.Advance(time.Millisecond)
	g.want(t, rec, reason.DeviceNotRecognized)
}

func TestNobodysAndAnotherUsersDevice(t *testing.T) {
	g := newGate(t)
	mine, theirs := g.add(t, g.user(t)), g.add(t, g.user(t))
	orphan := g.add(t, uuid.New()) // its user has no row
	now := g.clock.Now()
	for _, c := range []struct {
		name         string
		user, device uuid.UUID
	}{
		{"another user's", mine.User, theirs.UID},
		{"no user's", uuid.Nil, mine.UID},
		{"unknown", mine.User, uuid.New()},
		{"the zero device", mine.User, uuid.Nil},
		{"of a user who is gone", orphan.User, orphan.UID},
	} {
		if s, got := g.index.Check(device.Use{User: c.user, Device: c.device, Generation: 1, At: now}); got != reason.DeviceNotRecognized || s.User != uuid.Nil {
			t.Errorf("%s: Check = %+v, %v, want nobody, device_not_recognized", c.name, s, got)
		}
	}
	if !lastSeen(g, theirs.UID).IsZero() {
		t.Error("a refused check left its trace")
	}
}

func TestCheckTellsWhoAndNotesWhen(t *testing.T) {
	g := newGate(t)
	user := uuid.New()
	roles := []string{"staff", "ops"}
	g.setUser(t, user, device.UserRow{Generation: 1, Name: "Zoë", Roles: roles})
	rec := g.add(t, user)
	if _, why := g.index.Peek(g.use(rec)); why != reason.OK || !lastSeen(g, rec.UID).IsZero() {
		t.Errorf("Peek = %v and was noted at %v, want ok without a trace", why, lastSeen(g, rec.UID))
	}
	g.clock.Advance(time.Minute)
	s, why := g.index.Check(g.use(rec))
	if why != reason.OK || s.User != user || s.Device != rec.UID || s.Name != "Zoë" || !slices.Equal(s.Roles, roles) {
		t.Errorf("Check = %+v, %v, want Zoë with her roles", s, why)
	}
	if got := lastSeen(g, rec.UID); !got.Equal(g.clock.Now()) {
		t.Errorf("LastSeen = %v, want %v", got, g.clock.Now())
	}
	g.setUser(t, user, device.UserRow{Generation: 1, Name: "Zoë B.", Roles: nil})
	if s, _ := g.index.Check(g.use(rec)); s.Name != "Zoë B." || len(s.Roles) != 0 {
		t.Errorf("after a change Check = %+v, want the new name and no roles", s)
	}
	if owner, known := g.index.Owner(rec.UID); !known || owner != user {
		t.Errorf("Owner = %v, %v, want the user", owner, known)
	}
	if _, known := g.index.Owner(uuid.New()); known {
		t.Error("an unknown device has an owner")
	}
}

// A slot is used again after its device was forgotten; the old device_uid must not find the new one.
func TestSlotReuse(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	old := g.add(t, user)
	g.check(old)
	g.commit(t, db.Delete(device.DeviceRowKey(old.UID)), db.Delete(device.DeviceRowKey(uuid.New())))
	fresh := g.add(t, user)
	if g.index.Slots() != 1 {
		t.Fatalf("%d slots, want 1: this proves nothing about reuse", g.index.Slots())
	}
	g.want(t, old, reason.DeviceNotRecognized)
	g.want(t, fresh, reason.OK)
	if !lastSeen(g, fresh.UID).IsZero() || !lastSeen(g, old.UID).IsZero() {
		t.Error("the new device inherits when the old one was seen")
	}
	if _, known := g.index.Owner(old.UID); known {
		t.Error("the old device still has an owner")
	}
}

func TestLive(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	ended := g.add(t, user)
	g.add(t, user)
	g.add(t, g.user(t))
	if got := g.index.Live(g.clock.Now()); got != 3 {
		t.Errorf("Live = %d, want 3", got)
	}
	g.end(t, ended, device.Logout)
	g.setUser(t, user, device.UserRow{Generation: 2})
	if got := g.index.Live(g.clock.Now()); got != 1 {
		t.Errorf("Live = %d, want 1", got)
	}
	if got := g.index.Live(g.clock.Now().Add(lifetime)); got != 0 {
		t.Errorf("Live after all expired = %d, want 0", got)
	}
}
