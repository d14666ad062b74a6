package token

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

const keySchema = 1

// State says what a key is used for. The store always holds exactly one Signing key.
type State string

// The states in the order of a key's life.
const (
	Published State = "published" // in the JWKS and verifies; does not sign, not yet or no longer
	Signing   State = "signing"   // in the JWKS, verifies, and signs what is issued
	Retired   State = "retired"   // neither public nor good for anything
)

// keyRecord is one signing key as it is stored, below keyPrefix under a number that counts up.
type keyRecord struct {
	Schema     int            `json:"schema"`
	KeyID      string         `json:"kid"` // the RFC 7638 thumbprint, so that no two keys can share one
	Algorithm  string         `json:"alg"`
	PrivateJWK jsontext.Value `json:"private_jwk"`
	Created    time.Time      `json:"created"`
	State      State          `json:"state"`
}

// privateMembers are the only members a private JWK may have. Others (use, key_ops, x5c) could say
// that the key is meant for something else, so they are refused and not ignored.
type privateMembers struct {
	KeyType string `json:"kty"`
	Curve   string `json:"crv"`
	X       string `json:"x"`
	D       string `json:"d"`
}

// signingKey is a checked key.
type signingKey struct {
	kid     string
	state   State
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

// newKeyRecord makes a new Ed25519 key from 32 bytes of rand and returns its record.
func newKeyRecord(rand io.Reader, now time.Time, state State) ([]byte, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(rand, seed); err != nil {
		return nil, fmt.Errorf("reading random bytes: %w", err)
	}
	key, err := jwk.FromRaw(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, err
	}
	kid, err := thumbprint(key)
	if err != nil {
		return nil, err
	}
	private, err := stdjson.Marshal(key)
	if err != nil {
		return nil, err
	}
	return json.Marshal(keyRecord{
		Schema: keySchema, KeyID: kid, Algorithm: algorithm, PrivateJWK: private, Created: now.UTC(), State: state,
	})
}

// parseKeyRecord reads and checks a record. It fails closed: whatever it does not know is an error.
// No error shows a byte of the private key.
func parseKeyRecord(value []byte) (*signingKey, error) {
	var version struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(value, &version); err != nil {
		return nil, errors.New("it is not a JSON object with a schema version")
	}
	if version.Schema != keySchema {
		return nil, fmt.Errorf("its schema is %d, this program knows %d: run the program that wrote it", version.Schema, keySchema)
	}
	var r keyRecord
	if err := json.Unmarshal(value, &r, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("a member is unknown or of the wrong type")
	}
	if r.Algorithm != algorithm {
		return nil, fmt.Errorf("its alg is %q, only %s is known", r.Algorithm, algorithm)
	}
	if r.State != Published && r.State != Signing && r.State != Retired {
		return nil, fmt.Errorf("its state is %q, not %s, %s or %s", r.State, Published, Signing, Retired)
	}
	if r.Created.IsZero() {
		return nil, errors.New("it does not say when it was created")
	}
	private, kid, err := parsePrivate(r.PrivateJWK)
	if err != nil {
		return nil, err
	}
	if r.KeyID != kid {
		return nil, fmt.Errorf("its kid is %q but the thumbprint of the key is %q", r.KeyID, kid)
	}
	return &signingKey{kid: kid, state: r.State, private: private, public: private.Public().(ed25519.PublicKey)}, nil
}

// parsePrivate reads an Ed25519 private JWK and returns the key and its thumbprint. jwx refuses a
// seed that is not 32 bytes and an x that does not belong to d.
func parsePrivate(raw jsontext.Value) (ed25519.PrivateKey, string, error) {
	var m privateMembers
	if err := json.Unmarshal(raw, &m, json.RejectUnknownMembers(true)); err != nil {
		return nil, "", errors.New("private_jwk has a member besides kty, crv, x and d, or one of the wrong type")
	}
	if m.KeyType != jwa.OKP.String() || m.Curve != jwa.Ed25519.String() {
		return nil, "", fmt.Errorf("private_jwk is of type %q and curve %q, only OKP and Ed25519 are known", m.KeyType, m.Curve)
	}
	key, err := jwk.ParseKey(raw)
	if err != nil {
		return nil, "", errors.New("private_jwk is no JWK")
	}
	var private ed25519.PrivateKey
	if err := key.Raw(&private); err != nil {
		return nil, "", errors.New("private_jwk is no Ed25519 private key: d must be 32 bytes and x its public key")
	}
	kid, err := thumbprint(key)
	return private, kid, err
}

// thumbprint returns the RFC 7638 thumbprint (SHA-256) of key, which is its kid.
func thumbprint(key jwk.Key) (string, error) {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("computing the thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
