// Package lockout counts failed sign-ins and decides when guessing has to wait.
//
// It guarantees: of one name, no more attempts fail before a lock than the threshold says, however many
// run in parallel and whether the name exists or not; a retry while locked changes nothing; and a known
// device of the user has a counter of its own, so that nobody else can lock the owner out there.
//
// It fails closed: an attempt whose counters cannot be read is refused with the error, and a failure that
// cannot be written is an error too.
//
// # How an attempt goes
//
// Counters.Begin refuses, or gives a Try that holds a place at the gate of each of its counters. As many
// attempts hold a place as may still fail before the lock, at least one; the others wait for a place. The
// caller checks the password, then calls Try.Fail, or commits what Try.Succeed returns, and in any case
// Try.Done. The gates are in memory: one process owns the store.
//
// # Records
//
//	c/<name>/              JSON  the name, from everywhere but known devices
//	c/<name>/n/<network>   JSON  the name, from one network: 203.0.113.9/32, 2001:db8:1:2::/64, or empty
//	                             where the address is unknown
//	c/<name>/d/<device>    JSON  one known device of the user
//
// <name> is the SHA-256 of the normalised name in hexadecimal, <device> a UUID in its dashed form.
//
// # Times
//
// A counter is forgotten Window after its last failure. A lock never ends later than MaxDelay after the
// last failure, nor later than MaxDelay from now. When the clock was set back, the last failure lies in the
// future; Counters.Sweep then moves the record back to now, so that the lock runs out from there.
package lockout
