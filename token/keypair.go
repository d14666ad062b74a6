package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// keyPair is a checked private key, bound to its algorithm.
type keyPair struct {
	kid    string // the RFC 7638 thumbprint, so that no two keys can share one
	alg    Algorithm
	signer crypto.Signer     // what signs: for ES256 with a low s
	secret crypto.PrivateKey // the key itself
	public crypto.PublicKey
}

// newKeyPair checks a private key of whatever origin. Its errors are the end of a sentence about the
// key, and show no byte of it.
func newKeyPair(secret crypto.PrivateKey) (*keyPair, error) {
	switch secret := secret.(type) {
	case ed25519.PrivateKey:
		// Whoever read it has derived the public half from the private one, or compared them.
		return identify(&keyPair{alg: EdDSA, signer: secret, secret: secret, public: secret.Public()})
	case *ecdsa.PrivateKey:
		return newP256(secret)
	case *rsa.PrivateKey:
		return newRSA(secret)
	default:
		return nil, errors.New("it is none of Ed25519, EC P-256 and RSA")
	}
}

func newP256(secret *ecdsa.PrivateKey) (*keyPair, error) {
	if secret.Curve != elliptic.P256() {
		return nil, errors.New("it is of another curve than P-256, the only one accepted")
	}
	scalar, err := secret.Bytes()
	if err != nil {
		return nil, errors.New("one of its numbers is out of range")
	}
	derived, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil || !derived.PublicKey.Equal(&secret.PublicKey) {
		return nil, errors.New("its public half does not belong to the private one")
	}
	return identify(&keyPair{alg: ES256, signer: lowSigner{derived}, secret: derived, public: &derived.PublicKey})
}

// newRSA computes anew what the file may say about the key beside n, e, d and the primes, because a
// wrong one of those values gives the key away with the first signature.
func newRSA(secret *rsa.PrivateKey) (*keyPair, error) {
	if bits := secret.N.BitLen(); bits < rsaMinBits || bits > rsaMaxBits {
		return nil, fmt.Errorf("it is an RSA key of %d bits: %d to %d are accepted, %d is a good choice", bits, rsaMinBits, rsaMaxBits, rsaBits)
	}
	if secret.E != rsaExponent {
		return nil, fmt.Errorf("it is an RSA key of the exponent %d: only %d is accepted", secret.E, rsaExponent)
	}
	if len(secret.Primes) != 2 {
		return nil, errors.New("it is an RSA key without its two primes")
	}
	for _, prime := range secret.Primes {
		if !prime.ProbablyPrime(0) {
			return nil, errors.New("it is an RSA key whose factors are not prime")
		}
	}
	fresh := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: secret.N, E: secret.E}, D: secret.D, Primes: secret.Primes}
	fresh.Precompute()
	if err := fresh.Validate(); err != nil {
		return nil, errors.New("it is an RSA key whose numbers contradict each other or are weak")
	}
	return identify(&keyPair{alg: RS256, signer: fresh, secret: fresh, public: &fresh.PublicKey})
}

// identify sets the kid.
func identify(pair *keyPair) (*keyPair, error) {
	key, err := jwk.FromRaw(pair.public)
	if err != nil {
		return nil, errors.New("its public half cannot be written as a JWK")
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, errors.New("its thumbprint cannot be computed")
	}
	pair.kid = base64.RawURLEncoding.EncodeToString(sum)
	return pair, nil
}

// privateJWK returns the key as it is stored.
func (k *keyPair) privateJWK() ([]byte, error) {
	key, err := jwk.FromRaw(k.secret)
	if err != nil {
		return nil, err
	}
	return stdjson.Marshal(key)
}

// publicJWK is made from the public key alone, so that no private member can be left in it.
func (k *keyPair) publicJWK() (jwk.Key, error) {
	public, err := jwk.FromRaw(k.public)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		jwk.KeyIDKey: k.kid, jwk.AlgorithmKey: k.alg.jwa(), jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := public.Set(name, value); err != nil {
			return nil, err
		}
	}
	return public, nil
}

