package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"devicegate/db"
)

const (
	// PublishAhead is how long a new key is published before it signs. Readers of the JWKS must not
	// be told to keep it for longer.
	PublishAhead = time.Hour

	// retireSlack is added to the time until no token of a key can live: for a process that learns a
	// little later that another key signs now, and for one that issues slowly.
	retireSlack = time.Minute

	openAttempts = 4 // losing a race more often than that means that something deletes keys
)

// Options is what a keyring goes by. It is copied by OpenKeyring.
type Options struct {
	Now  func() time.Time // safe for concurrent use
	Rand io.Reader        // safe for concurrent use

	Algorithm      Algorithm     // of new keys; "" means EdDSA. Keys of another are rotated out by Tick
	Rotation       time.Duration // age at which a key of the store is replaced; 0 means on command alone
	AccessLifetime time.Duration // as in Config, as the next
	Leeway         time.Duration

	EncryptionKey  []byte // of EncryptionKeySize bytes (ReadEncryptionKey); nil means that private keys are stored as they are
	SigningKeyFile string // keys kept outside the store, which then sign alone; "" means none
}

// overlap is how long a key verifies after it stopped signing.
func (o *Options) overlap() time.Duration { return o.AccessLifetime + o.Leeway + retireSlack }

func (o *Options) validate() error {
	var errs []error
	if !o.Algorithm.Valid() {
		errs = append(errs, fmt.Errorf("token: the algorithm %q is none of %s, %s and %s", o.Algorithm, EdDSA, ES256, RS256))
	}
	if o.AccessLifetime < time.Second || o.Leeway < 0 {
		errs = append(errs, errors.New("token: the access lifetime must be at least 1s and the leeway not negative"))
	}
	// Less would have ever more keys verify at a time.
	if least := PublishAhead + o.overlap(); o.Rotation < 0 || (o.Rotation > 0 && o.Rotation < least) {
		errs = append(errs, fmt.Errorf("token: the key rotation must be 0s or at least %s: a key is published %s before it signs, and verifies for %s after", least, PublishAhead, o.overlap()))
	}
	return errors.Join(errs...)
}

// Keyring holds the signing keys: those of the store, or those of a file and beside them what the
// store still publishes. It is safe for concurrent use: readers see one whole key set or the next,
// never a mixture.
//
// Every change in the store comes in through Apply, also a ring's own, so that processes agree. The
// ring's change is in it when the method that made it returns, whether Apply is fed or not.
type Keyring struct {
	options Options
	store   db.Store
	seal    *sealer
	set     atomic.Pointer[keySet]

	change sync.Mutex // held by whoever means to change keys; before mu, and during a commit
	steady steady     // guarded by change

	mu       sync.Mutex          // orders what is seen; never held during a commit, whose feed needs it
	records  map[string]db.Entry // as stored, by their key
	revision db.Revision         // of the newest change in records
	list     []*stored           // records, checked; nil when they could not be read whole
	since    map[string]time.Time
	file     *keyFile // nil without a file
}

// OpenKeyring loads the keys of store and of the file that o names. Where there are none at all it
// creates the first, which signs at once; two processes that start at once end up with the same key.
// With an encryption key, private keys that are found in plain are written anew, encrypted: pages of
// the store that are no longer in use may still hold what was plain, so rotate afterwards.
//
// A key that is damaged, weak, of another kind, not the one its kid names, or encrypted with another
// key is an error that names the record or the file: it is never skipped, because the service would
// then issue with another key than it says.
func OpenKeyring(ctx context.Context, store db.Store, o Options) (*Keyring, error) {
	if o.Algorithm == "" {
		o.Algorithm = EdDSA
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	seal, err := newSealer(o.EncryptionKey, o.Rand)
	if err != nil {
		return nil, err
	}
	o.EncryptionKey = nil // the sealer has it
	k := &Keyring{options: o, store: store, seal: seal}
	k.set.Store(emptySet(0))
	if o.SigningKeyFile != "" {
		if k.file, err = readKeyFile(o.SigningKeyFile, nil, k.now()); err != nil {
			return nil, err
		}
	}
	for range openAttempts {
		written, err := k.prepare(ctx)
		if err != nil && !errors.Is(err, db.ErrConflict) { // the winner's keys are read in the next round
			return nil, err
		}
		if err == nil && !written {
			return k, nil
		}
	}
	return nil, errors.New("opening the signing keys: they change or vanish from the store again and again")
}

// prepare reads the keys and writes what they lack: the first key, or the encryption. It says whether
// it wrote and they must be read again.
func (k *Keyring) prepare(ctx context.Context) (bool, error) {
	records, revision, err := k.load(ctx)
	if err != nil {
		return false, fmt.Errorf("loading the signing keys: %w", err)
	}
	if len(records) == 0 && k.file == nil {
		if err := k.createFirst(ctx); err != nil {
			return false, fmt.Errorf("creating the first signing key: %w", err)
		}
		return true, nil
	}
	if err := k.adopt(records, revision); err != nil {
		return false, err
	}
	return k.encryptPlain(ctx)
}

// load reads the records from the store, and the revision they are of.
func (k *Keyring) load(ctx context.Context) (map[string]db.Entry, db.Revision, error) {
	records := map[string]db.Entry{}
	revision, err := db.Each(ctx, k.store, keyPrefix, func(e db.Entry) error {
		records[e.Key] = e
		return nil
	})
	return records, revision, err
}

// adopt takes over what load read, unless a feed was faster.
func (k *Keyring) adopt(records map[string]db.Entry, revision db.Revision) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if revision < k.revision {
		return nil
	}
	k.records, k.revision = records, revision
	return k.rebuild()
}

