package device_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// ending is a way in which a foreign device ends. other is another live device of the user, which stays where
// the way ends one device only.
type ending struct {
	by    func(t *testing.T, a *abroad, p person, uid, other uuid.UUID) error
	again func(t *testing.T, a *abroad, p person) // brings the user back
	all   bool                                    // ends other as well
	word  reason.Reason                           // what a check says of it at first
}

var (
	elsewhere = netip.MustParseAddr("198.51.100.9")
	yes, no   = true, false
	password  = "correct horse battery staple"
)

// caller is who acts with a token of a foreign device.
func (p person) caller(uid uuid.UUID) device.Subject {
	return device.Subject{User: p.id, Device: uid, Generation: 1, Issuer: "django"}
}

var endings = map[string]ending{
	"DELETE by another device": {by: func(t *testing.T, a *abroad, p person, uid, other uuid.UUID) error {
		return a.service.EndOther(t.Context(), p.caller(other), uid, login.Client{})
	}},
	"logout": {by: func(t *testing.T, a *abroad, p person, uid, _ uuid.UUID) error {
		return a.service.Logout(t.Context(), p.caller(uid), login.Client{})
	}},
	"revoke-all": {by: func(t *testing.T, a *abroad, p person, _, other uuid.UUID) error {
		_, _, err := a.service.EndOthers(t.Context(), p.caller(other), login.Client{})
		return err
	}},
	"DELETE by an admin": {by: func(t *testing.T, a *abroad, p person, uid, _ uuid.UUID) error {
		return a.service.EndDevice(t.Context(), somebody, p.id, uid)
	}},
	"reuse of a refresh token": {by: func(t *testing.T, a *abroad, p person, uid, _ uuid.UUID) error {
		return a.reg.EndTokens(t.Context(), p.id, uid, 1, device.RefreshReuse)
	}, word: reason.DeviceCompromised},
	"all by an admin": {all: true, by: func(t *testing.T, a *abroad, p person, _, _ uuid.UUID) error {
		_, err := a.service.EndAll(t.Context(), somebody, p.id)
		return err
	}},
	"disabled": {all: true, by: func(t *testing.T, a *abroad, p person, _, _ uuid.UUID) error {
		_, err := a.service.UpdateUser(t.Context(), somebody, p.id, login.Update{Disabled: &yes})
		return err
	}, again: func(t *testing.T, a *abroad, p person) {
		if _, err := a.service.UpdateUser(t.Context(), somebody, p.id, login.Update{Disabled: &no}); err != nil {
			t.Fatalf("enable: %v", err)
		}
	}, word: reason.InactiveAccount},
	"new password": {all: true, by: func(t *testing.T, a *abroad, p person, _, _ uuid.UUID) error {
		_, err := a.service.UpdateUser(t.Context(), somebody, p.id, login.Update{Password: &password})
		return err
	}},
	"user deleted": {all: true, by: func(t *testing.T, a *abroad, p person, _, _ uuid.UUID) error {
		return a.service.DeleteUser(t.Context(), somebody, p.id)
	}},
	"change of address": {by: func(t *testing.T, a *abroad, p person, uid, _ uuid.UUID) error {
		use := a.with(p, uid)
		use.From = elsewhere
		if _, why := a.index.Check(use); why != reason.DeviceCompromised {
			t.Errorf("from another address the check answers %v", why)
		}
		return a.reg.Flush(t.Context())
	}, word: reason.DeviceCompromised},
}

// "DELETE means now, and stays so": whatever ended a foreign device, its issuer's tokens never bring it back.
func TestForeignEndedForGood(t *testing.T) {
	for name, end := range endings {
		for when, stored := range map[string]bool{"stored": true, "waiting to be stored": false} {
			t.Run(name+"/"+when, func(t *testing.T) {
				a, p := abroadWith(t, device.IPChange{Revoke: true, Window: window}), someone()
				other := a.newcomer(t, p)
				if end.all || stored {
					a.batch(t) // an account to act on
				}
				uid := a.newcomer(t, p)
				if stored {
					a.batch(t)
				}
				if err := end.by(t, a, p, uid, other); err != nil {
					t.Fatalf("end: %v", err)
				}
				word := end.word
				if word == reason.Undecided {
					word = reason.DeviceNotRecognized
				}
				a.refuses(t, word, p, uid)
				gone := []uuid.UUID{uid}
				if end.all {
					gone = append(gone, other)
				} else {
					a.passes(t, p, other)
				}
				a.staysGone(t, p, end, gone...)
			})
		}
	}
}

