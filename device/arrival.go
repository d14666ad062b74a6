package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"devicegate/activity"
	"devicegate/db"
)

// arrival is a foreign device that the index knows and the store does not yet.
type arrival struct {
	user, uid, out uuid.UUID // out is the device that gives way to it; zero for none
	issuer, owner  string
	from           netip.Addr
	at             time.Time
	generation     uint32 // the user's at that time: it ends with what he has by then
	order          uint64 // of registration
	outUntil       int64  // when the device that gives way would end
}

// FirstSight is the reason of the event of a device that was registered by its token.
const FirstSight = "first_sight"

// ErrNameTaken means: a user of another issuer cannot have an account, because a local one has its name.
var ErrNameTaken = errors.New("a local user has the name of the issuer's user")

// Accounts makes the accounts of other issuers' users.
type Accounts interface {
	// Foreign returns what a transaction must hold and write so that the user has an account, and the generation
	// of it. Errors: ErrNameTaken, ErrNotFound where he is disabled, and the store's.
	Foreign(ctx context.Context, user uuid.UUID, issuer, owner string) (txn db.Txn, generation uint32, events []activity.Event, err error)
}

// register takes a device into the index, to be stored with the next batch. What a check of it is answered is
// then seen as of any other.
func (x *Index) register(use Use) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.nameTaken(use) || !x.mayRegister(use) || len(x.pending) >= maxArrivals { // since a moment ago
		return
	}
	out, ok := x.makeRoom(use)
	if !ok {
		return
	}
	u, known := x.users[use.User]
	if !known {
		u = userSlot{generation: 1, foreign: true, arriving: true, name: x.names.add(use.Foreign.Owner), roles: x.roles.intern(nil)}
		x.users[use.User] = u
	}
	var outUntil int64
	if out != uuid.Nil {
		d := &x.slots[x.devices[out]]
		outUntil = d.until
		d.ended, d.until = Replaced, use.At.UnixMilli()
		x.strike(use.User, out)
	}
	row := deviceRow{
		user: use.User, generation: u.generation, created: use.At.UnixMilli(),
		until: x.rules().expiry(use.At).UnixMilli(), tokens: use.Generation, foreign: true,
	}
	at := x.newSlot()
	x.devices[use.Device] = at
	x.slots[at] = deviceSlot{uid: use.Device, deviceRow: row}
	x.list(use.Device, row)
	x.seen++
	x.pending[use.Device] = arrival{
		user: use.User, uid: use.Device, out: out, issuer: use.Foreign.Issuer, owner: use.Foreign.Owner,
		from: use.From, at: use.At, generation: u.generation, order: x.seen, outUntil: outUntil,
	}
	x.waiting[use.User] = append(x.waiting[use.User], use.Device)
	select {
	case x.arrived <- struct{}{}:
	default: // it has been told already
	}
}

// expiry returns when a device that is registered at a moment ends.
func (f ForeignRules) expiry(at time.Time) time.Time {
	lifetime := f.Lifetime
	if lifetime <= 0 {
		lifetime = 100 * 365 * 24 * time.Hour
	}
	return at.Add(lifetime).UTC().Truncate(time.Millisecond)
}

// Arrived delivers when devices were registered, so that StoreArrivals is called.
func (x *Index) Arrived() <-chan struct{} { return x.arrived }

// arrivals returns what waits to be stored of one user.
func (x *Index) arrivals(user uuid.UUID) []arrival {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var waiting []arrival
	for _, uid := range x.waiting[user] {
		if a, waits := x.pending[uid]; waits {
			waiting = append(waiting, a)
		}
	}
	slices.SortFunc(waiting, func(a, b arrival) int { return cmp.Compare(a.order, b.order) }) // the older is older in the store as well
	return waiting
}

