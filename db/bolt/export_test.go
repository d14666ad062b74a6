package bolt

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"syscall"

	"go.etcd.io/bbolt"

	"devicegate/db"
)

// FailSync makes the next commit fail as where its last sync fails: it is in the file, or is not.
func FailSync(s *Store, kept bool) {
	s.commit = func(tx *bbolt.Tx) error {
		end := tx.Rollback
		if kept {
			end = tx.Commit
		}
		return errors.Join(end(), syscall.EIO)
	}
}

// FailCommit makes every commit fail with cause, which changes nothing, until restore is called.
func FailCommit(s *Store, cause error) (restore func()) {
	s.commit = func(tx *bbolt.Tx) error { return errors.Join(tx.Rollback(), cause) }
	return func() { s.commit = (*bbolt.Tx).Commit }
}

// FailSyncFull is FailSync with a sync that reports a full disk.
func FailSyncFull(s *Store) {
	s.commit = func(tx *bbolt.Tx) error {
		return errors.Join(tx.Rollback(), &fs.PathError{Op: "sync", Err: syscall.ENOSPC})
	}
}

// PanicInCommit makes the next commit panic with bbolt's locks held.
func PanicInCommit(s *Store) {
	s.commit = func(*bbolt.Tx) error { panic("page 7 already freed") }
}

// HoldCommit makes commits wait until the returned function is called; entered receives one value
// for each that has begun.
func HoldCommit(s *Store) (entered <-chan struct{}, release func()) {
	begun, held := make(chan struct{}, 100), make(chan struct{})
	s.commit = func(tx *bbolt.Tx) error {
		begun <- struct{}{}
		<-held
		return tx.Commit()
	}
	return begun, func() { close(held) }
}

// SpoilHeaderAndFail makes the next commit fail for lack of room after it has touched a header.
func SpoilHeaderAndFail(s *Store, cause error) {
	s.commit = func(tx *bbolt.Tx) error {
		page := make([]byte, pageHeader+metaSize)
		_, readErr := s.file.ReadAt(page, 0)
		page[pageHeader+metaSize-1] ^= 1
		_, writeErr := s.file.WriteAt(page, 0)
		return errors.Join(readErr, writeErr, tx.Rollback(), cause)
	}
}

// CommitTogether lets the transactions share one group, in this order, and returns their errors.
// Nobody else may use the store meanwhile.
func CommitTogether(ctx context.Context, s *Store, txns ...db.Txn) (errs []error) {
	var group []*request
	for _, txn := range txns {
		group = append(group, &request{ctx: ctx, txn: txn})
	}
	s.perform(group)
	for _, r := range group {
		errs = append(errs, r.result.err)
	}
	return errs
}

// Inspect is what Open runs before bbolt sees the file.
func Inspect(r io.ReaderAt, size int64) error {
	_, err := inspect(r, size)
	return err
}

// Place is the last step of creation.
func Place(temporary, path string) error { return place(temporary, path) }

// RenameNew is the way of Place without hard links.
func RenameNew(from, to string) error { return renameNew(from, to) }
