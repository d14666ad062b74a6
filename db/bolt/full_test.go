//go:build unix

package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
)

// fill commits large values until there is no room and returns how many were kept.
func fill(s *bolt.Store) (int, error) {
	for n := 0; ; n++ {
		_, err := s.Commit(context.Background(), put(fmt.Sprint("fill/", n), make([]byte, 30_000)))
		if errors.Is(err, db.ErrUnavailable) {
			return n, nil
		}
		if err != nil || n > 1000 {
			return n, fmt.Errorf("commit %d: %w", n, err)
		}
	}
}

// twoMiB returns the largest transaction there is.
func twoMiB() (txn db.Txn) {
	for i := range db.MaxWrites {
		txn.Writes = append(txn.Writes, db.Put(fmt.Sprint("large", i), make([]byte, db.MaxValue)))
	}
	return txn
}

// full checks that a store without room is healthy and readable, and refuses again.
func full(s *bolt.Store, n int) error {
	if err := s.Health(); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	entries, at, err := s.Range(context.Background(), "fill/", "fill0", 1001)
	if err != nil || len(entries) != n || at != db.Revision(n) {
		return fmt.Errorf("%d entries at %d, %w, want %d", len(entries), at, err, n)
	}
	if _, err := s.Commit(context.Background(), twoMiB()); !errors.Is(err, db.ErrUnavailable) {
		return fmt.Errorf("commit without room: got %v, want %w", err, db.ErrUnavailable)
	}
	return nil
}

func TestSizeLimit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := mustOpen(t, path, bolt.Options{MaxSize: 1 << 20})
	n, err := fill(s)
	if err == nil {
		err = full(s, n)
	}
	if err != nil || n < 5 {
		t.Fatalf("%d commits fitted: %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	s = mustOpen(t, path, bolt.Options{})
	dbtest.MustCommit(t, s, put("more", make([]byte, 60_000)))
}

// A small write gets through although a large one beside it does not fit.
func TestNoRoomForANeighbour(t *testing.T) {
	s := mustOpen(t, filepath.Join(t.TempDir(), "test.db"), bolt.Options{MaxSize: 1 << 20})
	errs := bolt.CommitTogether(t.Context(), s, twoMiB(), put("small", nil))
	if !errors.Is(errs[0], db.ErrUnavailable) || errs[1] != nil {
		t.Errorf("got %v and %v, want %v and none", errs[0], errs[1], db.ErrUnavailable)
	}
}

// fillUnderLimit meets a limit of the operating system, as a full disk would be, and then has room.
func fillUnderLimit(path string) error {
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	low := unix.Rlimit{Cur: 200_000, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &low); err != nil {
		return err
	}
	n, err := fill(s)
	if err == nil {
		err = full(s, n)
	}
	if err != nil || n == 0 {
		return fmt.Errorf("%d commits fitted: %w", n, err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if _, err := s.Commit(context.Background(), put("more", make([]byte, 60_000))); err != nil {
		return fmt.Errorf("commit with room again: %w", err)
	}
	return s.Close()
}

func TestNoRoomAndRecovery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	if out, err := child(t, "limited", path).CombinedOutput(); err != nil {
		t.Fatalf("the child: %v\n%s", err, out)
	}
	s := mustOpen(t, path, bolt.Options{})
	if _, err := s.Get(t.Context(), "more"); err != nil {
		t.Errorf("get: %v", err)
	}
}

// readWhatWasCut reads a store whose file is cut under it: the mapped pages are gone and reading
// them is a fault.
func readWhatWasCut(path string) error {
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	for i := range 20 {
		if _, err := s.Commit(context.Background(), put(fmt.Sprint(i), make([]byte, 30_000))); err != nil {
			return err
		}
	}
	if err := os.Truncate(path, 8192); err != nil {
		return err
	}
	_, _, err = s.Range(context.Background(), "", "", 1000)
	if !errors.Is(err, bolt.ErrDamaged) || !errors.Is(err, db.ErrUnavailable) {
		return fmt.Errorf("range: got %v, want %w", err, bolt.ErrDamaged)
	}
	if s.Health() == nil {
		return errors.New("the store says that it is healthy")
	}
	if _, err := s.Commit(context.Background(), put("k", nil)); !errors.Is(err, db.ErrUnavailable) {
		return fmt.Errorf("commit: got %v, want %w", err, db.ErrUnavailable)
	}
	return s.Close()
}

func TestCutWhileOpen(t *testing.T) {
	if out, err := child(t, "cut", filepath.Join(t.TempDir(), "test.db")).CombinedOutput(); err != nil {
		t.Fatalf("the child: %v\n%s", err, out)
	}
}
