package keysource

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// kind is what a key is. It decides which algorithms the key can be bound to.
type kind string

const (
	secret     kind = "a shared secret"
	rsaKey     kind = "RSA"
	p256       kind = "EC P-256"
	p384       kind = "EC P-384"
	p521       kind = "EC P-521"
	ed25519Key kind = "Ed25519"
)

// algorithms are those of RFC 7518, section 3.1, and RFC 8037 that are accepted.
var algorithms = map[string]struct {
	kind kind
	size int // bytes of a signature; 0: as many as the key's modulus has
}{
	"HS256": {secret, 32}, "HS384": {secret, 48}, "HS512": {secret, 64},
	"RS256": {rsaKey, 0}, "RS384": {rsaKey, 0}, "RS512": {rsaKey, 0},
	"PS256": {rsaKey, 0}, "PS384": {rsaKey, 0}, "PS512": {rsaKey, 0},
	"ES256": {p256, 64}, "ES384": {p384, 96}, "ES512": {p521, 132},
	"EdDSA": {ed25519Key, 64},
}

const (
	rsaMinBits     = 2048
	rsaMaxBits     = 8192
	rsaMinExponent = 65537
	rsaMaxExponent = math.MaxInt32 // crypto/rsa takes no larger one
)

// key verifies, in the algorithms it is bound to and in no other.
type key struct {
	kind       kind
	material   any      // []byte of a secret, *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	modulus    int      // bytes, of an RSA key
	algorithms []string // at least one
}

// newKey binds a key to those algorithms of the issuer's list that are for its kind.
func newKey(kind kind, material any, list []string) (*key, error) {
	k := &key{kind: kind, material: material}
	for _, alg := range list {
		if algorithms[alg].kind == kind {
			k.algorithms = append(k.algorithms, alg)
		}
	}
	if len(k.algorithms) == 0 {
		return nil, fmt.Errorf("it is %s, which is for none of the issuer's algorithms (%s)", kind, strings.Join(list, ", "))
	}
	return k, nil
}

// newPublicKey checks a public key of whatever origin. Its errors are the end of a sentence about the key.
func newPublicKey(public crypto.PublicKey, list []string) (*key, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return newRSA(public, list)
	case *ecdsa.PublicKey:
		kind, ok := map[elliptic.Curve]kind{elliptic.P256(): p256, elliptic.P384(): p384, elliptic.P521(): p521}[public.Curve]
		if !ok {
			return nil, errors.New("it is of another curve than P-256, P-384 and P-521")
		}
		return newKey(kind, public, list)
	case ed25519.PublicKey:
		if len(public) != ed25519.PublicKeySize { // on which crypto/ed25519 panics
			return nil, fmt.Errorf("it is an Ed25519 key of %d bytes instead of %d", len(public), ed25519.PublicKeySize)
		}
		return newKey(ed25519Key, public, list)
	default:
		return nil, errors.New("it is none of RSA, EC and Ed25519")
	}
}

// newRSA refuses what is weak, and what is so large that checking a signature would be an attack.
func newRSA(public *rsa.PublicKey, list []string) (*key, error) {
	if bits := public.N.BitLen(); bits < rsaMinBits || bits > rsaMaxBits {
		return nil, fmt.Errorf("it is an RSA key of %d bits: %d to %d are accepted", bits, rsaMinBits, rsaMaxBits)
	}
	if public.N.Bit(0) == 0 {
		return nil, errors.New("it is an RSA key with an even modulus")
	}
	if public.E < rsaMinExponent || public.E > rsaMaxExponent || public.E%2 == 0 {
		return nil, fmt.Errorf("it is an RSA key of the exponent %d: an odd one from %d to %d is accepted", public.E, rsaMinExponent, rsaMaxExponent)
	}
	k, err := newKey(rsaKey, public, list)
	if err != nil {
		return nil, err
	}
	k.modulus = public.Size()
	return k, nil
}

// narrowed returns k bound to alg alone.
func (k *key) narrowed(alg string) (*key, error) {
	if !slices.Contains(k.algorithms, alg) {
		return nil, fmt.Errorf("its alg is %.20q, which is not for %s or none of the issuer's algorithms", alg, k.kind)
	}
	only := *k
	only.algorithms = []string{alg}
	return &only, nil
}

// fits says whether the last part of raw is as long as a signature of alg by k.
func (k *key) fits(raw, alg string) bool {
	size := algorithms[alg].size
	if size == 0 {
		size = k.modulus
	}
	return len(raw)-1-strings.LastIndexByte(raw, '.') == base64.RawURLEncoding.EncodedLen(size)
}

// equal says whether other, which may be nil, is the same key for the same algorithms.
func (k *key) equal(other *key) bool {
	if other == nil || k.kind != other.kind || !slices.Equal(k.algorithms, other.algorithms) {
		return false
	}
	switch mine := k.material.(type) {
	case []byte:
		theirs, ok := other.material.([]byte)
		return ok && string(mine) == string(theirs)
	case interface{ Equal(crypto.PublicKey) bool }:
		return mine.Equal(other.material)
	default:
		return false
	}
}
