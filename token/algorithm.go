package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// Algorithm is a signature algorithm of JWS (RFC 7518, RFC 8037). A key is bound to exactly one.
type Algorithm string

// The algorithms that keys are made of and tokens signed with.
const (
	EdDSA Algorithm = "EdDSA" // Ed25519; the fastest to check, and the default
	ES256 Algorithm = "ES256" // P-256 with SHA-256, and s in the lower half alone
	RS256 Algorithm = "RS256" // RSA, PKCS #1 v1.5 with SHA-256
)

const (
	rsaBits     = 3072 // of new keys
	rsaMinBits  = 2048 // of keys from a file
	rsaMaxBits  = 4096
	rsaExponent = 65537

	scalarSize = 32 // bytes of a number of P-256
)

// Valid says whether a is one of the three.
func (a Algorithm) Valid() bool { return a == EdDSA || a == ES256 || a == RS256 }

// fits says whether a signature of a can have size bytes. That of RS256 is as long as its key, which
// is not known before kid is believed, so here it has to be as long as some key could be.
func (a Algorithm) fits(size int) bool {
	switch a {
	case EdDSA:
		return size == ed25519.SignatureSize
	case ES256:
		return size == 2*scalarSize
	default:
		return size >= rsaMinBits/8 && size <= rsaMaxBits/8
	}
}

func (a Algorithm) jwa() jwa.SignatureAlgorithm { return jwa.SignatureAlgorithm(a) }

// generate makes a new private key. What is not RSA comes from random alone, so that tests can have
// the same key again; the standard library takes RSA keys from the system's source in any case.
func (a Algorithm) generate(random io.Reader) (crypto.Signer, error) {
	switch a {
	case EdDSA:
		seed := make([]byte, ed25519.SeedSize)
		if _, err := io.ReadFull(random, seed); err != nil {
			return nil, fmt.Errorf("reading random bytes: %w", err)
		}
		return ed25519.NewKeyFromSeed(seed), nil
	case ES256:
		return generateES256(random)
	case RS256:
		return rsa.GenerateKey(random, rsaBits)
	default:
		return nil, fmt.Errorf("the algorithm %q is unknown", a)
	}
}

// generateES256 draws until the bytes are a number below the order of the group: more often than
// once in 2^32 tries they are.
func generateES256(random io.Reader) (*ecdsa.PrivateKey, error) {
	const attempts = 8 // a source that fails so often is no random one
	scalar := make([]byte, scalarSize)
	for range attempts {
		if _, err := io.ReadFull(random, scalar); err != nil {
			return nil, fmt.Errorf("reading random bytes: %w", err)
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("the random source gives no key of P-256")
}

var (
	groupOrder = elliptic.P256().Params().N
	halfOrder  = new(big.Int).Rsh(groupOrder, 1)
)

// lowS says whether the s of an ES256 signature is in the lower half. Whoever has a good signature
// (r, s) can make (r, n-s), which is as good to a usual verifier: one of the two must not be a token.
// That r and s are in the range of the group at all is left to crypto/ecdsa.
func lowS(signature []byte) bool {
	return new(big.Int).SetBytes(signature[scalarSize:]).Cmp(halfOrder) <= 0
}

// lowSigner makes ES256 signatures whose s is in the lower half.
type lowSigner struct{ *ecdsa.PrivateKey }

// Sign implements crypto.Signer.
func (l lowSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	der, err := l.PrivateKey.Sign(random, digest, opts)
	if err != nil {
		return nil, err
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &signature); err != nil {
		return nil, err
	}
	if signature.S.Cmp(halfOrder) > 0 {
		signature.S.Sub(groupOrder, signature.S)
	}
	return asn1.Marshal(signature)
}
