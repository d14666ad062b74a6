package device

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/reason"
)

// Index is the compact copy of all devices and users that checks ask. It holds no pointers per device
// or user, so its size costs the garbage collector nothing. One place changes it: the feed of the store,
// in commit order and before the caller who committed is answered.
//
// The zero Index is not usable; an Index that was never filled answers Starting.
type Index struct {
	keep time.Duration // how long an ended device is remembered; the longest life of its tokens

	state atomic.Uint32 // a reason.Reason: OK, Starting or StoreUnavailable

	mu      sync.RWMutex
	applied db.Revision          // the last commit taken
	moved   chan struct{}        // closed and replaced when applied or state moves on
	devices map[uuid.UUID]uint32 // slot of the device
	slots   []deviceSlot
	free    []uint32 // slots of rows that went
	users   map[uuid.UUID]userSlot
	names   arena
	roles   roleSets
}

type deviceSlot struct {
	deviceRow
	lastSeen int64 // Unix milliseconds; atomic, because checks hold only the read lock
}

type userSlot struct {
	generation uint32
	disabled   bool
	ended      EndReason
	endedAt    int64 // Unix milliseconds
	name       arenaRef
	roles      uint32
}

// Subject is who stands behind a live device. Roles is shared and must not be changed.
type Subject struct {
	User, Device uuid.UUID
	Name         string
	Roles        []string
}

// NewIndex returns an empty index that answers Starting until Follow has filled it. keep is how long
// the end of a device is told after it: the life of an access token and the leeway.
func NewIndex(keep time.Duration) *Index {
	x := &Index{keep: keep, moved: make(chan struct{}), devices: map[uuid.UUID]uint32{}, users: map[uuid.UUID]userSlot{}}
	x.state.Store(uint32(reason.Starting))
	return x
}

func (x *Index) applyWrite(w db.Write) error {
	if id, ok := rowID(w.Key, deviceRows); ok {
		return x.applyDevice(id, w)
	}
	if id, ok := rowID(w.Key, userRows); ok {
		return x.applyUser(id, w)
	}
	return nil // another watched family, such as keys
}

func rowID(key, prefix string) (id uuid.UUID, ok bool) {
	if len(key) != len(prefix)+len(id) || key[:len(prefix)] != prefix {
		return id, false
	}
	copy(id[:], key[len(prefix):])
	return id, true
}

func (x *Index) applyDevice(uid uuid.UUID, w db.Write) error {
	at, known := x.devices[uid]
	if w.Delete {
		if known {
			delete(x.devices, uid)
			x.slots[at] = deviceSlot{}
			x.free = append(x.free, at)
		}
		return nil
	}
	row, err := decodeDeviceRow(w.Value)
	if err != nil {
		return err
	}
	if !known {
		at = x.newSlot()
		x.devices[uid] = at
	}
	x.slots[at].deviceRow = row
	return nil
}

func (x *Index) newSlot() uint32 {
	if n := len(x.free); n > 0 {
		at := x.free[n-1]
		x.free = x.free[:n-1]
		return at
	}
	x.slots = append(x.slots, deviceSlot{})
	return uint32(len(x.slots) - 1)
}

func (x *Index) applyUser(id uuid.UUID, w db.Write) error {
	old, known := x.users[id]
	if w.Delete {
		delete(x.users, id)
		return nil
	}
	row, err := decodeUserRow(w.Value)
	if err != nil {
		return err
	}
	slot := userSlot{
		generation: row.Generation, disabled: row.Disabled,
		ended: row.Ended, endedAt: row.EndedAt.UnixMilli(),
		name: old.name, roles: x.roles.intern(row.Roles),
	}
	if !known || x.names.get(old.name) != row.Name {
		slot.name = x.names.add(row.Name)
	}
	x.users[id] = slot
	return nil
}

// State returns OK when the index can be asked, else Starting or StoreUnavailable.
func (x *Index) State() reason.Reason { return reason.Reason(x.state.Load()) }

