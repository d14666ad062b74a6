package token

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"devicegate/db"
)

// A signing key is one record below keyPrefix, under a number that counts up:
//
//	w/k/00000001  {"schema":2, "kid":..., "alg":..., "state":..., "created":...,
//	               "signs_from":..., "retires_at":..., "private_jwk":{...} or "encrypted":"..."}
//
// The record of a retired key stays for ever without its private part, so that the kid never comes
// back. Schema 1, the first, had neither of the times, was never encrypted and knew Ed25519 alone; it
// is read and becomes schema 2 with the next change of the key.
const (
	keySchema    = 2
	firstSchema  = 1
	keyPrefix    = db.WatchedPrefix + "k/" // watched: every process must verify with the same keys
	numberDigits = 8
)

// State says what a key is used for. The store holds exactly one Signing key.
type State string

// The states in the order of a key's life.
const (
	Published State = "published" // in the JWKS and verifies; does not sign, not yet or no longer
	Signing   State = "signing"   // in the JWKS, verifies, and signs what is issued
	Retired   State = "retired"   // neither public nor good for anything
)

// keyRecord is one signing key as it is stored.
type keyRecord struct {
	Schema    int       `json:"schema"`
	KeyID     string    `json:"kid"`
	Algorithm Algorithm `json:"alg"`
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	// SignsFrom is, of a key that waits, when it may begin to sign; of every other, when it began.
	SignsFrom time.Time `json:"signs_from,omitzero"`
	// RetiresAt is set when a key stops signing: no token of its can live from then on. Of a retired
	// key it is when that happened.
	RetiresAt  time.Time      `json:"retires_at,omitzero"`
	PrivateJWK jsontext.Value `json:"private_jwk,omitzero"`
	Encrypted  []byte         `json:"encrypted,omitzero"` // private_jwk, by the sealer
}

// stored is a record that was read and checked.
type stored struct {
	entry  db.Entry
	record keyRecord
	key    *keyPair // nil exactly when the key is retired
}

// waiting says whether the key is published for its first use, old whether after its last. The first
// schema did not tell; such a key verifies until its time to retire is set.
func (s *stored) waiting() bool {
	return s.record.State == Published && s.record.RetiresAt.IsZero() && s.record.Schema == keySchema
}

func (s *stored) old() bool { return s.record.State == Published && !s.waiting() }

func (s *stored) live() bool { return s.record.State != Retired }

// plain says whether there is a private part that an encryption key would have to cover, or that a
// retired key should not have any more.
func (s *stored) plain() bool {
	return s.record.PrivateJWK != nil || (!s.live() && s.record.Encrypted != nil)
}

// newKeyRecord makes a new key.
func newKeyRecord(alg Algorithm, random io.Reader, now time.Time, seal *sealer) (keyRecord, error) {
	secret, err := alg.generate(random)
	if err != nil {
		return keyRecord{}, err
	}
	key, err := newKeyPair(secret)
	if err != nil {
		return keyRecord{}, err
	}
	r := keyRecord{Schema: keySchema, KeyID: key.kid, Algorithm: alg, Created: now.UTC()}
	private, err := key.privateJWK()
	if err != nil {
		return keyRecord{}, err
	}
	r.PrivateJWK = private
	return r.sealed(seal)
}

// sealed returns r with its private part encrypted, where there is a key for that.
func (r keyRecord) sealed(seal *sealer) (keyRecord, error) {
	if seal == nil || r.PrivateJWK == nil {
		return r, nil
	}
	encrypted, err := seal.seal(r.PrivateJWK, label(keySchema, r.KeyID, r.Algorithm))
	r.PrivateJWK, r.Encrypted = nil, encrypted
	return r, err
}

func (r keyRecord) put(name string) (db.Write, error) {
	r.Schema = keySchema
	value, err := json.Marshal(r)
	return db.Put(name, value), err
}

// retire returns r as a key that is good for nothing any more.
func (r keyRecord) retire(now time.Time) keyRecord {
	r.State, r.RetiresAt, r.PrivateJWK, r.Encrypted = Retired, now.UTC(), nil, nil
	return r
}

// parseKeyRecord reads and checks a record. It fails closed: whatever it does not know is an error.
// No error shows a byte of the private key.
func parseKeyRecord(entry db.Entry, seal *sealer) (*stored, error) {
	var version struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(entry.Value, &version); err != nil {
		return nil, errors.New("it is not a JSON object with a schema version")
	}
	if version.Schema != keySchema && version.Schema != firstSchema {
		return nil, fmt.Errorf("its schema is %d, this program knows %d and %d: run the program that wrote it", version.Schema, firstSchema, keySchema)
	}
	s := &stored{entry: entry}
	if err := json.Unmarshal(entry.Value, &s.record, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("a member is unknown or of the wrong type")
	}
	if err := s.record.check(); err != nil {
		return nil, err
	}
	if !s.live() {
		return s, nil
	}
	if s.record.Schema == firstSchema {
		s.record.SignsFrom = s.record.Created
	}
	var err error
	s.key, err = s.record.open(seal)
	return s, err
}

// check looks at everything but the private part.
func (r *keyRecord) check() error {
	if !r.Algorithm.Valid() {
		return fmt.Errorf("its alg is %.20q, only %s, %s and %s are known", r.Algorithm, EdDSA, ES256, RS256)
	}
	if r.State != Published && r.State != Signing && r.State != Retired {
		return fmt.Errorf("its state is %.20q, not %s, %s or %s", r.State, Published, Signing, Retired)
	}
	if r.KeyID == "" {
		return errors.New("it has no kid")
	}
	if r.Created.IsZero() {
		return errors.New("it does not say when it was created")
	}
	second := !r.SignsFrom.IsZero() || !r.RetiresAt.IsZero() || r.Encrypted != nil || r.Algorithm != EdDSA
	if r.Schema == firstSchema && second {
		return errors.New("it has members of a later schema")
	}
	if r.Schema == keySchema && r.State != Retired && r.SignsFrom.IsZero() {
		return errors.New("it does not say when it signs")
	}
	if r.State == Signing && !r.RetiresAt.IsZero() {
		return errors.New("it signs and is to be retired")
	}
	return nil
}

// open reads the private part and compares it with what the record says of it.
func (r *keyRecord) open(seal *sealer) (*keyPair, error) {
	private := []byte(r.PrivateJWK)
	if (private == nil) == (r.Encrypted == nil) {
		return nil, errors.New("it needs a private_jwk or an encrypted one, and not both")
	}
	if private == nil {
		var err error
		if private, err = seal.open(r.Encrypted, label(r.Schema, r.KeyID, r.Algorithm)); err != nil {
			return nil, err
		}
	}
	key, meant, err := parseJWK(private)
	if err != nil {
		return nil, fmt.Errorf("its private_jwk: %w", err)
	}
	if meant.KeyID != nil || meant.Algorithm != nil || meant.Use != nil || meant.Operations != nil || meant.Extract != nil {
		return nil, errors.New("its private_jwk has members beside the key's own")
	}
	if key.alg != r.Algorithm {
		return nil, fmt.Errorf("its alg is %s but the key is one for %s", r.Algorithm, key.alg)
	}
	if key.kid != r.KeyID {
		return nil, fmt.Errorf("its kid is %.64q but the thumbprint of the key is %q", r.KeyID, key.kid)
	}
	return key, nil
}
