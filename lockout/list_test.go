package lockout_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/lockout"
)

func TestList(t *testing.T) {
	b := newBench(t, nil)
	start := b.clock.Now()
	fails(5, from(home))(b)
	fails(1, from(cafe))(b)
	fails(5, known(home, phone))(b)
	fails(2, as("bob", "2001:db8:1:2::3"))(b)
	fails(2, as("bob", ""))(b)
	fails(1, as("eve\x1b[31m\n"+strings.Repeat("ä", 400), "203.0.113.200"))(b)
	eve := "eve\uFFFD[31m\uFFFD" + strings.Repeat("ä", 400)
	eve = eve[:599] // between characters

	lock := start.Add(time.Minute)
	all := []lockout.Lockout{
		{Name: "alice", Failures: 6, LastFailure: start},
		{Name: "alice", Network: home + "/32", Failures: 5, LastFailure: start, LockedUntil: lock},
		{Name: "alice", Network: cafe + "/32", Failures: 1, LastFailure: start},
		{Name: "alice", Device: phone, Failures: 5, LastFailure: start, LockedUntil: lock},
		{Name: "bob", Failures: 4, LastFailure: start},
		{Name: "bob", Network: "2001:db8:1:2::/64", Failures: 2, LastFailure: start},
		{Name: "bob", Failures: 2, LastFailure: start},
		{Name: eve, Failures: 1, LastFailure: start},
		{Name: eve, Network: "203.0.113.200/32", Failures: 1, LastFailure: start},
	}
	for _, c := range []struct {
		name  string
		query lockout.Query
		want  []int
	}{
		{"locked now", lockout.Query{}, []int{1, 3}},
		{"all", lockout.Query{All: true}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"of a name", lockout.Query{NameHash: hash("bob"), All: true}, []int{4, 5, 6}},
		{"of a name, locked", lockout.Query{NameHash: hash("alice")}, []int{1, 3}},
		{"of a name without any", lockout.Query{NameHash: hash("nobody"), All: true}, nil},
		{"in a network", lockout.Query{Network: netip.MustParsePrefix("203.0.113.77/24"), All: true}, []int{1, 8}},
		{"in a mapped network", lockout.Query{Network: netip.MustParsePrefix("::ffff:203.0.113.0/120"), All: true}, []int{1, 8}},
		{"in a network, locked", lockout.Query{Network: netip.MustParsePrefix("203.0.113.0/24")}, []int{1}},
		{"around an address", lockout.Query{Network: netip.MustParsePrefix("2001:db8:1:2::3/128"), All: true}, []int{5}},
		{"everywhere in IPv4", lockout.Query{Network: netip.MustParsePrefix("0.0.0.0/0"), All: true}, []int{1, 2, 8}},
		{"of a name in a network", lockout.Query{NameHash: hash("bob"), Network: netip.MustParsePrefix("203.0.113.0/24"), All: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want []lockout.Lockout
			for _, i := range c.want {
				want = append(want, all[i])
			}
			for _, limit := range []int{1, 2, 100} {
				got := b.list(c.query, limit)
				if !slices.IsSortedFunc(got, func(a, b lockout.Lockout) int { return strings.Compare(key(a.ID), key(b.ID)) }) {
					t.Errorf("limit %d: not in the order of keys: %v", limit, got)
				}
				less := func(a, b lockout.Lockout) bool {
					a.ID, b.ID, a.NameHash, b.NameHash = "", "", "", ""
					return fmt.Sprint(a) < fmt.Sprint(b)
				}
				if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(lockout.Lockout{}, "ID", "NameHash"), cmpopts.SortSlices(less), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("limit %d (-want +got):\n%s", limit, diff)
				}
			}
		})
	}
	b.clock.Advance(time.Minute)
	if got := b.list(lockout.Query{}, 10); len(got) != 0 {
		t.Errorf("locked after the locks: %v", got)
	}
	b.clock.Advance(24 * time.Hour)
	if got := b.list(lockout.Query{All: true}, 10); len(got) != 0 {
		t.Errorf("counters after their window: %v", got)
	}
}

func key(id string) string {
	k, _ := lockout.KeyOfID(id)
	return k
}

