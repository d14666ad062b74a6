package device_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// turn is one of those who do something with a user's devices at the same moment.
type turn func(ctx context.Context, a *abroad, p person, uid uuid.UUID) error

// endTurns are turns whose success is the acknowledgement of an end.
var endTurns = map[string]turn{
	"DELETE": func(ctx context.Context, a *abroad, p person, uid uuid.UUID) error {
		return a.service.EndDevice(ctx, somebody, p.id, uid)
	},
	"logout": func(ctx context.Context, a *abroad, p person, uid uuid.UUID) error {
		return a.reg.EndTokens(ctx, p.id, uid, 1, device.Logout)
	},
	"revoke all": func(ctx context.Context, a *abroad, p person, _ uuid.UUID) error {
		_, err := a.service.EndAll(ctx, somebody, p.id)
		return err
	},
	"disable and enable": func(ctx context.Context, a *abroad, p person, _ uuid.UUID) error {
		if _, err := a.service.UpdateUser(ctx, somebody, p.id, login.Update{Disabled: &yes}); err != nil {
			return err
		}
		_, err := a.service.UpdateUser(ctx, somebody, p.id, login.Update{Disabled: &no})
		return err
	},
	"delete the user": func(ctx context.Context, a *abroad, p person, _ uuid.UUID) error {
		return a.service.DeleteUser(ctx, somebody, p.id)
	},
}

var otherTurns = map[string]turn{
	"check": func(_ context.Context, a *abroad, p person, uid uuid.UUID) error {
		a.show(p, uid)
		return nil
	},
	"another": func(_ context.Context, a *abroad, p person, _ uuid.UUID) error {
		a.show(p, uuid.New())
		return nil
	},
	"batch": func(ctx context.Context, a *abroad, _ person, _ uuid.UUID) error { return a.reg.StoreArrivals(ctx) },
	"PUT": func(ctx context.Context, a *abroad, p person, uid uuid.UUID) error {
		_, err := a.reg.Register(ctx, registration(p, uid), somebody)
		return err
	},
	"PUT another": func(ctx context.Context, a *abroad, p person, _ uuid.UUID) error {
		_, err := a.reg.Register(ctx, registration(p, uuid.New()), somebody)
		return err
	},
	"sweep": func(ctx context.Context, a *abroad, _ person, _ uuid.UUID) error {
		_, err := a.reg.Forget(ctx, 50)
		return err
	},
}

// fine are the answers to somebody who was not the first.
var fine = []error{nil, device.ErrNotFound, device.ErrEndedForGood, device.ErrCallerGone, login.ErrNoUser}

// at once lets turns begin together, and returns their answers.
func (a *abroad) atOnce(t *testing.T, p person, uid uuid.UUID, turns ...turn) []error {
	t.Helper()
	answers := make([]error, len(turns))
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i, act := range turns {
		all.Go(func() {
			<-begin
			answers[i] = act(t.Context(), a, p, uid)
		})
	}
	close(begin)
	all.Wait()
	for _, err := range answers {
		if !slices.ContainsFunc(fine, func(f error) bool { return errors.Is(err, f) }) {
			t.Errorf("one of them is answered %v", err)
		}
	}
	return answers
}

// A device that passed and was then ended, with an acknowledgement, never passes again, whatever happened beside it.
func TestForeignRaces(t *testing.T) {
	turns := maps.Clone(otherTurns)
	maps.Copy(turns, endTurns)
	for _, end := range slices.Sorted(maps.Keys(endTurns)) {
		a := newAbroad(t)
		for _, beside := range slices.Sorted(maps.Keys(turns)) {
			for _, stored := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s beside %s, stored: %v", end, beside, stored), func(t *testing.T) {
					for range rounds {
						a.race(t, end, turns[beside], stored)
					}
					a.batch(t)
					a.agree(t)
				})
			}
		}
	}
}

const rounds = 2

func (a *abroad) race(t *testing.T, end string, beside turn, stored bool) {
	t.Helper()
	p := someone()
	a.newcomer(t, p) // an account to act on
	a.batch(t)
	uid := a.newcomer(t, p)
	if stored {
		a.batch(t)
	}
	answers := a.atOnce(t, p, uid, endTurns[end], beside, otherTurns["batch"], otherTurns["another"])
	if answers[0] == nil { // else the other one came first, and is this one in another of the races
		a.neverAgain(t, p, uid)
	}
}

// neverAgain demands that a device does not pass now, after the batch, the sweep and a restart.
func (a *abroad) neverAgain(t *testing.T, p person, uid uuid.UUID) {
	t.Helper()
	for _, when := range []string{"at once", "after the batch", "after a sweep", "after the user came back"} {
		if why := a.show(p, uid); why == reason.OK {
			t.Errorf("%s a device passes that was ended", when)
		}
		switch when {
		case "at once":
			a.batch(t)
		case "after the batch":
			a.forget(t)
		case "after a sweep":
			a.show(p, uuid.New())
			a.batch(t)
		}
	}
	if err := a.register(t, p, uid); err == nil {
		t.Error("an admin registers a device that was ended")
	}
}

// All at once, on devices that nobody knows: whoever passed and does not any more never will, and what is stored is
// what is known.
func TestForeignCrowd(t *testing.T) {
	a := newAbroad(t)
	var turns []turn
	for _, name := range slices.Sorted(maps.Keys(endTurns)) {
		turns = append(turns, endTurns[name])
	}
	for _, name := range slices.Sorted(maps.Keys(otherTurns)) {
		turns = append(turns, otherTurns[name])
	}
	for range 10 * rounds {
		p, uid := someone(), uuid.New()
		a.atOnce(t, p, uid, turns...)
		passed := a.show(p, uid) == reason.OK
		a.batch(t)
		if passed {
			a.passes(t, p, uid)
		} else if _, there := a.index.Known().Devices[uid]; there {
			a.neverAgain(t, p, uid)
		}
		a.forget(t)
		a.agree(t)
	}
}

// The same on a store whose answers get lost: a device is stored once, and what was acknowledged stays.
func TestForeignCrowdAndLostAnswers(t *testing.T) {
	a := newAbroad(t)
	a.reg.through(&forgetful{Store: a.store})
	for range 5 * rounds {
		p, uid := someone(), uuid.New()
		a.show(p, uid)
		var crowd sync.WaitGroup
		for range 4 {
			crowd.Go(func() {
				_ = a.reg.StoreArrivals(t.Context()) // tried again below
				a.show(p, uuid.New())
			})
		}
		crowd.Wait()
		ended := a.service.EndDevice(t.Context(), somebody, p.id, uid)
		for a.reg.StoreArrivals(t.Context()) != nil { // until no answer is lost
		}
		if ended == nil {
			a.refuses(t, reason.DeviceNotRecognized, p, uid)
		}
		a.agree(t)
	}
}

// forgetful is a store that loses the answer of every other commit.
type forgetful struct {
	db.Store
	mu sync.Mutex
	n  int
}

func (f *forgetful) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	at, err := f.Store.Commit(ctx, txn)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n++; err == nil && f.n%2 == 0 {
		return 0, fmt.Errorf("lost: %w", db.ErrUnknown)
	}
	return at, err
}
