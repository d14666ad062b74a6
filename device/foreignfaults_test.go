package device_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// A store that takes no writes for a while costs nobody who came meanwhile anything.
func TestForeignStoreTakesNoWrites(t *testing.T) {
	for name, fault := range map[string]struct {
		err     error
		applied bool
	}{"refused": {db.ErrUnavailable, false}, "answers lost": {db.ErrUnknown, true}} {
		t.Run(name, func(t *testing.T) {
			a := newAbroad(t)
			faulty := dbtest.NewFaulty(a.store)
			a.reg.through(faulty)
			before := someone()
			known := a.newcomer(t, before)
			a.batch(t)
			faulty.FailCommits(fault.err, fault.applied)
			people, devices := make([]person, 30), make([][]uuid.UUID, 30)
			for i := range people {
				people[i] = someone()
				devices[i] = []uuid.UUID{a.newcomer(t, people[i]), a.newcomer(t, people[i])}
			}
			for range 2 {
				if err := a.reg.StoreArrivals(t.Context()); !errors.Is(err, fault.err) {
					t.Errorf("the batch = %v, want %v", err, fault.err)
				}
			}
			a.passes(t, before, known)
			for i, p := range people {
				a.passes(t, p, devices[i]...)
			}
			faulty.FailCommits(nil, false)
			a.batch(t)
			for i, p := range people {
				a.passes(t, p, devices[i]...)
				if live := a.live(t, p.id); len(live) != 2 {
					t.Errorf("a user has the devices %v, want two", live)
				}
				if n := a.firstSights(t, p); n != 2 {
					t.Errorf("%d events tell of first sights, want two", n)
				}
			}
			a.agree(t)
		})
	}
}

// firstSights returns how many the stored history of a user tells.
func (a *abroad) firstSights(t *testing.T, p person) (n int) {
	t.Helper()
	for _, e := range a.stored(t, p.id) {
		if e.Kind == activity.SignIn && e.Reason == device.FirstSight {
			n++
		}
	}
	return n
}

// An end that cannot be written is not acknowledged, and one of a device that waits neither.
func TestForeignEndCannotBeWritten(t *testing.T) {
	a, p := newAbroad(t), someone()
	faulty := dbtest.NewFaulty(a.store)
	a.reg.through(faulty)
	uid := a.newcomer(t, p)
	faulty.FailCommits(db.ErrUnavailable, false)
	if err := a.reg.End(t.Context(), p.id, uid, device.Logout); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("the end = %v, want %v", err, db.ErrUnavailable)
	}
	a.passes(t, p, uid)
	faulty.FailCommits(nil, false)
	if err := a.reg.End(t.Context(), p.id, uid, device.Logout); err != nil {
		t.Errorf("the end = %v", err)
	}
	a.staysGone(t, p, ending{}, uid)
}

// However long the store takes no writes, only so many wait in memory; those that are known go on to pass.
func TestForeignArrivalsAreBounded(t *testing.T) {
	a := newAbroad(t)
	var last person
	var uid uuid.UUID
	for n := 0; n < device.MaxArrivals; n++ {
		if n%bound == 0 {
			last = someone()
		}
		uid = a.newcomer(t, last)
	}
	a.refuses(t, reason.StoreUnavailable, someone(), uuid.New()) // it may be good, so nobody is to sign in anew for it
	a.passes(t, last, uid)
	if err := a.reg.End(t.Context(), last.id, uid, device.Logout); err != nil { // settles one user
		t.Fatal(err)
	}
	a.refuses(t, reason.DeviceNotRecognized, last, uid)
	a.newcomer(t, someone())
}

