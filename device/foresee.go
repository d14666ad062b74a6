package device

import (
	"net/netip"
	"time"

	"github.com/google/uuid"

	"devicegate/reason"
)

// Foresight is what a check would come to, and what it would change.
type Foresight struct {
	Subject Subject // zero unless Reason is OK
	Reason  reason.Reason

	// Registers says that the check would register the device; GivesWay is the one that would end for it, zero for none.
	Registers bool
	GivesWay  uuid.UUID
	// MovedFrom is the address of the use before, where the check would tell that it is another one now; Ends says
	// that the device would end for it.
	MovedFrom netip.Addr
	Ends      bool
	// NameTaken says that a foreign token is refused because a local user has the name of its user.
	NameTaken bool

	Device KnownDevice
	User   KnownUser
}

// KnownDevice is what the index knows of the device that a token names. Times are zero where unknown.
type KnownDevice struct {
	Known      bool
	Owner      uuid.UUID // whose it is
	Generation uint32    // of the tokens that count
	Created    time.Time
	Expires    time.Time // while it lives
	Ended      EndReason // 0 while it lives
	EndedAt    time.Time // where it ended with everything of its user
	LastSeen   time.Time // when and from where a check last let it pass
	LastFrom   netip.Addr
	Waits      bool // it was registered and is not stored yet
}

// KnownUser is what the index knows of the user that a token names.
type KnownUser struct {
	Known, Disabled bool
	Name            string
	Roles           []string // shared, and not to be changed
}

// Foresee is Check without the trace: what it would come to at this moment, with what is known. Nothing is noted,
// told, registered or ended.
func (x *Index) Foresee(use Use) Foresight {
	x.mu.RLock()
	defer x.mu.RUnlock()
	f := x.foresee(use)
	f.NameTaken = x.nameTaken(use)
	f.Device, f.User = x.seenAs(use.Device), x.knownAs(use.User)
	return f
}

// seenAs returns what is known of a device, whoever asks. The lock is held.
func (x *Index) seenAs(uid uuid.UUID) KnownDevice {
	at, known := x.devices[uid]
	if !known {
		return KnownDevice{}
	}
	d := &x.slots[at]
	s := KnownDevice{Known: true, Owner: d.user, Generation: d.tokens, Created: d.since().UTC(), Ended: d.ended}
	_, s.Waits = x.pending[uid]
	last := d.last
	if newer, noted := x.sightings.get(uid); noted {
		last = newer
	}
	s.LastSeen, s.LastFrom = last.time(), last.addr()
	switch u, there := x.users[d.user]; {
	case d.ended != 0:
	case there && d.generation < u.generation:
		s.Ended, s.EndedAt = u.ended, time.UnixMilli(u.endedAt).UTC()
	default:
		s.Expires = time.UnixMilli(d.until).UTC()
	}
	return s
}

// knownAs returns what is known of a user. The lock is held.
func (x *Index) knownAs(id uuid.UUID) KnownUser {
	u, known := x.users[id]
	if !known {
		return KnownUser{}
	}
	return KnownUser{Known: true, Disabled: u.disabled, Name: x.names.get(u.name), Roles: x.roles.get(u.roles)}
}

// foresee goes the way of a check up to where that changes something. The lock is held.
func (x *Index) foresee(use Use) (f Foresight) {
	var d *deviceSlot
	d, f.Subject, f.Reason = x.look(use)
	if f.Reason == reason.DeviceNotRecognized && x.mayRegister(use) {
		return x.foreseeArrival(use)
	}
	if f.Reason != reason.OK {
		return Foresight{Reason: f.Reason}
	}
	before, known := x.sightings.get(use.Device)
	_, m := x.judgeMove(use, d.last, before, known)
	if m.tell {
		f.MovedFrom = m.from
	}
	if m.mustEnd {
		f.Subject, f.Reason, f.Ends = Subject{}, reason.DeviceCompromised, true
	}
	return f
}

// foreseeArrival is foresee for a device that may be registered, if there is room. The lock is held.
func (x *Index) foreseeArrival(use Use) Foresight {
	out, ok := x.makeRoom(use)
	switch {
	case !ok:
		return Foresight{Reason: reason.DeviceNotRecognized}
	case len(x.pending) >= maxArrivals:
		return Foresight{Reason: reason.StoreUnavailable}
	}
	return Foresight{
		Subject: x.subjectOf(use, x.users[use.User], use.At), Reason: reason.OK, Registers: true, GivesWay: out,
	}
}
