package dbtest_test

import (
	"errors"
	"testing"

	"devicegate/db"
	"devicegate/db/dbtest"
)

// A wrapper that injects nothing must be as good as the store.
func TestFaultyPassesTheSuite(t *testing.T) {
	dbtest.Run(t, func(t *testing.T) db.Store { return dbtest.NewFaulty(dbtest.New(t)) })
}

func TestFaultyCommit(t *testing.T) {
	f := dbtest.NewFaulty(dbtest.New(t))
	for _, c := range []struct {
		name    string
		err     error
		applied bool
	}{
		{"before", db.ErrUnavailable, false},
		{"after", db.ErrUnknown, true},
	} {
		f.FailCommits(c.err, c.applied)
		_, err := f.Commit(t.Context(), db.Txn{Writes: []db.Write{db.Put(c.name, []byte("v"))}})
		if !errors.Is(err, c.err) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.err)
		}
		if _, err := f.Get(t.Context(), c.name); (err == nil) != c.applied {
			t.Errorf("%s: get %v, want applied %v", c.name, err, c.applied)
		}
	}
	f.FailCommits(nil, false)
	dbtest.MustPut(t, f, "k", "v")
}

func TestFaultyFeedAndHealth(t *testing.T) {
	f := dbtest.NewFaulty(dbtest.New(t))
	why := errors.New("the line was cut")
	given := 0
	feed, err := f.Watch(t.Context(), 0, func(db.Batch) { given++ })
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	dbtest.MustPut(t, f, "w/k", "v")
	f.BreakFeeds(why)
	if got := <-feed; !errors.Is(got, why) {
		t.Errorf("the feed ended with %v, want %v", got, why)
	}
	dbtest.MustPut(t, f, "w/k", "v")
	if given != 1 {
		t.Errorf("the watcher was given %d batches, want 1", given)
	}
	if _, err := f.Watch(t.Context(), 1, func(db.Batch) { given++ }); err != nil || given != 2 {
		t.Errorf("watch again: %v, given %d batches in all, want 2", err, given)
	}
	f.FailHealth(why)
	if got := f.Health(); !errors.Is(got, why) {
		t.Errorf("health %v, want %v", got, why)
	}
	f.FailHealth(nil)
	if got := f.Health(); got != nil {
		t.Errorf("health %v, want nil", got)
	}
}
