package device_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/device"
	"devicegate/reason"
)

// What was not committed never reaches the index; what was committed does, even if its answer was lost.
func TestOnlyCommitsFeedTheIndex(t *testing.T) {
	for _, c := range []struct {
		name    string
		fault   error
		applied bool
		want    reason.Reason
	}{
		{"refused", db.ErrUnavailable, false, reason.OK},
		{"unknown and lost", db.ErrUnknown, false, reason.OK},
		{"unknown and kept", db.ErrUnknown, true, reason.DeviceNotRecognized},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := dbtest.NewFaulty(dbtest.New(t))
			g := follow(t, store, newClock())
			defer g.stop()
			rec := g.add(t, g.user(t))
			store.FailCommits(c.fault, c.applied)
			if err := g.reg.End(t.Context(), rec.User, rec.UID, device.Logout); !errors.Is(err, c.fault) {
				t.Errorf("End = %v, want %v", err, c.fault)
			}
			g.want(t, rec, c.want)
		})
	}
}

func TestConflictReachesNothing(t *testing.T) {
	g := newGate(t)
	rec := g.add(t, g.user(t))
	_, _, err := g.reg.Add(t.Context(), newDevice(uuid.New(), rec.User), device.Limit{Count: 1},
		db.Txn{If: []db.Condition{{Key: device.UserRowKey(rec.User), Revision: 99}}})
	if !errors.Is(err, db.ErrConflict) {
		t.Fatalf("Add = %v, want ErrConflict", err)
	}
	g.want(t, rec, reason.OK)
	if got := g.index.Live(g.clock.Now()); got != 1 {
		t.Errorf("%d live devices, want 1", got)
	}
}

// broken follows store with a callback that hands the cause over.
func broken(t *testing.T, store db.Store) (*gate, <-chan error) {
	t.Helper()
	c, cause := newClock(), make(chan error, 9)
	x := device.NewIndex(keep, device.IPChange{})
	if err := x.Follow(t.Context(), store, func(err error) { cause <- err }); err != nil {
		t.Fatalf("follow: %v", err)
	}
	return &gate{store, x, registry(store, x, c), c, nil}, cause
}

// wantDistrust checks that nothing is answered and nothing is decided on the index any more.
func wantDistrust(t *testing.T, g *gate, rec device.Record) {
	t.Helper()
	g.want(t, rec, reason.StoreUnavailable)
	for name, call := range map[string]func() error{
		"Add": func() error {
			_, _, err := g.reg.Add(t.Context(), newDevice(uuid.New(), rec.User), device.Limit{Count: 1}, db.Txn{})
			return err
		},
		"List":   func() error { _, err := g.reg.List(t.Context(), rec.User); return err },
		"Get":    func() error { _, err := g.reg.Get(t.Context(), rec.User, rec.UID); return err },
		"End":    func() error { return g.reg.End(t.Context(), rec.User, rec.UID, device.Logout) },
		"Forget": func() error { _, err := g.reg.Forget(t.Context(), 10); return err },
		"Update": func() error {
			_, err := g.reg.Update(t.Context(), rec.User, rec.UID, func(*device.Record) error { return nil })
			return err
		},
	} {
		if err := call(); !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("%s = %v, want ErrUnavailable", name, err)
		}
	}
}

func TestBrokenFeed(t *testing.T) {
	store := dbtest.NewFaulty(dbtest.New(t))
	g, cause := broken(t, store)
	rec := g.add(t, g.user(t))
	why := errors.New("the watch was lost")
	store.BreakFeeds(why)
	if got := <-cause; !errors.Is(got, why) {
		t.Errorf("failed was told %v, want %v", got, why)
	}
	wantDistrust(t, g, rec)
	dbtest.MustPut(t, store, "x", "y") // the store itself still works: the distrust is for good
	wantDistrust(t, g, rec)
}

func TestClosedStore(t *testing.T) {
	store := dbtest.New(t)
	g, cause := broken(t, store)
	rec := g.add(t, g.user(t))
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-cause; !errors.Is(got, db.ErrUnavailable) {
		t.Errorf("failed was told %v, want ErrUnavailable", got)
	}
	g.want(t, rec, reason.StoreUnavailable)
}

// An index that nobody keeps in step answers nothing, although nothing failed.
func TestEndOfTheContext(t *testing.T) {
	store := dbtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	x := device.NewIndex(keep, device.IPChange{})
	if err := x.Follow(ctx, store, func(err error) { t.Errorf("failed was told %v", err) }); err != nil {
		t.Fatal(err)
	}
	cancel()
	soon, done := context.WithTimeout(t.Context(), 10*time.Second) // only a failure takes so long
	defer done()
	device.Settled(soon, x)
	if got := x.State(); got != reason.StoreUnavailable {
		t.Errorf("State = %v, want store_unavailable", got)
	}
}

