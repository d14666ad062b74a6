// Package device keeps the devices: their records in the store, the rules about how many a user may
// have and how one ends, and the live index that every check asks.
//
// It fails closed: a device that the index does not hold live is refused, and an index that is not
// filled, or whose feed from the store broke, answers nothing but "unavailable".
//
// # Records
//
//	l/<user>            JSON  the user's device list: next ordinal. Every change of the set of devices
//	                          rewrites it, so the set is serialised per user, whoever changes it
//	d/<user>/<device>   JSON  one live device: name, addresses, times, hashes of its refresh tokens
//	s/<16 bytes>        row   when and from where the device was last used, flushed every few seconds
//	w/d/<16 bytes>      row   device -> user, state, generation, times; kept after the end for as long
//	                          as the device's tokens could live, so that the check can say why
//	w/u/<16 bytes>      row   user -> name, roles, disabled, generation
//
// <user> and <device> are UUIDs in their dashed form. Rows are of a compact fixed form, because
// start-up reads all of them; they live below the watched root, and the index is fed by nothing else.
// A device whose generation is below its user's has ended with the user's reason: that is how
// everything of a user ends in one write.
package device
