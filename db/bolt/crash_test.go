package bolt_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"devicegate/db"
	"devicegate/db/bolt"
)

const journalWriters = 6

// journal writes without end and says on its standard output what was acknowledged.
func journal(path string) error {
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	_, start, err := s.Range(context.Background(), "", "", 1)
	if err != nil {
		return err
	}
	var mu sync.Mutex // one line is one write
	var wg sync.WaitGroup
	for w := range journalWriters {
		wg.Go(func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d/%d/%d", start, w, n)
				revision, err := s.Commit(context.Background(), db.Txn{
					If:     []db.Condition{db.Absent("a/" + key)},
					Writes: []db.Write{db.Put("a/"+key, []byte(key)), db.Put("w/"+key, make([]byte, n%3000)), db.Delete("gone")},
				})
				if err != nil {
					return
				}
				mu.Lock()
				fmt.Fprintln(os.Stdout, key, revision)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.New("all writers ended")
}

// A killed process has lost nothing that it had acknowledged, and left nothing half done.
func TestKilledAtAnyMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	acknowledged := make(map[string]db.Revision)
	for range 15 {
		killAfter(t, path, rand.IntN(150), acknowledged)
		s := mustOpen(t, path, bolt.Options{})
		wantJournal(t, s, acknowledged)
		if warnings := s.Warnings(); len(warnings) > 0 {
			t.Errorf("warnings: %q", warnings)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	t.Logf("%d commits were acknowledged", len(acknowledged))
	if len(acknowledged) < 100 {
		t.Errorf("only %d commits were acknowledged: this proves little", len(acknowledged))
	}
}

// killAfter lets a child write, kills it at its n-th line and notes all that it said.
func killAfter(t *testing.T, path string, n int, acknowledged map[string]db.Revision) {
	t.Helper()
	cmd := child(t, "journal", path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		if i == n {
			_ = cmd.Process.Kill() // SIGKILL; the rest of the pipe is still read
		}
		var key string
		var revision db.Revision
		if _, err := fmt.Sscan(lines.Text(), &key, &revision); err != nil {
			t.Fatalf("the child said %q", lines.Text())
		}
		acknowledged[key] = revision
	}
	_ = cmd.Wait() // it was killed
}

func wantJournal(t *testing.T, s *bolt.Store, acknowledged map[string]db.Revision) {
	t.Helper()
	found := make(map[string]db.Revision)
	at, err := db.Each(t.Context(), s, "a/", func(e db.Entry) error {
		found[e.Key[2:]] = e.Revision
		if other, err := s.Get(t.Context(), "w/"+e.Key[2:]); err != nil || other.Revision != e.Revision {
			t.Errorf("half of commit %d is there: %v", e.Revision, err)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for key, revision := range acknowledged {
		if found[key] != revision {
			t.Errorf("%s was acknowledged at %d and is at %d", key, revision, found[key])
		}
		if revision > at {
			t.Errorf("the store is at %d, behind %d", at, revision)
		}
	}
}