// A row that cannot be read means that nobody knows who may pass.
func TestUnreadableRow(t *testing.T) {
	for name, key := range map[string]string{
		"device": device.DeviceRowKey(uuid.New()),
		"user":   device.UserRowKey(uuid.New()),
	} {
		t.Run(name, func(t *testing.T) {
			store := dbtest.New(t)
			g, cause := broken(t, store)
			rec := g.add(t, g.user(t))
			g.commit(t, db.Put(key, []byte("nonsense")), db.Put(key+"x", []byte("of no family")))
			wantDistrust(t, g, rec)
			if err := <-cause; err == nil {
				t.Error("failed was told nil")
			}
			g.commit(t, db.Delete(key))
			wantDistrust(t, g, rec)
			if len(cause) != 0 {
				t.Errorf("failed was told once more: %v", <-cause)
			}
		})
		t.Run(name+" at the start", func(t *testing.T) {
			store := dbtest.New(t)
			dbtest.MustPut(t, store, key, "nonsense")
			x := device.NewIndex(keep, device.IPChange{})
			if err := x.Follow(t.Context(), store, func(error) {}); err == nil {
				t.Error("Follow = nil, want an error")
			}
			if x.State() == reason.OK {
				t.Error("the index answers")
			}
		})
	}
}

// replaying gives the index a bad row while Follow is under way: between the list and the feed.
type replaying struct{ db.Store }

func (r replaying) Watch(ctx context.Context, after db.Revision, apply func(db.Batch)) (<-chan error, error) {
	apply(db.Batch{Revision: after + 1, Writes: []db.Write{db.Put(device.UserRowKey(uuid.New()), nil)}})
	return r.Store.Watch(ctx, after, apply)
}

func TestUnreadableRowWhileFilling(t *testing.T) {
	g, cause := broken(t, replaying{dbtest.New(t)})
	if err := <-cause; err == nil {
		t.Error("failed was told nil")
	}
	if got := g.index.State(); got != reason.StoreUnavailable {
		t.Errorf("State = %v, want store_unavailable", got)
	}
}

// An index that is still filling lacks users: a sweep on it would take every device for forgotten.
func TestNoSweepBeforeFilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := mustOpen(t, path)
	defer s.Close()
	x := device.NewIndex(keep, device.IPChange{})
	reg := registry(s, x, newClock())
	if n, err := reg.Forget(t.Context(), 10); n != 0 || !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("Forget = %d, %v, want 0, ErrUnavailable", n, err)
	}
}

// held is a store whose feed can be stopped: a commit can be read before the index has it.
type held struct {
	db.Store
	hold   chan chan struct{} // each takes one batch and gives it on when closed
	ranged func()
}

func (h *held) Watch(ctx context.Context, after db.Revision, apply func(db.Batch)) (<-chan error, error) {
	return h.Store.Watch(ctx, after, func(b db.Batch) {
		select {
		case release := <-h.hold:
			<-release
		default:
		}
		apply(b)
	})
}

func (h *held) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	entries, at, err := h.Store.Range(ctx, from, to, limit)
	if h.ranged != nil {
		h.ranged()
	}
	return entries, at, err
}

// A device that is in the store a moment before the index knows it must be counted all the same.
func TestNothingIsDecidedAheadOfTheIndex(t *testing.T) {
	store := &held{Store: dbtest.New(t), hold: make(chan chan struct{}, 1)}
	g := follow(t, store, newClock())
	defer g.stop()
	user := g.user(t)
	release, added := make(chan struct{}), make(chan struct{})
	store.hold <- release
	uid := uuid.New()
	go func() {
		defer close(added)
		_, _, err := g.reg.Add(context.Background(), newDevice(uid, user), device.Limit{Count: 1}, db.Txn{})
		if err != nil {
			t.Errorf("Add = %v", err)
		}
	}()
	for { // until the device can be read
		if _, err := store.Get(t.Context(), device.DeviceRowKey(uid)); err == nil {
			break
		}
	}
	for name, call := range map[string]func(context.Context) error{
		"List": func(ctx context.Context) error { _, err := g.reg.List(ctx, user); return err },
		"Get":  func(ctx context.Context) error { _, err := g.reg.Get(ctx, user, uid); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		store.ranged = cancel
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s did not wait for the index: %v", name, err)
		}
	}
	store.ranged = nil
	close(release)
	<-added
	if got := g.live(t, user); len(got) != 1 {
		t.Errorf("live devices: %v, want one", got)
	}
}