// Check answers whether device lives and belongs to user, and notes in memory that it was seen: a check
// never waits for a write. Every reason but OK refuses. The order is the contract's: readiness, device,
// user.
func (x *Index) Check(user, device uuid.UUID, now time.Time) (Subject, reason.Reason) {
	return x.look(user, device, now, true)
}

// Peek is Check without the trace: what verify asks.
func (x *Index) Peek(user, device uuid.UUID, now time.Time) (Subject, reason.Reason) {
	return x.look(user, device, now, false)
}

func (x *Index) look(user, device uuid.UUID, now time.Time, seen bool) (Subject, reason.Reason) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if why := x.State(); why != reason.OK {
		return Subject{}, why
	}
	at, known := x.devices[device]
	if !known || x.slots[at].user != user {
		return Subject{}, reason.DeviceNotRecognized
	}
	u, known := x.users[user]
	if !known {
		return Subject{}, reason.DeviceNotRecognized
	}
	if why := x.alive(&x.slots[at], u, now); why != reason.OK {
		return Subject{}, why
	}
	if u.disabled {
		return Subject{}, reason.InactiveAccount
	}
	if seen {
		atomic.StoreInt64(&x.slots[at].lastSeen, now.UnixMilli())
	}
	return Subject{User: user, Device: device, Name: x.names.get(u.name), Roles: x.roles.get(u.roles)}, reason.OK
}

// alive is the one place that says whether a device lives: not ended itself, not ended with everything
// of its user, not expired. The word for an end is told only for as long as a token could live.
func (x *Index) alive(d *deviceSlot, u userSlot, now time.Time) reason.Reason {
	ms := now.UnixMilli()
	if d.ended != 0 {
		if ms >= d.until {
			return reason.DeviceNotRecognized
		}
		return d.ended.Check()
	}
	if d.generation < u.generation {
		if ms >= u.endedAt+x.keep.Milliseconds() {
			return reason.DeviceNotRecognized
		}
		return u.ended.Check()
	}
	if ms >= d.until {
		return reason.DeviceNotRecognized
	}
	return reason.OK
}

// LastSeen returns when a check last let device pass, in this process's life; the zero time when none has.
func (x *Index) LastSeen(device uuid.UUID) time.Time {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, known := x.devices[device]
	if !known {
		return time.Time{}
	}
	if ms := atomic.LoadInt64(&x.slots[at].lastSeen); ms != 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}

// Owner returns the user that device belongs to or, while its end is remembered, belonged to.
func (x *Index) Owner(device uuid.UUID) (user uuid.UUID, known bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, known := x.devices[device]
	if !known {
		return uuid.UUID{}, false
	}
	return x.slots[at].user, true
}

// Live returns how many devices live at now. It walks all of them: for metrics, not for checks.
func (x *Index) Live(now time.Time) int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	n := 0
	for _, at := range x.devices {
		d := &x.slots[at]
		if u, ok := x.users[d.user]; ok && x.alive(d, u, now) == reason.OK {
			n++
		}
	}
	return n
}

// due returns up to limit devices whose rows can go: ended long enough ago, expired, or ended with
// their user.
func (x *Index) due(now time.Time, limit int) []uuid.UUID {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var uids []uuid.UUID
	for uid, at := range x.devices {
		if len(uids) == limit {
			break
		}
		d := &x.slots[at]
		u, ok := x.users[d.user]
		if !ok || x.alive(d, u, now) == reason.DeviceNotRecognized && x.forgettable(d, u, now) {
			uids = append(uids, uid)
		}
	}
	return uids
}

// forgettable tells an end that may be forgotten from one that is merely not told apart (a logout):
// the latter's row still keeps a revoked device from ever being registered anew meanwhile.
func (x *Index) forgettable(d *deviceSlot, u userSlot, now time.Time) bool {
	ms := now.UnixMilli()
	if d.ended == 0 && d.generation < u.generation {
		return ms >= u.endedAt+x.keep.Milliseconds()
	}
	return ms >= d.until
}
