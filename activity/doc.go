// Package activity keeps what happened to accounts: every attempt to sign in, every end of a device, every
// change of a password and every act of an admin, as events.
//
// It guarantees: an event is written in the transaction of what it tells (Log.Commit), so neither exists
// without the other; what is kept is bounded by count, per user and in all, at every moment, and by age at
// the next sweep; and a flood of failed attempts, whatever names it makes up, pushes out no more than other
// failed attempts.
//
// It fails closed: where an event cannot be written, or no room can be made for it, what it tells is not
// written either.
//
// # Records
//
//	e/<user>/<class>/<inverted id>   JSON  one event; <user> is the dashed UUID, zero where no user is known
//	a/<class>/<inverted id>          row   the 16 bytes of <user>: what counting and trimming read
//
// An event's id is a UUIDv7 (RFC 9562): milliseconds, a sequence of 12 bits, 62 random bits. The keys hold
// all its bits inverted, as 32 hexadecimal digits, so that the ascending order of keys is newest first, and
// a time is a place in the order.
//
// # Classes and limits
//
//	u   failures of no known user    in all at most MaxTotal/10
//	f   failures of a user           in all at most MaxTotal/2, of one user MaxPerUser/2
//	k   everything else              in all and of one user at most what the others are allowed to leave
//
// The shares are fixed: no class gives way to another, however empty that is. So nobody without a password
// can push out a success, an end or a change, and whoever has guessed one cannot hide the guessing behind
// many sign-ins. What is kept of no user (acts on names that nobody has, too) is limited together like that of one
// user; failures of no known user have no limit but their class's.
//
// A class, and a user in a class, goes over its limit by a small slack (an eighth, 16 to 128 events) before it
// is trimmed in the background, and by twice the slack before a commit that would pass that makes room first;
// others that would pass it too wait for that. Who is not counted, after a start or because many others were
// active, gets the slack on credit while he is counted in the background: so a process that was killed over
// its limit may leave the next one that much more to trim. Log.Sweep takes the slack away as well.
package activity
