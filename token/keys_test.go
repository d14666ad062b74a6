package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"time"

	"devicegate/token"
)

var algorithms = []token.Algorithm{token.EdDSA, token.ES256, token.RS256}

// The keys of tests are the same in every process, so that fuzzing's workers share their seeds.
var (
	testEd25519 = sync.OnceValue(func() crypto.Signer {
		return ed25519.NewKeyFromSeed([]byte("thirty-two bytes that are no key"))
	})
	testP256 = sync.OnceValue(func() crypto.Signer {
		return mustRaw(ecdsa.ParseRawPrivateKey(elliptic.P256(), []byte("thirty-two bytes that are no key")))
	})
	testRSA = sync.OnceValue(func() crypto.Signer { return makeRSA(2048, 65537) })
)

func testKey(alg token.Algorithm) crypto.Signer {
	return map[token.Algorithm]func() crypto.Signer{token.EdDSA: testEd25519, token.ES256: testP256, token.RS256: testRSA}[alg]()
}

func mustRaw[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// makeRSA makes the same key each time, of any size and exponent.
func makeRSA(bits, exponent int) *rsa.PrivateKey {
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

// privateJWK writes a private key as RFC 7517 and RFC 8037 say, and its kid as RFC 7638 says.
func privateJWK(key crypto.Signer) (map[string]any, string) {
	n := func(i *big.Int) string { return b64(string(i.Bytes())) }
	var jwk map[string]any
	var canonical string
	switch k := key.(type) {
	case ed25519.PrivateKey:
		x := b64(string(k.Public().(ed25519.PublicKey)))
		jwk = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": x, "d": b64(string(k.Seed()))}
		canonical = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, x)
	case *ecdsa.PrivateKey:
		point, scalar := mustRaw(k.PublicKey.Bytes()), mustRaw(k.Bytes())
		x, y := b64(string(point[1:1+len(point)/2])), b64(string(point[1+len(point)/2:]))
		jwk = map[string]any{"kty": "EC", "crv": k.Params().Name, "x": x, "y": y, "d": b64(string(scalar))}
		canonical = fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, k.Params().Name, x, y)
	case *rsa.PrivateKey:
		e := n(big.NewInt(int64(k.E)))
		jwk = map[string]any{
			"kty": "RSA", "n": n(k.N), "e": e, "d": n(k.D), "p": n(k.Primes[0]), "q": n(k.Primes[1]),
			"dp": n(k.Precomputed.Dp), "dq": n(k.Precomputed.Dq), "qi": n(k.Precomputed.Qinv),
		}
		canonical = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, e, n(k.N))
	}
	sum := sha256.Sum256([]byte(canonical))
	return jwk, b64(string(sum[:]))
}

func kidOf(key crypto.Signer) string {
	_, kid := privateJWK(key)
	return kid
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

// signInput makes the honest signature of each algorithm: that of P-256 with a low s.
func signInput(key crypto.Signer, input string) string {
	sum := sha256.Sum256([]byte(input))
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return string(ed25519.Sign(k, []byte(input)))
	case *ecdsa.PrivateKey:
		r, s := ecdsaParts(k, sum[:])
		return fixed(r, s)
	default:
		return string(mustRaw(key.Sign(rand.Reader, sum[:], crypto.SHA256)))
	}
}

// ecdsaParts returns a signature with a low s, the same each time (RFC 6979).
func ecdsaParts(key *ecdsa.PrivateKey, digest []byte) (r, s *big.Int) {
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(mustRaw(key.Sign(nil, digest, crypto.SHA256)), &signature); err != nil {
		panic(err)
	}
	order := key.Params().N
	if new(big.Int).Lsh(signature.S, 1).Cmp(order) > 0 {
		signature.S.Sub(order, signature.S)
	}
	return signature.R, signature.S
}

func fixed(r, s *big.Int) string {
	return string(r.FillBytes(make([]byte, 32))) + string(s.FillBytes(make([]byte, 32)))
}

func signWith(key crypto.Signer, header, claims string) string {
	input := b64(header) + "." + b64(claims)
	return input + "." + b64(signInput(key, input))
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
