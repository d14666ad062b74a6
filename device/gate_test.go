package device_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/device"
	"devicegate/reason"
)

const (
	keep     = 15 * time.Minute
	lifetime = 30 * 24 * time.Hour
)

// clock stands still until it is moved.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// tb is what *testing.T and *rapid.T have in common and the helpers need.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// gate is a registry with its index on a real store.
type gate struct {
	store db.Store
	index *device.Index
	reg   *recorded
	clock *clock
	stop  func() // ends the feed, as a service does before it closes the store
}

// mustOpen opens the store at path without following it.
func mustOpen(t tb, path string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	return s
}

// follow returns a gate on store, with its index filled.
func follow(t tb, store db.Store, c *clock) *gate {
	t.Helper()
	return followWith(t, store, c, device.IPChange{})
}

func followWith(t tb, store db.Store, c *clock, change device.IPChange) *gate {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	x := device.NewIndex(keep, change)
	if err := x.Follow(ctx, store, func(err error) { t.Errorf("the feed broke: %v", err) }); err != nil {
		t.Fatalf("follow the store: %v", err)
	}
	return &gate{store, x, registry(store, x, c), c, cancel}
}

// registry has no delays, gives every right, and has room for every event of a test.
func registry(store db.Store, x *device.Index, c *clock) *recorded {
	r := &recorded{door: newDoor(store)}
	r.Registry = &device.Registry{
		Store: r.door, Index: x, Now: c.Now, Keep: keep, CanUpdateOthers: true, CanDeleteOthers: true,
		Rules: device.Rules{AllowDelete: true, AllowUpdate: true},
		Activity: activity.Open(activity.Options{
			Store: r.door, Now: c.Now, Rand: rand.Reader, MaxPerUser: 1 << 20, MaxTotal: 1 << 24, Sink: r.record,
		}),
	}
	return r
}

// recorded is a registry with what its activity log told, and with its acts as most tests ask for them: it
// does not matter by whom.
type recorded struct {
	*device.Registry
	door    *door
	signIns atomic.Int64
	known   sync.Map // every Record that signed in, by its UID

	mu     sync.Mutex
	events []activity.Event
}

// door is a store that can be exchanged, for the registry and its activity log, which counts in the background.
type door struct{ behind atomic.Pointer[db.Store] }

func newDoor(s db.Store) *door {
	d := &door{}
	d.behind.Store(&s)
	return d
}

func (d *door) store() db.Store { return *d.behind.Load() }

func (d *door) Get(ctx context.Context, key string) (db.Entry, error) { return d.store().Get(ctx, key) }

func (d *door) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	return d.store().Range(ctx, from, to, limit)
}

func (d *door) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	return d.store().Commit(ctx, txn)
}

func (d *door) Watch(ctx context.Context, after db.Revision, apply func(db.Batch)) (<-chan error, error) {
	return d.store().Watch(ctx, after, apply)
}

func (d *door) Health() error { return d.store().Health() }

func (d *door) Close() error { return d.store().Close() }

// through lets everything go through s from now on.
func (r *recorded) through(s db.Store) { r.door.behind.Store(&s) }

