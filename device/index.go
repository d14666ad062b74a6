package device

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/identity"
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

	others  atomic.Pointer[ForeignRules]   // nil: none was ever accepted
	byName  map[identity.NameKey]uuid.UUID // users by the normalised form of their names; nil where nobody asks
	naming  map[identity.NameKey]uuid.UUID // what byName will be, while it is made; else nil
	foreign map[uuid.UUID][]uuid.UUID      // devices of users of other issuers that have not ended themselves
	pending map[uuid.UUID]arrival          // registered devices that are not stored yet
	waiting map[uuid.UUID][]uuid.UUID      // the same by their users
	holders map[string]uuid.UUID           // users of issuers who have tokens of ours, by their names as they stand
	seen    uint64                         // how many were registered since the start
	storing [16]sync.Mutex                 // held while devices of a user of another issuer are stored; before mu

	sightings sightings // since the last flush; changed by checks, under its own locks
	ipChange  IPChange
	urgent    chan struct{} // tells the flusher that a device must end now
	arrived   chan struct{} // tells it that a device was registered
}

type deviceSlot struct {
	uid uuid.UUID // zero in a free slot
	deviceRow
	last sighting // as it was flushed
}

type userSlot struct {
	generation uint32
	disabled   bool
	foreign    bool // of another issuer
	moved      bool // he has tokens of ours
	arriving   bool // of another issuer, and waits to be stored with his first device
	ended      EndReason
	endedAt    int64 // Unix milliseconds
	name       arenaRef
	roles      uint32
}

// Subject is who stands behind a live device. Roles is shared and must not be changed.
type Subject struct {
	User, Device uuid.UUID
	Generation   uint32 // of the device's tokens
	Issuer       string // of a token that is not ours, its issuer's configured name
	Name         string
	Roles        []string
	Since        time.Time // when the device was made; to the millisecond
}

// Has reports whether the subject has a role.
func (s Subject) Has(role string) bool { return slices.Contains(s.Roles, role) }

// NewIndex returns an empty index that answers Starting until Follow has filled it. keep is how long
// the end of a device is told after it: the life of an access token and the leeway. change says what a
// check does when a device's address changes.
func NewIndex(keep time.Duration, change IPChange) *Index {
	x := &Index{
		keep: keep, ipChange: change, urgent: make(chan struct{}, 1), arrived: make(chan struct{}, 1), moved: make(chan struct{}),
		devices: map[uuid.UUID]uint32{}, users: map[uuid.UUID]userSlot{},
		foreign: map[uuid.UUID][]uuid.UUID{}, pending: map[uuid.UUID]arrival{}, waiting: map[uuid.UUID][]uuid.UUID{}, holders: map[string]uuid.UUID{},
	}
	x.state.Store(uint32(reason.Starting))
	return x
}

// Change replaces what a check does when a device's address changes.
func (x *Index) Change(change IPChange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ipChange = change
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
			x.strike(x.slots[at].user, uid)
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
		x.devices[uid], x.slots[at].uid = at, uid
	}
	if was := x.slots[at]; known && was.user != row.user {
		x.strike(was.user, uid) // it was registered by one user's token and stored as another's
	}
	x.slots[at].deviceRow = row
	x.list(uid, row)
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
		x.unname(old, id)
		delete(x.users, id)
		return nil
	}
	row, err := decodeUserRow(w.Value)
	if err != nil {
		return err
	}
	slot := userSlot{
		foreign: row.Foreign, moved: row.Moved,
		generation: row.Generation, disabled: row.Disabled,
		ended: row.Ended, endedAt: row.EndedAt.UnixMilli(),
		name: old.name, roles: x.roles.intern(row.Roles),
	}
	if !known || x.names.get(old.name) != row.Name {
		slot.name = x.names.add(row.Name)
	}
	x.unname(old, id)
	x.name(slot, id)
	x.users[id] = slot
	return nil
}

// State returns OK when the index can be asked, else Starting or StoreUnavailable.
func (x *Index) State() reason.Reason { return reason.Reason(x.state.Load()) }

