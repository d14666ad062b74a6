package token

import (
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"devicegate/db"
)

// keySet is what checks and issuing go by at one moment. It is never changed.
type keySet struct {
	epoch  uint32 // from 1, raised whenever a key goes, so that no cached verdict outlives its key
	keys   map[string]*keyPair
	signer *keyPair // nil exactly when keys is empty
	jwks   []byte
	list   []Key
}

// Source says where a key is kept.
type Source string

// The sources of keys.
const (
	FromStore Source = "store"
	FromFile  Source = "file"
)

// Key is what may be told about a signing key. Times that are not known or not set are zero.
type Key struct {
	ID        string // kid
	Algorithm Algorithm
	State     State     // of a key of the store beside a key file: Published where it would sign
	Created   time.Time // zero for a key from the file
	SignsFrom time.Time // of a key that waits, when it may begin to sign; of another, when it began
	RetiresAt time.Time // when it is to retire, or did; zero while that is open
	Source    Source
}

// emptySet is what is left when the keys cannot be read whole: every check is refused.
func emptySet(epoch uint32) *keySet {
	return &keySet{epoch: epoch, jwks: []byte(`{"keys":[]}`)}
}

// readRecords checks all records and returns them in the order of their numbers. What was read
// before and is the same is not checked again.
func readRecords(records map[string]db.Entry, before []*stored, seal *sealer) ([]*stored, error) {
	known := map[string]*stored{}
	for _, s := range before {
		known[s.entry.Key] = s
	}
	var list []*stored
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		s, err := readRecord(records[name], known[name], seal)
		if err == nil && seen[s.record.KeyID] { // also a retired one: it must not come back under another number
			err = errors.New("the same key is there twice")
		}
		if err != nil {
			return nil, damaged(name, err)
		}
		seen[s.record.KeyID] = true
		list = append(list, s)
	}
	return list, nil
}

func readRecord(entry db.Entry, known *stored, seal *sealer) (*stored, error) {
	if known != nil && known.entry.Revision == entry.Revision && string(known.entry.Value) == string(entry.Value) {
		return known, nil
	}
	if number(entry.Key) == 0 {
		return nil, fmt.Errorf("its name does not end in a number of %d digits", numberDigits)
	}
	return parseKeyRecord(entry, seal)
}

func damaged(name string, err error) error {
	if errors.Is(err, ErrEncryptionKey) {
		return fmt.Errorf("the signing key %q of the store cannot be used: %w", name, err)
	}
	return fmt.Errorf("the signing key %q of the store cannot be used: %w: restore the store from a backup", name, err)
}

// recordName returns the key in the store of the nth record, number the n of a name or 0.
func recordName(n int) string { return fmt.Sprintf("%s%0*d", keyPrefix, numberDigits, n) }

func number(name string) int {
	var n int
	digits := strings.TrimPrefix(name, keyPrefix)
	if _, err := fmt.Sscanf(digits, "%d", &n); err != nil || n < 1 || recordName(n) != name {
		return 0
	}
	return n
}

// signing returns the record of the one key that signs for the store.
func signing(list []*stored) (*stored, error) {
	var found *stored
	for _, s := range list {
		if s.record.State != Signing {
			continue
		}
		if found != nil {
			return nil, damaged(s.entry.Key, fmt.Errorf("a second key is in the state %q", Signing))
		}
		found = s
	}
	if found == nil {
		return nil, fmt.Errorf("none of the %d signing keys of the store is in the state %q: restore the store from a backup", len(list), Signing)
	}
	return found, nil
}

// buildKeySet returns the set of the store's keys and the file's. With a file the store may be empty,
// and none of its keys signs.
func buildKeySet(list []*stored, file *keyFile) (*keySet, error) {
	set := &keySet{keys: map[string]*keyPair{}}
	if file != nil {
		set.addFile(file)
	}
	if file == nil || len(list) > 0 {
		s, err := signing(list)
		if err != nil {
			return nil, err
		}
		if file == nil {
			set.signer = s.key
		}
	}
	for _, s := range list {
		if !s.live() && set.keys[s.record.KeyID] != nil {
			return nil, fmt.Errorf("the key %q of %s was retired in the store and does not come back: take it out of the file", s.record.KeyID, file.path)
		}
		set.addStored(s, file != nil)
	}
	var err error
	set.jwks, err = set.publish()
	return set, err
}

// addFile takes in the keys of the file, and those that were in it until a while ago.
func (s *keySet) addFile(file *keyFile) {
	s.signer = file.keys[0]
	for i, key := range file.keys {
		state := Published
		if i == 0 {
			state = Signing
		}
		s.add(key, Key{State: state, Source: FromFile})
	}
	for _, gone := range file.left {
		s.add(gone.key, Key{State: Published, RetiresAt: gone.until, Source: FromFile})
	}
}

func (s *keySet) addStored(from *stored, besideFile bool) {
	r := from.record
	k := Key{
		ID: r.KeyID, Algorithm: r.Algorithm, State: r.State, Created: r.Created,
		SignsFrom: r.SignsFrom, RetiresAt: r.RetiresAt, Source: FromStore,
	}
	if besideFile && k.State == Signing {
		k.State = Published
	}
	if from.key == nil {
		s.list = append(s.list, k)
		return
	}
	s.add(from.key, k)
}

func (s *keySet) add(key *keyPair, k Key) {
	if s.keys[key.kid] != nil { // in the file as well: the file's entry, which came first, tells the truth
		return
	}
	k.ID, k.Algorithm = key.kid, key.alg
	s.keys[key.kid] = key
	s.list = append(s.list, k)
}

// publish returns the public halves as a JWK set (RFC 7517), in the order of list.
func (s *keySet) publish() ([]byte, error) {
	public := jwk.NewSet()
	for _, k := range s.list {
		key := s.keys[k.ID]
		if key == nil { // retired
			continue
		}
		one, err := key.publicJWK()
		if err == nil {
			err = public.AddKey(one)
		}
		if err != nil {
			return nil, fmt.Errorf("publishing the key %q: %w", k.ID, err)
		}
	}
	return stdjson.Marshal(public)
}

// follow sets the epoch of s, the successor of before. What was verified stays verified while its key
// is there, so a key that is added costs no cached verdict; one that goes takes all of them with it.
func (s *keySet) follow(before *keySet) {
	s.epoch = cmp.Or(before.epoch, 1)
	for kid := range before.keys {
		if s.keys[kid] == nil {
			s.epoch++
			return
		}
	}
}
