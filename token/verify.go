package token

import (
	"crypto/sha256"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v2/jws"

	"devicegate/reason"
)

// Verifier checks access tokens. It is safe for concurrent use.
type Verifier struct {
	others           Others // nil: no token but ours is accepted
	issuer, audience string
	lifetime, leeway int64 // seconds
	keys             *Keyring
	now              func() time.Time
	cache            *cache
}

// NewVerifier returns a verifier of tokens that were signed with one of keys' keys. now must be safe
// for concurrent use. The error says what is wrong with cfg.
func NewVerifier(cfg Config, keys *Keyring, now func() time.Time) (*Verifier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	size := cfg.CacheBytes
	if size == 0 {
		size = DefaultCacheBytes
	}
	return &Verifier{
		others:   cfg.Others,
		issuer:   cfg.Issuer,
		audience: cfg.Audience,
		lifetime: int64(cfg.AccessLifetime / time.Second),
		leeway:   int64(cfg.Leeway / time.Second),
		keys:     keys,
		now:      now,
		cache:    newCache(size),
	}, nil
}

// Verify returns what raw vouches for and reason.OK, or nothing and the reason of the refusal in the
// order of the package comment. It is total and fails closed: any bytes may be given, and only OK
// accepts.
func (v *Verifier) Verify(raw string) (Verified, reason.Reason) {
	if len(raw) > MaxSize {
		return Verified{}, reason.TokenMalformed // before hashing, whose cost grows with the length
	}
	keys, now := v.keys.current(), v.now().Unix()
	id := digest(raw)
	if hit, ok := v.cache.get(id, keys.epoch); ok {
		if why := v.live(hit.Expires, hit.NotBefore, hit.IssuedAt, now); why != reason.OK {
			return Verified{}, why
		}
		return hit, reason.OK
	}
	if v.others != nil {
		if verified, why, theirs := v.others.Verify(raw, id); theirs {
			return verified, why
		}
	}
	verified, f := v.read(raw, keys, now)
	if f.Reason == reason.OK {
		v.cache.put(id, keys.epoch, verified, now)
	}
	return verified, f.Reason
}

// read judges a token of ours, whatever the cache knows of it. It leaves no trace.
func (v *Verifier) read(raw string, keys *keySet, now int64) (Verified, Finding) {
	c, f := scan(raw)
	if f.Reason != reason.OK {
		return Verified{}, f
	}
	payload, f := keys.verify(raw, &c)
	if f.Reason != reason.OK {
		return Verified{}, f
	}
	verified, f := v.judge(c.typ, payload, now)
	f.Signed = true
	return verified, f
}

// Others verifies the tokens that other issuers made.
type Others interface {
	// Verify answers for a token, or says that it is not theirs: then it is judged as one of ours. digest is
	// the SHA-256 of raw, which is at most MaxSize long and nothing else yet. Every reason but OK refuses.
	Verify(raw string, digest [sha256.Size]byte) (verified Verified, why reason.Reason, theirs bool)
	// Inspect is Verify with what the verdict was come to by. It leaves no trace: nothing is remembered and no key
	// is asked for.
	Inspect(raw string) (inspection Inspection, theirs bool)
}

// digest returns the SHA-256 of raw. A usual token is copied to the stack: a hit allocates nothing.
func digest(raw string) [sha256.Size]byte {
	var buf [1 << 10]byte
	if len(raw) > len(buf) {
		return digestLong(raw)
	}
	return sha256.Sum256(append(buf[:0], raw...))
}

// digestLong is digest for tokens with a signature of RSA.
//
//go:noinline
func digestLong(raw string) [sha256.Size]byte {
	var buf [2 << 10]byte
	return sha256.Sum256(append(buf[:0], raw...))
}

