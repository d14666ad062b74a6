package tokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"sync"

	"devicegate/token"
)

// UnknownKey returns a key that no gate knows.
func UnknownKey(alg token.Algorithm) crypto.Signer {
	switch alg {
	case token.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return must(key, err)
	case token.ES256:
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	default:
		return unknownRSA()
	}
}

var unknownRSA = sync.OnceValue(func() crypto.Signer { return RSAKey(2048, 65539) })
