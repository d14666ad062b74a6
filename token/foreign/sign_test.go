package foreign_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"sync"
)

var (
	hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
	publicAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	everyAlgorithm   = slices.Concat(secretAlgorithms, publicAlgorithms)
)

// pool is the private keys of all issuers, and of nobody. Making those of RSA takes a while, so it is made once.
var pool = sync.OnceValue(func() map[string]any {
	return map[string]any{
		"secret": []byte("fifty letters that only Django and the gate know!!"), "secret2": []byte("fifty letters that another Django knows, and we no"),
		"rsa": must(rsa.GenerateKey(rand.Reader, 2048)), "rsa2": must(rsa.GenerateKey(rand.Reader, 2048)), "rsa3": must(rsa.GenerateKey(rand.Reader, 2048)),
		"p256": ecKey(elliptic.P256(), 1), "p256b": ecKey(elliptic.P256(), 2), "p384": ecKey(elliptic.P384(), 3), "p521": ecKey(elliptic.P521(), 4),
		"ed": edKey(1), "ed2": edKey(2), "ed3": edKey(3), "ed4": edKey(4),
	}
})

func ecKey(curve elliptic.Curve, seed byte) *ecdsa.PrivateKey {
	scalar := make([]byte, (curve.Params().BitSize+7)/8)
	for i := 1; i < len(scalar); i++ { // the first byte stays zero: below the order of every group
		scalar[i] = seed + byte(i)
	}
	return must(ecdsa.ParseRawPrivateKey(curve, scalar))
}

func edKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// keyFor names the key of the pool that signs in alg.
func keyFor(alg string) string {
	switch {
	case alg[:2] == "HS":
		return "secret"
	case alg == "ES256":
		return "p256"
	case alg == "ES384":
		return "p384"
	case alg == "ES512":
		return "p521"
	case alg == "EdDSA":
		return "ed"
	default:
		return "rsa"
	}
}

// signature makes an honest signature with the standard library alone. key is a signer or the bytes of a secret.
func signature(alg string, key any, input string) string {
	if alg == "EdDSA" {
		return string(ed25519.Sign(key.(ed25519.PrivateKey), []byte(input)))
	}
	hash := hashes[alg[2:]]
	if alg[:2] == "HS" {
		return hmacOf(hash, key.([]byte), input)
	}
	h := hash.New()
	h.Write([]byte(input))
	digest := h.Sum(nil)
	switch alg[:2] {
	case "RS":
		return string(must(rsa.SignPKCS1v15(nil, key.(*rsa.PrivateKey), hash, digest)))
	case "PS":
		return string(must(rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})))
	default:
		private := key.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, private, digest)
		if err != nil {
			panic(err)
		}
		return fixed(private, r, s)
	}
}

func hmacOf(hash crypto.Hash, key []byte, input string) string {
	mac := hmac.New(hash.New, key)
	mac.Write([]byte(input))
	return string(mac.Sum(nil))
}

// fixed writes the two numbers of an ECDSA signature in their full length.
func fixed(key *ecdsa.PrivateKey, r, s *big.Int) string {
	size := (key.Params().BitSize + 7) / 8
	return string(append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...))
}

// numbers are the two numbers of an ECDSA signature.
func numbers(signature string) (r, s *big.Int) {
	half := len(signature) / 2
	return new(big.Int).SetBytes([]byte(signature[:half])), new(big.Int).SetBytes([]byte(signature[half:]))
}

// twinOf returns the token with the other signature (r, n-s) that anyone can make of one of ECDSA.
func twinOf(key *ecdsa.PrivateKey, raw string) string {
	input, signature := split(raw)
	r, s := numbers(signature)
	return input + "." + b64(fixed(key, r, new(big.Int).Sub(key.Params().N, s)))
}

// split returns what was signed, and the signature.
func split(raw string) (input, signature string) {
	input = raw[:strings.LastIndex(raw, ".")]
	return input, string(must(base64.RawURLEncoding.DecodeString(raw[len(input)+1:])))
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func publicOf(key any) crypto.PublicKey { return key.(crypto.Signer).Public() }

// jwk returns the public JWK of a key of the pool.
func jwk(name, kid string) map[string]any {
	m := map[string]any{"kid": kid, "use": "sig"}
	switch public := publicOf(pool()[name]).(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(string(public.N.Bytes())), "AQAB"
	case *ecdsa.PublicKey:
		point := string(must(public.Bytes())[1:])
		m["kty"], m["crv"], m["x"], m["y"] = "EC", public.Params().Name, b64(point[:len(point)/2]), b64(point[len(point)/2:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(string(public))
	}
	return m
}

func jwks(keys ...map[string]any) string {
	return string(must(json.Marshal(map[string]any{"keys": keys})))
}

func der(key any) []byte { return must(x509.MarshalPKIXPublicKey(publicOf(key))) }

func publicPEM(key any) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der(key)}))
}

// rawPublic is a public key in the shortest form that a MAC could be made with.
func rawPublic(key any) []byte {
	switch public := publicOf(key).(type) {
	case ed25519.PublicKey:
		return public
	case *ecdsa.PublicKey:
		return must(public.Bytes())
	default:
		return public.(*rsa.PublicKey).N.Bytes()
	}
}
