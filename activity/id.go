package activity

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
)

// A stamp is the part of an id that orders: milliseconds since 1970 (48 bits) and the sequence (12 bits).
const (
	sequenceBits = 12
	maxMillis    = 1<<48 - 1
	maxStamp     = 1<<(48+sequenceBits) - 1
)

// ids makes UUIDv7s, each above the one before. While the clock stands still or is behind, the sequence
// counts on, and flows over into the milliseconds (RFC 9562, section 6.2).
type ids struct {
	now  func() time.Time
	rand io.Reader

	mu   sync.Mutex
	last uint64 // stamp
}

func (g *ids) next() (uuid.UUID, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var random [8]byte
	if _, err := io.ReadFull(g.rand, random[:]); err != nil {
		return uuid.UUID{}, fmt.Errorf("making an id: %w", err)
	}
	g.last = max(stampAt(g.now()), g.last+1)
	id := idFrom(g.last)
	copy(id[8:], random[:])
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// idFrom returns an id that is below every event's of the same stamp and above every one's of a lower.
func idFrom(stamp uint64) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:], stamp>>sequenceBits<<16|0x7<<sequenceBits|stamp&(1<<sequenceBits-1))
	return id
}

func stampOf(id uuid.UUID) uint64 {
	b := binary.BigEndian.Uint64(id[:])
	return b>>16<<sequenceBits | b&(1<<sequenceBits-1)
}

// stampAt returns the first stamp that is not before t.
func stampAt(t time.Time) uint64 {
	millis := t.UnixMilli()
	if time.UnixMilli(millis).Before(t) {
		millis++
	}
	return uint64(min(max(millis, 0), maxMillis)) << sequenceBits
}

func timeOf(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(stampOf(id) >> sequenceBits)).UTC()
}

func invert(id uuid.UUID) uuid.UUID {
	for i := range id {
		id[i] = ^id[i]
	}
	return id
}

// Both kinds of key end in the place of an event, an inverted id.
const placeLength = 32

func placeOf(id uuid.UUID) string {
	inverted := invert(id)
	return hex.EncodeToString(inverted[:])
}

func userPrefix(user uuid.UUID, class string) string { return "e/" + user.String() + "/" + class + "/" }
func classPrefix(class string) string                { return "a/" + class + "/" }

func eventKey(user uuid.UUID, class string, id uuid.UUID) string {
	return userPrefix(user, class) + placeOf(id)
}

// idIn returns the id of the event whose key, of either kind, has prefix.
func idIn(key, prefix string) (uuid.UUID, error) {
	var inverted uuid.UUID
	place, ok := strings.CutPrefix(key, prefix)
	// Capitals would be read as well, and stand elsewhere in the order.
	if !ok || len(place) != placeLength || place != strings.ToLower(place) {
		return uuid.UUID{}, fmt.Errorf("the key %q is none of an event", key)
	}
	if _, err := hex.Decode(inverted[:], []byte(place)); err != nil {
		return uuid.UUID{}, fmt.Errorf("the key %q is none of an event: %w", key, err)
	}
	return invert(inverted), nil
}

// span is a range of ids: from <= id < before.
type span struct {
	from   uuid.UUID // zero: from the first
	before uuid.UUID // zero: to the last
}

// narrow returns what of the span is older than id.
func (s span) narrow(id uuid.UUID) span {
	if s.before == (uuid.UUID{}) || bytes.Compare(id[:], s.before[:]) < 0 {
		s.before = id
	}
	return s
}

// keys returns the range of keys below prefix, newest first.
func (s span) keys(prefix string) (from, to string) {
	from, to = prefix, db.PrefixEnd(prefix)
	if s.before != (uuid.UUID{}) {
		from = prefix + placeOf(s.before) + "\x00"
	}
	if s.from != (uuid.UUID{}) {
		to = prefix + placeOf(s.from) + "\x00"
	}
	return from, to
}
