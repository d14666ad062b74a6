package device_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// between is a store that lets something happen just before one of its calls, once.
type between struct {
	db.Store
	commit func(db.Txn) bool
	get    func(key string) bool
	once   sync.Once
	happen func()
}

func (b *between) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if b.commit != nil && b.commit(txn) {
		b.once.Do(b.happen)
	}
	return b.Store.Commit(ctx, txn)
}

func (b *between) Get(ctx context.Context, key string) (db.Entry, error) {
	if b.get != nil && b.get(key) {
		b.once.Do(b.happen)
	}
	return b.Store.Get(ctx, key)
}

// writes is a commit that writes a key.
func writes(key string) func(db.Txn) bool {
	return func(txn db.Txn) bool {
		return slices.ContainsFunc(txn.Writes, func(w db.Write) bool { return w.Key == key })
	}
}

// reads is a Get of a key that begins so.
func reads(prefix string) func(string) bool {
	return func(key string) bool { return strings.HasPrefix(key, prefix) }
}

// A device that is seen for the first time while everything of its user is about to end, after what is to end was
// read: it passed, so it has ended with the rest, and its batch must not bring it back.
func TestForeignSeenWhileAllEnd(t *testing.T) {
	for name, end := range endings {
		if !end.all {
			continue
		}
		t.Run(name, func(t *testing.T) {
			a, p := newAbroad(t), someone()
			other := a.newcomer(t, p)
			a.batch(t)
			uid := uuid.New()
			a.reg.through(&between{Store: a.store, commit: writes(device.UserRowKey(p.id)), happen: func() { a.passes(t, p, uid) }})
			if err := end.by(t, a, p, uid, other); err != nil {
				t.Fatalf("end: %v", err)
			}
			a.reg.through(a.store)
			if why := a.show(p, uid); why == reason.OK {
				t.Error("after the end it passes")
			}
			a.staysGone(t, p, end, uid, other)
		})
	}
}

// As before, and somebody takes the name of the removed user before the batch.
func TestForeignNameGoesBeforeTheMark(t *testing.T) {
	a, p := newAbroad(t), someone()
	other := a.newcomer(t, p)
	a.batch(t)
	uid := uuid.New()
	a.reg.through(&between{Store: a.store, commit: writes(device.UserRowKey(p.id)), happen: func() { a.passes(t, p, uid) }})
	if err := a.service.DeleteUser(t.Context(), somebody, p.id); err != nil {
		t.Fatal(err)
	}
	a.reg.through(a.store)
	local, err := a.service.Users.Create(t.Context(), somebody, p.owner, nil, "hash")
	if err != nil {
		t.Fatal(err)
	}
	a.batch(t)
	if err := a.service.DeleteUser(t.Context(), somebody, local.ID); err != nil {
		t.Fatal(err)
	}
	a.staysGone(t, p, ending{}, uid, other)
}

// What gave way in the index to a device that ended before its batch has ended as well.
func TestForeignGaveWayAndAllEnds(t *testing.T) {
	for name, end := range endings {
		if !end.all {
			continue
		}
		t.Run(name, func(t *testing.T) {
			a, p := newAbroad(t), someone()
			var gone []uuid.UUID
			for range bound {
				gone = append(gone, a.newcomer(t, p))
			}
			a.batch(t)
			a.clock.Advance(2 * tokenLife)
			uid := uuid.New()
			gone = append(gone, uid)
			a.reg.through(&between{Store: a.store, commit: writes(device.UserRowKey(p.id)), happen: func() { a.passes(t, p, uid) }})
			if err := end.by(t, a, p, uid, gone[0]); err != nil {
				t.Fatalf("end: %v", err)
			}
			a.reg.through(a.store)
			a.batch(t)
			if name == "user deleted" {
				next := uuid.New()
				if err := a.register(t, p, next); err != nil {
					t.Fatalf("register: %v", err)
				}
				if err := a.reg.End(t.Context(), p.id, next, device.RevokedByAdmin); err != nil {
					t.Fatal(err)
				}
			}
			a.staysGone(t, p, end, gone...)
		})
	}
}

// DELETE is acknowledged while the device's batch is under way.
func TestForeignEndedWhileStored(t *testing.T) {
	for name, end := range endings {
		if name == "change of address" {
			continue // it has no caller who waits
		}
		t.Run(name, func(t *testing.T) {
			a, p := newAbroad(t), someone()
			other := a.newcomer(t, p)
			a.batch(t)
			uid := a.newcomer(t, p)
			ended := make(chan error, 1)
			a.reg.through(&between{Store: a.store, commit: writes(device.DeviceRowKey(uid)), happen: func() {
				// It reads the device after this batch, or it waits for it.
				go func() { ended <- end.by(t, a, p, uid, other) }()
			}})
			a.batch(t)
			if err := <-ended; err != nil {
				t.Fatalf("end: %v", err)
			}
			a.reg.through(a.store)
			a.staysGone(t, p, end, uid)
		})
	}
}