// Use is one use of a device by a token: what the token says, where it came from, and when.
type Use struct {
	User, Device uuid.UUID
	Generation   uint32     // of the token
	From         netip.Addr // the client; zero where unknown
	At           time.Time
	Foreign      *identity.Foreign // of a token that is not ours
}

// Check answers whether the device lives and belongs to the user, and notes in memory that it was seen: a
// check never waits for a write. Every reason but OK refuses. The order is the contract's: readiness,
// device, user.
func (x *Index) Check(use Use) (Subject, reason.Reason) {
	subject, moved, why := x.lookAndNote(use)
	if moved.tell && moved.told != nil {
		moved.told(use, moved.from)
	}
	if moved.mustEnd && moved.tell { // later checks of it need not hurry a flush that failed
		select {
		case x.urgent <- struct{}{}:
		default: // it has been told already
		}
	}
	return subject, why
}

func (x *Index) lookAndNote(use Use) (Subject, move, reason.Reason) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	d, subject, why := x.look(use)
	if why == reason.DeviceNotRecognized && x.mayRegister(use) && x.room(use) { // a flood must not wait for the lock
		if len(x.pending) >= maxArrivals {
			return Subject{}, move{}, reason.StoreUnavailable // it may be good; nobody can keep it now
		}
		x.mu.RUnlock()
		x.register(use)
		x.mu.RLock()
		d, subject, why = x.look(use)
	}
	if why != reason.OK {
		return Subject{}, move{}, why
	}
	moved := x.sight(use, d.last)
	if moved.mustEnd {
		return Subject{}, moved, reason.DeviceCompromised
	}
	return subject, moved, reason.OK
}

// Peek is Check without the trace and wherever the use comes from: what verify asks.
func (x *Index) Peek(use Use) (Subject, reason.Reason) {
	use.From = netip.Addr{} // where it is not known nothing moves
	x.mu.RLock()
	defer x.mu.RUnlock()
	f := x.foresee(use)
	return f.Subject, f.Reason
}

// lives answers for the device alone, as the store has it: whatever token asks, and though it is about to
// be ended for its change of address.
func (x *Index) lives(user, device uuid.UUID, now time.Time) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	_, why := x.find(user, device, now)
	return why == reason.OK
}

// look returns the live device and who stands behind it. The lock is held.
func (x *Index) look(use Use) (*deviceSlot, Subject, reason.Reason) {
	if x.nameTaken(use) {
		return nil, Subject{}, reason.TokenUnverified
	}
	d, why := x.find(use.User, use.Device, use.At)
	if why != reason.OK {
		return nil, Subject{}, why
	}
	if use.Generation != d.tokens {
		return nil, Subject{}, reason.DeviceNotRecognized // a token of an earlier sign-in on the device
	}
	u := x.users[use.User]
	if use.Foreign != nil {
		return d, x.subjectOf(use, u, d.since()), reason.OK
	}
	subject := Subject{User: use.User, Device: use.Device, Generation: d.tokens, Name: x.names.get(u.name), Roles: x.roles.get(u.roles), Since: d.since()}
	return d, subject, reason.OK
}

// find returns the slot of a live device. The lock is held.
func (x *Index) find(user, device uuid.UUID, now time.Time) (*deviceSlot, reason.Reason) {
	if why := x.State(); why != reason.OK {
		return nil, why
	}
	at, known := x.devices[device]
	if !known || x.slots[at].user != user {
		return nil, reason.DeviceNotRecognized
	}
	u, known := x.users[user]
	if !known {
		return nil, reason.DeviceNotRecognized
	}
	if why := x.alive(&x.slots[at], u, now); why != reason.OK {
		return nil, why
	}
	if u.disabled {
		return nil, reason.InactiveAccount
	}
	return &x.slots[at], reason.OK
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
		if ms >= u.endedAt+x.keepOf(d.foreign).Milliseconds() {
			return reason.DeviceNotRecognized
		}
		return u.ended.Check()
	}
	if ms >= d.until {
		return reason.DeviceNotRecognized
	}
	return reason.OK
}

// since returns when the device was made.
func (r *deviceRow) since() time.Time { return time.UnixMilli(r.created) }

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
