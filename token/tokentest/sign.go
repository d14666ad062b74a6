package tokentest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
)

// Sign makes the honest signature of each algorithm: that of P-256 with a low s.
func Sign(key crypto.Signer, input string) string {
	sum := sha256.Sum256([]byte(input))
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return string(ed25519.Sign(k, []byte(input)))
	case *ecdsa.PrivateKey:
		r, s := ECDSAParts(k, sum[:])
		return Fixed(r, s)
	default:
		return string(must(key.Sign(rand.Reader, sum[:], crypto.SHA256)))
	}
}

// ECDSAParts returns a signature with a low s, the same each time (RFC 6979).
func ECDSAParts(key *ecdsa.PrivateKey, digest []byte) (r, s *big.Int) {
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(must(key.Sign(nil, digest, crypto.SHA256)), &signature); err != nil {
		panic(err)
	}
	order := key.Params().N
	if new(big.Int).Lsh(signature.S, 1).Cmp(order) > 0 {
		signature.S.Sub(order, signature.S)
	}
	return signature.R, signature.S
}

// Fixed writes a pair of numbers as a signature of ES256.
func Fixed(r, s *big.Int) string {
	return string(r.FillBytes(make([]byte, 32))) + string(s.FillBytes(make([]byte, 32)))
}

// SignToken returns a compact JWS of any header and claims.
func SignToken(key crypto.Signer, header, claims string) string {
	input := B64(header) + "." + B64(claims)
	return input + "." + B64(Sign(key, input))
}
