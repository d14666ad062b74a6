package dbtest

import (
	"context"
	"errors"
	"testing"

	"devicegate/db"
)

// Run runs the whole suite. open returns a new, empty store that nobody else uses; Run closes it. No
// engine may leave a test out.
func Run(t *testing.T, open func(t *testing.T) db.Store) {
	for _, group := range []struct {
		name  string
		tests map[string]func(*testing.T, db.Store)
	}{
		{"Transactions", transactions},
		{"Limits", limits},
		{"Races", races},
		{"Ranges", ranges},
		{"Watches", watches},
		{"Ends", ends},
	} {
		t.Run(group.name, func(t *testing.T) {
			for name, test := range group.tests {
				t.Run(name, func(t *testing.T) {
					s := open(t)
					t.Cleanup(func() { _ = s.Close() }) // the test may have closed it
					test(t, s)
				})
			}
		})
	}
}

// wantErr fails unless err wraps want.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// wantValue fails unless key has the value; "" demands that it does not exist.
func wantValue(t *testing.T, s db.Store, key, want string) {
	t.Helper()
	entry, err := s.Get(t.Context(), key)
	switch {
	case want == "" && errors.Is(err, db.ErrNotFound):
	case err != nil:
		t.Errorf("get %q: %v, want %q", key, err, want)
	case string(entry.Value) != want:
		t.Errorf("get %q: got %q, want %q", key, entry.Value, want)
	}
}

var transactions = map[string]func(*testing.T, db.Store){
	"get what was put": func(t *testing.T, s db.Store) {
		revision := MustPut(t, s, "k", "v")
		entry, err := s.Get(t.Context(), "k")
		if err != nil || entry.Key != "k" || string(entry.Value) != "v" || entry.Revision != revision {
			t.Errorf("got %+v, %v, want k, v at revision %d", entry, err, revision)
		}
		_, err = s.Get(t.Context(), "other")
		wantErr(t, "get of a missing key", err, db.ErrNotFound)
	},
	"an empty value is a value": func(t *testing.T, s db.Store) {
		MustPut(t, s, "k", "")
		if entry, err := s.Get(t.Context(), "k"); err != nil || len(entry.Value) != 0 {
			t.Errorf("got %+v, %v, want an empty value", entry, err)
		}
		_, err := s.Commit(t.Context(), db.Txn{If: []db.Condition{db.Absent("k")}, Writes: []db.Write{db.Delete("k")}})
		wantErr(t, "absent although it has an empty value", err, db.ErrConflict)
	},
	"revisions start at one and grow": func(t *testing.T, s db.Store) {
		last := db.Revision(0)
		for range 5 {
			if revision := MustPut(t, s, "k", "same"); revision <= last {
				t.Fatalf("revision %d after %d", revision, last)
			} else {
				last = revision
			}
		}
		if _, at, err := s.Range(t.Context(), "", "", 1); err != nil || at != last {
			t.Errorf("range at revision %d, %v, want %d", at, err, last)
		}
	},
	"deleting": func(t *testing.T, s db.Store) {
		MustPut(t, s, "k", "v")
		MustCommit(t, s, db.Txn{Writes: []db.Write{db.Delete("k"), db.Delete("never there")}})
		wantValue(t, s, "k", "")
		MustCommit(t, s, db.Txn{If: []db.Condition{db.Absent("k")}, Writes: []db.Write{db.Put("k", []byte("again"))}})
		wantValue(t, s, "k", "again")
	},
	"conditions": testConditions,
	"all or nothing": func(t *testing.T, s db.Store) {
		MustPut(t, s, "there", "old")
		txn := db.Txn{
			If:     []db.Condition{db.Absent("a"), db.Absent("there")},
			Writes: []db.Write{db.Put("a", []byte("x")), db.Put("there", []byte("new")), db.Delete("there2")},
		}
		_, before, _ := s.Range(t.Context(), "", "", 1)
		_, err := s.Commit(t.Context(), txn)
		wantErr(t, "one of two conditions fails", err, db.ErrConflict)
		wantValue(t, s, "a", "")
		wantValue(t, s, "there", "old")
		if _, after, _ := s.Range(t.Context(), "", "", 1); after != before {
			t.Errorf("a refused transaction moved the revision from %d to %d", before, after)
		}
		revision := MustCommit(t, s, db.Txn{Writes: txn.Writes[:2]})
		for _, key := range []string{"a", "there"} {
			if entry, err := s.Get(t.Context(), key); err != nil || entry.Revision != revision {
				t.Errorf("%q is at revision %d, %v, want both at %d", key, entry.Revision, err, revision)
			}
		}
	},
	"conditions alone": func(t *testing.T, s db.Store) {
		MustPut(t, s, "k", "v")
		MustCommit(t, s, db.Txn{If: []db.Condition{db.Absent("other")}})
		_, err := s.Commit(t.Context(), db.Txn{If: []db.Condition{db.Absent("k")}})
		wantErr(t, "no writes, condition fails", err, db.ErrConflict)
	},
	"slices belong to their receiver": testAliasing,
}

