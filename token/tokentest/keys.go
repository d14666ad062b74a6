package tokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	mathrand "math/rand/v2"
	"sync"

	"devicegate/token"
)

// Algorithms are all that a gate signs with. It is not to be changed.
var Algorithms = []token.Algorithm{token.EdDSA, token.ES256, token.RS256}

// The keys of tests are the same in every process, so that fuzzing's workers share their seeds.
var (
	testEd25519 = sync.OnceValue(func() crypto.Signer {
		return ed25519.NewKeyFromSeed([]byte("thirty-two bytes that are no key"))
	})
	testP256 = sync.OnceValue(func() crypto.Signer {
		return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte("thirty-two bytes that are no key")))
	})
	testRSA = sync.OnceValue(func() crypto.Signer { return RSAKey(2048, 65537) })
)

// PrivateKey returns the one key of tests of an algorithm.
func PrivateKey(alg token.Algorithm) crypto.Signer {
	return map[token.Algorithm]func() crypto.Signer{token.EdDSA: testEd25519, token.ES256: testP256, token.RS256: testRSA}[alg]()
}

// RSAKey makes the same key each time, of any size and exponent.
func RSAKey(bits, exponent int) *rsa.PrivateKey {
	random := mathrand.NewChaCha8([32]byte{byte(bits >> 8), byte(bits), byte(exponent)})
	e, one := big.NewInt(int64(exponent)), big.NewInt(1)
	prime := func() *big.Int {
		buf := make([]byte, bits/16)
		for {
			_, _ = random.Read(buf)
			buf[0] |= 0xc0
			buf[len(buf)-1] |= 1
			p := new(big.Int).SetBytes(buf)
			if new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, one)).Cmp(one) == 0 && p.ProbablyPrime(0) {
				return p
			}
		}
	}
	p, q := prime(), prime()
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: exponent},
		D:         new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q},
	}
	key.Precompute()
	return key
}
