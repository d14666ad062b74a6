package activity_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
)

// effort is what one commit does in the store before it returns.
type effort struct{ reads, commits, deletes int }

// observed is a store that tells what is done with the context of a commit from what is done in the background.
type observed struct {
	db.Store

	mu    sync.Mutex
	done  effort                             // with the context of a commit
	fails func(own bool, txn *db.Txn) bool   // own: with that context; txn: nil for a read
	on    func(own bool, from string) func() // before a read; what it returns is called after it
}

type own struct{}

func (w *observed) fail(fails func(own bool, txn *db.Txn) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails = fails
}

// note notes what is done, and returns the error that it is to fail with.
func (w *observed) note(ctx context.Context, txn *db.Txn) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	mine := ctx.Value(own{}) != nil
	switch {
	case !mine:
	case txn == nil:
		w.done.reads++
	case txn.Writes[0].Delete:
		w.done.deletes += len(txn.Writes) / 2
	default:
		w.done.commits++
	}
	if w.fails != nil && w.fails(mine, txn) {
		return db.ErrUnavailable
	}
	return nil
}

func (w *observed) Get(ctx context.Context, key string) (db.Entry, error) {
	if err := w.note(ctx, nil); err != nil {
		return db.Entry{}, err
	}
	return w.Store.Get(ctx, key)
}

func (w *observed) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	if err := w.note(ctx, nil); err != nil {
		return nil, 0, err
	}
	if w.on != nil {
		defer w.on(ctx.Value(own{}) != nil, from)()
	}
	return w.Store.Range(ctx, from, to, limit)
}

func (w *observed) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if err := w.note(ctx, &txn); err != nil {
		return 0, err
	}
	return w.Store.Commit(ctx, txn)
}

