package device

import (
	"net/netip"
	"time"

	"devicegate/clientaddr"
)

// IPChange says what a check does when a device is used from another address than just before. The zero
// value does nothing.
type IPChange struct {
	Note   bool // tell it
	Revoke bool // tell it and end the device
	Window time.Duration
	Exempt []netip.Prefix
	// Told is called when a change counts; it must not block.
	Told func(use Use, before netip.Addr)
}

// judge returns what is noted after a use, and whether it is a change of address to tell: at most once in
// a window, and when it ends the device. A sign-in on the device since then starts anew: who signs in
// proves himself by the password, wherever he is by now.
func (c IPChange) judge(before, now sighting) (after sighting, moved bool) {
	if before.tokens != now.tokens {
		return now, false
	}
	if before.compromised {
		return before, false
	}
	now.noted = before.noted
	if !c.counts(before, now) {
		return now, false
	}
	now.compromised = c.Revoke
	moved = c.Revoke || !within(now.noted, now.at, c.Window)
	if moved {
		now.noted = now.at
	}
	return now, moved
}

// counts reports whether the step from before to now is a change of address: both known, of one family,
// not within one IPv6 network of a customer (/64), neither exempt, and within the window. Everything else
// happens to honest clients: dual-stack ones change families, and temporary IPv6 addresses change daily.
func (c IPChange) counts(before, now sighting) bool {
	if !c.Note && !c.Revoke {
		return false
	}
	a, b := before.addr(), now.addr()
	if !a.IsValid() || !b.IsValid() || a.Is4() != b.Is4() || network(a) == network(b) {
		return false
	}
	exempt := clientaddr.Trusted(c.Exempt)
	return within(before.at, now.at, c.Window) && !exempt.Contains(a) && !exempt.Contains(b)
}

// network returns the address itself for IPv4 and its /64 for IPv6.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // both lengths fit their family
	return p
}

// within reports whether two moments, in Unix milliseconds, lie at most window apart.
func within(before, now int64, window time.Duration) bool {
	apart := now - before
	if apart < 0 {
		apart = -apart // the clock was set back
	}
	return apart <= window.Milliseconds()
}
