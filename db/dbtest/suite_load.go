package dbtest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/db"
)

var limits = map[string]func(*testing.T, db.Store){
	"at each limit": func(t *testing.T, s db.Store) {
		txn := db.Txn{}
		for i := range db.MaxWrites {
			txn.Writes = append(txn.Writes, db.Put(longKey(i), make([]byte, db.MaxValue)))
		}
		for i := range db.MaxConditions {
			txn.If = append(txn.If, db.Absent(longKey(i)))
		}
		MustCommit(t, s, txn)
		entries, _, err := s.Range(t.Context(), "", "", db.MaxWrites+1)
		if err != nil || len(entries) != db.MaxWrites || len(entries[0].Value) != db.MaxValue {
			t.Errorf("got %d entries, %v, want %d", len(entries), err, db.MaxWrites)
		}
	},
	"one over each limit": func(t *testing.T, s db.Store) {
		put := func(keys ...string) (writes []db.Write) {
			for _, key := range keys {
				writes = append(writes, db.Put(key, []byte("x")))
			}
			return writes
		}
		many := db.Txn{Writes: put("k")}
		for i := range db.MaxConditions + 1 {
			many.If = append(many.If, db.Absent(longKey(i)))
		}
		var keys []string
		for i := range db.MaxWrites + 1 {
			keys = append(keys, longKey(i))
		}
		for name, txn := range map[string]db.Txn{
			"conditions":             many,
			"writes":                 {Writes: put(keys...)},
			"a key's length":         {Writes: put(strings.Repeat("k", db.MaxKey+1))},
			"a condition's key":      {If: []db.Condition{db.Absent(strings.Repeat("k", db.MaxKey+1))}, Writes: put("k")},
			"an empty key":           {Writes: put("")},
			"an empty condition key": {If: []db.Condition{db.Absent("")}, Writes: put("k")},
			"a value's length":       {Writes: []db.Write{db.Put("k", make([]byte, db.MaxValue+1))}},
			"a key written twice":    {Writes: put("k", "other", "k")},
			"put and deleted":        {Writes: append(put("k"), db.Delete("k"))},
		} {
			_, err := s.Commit(t.Context(), txn)
			wantErr(t, name, err, db.ErrLimit)
		}
		if entries, at, err := s.Range(t.Context(), "", "", 1); err != nil || len(entries) != 0 || at != 0 {
			t.Errorf("got %v at %d, %v, want an untouched store", entries, at, err)
		}
	},
	"a range of nothing": func(t *testing.T, s db.Store) {
		for _, limit := range []int{0, -1} {
			_, _, err := s.Range(t.Context(), "", "", limit)
			wantErr(t, fmt.Sprintf("limit %d", limit), err, db.ErrLimit)
		}
	},
	"a key that is too long is not there": func(t *testing.T, s db.Store) {
		for _, key := range []string{"", strings.Repeat("k", 1<<17)} {
			_, err := s.Get(t.Context(), key)
			wantErr(t, fmt.Sprintf("get of %d bytes", len(key)), err, db.ErrNotFound)
		}
	},
}

func longKey(i int) string {
	return fmt.Sprintf("%0*d", db.MaxKey, i)
}

var races = map[string]func(*testing.T, db.Store){
	"of creation": func(t *testing.T, s db.Store) {
		var won, lost atomic.Int32
		together(16, func(i int) {
			_, err := s.Commit(t.Context(), db.Txn{If: []db.Condition{db.Absent("name")}, Writes: []db.Write{db.Put("name", []byte{byte(i)})}})
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, db.ErrConflict):
				lost.Add(1)
			default:
				t.Errorf("writer %d: %v", i, err)
			}
		})
		if won.Load() != 1 || lost.Load() != 15 {
			t.Errorf("%d won and %d lost, want 1 and 15", won.Load(), lost.Load())
		}
	},
	"of a counter": func(t *testing.T, s db.Store) {
		const writers, rounds = 8, 15
		MustPut(t, s, "counter", "0")
		together(writers, func(int) {
			for range rounds {
				for err := db.ErrConflict; errors.Is(err, db.ErrConflict); {
					err = increment(t.Context(), s)
					if err != nil && !errors.Is(err, db.ErrConflict) {
						t.Errorf("increment: %v", err)
					}
				}
			}
		})
		wantValue(t, s, "counter", strconv.Itoa(writers*rounds))
	},
	"refused neighbours": func(t *testing.T, s db.Store) {
		MustPut(t, s, "taken", "x")
		var conflicts atomic.Int32
		together(32, func(i int) {
			txn := db.Txn{Writes: []db.Write{db.Put(fmt.Sprint("k", i), []byte("v"))}}
			if i%2 == 0 {
				txn.If = []db.Condition{db.Absent("taken")}
			}
			if _, err := s.Commit(t.Context(), txn); errors.Is(err, db.ErrConflict) {
				conflicts.Add(1)
			} else if err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
		entries, _, _ := s.Range(t.Context(), "k", "l", 100)
		if conflicts.Load() != 16 || len(entries) != 16 {
			t.Errorf("%d conflicts and %d records, want 16 and 16", conflicts.Load(), len(entries))
		}
	},
	"each commit has a revision of its own": func(t *testing.T, s db.Store) {
		var revisions sync.Map
		together(32, func(i int) {
			if other, twice := revisions.LoadOrStore(put(t, s, fmt.Sprint(i), "v"), i); twice {
				t.Errorf("writers %d and %v share a revision", i, other)
			}
		})
	},
}

func increment(ctx context.Context, s db.Store) error {
	entry, err := s.Get(ctx, "counter")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(entry.Value))
	if err != nil {
		return err
	}
	_, err = s.Commit(ctx, db.Txn{
		If:     []db.Condition{db.Unchanged(entry)},
		Writes: []db.Write{db.Put("counter", []byte(strconv.Itoa(n+1)))},
	})
	return err
}

