package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
)

func TestSuite(t *testing.T) {
	dbtest.Run(t, func(t *testing.T) db.Store {
		return mustOpen(t, filepath.Join(t.TempDir(), "test.db"), bolt.Options{})
	})
}

// Every failure that leaves the file's state open ends all acknowledging until the file is opened
// anew; then the file tells what was kept.
func TestPoisoned(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(*bolt.Store)
		kept bool
	}{
		{"sync failed, commit lost", func(s *bolt.Store) { bolt.FailSync(s, false) }, false},
		{"sync failed, commit kept", func(s *bolt.Store) { bolt.FailSync(s, true) }, true},
		{"sync failed for lack of room", bolt.FailSyncFull, false},
		{"panic", bolt.PanicInCommit, false},
		{"no room, but a header was touched", func(s *bolt.Store) {
			bolt.SpoilHeaderAndFail(s, &fs.PathError{Op: "write", Err: syscall.ENOSPC})
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			s := mustOpen(t, path, bolt.Options{})
			given := 0
			feed, err := s.Watch(t.Context(), 0, func(db.Batch) { given++ })
			if err != nil {
				t.Fatalf("watch: %v", err)
			}
			dbtest.MustPut(t, s, "before", "v")
			c.fail(s)
			if _, err := s.Commit(t.Context(), put("w/k", []byte("v"))); !errors.Is(err, db.ErrUnknown) || errors.Is(err, db.ErrUnavailable) {
				t.Errorf("got %v, want %v", err, db.ErrUnknown)
			}
			wantPoisoned(t, s, feed)
			if given != 1 {
				t.Errorf("the watcher was given %d commits, want the first alone", given)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			again := mustOpen(t, path, bolt.Options{})
			if _, err := again.Get(t.Context(), "before"); err != nil {
				t.Errorf("get of what was acknowledged: %v", err)
			}
			if _, err := again.Get(t.Context(), "w/k"); (err == nil) != c.kept {
				t.Errorf("get %v, want kept %v", err, c.kept)
			}
			dbtest.MustPut(t, again, "after", "v")
		})
	}
}

func wantPoisoned(t *testing.T, s *bolt.Store, feed <-chan error) {
	t.Helper()
	if err := s.Health(); err == nil {
		t.Fatal("the store says that it is healthy")
	}
	if err := <-feed; err == nil {
		t.Error("the feed ended without an error")
	}
	if _, err := s.Watch(t.Context(), 0, func(db.Batch) {}); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("watch: got %v, want %v", err, db.ErrUnavailable)
	}
	if _, err := s.Commit(t.Context(), put("later", nil)); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("commit: got %v, want %v", err, db.ErrUnavailable)
	}
}

// A lack of room that bbolt met while writing, with both headers as before, harms nothing.
func TestNoRoomWhileWriting(t *testing.T) {
	for _, op := range []string{"write", "truncate"} {
		s := dbtest.New(t)
		restore := bolt.FailCommit(s, &fs.PathError{Op: op, Err: syscall.ENOSPC})
		if _, err := s.Commit(t.Context(), put("k", nil)); !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("%s: got %v, want %v", op, err, db.ErrUnavailable)
		}
		restore()
		dbtest.MustPut(t, s, "k", "v")
	}
}

// A transaction that has begun is answered with the truth although its context has ended; one that
// waited behind it is not written.
func TestContextEndsMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dbtest.New(t)
		_, release := bolt.HoldCommit(s)
		ctx, cancel := context.WithCancel(t.Context())
		var begun, waiting error
		go func() { _, begun = s.Commit(ctx, put("begun", nil)) }()
		synctest.Wait() // the first is held in its commit
		go func() { _, waiting = s.Commit(ctx, put("waiting", nil)) }()
		synctest.Wait()
		cancel()
		release()
		synctest.Wait()
		if begun != nil {
			t.Errorf("the one that had begun: %v", begun)
		}
		if !errors.Is(waiting, db.ErrUnavailable) || !errors.Is(waiting, context.Canceled) {
			t.Errorf("the one that waited: got %v, want %v", waiting, db.ErrUnavailable)
		}
		if _, err := s.Get(t.Context(), "begun"); err != nil {
			t.Errorf("get begun: %v", err)
		}
		if _, err := s.Get(t.Context(), "waiting"); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("get waiting: got %v, want %v", err, db.ErrNotFound)
		}
	})
}