// One call reads a bounded number of records, and a page that found nothing leads on.
func TestListIsBounded(t *testing.T) {
	b := newBench(t, nil)
	together(8, func(w int) {
		for i := range lockout.MaxScan / 8 {
			b.fail(as(fmt.Sprint(w, " ", i), home))
		}
	})
	fails(5, as("last", home))(b)
	pages, found := 0, 0
	for after := ""; ; pages++ {
		got, next, err := b.List(t.Context(), lockout.Query{}, after, 10)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		found += len(got)
		if after = next; next == "" {
			break
		}
	}
	if pages != 2 || found != 1 {
		t.Errorf("%d pages before the last and %d found, want 2 and 1", pages, found)
	}
}

func TestListRefuses(t *testing.T) {
	b := newBench(t, nil)
	if _, _, err := b.List(t.Context(), lockout.Query{}, "no id", 10); !errors.Is(err, lockout.ErrNotFound) {
		t.Errorf("after no id: %v, want %v", err, lockout.ErrNotFound)
	}
	if _, _, err := b.List(t.Context(), lockout.Query{NameHash: "c/"}, "", 10); err == nil {
		t.Error("a hash that is none was taken")
	}
}

// A counter whose record is damaged refuses every attempt that needs it, so it is shown, and can be cleared.
func TestDamagedRecord(t *testing.T) {
	b := newBench(t, nil)
	dbtest.MustPut(t, b.store, "c/"+hash("alice")+"/", "{}")
	found, _, err := b.List(t.Context(), lockout.Query{}, "", 10)
	if err != nil || len(found) != 1 || found[0].Name != lockout.Unreadable || found[0].NameHash != hash("alice") {
		t.Fatalf("List = %+v, %v", found, err)
	}
	if got, err := b.Get(t.Context(), found[0].ID); err != nil || got != found[0] {
		t.Errorf("Get = %+v, %v", got, err)
	}
	if err := b.Clear(t.Context(), found[0].ID, b.commit); err != nil {
		t.Errorf("Clear: %v", err)
	}
	if _, err := b.Get(t.Context(), found[0].ID); !errors.Is(err, lockout.ErrNotFound) {
		t.Errorf("Get of a cleared one: %v", err)
	}
}

// An id of one name leads nowhere before another's counters.
func TestListOfANameAfterAnotherID(t *testing.T) {
	b := newBench(t, nil)
	for _, name := range []string{"a", "b", "c"} {
		b.fail(as(name, home))
	}
	for _, l := range b.list(lockout.Query{All: true}, 10) {
		got, _, err := b.List(t.Context(), lockout.Query{NameHash: hash("b"), All: true}, l.ID, 10)
		for _, g := range got {
			if g.Name != "b" || key(g.ID) <= key(l.ID) {
				t.Errorf("after %s: got %s", key(l.ID), key(g.ID))
			}
		}
		if err != nil {
			t.Errorf("list: %v", err)
		}
	}
}

func TestClear(t *testing.T) {
	b := newBench(t, nil)
	fails(5, from(home))(b)
	b.fail(stranger("x", home))
	var id string
	for _, l := range b.list(lockout.Query{}, 10) {
		id = l.ID
	}
	before := len(b.keys())
	calls := 0
	err := b.Clear(t.Context(), id, func(ctx context.Context, txn db.Txn) error {
		if calls++; calls < 3 {
			return fmt.Errorf("wrapped: %w", db.ErrConflict)
		}
		return b.commit(ctx, txn)
	})
	if err != nil || calls != 3 || len(b.keys()) != before-1 {
		t.Errorf("clear: %v after %d calls, %d records of %d left", err, calls, len(b.keys()), before)
	}
	b.begin(from(home)).Done()
	never := func(context.Context, db.Txn) error { t.Error("commit was called"); return nil }
	for _, id := range []string{id, "", "x", "AAAA", strings.Repeat("A", 44), id + "A", id[:len(id)-1], id + "=", id + "\n"} {
		if err := b.Clear(t.Context(), id, never); !errors.Is(err, lockout.ErrNotFound) {
			t.Errorf("clear %q: %v, want %v", id, err, lockout.ErrNotFound)
		}
	}
	gone := b.list(lockout.Query{NameHash: hash("alice"), All: true}, 10)[0].ID
	err = b.Clear(t.Context(), gone, func(ctx context.Context, txn db.Txn) error {
		if err := b.ClearName(ctx, hash("alice")); err != nil {
			t.Errorf("clear the name: %v", err)
		}
		return b.commit(ctx, txn)
	})
	if !errors.Is(err, lockout.ErrNotFound) {
		t.Errorf("clear what another removed first: %v, want %v", err, lockout.ErrNotFound)
	}
	calls = 0
	other := b.list(lockout.Query{All: true}, 10)[0].ID
	err = b.Clear(t.Context(), other, func(context.Context, db.Txn) error { calls++; return db.ErrConflict })
	if !errors.Is(err, db.ErrUnavailable) || calls != 100 {
		t.Errorf("clear in a conflict: %v after %d calls, want 100", err, calls)
	}
	refused := errors.New("refused")
	if err := b.Clear(t.Context(), other, func(context.Context, db.Txn) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("clear that is refused: %v", err)
	}
	if b.Unknown() != 2 {
		t.Errorf("%d unknown are listed, want the 2 that are stored", b.Unknown())
	}
}

