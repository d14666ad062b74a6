package token

import "github.com/google/uuid"

// Cached says whether a check of raw would hit, without counting as a hit.
func (v *Verifier) Cached(raw string) bool {
	id := digest(raw)
	set, _ := v.cache.find(&id)
	for i := range set {
		if set[i].id == id && set[i].epoch == v.keys.Epoch() {
			return true
		}
	}
	return false
}

// Remember puts a token into the cache as a second check does that missed at the same time.
func (v *Verifier) Remember(raw string, facts Verified) {
	v.cache.put(digest(raw), v.keys.Epoch(), facts, v.now().Unix())
}

// CacheBytes returns the size of all slots.
func (v *Verifier) CacheBytes() int { return len(v.cache.sets) * setBytes }

// AssertionsKept returns how many assertions of a device are kept, and what all of them are counted as, in bytes.
func (a *Asserter) AssertionsKept(device uuid.UUID) (count, bytes int) {
	for i := range a.kept.shards {
		bytes += a.kept.shards[i].bytes
	}
	if d := a.kept.shard(device).devices[device]; d != nil {
		count = len(d.kept)
	}
	return count, bytes
}

// AssertionDevices returns of how many devices anything is kept.
func (a *Asserter) AssertionDevices() (devices int) {
	for i := range a.kept.shards {
		devices += len(a.kept.shards[i].devices)
	}
	return devices
}

// Bounds that tests hold assertions to.
const (
	HostsPerDevice      = hostsPerDevice
	FairHosts           = fairHosts
	SignaturesPerDevice = signaturesPerDevice
	AssertionShards     = assertionShards
	AssertionCost       = assertionCost
)

// Serves says whether an assertion that was just made for one may be handed out for another, to the same host.
func Serves(made, want Subject) bool {
	return (&assertion{subject: made}).serves(&assertion{subject: want})
}
