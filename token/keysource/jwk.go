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
	"math/big"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"devicegate/safetext"
)

// members are those of a JWK (RFC 7517, section 4, RFC 7518, section 6, RFC 8037) that matter here. Of the private
// ones it matters only that they are there. jwx is not asked: it takes padding, points off the curve, and numbers
// of the wrong length.
type members struct {
	KeyType    string   `json:"kty"`
	KeyID      *string  `json:"kid"`
	Algorithm  *string  `json:"alg"`
	Use        *string  `json:"use"`
	Operations []string `json:"key_ops"`

	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
	N     string `json:"n"`
	E     string `json:"e"`

	Secret      jsontext.Value `json:"k"`
	Private     jsontext.Value `json:"d"`
	FirstPrime  jsontext.Value `json:"p"`
	SecondPrime jsontext.Value `json:"q"`
	FirstCRT    jsontext.Value `json:"dp"`
	SecondCRT   jsontext.Value `json:"dq"`
	Coefficient jsontext.Value `json:"qi"`
	Others      jsontext.Value `json:"oth"`
}

// exposed says whether the JWK holds what only the issuer may know. Some libraries write null or "" for what is
// not there.
func (m *members) exposed() bool {
	for _, v := range []jsontext.Value{m.Secret, m.Private, m.FirstPrime, m.SecondPrime, m.FirstCRT, m.SecondCRT, m.Coefficient, m.Others} {
		if len(v) > 0 && v.Kind() != 'n' && string(v) != `""` {
			return true
		}
	}
	return false
}

// title names the JWK in messages.
func (m *members) title(index int) string {
	if m.KeyID == nil {
		return fmt.Sprintf("key %d without kid", index+1)
	}
	return fmt.Sprintf("kid %q", safetext.Bound(*m.KeyID, maxShownKid))
}

// key returns the public key that m describes, bound to algorithms. Its errors are the end of a sentence about it.
func (m *members) key(list []string) (*key, error) {
	if m.KeyID == nil || *m.KeyID == "" {
		return nil, errors.New("it has no kid (a single key is also taken as public_key_file)")
	}
	if m.Use != nil && *m.Use != "sig" {
		return nil, fmt.Errorf("its use is %.20q and not \"sig\"", *m.Use)
	}
	if m.Operations != nil && !slices.Contains(m.Operations, "verify") {
		return nil, errors.New(`its key_ops do not hold "verify"`)
	}
	public, err := m.public()
	if err != nil {
		return nil, err
	}
	k, err := newPublicKey(public, list)
	if err != nil || m.Algorithm == nil {
		return k, err
	}
	return k.narrowed(*m.Algorithm)
}

func (m *members) public() (crypto.PublicKey, error) {
	switch m.KeyType {
	case "RSA":
		return m.rsa()
	case "EC":
		return m.ec()
	case "OKP":
		if m.Curve != "Ed25519" {
			return nil, fmt.Errorf("its curve is %.20q: of OKP only Ed25519 is accepted", m.Curve)
		}
		point, err := decode("x", m.X)
		return ed25519.PublicKey(point), err
	case "oct":
		return nil, errors.New("it is a shared secret, which a JWK set must not hold")
	default:
		return nil, fmt.Errorf("its kty is %.20q: RSA, EC and OKP are accepted", m.KeyType)
	}
}

// rsa allows zero bytes in front of the modulus, which RFC 7518, section 6.3.1.1, says some libraries write.
func (m *members) rsa() (*rsa.PublicKey, error) {
	modulus, err := decode("n", m.N)
	if err != nil {
		return nil, err
	}
	exponent, err := decode("e", m.E)
	if err != nil {
		return nil, err
	}
	e := new(big.Int).SetBytes(exponent)
	if e.Cmp(big.NewInt(rsaMaxExponent)) > 0 {
		return nil, fmt.Errorf("it is an RSA key of an exponent over %d", rsaMaxExponent)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())}, nil
}

// ec demands coordinates of their full length (RFC 7518, section 6.2.1.2) and a point that is on the curve.
func (m *members) ec() (*ecdsa.PublicKey, error) {
	curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[m.Curve]
	if !ok {
		return nil, fmt.Errorf("its curve is %.20q: P-256, P-384 and P-521 are accepted", m.Curve)
	}
	x, err := decode("x", m.X)
	if err != nil {
		return nil, err
	}
	y, err := decode("y", m.Y)
	if err != nil {
		return nil, err
	}
	if size := (curve.Params().BitSize + 7) / 8; len(x) != size || len(y) != size {
		return nil, fmt.Errorf("its x and y have %d and %d bytes instead of %d", len(x), len(y), size)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return nil, errors.New("its x and y are no point of its curve")
	}
	return public, nil
}

// decode decodes unpadded base64url, not empty. The decoder skips line breaks, hence the look for them.
func decode(name, value string) ([]byte, error) {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(decoded) == 0 || strings.ContainsAny(value, "\r\n") {
		return nil, fmt.Errorf("its %s is missing or no base64url without padding", name)
	}
	return decoded, nil
}
