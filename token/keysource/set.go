package keysource

import (
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Set is the keys of an issuer at one moment. It is never changed. The zero Set verifies nothing.
type Set struct {
	epoch      uint32
	algorithms []string
	one        *key            // of a secret or public key file, else nil
	keys       map[string]*key // of a JWK set, by kid
}

// Empty says whether there is no key, so that nothing can be verified.
func (s *Set) Empty() bool { return s.count() == 0 }

// Algorithms returns those of the issuer's tokens. The caller must not change it.
func (s *Set) Algorithms() []string { return s.algorithms }

// Epoch returns a number, from 1, that is raised whenever a key goes or is changed. A verdict may be remembered
// beside the epoch of the set that gave it, and counts while the current set has the same.
func (s *Set) Epoch() uint32 { return s.epoch }

// Verify reports whether raw was signed by a key of the set in the algorithm alg. Raw is a compact JWS that the
// caller has scanned and bounded, whose header says alg and kid; without hasKid it says no kid. It fails closed.
// Known is false only where other keys could make a difference: alg is the issuer's, and no key has that kid.
// Signatures of ECDSA with a high s are good: issuers do not agree on making them low.
func (s *Set) Verify(raw, alg, kid string, hasKid bool) (ok, known bool) {
	v := s.Check(raw, alg, kid, hasKid)
	return v.Signed, v.Known
}

// Verdict is what Check comes to. The zero Verdict refuses.
type Verdict struct {
	Signed, Known bool
	Cause         string // of a refusal, as the end of a sentence about the token
}

// Check is Verify and says why not.
func (s *Set) Check(raw, alg, kid string, hasKid bool) Verdict {
	if !slices.Contains(s.algorithms, alg) {
		return Verdict{Known: true, Cause: "alg is none of the issuer's algorithms"}
	}
	k := s.one
	if k == nil {
		if !hasKid || kid == "" { // the kid of no key, now and later
			return Verdict{Known: true, Cause: "the token names no key (kid), and the issuer has several"}
		}
		k = s.keys[kid]
	}
	if k == nil {
		return Verdict{Cause: "no key of the issuer that is known here has the kid of the token"}
	}
	cause := k.verify(raw, alg)
	return Verdict{Signed: cause == "", Known: true, Cause: cause}
}

// verify demands that k is for alg before any computing, and a signature of exactly the length that is usual. It
// returns what is wrong, "" for nothing.
func (k *key) verify(raw, alg string) (cause string) {
	if !slices.Contains(k.algorithms, alg) {
		return "the key that kid names is for another algorithm than alg"
	}
	if !k.fits(raw, alg) {
		return "the signature has not the length of one in alg: was the end of the token cut off?"
	}
	if _, err := jws.Verify([]byte(raw), jws.WithKey(jwa.SignatureAlgorithm(alg), k.material), jws.WithCompact()); err != nil {
		return "the signature is wrong: the token was changed, or signed with another key"
	}
	return ""
}

// replaced returns the set that follows s, with the keys that were found. A key that goes or changes raises the
// epoch.
func (s *Set) replaced(by *found) *Set {
	next := &Set{epoch: s.epoch, algorithms: s.algorithms, one: by.one, keys: by.keys}
	if s.without(next) > 0 {
		next.epoch++
	}
	return next
}

// without counts the keys of s that other has not, or not as they are.
func (s *Set) without(other *Set) int {
	n := 0
	if s.one != nil && !s.one.equal(other.one) {
		n++
	}
	for kid, k := range s.keys {
		if !k.equal(other.keys[kid]) {
			n++
		}
	}
	return n
}

func (s *Set) count() int {
	if s.one != nil {
		return 1
	}
	return len(s.keys)
}
