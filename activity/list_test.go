package activity_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/db/dbtest"
)

// mixed returns events of all classes and several users, sorts and networks.
func mixed(i int) activity.Event {
	ev := []activity.Event{madeUp("a"), failure(user(1)), success(user(1)), success(user(2)), failure(user(3)), success(uuid.UUID{})}[i%6]
	ev.IP = netip.AddrFrom4([4]byte{10, 0, byte(i % 5), 1})
	if i%7 == 0 {
		ev.Kind, ev.Reason = activity.DeviceEnded, "logout"
	}
	return ev
}

// want is what a plain model lists.
func want(all []activity.Event, keep func(activity.Event) bool) []uuid.UUID {
	var ids []uuid.UUID
	for _, ev := range slices.Backward(all) {
		if keep(ev) {
			ids = append(ids, ev.ID)
		}
	}
	return ids
}

func TestFilters(t *testing.T) {
	d := newDesk(t)
	all := d.commit(t, times(120, func(i int) activity.Event { d.clock.Advance(100 * time.Millisecond); return mixed(i) })...)
	for i := range 120 { // one at a time, so that they have times of their own
		d.clock.Advance(time.Second)
		all = append(all, d.commit(t, mixed(i))...)
	}
	one, nobody, stranger := user(1), uuid.UUID{}, user(99)
	middle := all[180].Time
	for _, c := range []struct {
		name string
		q    activity.Query
		keep func(activity.Event) bool
	}{
		{"all", activity.Query{}, func(activity.Event) bool { return true }},
		{"a user", activity.Query{User: &one}, func(ev activity.Event) bool { return ev.User == one }},
		{"no user", activity.Query{User: &nobody}, func(ev activity.Event) bool { return ev.User == nobody }},
		{"a stranger", activity.Query{User: &stranger}, func(activity.Event) bool { return false }},
		{"failures", activity.Query{Outcome: activity.Failure}, func(ev activity.Event) bool { return ev.Outcome == activity.Failure }},
		{"successes", activity.Query{Outcome: activity.Success}, func(ev activity.Event) bool { return ev.Outcome == activity.Success }},
		{"an outcome that is none", activity.Query{Outcome: "maybe"}, func(activity.Event) bool { return false }},
		{"a user's failures", activity.Query{User: &one, Outcome: activity.Failure}, func(ev activity.Event) bool { return ev.User == one && ev.Outcome == activity.Failure }},
		{"a kind", activity.Query{Kind: activity.DeviceEnded}, func(ev activity.Event) bool { return ev.Kind == activity.DeviceEnded }},
		{"a reason", activity.Query{Reason: "wrong_password"}, func(ev activity.Event) bool { return ev.Reason == "wrong_password" }},
		{"a network", activity.Query{Network: netip.MustParsePrefix("10.0.3.0/24")}, func(ev activity.Event) bool { return ev.IP.As4()[2] == 3 }},
		{"since", activity.Query{Since: middle}, func(ev activity.Event) bool { return !ev.Time.Before(middle) }},
		{"since, a moment later", activity.Query{Since: middle.Add(1)}, func(ev activity.Event) bool { return ev.Time.After(middle) }},
		{"until", activity.Query{Until: middle}, func(ev activity.Event) bool { return ev.Time.Before(middle) }},
		{"until, a moment later", activity.Query{Until: middle.Add(1)}, func(ev activity.Event) bool { return !ev.Time.After(middle) }},
		{"an empty time", activity.Query{Since: middle, Until: middle}, func(activity.Event) bool { return false }},
		{"times turned round", activity.Query{Since: middle.Add(time.Hour), Until: middle}, func(activity.Event) bool { return false }},
		{"before all time", activity.Query{Until: time.Unix(-5, 0)}, func(activity.Event) bool { return false }},
		{"since before all time", activity.Query{Since: time.Unix(-5, 0), Until: time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC)}, func(activity.Event) bool { return true }},
		{"everything at once", activity.Query{User: &one, Kind: activity.SignIn, Outcome: activity.Success, Since: middle}, func(ev activity.Event) bool {
			return ev.User == one && ev.Kind == activity.SignIn && ev.Outcome == activity.Success && !ev.Time.Before(middle)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, limit := range []int{1, 7, 1000} {
				if got, want := idsOf(d.list(t, c.q, limit)), want(all, c.keep); !slices.Equal(got, want) {
					t.Errorf("limit %d: %d events, want %d: %v", limit, len(got), len(want), got)
				}
			}
		})
	}
}

