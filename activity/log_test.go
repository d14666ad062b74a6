package activity_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
)

func ascending(events []activity.Event) bool {
	return slices.IsSortedFunc(events, func(a, b activity.Event) int { return strings.Compare(a.ID.String(), b.ID.String()) })
}

// Ids grow, whatever the clock does, and an event's time is its id's.
func TestIDs(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration // of the clock after each event
		want time.Time     // of the last of 10,000 events
	}{
		{"the clock goes", time.Millisecond, start.Add(9999 * time.Millisecond)},
		{"the clock stands still", 0, start.Add(2 * time.Millisecond)}, // 4,096 a millisecond
		{"the clock goes back", -time.Second, start.Add(2 * time.Millisecond)},
		{"less than a millisecond", time.Microsecond, start.Add(10 * time.Millisecond)},
	} {
		t.Run(c.name, func(t *testing.T) {
			clk := &clock{now: start}
			d := open(options(dbtest.New(t), clk), clk)
			for range 10_000 {
				d.Told(success(user(1)))
				clk.Advance(c.step)
			}
			told := d.heard()
			seen := map[uuid.UUID]bool{}
			for _, ev := range told {
				seen[ev.ID] = true
				if sec, nsec := ev.ID.Time().UnixTime(); ev.ID.Version() != 7 || ev.ID.Variant() != uuid.RFC4122 || !ev.Time.Equal(time.Unix(sec, nsec)) {
					t.Fatalf("%v of %v is no UUIDv7 of that time", ev.ID, ev.Time)
				}
			}
			if len(seen) != 10_000 || !ascending(told) {
				t.Errorf("%d different ids of 10,000, ascending: %v", len(seen), ascending(told))
			}
			if last := told[len(told)-1]; !last.Time.Equal(c.want) || last.Time.Location() != time.UTC {
				t.Errorf("the last is of %v, want %v", last.Time, c.want)
			}
		})
	}
}

// A transaction that does not happen leaves no event, tells nobody, and is not counted.
func TestConflictGivesNothing(t *testing.T) {
	d := newDesk(t)
	dbtest.MustPut(t, d.store, "x", "1")
	ev := success(user(1))
	txn := db.Txn{If: []db.Condition{db.Absent("x")}, Writes: []db.Write{db.Put("y", nil)}}
	for range 3 * (mostOwn + slackOwn) {
		if _, err := d.Commit(t.Context(), txn, ev, failure(user(1)), madeUp("a")); !errors.Is(err, db.ErrConflict) {
			t.Fatalf("commit = %v, want %v", err, db.ErrConflict)
		}
	}
	if told := d.heard(); len(told) != 0 {
		t.Errorf("the sink was told %v", told)
	}
	if u, f, k := d.stored(t); u+f+k != 0 {
		t.Errorf("%d, %d and %d are stored", u, f, k)
	}
	if ev != success(user(1)) || len(txn.Writes) != 1 {
		t.Error("the caller's event or transaction was changed")
	}
	txn.If = nil
	d.heard()
	if _, err := d.Commit(t.Context(), txn, ev, failure(user(1))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Get(t.Context(), "y"); err != nil {
		t.Errorf("what the events tell was not written: %v", err)
	}
	if told := d.heard(); len(told) != 2 || told[0].Outcome != activity.Success || !ascending(told) {
		t.Errorf("the sink was told %v, want a success and then a failure", told)
	}
}

func TestCommitOfNothing(t *testing.T) {
	d := newDesk(t)
	if _, err := d.Commit(t.Context(), db.Txn{Writes: []db.Write{db.Put("y", nil)}}); err != nil {
		t.Fatal(err)
	}
	if d.under(t, "") != 1 {
		t.Error("a commit without events wrote more than it was given")
	}
}

// More events than a transaction holds are refused, and do not wait for room that there never can be.
func TestTooManyAtOnce(t *testing.T) {
	d := newDesk(t)
	_, err := d.Commit(t.Context(), db.Txn{}, times(mostOwn+slackOwn+1, func(int) activity.Event { return success(user(1)) })...)
	if !errors.Is(err, db.ErrLimit) {
		t.Errorf("commit = %v, want %v", err, db.ErrLimit)
	}
	d.stored(t)
}

// gated is a store whose commits of chosen transactions wait, and that tells of what was read.
type gated struct {
	db.Store
	entered, open chan struct{}
	holds         func(db.Txn) bool
	read          func()
}

func (g *gated) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	defer g.read()
	return g.Store.Range(ctx, from, to, limit)
}