// together runs n calls of fn at once and waits for them.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

// testCloseAmidCommits: what Commit has acknowledged is not taken back by Close, and who comes too
// late is told so.
func testCloseAmidCommits(t *testing.T, s db.Store) {
	var given atomic.Int64 // how many batches the watcher saw
	if _, err := s.Watch(t.Context(), 0, func(db.Batch) { given.Add(1) }); err != nil {
		t.Fatalf("watch: %v", err)
	}
	var acknowledged atomic.Int64
	first := make(chan struct{})
	var once sync.Once
	together(9, func(i int) {
		if i == 0 {
			<-first
			wantErr(t, "close", s.Close(), nil)
			return
		}
		for n := 0; ; n++ {
			_, err := s.Commit(t.Context(), db.Txn{Writes: []db.Write{db.Put(fmt.Sprintf("%d/%d", i, n), nil)}})
			once.Do(func() { close(first) })
			if err != nil {
				wantErr(t, "commit after close", err, db.ErrUnavailable)
				return
			}
			acknowledged.Add(1)
		}
	})
	if given.Load() != acknowledged.Load() {
		t.Errorf("%d commits were acknowledged, %d given to the watcher", acknowledged.Load(), given.Load())
	}
}

var ranges = map[string]func(*testing.T, db.Store){
	"bounds, order and binary keys": func(t *testing.T, s db.Store) {
		keys := []string{"\x00", "\x00\x00", "a", "a\x00", "a/", "a/b", "b", "\xc3\x28", "\xff", "\xff\xff\x00"} // sorted
		var txn db.Txn
		for i := range keys {
			txn.Writes = append(txn.Writes, db.Put(keys[len(keys)-1-i], []byte("v"+keys[len(keys)-1-i])))
		}
		revision := MustCommit(t, s, txn)
		for _, c := range []struct {
			from, to string
			limit    int
			want     []string
		}{
			{"", "", 100, keys},
			{"a", "b", 100, []string{"a", "a\x00", "a/", "a/b"}},
			{"a", "b\x00", 100, []string{"a", "a\x00", "a/", "a/b", "b"}},
			{"a/", "a0", 100, []string{"a/", "a/b"}},
			{"", "", 3, keys[:3]},
			{"a\x00", "", 2, []string{"a\x00", "a/"}},
			{"\xff", "", 100, keys[8:]},
			{"\xff\xff\xff", "", 100, nil},
			{"b", "a", 100, nil},
			{"a", "a", 100, nil},
		} {
			entries, at, err := s.Range(t.Context(), c.from, c.to, c.limit)
			if err != nil || at != revision {
				t.Errorf("range %q to %q: at %d, %v, want %d", c.from, c.to, at, err, revision)
			}
			var got []string
			for _, e := range entries {
				got = append(got, e.Key)
				if string(e.Value) != "v"+e.Key || e.Revision != revision {
					t.Errorf("range %q to %q: got %+v", c.from, c.to, e)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("range %q to %q, limit %d (-want +got):\n%s", c.from, c.to, c.limit, diff)
			}
		}
	},
	"paging": func(t *testing.T, s db.Store) {
		const n = 2500 // more than two pages of db.Each
		for i := 0; i < n; {
			var txn db.Txn
			for ; i < n && len(txn.Writes) < db.MaxWrites; i++ {
				txn.Writes = append(txn.Writes, db.Put(fmt.Sprintf("p/%05d", i), nil))
			}
			MustCommit(t, s, txn)
		}
		last := MustPut(t, s, "q", "behind the prefix")
		next := 0
		at, err := db.Each(t.Context(), s, "p/", func(e db.Entry) error {
			if want := fmt.Sprintf("p/%05d", next); e.Key != want {
				t.Fatalf("got %q, want %q", e.Key, want)
			}
			next++
			return nil
		})
		if err != nil || at != last || next != n {
			t.Errorf("got %d entries at %d, %v, want %d at %d", next, at, err, n, last)
		}
	},
	"one moment": func(t *testing.T, s db.Store) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 50 {
				value := fmt.Sprint(i)
				_, err := s.Commit(t.Context(), db.Txn{Writes: []db.Write{db.Put("a", []byte(value)), db.Put("z", []byte(value))}})
				if err != nil {
					t.Errorf("commit: %v", err)
				}
			}
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			entries, at, err := s.Range(t.Context(), "", "", 10)
			if err != nil || len(entries) == 2 && (string(entries[0].Value) != string(entries[1].Value) || entries[0].Revision != at) {
				t.Fatalf("got %+v at %d, %v, want both of one commit", entries, at, err)
			}
		}
	},
}