// The last page says so: an empty one behind it is asked for only where a filter cannot know.
func TestLastPage(t *testing.T) {
	d := newDesk(t)
	all := d.commit(t, times(10, mixed)...)
	page, next, err := d.List(t.Context(), activity.Query{}, uuid.UUID{}, 10)
	if err != nil || len(page) != 10 || next != (uuid.UUID{}) {
		t.Errorf("%d events, next %v, %v; want all 10 and none", len(page), next, err)
	}
	page, next, err = d.List(t.Context(), activity.Query{}, uuid.UUID{}, 9)
	if err != nil || len(page) != 9 || next != all[1].ID {
		t.Errorf("%d events, next %v, %v; want 9 and %v", len(page), next, err, all[1].ID)
	}
	if _, _, err := d.List(t.Context(), activity.Query{}, uuid.UUID{}, 0); !errors.Is(err, db.ErrLimit) {
		t.Errorf("limit 0: %v, want %v", err, db.ErrLimit)
	}
}

// Events that arrive while somebody turns pages shift nothing.
func TestPagesWhileEventsArrive(t *testing.T) {
	d := newDesk(t)
	all := d.commit(t, times(60, mixed)...)
	var got []uuid.UUID
	for before, page := (uuid.UUID{}), 0; page == 0 || before != (uuid.UUID{}); page++ {
		events, next, err := d.List(t.Context(), activity.Query{}, before, 7)
		if err != nil {
			t.Fatal(err)
		}
		got, before = append(got, idsOf(events)...), next
		d.commit(t, times(5, mixed)...)
	}
	if want := want(all, func(activity.Event) bool { return true }); !slices.Equal(got, want) {
		t.Errorf("%d events, want the %d that were there at first: %v", len(got), len(want), got)
	}
}

// counting counts what is read of a store, and can remove an event just before it is read.
type counting struct {
	db.Store
	gets, ranges int
	vanish       string
}

func (c *counting) Get(ctx context.Context, key string) (db.Entry, error) {
	c.gets++
	if c.vanish != "" && strings.HasSuffix(key, c.vanish) {
		return db.Entry{}, db.ErrNotFound
	}
	return c.Store.Get(ctx, key)
}

func (c *counting) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	entries, at, err := c.Store.Range(ctx, from, to, limit)
	c.ranges += len(entries)
	return entries, at, err
}

func TestVanishedEventsAreSkipped(t *testing.T) {
	clk := &clock{now: start}
	s := &counting{Store: dbtest.New(t)}
	d := open(options(s, clk), clk)
	all := d.commit(t, times(9, mixed)...)
	d.Rest()
	s.vanish = activity.PlaceOf(all[4].ID)
	want := want(all, func(ev activity.Event) bool { return ev.ID != all[4].ID })
	for _, limit := range []int{1, 4, 5, 100} {
		if got := idsOf(d.list(t, activity.Query{}, limit)); !slices.Equal(got, want) {
			t.Errorf("limit %d: got %v, want %v", limit, got, want)
		}
	}
}

// A filter that nothing passes reads a bounded number of events a call, and gets through all the same; a
// time reads no more than is in it.
func TestWorkOfOneCallIsBounded(t *testing.T) {
	clk := &clock{now: start}
	s := &counting{Store: dbtest.New(t)}
	o := options(s, clk)
	o.MaxPerUser, o.MaxTotal = 100_000, 100_000
	d := open(o, clk)
	seldom := success(user(1))
	seldom.Reason = "seldom"
	d.commit(t, seldom)
	d.flood(t, 16, 24, 16, func(int) activity.Event { return success(user(1)) })
	clk.Advance(time.Hour)
	d.commit(t, success(user(1)))
	d.Rest()
	one := user(1)
	for _, q := range []activity.Query{{Reason: "seldom"}, {Reason: "seldom", User: &one}} {
		var pages []int
		for before := (uuid.UUID{}); len(pages) == 0 || before != (uuid.UUID{}); {
			s.gets, s.ranges = 0, 0
			page, next, err := d.List(t.Context(), q, before, 100)
			if err != nil || s.gets > 5000 || s.ranges > 5600 {
				t.Fatalf("%d gets and %d rows in one call, %v", s.gets, s.ranges, err)
			}
			pages, before = append(pages, len(page)), next
		}
		if !slices.Equal(pages, []int{0, 1}) {
			t.Errorf("pages of %v, want an empty one and one with the event", pages)
		}
	}
	s.gets, s.ranges = 0, 0
	if page, _, err := d.List(t.Context(), activity.Query{Since: start.Add(time.Minute)}, uuid.UUID{}, 100); err != nil || len(page) != 1 || s.ranges > 1 {
		t.Errorf("%d events, %v, %d rows read; want 1 of 1", len(page), err, s.ranges)
	}
}

func empty(tb testing.TB, s db.Store) {
	tb.Helper()
	var keys []db.Write
	if _, err := db.Each(tb.Context(), s, "", func(e db.Entry) error { keys = append(keys, db.Delete(e.Key)); return nil }); err != nil {
		tb.Fatal(err)
	}
	for some := range slices.Chunk(keys, db.MaxWrites) {
		dbtest.MustCommit(tb, s, db.Txn{Writes: some})
	}
}

