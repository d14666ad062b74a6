package token

import (
	"context"
	"errors"
	"fmt"
	"time"

	"devicegate/db"
)

const (
	// maxTickGap is the longest pause between two Ticks in which the clock is believed to have run as
	// it should.
	maxTickGap = 10 * time.Minute

	maxLiveKeys    = 16 // well below what one transaction may compare and write
	rotateAttempts = 5
)

var (
	// ErrKeyFile means: the keys are in a file, whose owner rotates them.
	ErrKeyFile = errors.New("token: the signing keys are in tokens.signing_key_file: put the new key first in that file and keep the old one below it for a while")
	// ErrTooManyKeys means: so many keys still verify that no further one is made.
	ErrTooManyKeys = fmt.Errorf("token: %d keys are alive already: wait until the old ones retire, or retire them all now", maxLiveKeys)
)

// RotateOptions says how a rotation differs from the usual one.
type RotateOptions struct {
	Now          bool // the new key signs at once, although who keeps a copy of the JWKS does not know it yet
	RetireOthers bool // as Now, and every other key is retired with it: all tokens out there die
}

// steady is how long the clock has run without a jump. Waits of the schedule are counted only while
// it does: a clock that is set forward or back, and a machine that slept or was off, must not end
// the overlap of two keys early.
type steady struct{ from, last time.Time }

func (s *steady) tick(now time.Time) {
	if s.last.IsZero() || now.Before(s.last) || now.Sub(s.last) > maxTickGap {
		s.from = now
	}
	s.last = now
}

// phase names the part of its life that a key is in; a wait is counted from its beginning.
func (s *stored) phase() string {
	if s.waiting() {
		return s.record.KeyID + " waiting"
	}
	return s.record.KeyID + " " + string(s.record.State)
}

// plan is a change of the keys in the making: the records as they are, and as they will be.
type plan struct {
	list  []*stored
	next  map[*stored]keyRecord
	added *keyRecord // of a new key
}

func (p *plan) now(s *stored) keyRecord {
	if r, ok := p.next[s]; ok {
		return r
	}
	return s.record
}

func (p *plan) set(s *stored, r keyRecord) { p.next[s] = r }

// sign has r, the record of s or of a new key where s is nil, sign from now on; the key that did is
// published for as long as a token of its may live.
func (p *plan) sign(s *stored, r keyRecord, now time.Time, overlap time.Duration) {
	for _, other := range p.list {
		if old := p.now(other); old.State == Signing {
			old.State, old.RetiresAt = Published, now.Add(overlap).UTC()
			p.set(other, old)
		}
	}
	r.State, r.SignsFrom = Signing, now.UTC()
	if s == nil {
		p.added = &r
	} else {
		p.set(s, r)
	}
}

// txn returns the transaction of p. It holds only if no live key changed and none was added since
// the records were read: of two processes with the same plan one wins.
func (p *plan) txn() (db.Txn, error) {
	var txn db.Txn
	last := 0
	for _, s := range p.list {
		last = max(last, number(s.entry.Key))
		r, changed := p.next[s]
		if changed {
			if err := replace(&txn, s, r); err != nil {
				return db.Txn{}, err
			}
		} else if s.live() {
			txn.If = append(txn.If, db.Unchanged(s.entry))
		}
	}
	name := recordName(last + 1)
	txn.If = append(txn.If, db.Absent(name))
	if p.added != nil {
		write, err := p.added.put(name)
		if err != nil {
			return db.Txn{}, err
		}
		txn.Writes = append(txn.Writes, write)
	}
	return txn, nil
}

// replace adds to txn that s becomes r, if it is still as it was read.
func replace(txn *db.Txn, s *stored, r keyRecord) error {
	write, err := r.put(s.entry.Key)
	if err != nil {
		return err
	}
	txn.If = append(txn.If, db.Unchanged(s.entry))
	txn.Writes = append(txn.Writes, write)
	return nil
}

func (p *plan) empty() bool { return len(p.next) == 0 && p.added == nil }

// Tick does what the schedule says is due, in one transaction, and is to be called every minute: in
// pauses of more than ten the waits begin anew. It publishes the next key an hour before the signing
// one is as old as Options.Rotation, or at once when that is of another algorithm than new keys; has
// it sign when it was published for an hour; and retires what stopped signing when no token of its
// can live. Where another process was faster, Tick takes over what that one did. Beside a key file
// only keys of the store that stopped signing are retired. It fails with the store, and when the
// keys could not be read whole (ErrNoKeys); nothing has then changed.
func (k *Keyring) Tick(ctx context.Context) error {
	k.change.Lock()
	defer k.change.Unlock()
	now := k.now()
	k.steady.tick(now)
	if err := k.forgetLeft(now); err != nil {
		return err
	}
	p, since, err := k.newPlan()
	if err != nil {
		return err
	}
	for _, s := range p.list {
		k.due(p, s, now, since[s.phase()])
	}
	if err := k.publishNext(p, now); err != nil {
		return fmt.Errorf("publishing the next signing key: %w", err)
	}
	err = k.commit(ctx, p)
	if errors.Is(err, db.ErrConflict) {
		err = k.refresh(ctx)
	}
	if err != nil {
		return fmt.Errorf("the schedule of the signing keys: %w", err)
	}
	return nil
}

func (k *Keyring) newPlan() (*plan, map[string]time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current().signer == nil {
		return nil, nil, ErrNoKeys
	}
	return &plan{list: k.list, next: map[*stored]keyRecord{}}, k.since, nil // since is replaced, never changed
}

