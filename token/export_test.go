package token

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