func (r *recorded) record(e activity.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// told returns every event that was told, in order.
func (r *recorded) told() []activity.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// endedAs returns of which devices events tell that they ended for why, and how often each.
func endedAs(events []activity.Event, why device.EndReason) map[uuid.UUID]int {
	ended := map[uuid.UUID]int{}
	for _, e := range events {
		if e.Kind == activity.DeviceEnded && e.Reason == why.String() {
			ended[e.Device]++
		}
	}
	return ended
}

var somebody = activity.By{Actor: "somebody"}

// Add also returns who was put out, as the events of this very sign-in tell.
func (r *recorded) Add(ctx context.Context, n device.New, limit device.Limit, guard db.Txn) (rec device.Record, out []device.Record, err error) {
	n.By.UserAgent = fmt.Sprint("sign-in ", r.signIns.Add(1))
	event := n.Event
	n.Event = func(rec device.Record) activity.Event {
		r.known.Store(rec.UID, rec)
		return event(rec)
	}
	rec, err = r.Registry.Add(ctx, n, limit, guard)
	for _, e := range r.told() {
		if e.Kind == activity.DeviceEnded && e.UserAgent == n.By.UserAgent {
			known, _ := r.known.Load(e.Device)
			gone, _ := known.(device.Record)
			out = append(out, gone)
		}
	}
	return rec, out, err
}

func (r *recorded) End(ctx context.Context, user, uid uuid.UUID, why device.EndReason) error {
	return r.Registry.End(ctx, user, uid, device.Cause{Why: why, By: somebody})
}

func (r *recorded) EndTokens(ctx context.Context, user, uid uuid.UUID, generation uint32, why device.EndReason) error {
	return r.Registry.EndTokens(ctx, user, uid, generation, device.Cause{Why: why, By: somebody})
}

func (r *recorded) EndWhere(ctx context.Context, user uuid.UUID, why device.EndReason, which func(device.Record) bool) (int, error) {
	return r.Registry.EndWhere(ctx, user, device.Cause{Why: why, By: somebody}, which)
}

func (r *recorded) EndOther(ctx context.Context, caller device.Subject, target uuid.UUID) error {
	return r.Registry.EndOther(ctx, caller, target, somebody)
}

func (r *recorded) EndOthers(ctx context.Context, caller device.Subject) (ended, kept int, err error) {
	return r.Registry.EndOthers(ctx, caller, somebody)
}

func (r *recorded) Trim(ctx context.Context, user uuid.UUID, limit device.Limit, guard db.Txn) error {
	return r.Registry.Trim(ctx, user, limit, guard, somebody)
}

func (r *recorded) Sweep(ctx context.Context, user uuid.UUID, cutoff time.Time, dryRun bool) (int, error) {
	return r.Registry.Sweep(ctx, user, cutoff, uuid.UUID{}, dryRun, somebody)
}

// newDevice is a sign-in without a proof. Its device lives for lifetime, its refresh token is of no use.
func newDevice(uid, user uuid.UUID) device.New {
	return device.New{
		UID: uid, User: user, Generation: 1, Name: "a phone",
		Issue:   func(uuid.UUID, uint32) (refresh, cookie []byte, err error) { return []byte("hash"), nil, nil },
		Expires: func(signedIn time.Time) time.Time { return signedIn.Add(lifetime) },
		By:      somebody, Event: signedIn,
	}
}

// signedIn is the event of a sign-in.
func signedIn(rec device.Record) activity.Event {
	return activity.Event{Kind: activity.SignIn, Outcome: activity.Success, Reason: "signed_in", User: rec.User, Device: rec.UID}
}

// newGate returns a gate on an empty store.
func newGate(t *testing.T) *gate {
	t.Helper()
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"))
	g := follow(t, s, newClock())
	t.Cleanup(func() { g.stop(); _ = s.Close() }) // the test may have closed it
	return g
}

func (g *gate) commit(t tb, writes ...db.Write) {
	t.Helper()
	if _, err := g.store.Commit(context.Background(), db.Txn{Writes: writes}); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// user makes a user of generation 1 and returns his id.
func (g *gate) user(t tb) uuid.UUID {
	t.Helper()
	id := uuid.New()
	g.setUser(t, id, device.UserRow{Generation: 1, Name: "someone"})
	return id
}

func (g *gate) setUser(t tb, id uuid.UUID, row device.UserRow) {
	t.Helper()
	g.commit(t, db.Put(device.UserRowKey(id), row.Encode()))
}

// add signs a device of generation 1 in, without a limit that matters.
func (g *gate) add(t tb, user uuid.UUID) device.Record {
	t.Helper()
	rec, _ := g.addWithin(t, user, 1000)
	return rec
}

func (g *gate) addWithin(t tb, user uuid.UUID, limit int) (device.Record, []device.Record) {
	t.Helper()
	rec, out, err := g.reg.Add(context.Background(), newDevice(uuid.New(), user), device.Limit{Count: limit}, db.Txn{})
	if err != nil {
		t.Fatalf("add a device: %v", err)
	}
	return rec, out
}

func (g *gate) end(t tb, rec device.Record, why device.EndReason) {
	t.Helper()
	if err := g.reg.End(context.Background(), rec.User, rec.UID, why); err != nil {
		t.Fatalf("end a device as %v: %v", why, err)
	}
}

// want checks what a check of rec answers now, without a trace.
func (g *gate) want(t tb, rec device.Record, want reason.Reason) {
	t.Helper()
	if _, got := g.index.Peek(g.use(rec)); got != want {
		t.Errorf("the check of device %d answers %v, want %v", rec.Ordinal, got, want)
	}
}

// use is a use of rec by the tokens of its last sign-in, now, from nowhere known.
func (g *gate) use(rec device.Record) device.Use {
	return device.Use{User: rec.User, Device: rec.UID, Generation: rec.Tokens, At: g.clock.Now()}
}

// check is a check that leaves its trace.
func (g *gate) check(rec device.Record) reason.Reason {
	_, why := g.index.Check(g.use(rec))
	return why
}

func lastSeen(g *gate, uid uuid.UUID) time.Time {
	at, _ := g.index.LastUse(uid)
	return at
}

// as is who acts with the tokens of rec.
func as(rec device.Record) device.Subject {
	return device.Subject{User: rec.User, Device: rec.UID, Generation: rec.Tokens}
}

// live returns the ordinals of the user's live devices, newest first.
func (g *gate) live(t tb, user uuid.UUID) []uint64 {
	t.Helper()
	recs, err := g.reg.List(context.Background(), user)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	return ordinals(recs)
}

func ordinals(recs []device.Record) []uint64 {
	ns := []uint64{}
	for _, rec := range recs {
		ns = append(ns, rec.Ordinal)
	}
	return ns
}
