// Package dbtest is the suite that every engine of the store passes, and the helpers of tests above
// the seam: a real store in a temporary folder, and one that fails on command. It guarantees nothing
// to a service and is imported by tests alone.
package dbtest

import (
	"path/filepath"
	"testing"

	"devicegate/db"
	"devicegate/db/bolt"
)

// New returns an empty store that lives as long as the test.
func New(tb testing.TB) *bolt.Store {
	tb.Helper()
	s, err := bolt.Open(filepath.Join(tb.TempDir(), "test.db"), bolt.Options{})
	if err != nil {
		tb.Fatalf("open a store: %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() }) // the test may have closed it
	return s
}

// MustCommit commits and returns the revision.
func MustCommit(tb testing.TB, s db.Store, txn db.Txn) db.Revision {
	tb.Helper()
	revision, err := s.Commit(tb.Context(), txn)
	if err != nil {
		tb.Fatalf("commit %v: %v", txn, err)
	}
	return revision
}

// commit is MustCommit for goroutines of a test: it notes the failure, and returns 0.
func commit(tb testing.TB, s db.Store, txn db.Txn) db.Revision {
	tb.Helper()
	revision, err := s.Commit(tb.Context(), txn)
	if err != nil {
		tb.Errorf("commit %v: %v", txn, err)
	}
	return revision
}

func put(tb testing.TB, s db.Store, key, value string) db.Revision {
	tb.Helper()
	return commit(tb, s, db.Txn{Writes: []db.Write{db.Put(key, []byte(value))}})
}

// MustPut sets one key without a condition and returns the revision.
func MustPut(tb testing.TB, s db.Store, key, value string) db.Revision {
	tb.Helper()
	return MustCommit(tb, s, db.Txn{Writes: []db.Write{db.Put(key, []byte(value))}})
}
