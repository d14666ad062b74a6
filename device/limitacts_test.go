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

// What happens over a limit is what is configured for that limit; over the hard one the least recent goes.
func TestOnLimit(t *testing.T) {
	byRole := map[string]int{"staff": 1, "bots": 9}
	for _, c := range []struct {
		name   string
		limits device.Limits
		roles  []string
		want   device.Limit
	}{
		{"max", device.Limits{Max: 3, Hard: 5, On: device.Refuse}, nil, device.Limit{Count: 3, On: device.Refuse}},
		{"a role", device.Limits{Max: 3, Hard: 5, On: device.EvictOldest, ByRole: byRole}, []string{"staff"}, device.Limit{Count: 1, On: device.EvictOldest}},
		{"hard alone", device.Limits{Hard: 5, On: device.Refuse}, nil, device.Limit{Count: 5}},
		{"hard below max", device.Limits{Max: 9, Hard: 5, On: device.Refuse}, nil, device.Limit{Count: 5}},
		{"hard below a role", device.Limits{Max: 3, Hard: 5, On: device.EvictOldest, ByRole: byRole}, []string{"bots"}, device.Limit{Count: 5}},
	} {
		if got := c.limits.For(c.roles); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Three devices, of which the first was used last. A fourth sign-in within three.
func TestWhoGoes(t *testing.T) {
	for on, want := range map[device.OnLimit][]uint64{device.EvictLeastRecent: {2}, device.EvictOldest: {1}, device.Refuse: nil} {
		g := newGate(t)
		user := g.user(t)
		first := g.add(t, user)
		g.add(t, user)
		g.add(t, user)
		g.clock.Advance(time.Second)
		g.check(first)
		_, out, err := g.reg.Add(t.Context(), newDevice(uuid.New(), user), device.Limit{Count: 3, On: on}, db.Txn{})
		if refused := errors.Is(err, device.ErrMaxDevices); refused != (on == device.Refuse) || err != nil && !refused {
			t.Errorf("on %d: Add = %v", on, err)
		}
		if diff := cmp.Diff(append([]uint64{}, want...), ordinals(out)); diff != "" {
			t.Errorf("on %d: put out -want +got:\n%s", on, diff)
		}
		if n := len(g.live(t, user)); n != 3 {
			t.Errorf("on %d: %d live devices", on, n)
		}
	}
}

// A known device takes no place of its own: within its limit nobody goes and nobody is refused; over a
// lowered one the others go.
func TestKnownDeviceAndLimit(t *testing.T) {
	for _, on := range []device.OnLimit{device.EvictLeastRecent, device.EvictOldest, device.Refuse} {
		g := newGate(t)
		user := g.user(t)
		known := g.add(t, user)
		g.clock.Advance(time.Second)
		b, c := g.add(t, user), g.add(t, user)
		in := func(limit int) (device.Record, []device.Record, error) {
			n := newDevice(uuid.New(), user)
			n.Proves = func(r device.Record) bool { return r.UID == known.UID }
			return g.reg.Add(t.Context(), n, device.Limit{Count: limit, On: on}, db.Txn{})
		}
		rec, out, err := in(3)
		if err != nil || rec.UID != known.UID || len(out) != 0 || len(g.live(t, user)) != 3 {
			t.Errorf("on %d: Add = %v, %v put out, %v", on, rec.UID, ordinals(out), err)
		}
		g.want(t, rec, reason.OK)
		rec, out, err = in(1)
		if on == device.Refuse {
			if !errors.Is(err, device.ErrMaxDevices) || len(g.live(t, user)) != 3 {
				t.Errorf("over a lowered limit Add = %v", err)
			}
			continue
		}
		if diff := cmp.Diff([]uint64{b.Ordinal, c.Ordinal}, ordinals(out)); err != nil || diff != "" {
			t.Errorf("on %d: %v, put out -want +got:\n%s", on, err, diff)
		}
		g.want(t, rec, reason.OK)
	}
}

// A known device keeps who it is, how old it is and what it may; what a sign-in brings is new, and a name
// that the app sends wins.
func TestKnownDeviceKeeps(t *testing.T) {
	g := newGate(t)
	user := g.user(t)
	g.add(t, user)
	rec := g.add(t, user)
	other, no, kitchen := g.add(t, user), false, "kitchen"
	if _, err := g.reg.Change(t.Context(), as(other), rec.UID, device.Change{Name: &kitchen, CanDeleteOthers: &no}); err != nil {
		t.Fatal(err)
	}
	g.clock.Advance(time.Hour)
	n := newDevice(uuid.New(), user)
	n.Name, n.Guess, n.UserAgent, n.IPAddress = "", "guessed", "agent/2", "192.0.2.9"
	n.Country, n.Region, n.City = "AT", "Tyrol", "Innsbruck"
	n.Issue = func(uuid.UUID, uint32) (refresh, cookie []byte, err error) {
		return []byte("hash"), []byte("cookie"), nil
	}
	n.Proves = func(r device.Record) bool { return r.UID == rec.UID }
	got, _, err := g.reg.Add(t.Context(), n, device.Limit{Count: 9}, db.Txn{})
	now := g.clock.Now()
	want := rec
	want.Name, want.CanDeleteOthers, want.UserAgent, want.LastIP, want.Cookie, want.Tokens = kitchen, false, "agent/2", "192.0.2.9", []byte("cookie"), 2
	want.Country, want.Region, want.City = "AT", "Tyrol", "Innsbruck"
	want.SignedInAt, want.LastSeen, want.ExpiresAt = now, now, now.Add(lifetime)
	want.Refresh, want.Schema, got.Schema = device.Refresh{Current: []byte("hash"), RotatedAt: now}, 0, 0
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	g.want(t, rec, reason.DeviceNotRecognized) // its old access tokens
	g.want(t, got, reason.OK)
	n.Name, n.Country, n.Region, n.City = "the app's", "", "", ""
	n.Issue = newDevice(uuid.New(), user).Issue // without a cookie
	if got, _, err := g.reg.Add(t.Context(), n, device.Limit{Count: 9}, db.Txn{}); err != nil || got.Name != "the app's" || string(got.Cookie) != "cookie" || got.Tokens != 3 || got.Country+got.Region+got.City != "" {
		t.Errorf("with a name and without a cookie and a place it is %+v, %v", got, err)
	}
	if n := len(g.live(t, user)); n != 3 {
		t.Errorf("%d live devices, want 3", n)
	}
}