// A user is removed while an admin registers a device of his, at every read of it.
func TestForeignRemovedWhileRegistered(t *testing.T) {
	for name, at := range map[string]func(person, uuid.UUID) *between{
		"list":    func(p person, _ uuid.UUID) *between { return &between{get: reads(device.ListKey(p.id))} },
		"device":  func(_ person, uid uuid.UUID) *between { return &between{get: reads(device.DeviceRowKey(uid))} },
		"account": func(p person, _ uuid.UUID) *between { return &between{get: reads("u/" + p.id.String())} },
		"row":     func(p person, _ uuid.UUID) *between { return &between{get: reads(device.UserRowKey(p.id))} },
		"commit":  func(_ person, uid uuid.UUID) *between { return &between{commit: writes(device.DeviceRowKey(uid))} },
	} {
		t.Run(name, func(t *testing.T) {
			a, p := newAbroad(t), someone()
			old, next := a.newcomer(t, p), uuid.New()
			a.batch(t)
			b, deleted := at(p, next), false
			b.Store, b.happen = a.store, func() {
				deleted = true
				a.reg.through(a.store)
				if err := a.service.DeleteUser(t.Context(), somebody, p.id); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
			a.reg.through(b)
			if err := a.register(t, p, next); err != nil || !deleted {
				t.Fatalf("register: %v, deleted meanwhile: %v", err, deleted)
			}
			a.staysGone(t, p, ending{}, old)
		})
	}
}

// lagging is a store whose feed can be held: commits are there to be read, and the index does not know them yet.
type lagging struct {
	db.Store
	held sync.Mutex
}

func (l *lagging) Watch(ctx context.Context, after db.Revision, apply func(db.Batch)) (<-chan error, error) {
	return l.Store.Watch(ctx, after, func(b db.Batch) {
		l.held.Lock()
		defer l.held.Unlock()
		apply(b)
	})
}

// patient is a store that waits for no caller.
type patient struct{ *between }

func (p patient) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	return p.between.Commit(context.WithoutCancel(ctx), txn)
}

func (p patient) Get(ctx context.Context, key string) (db.Entry, error) {
	return p.between.Get(context.WithoutCancel(ctx), key)
}

func (p patient) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	return p.between.Range(context.WithoutCancel(ctx), from, to, limit)
}

// A user was removed and the index does not know it yet: an admin who registers a device of his waits for it, or
// gives up.
func TestForeignRemovedAMomentAgo(t *testing.T) {
	a, p := newAbroad(t), someone()
	feed := &lagging{Store: a.store}
	x := device.NewIndex(keep, device.IPChange{})
	x.AcceptForeign(device.ForeignRules{Keep: tokenLife, Lifetime: stay, NameKey: login.ForeignNameKey})
	if err := x.Follow(t.Context(), feed, func(err error) { t.Errorf("the feed broke: %v", err) }); err != nil {
		t.Fatal(err)
	}
	a.index, a.reg.Index = x, x
	old := a.newcomer(t, p)
	a.batch(t)
	ctx, giveUp := context.WithCancel(t.Context())
	deleted := make(chan error, 1)
	var goOn sync.Once
	release := func() { goOn.Do(feed.held.Unlock) }
	a.reg.through(patient{&between{Store: a.store,
		get: reads("u/" + p.id.String()), happen: func() {
			feed.held.Lock()
			a.reg.through(a.store)
			go func() { deleted <- a.service.DeleteUser(context.WithoutCancel(ctx), somebody, p.id) }()
			for gone := false; !gone; {
				_, err := a.store.Get(t.Context(), "u/"+p.id.String())
				gone = errors.Is(err, db.ErrNotFound)
			}
			a.reg.through(patient{&between{Store: a.store, commit: func(db.Txn) bool { return true }, happen: release}})
			giveUp()
		}}})
	_, err := a.reg.Register(ctx, registration(p, uuid.New()), somebody)
	release()
	if err == nil {
		t.Error("the device is registered beside those of a user who was removed")
	}
	if err := <-deleted; err != nil {
		t.Fatal(err)
	}
	a.staysGone(t, p, ending{}, old)
}

// A device came, everything ended, and an admin who was about to register it is told so.
func TestForeignEndedWhileRegistered(t *testing.T) {
	a, p := newAbroad(t), someone()
	a.newcomer(t, p)
	a.batch(t)
	uid := uuid.New()
	a.reg.through(&between{Store: a.store, get: reads("u/" + p.id.String()), happen: func() {
		a.reg.through(&between{Store: a.store, commit: writes(device.UserRowKey(p.id)), happen: func() { a.passes(t, p, uid) }})
		if _, err := a.service.UpdateUser(t.Context(), somebody, p.id, login.Update{Password: &password}); err != nil {
			t.Errorf("new password: %v", err)
		}
	}})
	if err := a.register(t, p, uid); !errors.Is(err, device.ErrEndedForGood) {
		t.Errorf("register = %v, want %v", err, device.ErrEndedForGood)
	}
	a.staysGone(t, p, ending{}, uid)
}