func (g *gated) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	if g.holds(txn) {
		g.entered <- struct{}{}
		<-g.open
	}
	return g.Store.Commit(ctx, txn)
}

// Where all the room is taken by commits under way, the next waits for one of them, or its context.
func TestWaitsForCommitsUnderWay(t *testing.T) {
	clk := &clock{now: start}
	g := &gated{Store: dbtest.New(t), entered: make(chan struct{}), open: make(chan struct{}), read: func() {}}
	g.holds = func(txn db.Txn) bool { return len(txn.Writes) == 24 && !txn.Writes[0].Delete }
	d := open(options(g, clk), clk)
	d.fill(t)
	var all sync.WaitGroup
	for range 6 { // 72 events: limit and twice the slack of one user
		all.Go(func() {
			if _, err := d.Commit(t.Context(), db.Txn{}, times(12, func(int) activity.Event { return failure(user(1)) })...); err != nil {
				t.Errorf("commit: %v", err)
			}
		})
		<-g.entered
	}
	ended, cancel := context.WithCancel(t.Context())
	g.read = cancel // by the trimming, which finds nothing that it could remove
	if _, err := d.Commit(ended, db.Txn{}, failure(user(1))); !errors.Is(err, db.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("commit beyond the limit = %v, want %v", err, db.ErrUnavailable)
	}
	g.read = func() {}
	if _, err := d.Commit(t.Context(), db.Txn{}, failure(user(2)), success(user(1))); err != nil {
		t.Errorf("commit of others: %v", err)
	}
	all.Go(func() {
		if _, err := d.Commit(t.Context(), db.Txn{}, failure(user(1))); err != nil {
			t.Errorf("commit after waiting: %v", err)
		}
	})
	close(g.open)
	all.Wait()
	d.stored(t)
	if n := d.under(t, "e/"+user(1).String()+"/f/"); n > mostOwn+slackOwn {
		t.Errorf("%d failures when the background is done, at most %d may be", n, mostOwn+slackOwn)
	}
}

// An event that is to be found again has its id before it is committed.
func TestNewID(t *testing.T) {
	d := newDesk(t)
	ev := success(user(1))
	ev.ID = d.NewID()
	told := d.commit(t, ev, success(user(1)))
	if got, err := d.Get(t.Context(), user(1), ev.ID); err != nil || got != told[0] || !got.Time.Equal(start) || !ascending(told) {
		t.Errorf("got %+v, %v; told %+v", got, err, told)
	}
	o := options(d.store, d.clock)
	o.Rand = noRandomness{}
	if id := activity.Open(o).NewID(); id != (uuid.UUID{}) {
		t.Errorf("without randomness the id is %v, want none", id)
	}
}

func TestTextsAreBounded(t *testing.T) {
	d := newDesk(t)
	long := strings.Repeat("é", 2000)
	ev := d.commit(t, activity.Event{
		Kind: activity.SignIn, Outcome: activity.Failure, Reason: "unknown_user", NameTried: "\x1b[31m" + long, UserAgent: long,
		Country: long, Region: long, City: long, Actor: long,
		IP: netip.MustParseAddr("fe80::1%" + strings.Repeat("z", 5000)),
	})[0]
	got, err := d.Get(t.Context(), uuid.UUID{}, ev.ID)
	if err != nil || got != ev {
		t.Fatalf("stored %+v, %v\ntold %+v", got, err, ev)
	}
	for what, c := range map[string]struct {
		text string
		most int
	}{
		"name": {got.NameTried, activity.MaxName}, "user agent": {got.UserAgent, activity.MaxUserAgent},
		"country": {got.Country, 100}, "region": {got.Region, 100}, "city": {got.City, 100}, "actor": {got.Actor, 640},
	} {
		if len(c.text) > c.most || len(c.text) < c.most-1 || !utf8.ValidString(c.text) || strings.ContainsRune(c.text, 0x1b) {
			t.Errorf("%s: %d bytes, at most %d: %q", what, len(c.text), c.most, c.text)
		}
	}
	if got.IP != netip.MustParseAddr("fe80::1") {
		t.Errorf("address %v, want fe80::1 without a zone", got.IP)
	}
	ev.ID, ev.IP = uuid.UUID{}, netip.MustParseAddr("::ffff:10.0.0.1")
	if got := d.commit(t, ev)[0].IP; got != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("address %v, want 10.0.0.1", got)
	}
}

