// Package bolt is the store engine that needs nothing but a file. It guarantees what package db
// promises: a commit that was acknowledged survives a crash, and has reached every watcher. It is
// the only importer of bbolt.
//
// It fails closed. A file that is empty, cut, damaged, foreign or newer is refused with one
// sentence and never replaced; a store whose commit failed in an unknown state is poisoned: it
// acknowledges nothing until it is opened anew.
//
// # Schema
//
//	"kv"     one entry per record
//	         key -> revision (8 bytes, big-endian) | value
//	"meta"   "format"   -> "devicegate"
//	         "version"  -> 1 (8 bytes, big-endian)
//	         "identity" -> UUIDv4 in text, made with the file
//	         "revision" -> of the last commit (8 bytes, big-endian)
//
// Values are stored as they are: a change of this drawing raises the version.
package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"devicegate/db"
)

const (
	formatName    = "devicegate"
	formatVersion = 1
)

// Names of the buckets, and of the keys in the bucket meta.
var (
	bucketKV   = []byte("kv")
	bucketMeta = []byte("meta")

	keyFormat   = []byte("format")
	keyVersion  = []byte("version")
	keyIdentity = []byte("identity")
	keyRevision = []byte("revision")
)

// Options of Open. The zero value is right for a service.
type Options struct {
	// MaxSize is the most bytes that the file may grow to; 0 means as much as the disk holds. Over
	// it Commit returns db.ErrUnavailable and the store stays healthy, as on a full disk.
	MaxSize int64
	// Timeout is how long Open waits for a file that another process holds; 0 means 500 ms.
	Timeout time.Duration
}

// Store is one open file. Its methods are safe for concurrent use.
type Store struct {
	path     string
	identity string
	warnings []string

	bolt     *bbolt.DB
	file     *os.File // bolt's own, held to read back the headers and to let go of the lock
	pageSize int64
	logged   *firstError              // the cause of a failed commit as bbolt met it
	commit   func(tx *bbolt.Tx) error // (*bbolt.Tx).Commit; tests put failures here
	feed     *feed

	requests chan *request
	closing  chan struct{}
	stopped  chan struct{} // closed when the writer has ended

	mu     sync.Mutex
	closed bool
	poison error // why nothing is acknowledged any more; nil while healthy
}

var _ db.Store = (*Store)(nil)

var errClosed = fmt.Errorf("%w: it is closed", db.ErrUnavailable)

// Identity returns the UUIDv4 that was given to the file when it was made. Another identity under
// the same path means another store: nothing remembered about the former holds for it.
func (s *Store) Identity() string { return s.identity }

// Warnings returns what an operator should know about the file although it was opened, one
// sentence each. The caller owns the slice.
func (s *Store) Warnings() []string { return append([]string(nil), s.warnings...) }

// Get implements db.Store.
func (s *Store) Get(ctx context.Context, key string) (db.Entry, error) {
	var entry db.Entry
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		stored := tx.Bucket(bucketKV).Get([]byte(key))
		if stored == nil {
			return db.ErrNotFound
		}
		var err error
		entry, err = decode(key, stored)
		return err
	})
	return entry, err
}

// Range implements db.Store.
func (s *Store) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	if limit <= 0 {
		return nil, 0, fmt.Errorf("%w: a range of %d entries, at least 1", db.ErrLimit, limit)
	}
	var entries []db.Entry
	var at db.Revision
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		at = revisionOf(tx)
		cursor := tx.Bucket(bucketKV).Cursor()
		for k, v := cursor.Seek([]byte(from)); k != nil && len(entries) < limit; k, v = cursor.Next() {
			if to != "" && string(k) >= to {
				return nil
			}
			entry, err := decode(string(k), v)
			if err != nil {
				return err
			}
			entries = append(entries, entry)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return entries, at, nil
}

// view runs fn in a read transaction. Damage met on the way poisons the store: what else cannot
// be read is not known.
func (s *Store) view(ctx context.Context, fn func(*bbolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", db.ErrUnavailable, err)
	}
	if s.isClosed() {
		return errClosed
	}
	err := guard(func() error { return s.bolt.View(fn) })
	switch {
	case err == nil || errors.Is(err, db.ErrNotFound):
		return err
	case errors.Is(err, ErrDamaged):
		s.fail(err)
	}
	return fmt.Errorf("%w: %w", db.ErrUnavailable, err)
}

// decode copies an entry out of its transaction.
func decode(key string, stored []byte) (db.Entry, error) {
	revision, ok := revisionIn(stored)
	if !ok {
		return db.Entry{}, fmt.Errorf("%w: the record %q has no revision", ErrDamaged, key)
	}
	value := make([]byte, len(stored)-8)
	copy(value, stored[8:])
	return db.Entry{Key: key, Value: value, Revision: revision}, nil
}

// revisionIn reads the revision that a stored value starts with.
func revisionIn(stored []byte) (db.Revision, bool) {
	if len(stored) < 8 {
		return 0, false
	}
	return db.Revision(binary.BigEndian.Uint64(stored)), true
}

// revisionOf returns the revision of the last commit. Open has made sure that it is there.
func revisionOf(tx *bbolt.Tx) db.Revision {
	revision, _ := revisionIn(tx.Bucket(bucketMeta).Get(keyRevision))
	return revision
}

// Watch implements db.Store. The feed reaches back to the revision at which the file was opened,
// as far as its bounded memory holds.
func (s *Store) Watch(ctx context.Context, after db.Revision, apply func(db.Batch)) (<-chan error, error) {
	var current db.Revision
	err := s.view(ctx, func(tx *bbolt.Tx) error {
		current = revisionOf(tx)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if after > current {
		return nil, fmt.Errorf("%w: revision %d is not of this store, which is at %d", db.ErrCompacted, after, current)
	}
	return s.feed.watch(ctx, after, apply)
}

// Health implements db.Store.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.poison != nil {
		return fmt.Errorf("%w: an earlier failure (%w) left its state unknown, restart the service", db.ErrUnavailable, s.poison)
	}
	return nil
}

// fail poisons the store; the first cause stays. Watchers are told: the file may have what their
// feed lacks.
func (s *Store) fail(cause error) {
	s.mu.Lock()
	if s.poison == nil {
		s.poison = cause
	}
	s.mu.Unlock()
	s.feed.end(s.Health())
}

func (s *Store) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close implements db.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.closed = true
	damaged := errors.Is(s.poison, ErrDamaged)
	s.mu.Unlock()

	close(s.closing)
	<-s.stopped
	s.feed.end(errClosed)
	if damaged {
		return abandon(s.file)
	}
	return guard(s.bolt.Close)
}