// verify checks the signature of a scanned token with the one key that kid names, in the one algorithm
// that this key is for, and returns the bytes that were signed as its claims.
func (s *keySet) verify(raw string, c *scanned) ([]byte, Finding) {
	if len(s.keys) == 0 {
		return nil, refuse(reason.KeysUnavailable, "the signing keys could not be read whole, so that there is none")
	}
	key, ok := s.keys[c.keyID]
	switch {
	case c.keyID == "":
		return nil, refuse(reason.TokenUnverified, "the token names no key (kid)")
	case !ok:
		return nil, refuse(reason.TokenUnverified, "no key of this gate has the kid of the token")
	case key.alg != c.algorithm:
		return nil, refuse(reason.TokenUnverified, "the key that kid names is for another algorithm than alg")
	case key.alg == ES256 && !lowS(c.signature):
		return nil, refuse(reason.TokenUnverified, "the signature was changed into its other form (a high s)")
	}
	payload, err := jws.Verify([]byte(raw), jws.WithKey(key.alg.jwa(), key.public))
	if err != nil {
		return nil, refuse(reason.TokenUnverified, "the signature is wrong: the token was changed, or signed with another key")
	}
	return payload, good
}

// judge decides about claims whose signature has been verified.
func (v *Verifier) judge(typ string, payload []byte, now int64) (Verified, Finding) {
	var c wireClaims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Verified{}, refuse(reason.TokenMalformed, "a claim is of the wrong type")
	}
	if !c.complete() {
		return Verified{}, refuse(reason.TokenMalformed, "a claim is missing or empty, or a time is not above 0")
	}
	if c.Issuer != v.issuer {
		return Verified{}, refuse(reason.TokenUnverified, "iss is another: tokens.issuer was changed, or another gate has the same keys")
	}
	if typ != headerType {
		return Verified{}, refuse(reason.TokenWrongType, "typ is not that of an access token")
	}
	if c.TokenType != claimTokenType {
		return Verified{}, refuse(reason.TokenWrongType, "token_type is not access")
	}
	if c.Audience != v.audience {
		return Verified{}, Finding{Reason: reason.TokenWrongAudience}
	}
	if why := v.live(c.Expires, c.NotBefore, c.IssuedAt, now); why != reason.OK {
		return Verified{}, Finding{Reason: why}
	}
	if c.Expires-c.IssuedAt > v.lifetime { // both are positive: the difference cannot overflow
		return Verified{}, Finding{Reason: reason.TokenLivesTooLong}
	}
	if c.DeviceUID == "" {
		return Verified{}, Finding{Reason: reason.DeviceUIDMissing}
	}
	return c.facts()
}

// live compares a token's times with the clock: it is dead at its exp exactly, and not begun while
// nbf or iat is more than the leeway ahead.
func (v *Verifier) live(expires, notBefore, issuedAt, now int64) reason.Reason {
	if now >= expires {
		return reason.TokenExpired
	}
	if notBefore > now+v.leeway || issuedAt > now+v.leeway {
		return reason.TokenNotYetValid
	}
	return reason.OK
}

// complete says whether every claim but device_uid, which has a reason of its own, is there.
func (c *wireClaims) complete() bool {
	for _, s := range [...]string{c.Issuer, c.Subject, c.Audience, c.ID, c.Username, c.TokenType, c.UserID} {
		if s == "" {
			return false
		}
	}
	return c.Roles != nil && c.Expires > 0 && c.IssuedAt > 0 && c.NotBefore > 0
}

// facts returns what the claims say about whom, or token_malformed where that is ambiguous.
func (c *wireClaims) facts() (Verified, Finding) {
	user, ok1 := canonicalUUID(c.Subject)
	device, ok2 := canonicalUUID(c.DeviceUID)
	switch {
	case !ok1 || !ok2:
		return Verified{}, refuse(reason.TokenMalformed, "sub or device_uid is no UUID in its one spelling")
	case c.UserID != c.Subject:
		return Verified{}, refuse(reason.TokenMalformed, "user_id is not sub")
	case c.Expires <= c.IssuedAt || c.Expires <= c.NotBefore:
		return Verified{}, refuse(reason.TokenMalformed, "the token ends before it begins")
	}
	generation := max(c.Generation, firstGeneration)
	return Verified{User: user, Device: device, Generation: generation, IssuedAt: c.IssuedAt, NotBefore: c.NotBefore, Expires: c.Expires}, good
}

// canonicalUUID parses the lower-case dashed form and refuses every other spelling of the same id,
// because ids are compared as text elsewhere, and the zero UUID, which is nobody.
func canonicalUUID(s string) (uuid.UUID, bool) {
	id, err := uuid.Parse(s)
	return id, err == nil && id != uuid.Nil && id.String() == s
}
