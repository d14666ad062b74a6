package lockout

import "devicegate/db"

// Gates returns how many gates are kept.
func (c *Counters) Gates() int {
	c.gates.mu.Lock()
	defer c.gates.mu.Unlock()
	return len(c.gates.used)
}

// Limits that tests reach.
const (
	MaxWaiters = maxWaiters
	MaxScan    = maxScan
)

// KeyOfID returns the key that an id stands for.
func KeyOfID(id string) (string, bool) {
	of, ok := parseID(id)
	return of.key(), ok
}

// IDOfKey returns the id of a key.
func IDOfKey(key string) (string, bool) {
	of, ok := parseKey(key)
	return of.id(), ok
}

// DecodeRecord is the parser of stored records: the count of failures, and the record encoded again.
func DecodeRecord(value []byte) (failures int, again []byte, err error) {
	r, err := decodeRecord(db.Entry{Key: "c/", Value: value})
	return r.Failures, r.encode(), err
}
