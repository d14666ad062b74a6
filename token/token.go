// Package token makes and checks devicegate's own access tokens: JWTs signed with Ed25519, ECDSA on
// P-256 or RSA, bound to one user and one device. It is the only package that imports jwx, and from
// jwx it takes keys, key sets and signatures; what a token may look like and what its claims mean is
// decided here. It keeps the keys too: rotates them, in the store, or reads them from a file. With the same keys it
// signs assertions, which tell a backend who was let pass (Asserter), and which it never takes for access tokens.
//
// What it guarantees:
//
//   - It fails closed. Verify has no error result: every token but a good one gets a reason that
//     refuses, and a key set that cannot be read whole leaves no key at all (keys_unavailable).
//   - For each token issued exactly one byte string is accepted. jwx skips line breaks and takes
//     padding, stray trailing bits, duplicate members and the JSON serialization of a token; the
//     scan in scan.go refuses them before jwx is called, so that one good token can be neither
//     respelled to slip past something keyed by its text nor used to flood it. Of the two signatures
//     that anyone can make of one of ECDSA, only the one with the low s is accepted.
//   - A key is good for one algorithm alone, and the token's kid names the one key that is tried.
//   - No claim chooses the reason until its signature has been verified.
//   - The verified-token cache holds facts that a signature has vouched for, under the SHA-256 of
//     the whole token. A hit is as strict as a miss: times and keys are compared again.
//
// # One order, one reason
//
// The first that fails names the reason:
//
//  1. token_malformed: over MaxSize; not three non-empty parts of canonical unpadded base64url;
//     header or claims not one JSON object without duplicate members, invalid UTF-8, surrounding
//     bytes or deep nesting; a header member that is missing (alg, typ), of the wrong type, or none
//     of alg, kid, typ (so also crit, jwk, jku, x5c, x5u, cty, b64).
//  2. token_unverified: alg is none of EdDSA, ES256 and RS256.
//  3. token_malformed: the signature is not as long as one of that algorithm: 64 bytes, for RS256
//     256 to 512.
//  4. keys_unavailable: there are no keys to verify with.
//  5. token_unverified: kid is missing or unknown, or its key is for another algorithm; the signature
//     is wrong, which includes one of ES256 with a high s and one of RS256 not as long as its key.
//  6. token_malformed: a claim is missing, empty or of the wrong type (null counts as missing), or a
//     time is not a positive integer.
//  7. token_unverified: iss is another.
//  8. token_wrong_type: typ is not at+jwt, or token_type is not access.
//  9. token_wrong_audience: aud is another.
//  10. token_expired: now is exp or later.
//  11. token_not_yet_valid: nbf or iat is further ahead than the leeway.
//  12. token_lives_too_long: exp - iat is over AccessLifetime.
//  13. device_uid_missing: device_uid is missing or empty.
//  14. token_malformed: device_uid, sub or user_id is not a canonical UUID, user_id is not sub, or
//     the token ends before it begins.
package token

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"devicegate/identity"
)

const (
	// MaxSize is the longest token in bytes that is looked at, and that is issued.
	MaxSize = 8 << 10

	// DefaultCacheBytes is the memory of the verified-token cache where Config names none:
	// room for about 170,000 tokens.
	DefaultCacheBytes = 16 << 20

	headerType     = "at+jwt" // RFC 9068: no other JWT of ours or of anyone passes for an access token
	claimTokenType = "access"

	// firstGeneration is the generation of a device that was never signed in on again.
	firstGeneration = 1
)

// Config is what issuing and verifying must agree on. It is copied by NewIssuer and NewVerifier.
type Config struct {
	Issuer         string        // iss, compared exactly; not empty
	Audience       string        // aud, compared exactly; not empty
	AccessLifetime time.Duration // exp - iat of tokens issued and the longest accepted; at least 1s, whole seconds
	Leeway         time.Duration // for nbf and iat alone, whole seconds; exp is exact
	Others         Others        // of NewVerifier: asked about what is not found in the cache; nil for none
	CacheBytes     int           // bound of the verified-token cache; 0 means DefaultCacheBytes, too few for one set of slots means no cache
}

func (c Config) validate() error {
	var errs []error
	if c.Issuer == "" {
		errs = append(errs, errors.New("token: the issuer is empty: name one"))
	}
	if c.Audience == "" {
		errs = append(errs, errors.New("token: the audience is empty: name one"))
	}
	if c.AccessLifetime < time.Second || c.AccessLifetime%time.Second != 0 {
		errs = append(errs, errors.New("token: the access lifetime must be whole seconds, at least 1s"))
	}
	if c.Leeway < 0 || c.Leeway%time.Second != 0 {
		errs = append(errs, errors.New("token: the leeway must be whole seconds, at least 0s"))
	}
	if c.CacheBytes < 0 {
		errs = append(errs, errors.New("token: the cache cannot have a negative size"))
	}
	return errors.Join(errs...)
}

// Subject says whom a token is issued to.
type Subject struct {
	User, Device uuid.UUID // neither may be zero
	Generation   uint32    // of the device; the first is 1, and 0 means the first
	Username     string    // not empty, valid UTF-8
	Roles        []string  // none empty; nil means none
}

// Claims are what an issued token says. They are not changed after Issue; the caller owns them.
type Claims struct {
	ID           string // jti
	User, Device uuid.UUID
	Generation   uint32 // of the device; at least 1
	Username     string
	Roles        []string
	IssuedAt     int64 // unix seconds, as the next two
	NotBefore    int64
	Expires      int64 // the first second at which the token is dead
}

// Verified is what a good token vouches for. For a token of ours it holds no name and no roles on purpose:
// the check takes those from the live index, where a change counts at once.
type Verified struct {
	User, Device uuid.UUID
	Generation   uint32 // of the device: a sign-in that keeps a device ends the tokens of lower ones
	IssuedAt     int64  // unix seconds, as the next two; 0 where a foreign token says none
	NotBefore    int64
	Expires      int64
	Foreign      *identity.Foreign // nil exactly for a token of ours; shared, and not to be changed
}

// wireClaims is the claims set as it is written and read. Every member is required.
type wireClaims struct {
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	Audience  string `json:"aud"`
	Expires   int64  `json:"exp"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	ID        string `json:"jti"`
	DeviceUID string `json:"device_uid"`
	// Generation is left out for the first, so that a usual token has the usual claims.
	Generation uint32   `json:"device_generation,omitzero"`
	Roles      []string `json:"roles"`
	Username   string   `json:"username"`
	TokenType  string   `json:"token_type"`
	UserID     string   `json:"user_id"` // sub again, for clients of the Django ecosystem
}
