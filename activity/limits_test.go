package activity_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
)

// The limits of options, and the slack above them: once before they are trimmed, twice at any moment.
const (
	mostUnknown, slackUnknown   = 200, 25
	mostFailures, slackFailures = 1000, 125
	mostKept, slackKept         = 800, 100
	mostOwn, slackOwn           = 40, 16
)

// watched is a store that notes how each commit changes the number of keys with a prefix.
type watched struct {
	db.Store
	prefix string

	mu      sync.Mutex
	changes map[db.Revision]int
}

func (w *watched) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	at, err := w.Store.Commit(ctx, txn)
	if err != nil {
		return at, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, write := range txn.Writes {
		switch {
		case !strings.HasPrefix(write.Key, w.prefix):
		case write.Delete:
			w.changes[at]--
		default:
			w.changes[at]++
		}
	}
	return at, nil
}

// most returns how many keys there were at a time, at most.
func (w *watched) most() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, most := 0, 0
	for _, at := range slices.Sorted(maps.Keys(w.changes)) {
		n += w.changes[at]
		most = max(most, n)
	}
	return most
}

// flood commits events of of from many writers at once.
func (d *desk) flood(tb testing.TB, writers, commits, atOnce int, of func(i int) activity.Event) {
	tb.Helper()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range commits {
				events := times(atOnce, func(k int) activity.Event { return of((w*commits+i)*atOnce + k) })
				if _, err := d.Commit(context.Background(), db.Txn{}, events...); err != nil {
					tb.Errorf("commit: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// However fast failures come, and under whatever names: the store never holds more than limit and twice the slack, and
// nothing but failures of the same class goes.
func TestFloods(t *testing.T) {
	someone := user(1)
	for _, c := range []struct {
		name     string
		of       func(i int) activity.Event
		prefix   string
		most     int // ever
		left     int // after a sweep
		commits  int // of 10 events, of each of 40 writers
		unharmed string
	}{
		{"a million made-up names", func(i int) activity.Event { return madeUp(fmt.Sprint("name ", i)) }, "a/u/", mostUnknown + 2*slackUnknown, mostUnknown, 30, "a/f/"},
		{"one made-up name", func(int) activity.Event { return madeUp("mallory") }, "a/u/", mostUnknown + 2*slackUnknown, mostUnknown, 30, "a/f/"},
		{"many users", func(i int) activity.Event { return failure(user(i)) }, "a/f/", mostFailures + 2*slackFailures, mostFailures, 30, "a/u/"},
		{"one user", func(int) activity.Event { return failure(someone) }, "e/" + someone.String() + "/f/", mostOwn + 2*slackOwn, mostOwn, 25, "a/u/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			clk := &clock{now: start}
			w := &watched{Store: dbtest.New(t), prefix: c.prefix, changes: map[db.Revision]int{}}
			d := open(options(w, clk), clk)
			kept := d.commit(t, times(30, func(i int) activity.Event { return success(someone) })...)
			d.commit(t, append(times(20, func(int) activity.Event { return madeUp("carol") }), times(20, func(int) activity.Event { return failure(user(2)) })...)...)
			unharmed := d.under(t, c.unharmed)
			d.flood(t, 40, c.commits, 10, c.of)
			if n := w.most(); n > c.most {
				t.Errorf("the store held %d at a time, at most %d may be", n, c.most)
			}
			d.stored(t)
			if got, most := d.under(t, c.prefix), (c.most+c.left)/2; got > most {
				t.Errorf("%d are left when the background is done, want at most %d", got, most)
			}
			d.sweep(t, 1000)
			d.stored(t)
			if got := d.under(t, c.prefix); got != c.left {
				t.Errorf("%d are left after a sweep, want %d", got, c.left)
			}
			if got := d.list(t, activity.Query{User: &someone, Outcome: activity.Success}, 100); len(got) != len(kept) {
				t.Errorf("%d of %d successes are left after a flood of failures", len(got), len(kept))
			}
			if got := d.under(t, c.unharmed); got != unharmed {
				t.Errorf("%d of %d are left in another class after a flood", got, unharmed)
			}
		})
	}
}

// A flood of a user's failures costs him neither a success nor anybody else's failures.
func TestOwnFailuresAndOthers(t *testing.T) {
	d := newDesk(t)
	d.commit(t, times(30, func(int) activity.Event { return failure(user(2)) })...)
	d.commit(t, times(mostOwn, func(int) activity.Event { return success(user(1)) })...)
	d.commit(t, times(2000, func(int) activity.Event { return failure(user(1)) })...)
	newest := d.commit(t, failure(user(1)))
	d.sweep(t, 1000)
	one, two := user(1), user(2)
	own := d.list(t, activity.Query{User: &one, Outcome: activity.Failure}, 100)
	if len(own) != mostOwn || own[0].ID != newest[0].ID {
		t.Errorf("%d failures, the newest %v; want %d and %v", len(own), own[0].ID, mostOwn, newest[0].ID)
	}
	if got := d.list(t, activity.Query{User: &one, Outcome: activity.Success}, 100); len(got) != mostOwn {
		t.Errorf("%d successes, want %d", len(got), mostOwn)
	}
	if got := d.list(t, activity.Query{User: &two}, 100); len(got) != 30 {
		t.Errorf("another user has %d events left, want 30", len(got))
	}
}

// What is kept gives way to itself alone, the oldest first.
func TestKeptGiveWayToThemselves(t *testing.T) {
	d := newDesk(t)
	d.commit(t, times(100, func(i int) activity.Event { return madeUp("mallory") })...)
	d.commit(t, times(100, func(i int) activity.Event { return failure(user(i)) })...)
	all := d.commit(t, times(3000, func(i int) activity.Event { d.clock.Advance(time.Second); return success(user(i % 1500)) })...)
	if _, _, kept := d.stored(t); kept > mostKept+slackKept {
		t.Errorf("%d are kept, at most %d may be", kept, mostKept+slackKept)
	}
	d.sweep(t, 100)
	u, f, k := d.stored(t)
	if u != 100 || f != 100 || k != mostKept {
		t.Errorf("%d, %d and %d are left, want 100, 100 and %d", u, f, k, mostKept)
	}
	got := idsOf(d.list(t, activity.Query{Outcome: activity.Success}, 300))
	slices.Reverse(got)
	if want := idsOf(all[len(all)-mostKept:]); !slices.Equal(got, want) {
		t.Error("those that are left are not the newest")
	}
}

// Acts on no user, however many (clearing the lockout of every name that somebody made up), push out each
// other and nobody's history.
func TestActsOnNoUser(t *testing.T) {
	clk := &clock{now: start}
	w := &watched{Store: dbtest.New(t), prefix: "e/" + uuid.UUID{}.String() + "/k/", changes: map[db.Revision]int{}}
	d := open(options(w, clk), clk)
	kept := d.commit(t, times(600, func(i int) activity.Event { return success(user(i % 20)) })...)
	act := activity.Event{Kind: activity.Admin, Outcome: activity.Success, Reason: "lockout_cleared", Actor: activity.BySocket}
	d.flood(t, 10, 20, 10, func(int) activity.Event { return act })
	if n := w.most(); n > mostOwn+2*slackOwn {
		t.Errorf("the store held %d acts on nobody at a time, at most %d may be", n, mostOwn+2*slackOwn)
	}
	d.sweep(t, 1000)
	if _, _, k := d.stored(t); k != len(kept)+mostOwn {
		t.Errorf("%d are left, want %d of users and %d acts", k, len(kept), mostOwn)
	}
	nobody := uuid.UUID{}
	if got := d.list(t, activity.Query{User: &nobody}, 100); len(got) != mostOwn {
		t.Errorf("%d acts are left, want %d", len(got), mostOwn)
	}
}

// Those of a time with a higher limit go as well, though nobody acts any more.
func TestSweepOfActsOnNoUser(t *testing.T) {
	d := newDesk(t)
	act := activity.Event{Kind: activity.Admin, Outcome: activity.Success, Reason: "user_list", Actor: activity.BySocket}
	d.commit(t, times(mostOwn, func(int) activity.Event { return act })...)
	o := options(d.store, d.clock)
	o.MaxPerUser = 20
	d = open(o, d.clock)
	d.sweep(t, 1000)
	if _, _, k := d.stored(t); k != 10 {
		t.Errorf("%d are left, want 10", k)
	}
}

// More users fail than are counted in memory: their limits hold all the same.
func TestMoreUsersThanAreCounted(t *testing.T) {
	d := newDesk(t)
	c := d.clock
	d = open(activity.Options{Store: d.store, Now: c.Now, Rand: options(nil, c).Rand, MaxPerUser: 80, MaxTotal: 100_000}, c)
	one := user(1)
	for range 6 {
		d.commit(t, times(15, func(int) activity.Event { return failure(one) })...)
		d.commit(t, times(activity.MaxQuotas/4, func(i int) activity.Event { return failure(user(1000 + i)) })...)
	}
	d.flood(t, 16, 32, 16, func(i int) activity.Event { return failure(user(10_000 + i)) })
	d.commit(t, times(16, func(int) activity.Event { return failure(one) })...)
	if n := d.under(t, "e/"+one.String()+"/f/"); n > mostOwn+2*slackOwn {
		t.Errorf("the user has %d failures, at most %d may be", n, mostOwn+2*slackOwn)
	}
	if n := d.Quotas(); n > activity.MaxQuotas {
		t.Errorf("%d users are counted, at most %d may be", n, activity.MaxQuotas)
	}
	d.stored(t)
}

func TestSweepRemovesByAge(t *testing.T) {
	d := newDesk(t)
	old := []activity.Event{madeUp("a"), failure(user(1)), success(user(1))}
	d.commit(t, append(old, times(70, func(i int) activity.Event { return success(user(i)) })...)...)
	d.clock.Advance(90 * 24 * time.Hour)
	d.commit(t, old...)
	if n := d.sweep(t, 7); n != 0 {
		t.Errorf("%d went on the day that they become too old, want 0", n)
	}
	d.clock.Advance(time.Millisecond)
	if n := d.sweep(t, 7); n != 73 {
		t.Errorf("%d went, want 73", n)
	}
	if u, f, k := d.stored(t); u != 1 || f != 1 || k != 1 {
		t.Errorf("%d, %d and %d are left, want one of each", u, f, k)
	}
}

// A record that cannot be read goes like any other.
func TestSweepReadsNoRecord(t *testing.T) {
	d := newDesk(t)
	ev := d.commit(t, failure(user(1)))[0]
	key := "e/" + user(1).String() + "/f/" + activity.PlaceOf(ev.ID)
	dbtest.MustPut(t, d.store, key, "not JSON")
	d.commit(t, madeUp("a"))
	dbtest.MustPut(t, d.store, "a/u/"+activity.PlaceOf(uuid.UUID{5: 1}), "not a user")
	dbtest.MustPut(t, d.store, "a/k/"+activity.PlaceOf(uuid.UUID{5: 1}), "nor nobody")
	d.clock.Advance(time.Hour)
	d = open(options(d.store, d.clock), d.clock)
	d.fill(t)
	d.commit(t, activity.Event{Kind: activity.Admin, Outcome: activity.Success})
	d.Rest()
	d.clock.Advance(91 * 24 * time.Hour)
	if n := d.sweep(t, 100); n != 5 {
		t.Errorf("%d went, want 5", n)
	}
	if n := d.under(t, "a/") + d.under(t, "e/"); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	d.stored(t)
}

// After a restart with lower limits nobody has to come back for his events to go.
func TestSweepFindsUsersWhoNeverComeBack(t *testing.T) {
	d := newDesk(t)
	for i := range 20 {
		d.commit(t, append(times(30, func(int) activity.Event { return success(user(i)) }), failure(user(i)))...)
	}
	o := options(d.store, d.clock)
	o.MaxPerUser = 20
	d = open(o, d.clock)
	for range 5 {
		d.sweep(t, 50)
	}
	if _, f, k := d.stored(t); f != 20 || k != 200 {
		t.Errorf("%d and %d are left, want 20 and 200", f, k)
	}
	d.commit(t, times(8, func(i int) activity.Event { return success(user(i)) })...) // counted right
	d.stored(t)
}

// Whoever was active lately is swept at once, however many those are.
func TestSweepOfActiveUsers(t *testing.T) {
	d := newDesk(t)
	o := options(d.store, d.clock)
	o.MaxTotal = 100_000
	d = open(o, d.clock)
	for i := range 60 {
		d.commit(t, times(mostOwn+5, func(int) activity.Event { return success(user(i)) })...)
	}
	if n, err := d.Sweep(t.Context(), 1000); n != 300 || err != nil {
		t.Errorf("one sweep removed %d, %v; want 300", n, err)
	}
	for i := range 60 {
		d.commit(t, times(5, func(int) activity.Event { return success(user(i)) })...)
	}
	d.Rest()
	d.clock.Advance(time.Hour)
	d = open(o, d.clock)
	if err := d.Close(); err != nil { // so that they are not counted
		t.Fatal(err)
	}
	d.commit(t, times(60, func(i int) activity.Event { return success(user(i)) })...)
	if n, err := d.Sweep(t.Context(), 1000); n != 360 || err != nil {
		t.Errorf("one sweep removed %d, %v; want 360", n, err)
	}
	d.stored(t)
}

// A limit that was lowered by much is no burden of the first who comes.
func TestLoweredLimit(t *testing.T) {
	d := newDesk(t)
	d.commit(t, times(1000, func(i int) activity.Event { return failure(user(i)) })...)
	d.Rest()
	w := &observed{Store: d.store}
	o := options(w, d.clock)
	o.MaxTotal = 200
	d = open(o, d.clock)
	d.fill(t)
	if did := w.of(t, d, failure(user(1))); did.deletes != 256 {
		t.Errorf("the first who comes removes %d, want 256: a batch", did.deletes)
	}
	d.Rest()
	if got := d.under(t, "a/f/"); got > 100+16 {
		t.Errorf("%d are left when the background is done, want at most %d", got, 100+16)
	}
	d.sweep(t, 64)
	if _, f, _ := d.stored(t); f != 100 {
		t.Errorf("%d are left, want 100", f)
	}
}

// Events that are dense at one time and sparse at another: trimming takes the oldest wherever they are.
func TestTrimTakesTheOldest(t *testing.T) {
	d := newDesk(t)
	var all []activity.Event
	pauses := []time.Duration{0, 24 * time.Hour, time.Millisecond, 0, time.Minute, -48 * time.Hour, 0, time.Second}
	for _, pause := range pauses {
		all = append(all, d.commit(t, times(300, func(int) activity.Event {
			d.clock.Advance(pause / 100)
			return madeUp("a")
		})...)...)
		d.stored(t)
		n := d.under(t, "a/u/")
		got := idsOf(d.list(t, activity.Query{}, 500))
		slices.Reverse(got)
		if want := idsOf(all[len(all)-n:]); !slices.Equal(got, want) {
			t.Fatalf("after a pause of %v those that are left are not the newest %d", pause, n)
		}
	}
}

// Ids that another hand made all alike in what orders them hold nothing up.
func TestTrimOfOneStamp(t *testing.T) {
	d := newDesk(t)
	id := d.NewID()
	for i := range 25 {
		var txn db.Txn
		for k := range db.MaxWrites {
			id[14], id[15] = byte(i), byte(k)
			txn.Writes = append(txn.Writes, db.Put("a/u/"+activity.PlaceOf(id), make([]byte, 16)))
		}
		dbtest.MustCommit(t, d.store, txn)
	}
	d.commit(t, madeUp("a"))
	for range 5 {
		d.sweep(t, 1000)
	}
	if n := d.under(t, "a/u/"); n != mostUnknown {
		t.Errorf("%d are left, want %d", n, mostUnknown)
	}
}

// A trimming that fails writes nothing and counts nothing.
func TestNoRoomCanBeMade(t *testing.T) {
	d := newDesk(t)
	w := &observed{Store: d.store}
	w.fail(func(_ bool, txn *db.Txn) bool { return txn != nil && txn.Writes[0].Delete })
	d = open(options(w, d.clock), d.clock)
	const full = mostUnknown + 2*slackUnknown
	d.commit(t, times(full, func(int) activity.Event { return madeUp("a") })...)
	if _, err := d.Commit(t.Context(), db.Txn{}, madeUp("b")); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("commit = %v, want %v", err, db.ErrUnavailable)
	}
	if u, _, _ := d.stored(t); u != full {
		t.Errorf("%d are left, want %d", u, full)
	}
	if told := d.heard(); len(told) != 0 {
		t.Errorf("the sink was told %v", told)
	}
	w.fail(nil)
	d.commit(t, madeUp("c"))
	if u, _, _ := d.stored(t); u > mostUnknown+slackUnknown {
		t.Errorf("%d are left when the store works again, want at most %d", u, mostUnknown+slackUnknown)
	}
}
