package device_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

// TestForeseeSaysWhatCheckDoes: for each use, after it nothing is as it would be after a check.
func TestForeseeSaysWhatCheckDoes(t *testing.T) {
	away := netip.MustParseAddr("198.51.100.9")
	a := abroadWith(t, device.IPChange{Revoke: true, Window: time.Minute, Told: func(device.Use, netip.Addr) {}})
	user := a.user(t)
	live, moving, ended := a.add(t, user), a.add(t, user), a.add(t, user)
	a.end(t, ended, device.RevokedByAdmin)
	use := func(rec device.Record, from netip.Addr) device.Use {
		return device.Use{User: rec.User, Device: rec.UID, Generation: rec.Tokens, From: from, At: a.clock.Now()}
	}
	if _, why := a.index.Check(use(moving, home)); why != reason.OK {
		t.Fatal(why)
	}
	if _, why := a.index.Peek(use(moving, away)); why != reason.OK {
		t.Errorf("who only asks about a device from elsewhere is answered %v", why)
	}
	p := someone()
	unknown := use(live, home)
	unknown.Device = uuid.New()
	older := use(live, home)
	older.Generation++
	for _, c := range []struct {
		name      string
		use       device.Use
		want      reason.Reason
		registers bool
		ends      bool
	}{
		{"live", use(live, home), reason.OK, false, false},
		{"ended", use(ended, home), reason.DeviceNotRecognized, false, false},
		{"unknown", unknown, reason.DeviceNotRecognized, false, false},
		{"of another sign-in", older, reason.DeviceNotRecognized, false, false},
		{"moved", use(moving, away), reason.DeviceCompromised, false, true},
		{"first seen", a.with(p, uuid.New()), reason.OK, true, false},
	} {
		before := a.everything(t, c.use.Device)
		f := a.index.Foresee(c.use)
		again := a.index.Foresee(c.use)
		if diff := cmp.Diff(before, a.everything(t, c.use.Device)); diff != "" {
			t.Errorf("%s: it left a trace (-before +after):\n%s", c.name, diff)
		}
		if f.Reason != c.want || f.Registers != c.registers || f.Ends != c.ends || again.Reason != f.Reason {
			t.Errorf("%s: foreseen %+v, want %v", c.name, f, c.want)
		}
		subject, why := a.index.Check(c.use)
		if diff := cmp.Diff(subject, f.Subject); diff != "" || why != f.Reason {
			t.Errorf("%s: foreseen %v, checked %v (-checked +foreseen):\n%s", c.name, f.Reason, why, diff)
		}
	}
	if f := a.index.Foresee(use(ended, home)); f.Device.Ended != device.RevokedByAdmin || !f.Device.Known || f.Device.Owner != user {
		t.Errorf("of the ended device is known: %+v", f.Device)
	}
	if f := a.index.Foresee(use(live, home)); f.Device.LastFrom != home || f.Device.Expires.IsZero() || !f.Device.LastSeen.Equal(a.clock.Now()) {
		t.Errorf("of the live device is known: %+v", f.Device)
	}
}

// everything is what a check could change: the store, whose device it is, and when and from where it was last seen.
func (a *abroad) everything(t *testing.T, uid uuid.UUID) map[string]string {
	t.Helper()
	all := map[string]string{}
	at, err := db.Each(t.Context(), a.store, "", func(e db.Entry) error { all[e.Key] = string(e.Value); return nil })
	if err != nil {
		t.Fatal(err)
	}
	seen, from := a.index.LastUse(uid)
	owner, known := a.index.Owner(uid)
	all["seen"] = seen.String() + from.String() + owner.String()
	all["known"] = map[bool]string{true: "known", false: "unknown"}[known]
	all["revision"] = time.Duration(at).String()
	return all
}
