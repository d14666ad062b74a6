package device

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"devicegate/identity"
	"devicegate/reason"
)

// A foreign device is one that another issuer names in its tokens. What is different about it: it may be
// registered by its token alone, and once it was ended it stays so. Its issuer may go on to sign tokens for it, so
// the row that says that it ended is a mark that is never swept.

// ForeignRules is what the index needs to know where tokens of other issuers are accepted.
type ForeignRules struct {
	// Keep is how long the reason of a foreign device's end is told: the longest life of a token of any issuer.
	Keep time.Duration
	// Lifetime is how long a foreign device lives after it was registered; 0 = for good.
	Lifetime time.Duration
	// NameKey returns the key of a name's normalised form.
	NameKey func(name string) identity.NameKey
}

// AcceptForeign makes the index ready for tokens of other issuers, or changes the rules for them; without it every
// such token is refused. It may be called at any time, and takes a moment for each million users the first time:
// tokens of other issuers are to be accepted only after it.
func (x *Index) AcceptForeign(rules ForeignRules) {
	x.mu.Lock()
	x.others.Store(&rules)
	first := x.byName == nil && x.naming == nil
	if first {
		x.naming = map[identity.NameKey]uuid.UUID{}
	}
	users := slices.Collect(maps.Keys(x.users))
	x.mu.Unlock()
	if !first {
		return
	}
	for piece := range slices.Chunk(users, walkPiece) {
		x.nameThose(piece)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.byName, x.naming = x.naming, nil
}

// nameThose takes the names of some users, as they are now.
func (x *Index) nameThose(users []uuid.UUID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, id := range users {
		if u, known := x.users[id]; known {
			x.name(u, id)
		}
	}
}

// rules returns the rules for tokens of other issuers; zero where none are accepted.
func (x *Index) rules() ForeignRules {
	if rules := x.others.Load(); rules != nil {
		return *rules
	}
	return ForeignRules{}
}

// keepOf returns how long after a device's end its reason is told.
func (x *Index) keepOf(foreign bool) time.Duration {
	if foreign {
		return max(x.keep, x.rules().Keep)
	}
	return x.keep
}

// mark reports whether the row keeps a foreign device from ever coming back. One whose time ran out may, unless its
// refresh token was exchanged: that is done once.
func (r *deviceRow) mark() bool {
	return r.foreign && r.ended != 0 && (r.ended != Expired || r.moved)
}

// subjectOf returns who stands behind a foreign token: whom it names, or, once he has tokens of ours, whom his
// account names, because name and roles are changed there. Never an admin.
func (x *Index) subjectOf(use Use, u userSlot, since time.Time) Subject {
	s := Subject{
		Since: since,
		User:  use.User, Device: use.Device, Generation: use.Generation,
		Issuer: use.Foreign.Issuer, Name: use.Foreign.Name, Roles: use.Foreign.Roles,
	}
	switch holder, held := x.holders[s.Name]; {
	case u.moved:
		s.Name, s.Roles = x.names.get(u.name), withoutAdmin(x.roles.get(u.roles))
	case held && holder != use.User:
		// Whoever moved over keeps the name here, though his issuer has given it to somebody else since.
		s.Name = use.Foreign.Owner
	}
	return s
}

// adminRole never passes by a foreign token.
const adminRole = "admin"

// withoutAdmin returns roles without that of admins. The list is shared, so it is copied where that is in it.
func withoutAdmin(roles []string) []string {
	if !slices.Contains(roles, adminRole) {
		return roles
	}
	return slices.DeleteFunc(slices.Clone(roles), func(role string) bool { return role == adminRole })
}

// nameTaken reports whether a foreign token's user has the name of a local one, or would have: a backend could not
// tell the two apart. Users of issuers keep nobody out: otherwise each could shut out another by a name that is
// spelled a little differently. The lock is held.
func (x *Index) nameTaken(use Use) bool {
	if use.Foreign == nil {
		return false
	}
	if x.byName == nil {
		return true // nobody knows
	}
	for _, key := range use.Foreign.Keys {
		if user, taken := x.byName[key]; taken && user != use.User {
			return true
		}
	}
	return false
}

// name and unname keep the names in step with the local users. The lock is held.
func (x *Index) name(u userSlot, user uuid.UUID) {
	if u.moved {
		x.holders[x.names.get(u.name)] = user
	}
	if names := x.knownNames(); names != nil && !u.foreign {
		names[x.rules().NameKey(x.names.get(u.name))] = user
	}
}

func (x *Index) unname(u userSlot, user uuid.UUID) {
	if name := x.names.get(u.name); u.moved && x.holders[name] == user {
		delete(x.holders, name)
	}
	names := x.knownNames()
	if names == nil || u.foreign || u.name == (arenaRef{}) {
		return
	}
	if key := x.rules().NameKey(x.names.get(u.name)); names[key] == user {
		delete(names, key)
	}
}

func (x *Index) knownNames() map[identity.NameKey]uuid.UUID {
	if x.naming != nil {
		return x.naming
	}
	return x.byName
}

// list and strike keep the lists of foreign devices. The lock is held.
func (x *Index) list(uid uuid.UUID, row deviceRow) {
	switch {
	case !row.foreign:
	case row.ended != 0:
		x.strike(row.user, uid)
	case !slices.Contains(x.foreign[row.user], uid):
		x.foreign[row.user] = append(x.foreign[row.user], uid)
	}
}

func (x *Index) strike(user, uid uuid.UUID) {
	devices := x.foreign[user]
	i := slices.Index(devices, uid)
	if i < 0 {
		return
	}
	if devices = slices.Delete(devices, i, i+1); len(devices) == 0 {
		delete(x.foreign, user)
		return
	}
	x.foreign[user] = devices
}

// maxArrivals bounds the registrations that wait to be stored. There are as many only when the store takes no
// writes, or is slow, and then what was not registered before is answered store_unavailable.
const maxArrivals = 10_000

// mayRegister reports whether a token's device is one that nobody knows, and that may be registered by it. The
// lock is held.
func (x *Index) mayRegister(use Use) bool {
	if use.Foreign == nil || use.Foreign.Register == 0 || x.State() != reason.OK {
		return false
	}
	if _, known := x.devices[use.Device]; known {
		return false
	}
	u, known := x.users[use.User]
	// What was left of the devices of a user who was removed must be marked before he can come back, or they would
	// come back with him.
	return !u.disabled && (known || len(x.foreign[use.User]) == 0)
}

// room reports whether another device of the user may be registered. The lock is held.
func (x *Index) room(use Use) bool {
	_, ok := x.makeRoom(use)
	return ok
}

// makeRoom returns the device that has to go for a new one, the zero UUID where none has to; ok is false where
// none may. A device goes that was used least recently, if that is so long ago that no token which it was
// used with can live: a flood of device claims must not put out those in use, and a person who signs in every
// day must not be shut out by all the days before.
func (x *Index) makeRoom(use Use) (out uuid.UUID, ok bool) {
	live, oldest := 0, use.At
	for _, uid := range x.foreign[use.User] {
		d := &x.slots[x.devices[uid]]
		if x.alive(d, x.users[use.User], use.At) != reason.OK {
			continue
		}
		live++
		_, waits := x.pending[uid]
		if at := x.usedAt(d); !waits && !d.moved && at.Before(oldest) {
			out, oldest = uid, at
		}
	}
	if live < use.Foreign.Register {
		return uuid.UUID{}, true
	}
	return out, out != uuid.Nil && use.At.Sub(oldest) > use.Foreign.Lifetime
}

// usedAt returns when a device was last used, or made where it never was since the start.
func (x *Index) usedAt(d *deviceSlot) time.Time {
	last := d.last
	if s, newer := x.sightings.get(d.uid); newer {
		last = s
	}
	return time.UnixMilli(max(last.at, d.created))
}
