package token

import (
	"bytes"
	"context"
	"crypto/ed25519"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"devicegate/db"
)

const (
	// keyPrefix is watched: every process must verify with the same keys. Keys are numbered upwards,
	// and a new one is written only where its number is free, so that of two writers one loses.
	keyPrefix = db.WatchedPrefix + "k/"
	firstKey  = keyPrefix + "00000001"

	openAttempts = 3 // losing the race for the first key twice means that something deletes keys
)

// Keyring holds the signing keys of the store. It is safe for concurrent use: readers see one whole
// key set or the next, never a mixture.
type Keyring struct {
	set atomic.Pointer[keySet]

	mu       sync.Mutex        // orders changes
	records  map[string][]byte // as stored, by their key
	revision db.Revision       // of the newest change in records
}

// keySet is what follows from one state of the records. It is never changed.
type keySet struct {
	epoch  uint32                       // from 1, raised by every change of keys, so that no cached verdict outlives one
	public map[string]ed25519.PublicKey // by kid; empty when the records could not be read whole
	signer *signingKey                  // nil exactly when public is empty
	jwks   []byte
}

// OpenKeyring loads the keys of store, after creating the first from rand where there is none. Two
// processes that start at once end up with the same key. A key that is damaged, of another kind, or
// not the one its kid names is an error that names the record: it is never skipped, because the
// service would then issue with another key than it says.
func OpenKeyring(ctx context.Context, store db.Store, now func() time.Time, rand io.Reader) (*Keyring, error) {
	for range openAttempts {
		records, revision, err := loadRecords(ctx, store)
		if err != nil {
			return nil, fmt.Errorf("loading the signing keys: %w", err)
		}
		if len(records) > 0 {
			return newKeyring(records, revision)
		}
		err = createFirst(ctx, store, now, rand)
		if err != nil && !errors.Is(err, db.ErrConflict) { // the winner's key is read in the next round
			return nil, fmt.Errorf("creating the first signing key: %w", err)
		}
	}
	return nil, errors.New("creating the first signing key: it vanishes from the store again and again")
}

func loadRecords(ctx context.Context, store db.Store) (map[string][]byte, db.Revision, error) {
	records := map[string][]byte{}
	revision, err := db.Each(ctx, store, keyPrefix, func(e db.Entry) error {
		records[e.Key] = e.Value
		return nil
	})
	return records, revision, err
}

func createFirst(ctx context.Context, store db.Store, now func() time.Time, rand io.Reader) error {
	record, err := newKeyRecord(rand, now(), Signing)
	if err != nil {
		return err
	}
	_, err = store.Commit(ctx, db.Txn{
		If:     []db.Condition{db.Absent(firstKey)},
		Writes: []db.Write{db.Put(firstKey, record)},
	})
	return err
}

func newKeyring(records map[string][]byte, revision db.Revision) (*Keyring, error) {
	set, err := buildKeySet(records, 1)
	if err != nil {
		return nil, err
	}
	k := &Keyring{records: records, revision: revision}
	k.set.Store(set)
	return k, nil
}

// Revision returns the store's revision up to which the keyring knows every change: watch from there.
func (k *Keyring) Revision() db.Revision {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.revision
}

// Epoch returns a number that every change of keys raises: what was verified at another epoch must
// be verified anew.
func (k *Keyring) Epoch() uint32 { return k.current().epoch }

// JWKS returns the public key set in its JSON form (RFC 7517). The caller owns the bytes.
func (k *Keyring) JWKS() []byte { return bytes.Clone(k.current().jwks) }

func (k *Keyring) current() *keySet { return k.set.Load() }

// Apply takes over what batch changed in the keys and ignores everything else, and batches it
// already knows. It fails closed: after an error the ring has no key, every check is
// keys_unavailable and nothing is issued, until a later batch makes the records whole again. To keep
// the old keys instead could keep one that was meant to be retired.
func (k *Keyring) Apply(batch db.Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if batch.Revision <= k.revision {
		return nil
	}
	k.revision = batch.Revision
	changed := false
	for _, w := range batch.Writes {
		if !strings.HasPrefix(w.Key, keyPrefix) {
			continue
		}
		changed = true
		if w.Delete {
			delete(k.records, w.Key)
		} else {
			k.records[w.Key] = w.Value
		}
	}
	if !changed {
		return nil
	}
	epoch := k.current().epoch + 1
	set, err := buildKeySet(k.records, epoch)
	if err != nil {
		set = &keySet{epoch: epoch, jwks: []byte(`{"keys":[]}`)}
	}
	k.set.Store(set)
	return err
}

// buildKeySet checks all records and returns the set they make.
func buildKeySet(records map[string][]byte, epoch uint32) (*keySet, error) {
	set := &keySet{epoch: epoch, public: map[string]ed25519.PublicKey{}}
	published, seen := jwk.NewSet(), map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(records)) {
		key, err := parseKeyRecord(records[name])
		if err == nil && seen[key.kid] { // also a retired one: it must not come back under another number
			err = errors.New("the same key is there twice")
		}
		if err == nil {
			seen[key.kid] = true
			err = set.add(key, published)
		}
		if err != nil {
			return nil, fmt.Errorf("the signing key %q of the store cannot be used: %w: restore the store from a backup", name, err)
		}
	}
	if set.signer == nil {
		return nil, fmt.Errorf("none of the %d signing keys of the store is in the state %q: restore the store from a backup", len(records), Signing)
	}
	var err error
	set.jwks, err = stdjson.Marshal(published)
	return set, err
}

// add takes key into the set being built, and its public half into published.
func (s *keySet) add(key *signingKey, published jwk.Set) error {
	if key.state == Retired {
		return nil
	}
	if key.state == Signing {
		if s.signer != nil {
			return fmt.Errorf("a second key is in the state %q", Signing)
		}
		s.signer = key
	}
	s.public[key.kid] = key.public
	public, err := publicJWK(key)
	if err != nil {
		return err
	}
	return published.AddKey(public)
}

// publicJWK is made from the public key alone, so that no private member can be left in it.
func publicJWK(key *signingKey) (jwk.Key, error) {
	public, err := jwk.FromRaw(key.public)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{
		jwk.KeyIDKey: key.kid, jwk.AlgorithmKey: jwa.EdDSA, jwk.KeyUsageKey: jwk.ForSignature,
	} {
		if err := public.Set(name, value); err != nil {
			return nil, err
		}
	}
	return public, nil
}