// A name that a local user has is his alone, in any spelling: before and after the other was seen.
func TestForeignNameTaken(t *testing.T) {
	for _, spelling := range []string{"alice", "ALICE", "ａｌｉｃｅ", "al\u200bice"} {
		a, p, q := newAbroad(t), named("1", spelling), named("2", "bob")
		seen, other := a.newcomer(t, p), a.newcomer(t, q)
		if spelling == "alice" {
			a.batch(t)
		}
		local, err := a.service.Users.Create(t.Context(), somebody, "Alice", nil, "hash")
		if err != nil {
			t.Fatal(err)
		}
		a.refuses(t, reason.TokenUnverified, p, seen, uuid.New())
		a.passes(t, q, other)
		a.batch(t)
		if err := a.service.DeleteUser(t.Context(), somebody, local.ID); err != nil {
			t.Fatal(err)
		}
		a.passes(t, p, seen)
		a.agree(t)
	}
}

// Its own account is no other user; one that a local user has the name of waits until he is gone.
func TestForeignAccountNameTaken(t *testing.T) {
	a, p := newAbroad(t), someone()
	uid := a.newcomer(t, p)
	local, err := a.service.Users.Create(t.Context(), somebody, "DJANGO:"+p.owner[len("django:"):], nil, "hash")
	if err != nil {
		t.Fatal(err)
	}
	a.refuses(t, reason.TokenUnverified, p, uid)
	if err := a.register(t, p, uid); !errors.Is(err, device.ErrNameTaken) {
		t.Errorf("register = %v, want %v", err, device.ErrNameTaken)
	}
	a.batch(t)
	a.agree(t) // nothing is left of who was turned away
	a.refuses(t, reason.TokenUnverified, p, uid)
	if err := a.service.DeleteUser(t.Context(), somebody, local.ID); err != nil {
		t.Fatal(err)
	}
	a.passes(t, p, uid)
	a.batch(t)
	a.passes(t, p, uid)
	a.agree(t)
	if _, err := a.service.Users.Create(t.Context(), somebody, p.owner, nil, "hash"); !errors.Is(err, login.ErrUserExists) {
		t.Errorf("a local user gets the account's name: %v", err)
	}
}

// A user who was turned away, and a local one who was gone before that was known: the name is the first one's.
func TestForeignNameTakenForAMoment(t *testing.T) {
	a, p := newAbroad(t), someone()
	uid := a.newcomer(t, p)
	local, err := a.service.Users.Create(t.Context(), somebody, p.owner, nil, "hash")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.service.DeleteUser(t.Context(), somebody, local.ID); err != nil {
		t.Fatal(err)
	}
	a.batch(t)
	a.passes(t, p, uid)
	a.agree(t)
	// The name of an issuer's user keeps no other one out: the live index says so as a new one does.
	q := named("another", p.owner)
	for _, x := range []*device.Index{a.index, a.fresh(t)} {
		if _, why := x.Check(a.with(q, uuid.New())); why != reason.OK {
			t.Errorf("a token with the account's name is answered %v", why)
		}
	}
}

// A flood that was turned away leaves nothing behind that anybody has to sweep.
func TestForeignTurnedAwayLeavesNothing(t *testing.T) {
	a, p := newAbroad(t), someone()
	if _, err := a.service.Users.Create(t.Context(), somebody, "first", nil, "hash"); err != nil {
		t.Fatal(err)
	}
	want := a.index.Known()
	slots := a.index.Slots()
	for range 3 {
		uids := []uuid.UUID{a.newcomer(t, p), a.newcomer(t, p)}
		local, err := a.service.Users.Create(t.Context(), somebody, p.owner, nil, "hash")
		if err != nil {
			t.Fatal(err)
		}
		a.batch(t)
		a.refuses(t, reason.TokenUnverified, p, uids...)
		if err := a.service.DeleteUser(t.Context(), somebody, local.ID); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, a.index.Known()); diff != "" {
		t.Errorf("what is known -before +after:\n%s", diff)
	}
	if got := a.index.Slots(); got > slots+2 {
		t.Errorf("%d slots were made, want those of two devices used again", got-slots)
	}
}
