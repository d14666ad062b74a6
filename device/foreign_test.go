package device_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/identity"
	"devicegate/lockout"
	"devicegate/login"
	"devicegate/password/passwordtest"
	"devicegate/place"
	"devicegate/reason"
	"devicegate/token/foreign"
)

const (
	tokenLife = time.Hour           // of the issuer's access tokens
	stay      = 90 * 24 * time.Hour // of a foreign device
	bound     = 20                  // devices of one user that are registered at first sight
)

// abroad is a gate that takes the tokens of the issuer "django", with the service that keeps the accounts.
type abroad struct {
	*gate
	service *login.Service
	fresh   func(*testing.T) *device.Index // an index that is filled from the store anew: a restart
}

func newAbroad(t *testing.T) *abroad {
	t.Helper()
	return abroadWith(t, device.IPChange{})
}

func abroadWith(t *testing.T, change device.IPChange) *abroad {
	t.Helper()
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"))
	a := &abroad{gate: followWith(t, s, newClock(), change)}
	t.Cleanup(func() { a.stop(); _ = s.Close() })
	rules := device.ForeignRules{Keep: tokenLife, Lifetime: stay, NameKey: login.ForeignNameKey}
	a.index.AcceptForeign(rules)
	users := &login.Users{
		Store: a.reg.door, Now: a.clock.Now, Rand: rand.Reader, Activity: a.reg.Activity, EncodeHeader: func(s string) string { return s },
	}
	a.reg.Accounts = users
	a.reg.Keep = keep
	var err error
	a.service, err = login.Open(t.Context(), login.Options{
		Store: a.reg.door, Users: users, Devices: a.reg.Registry, Passwords: &passwordtest.Hasher{}, Tokens: noTokens{},
		Config: login.Config{RefreshLifetime: lifetime, RefreshGrace: time.Second, Limits: device.Limits{Hard: 200}},
		Now:    a.clock.Now, Rand: rand.Reader, Activity: a.reg.Activity, Places: noPlaces{},
		Lockout: lockout.New(lockout.Options{
			Store: a.reg.door, Now: a.clock.Now, Threshold: 1 << 20, NameThreshold: 1 << 20, BaseDelay: time.Minute, MaxDelay: time.Hour,
			Window: time.Hour, Exists: users.Exists,
		}),
		Lost: func(what string, err error) { t.Errorf("%s: %v", what, err) },
	})
	if err != nil {
		t.Fatalf("open the service: %v", err)
	}
	a.fresh = func(t *testing.T) *device.Index {
		t.Helper()
		x := device.NewIndex(keep, change)
		x.AcceptForeign(rules)
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		if err := x.Follow(ctx, s, func(err error) { t.Errorf("the feed broke: %v", err) }); err != nil {
			t.Fatalf("fill an index anew: %v", err)
		}
		return x
	}
	return a
}

// noTokens and noPlaces are what the service needs and these tests do not look at.
type noTokens struct{}

func (noTokens) Issue(device.Subject) (string, time.Duration, error) { return "access", keep, nil }

type noPlaces struct{}

func (noPlaces) Find(netip.Addr) (place.Place, bool) { return place.Place{}, false }
func (noPlaces) Ask(netip.Addr, func(place.Place))   {}

// person is a user of the issuer as his tokens say.
type person struct {
	id    uuid.UUID
	says  *identity.Foreign
	owner string
}

var persons atomic.Int64

// someone is a user whom nobody has seen yet.
func someone() person { return named(fmt.Sprint(persons.Add(1)), "") }

// named is the user of an id, whose tokens carry a name.
func named(id, name string) person {
	owner := foreign.Owner("django", id)
	if name == "" {
		name = owner
	}
	return person{foreign.UserID(owner), &identity.Foreign{
		Issuer: "django", Owner: owner, Name: name, Register: bound, Lifetime: tokenLife,
		Keys: [2]identity.NameKey{login.ForeignNameKey(name), login.ForeignNameKey(owner)},
	}, owner}
}

// with returns the use of a device by a token of p, now.
func (a *abroad) with(p person, uid uuid.UUID) device.Use {
	return device.Use{User: p.id, Device: uid, Generation: 1, From: home, At: a.clock.Now(), Foreign: p.says}
}

var home = netip.MustParseAddr("192.0.2.1")