// of commits events and returns what that took.
func (w *observed) of(tb testing.TB, d *desk, events ...activity.Event) effort {
	tb.Helper()
	w.mu.Lock()
	w.done = effort{}
	w.mu.Unlock()
	if _, err := d.Commit(context.WithValue(tb.Context(), own{}, true), db.Txn{}, events...); err != nil {
		tb.Fatalf("commit: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// Nobody can tell from the work for an answer whether a name exists: not by a user's first event since the
// start, not by the one that passes his limit or his class's, and not by what he has.
func TestSameWorkForEveryone(t *testing.T) {
	one := user(1)
	act := activity.Event{Kind: activity.Admin, Outcome: activity.Success, Reason: "lockout_cleared"}
	for _, c := range []struct {
		name   string
		before func(i int) activity.Event // 1,200 from before the start
		of     func(i int) activity.Event
		prefix string
		most   int
	}{
		{"made-up names", madeUpNames, madeUpNames, "a/u/", mostUnknown + slackUnknown},
		{"one user", failureOf(1), failureOf(1), "e/" + one.String() + "/f/", mostOwn + slackOwn},
		{"a user with nothing", madeUpNames, failureOf(1), "e/" + one.String() + "/f/", mostOwn + slackOwn},
		{"users for the first time", madeUpNames, failureOf(2000), "a/f/", mostFailures + slackFailures},
		{"users who have much", failureOf(25), failureOf(25), "a/f/", mostFailures + slackFailures},
		{"a full class", failureOf(2000), failureOf(2000), "a/f/", mostFailures + slackFailures},
		{"acts on nobody", func(int) activity.Event { return act }, func(int) activity.Event { return act }, "a/k/", mostOwn + slackOwn},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.commit(t, times(1200, c.before)...)
			d.Rest()
			d.clock.Advance(time.Hour)
			w := &observed{Store: d.store}
			d = open(options(w, d.clock), d.clock)
			if did := w.of(t, d, success(user(1))); did != (effort{reads: 1, commits: 1}) {
				t.Errorf("the first event of all takes %+v, want the store's revision and one commit", did)
			}
			for i := range 150 {
				if did := w.of(t, d, c.of(i)); did != (effort{commits: 1}) {
					t.Fatalf("event %d takes %+v, want one commit", i, did)
				}
				d.Rest()
			}
			d.fill(t)
			d.stored(t)
			if n := d.under(t, c.prefix); n > c.most {
				t.Errorf("%d are left, want at most %d", n, c.most)
			}
		})
	}
}

func madeUpNames(int) activity.Event { return madeUp("mallory") }

// failureOf returns failures of n users in turn.
func failureOf(n int) func(int) activity.Event {
	return func(i int) activity.Event { return failure(user(1 + i%n)) }
}

// Whoever was forgotten, because others were active, is no slower than one who was not.
func TestSameWorkAfterBeingForgotten(t *testing.T) {
	d := newDesk(t)
	w := &observed{Store: d.store}
	o := options(w, d.clock)
	o.MaxTotal = 100_000
	d = open(o, d.clock)
	d.commit(t, times(mostOwn, failureOf(1))...)
	for n := range 5 {
		d.commit(t, times(activity.MaxQuotas/2, func(i int) activity.Event { return failure(user(2 + n*activity.MaxQuotas + i)) })...)
		d.Rest()
	}
	for i := range 100 {
		if did := w.of(t, d, failure(user(1+i))); did != (effort{commits: 1}) {
			t.Fatalf("user %d takes %+v, want one commit", i, did)
		}
		d.Rest()
	}
	d.stored(t)
}

// Where the background gets nothing done, commits do, and only at twice the slack.
func TestBoundsWithoutBackground(t *testing.T) {
	for _, c := range []struct {
		name   string
		of     func(i int) activity.Event
		prefix string
		credit int // how many are taken before they are counted
		most   int
	}{
		{"made-up names", madeUpNames, "a/u/", slackUnknown, mostUnknown + 2*slackUnknown},
		{"one user", failureOf(1), "a/f/", slackOwn, mostOwn + 2*slackOwn},
	} {
		t.Run(c.name, func(t *testing.T) {
			clk := &clock{now: start}
			changes := &watched{Store: dbtest.New(t), prefix: c.prefix, changes: map[db.Revision]int{}}
			w := &observed{Store: changes}
			w.fail(func(own bool, _ *db.Txn) bool { return !own })
			d := open(options(w, clk), clk)
			w.of(t, d, success(user(9)))
			var worked []int
			for i := range c.most + 100 {
				if did := w.of(t, d, c.of(i)); did != (effort{commits: 1}) {
					worked = append(worked, i)
				}
			}
			if n := changes.most(); n != c.most {
				t.Errorf("the store held %d at a time, want %d", n, c.most)
			}
			if len(worked) < 2 || worked[0] != c.credit || worked[1] != c.most {
				t.Errorf("work was done at %v, want it from %d on, and from %d", worked, c.credit, c.most)
			}
			w.fail(nil)
			d.commit(t, c.of(0)) // and what was left undone is done
			d.stored(t)
			if n := d.under(t, c.prefix); n > c.most {
				t.Errorf("%d are left", n)
			}
		})
	}
}

// What is committed while a user is counted is counted once, whichever of it the count sees.
func TestCountBesideCommits(t *testing.T) {
	for _, held := range []string{"before the read", "after the read"} {
		t.Run(held, func(t *testing.T) {
			path := storePath(t)
			clk := &clock{now: start}
			s := reopen(t, path)
			d := open(options(s, clk), clk)
			d.commit(t, times(20, failureOf(1))...)
			d.Rest()
			clk.Advance(time.Hour)
			w := &observed{Store: s}
			entered, opened := make(chan struct{}), make(chan struct{})
			var first sync.Once
			w.on = func(own bool, from string) func() {
				if own || from != "e/"+user(1).String()+"/f/" {
					return func() {}
				}
				hold := func() { first.Do(func() { entered <- struct{}{}; <-opened }) }
				if held == "after the read" {
					return hold
				}
				hold()
				return func() {}
			}
			d = open(options(w, clk), clk)
			d.commit(t, failure(user(1)))
			<-entered
			d.commit(t, times(slackOwn-2, failureOf(1))...)
			_, err := d.Commit(t.Context(), db.Txn{If: []db.Condition{{Key: "x", Revision: 1}}}, failure(user(1)))
			if !errors.Is(err, db.ErrConflict) {
				t.Errorf("commit = %v, want %v", err, db.ErrConflict)
			}
			d.commit(t, failure(user(1)))
			close(opened)
			d.stored(t)
			if n := d.under(t, "e/"+user(1).String()+"/f/"); n != 20+slackOwn {
				t.Errorf("%d are stored, want %d", n, 20+slackOwn)
			}
		})
	}
}

// What goes before its user is counted is not taken from what he has on credit.
func TestRemovedBeforeCounted(t *testing.T) {
	d := newDesk(t)
	d.commit(t, times(20, failureOf(1))...)
	d.Rest()
	d.clock.Advance(100 * 24 * time.Hour)
	d = open(options(d.store, d.clock), d.clock)
	if err := d.Close(); err != nil { // so that nobody counts
		t.Fatal(err)
	}
	d.commit(t, times(5, failureOf(1))...)
	if _, err := d.Commit(t.Context(), db.Txn{If: []db.Condition{{Key: "x", Revision: 1}}}, failure(user(1))); !errors.Is(err, db.ErrConflict) {
		t.Errorf("commit = %v, want %v", err, db.ErrConflict)
	}
	d.fill(t)
	d.stored(t) // with five on credit
	if n, err := d.Sweep(t.Context(), 20); n != 20 || err != nil {
		t.Fatalf("sweep = %d, %v; want 20", n, err)
	}
	d.stored(t)
	d.sweep(t, 100)
	if _, f, _ := d.stored(t); f != 5 {
		t.Errorf("%d are left, want 5", f)
	}
}

// A user who is over his limit waits for his class to be counted: what goes before would be missing there.
func TestNothingGoesBeforeTheClassIsCounted(t *testing.T) {
	d := newDesk(t)
	o := options(d.store, d.clock)
	o.MaxTotal = 100_000
	d = open(o, d.clock)
	d.commit(t, times(mostOwn+slackOwn, failureOf(1))...)
	d.commit(t, times(1500, func(i int) activity.Event { return failure(user(2 + i)) })...)
	d.Rest()
	d.clock.Advance(time.Hour)
	d = open(o, d.clock)
	d.commit(t, failure(user(1)))
	if _, f, _ := d.stored(t); f != mostOwn+1500 {
		t.Errorf("%d are left, want %d", f, mostOwn+1500)
	}
}

// More users than the background takes in are counted by whoever commits: none is taken on credit unseen.
func TestQueueIsBounded(t *testing.T) {
	d := newDesk(t)
	w := &observed{Store: d.store}
	o := options(w, d.clock)
	o.MaxTotal = 100_000
	d = open(o, d.clock)
	if err := d.Close(); err != nil { // so that nobody takes from the queue
		t.Fatal(err)
	}
	d.fill(t)
	for i := range activity.MaxQueued + 200 {
		did := w.of(t, d, failure(user(i)))
		if want := i >= activity.MaxQueued; did.reads > 0 != want {
			t.Fatalf("user %d takes %+v, reads: want %v", i, did, want)
		}
	}
	d.commit(t, times(2*activity.MaxQuotas, func(i int) activity.Event { return failure(user(5000 + i)) })...)
	if jobs, _ := d.Queued(); jobs > activity.MaxQueued+3 {
		t.Errorf("%d jobs wait, at most %d may", jobs, activity.MaxQueued+3)
	}
	if n := d.Quotas(); n > activity.MaxQuotas {
		t.Errorf("%d users are kept in memory, at most %d may be", n, activity.MaxQuotas)
	}
	d.stored(t)
}

// The background is one goroutine while there is something to do, and none afterwards.
func TestBackgroundEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails when a goroutine is left
		d := newDesk(t)
		d.commit(t, times(1000, failureOf(3))...)
		d.commit(t, times(1000, madeUpNames)...)
		synctest.Wait()
		if jobs, working := d.Queued(); jobs != 0 || working {
			t.Errorf("%d jobs are left, working: %v", jobs, working)
		}
		if u, f, _ := d.stored(t); u > mostUnknown+slackUnknown || f > 3*(mostOwn+slackOwn) {
			t.Errorf("%d and %d are left", u, f)
		}
	})
}

