package place

import "net/netip"

// The parts that a test from outside reaches badly: parsers for the speed of fuzzing, the pause because it is about
// minutes, and what happens only by an accident of time.

var (
	Decode = decode
	Whole  = whole
)

// Parse and look ip up.
func ParseAndFind(data []byte, ip netip.Addr) (Place, error) {
	db, err := parse(data)
	if err != nil {
		return Place{}, err
	}
	return db.lookup(ip)
}

// FindInNothing makes the decoder panic.
func FindInNothing() error {
	_, err := new(database).lookup(netip.MustParseAddr("9.9.9.9"))
	return err
}

type Pause = pause

var (
	PauseOver   = (*pause).over
	PauseFailed = (*pause).failed
	PauseWorked = (*pause).worked
	RetryAfter  = retryAfter
)
