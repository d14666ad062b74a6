// Package db is the seam to the store: a small ordered key-value store with conditional
// transactions and a feed of what was committed. Every rule of the service is written once, above
// this seam, and uses nothing that another engine (etcd) could not do. Package bolt below it is the
// engine that needs nothing but a file; package dbtest is the suite that every engine passes.
//
// # Promises of every engine
//
//   - Commit applies all of a transaction's writes or none, and only if every condition holds.
//   - When Commit has returned without an error the writes survive a crash, and every watcher
//     has been given them.
//   - Revisions grow by one or more with every commit; a watcher sees commits in their order,
//     each whole, none missing.
//   - A slice that is returned or handed to a callback belongs to its receiver.
//   - After a failure that leaves the state of the file unknown (a failed sync) nothing is ever
//     acknowledged again: Health reports it and Commit fails closed until the process restarts.
package db

import (
	"context"
	"errors"
)

// Limits of one transaction and its keys; over them Commit returns ErrLimit. They are the smallest
// common measure of the engines this seam is meant for.
const (
	MaxKey        = 512      // bytes of a key, which is never empty
	MaxValue      = 64 << 10 // bytes of a value
	MaxConditions = 32
	MaxWrites     = 32 // a key at most once
)

// WatchedPrefix is the one root whose changes are fed to watchers. Only what a process must hold in
// memory lives below it.
const WatchedPrefix = "w/"

var (
	// ErrNotFound means: no entry has the key.
	ErrNotFound = errors.New("not found in the store")
	// ErrConflict means: a condition did not hold; nothing was written. Read again and retry.
	ErrConflict = errors.New("the record was changed by another request")
	// ErrUnavailable means: the store cannot take the write (disk full, closed, poisoned by an earlier
	// failed sync, or the context ended first); surely nothing was written.
	ErrUnavailable = errors.New("the store is not available")
	// ErrUnknown means: the write failed in a way that leaves open whether it was kept. Never
	// acknowledge it; an engine that returned it once is poisoned.
	ErrUnknown = errors.New("the store failed while writing and it is unknown whether the write was kept")
	// ErrLimit means: the transaction breaks a limit of the seam; a fault of the caller.
	ErrLimit = errors.New("the transaction is over a limit of the store")
	// ErrCompacted means: the feed no longer reaches back to the wanted revision; list and watch anew.
	ErrCompacted = errors.New("the feed does not reach back that far")
)

// Revision numbers the commits of one store, from 1. Zero means "never written".
type Revision int64

// Entry is one record as it stood.
type Entry struct {
	Key      string
	Value    []byte
	Revision Revision // of the commit that wrote the value
}

// Condition demands that Key was last written at exactly Revision; Revision 0 demands that it does
// not exist.
type Condition struct {
	Key      string
	Revision Revision
}

// Write sets Key to Value, or removes it where Delete is set. Removing what is not there is no error.
type Write struct {
	Key    string
	Value  []byte
	Delete bool
}

// Put returns the write that sets key to value.
func Put(key string, value []byte) Write { return Write{Key: key, Value: value} }

// Delete returns the write that removes key.
func Delete(key string) Write { return Write{Key: key, Delete: true} }

// Absent returns the condition that key does not exist.
func Absent(key string) Condition { return Condition{Key: key} }

// Unchanged returns the condition that the entry is still as it was read.
func Unchanged(e Entry) Condition { return Condition{Key: e.Key, Revision: e.Revision} }

// Txn is one transaction: Writes happen, all of them, if every condition of If holds at that moment.
type Txn struct {
	If     []Condition
	Writes []Write
}

// Batch is what one commit changed below WatchedPrefix, in the order of its writes. A commit that
// touched nothing there still arrives, with no Writes, so that a watcher knows how far it has come.
type Batch struct {
	Revision Revision
	Writes   []Write
}

// Store is the seam. All methods are safe for concurrent use.
type Store interface {
	// Get returns the entry of key, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)

	// Range returns, in the order of their keys, at most limit entries (limit > 0) with
	// from <= key < to, as they stood at one moment, and the store's revision at that moment. An
	// empty to means "to the end".
	Range(ctx context.Context, from, to string, limit int) ([]Entry, Revision, error)

	// Commit applies txn and returns its revision. Errors: ErrConflict, ErrUnavailable,
	// ErrUnknown, ErrLimit (wrapped, so use errors.Is). A context that ends after the write has
	// begun does not undo it: the result is then still the true one.
	Commit(ctx context.Context, txn Txn) (Revision, error)

	// Watch calls apply for every batch with a revision above after, in order, from one goroutine
	// at a time, until ctx ends or the store is closed. What was committed before the call is
	// applied, in the caller's goroutine, before Watch returns: hold no lock that apply takes. It
	// returns ErrCompacted at once when the feed does not reach back to after. apply must not call
	// the store. A commit is acknowledged only after apply has returned for it. The feed's end is
	// told by the returned channel: it delivers one error (nil when ctx ended) and is closed.
	Watch(ctx context.Context, after Revision, apply func(Batch)) (<-chan error, error)

	// Health returns nil while the store can be trusted, or why it cannot: closed, or poisoned by a
	// failed sync. A disk that is merely full leaves it healthy.
	Health() error

	// Close waits for commits under way, ends the feeds and releases the file. Later calls of any
	// method return ErrUnavailable.
	Close() error
}
