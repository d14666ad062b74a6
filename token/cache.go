package token

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/google/uuid"
)

const (
	slotsPerSet = 8
	setBytes    = int(unsafe.Sizeof(set{}))
	cacheLocks  = 64
)

// slot is one verified token. It has no pointers, so that the collector never walks the cache, and
// holds the full SHA-256 of the token: a shorter or keyless hash could be made to collide, and a
// collision would be another user's identity.
type slot struct {
	id    [sha256.Size]byte
	facts facts
	epoch uint32 // of the keys that verified it; 0, which no keys have, in a slot never used
	used  bool   // hit since its set last looked for a victim
}

// facts is Verified of a token of ours.
type facts struct {
	user, device                 uuid.UUID
	generation                   uint32
	issuedAt, notBefore, expires int64
}

func factsOf(v Verified) facts {
	return facts{user: v.User, device: v.Device, generation: v.Generation, issuedAt: v.IssuedAt, notBefore: v.NotBefore, expires: v.Expires}
}

func (f *facts) verified() Verified {
	return Verified{User: f.user, Device: f.device, Generation: f.generation, IssuedAt: f.issuedAt, NotBefore: f.notBefore, Expires: f.expires}
}

type set [slotsPerSet]slot

// cache remembers tokens whose signature was verified, in a fixed amount of memory. It answers for
// signature and identity only: times are the caller's to compare at every hit.
//
// A token may lie in any slot of the one set that its hash names. Only accepted tokens go in, so
// junk evicts nothing; and tokens seen once push out one another before any that was hit, so a user
// with many good tokens does not empty the cache for the others.
type cache struct {
	sets  []set
	locks [cacheLocks]struct {
		sync.Mutex
		_ [56]byte // a cache line each: neighbours do not wait for one another
	}
}

// newCache returns a cache of at most size bytes of slots.
func newCache(size int) *cache {
	return &cache{sets: make([]set, size/setBytes)}
}

// find returns the set of id and its lock, or nil where the cache holds nothing at all.
func (c *cache) find(id *[sha256.Size]byte) (*set, *sync.Mutex) {
	if len(c.sets) == 0 {
		return nil, nil
	}
	n, _ := bits.Mul64(binary.LittleEndian.Uint64(id[:]), uint64(len(c.sets)))
	return &c.sets[n], &c.locks[n%cacheLocks].Mutex
}

// get returns what the token was verified to say, if the keys of epoch verified it.
func (c *cache) get(id [sha256.Size]byte, epoch uint32) (Verified, bool) {
	set, lock := c.find(&id)
	if set == nil {
		return Verified{}, false
	}
	lock.Lock()
	defer lock.Unlock()
	for i := range set {
		if s := &set[i]; s.id == id && s.epoch == epoch {
			s.used = true
			return s.facts.verified(), true
		}
	}
	return Verified{}, false
}

// put keeps an accepted token. Two checks of one token may both miss and both put it.
func (c *cache) put(id [sha256.Size]byte, epoch uint32, verified Verified, now int64) {
	set, lock := c.find(&id)
	if set == nil {
		return
	}
	lock.Lock()
	defer lock.Unlock()
	*set.victim(&id, now) = slot{id: id, epoch: epoch, facts: factsOf(verified)}
}

// victim returns the slot to overwrite: the token's own, else one that is dead, else one not hit
// since all were.
func (set *set) victim(id *[sha256.Size]byte, now int64) *slot {
	var dead, idle *slot
	for i := range set {
		switch s := &set[i]; {
		case s.id == *id:
			return s
		case s.facts.expires <= now:
			dead = s
		case !s.used && idle == nil: // the first, always: a flood then passes through one slot
			idle = s
		}
	}
	if dead != nil {
		return dead
	}
	if idle != nil {
		return idle
	}
	for i := range set { // all were hit: each must earn its place anew
		set[i].used = false
	}
	return &set[0]
}
