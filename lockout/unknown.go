package lockout

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"devicegate/db"
)

// maxDrops is how many records one failure drops at most: twice as many as it writes, so that what is over the bound for want
// of records that are not being written goes with the next failures.
const maxDrops = 4

// unknown lists the stored records of names that do not exist, the least recently failed first, and keeps
// their number bounded. Names cost an attacker nothing, so without a bound he would fill the disk.
type unknown struct {
	o       Options
	dropped atomic.Uint64

	mu       sync.Mutex
	order    *simplelru.LRU[counter, struct{}]
	promised int             // records that are being written, for which room was made
	writing  map[counter]int // how many rooms write it
}

func newUnknown(o Options) *unknown {
	return &unknown{o: o, order: newOrder(), writing: make(map[counter]int)}
}

// newOrder returns an empty list without a bound of its own: what it dropped by itself would stay in the store.
func newOrder() *simplelru.LRU[counter, struct{}] {
	order, err := simplelru.NewLRU[counter, struct{}](math.MaxInt, nil)
	if err != nil {
		panic(fmt.Sprintf("a list of positive size cannot fail: %v", err))
	}
	return order
}

func (u *unknown) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.order.Len()
}

// forget takes records off the list: they are gone, or their name exists.
func (u *unknown) forget(gone ...counter) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, of := range gone {
		u.order.Remove(of)
	}
}

// removing takes records off the list and calls commit, which removes them from the store. Where it fails those
// that were listed are listed again. They are taken off before: whoever fails meanwhile lists his record
// again, and afterwards that would be undone, which leaves a record in the store that the bound does not know.
func (u *unknown) removing(gone []counter, commit func() error) error {
	u.mu.Lock()
	var listed []counter
	for _, of := range gone {
		if u.order.Remove(of) {
			listed = append(listed, of)
		}
	}
	u.mu.Unlock()
	err := commit()
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		for _, of := range listed {
			u.order.Add(of, struct{}{})
		}
	}
	return err
}

// room is what a transaction has to do so that its records fit. settle must be called.
type room struct {
	conditions []db.Condition
	writes     []db.Write

	u        *unknown
	own      []counter // the records that are written
	promised int       // how many of them are not on the list yet
	drops    []counter // off the list since they were chosen
}

// makeRoom chooses what goes for the records of own.
func (u *unknown) makeRoom(ctx context.Context, own []counter) (*room, error) {
	r := &room{u: u, own: own}
	u.promise(r)
	if err := r.fill(ctx, maxDrops); err != nil {
		r.settle(false)
		return nil, err
	}
	return r, nil
}

// promise notes how many records the list will grow by. Those that are on it move to its end, so that others
// are chosen first.
func (u *unknown) promise(r *room) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, of := range r.own {
		if _, listed := u.order.Get(of); !listed {
			r.promised++
		}
		u.writing[of]++
	}
	u.promised += r.promised
}

// next takes the least recently failed record off the list, if the list is over its bound. Records that are being
// written are not chosen: one that was dropped between its commit and settle would be listed without being stored.
func (u *unknown) next() (counter, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for range len(u.writing) + 1 {
		if u.order.Len()+u.promised <= u.o.MaxUnknown {
			break
		}
		of, _, ok := u.order.RemoveOldest()
		if !ok || u.writing[of] == 0 {
			return of, ok
		}
		u.order.Add(of, struct{}{})
	}
	return counter{}, false
}

// fill chooses at most limit records to drop.
func (r *room) fill(ctx context.Context, limit int) error {
	for len(r.drops) < limit {
		of, ok := r.u.next()
		if !ok {
			return nil
		}
		if err := r.drop(ctx, of); err != nil {
			r.drops = append(r.drops, of) // back on the list when this is settled
			return err
		}
	}
	return nil
}

// drop adds the record to the transaction, unless it is gone or its name exists by now: it just stays
// off the list then.
func (r *room) drop(ctx context.Context, of counter) error {
	e, err := r.u.o.Store.Get(ctx, of.key())
	if errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a counter to be dropped: %w", err)
	}
	exists, err := r.u.o.Exists(ctx, of.nameHash())
	if err != nil {
		return fmt.Errorf("asking whether a name exists: %w", err)
	}
	if exists {
		return nil
	}
	r.drops = append(r.drops, of)
	r.conditions = append(r.conditions, db.Unchanged(e))
	r.writes = append(r.writes, db.Delete(e.Key))
	return nil
}

// settle brings the list in line with what came of the transaction. What was not dropped after all goes to
// the list's end.
func (r *room) settle(committed bool) {
	u := r.u
	u.mu.Lock()
	defer u.mu.Unlock()
	u.promised -= r.promised
	for _, of := range r.own {
		if u.writing[of]--; u.writing[of] == 0 {
			delete(u.writing, of)
		}
	}
	list := r.drops
	if committed {
		u.dropped.Add(uint64(len(r.drops)))
		list = r.own
	}
	for _, of := range list {
		u.order.Add(of, struct{}{})
	}
}