// StoreArrivals stores the devices that checks have registered. What could not be stored passes further
// checks, and is tried again at the next call; after a restart it would be registered anew.
func (r *Registry) StoreArrivals(ctx context.Context) error {
	var (
		g      errgroup.Group
		mu     sync.Mutex
		errs   []error
		closed atomic.Bool // the store takes nothing of the others either: they wait for the next call
	)
	g.SetLimit(flushers)
	for _, user := range r.Index.arriving() {
		if closed.Load() {
			break
		}
		g.Go(func() error {
			if err := r.settle(ctx, user); err != nil {
				closed.CompareAndSwap(false, errors.Is(err, db.ErrUnavailable))
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
			return nil
		})
	}
	_ = g.Wait() // none returns an error
	return errors.Join(errs...)
}

// arriving returns the users of whom something waits to be stored.
func (x *Index) arriving() []uuid.UUID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Collect(maps.Keys(x.waiting))
}

// storingOf returns the lock under which devices of a foreign user are stored. Only under it he gets an account, so
// whoever holds it and finds none knows that none comes and goes meanwhile.
func (x *Index) storingOf(user uuid.UUID) *sync.Mutex { return &x.storing[user[0]&15] }

// Settle stores what waits of one user, so that whoever reads his account in the store finds it. What cannot be
// stored for good is turned away, which is no error. Errors: the store's.
func (r *Registry) Settle(ctx context.Context, user uuid.UUID) error { return r.settle(ctx, user) }

// settle stores what waits of one user, so that whoever reads his devices in the store finds all of them.
func (r *Registry) settle(ctx context.Context, user uuid.UUID) error {
	if len(r.Index.arrivals(user)) == 0 {
		return nil // as nearly always
	}
	storing := r.Index.storingOf(user)
	storing.Lock()
	defer storing.Unlock()
	for _, a := range r.Index.arrivals(user) { // what still waits now
		_, err := retry(func() (struct{}, error) { return struct{}{}, r.storeArrival(ctx, a) })
		switch {
		case errors.Is(err, ErrNameTaken), errors.Is(err, ErrOfAnother), errors.Is(err, ErrNotFound):
			r.Index.turnAway(a)
		case err != nil:
			return fmt.Errorf("storing a registered device: %w", err)
		default:
			r.Index.settled(a)
		}
	}
	return nil
}

// storeArrival is one attempt to store a device. That it is there already is no error.
func (r *Registry) storeArrival(ctx context.Context, a arrival) error {
	e, err := r.Store.Get(ctx, deviceRowKey(a.uid))
	if err == nil {
		return r.storedBefore(ctx, a, e)
	}
	if !errors.Is(err, db.ErrNotFound) {
		return err
	}
	by := activity.By{Actor: activity.ByService, IP: a.from}
	event := by.Event(activity.SignIn, FirstSight)
	event.Actor, event.User, event.Device, event.NameTried = "", a.user, a.uid, a.owner
	txn, events, err := r.giveWay(ctx, a)
	if err != nil {
		return err
	}
	s, err := r.list(ctx, a.user)
	if err != nil {
		return err
	}
	_, err = r.addForeign(ctx, newForeign{
		user: a.user, uid: a.uid, issuer: a.issuer, owner: a.owner, at: a.at, ip: a.from,
	}, s, txn, append(events, event)...)
	if errors.Is(err, ErrEndedForGood) {
		return r.storeMark(ctx, a, event)
	}
	return err
}

// storedBefore is storeArrival for a device that the store has by now: an admin registered it, or an answer of the
// store was lost. What gave way to it in the index goes in the store as well.
func (r *Registry) storedBefore(ctx context.Context, a arrival, e db.Entry) error {
	row, err := decodeDeviceRow(e.Value)
	if err != nil {
		return err
	}
	if row.user != a.user {
		return ErrOfAnother
	}
	txn, events, err := r.giveWay(ctx, a)
	if err != nil || len(txn.Writes) == 0 {
		return err
	}
	_, err = r.Activity.Commit(ctx, txn, events...)
	return err
}