// jwkMembers are the members that make a private JWK of our three kinds. Others (x5c, oth, k) could
// say that the key is meant for something else, so they are refused and not ignored.
type jwkMembers struct {
	KeyType string `json:"kty"`
	Curve   string `json:"crv"`
	X       string `json:"x"`
	Y       string `json:"y"`
	D       string `json:"d"`
	N       string `json:"n"`
	E       string `json:"e"`
	P       string `json:"p"`
	Q       string `json:"q"`
	DP      string `json:"dp"`
	DQ      string `json:"dq"`
	QI      string `json:"qi"`
	meantBy
}

// meantBy is what a JWK in a file may say about its use, and one in the store does not.
type meantBy struct {
	KeyID      *string  `json:"kid"` // not ours: the kid is always the thumbprint
	Algorithm  *string  `json:"alg"`
	Use        *string  `json:"use"`
	Operations []string `json:"key_ops"`
	Extract    *bool    `json:"ext"`
}

// parseJWK reads one private JWK. Its errors are the end of a sentence about the key, and show no
// byte of it.
func parseJWK(raw []byte) (*keyPair, meantBy, error) {
	var m jwkMembers
	if err := json.Unmarshal(raw, &m, json.RejectUnknownMembers(true)); err != nil {
		return nil, meantBy{}, errors.New("it has a member that no private signing key has, or one twice or of the wrong type")
	}
	if err := m.complete(); err != nil {
		return nil, meantBy{}, err
	}
	key, err := jwk.ParseKey(raw)
	if err != nil {
		return nil, meantBy{}, errors.New("it is no JWK")
	}
	var secret any
	if err := key.Raw(&secret); err != nil {
		return nil, meantBy{}, errors.New("its numbers make no key: d must be of the right length and the public half its own")
	}
	pair, err := newKeyPair(secret)
	return pair, m.meantBy, err
}

// complete demands a kind that we know, its private members, and none of another kind.
func (m *jwkMembers) complete() error {
	var missing, foreign bool
	rsaPart := m.N + m.E + m.P + m.Q + m.DP + m.DQ + m.QI
	switch kind := [2]string{m.KeyType, m.Curve}; kind {
	case [2]string{jwa.OKP.String(), jwa.Ed25519.String()}:
		missing, foreign = m.D == "" || m.X == "", m.Y+rsaPart != ""
	case [2]string{jwa.EC.String(), jwa.P256.String()}:
		missing, foreign = m.D == "" || m.X == "" || m.Y == "", rsaPart != ""
	case [2]string{jwa.RSA.String()}:
		missing, foreign = m.D == "" || m.N == "" || m.E == "" || m.P == "" || m.Q == "", m.X+m.Y != ""
	default:
		return fmt.Errorf("it is of type %.20q and curve %.20q: only OKP with Ed25519, EC with P-256 and RSA are accepted", m.KeyType, m.Curve)
	}
	if foreign {
		return errors.New("it has members of another type of key")
	}
	if missing {
		return errors.New("it lacks its private part (for RSA with both primes) or its public one: a whole private key is needed")
	}
	return nil
}

// signing demands that nothing in m speaks against signing with alg (RFC 7517, section 4).
func (m meantBy) signing(alg Algorithm) error {
	if m.Algorithm != nil && *m.Algorithm != string(alg) {
		return fmt.Errorf("its alg is %.20q, but the key is one for %s", *m.Algorithm, alg)
	}
	if m.Use != nil && *m.Use != string(jwk.ForSignature) {
		return fmt.Errorf("its use is %.20q and not %q", *m.Use, jwk.ForSignature)
	}
	if m.Operations != nil && !slices.Contains(m.Operations, "sign") {
		return errors.New(`its key_ops do not allow "sign"`)
	}
	return nil
}