// show is a check of p's device.
func (a *abroad) show(p person, uid uuid.UUID) reason.Reason {
	_, why := a.index.Check(a.with(p, uid))
	return why
}

func (a *abroad) passes(t *testing.T, p person, uids ...uuid.UUID) {
	t.Helper()
	for i, uid := range uids {
		if why := a.show(p, uid); why != reason.OK {
			t.Fatalf("the check of device %d answers %v, want OK", i, why)
		}
	}
}

func (a *abroad) refuses(t *testing.T, want reason.Reason, p person, uids ...uuid.UUID) {
	t.Helper()
	for i, uid := range uids {
		_, peeked := a.index.Peek(a.with(p, uid))
		if why := a.show(p, uid); why != want || peeked != want {
			t.Errorf("the check of device %d answers %v, and %v without a trace, want %v", i, why, peeked, want)
		}
	}
}

// newcomer returns a device of p that was just seen for the first time.
func (a *abroad) newcomer(t *testing.T, p person) uuid.UUID {
	t.Helper()
	uid := uuid.New()
	a.passes(t, p, uid)
	return uid
}

func (a *abroad) batch(t *testing.T) {
	t.Helper()
	if err := a.reg.StoreArrivals(t.Context()); err != nil {
		t.Fatalf("store the arrivals: %v", err)
	}
}

// forget sweeps until nothing is left to sweep.
func (a *abroad) forget(t *testing.T) {
	t.Helper()
	for range 100 {
		n, err := a.reg.Forget(t.Context(), 50)
		if err != nil {
			t.Fatalf("forget: %v", err)
		}
		if n == 0 {
			return
		}
	}
	t.Fatal("there is always something left to forget")
}

// agree demands that the index knows what one that is filled from the store knows.
func (a *abroad) agree(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(a.fresh(t).Known(), a.index.Known()); diff != "" {
		t.Errorf("what a restart would know -want +got:\n%s", diff)
	}
}

// register lets a device in for an admin.
func (a *abroad) register(t *testing.T, p person, uid uuid.UUID) error {
	t.Helper()
	_, err := a.reg.Register(t.Context(), registration(p, uid), somebody)
	return err
}

func registration(p person, uid uuid.UUID) device.Registration {
	return device.Registration{User: p.id, Device: uid, Issuer: "django", Owner: p.owner, Limit: 200}
}

// events returns what was told of a user's devices and of himself, as "kind/reason".
func (a *abroad) events(p person) []string {
	words := []string{}
	for _, e := range a.reg.told() {
		if e.User == p.id {
			words = append(words, fmt.Sprintf("%v/%s", e.Kind, e.Reason))
		}
	}
	return words
}

func TestForeignFirstSight(t *testing.T) {
	a, p := newAbroad(t), named("7", "Åse")
	p.says.Roles = []string{"staff"}
	uid := uuid.New()
	if _, why := a.index.Peek(a.with(p, uid)); why != reason.OK || len(a.index.Known().Devices) != 0 {
		t.Errorf("without a trace the answer is %v and %d devices are known, want OK and none", why, len(a.index.Known().Devices))
	}
	subject, why := a.index.Check(a.with(p, uid))
	want := device.Subject{User: p.id, Device: uid, Generation: 1, Issuer: "django", Name: "Åse", Roles: []string{"staff"}, Since: a.clock.Now()}
	if diff := cmp.Diff(want, subject); diff != "" || why != reason.OK {
		t.Fatalf("the first sight answers %v, subject (-want +got):\n%s", why, diff)
	}
	select {
	case <-a.index.Arrived():
	default:
		t.Error("nobody was told that a device waits to be stored")
	}
	if _, err := a.store.Get(t.Context(), device.DeviceRowKey(uid)); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a check has written the device (%v)", err)
	}
	seen := a.clock.Now()
	a.clock.Advance(time.Minute) // until the batch
	a.batch(t)
	rec, err := a.reg.Get(t.Context(), p.id, uid)
	if err != nil {
		t.Fatal(err)
	}
	wantRec := device.Record{
		Schema: 1, UID: uid, User: p.id, Issuer: "django", IPAddress: home.String(), LastIP: home.String(),
		CreatedAt: seen, SignedInAt: seen, LastSeen: seen, ExpiresAt: seen.Add(stay), Ordinal: 1, Generation: 1, Tokens: 1,
		CanUpdateOthers: true, CanDeleteOthers: true,
	}
	if diff := cmp.Diff(wantRec, rec); diff != "" {
		t.Errorf("the record (-want +got):\n%s", diff)
	}
	u, err := a.service.Users.ByID(t.Context(), p.id)
	if err != nil || u.Name != "django:7" || u.Issuer != "django" || len(u.Roles) != 0 || u.PasswordHash != "" || !u.MovedAt.IsZero() {
		t.Errorf("the account is %+v (%v), want one that nobody moved into yet", u, err)
	}
	a.batch(t)
	a.passes(t, p, uid)
	if diff := cmp.Diff([]string{"admin/user_created", "sign_in/first_sight"}, a.events(p)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	e := a.reg.told()[1]
	if e.Device != uid || e.NameTried != "django:7" || e.IP != home || e.Outcome != activity.Success {
		t.Errorf("the event is %+v", e)
	}
	a.agree(t)
}

