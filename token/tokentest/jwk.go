package tokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
)

// PrivateJWK writes a private key as RFC 7517 and RFC 8037 say, and its kid as RFC 7638 says.
func PrivateJWK(key crypto.Signer) (map[string]any, string) {
	n := func(i *big.Int) string { return B64(string(i.Bytes())) }
	var jwk map[string]any
	var canonical string
	switch k := key.(type) {
	case ed25519.PrivateKey:
		x := B64(string(k.Public().(ed25519.PublicKey)))
		jwk = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": x, "d": B64(string(k.Seed()))}
		canonical = fmt.Sprintf(`{"crv":"Ed25519","kty":"OKP","x":"%s"}`, x)
	case *ecdsa.PrivateKey:
		point, scalar := must(k.PublicKey.Bytes()), must(k.Bytes())
		x, y := B64(string(point[1:1+len(point)/2])), B64(string(point[1+len(point)/2:]))
		jwk = map[string]any{"kty": "EC", "crv": k.Params().Name, "x": x, "y": y, "d": B64(string(scalar))}
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
	return jwk, B64(string(sum[:]))
}

// KeyID returns the kid of a key: its thumbprint (RFC 7638).
func KeyID(key crypto.Signer) string {
	_, kid := PrivateJWK(key)
	return kid
}