// Whatever happens in whatever order, List says what a plain model says.
func TestListLikeAModel(t *testing.T) {
	store := dbtest.New(t)
	rapid.Check(t, func(r *rapid.T) {
		empty(t, store)
		clk := &clock{now: start}
		d := open(options(store, clk), clk)
		var all []activity.Event
		for range rapid.IntRange(0, 8).Draw(r, "commits") {
			clk.Advance(time.Duration(rapid.IntRange(-3, 3).Draw(r, "pause")) * time.Millisecond)
			n := rapid.IntRange(1, 16).Draw(r, "events")
			from := rapid.IntRange(0, 100).Draw(r, "from")
			all = append(all, d.commit(t, times(n, func(i int) activity.Event { return mixed(from + i) })...)...)
		}
		q := activity.Query{
			Kind:    rapid.SampledFrom([]activity.Kind{"", "", activity.SignIn, activity.DeviceEnded}).Draw(r, "kind"),
			Outcome: rapid.SampledFrom([]activity.Outcome{"", "", activity.Success, activity.Failure}).Draw(r, "outcome"),
			Reason:  rapid.SampledFrom([]string{"", "", "ok", "logout"}).Draw(r, "reason"),
		}
		if n := rapid.IntRange(-2, 3).Draw(r, "user"); n >= 0 {
			who := uuid.UUID{}
			if n > 0 {
				who = user(n)
			}
			q.User = &who
		}
		if rapid.Bool().Draw(r, "since") {
			q.Since = start.Add(time.Duration(rapid.IntRange(-20, 20).Draw(r, "since")) * 500 * time.Microsecond)
		}
		if rapid.Bool().Draw(r, "until") {
			q.Until = start.Add(time.Duration(rapid.IntRange(-20, 20).Draw(r, "until")) * 500 * time.Microsecond)
		}
		keep := func(ev activity.Event) bool {
			return (q.User == nil || ev.User == *q.User) && (q.Kind == "" || ev.Kind == q.Kind) && (q.Outcome == "" || ev.Outcome == q.Outcome) &&
				(q.Reason == "" || ev.Reason == q.Reason) && !ev.Time.Before(q.Since) && (q.Until.IsZero() || ev.Time.Before(q.Until))
		}
		limit := rapid.IntRange(1, 30).Draw(r, "limit")
		if got, want := idsOf(d.list(t, q, limit)), want(all, keep); !slices.Equal(got, want) {
			r.Fatalf("%+v: %d events, want %d\n%v\n%v", q, len(got), len(want), got, want)
		}
	})
}

// Whatever stands in the store, reading it does not panic, and what is read can be written and read again.
func FuzzDecodeEvent(f *testing.F) {
	id := uuid.MustParse("0195a1b2-c3d4-7000-8000-000000000001")
	f.Add([]byte(`{"schema":1,"id":"` + id.String() + `","kind":"sign_in","ip":"10.0.0.1"}`))
	f.Add([]byte(`{"schema":2}`))
	f.Add([]byte(`{"schema":1,"ip":"fe80::1%z"}`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, value []byte) {
		ev, err := activity.DecodeEvent(db.Entry{Key: "the key", Value: value}, uuid.UUID{}, id)
		if err != nil {
			if !strings.Contains(err.Error(), `"the key"`) {
				t.Errorf("%v does not name the key", err)
			}
			return
		}
		if ev.ID != id || ev.User != (uuid.UUID{}) {
			t.Errorf("%s became the event %v of %v", value, ev.ID, ev.User)
		}
		if again, err := activity.DecodeEvent(db.Entry{Value: activity.Encode(ev)}, uuid.UUID{}, id); err != nil || again != ev {
			t.Errorf("%+v became %+v, %v", ev, again, err)
		}
	})
}

// A key is read only in the one form that it is written in, and the order of keys is that of ids, turned.
func FuzzKeys(f *testing.F) {
	id := uuid.MustParse("0195a1b2-c3d4-7000-8000-0000000000ab")
	f.Add("a/u/"+activity.PlaceOf(id), id[:])
	f.Add("a/u/"+strings.ToUpper(activity.PlaceOf(id)), id[:])
	f.Add("a/u/", []byte{})
	f.Fuzz(func(t *testing.T, key string, other []byte) {
		id, err := activity.IDIn(key, "a/u/")
		if err != nil {
			if !strings.Contains(err.Error(), fmt.Sprintf("%q", key)) {
				t.Errorf("%v does not name the key", err)
			}
			return
		}
		if again := "a/u/" + activity.PlaceOf(id); again != key {
			t.Errorf("%q is read as the event of %q", key, again)
		}
		var than uuid.UUID
		copy(than[:], other)
		if bytes.Compare(id[:], than[:]) != -strings.Compare(activity.PlaceOf(id), activity.PlaceOf(than)) {
			t.Errorf("%v and %v stand in the wrong order", id, than)
		}
	})
}