// What came first is the older one, also when a clock cannot tell.
func TestForeignOrderOfSight(t *testing.T) {
	a, p := newAbroad(t), someone()
	var order []uuid.UUID
	for range bound {
		order = append(order, a.newcomer(t, p))
	}
	a.batch(t)
	for i, uid := range order {
		if rec, err := a.reg.Get(t.Context(), p.id, uid); err != nil || rec.Ordinal != uint64(i+1) {
			t.Errorf("what came as number %d has the ordinal %d (%v)", i+1, rec.Ordinal, err)
		}
	}
	a.agree(t)
}

func TestForeignFirstSightByMany(t *testing.T) {
	a, p, uid := newAbroad(t), someone(), uuid.New()
	var crowd sync.WaitGroup
	for i := range 64 {
		crowd.Go(func() {
			if why := a.show(p, uid); why != reason.OK {
				t.Errorf("one of many checks answers %v", why)
			}
			if i%8 == 0 {
				if err := a.reg.StoreArrivals(t.Context()); err != nil {
					t.Errorf("store the arrivals: %v", err)
				}
			}
		})
	}
	crowd.Wait()
	a.batch(t)
	if live := a.live(t, p.id); len(live) != 1 {
		t.Errorf("there are the devices %v, want one", live)
	}
	if diff := cmp.Diff([]string{"admin/user_created", "sign_in/first_sight"}, a.events(p)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	a.agree(t)
}

// Who may sign device claims must not fill the store with them: pending ones count like stored ones.
func TestForeignBound(t *testing.T) {
	a, p := newAbroad(t), someone()
	var passed atomic.Int64
	var crowd sync.WaitGroup
	for i := range 10 * bound {
		crowd.Go(func() {
			switch why := a.show(p, uuid.New()); why {
			case reason.OK:
				passed.Add(1)
			case reason.DeviceNotRecognized:
			default:
				t.Errorf("one of a flood is answered %v", why)
			}
			if i%50 == 0 {
				if err := a.reg.StoreArrivals(t.Context()); err != nil {
					t.Errorf("store the arrivals: %v", err)
				}
			}
		})
	}
	crowd.Wait()
	if n := passed.Load(); n != bound {
		t.Errorf("%d of a flood passed, want %d", n, bound)
	}
	a.refuses(t, reason.DeviceNotRecognized, p, uuid.New())
	a.batch(t)
	a.refuses(t, reason.DeviceNotRecognized, p, uuid.New())
	if live := a.live(t, p.id); len(live) != bound {
		t.Errorf("%d devices are stored, want %d", len(live), bound)
	}
	a.passes(t, someone(), uuid.New()) // others are not held
	a.batch(t)
	a.agree(t)
}

// The idle one gives way: only when no token that it was used with can live, and not for good.
func TestForeignGivesWay(t *testing.T) {
	a, p := newAbroad(t), someone()
	var devices []uuid.UUID
	for range bound {
		devices = append(devices, a.newcomer(t, p))
		a.clock.Advance(time.Millisecond)
	}
	a.batch(t)
	idle, next := devices[3], uuid.New()
	a.clock.Advance(time.Minute)
	for _, uid := range devices {
		if uid != idle {
			a.passes(t, p, uid)
		}
	}
	lastUse := lastSeen(a.gate, idle)
	a.clock.Advance(tokenLife - a.clock.Now().Sub(lastUse))
	a.refuses(t, reason.DeviceNotRecognized, p, next)
	a.clock.Advance(time.Millisecond)
	a.passes(t, p, next)
	a.refuses(t, reason.DeviceNotRecognized, p, idle, uuid.New())
	a.batch(t)
	a.agree(t)
	a.refuses(t, reason.DeviceNotRecognized, p, idle)
	if got := endedAs(a.reg.told(), device.Replaced); len(got) != 1 || got[idle] != 1 {
		t.Errorf("what gave way, as events tell: %v, want %v once", got, idle)
	}
	a.clock.Advance(tokenLife + time.Minute)
	a.passes(t, p, next, idle) // another one is idle by now
	a.batch(t)
	if live := a.live(t, p.id); len(live) != bound {
		t.Errorf("%d devices live, want %d", len(live), bound)
	}
	a.agree(t)
}

// Where an admin has let more in than may come by themselves, one goes for one that comes.
func TestForeignBoundAndAdmins(t *testing.T) {
	a, p := newAbroad(t), someone()
	for range bound + 3 {
		if err := a.register(t, p, uuid.New()); err != nil {
			t.Fatalf("register: %v", err)
		}
	}
	a.refuses(t, reason.DeviceNotRecognized, p, uuid.New())
	a.clock.Advance(tokenLife + time.Millisecond)
	a.newcomer(t, p)
	a.batch(t)
	if live := a.live(t, p.id); len(live) != bound+3 {
		t.Errorf("%d devices live, want %d", len(live), bound+3)
	}
	a.agree(t)
}

// Who may not be registered is not: a token says so, or the index is not to be trusted.
func TestForeignNotRegistered(t *testing.T) {
	a, p := newAbroad(t), someone()
	p.says.Register = 0
	uid := uuid.New()
	a.refuses(t, reason.DeviceNotRecognized, p, uid)
	if err := a.register(t, p, uid); err != nil {
		t.Fatalf("register: %v", err)
	}
	a.passes(t, p, uid)
	a.refuses(t, reason.DeviceNotRecognized, p, uuid.New())
	// Of somebody else it is not there, and cannot be taken over.
	q := someone()
	a.refuses(t, reason.DeviceNotRecognized, q, uid)
	if err := a.register(t, q, uid); !errors.Is(err, device.ErrOfAnother) {
		t.Errorf("registering another's device = %v, want %v", err, device.ErrOfAnother)
	}
	a.agree(t)
	a.stop()
	device.Settled(t.Context(), a.index)
	a.refuses(t, reason.StoreUnavailable, someone(), uuid.New())
}

// A process that ends before the batch has lost nothing that anybody cannot do again.
func TestForeignCrashBeforeBatch(t *testing.T) {
	a, p := newAbroad(t), someone()
	uid := a.newcomer(t, p)
	x := a.fresh(t)
	if n := len(x.Known().Devices) + len(x.Known().Users); n != 0 {
		t.Fatalf("a restart before the batch knows %d devices and users", n)
	}
	a.index = x
	a.reg.Index = x
	a.passes(t, p, uid)
	a.batch(t)
	if live := a.live(t, p.id); len(live) != 1 {
		t.Errorf("there are the devices %v, want one", live)
	}
	a.agree(t)
}

// Its time running out is no end that anybody wished: it may come again.
func TestForeignExpiryIsNoMark(t *testing.T) {
	for name, over := range map[string]func(*testing.T, *abroad, person){
		"max_lifetime": func(_ *testing.T, a *abroad, _ person) { a.clock.Advance(stay) },
		"swept by an admin": func(t *testing.T, a *abroad, p person) {
			a.clock.Advance(time.Hour)
			if n, err := a.reg.Sweep(t.Context(), p.id, a.clock.Now(), false); n != 1 || err != nil {
				t.Fatalf("sweep = %d, %v", n, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, p := newAbroad(t), someone()
			uid := a.newcomer(t, p)
			a.batch(t)
			over(t, a, p)
			a.refuses(t, reason.DeviceNotRecognized, p, uid)
			a.forget(t)
			a.clock.Advance(tokenLife + time.Second)
			a.forget(t)
			a.agree(t)
			a.passes(t, p, uid)
			a.batch(t)
			a.agree(t)
		})
	}
}