// A transaction whose context ended after it was taken, before its turn, is not written; those beside
// it are.
func TestContextEndsBeforeTheTurn(t *testing.T) {
	s := dbtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	errs := append(bolt.CommitTogether(ctx, s, put("k", nil)), bolt.CommitTogether(t.Context(), s, put("other", nil))...)
	if !errors.Is(errs[0], db.ErrUnavailable) || errs[1] != nil {
		t.Errorf("got %v and %v, want %v and none", errs[0], errs[1], db.ErrUnavailable)
	}
	if _, err := s.Get(t.Context(), "k"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("get: got %v, want %v", err, db.ErrNotFound)
	}
}

// Writers that wait for a sync share the next one, and one of them that conflicts fails alone.
func TestWaitingWritersShareASync(t *testing.T) {
	const writers = 40
	synctest.Test(t, func(t *testing.T) {
		s := dbtest.New(t)
		syncs, release := bolt.HoldCommit(s)
		go func() { _, _ = s.Commit(t.Context(), put("first", nil)) }()
		synctest.Wait()
		var errs [writers]error
		for i := range errs {
			txn := put(fmt.Sprint(i/2), nil) // two writers a key, each wants to be the first
			txn.If = []db.Condition{db.Absent(txn.Writes[0].Key)}
			go func() { _, errs[i] = s.Commit(t.Context(), txn) }()
		}
		synctest.Wait()
		release()
		synctest.Wait()
		if len(syncs) != 2 {
			t.Errorf("%d commits took %d syncs, want 2", writers+1, len(syncs))
		}
		for i := 0; i < writers; i += 2 {
			if a, b := errs[i], errs[i+1]; (a == nil) == (b == nil) || !errors.Is(errors.Join(a, b), db.ErrConflict) {
				t.Errorf("key %d: got %v and %v, want one to win", i/2, a, b)
			}
		}
	})
}

// Close waits for the commit under way, and tells those behind it.
func TestCloseWaitsForACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dbtest.New(t)
		_, release := bolt.HoldCommit(s)
		var begun, waiting error
		closed := false
		go func() { _, begun = s.Commit(t.Context(), put("begun", nil)) }()
		synctest.Wait()
		go func() { _, waiting = s.Commit(t.Context(), put("waiting", nil)) }()
		go func() { closed = s.Close() == nil }()
		synctest.Wait()
		if closed {
			t.Error("close did not wait for the commit under way")
		}
		release()
		synctest.Wait()
		if !closed || begun != nil || !errors.Is(waiting, db.ErrUnavailable) {
			t.Errorf("closed %v, the one under way %v, the one behind it %v", closed, begun, waiting)
		}
	})
}

func TestReopenedKeepsRevisionAndIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	s := mustOpen(t, path, bolt.Options{})
	identity := s.Identity()
	last := dbtest.MustPut(t, s, "w/k", "v")
	if err := s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	s = mustOpen(t, path, bolt.Options{})
	if s.Identity() != identity || len(identity) != 36 {
		t.Errorf("identity %q became %q", identity, s.Identity())
	}
	if other := dbtest.New(t).Identity(); other == identity {
		t.Errorf("two stores share the identity %q", identity)
	}
	if _, err := s.Watch(t.Context(), last-1, func(db.Batch) {}); !errors.Is(err, db.ErrCompacted) {
		t.Errorf("watch from before opening: got %v, want %v", err, db.ErrCompacted)
	}
	if _, err := s.Watch(t.Context(), last, func(db.Batch) {}); err != nil {
		t.Errorf("watch from the opening revision: %v", err)
	}
	if next := dbtest.MustPut(t, s, "w/k", "v"); next <= last {
		t.Errorf("revision %d after %d", next, last)
	}
}