// due takes into p what is due for one key. since is when its phase began for this process.
func (k *Keyring) due(p *plan, s *stored, now, since time.Time) {
	r := p.now(s)
	calm := now.Sub(k.steady.from) // how long the clock can be trusted
	served := min(calm, now.Sub(since))
	overlap := k.options.overlap()
	switch {
	case !s.live() && (s.plain() || r.RetiresAt.IsZero()):
		p.set(s, r.retire(now))
	case s.old() && r.RetiresAt.IsZero():
		r.RetiresAt = now.Add(overlap).UTC()
		p.set(s, r)
	case s.old() && !now.Before(r.RetiresAt) && served >= min(overlap, PublishAhead):
		p.set(s, r.retire(now))
	case k.inFile():
	case s.waiting() && !now.Before(r.SignsFrom) && served >= PublishAhead:
		p.sign(s, r, now, overlap)
	case s.waiting() && r.SignsFrom.After(now.Add(2*PublishAhead)) && calm >= PublishAhead:
		r.SignsFrom = now.Add(PublishAhead).UTC() // written by a clock that was wrong
		p.set(s, r)
	case r.State == Signing && r.SignsFrom.After(now.Add(PublishAhead)) && calm >= PublishAhead:
		r.SignsFrom = now.UTC() // likewise: it would rotate years late
		p.set(s, r)
	}
}

// publishNext takes a new key into p if it is time for one and none waits.
func (k *Keyring) publishNext(p *plan, now time.Time) error {
	if k.inFile() {
		return nil
	}
	for _, s := range p.list {
		if s.waiting() {
			return nil
		}
	}
	signer, err := signing(p.list)
	if err != nil {
		return err
	}
	age, every := now.Sub(signer.record.SignsFrom), k.options.Rotation
	if signer.record.Algorithm == k.options.Algorithm && (every == 0 || age < every-PublishAhead) {
		return nil
	}
	return k.publish(p, now)
}

// publish takes a new key into p that waits for its hour.
func (k *Keyring) publish(p *plan, now time.Time) error {
	r, err := newKeyRecord(k.options.Algorithm, k.options.Rand, now, k.seal)
	r.State, r.SignsFrom = Published, now.Add(PublishAhead).UTC()
	p.added = &r
	return err
}

func (k *Keyring) inFile() bool { return k.options.SigningKeyFile != "" }

// commit writes p and takes it over. The conditions of p say that the ring knew every key, so what
// follows from the commit can be applied without asking the store, and whether a feed brings it or not.
func (k *Keyring) commit(ctx context.Context, p *plan) error {
	if p.empty() {
		return nil
	}
	txn, err := p.txn()
	if err != nil {
		return err
	}
	revision, err := k.store.Commit(ctx, txn)
	if err != nil {
		return err
	}
	return k.Apply(db.Batch{Revision: revision, Writes: txn.Writes})
}

// refresh takes over what the store holds now.
func (k *Keyring) refresh(ctx context.Context) error {
	records, revision, err := k.load(ctx)
	if err != nil {
		return err
	}
	return k.adopt(records, revision)
}

// Rotate makes a new key and returns it. Without options it is published now and signs after
// PublishAhead, by Tick; where a key waits already, that one is returned and nothing changes. With
// options it signs when Rotate returns (a key that waits is taken for Now, never for RetireOthers: it
// may be as known to others as the rest). Of several processes that rotate at once all return the
// same key, but for RetireOthers, which each carries out. Errors: ErrKeyFile, ErrTooManyKeys,
// ErrNoKeys, or the store's; surely nothing changed but after db.ErrUnknown.
func (k *Keyring) Rotate(ctx context.Context, now time.Time, o RotateOptions) (Key, error) {
	if k.inFile() {
		return Key{}, ErrKeyFile
	}
	k.change.Lock()
	defer k.change.Unlock()
	before := k.current().signer
	for range rotateAttempts {
		p, _, err := k.newPlan()
		if err != nil {
			return Key{}, err
		}
		kid, err := k.planRotation(p, now.Round(0), o)
		if err != nil {
			return Key{}, err
		}
		err = k.commit(ctx, p)
		if err == nil {
			return k.key(kid)
		}
		if !errors.Is(err, db.ErrConflict) {
			return Key{}, fmt.Errorf("rotating the signing key: %w", err)
		}
		if err := k.refresh(ctx); err != nil {
			return Key{}, fmt.Errorf("rotating the signing key: %w", err)
		}
		if signer := k.current().signer; o.Now && !o.RetireOthers && signer != nil && signer.kid != before.kid {
			return k.key(signer.kid) // another process did just that
		}
	}
	return Key{}, fmt.Errorf("rotating the signing key: %w", db.ErrConflict)
}

// planRotation takes the rotation into p and returns the kid of the new key.
func (k *Keyring) planRotation(p *plan, now time.Time, o RotateOptions) (string, error) {
	live := 0
	for _, s := range p.list {
		r := p.now(s)
		if s.live() {
			live++
		}
		switch {
		case o.RetireOthers && s.live():
			p.set(s, r.retire(now))
		case s.waiting() && r.Algorithm != k.options.Algorithm: // it signed nothing yet and never will
			p.set(s, r.retire(now))
		case s.waiting() && o.Now:
			p.sign(s, r, now, k.options.overlap())
			return r.KeyID, nil
		case s.waiting():
			return r.KeyID, nil
		}
	}
	if live >= maxLiveKeys && !o.RetireOthers {
		return "", ErrTooManyKeys
	}
	if err := k.publish(p, now); err != nil {
		return "", fmt.Errorf("making a signing key: %w", err)
	}
	if o.Now || o.RetireOthers {
		p.sign(nil, *p.added, now, k.options.overlap())
	}
	return p.added.KeyID, nil
}

// key returns what is to be told about a key.
func (k *Keyring) key(kid string) (Key, error) {
	for _, key := range k.current().list {
		if key.ID == kid {
			return key, nil
		}
	}
	return Key{}, ErrNoKeys
}