func (k *Keyring) createFirst(ctx context.Context) error {
	now := k.now()
	r, err := newKeyRecord(k.options.Algorithm, k.options.Rand, now, k.seal)
	if err != nil {
		return err
	}
	r.State, r.SignsFrom = Signing, now.UTC()
	write, err := r.put(recordName(1))
	if err != nil {
		return err
	}
	_, err = k.store.Commit(ctx, db.Txn{If: []db.Condition{db.Absent(write.Key)}, Writes: []db.Write{write}})
	return err
}

// encryptPlain writes private keys that are stored in plain anew, where there is an encryption key.
func (k *Keyring) encryptPlain(ctx context.Context) (bool, error) {
	if k.seal == nil {
		return false, nil
	}
	var txn db.Txn
	for _, s := range k.list {
		if !s.plain() || len(txn.Writes) == db.MaxWrites {
			continue
		}
		r := s.record
		var err error
		if !s.live() {
			r.PrivateJWK, r.Encrypted = nil, nil
		} else if r, err = r.sealed(k.seal); err != nil {
			return false, fmt.Errorf("encrypting the signing key %q: %w", s.entry.Key, err)
		}
		if s.old() && r.RetiresAt.IsZero() {
			r.RetiresAt = k.now().Add(k.options.overlap()).UTC()
		}
		if err := replace(&txn, s, r); err != nil {
			return false, err
		}
	}
	if len(txn.Writes) == 0 {
		return false, nil
	}
	if _, err := k.store.Commit(ctx, txn); err != nil {
		return false, fmt.Errorf("encrypting the signing keys: %w", err)
	}
	return true, nil
}

// Revision returns the store's revision up to which the keyring knows every change: watch from there.
func (k *Keyring) Revision() db.Revision {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.revision
}

// Epoch returns a number that is raised whenever a key goes: what was verified at another epoch must
// be verified anew. A key that comes does not change it.
func (k *Keyring) Epoch() uint32 { return k.current().epoch }

// JWKS returns the public key set in its JSON form (RFC 7517). The caller owns the bytes.
func (k *Keyring) JWKS() []byte { return bytes.Clone(k.current().jwks) }

// Keys returns every key that is known, the retired ones of the store among them: first those of the
// file, then those of the store from the first to the newest. It is empty when the keys could not be
// read whole.
func (k *Keyring) Keys() []Key { return append([]Key(nil), k.current().list...) }

// Warnings returns what should be told about the key file as it was read last.
func (k *Keyring) Warnings() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	return append([]string(nil), k.file.warnings...)
}

func (k *Keyring) current() *keySet { return k.set.Load() }

// now is the wall clock's time: durations between such are compared with times in records.
func (k *Keyring) now() time.Time { return k.options.Now().Round(0) }

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
			k.records[w.Key] = db.Entry{Key: w.Key, Value: w.Value, Revision: batch.Revision}
		}
	}
	if !changed {
		return nil
	}
	return k.rebuild()
}

// rebuild makes the key set anew from the records and the file, or leaves none. The caller holds mu.
func (k *Keyring) rebuild() error {
	set, list, err := k.build(k.file)
	if err != nil {
		set, list = emptySet(0), nil
	}
	k.install(set, list)
	return err
}

func (k *Keyring) build(file *keyFile) (*keySet, []*stored, error) {
	list, err := readRecords(k.records, k.list, k.seal)
	if err != nil {
		return nil, nil, err
	}
	set, err := buildKeySet(list, file)
	return set, list, err
}

func (k *Keyring) install(set *keySet, list []*stored) {
	since, now := map[string]time.Time{}, k.now()
	for _, s := range list {
		since[s.phase()] = now
		if at, ok := k.since[s.phase()]; ok {
			since[s.phase()] = at
		}
	}
	set.follow(k.current())
	k.list, k.since = list, since
	k.set.Store(set)
}
