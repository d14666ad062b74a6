package foreign

import "crypto/sha256"

// MaxNesting is how deep header and claims may be nested, themselves included.
const MaxNesting = maxNesting

// Scan says whether raw is a token in form, whoever made it.
func Scan(raw string) bool {
	_, ok := scan(raw)
	return ok
}

// Cached says whether a verdict on raw is kept, without counting as a hit.
func (s *Issuers) Cached(raw string) bool { return s.cache.Contains(sha256.Sum256([]byte(raw))) }

// CacheLen returns how many verdicts are kept.
func (s *Issuers) CacheLen() int { return s.cache.Len() }