// An admin registers what a check has just let in: there is one device, and what gave way to it is gone.
func TestForeignRegisteredTwice(t *testing.T) {
	a, p := newAbroad(t), someone()
	for range bound {
		a.newcomer(t, p)
	}
	a.batch(t)
	a.clock.Advance(2 * tokenLife)
	uid := uuid.New()
	a.reg.through(&between{Store: a.store, commit: writes(device.DeviceRowKey(uid)), happen: func() { a.passes(t, p, uid) }})
	if err := a.register(t, p, uid); err != nil {
		t.Fatalf("register: %v", err)
	}
	a.reg.through(a.store)
	a.batch(t)
	if live := a.live(t, p.id); len(live) != bound {
		t.Errorf("%d devices live, want %d", len(live), bound)
	}
	a.passes(t, p, uid)
	a.agree(t)
}

// A device that two users' tokens name is the first one's in the store.
func TestForeignOfTwoUsers(t *testing.T) {
	a, p, q := newAbroad(t), someone(), someone()
	uid := uuid.New()
	a.reg.through(&between{Store: a.store, commit: writes(device.DeviceRowKey(uid)), happen: func() { a.passes(t, p, uid) }})
	if err := a.register(t, q, uid); err != nil {
		t.Fatalf("register: %v", err)
	}
	a.reg.through(a.store)
	a.batch(t)
	a.passes(t, q, uid)
	a.refuses(t, reason.DeviceNotRecognized, p, uid)
	a.agree(t)
	a.newcomer(t, p)
	a.batch(t)
	a.agree(t)
}

// One comes between the count of an admin's registration and its commit.
func TestForeignLimitWhileRegistered(t *testing.T) {
	a, p := newAbroad(t), someone()
	n := registration(p, uuid.New())
	n.Limit = 1
	a.reg.through(&between{Store: a.store, get: reads(device.DeviceRowKey(n.Device)), happen: func() {
		if err := a.register(t, p, uuid.New()); err != nil {
			t.Errorf("register: %v", err)
		}
	}})
	if _, err := a.reg.Register(t.Context(), n, somebody); !errors.Is(err, device.ErrMaxDevices) {
		t.Errorf("register = %v, want %v", err, device.ErrMaxDevices)
	}
	a.agree(t)
}

// Admins who register at the same moment do not get round the limit.
func TestForeignLimitOfAdmins(t *testing.T) {
	a, p := newAbroad(t), someone()
	n := registration(p, uuid.New())
	n.Limit = 3
	var crowd sync.WaitGroup
	for range 12 {
		crowd.Go(func() {
			n := n
			n.Device = uuid.New()
			if _, err := a.reg.Register(t.Context(), n, somebody); err != nil && !errors.Is(err, device.ErrMaxDevices) {
				t.Errorf("register: %v", err)
			}
		})
	}
	crowd.Wait()
	if live := a.live(t, p.id); len(live) != 3 {
		t.Errorf("%d devices live, want 3", len(live))
	}
	a.agree(t)
}

// full returns a user with as many devices as he may have, of which the first alone is idle.
func (a *abroad) full(t *testing.T, p person) (idle uuid.UUID) {
	t.Helper()
	idle = a.newcomer(t, p)
	rest := make([]uuid.UUID, bound-1)
	for i := range rest {
		rest[i] = a.newcomer(t, p)
	}
	a.batch(t)
	a.clock.Advance(2 * tokenLife)
	for _, uid := range rest {
		a.passes(t, p, uid)
	}
	return idle
}

// A device gives way to one that then turns out to be somebody else's: it is back, as it was.
func TestForeignGaveWayToNobody(t *testing.T) {
	a, p, q := newAbroad(t), someone(), someone()
	a.newcomer(t, q)
	old, uid := a.full(t, p), uuid.New()
	a.passes(t, p, uid) // old gives way in memory
	if err := a.register(t, q, uid); err != nil {
		t.Fatal(err)
	}
	a.batch(t)
	a.passes(t, p, old)
	a.agree(t)
}

// The same, but that the device ended meanwhile for good, by an end that was on its way: it stays so.
func TestForeignGaveWayAndEnded(t *testing.T) {
	a, p, q := newAbroad(t), someone(), someone()
	a.newcomer(t, q)
	old, uid := a.full(t, p), uuid.New()
	b := &between{Store: a.store, commit: writes(device.DeviceRowKey(old))}
	b.happen = func() { a.passes(t, p, uid) }
	a.reg.through(b)
	if err := a.reg.End(t.Context(), p.id, old, device.Replaced); err != nil {
		t.Fatal(err)
	}
	a.reg.through(a.store)
	if err := a.register(t, q, uid); err != nil {
		t.Fatal(err)
	}
	a.batch(t)
	if why := a.show(p, old); why == reason.OK {
		t.Error("a device whose end was acknowledged passes")
	}
	a.agree(t)
}
