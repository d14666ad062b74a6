package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"devicegate/token"
	"devicegate/token/tokentest"
)

// What the forger has as well, by the names that the tests of this package call it.
var (
	algorithms = tokentest.Algorithms
	testKey    = tokentest.PrivateKey
	makeRSA    = tokentest.RSAKey
	privateJWK = tokentest.PrivateJWK
	kidOf      = tokentest.KeyID
	signWith   = tokentest.SignToken
	anotherKey = tokentest.UnknownKey
	publicJWK  = tokentest.PublicJWK
	b64        = tokentest.B64
)

func testEd25519() crypto.Signer { return testKey(token.EdDSA) }
func testP256() crypto.Signer    { return testKey(token.ES256) }
func testRSA() crypto.Signer     { return testKey(token.RS256) }

func mustRaw[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// recordOf returns the record of a key as a JSON object that a test can change.
func recordOf(alg token.Algorithm, key crypto.Signer, state token.State) map[string]any {
	jwk, kid := privateJWK(key)
	at := time.Unix(start, 0).UTC().Format(time.RFC3339)
	r := map[string]any{"schema": 2, "kid": kid, "alg": alg, "state": state, "created": at, "signs_from": at, "private_jwk": jwk}
	if state == token.Published {
		r["retires_at"] = "2099-01-01T00:00:00Z"
	}
	return r
}

// fromRecord returns the private key of a record.
func fromRecord(tb testing.TB, record map[string]any) crypto.Signer {
	tb.Helper()
	jwk := record["private_jwk"].(map[string]any)
	get := func(name string) []byte { return must(base64.RawURLEncoding.DecodeString(jwk[name].(string)))(tb) }
	n := func(name string) *big.Int { return new(big.Int).SetBytes(get(name)) }
	switch jwk["kty"] {
	case "OKP":
		return ed25519.NewKeyFromSeed(get("d"))
	case "EC":
		return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), get("d")))(tb)
	default:
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n("n"), E: int(n("e").Int64())}, D: n("d"), Primes: []*big.Int{n("p"), n("q")}}
		key.Precompute()
		return key
	}
}

// newTrio is a fixture whose store holds a key of each algorithm: alg's signs, the others are on
// their way out and still verify.
func newTrio(tb testing.TB, cfg token.Config, alg token.Algorithm) *fixture {
	tb.Helper()
	store := newMemoryStore()
	for i, a := range algorithms {
		state := token.Published
		if a == alg {
			state = token.Signing
		}
		store.put(tb, fmt.Sprintf("w/k/%08d", i+1), recordOf(a, testKey(a), state))
	}
	f := &fixture{clock: &clock{}, store: store, signed: map[string]bool{}, alg: alg, private: testKey(alg), kid: kidOf(testKey(alg))}
	f.clock.unix.Store(start)
	f.open(tb, cfg, rand.Reader)
	return f
}

// eachAlgorithm runs a test of what holds for every algorithm.
func eachAlgorithm(t *testing.T, cfg token.Config, test func(t *testing.T, f *fixture)) {
	for _, alg := range algorithms {
		t.Run(string(alg), func(t *testing.T) { test(t, newTrio(t, cfg, alg)) })
	}
}