// A store that was closed first, or fails, ends it as well.
func TestBackgroundEndsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		w := &observed{Store: d.store}
		w.fail(func(own bool, txn *db.Txn) bool { return !own && txn == nil })
		d = open(options(w, d.clock), d.clock)
		w.of(t, d, failure(user(1)))
		synctest.Wait()
		if jobs, working := d.Queued(); jobs != 2 || working {
			t.Errorf("%d jobs are left, working: %v; want the class and the user, and nobody at them", jobs, working)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		w := &observed{Store: d.store}
		opened := make(chan struct{})
		w.on = func(own bool, _ string) func() {
			if !own {
				<-opened
			}
			return func() {}
		}
		d = open(options(w, d.clock), d.clock)
		w.of(t, d, failure(user(1)))
		synctest.Wait() // the background is held
		var closed atomic.Int32
		for range 2 {
			go func() {
				if err := d.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				closed.Add(1)
			}()
		}
		synctest.Wait()
		if n := closed.Load(); n != 0 {
			t.Errorf("%d have closed while the background was at work", n)
		}
		close(opened)
		synctest.Wait()
		if n := closed.Load(); n != 2 {
			t.Errorf("%d have closed, want 2", n)
		}
		if jobs, working := d.Queued(); jobs != 1 || working {
			t.Errorf("%d jobs are left, working: %v; want the user, and nobody at him", jobs, working)
		}
	})
}

// After Close events are taken within the same bounds, and Sweep does what the background did.
func TestAfterClose(t *testing.T) {
	d := newDesk(t)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, of := range []func(int) activity.Event{madeUpNames, failureOf(1), func(int) activity.Event { return success(uuid.UUID{}) }} {
		d.flood(t, 4, 30, 10, of)
		if _, working := d.Queued(); working {
			t.Error("the background is at work after Close")
		}
	}
	u, f, k := d.stored(t)
	if u > mostUnknown+2*slackUnknown || f > mostOwn+2*slackOwn || k > mostOwn+2*slackOwn {
		t.Errorf("%d, %d and %d are stored", u, f, k)
	}
	d.sweep(t, 1000)
	if u, f, k := d.stored(t); u != mostUnknown || f != mostOwn || k != mostOwn {
		t.Errorf("%d, %d and %d are left, want %d, %d and %d", u, f, k, mostUnknown, mostOwn, mostOwn)
	}
}