type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("no randomness") }

func TestTold(t *testing.T) {
	d := newDesk(t)
	d.Told(madeUp("a\nb"))
	told := d.heard()
	if len(told) != 1 || told[0].ID.Version() != 7 || !told[0].Time.Equal(start) || told[0].NameTried != "a\uFFFDb" {
		t.Errorf("the sink was told %+v", told)
	}
	if n := d.under(t, ""); n != 0 {
		t.Errorf("%d entries were written", n)
	}
	o := options(d.store, d.clock)
	o.Rand = noRandomness{}
	d = open(o, d.clock)
	d.Told(madeUp("a"))
	if told := d.heard(); len(told) != 1 || !told[0].Time.Equal(start) {
		t.Errorf("without randomness the sink was told %+v", told)
	}
	if _, err := d.Commit(t.Context(), db.Txn{}, madeUp("a")); err == nil {
		t.Error("an event was committed without randomness")
	}
	o.Sink = nil
	activity.Open(o).Told(madeUp("a")) // nobody to tell
}

// What is counted after a restart is what is there, whatever is committed while it is counted.
func TestFillBesideCommits(t *testing.T) {
	path := storePath(t)
	clk := &clock{now: start.Add(48 * time.Hour)} // the clock is set back before the restart
	s := reopen(t, path)
	d := open(options(s, clk), clk)
	d.commit(t, times(700, func(i int) activity.Event { return failure(user(i)) })...)
	d.commit(t, times(400, func(i int) activity.Event { return success(user(i)) })...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	clk = &clock{now: start}
	d = open(options(reopen(t, path), clk), clk)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			if err := d.Fill(context.Background()); err != nil {
				t.Errorf("fill: %v", err)
			}
		})
	}
	d.flood(t, 8, 10, 7, func(i int) activity.Event {
		if i%2 == 0 {
			return failure(user(i))
		}
		return success(user(i))
	})
	all.Wait()
	d.stored(t)
	d.sweep(t, 100)
	if _, f, k := d.stored(t); f != 700+280 || k != 400+280 {
		t.Errorf("%d and %d are left, want 980 and 680", f, k)
	}
}

// Limits hold right after a restart, before anybody has called Fill, and over many restarts, each in the midst of
// what the background does: with the slack that is given on credit.
func TestReopening(t *testing.T) {
	path := storePath(t)
	clk := &clock{now: start}
	for range 8 {
		s := reopen(t, path)
		d := open(options(s, clk), clk)
		d.commit(t, times(20, func(int) activity.Event { return failure(user(1)) })...)
		d.commit(t, times(mostUnknown, func(int) activity.Event { return madeUp("a") })...)
		if n := d.under(t, "e/"+user(1).String()+"/"); n > mostOwn+3*slackOwn {
			t.Errorf("the user has %d failures, at most %d may be", n, mostOwn+3*slackOwn)
		}
		if n := d.under(t, "a/u/"); n > mostUnknown+3*slackUnknown {
			t.Errorf("%d failures of no user, at most %d may be", n, mostUnknown+3*slackUnknown)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		clk.Advance(time.Hour)
	}
}

func TestCountsAfterFill(t *testing.T) {
	d := newDesk(t)
	d.commit(t, madeUp("a"), failure(user(1)), failure(user(1)), success(user(1)), success(user(2)), success(uuid.UUID{}))
	d = open(options(d.store, d.clock), d.clock)
	if u, f, k := d.Counts(); u+f+k != 0 {
		t.Errorf("counted before anything was read: %d, %d, %d", u, f, k)
	}
	d.fill(t)
	d.fill(t)
	if u, f, k := d.Counts(); u != 1 || f != 2 || k != 3 {
		t.Errorf("counts %d, %d, %d, want 1, 2, 3", u, f, k)
	}
}
