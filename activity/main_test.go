package activity_test

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock stands still until it is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// desk is a log with all that a test turns on it.
type desk struct {
	*activity.Log
	store db.Store
	clock *clock

	mu   sync.Mutex
	told []activity.Event
}

// options are small limits: 200 and 1,000 failures, 800 others; of one user 40 and 40.
func options(s db.Store, c *clock) activity.Options {
	return activity.Options{Store: s, Now: c.Now, Rand: rand.NewChaCha8([32]byte{1}), Retention: 90 * 24 * time.Hour, MaxPerUser: 80, MaxTotal: 2000}
}

func open(o activity.Options, c *clock) *desk {
	d := &desk{store: o.Store, clock: c}
	o.Sink = func(ev activity.Event) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.told = append(d.told, ev)
	}
	d.Log = activity.Open(o)
	return d
}

func newDesk(tb testing.TB) *desk {
	tb.Helper()
	c := &clock{now: start}
	return open(options(dbtest.New(tb), c), c)
}

// heard returns what the sink was told since the last call.
func (d *desk) heard() []activity.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	told := d.told
	d.told = nil
	return told
}

// commit writes events, up to 16 at once, and returns them as the sink was told of them.
func (d *desk) commit(tb testing.TB, events ...activity.Event) []activity.Event {
	tb.Helper()
	d.heard()
	for len(events) > 0 {
		n := min(16, len(events))
		if _, err := d.Commit(tb.Context(), db.Txn{}, events[:n]...); err != nil {
			tb.Fatalf("commit %d events: %v", n, err)
		}
		events = events[n:]
	}
	return d.heard()
}

// list reads everything that q wants in pages of limit.
func (d *desk) list(tb testing.TB, q activity.Query, limit int) []activity.Event {
	tb.Helper()
	var all []activity.Event
	for before := (uuid.UUID{}); ; {
		page, next, err := d.List(tb.Context(), q, before, limit)
		if err != nil {
			tb.Fatalf("list: %v", err)
		}
		if len(page) > limit {
			tb.Fatalf("a page of %d events, limit %d", len(page), limit)
		}
		all = append(all, page...)
		if next == (uuid.UUID{}) {
			return all
		}
		if before != (uuid.UUID{}) && bytes.Compare(next[:], before[:]) >= 0 {
			tb.Fatalf("the page before %v goes on at %v", before, next)
		}
		before = next
	}
}

// stored counts what stands in the store when the background is done, and checks that it is what is counted:
// rows and events.
func (d *desk) stored(tb testing.TB) (unknown, failures, kept int) {
	tb.Helper()
	d.Rest()
	if wrong, err := d.Miscounted(tb.Context()); err != nil || len(wrong) > 0 {
		tb.Fatalf("counted wrong: %q, %v", wrong, err)
	}
	var rows [3]int
	for i, class := range []string{"u", "f", "k"} {
		rows[i] = d.under(tb, "a/"+class+"/")
	}
	events := map[string]int{}
	if _, err := db.Each(tb.Context(), d.store, "e/", func(e db.Entry) error {
		events[strings.Split(e.Key, "/")[2]]++
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	if got := [3]int{events["u"], events["f"], events["k"]}; got != rows {
		tb.Fatalf("%v events have %v rows", got, rows)
	}
	u, f, k := d.Counts()
	if got := [3]int{int(u), int(f), int(k)}; got != rows {
		tb.Fatalf("Counts says %v, the store holds %v", got, rows)
	}
	return rows[0], rows[1], rows[2]
}

func (d *desk) under(tb testing.TB, prefix string) int {
	tb.Helper()
	n := 0
	if _, err := db.Each(tb.Context(), d.store, prefix, func(db.Entry) error { n++; return nil }); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (d *desk) sweep(tb testing.TB, limit int) int {
	tb.Helper()
	total := 0
	for {
		n, err := d.Sweep(tb.Context(), limit)
		if err != nil {
			tb.Fatalf("sweep: %v", err)
		}
		if n > limit {
			tb.Fatalf("a sweep removed %d, limit %d", n, limit)
		}
		if total += n; n < limit {
			return total
		}
	}
}

func (d *desk) fill(tb testing.TB) {
	tb.Helper()
	if err := d.Fill(tb.Context()); err != nil {
		tb.Fatalf("fill: %v", err)
	}
}

// user returns the id of a user, the same for the same number.
func user(n int) uuid.UUID {
	return uuid.UUID{0: 0xfe, 6: 0x40, 8: 0x80, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
}

func success(who uuid.UUID) activity.Event {
	return activity.Event{Kind: activity.SignIn, Outcome: activity.Success, Reason: "ok", User: who}
}

func failure(who uuid.UUID) activity.Event {
	return activity.Event{Kind: activity.SignIn, Outcome: activity.Failure, Reason: "wrong_password", User: who}
}

func madeUp(name string) activity.Event {
	return activity.Event{Kind: activity.SignIn, Outcome: activity.Failure, Reason: "unknown_user", NameTried: name}
}

// times returns what of makes of each number below n.
func times(n int, of func(i int) activity.Event) []activity.Event {
	events := make([]activity.Event, n)
	for i := range events {
		events[i] = of(i)
	}
	return events
}

func reopen(tb testing.TB, path string) *bolt.Store {
	tb.Helper()
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func storePath(tb testing.TB) string { return filepath.Join(tb.TempDir(), "test.db") }

func idsOf(events []activity.Event) []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(events))
	for _, ev := range events {
		ids = append(ids, ev.ID)
	}
	return ids
}