// storeMark stores that a device came and ended with everything of its user before it was stored: it has passed
// a check, and must not pass another one, however late the batch.
func (r *Registry) storeMark(ctx context.Context, a arrival, seen activity.Event) error {
	why := r.Index.endOfUser(a.user)
	row := deviceRow{
		user: a.user, generation: a.generation, created: a.at.UnixMilli(), tokens: 1, foreign: true,
		ended: why, until: r.Now().Add(r.Index.keepOf(true)).UnixMilli(),
	}
	// What gave way to it has ended with the user as well, and is not to be forgotten either.
	txn, out, err := r.outgoing(ctx, a)
	if err != nil {
		return err
	}
	if len(txn.Writes) > 0 {
		txn.Writes[0] = r.markFor(txn.Writes[0].Key, out)
	}
	txn.If = append(txn.If, db.Absent(deviceRowKey(a.uid)))
	txn.Writes = append(txn.Writes, db.Put(deviceRowKey(a.uid), row.encode()))
	_, err = r.Activity.Commit(ctx, txn, seen, ofService(why).Event(a.user, a.uid))
	return err
}

// giveWay returns the writes that remove the device which gives way, without a mark: it was idle, and may come
// back when there is room. One that was ended meanwhile keeps its mark.
func (r *Registry) giveWay(ctx context.Context, a arrival) (txn db.Txn, events []activity.Event, err error) {
	if txn, _, err = r.outgoing(ctx, a); err != nil || len(txn.Writes) == 0 {
		return txn, nil, err
	}
	return txn, []activity.Event{ofService(Replaced).Event(a.user, a.out)}, nil
}

// outgoing returns the row of the device that gives way and the writes that remove it, the row first; no writes
// where there is none to remove.
func (r *Registry) outgoing(ctx context.Context, a arrival) (txn db.Txn, row deviceRow, err error) {
	if a.out == uuid.Nil {
		return txn, row, nil
	}
	e, err := r.Store.Get(ctx, deviceRowKey(a.out))
	if errors.Is(err, db.ErrNotFound) {
		return txn, row, nil
	}
	if err != nil {
		return txn, row, err
	}
	if row, err = decodeDeviceRow(e.Value); err != nil || row.ended != 0 {
		return txn, row, err
	}
	txn.If = []db.Condition{db.Unchanged(e)}
	txn.Writes = []db.Write{db.Delete(e.Key), db.Delete(deviceKey(a.user, a.out)), db.Delete(sightingKey(a.out))}
	return txn, row, nil
}

// settled notes that a device is stored.
func (x *Index) settled(a arrival) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.arrivedNow(a)
}

// arrivedNow takes an arrival off the list. The lock is held.
func (x *Index) arrivedNow(a arrival) {
	delete(x.pending, a.uid)
	rest := slices.DeleteFunc(x.waiting[a.user], func(uid uuid.UUID) bool { return uid == a.uid })
	if len(rest) == 0 {
		delete(x.waiting, a.user)
		return
	}
	x.waiting[a.user] = rest
}

// turnAway takes a device out again that cannot be stored for good, and its user where he is not stored either.
func (x *Index) turnAway(a arrival) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.arrivedNow(a)
	at, known := x.devices[a.uid]
	if known && x.slots[at].user == a.user && x.slots[at].ordinal == 0 && x.slots[at].ended == 0 { // the store gives every device an ordinal
		x.strike(a.user, a.uid)
		delete(x.devices, a.uid)
		x.slots[at] = deviceSlot{}
		x.free = append(x.free, at)
	}
	x.restore(a)
	if u := x.users[a.user]; u.arriving && len(x.foreign[a.user]) == 0 {
		x.unname(u, a.user)
		delete(x.users, a.user)
	}
}

// restore takes back that a device gave way to one that did not come. The lock is held.
func (x *Index) restore(a arrival) {
	at, known := x.devices[a.out]
	// That moment says that it ended for the arrival, and not for good meanwhile.
	if !known || x.slots[at].ended != Replaced || x.slots[at].user != a.user || x.slots[at].until != a.at.UnixMilli() {
		return
	}
	d := &x.slots[at]
	d.ended, d.until = 0, a.outUntil
	x.list(a.out, d.deviceRow)
}