// staysGone demands that none of p's devices passes again, whatever happens and however long it takes.
func (a *abroad) staysGone(t *testing.T, p person, end ending, gone ...uuid.UUID) {
	t.Helper()
	never := func(when string) {
		t.Helper()
		for _, x := range []*device.Index{a.index, a.fresh(t)} {
			for _, uid := range gone {
				if _, why := x.Check(a.with(p, uid)); why == reason.OK {
					t.Errorf("%s the device passes again", when)
				}
			}
		}
		a.agree(t)
	}
	a.batch(t)
	never("after the batch")
	a.clock.Advance(tokenLife + time.Minute)
	a.forget(t)
	never("after its tokens died")
	if end.again != nil {
		end.again(t, a, p)
	}
	never("after the user was let in again")
	a.newcomer(t, p)
	a.batch(t)
	never("after the user came with another device")
	for range 5 {
		a.clock.Advance(2 * stay)
		a.forget(t)
		a.newcomer(t, p)
		a.batch(t)
		never("after years")
	}
	for _, uid := range gone {
		if err := a.register(t, p, uid); !errors.Is(err, device.ErrEndedForGood) {
			t.Errorf("an admin who registers it is answered %v, want %v", err, device.ErrEndedForGood)
		}
	}
	never("after an admin tried")
}

// What is left of a removed user is marked at once, so that he may come back by another device.
func TestForeignRemovedUserIsRegistered(t *testing.T) {
	a, p := newAbroad(t), someone()
	uid, next := a.newcomer(t, p), uuid.New()
	a.batch(t)
	if err := a.service.DeleteUser(t.Context(), somebody, p.id); err != nil {
		t.Fatal(err)
	}
	a.refuses(t, reason.DeviceNotRecognized, p, uid)
	if err := a.register(t, p, uid); !errors.Is(err, device.ErrEndedForGood) {
		t.Errorf("registering what ended with the user = %v", err)
	}
	if err := a.register(t, p, next); err != nil {
		t.Fatalf("register: %v", err)
	}
	a.passes(t, p, next)
	a.staysGone(t, p, ending{}, uid)
}

// A user is removed and comes back as often as anybody likes.
func TestForeignUserComesBack(t *testing.T) {
	a, p := newAbroad(t), someone()
	var gone []uuid.UUID
	for range 5 {
		gone = append(gone, a.newcomer(t, p))
		a.batch(t)
		gone = append(gone, a.newcomer(t, p)) // waits
		if err := a.service.DeleteUser(t.Context(), somebody, p.id); err != nil {
			t.Fatal(err)
		}
		a.forget(t)
	}
	a.staysGone(t, p, ending{}, gone...)
}

func TestForeignDisabledIsNotRegistered(t *testing.T) {
	a, p := newAbroad(t), someone()
	a.newcomer(t, p)
	a.batch(t)
	if _, err := a.service.UpdateUser(t.Context(), somebody, p.id, login.Update{Disabled: &yes}); err != nil {
		t.Fatal(err)
	}
	next := uuid.New()
	a.refuses(t, reason.DeviceNotRecognized, p, next)
	if err := a.register(t, p, next); !errors.Is(err, device.ErrNotFound) {
		t.Errorf("an admin who registers a device of a disabled user is answered %v, want %v", err, device.ErrNotFound)
	}
	a.agree(t)
}

func TestForeignRegister(t *testing.T) {
	a, p := newAbroad(t), someone()
	p.says.Register = 0
	uid := uuid.New()
	for range 3 {
		if err := a.register(t, p, uid); err != nil {
			t.Fatalf("register: %v", err)
		}
	}
	a.passes(t, p, uid)
	n := registration(p, uid)
	n.Name = "kitchen"
	if rec, err := a.reg.Register(t.Context(), n, somebody); err != nil || rec.Name != "kitchen" {
		t.Errorf("with a name: %+v, %v", rec, err)
	}
	n.Name = ""
	if rec, err := a.reg.Register(t.Context(), n, somebody); err != nil || rec.Name != "kitchen" || rec.Ordinal != 1 {
		t.Errorf("without one again: %+v, %v", rec, err)
	}
	n.Device, n.Limit = uuid.New(), 1
	if _, err := a.reg.Register(t.Context(), n, somebody); !errors.Is(err, device.ErrMaxDevices) {
		t.Errorf("over the limit: %v, want %v", err, device.ErrMaxDevices)
	}
	a.clock.Advance(stay) // its time ran out: it may come again
	n.Device = uid
	if rec, err := a.reg.Register(t.Context(), n, somebody); err != nil || rec.Ordinal != 2 {
		t.Errorf("after its time: %+v, %v", rec, err)
	}
	want := []string{"admin/user_created", "admin/device_registered", "admin/device_registered", "device_ended/expired", "admin/device_registered"}
	if got := a.events(p); !slices.Equal(got, want) {
		t.Errorf("events = %q, want %q", got, want)
	}
	a.agree(t)
}
