package device

import (
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"
)

// sighting is when and from where a device was last used. It holds no pointers.
type sighting struct {
	at          int64    // Unix milliseconds; 0 = never
	noted       int64    // Unix milliseconds of the last change of address that was told
	from        [16]byte // the address; all zero where unknown
	tokens      uint32   // generation of the tokens that it was used with
	compromised bool     // it changed its address and must end
}

func newSighting(use Use) sighting {
	s := sighting{at: use.At.UnixMilli(), tokens: use.Generation}
	if use.From.IsValid() {
		s.from = use.From.As16()
	}
	return s
}

func (s sighting) addr() netip.Addr {
	if s.from == ([16]byte{}) {
		return netip.Addr{}
	}
	return netip.AddrFrom16(s.from).Unmap()
}

func (s sighting) time() time.Time {
	if s.at == 0 {
		return time.Time{}
	}
	return time.UnixMilli(s.at).UTC()
}

// sightings are those of the devices used since the last flush. They are spread over locks of their own,
// because every check writes one.
type sightings struct {
	shards [16]sightingShard
}

type sightingShard struct {
	mu   sync.Mutex
	last map[uuid.UUID]sighting
}

func (ss *sightings) shard(device uuid.UUID) *sightingShard { return &ss.shards[device[0]&15] }

// update replaces the sighting of device by what judge makes of it; known says whether there was one.
func (ss *sightings) update(device uuid.UUID, judge func(before sighting, known bool) sighting) {
	shard := ss.shard(device)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.last == nil {
		shard.last = map[uuid.UUID]sighting{}
	}
	before, known := shard.last[device]
	shard.last[device] = judge(before, known)
}

func (ss *sightings) get(device uuid.UUID) (sighting, bool) {
	shard := ss.shard(device)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	s, known := shard.last[device]
	return s, known
}

// compromised reports whether a device must end for its change of address, as long as its tokens are
// those that were used from both.
func (ss *sightings) compromised(device uuid.UUID, tokens uint32) bool {
	s, _ := ss.get(device)
	return s.compromised && s.tokens == tokens
}

// take moves the shard's sightings into seen, and tells which devices must end; those stay here until they
// have.
func (shard *sightingShard) take(seen map[uuid.UUID]sighting) (ending map[uuid.UUID]sighting) {
	shard.mu.Lock()
	defer shard.mu.Unlock()
	ending = map[uuid.UUID]sighting{}
	for device, s := range shard.last {
		if s.compromised {
			ending[device] = s
			continue
		}
		seen[device] = s
		delete(shard.last, device)
	}
	return ending
}

// restore takes back what could not be written, unless the device was used again meanwhile.
func (ss *sightings) restore(device uuid.UUID, s sighting) {
	ss.update(device, func(newer sighting, known bool) sighting {
		if known {
			return newer
		}
		return s
	})
}

// forget removes the mark of a device that has ended; not one that was set since, on a later sign-in.
func (ss *sightings) forget(device uuid.UUID, tokens uint32) {
	shard := ss.shard(device)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if s := shard.last[device]; s.compromised && s.tokens == tokens {
		delete(shard.last, device)
	}
}

// move is what a use means beside the one before.
type move struct {
	tell, mustEnd bool
	from          netip.Addr
	told          func(Use, netip.Addr)
}

// sight notes a use that was let pass so far. flushed is what was known before the last flush; x.mu is held
// for reading, so that no flush comes between the two.
func (x *Index) sight(use Use, flushed sighting) (m move) {
	x.sightings.update(use.Device, func(before sighting, known bool) sighting {
		var after sighting
		after, m = x.judgeMove(use, flushed, before, known)
		return after
	})
	return m
}

// judgeMove says what a use means beside the last one: before, where it is known, else flushed. It changes nothing.
func (x *Index) judgeMove(use Use, flushed, before sighting, known bool) (after sighting, m move) {
	if !known {
		before = flushed
	}
	after, m.tell = x.ipChange.judge(before, newSighting(use))
	m.mustEnd, m.from, m.told = after.compromised, before.addr(), x.ipChange.Told
	return after, m
}

// LastUse returns when and from where a check last let device pass; zero values where none has.
func (x *Index) LastUse(device uuid.UUID) (at time.Time, from netip.Addr) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	slot, known := x.devices[device]
	if !known {
		return time.Time{}, netip.Addr{}
	}
	last := x.slots[slot].last
	if s, newer := x.sightings.get(device); newer {
		last = s
	}
	return last.time(), last.addr()
}
