package dbtest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"devicegate/db"
)

var watches = map[string]func(*testing.T, db.Store){
	"what a batch holds": func(t *testing.T, s db.Store) {
		var got []db.Batch
		if _, err := s.Watch(t.Context(), 0, func(b db.Batch) { got = append(got, b) }); err != nil {
			t.Fatalf("watch: %v", err)
		}
		first := MustCommit(t, s, db.Txn{Writes: []db.Write{
			db.Put("w/b", []byte("1")), db.Put("unwatched", []byte("2")), db.Delete("w/a"), db.Put("w", nil), db.Put("w/", []byte("3")),
		}})
		second := MustPut(t, s, "unwatched", "4")
		want := []db.Batch{
			{Revision: first, Writes: []db.Write{db.Put("w/b", []byte("1")), db.Delete("w/a"), db.Put("w/", []byte("3"))}},
			{Revision: second},
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
	},
	"a refused commit is not fed": func(t *testing.T, s db.Store) {
		MustPut(t, s, "w/k", "v")
		_, at, _ := s.Range(t.Context(), "", "", 1)
		given := 0
		if _, err := s.Watch(t.Context(), at, func(db.Batch) { given++ }); err != nil {
			t.Fatalf("watch: %v", err)
		}
		_, err := s.Commit(t.Context(), db.Txn{If: []db.Condition{db.Absent("w/k")}, Writes: []db.Write{db.Put("w/k", []byte("x"))}})
		wantErr(t, "commit", err, db.ErrConflict)
		if given != 0 {
			t.Errorf("the watcher was given %d batches, want none", given)
		}
	},
	"a commit is fed before it returns": func(t *testing.T, s db.Store) {
		var seen [3]atomic.Int64 // the last revision of each watcher
		for i := range seen {
			if _, err := s.Watch(t.Context(), 0, func(b db.Batch) { seen[i].Store(int64(b.Revision)) }); err != nil {
				t.Fatalf("watch: %v", err)
			}
		}
		together(8, func(i int) {
			for range 20 {
				revision := put(t, s, fmt.Sprint("w/", i), "v")
				for w := range seen {
					if got := seen[w].Load(); got < int64(revision) {
						t.Errorf("commit %d returned while watcher %d was at %d", revision, w, got)
					}
				}
			}
		})
	},
	"from a list on, without a gap": testNoGap,
	"resuming": func(t *testing.T, s db.Store) {
		var revisions []db.Revision
		for i := range 10 {
			revisions = append(revisions, MustPut(t, s, "w/k", fmt.Sprint(i)))
		}
		for i, after := range revisions {
			var got []db.Revision
			if _, err := s.Watch(t.Context(), after, func(b db.Batch) { got = append(got, b.Revision) }); err != nil {
				t.Fatalf("watch after %d: %v", after, err)
			}
			// What was committed before is given before Watch returns.
			if diff := cmp.Diff(revisions[i+1:], got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("after %d (-want +got):\n%s", after, diff)
			}
		}
	},
	"the feed is bounded": func(t *testing.T, s db.Store) {
		first := MustPut(t, s, "w/k", "v")
		txn := db.Txn{}
		for i := range db.MaxWrites {
			txn.Writes = append(txn.Writes, db.Put(fmt.Sprint("w/", i), make([]byte, db.MaxValue)))
		}
		var last db.Revision
		for range 16 { // 32 MiB of watched values
			last = MustCommit(t, s, txn)
		}
		_, err := s.Watch(t.Context(), first, func(db.Batch) { t.Error("apply was called") })
		wantErr(t, "watch from long ago", err, db.ErrCompacted)
		if _, err = s.Watch(t.Context(), last, func(db.Batch) {}); err != nil {
			t.Errorf("watch from now: %v", err)
		}
	},
	"a revision of another store": func(t *testing.T, s db.Store) {
		revision := MustPut(t, s, "w/k", "v")
		_, err := s.Watch(t.Context(), revision+1, func(db.Batch) {})
		wantErr(t, "watch from the future", err, db.ErrCompacted)
	},
	"until the context ends": func(t *testing.T, s db.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		var given atomic.Int32
		feed, err := s.Watch(ctx, 0, func(db.Batch) { given.Add(1) })
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		MustPut(t, s, "w/k", "v")
		cancel()
		if err, told := <-feed; err != nil || !told {
			t.Errorf("the feed ended with %v (told %v), want nil", err, told)
		}
		if _, open := <-feed; open {
			t.Error("the feed told its end twice")
		}
		MustPut(t, s, "w/k", "v")
		if given.Load() != 1 {
			t.Errorf("the watcher was given %d batches, want 1", given.Load())
		}
	},
}

// mirror is what a watcher makes of the feed: the records below db.WatchedPrefix.
type mirror struct {
	mu      sync.Mutex
	records map[string]string
	at      db.Revision
	torn    bool
}

func (m *mirror) apply(b db.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.torn = m.torn || b.Revision <= m.at
	m.at = b.Revision
	for _, w := range b.Writes {
		if w.Delete {
			delete(m.records, w.Key)
		} else {
			m.records[w.Key] = string(w.Value)
		}
	}
	// Every commit writes both or none.
	m.torn = m.torn || m.records["w/left"] != m.records["w/right"]
}

// testNoGap lists and watches while others write: the mirror must end like the store.
func testNoGap(t *testing.T, s db.Store) {
	const writers, rounds = 4, 40
	started := make(chan struct{})
	var once sync.Once
	together(writers+1, func(i int) {
		if i == writers {
			<-started
			for range 5 {
				wantMirror(t, s)
			}
			return
		}
		for n := range rounds {
			value := fmt.Appendf(nil, "%d/%d", i, n)
			txn := db.Txn{Writes: []db.Write{db.Put("w/left", value), db.Put("w/right", value), db.Put(fmt.Sprintf("w/%d/%d", i, n%7), value)}}
			if n%5 == 4 {
				txn.Writes[2] = db.Delete(txn.Writes[2].Key)
			}
			commit(t, s, txn)
			once.Do(func() { close(started) })
		}
	})
	wantMirror(t, s)
}

// wantMirror builds a mirror, lets the store go on for a moment and compares both at one revision.
func wantMirror(t *testing.T, s db.Store) {
	t.Helper()
	m := &mirror{records: make(map[string]string)}
	entries, at, err := s.Range(t.Context(), db.WatchedPrefix, db.PrefixEnd(db.WatchedPrefix), 1000)
	if err != nil {
		t.Errorf("range: %v", err)
		return
	}
	m.at = at
	for _, e := range entries {
		m.records[e.Key] = string(e.Value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := s.Watch(ctx, at, m.apply); err != nil {
		t.Errorf("watch: %v", err)
		return
	}
	var want map[string]string
	for same := false; !same; {
		revision := put(t, s, "unwatched", "x")
		m.mu.Lock()
		reached := m.at
		got := make(map[string]string, len(m.records))
		for k, v := range m.records {
			got[k] = v
		}
		m.mu.Unlock()
		if reached < revision {
			t.Errorf("the mirror is at %d after commit %d", reached, revision)
		}
		entries, at, err := s.Range(t.Context(), db.WatchedPrefix, db.PrefixEnd(db.WatchedPrefix), 1000)
		if err != nil {
			t.Errorf("range: %v", err)
			return
		}
		if same = at == reached; same {
			want = make(map[string]string, len(entries))
			for _, e := range entries {
				want[e.Key] = string(e.Value)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the mirror at %d (-store +mirror):\n%s", at, diff)
			}
		}
	}
	if m.mu.Lock(); m.torn {
		t.Error("the mirror saw half a commit, or one out of order")
	}
	m.mu.Unlock()
}