func TestClearName(t *testing.T) {
	b := newBench(t, func(o *lockout.Options) { o.NameThreshold = 1000 })
	crowd(100, from)(b)
	fails(5, known(home, phone))(b)
	b.fail(as("bob", home))
	b.fail(stranger("x", home))
	dbtest.MustPut(t, b.store, "c/"+hash("alice")+"/n/zzz", "nonsense")
	for _, name := range []string{"alice", "x", "nobody"} {
		if err := b.ClearName(t.Context(), hash(name)); err != nil {
			t.Errorf("clear %s: %v", name, err)
		}
	}
	if n := len(b.keys()); n != 2 || b.Unknown() != 0 {
		t.Errorf("%d records and %d unknown are left, want bob's 2 and none", n, b.Unknown())
	}
	for _, bad := range []string{"", "c/", hash("bob") + "/", strings.ToUpper(hash("bob")), hash("bob")[1:]} {
		if err := b.ClearName(t.Context(), bad); err == nil {
			t.Errorf("the hash %q was taken", bad)
		}
		if _, err := b.Begin(t.Context(), lockout.Attempt{NameHash: bad}); err == nil {
			t.Errorf("begin took the hash %q", bad)
		}
	}
}

func TestSweep(t *testing.T) {
	b := newBench(t, nil)
	for i := range 30 {
		b.fail(stranger(fmt.Sprint("old ", i), home))
	}
	b.clock.Advance(23 * time.Hour)
	fails(5, from(home))(b)
	b.fail(stranger("x", home))
	if n, more, err := b.Sweep(t.Context(), 1000); n != 0 || more || err != nil {
		t.Errorf("sweep within the window: %d, %v", n, err)
	}
	b.clock.Advance(time.Hour)
	dbtest.MustPut(t, b.store, "c/0", "nonsense that stops nothing")
	removed, faults, rounds := 0, 0, 0
	for range 8 { // 65 records, ten at a time
		n, more, err := b.Sweep(t.Context(), 10)
		if !more {
			rounds++
		}
		if n > 10 {
			t.Errorf("one sweep removed %d", n)
		}
		if removed += n; err != nil {
			faults++
		}
	}
	if removed != 60 || faults == 0 || rounds != 2 || len(b.keys()) != 5 || b.Unknown() != 2 {
		t.Errorf("%d removed, %d faults told, %d stored, %d unknown; want 60, some, 5 and 2", removed, faults, len(b.keys()), b.Unknown())
	}
	if diff := cmp.Diff(map[string]int{"*": 5, home + "/32": 5}, b.failures("alice")); diff != "" {
		t.Errorf("failures of alice (-want +got):\n%s", diff)
	}
}

// A counter that fails while it is swept is kept, and listed; the others go all the same.
func TestSweepAmidFailures(t *testing.T) {
	h := &rangeHook{}
	b := newBench(t, func(o *lockout.Options) {
		h.Store = o.Store
		o.Store = h
	})
	b.fail(stranger("a", home))
	b.fail(stranger("b", home))
	b.clock.Advance(24 * time.Hour)
	h.afterRange = func() { h.afterRange = nil; b.fail(stranger("a", home)) }
	if n, _, err := b.Sweep(t.Context(), 100); n != 2 || err != nil {
		t.Errorf("sweep: %d, %v, want 2", n, err)
	}
	b.wantNames("a")
	if b.Unknown() != 2 {
		t.Errorf("%d unknown are listed, want 2", b.Unknown())
	}
}

// rangeHook is a store that calls afterRange between a listing and its return.
type rangeHook struct {
	db.Store
	afterRange func()
}

func (h *rangeHook) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	page, at, err := h.Store.Range(ctx, from, to, limit)
	if h.afterRange != nil {
		h.afterRange()
	}
	return page, at, err
}