func testConditions(t *testing.T, s db.Store) {
	first := MustPut(t, s, "k", "1")
	second := MustPut(t, s, "k", "2")
	for _, c := range []struct {
		name string
		cond db.Condition
		want error
	}{
		{"absent, and it is", db.Absent("other"), nil},
		{"absent, but it exists", db.Absent("k"), db.ErrConflict},
		{"at its revision", db.Condition{Key: "k", Revision: second}, nil},
		{"at an older revision", db.Condition{Key: "k", Revision: first}, db.ErrConflict},
		{"at a later revision", db.Condition{Key: "k", Revision: second + 1}, db.ErrConflict},
		{"at a revision, but it is absent", db.Condition{Key: "other", Revision: first}, db.ErrConflict},
		{"at a negative revision", db.Condition{Key: "other", Revision: -1}, db.ErrConflict},
	} {
		_, err := s.Commit(t.Context(), db.Txn{If: []db.Condition{c.cond}, Writes: []db.Write{db.Put("witness", []byte(c.name))}})
		wantErr(t, c.name, err, c.want)
		if entry, _ := s.Get(t.Context(), "witness"); (string(entry.Value) == c.name) != (c.want == nil) {
			t.Errorf("%s: written %v, want %v", c.name, c.want != nil, c.want == nil)
		}
	}
}

func testAliasing(t *testing.T, s db.Store) {
	value := []byte("value")
	var seen []db.Batch
	for range 2 { // two watchers, the first spoils what it is given
		_, err := s.Watch(t.Context(), 0, func(b db.Batch) {
			seen = append(seen, db.Batch{Writes: []db.Write{{Value: append([]byte(nil), b.Writes[0].Value...)}}})
			copy(b.Writes[0].Value, "XXXXX")
			b.Writes[0].Key = "spoilt"
		})
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
	}
	MustCommit(t, s, db.Txn{Writes: []db.Write{db.Put("w/k", value)}})
	copy(value, "XXXXX")
	entry, err := s.Get(t.Context(), "w/k")
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	copy(entry.Value, "YYYYY")
	wantValue(t, s, "w/k", "value")
	entries, _, err := s.Range(t.Context(), "", "", 1)
	if err != nil {
		t.Fatalf("range: %v", err)
	}
	copy(entries[0].Value, "ZZZZZ")
	_ = append(entries[0].Value, "over the end"...)
	wantValue(t, s, "w/k", "value")
	if _, err := s.Watch(t.Context(), 0, func(b db.Batch) { seen = append(seen, b) }); err != nil {
		t.Fatalf("watch again: %v", err)
	}
	for i, b := range seen {
		if got := string(b.Writes[0].Value); got != "value" {
			t.Errorf("watcher %d was given %q, want %q", i, got, "value")
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d batches were given, want 3", len(seen))
	}
}

var ends = map[string]func(*testing.T, db.Store){
	"a context that has ended": func(t *testing.T, s db.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Commit(ctx, db.Txn{Writes: []db.Write{db.Put("k", []byte("v"))}})
		wantErr(t, "commit", err, db.ErrUnavailable)
		_, err = s.Get(ctx, "k")
		wantErr(t, "get", err, db.ErrUnavailable)
		_, _, err = s.Range(ctx, "", "", 1)
		wantErr(t, "range", err, db.ErrUnavailable)
		_, err = s.Watch(ctx, 0, func(db.Batch) {})
		wantErr(t, "watch", err, db.ErrUnavailable)
		wantValue(t, s, "k", "")
		wantErr(t, "health", s.Health(), nil)
	},
	"closing": func(t *testing.T, s db.Store) {
		wantErr(t, "health before", s.Health(), nil)
		feed, err := s.Watch(t.Context(), 0, func(db.Batch) {})
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		MustPut(t, s, "k", "v")
		wantErr(t, "close", s.Close(), nil)
		wantErr(t, "end of the feed", <-feed, db.ErrUnavailable)
		if _, open := <-feed; open {
			t.Error("the feed told its end twice")
		}
		wantErr(t, "health", s.Health(), db.ErrUnavailable)
		_, err = s.Commit(t.Context(), db.Txn{Writes: []db.Write{db.Put("k", nil)}})
		wantErr(t, "commit", err, db.ErrUnavailable)
		_, err = s.Get(t.Context(), "k")
		wantErr(t, "get", err, db.ErrUnavailable)
		_, _, err = s.Range(t.Context(), "", "", 1)
		wantErr(t, "range", err, db.ErrUnavailable)
		_, err = s.Watch(t.Context(), 0, func(db.Batch) {})
		wantErr(t, "watch", err, db.ErrUnavailable)
		wantErr(t, "close again", s.Close(), db.ErrUnavailable)
	},
	"closing amid commits": testCloseAmidCommits,
}
