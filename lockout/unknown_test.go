package lockout_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/lockout"
)

// names returns, of the given names, those that have a record.
func (b *bench) names(of ...string) (kept []string) {
	b.t.Helper()
	keys := b.keys()
	for _, name := range of {
		if slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "c/"+hash(name)+"/") }) {
			kept = append(kept, name)
		}
	}
	return kept
}

func (b *bench) wantNames(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.names("a", "b", "c", "d", "e", "f")); diff != "" {
		b.t.Errorf("names with a record (-want +got):\n%s", diff)
	}
}

// most returns options with room for n unknown records.
func most(n int) func(*lockout.Options) { return func(o *lockout.Options) { o.MaxUnknown = n } }

func TestTheLeastRecentlyFailedGoFirst(t *testing.T) {
	b := newBench(t, most(6)) // two of each name
	for _, name := range []string{"a", "b", "c"} {
		b.fail(stranger(name, home))
	}
	b.wantNames("a", "b", "c")
	b.fail(stranger("a", home))
	b.fail(stranger("d", home))
	b.wantNames("a", "c", "d")
	b.fail(stranger("e", home))
	b.wantNames("a", "d", "e")
	if b.Unknown() != 6 || b.Dropped() != 4 || len(b.keys()) != 6 {
		t.Errorf("%d unknown, %d dropped, %d stored, want 6, 4 and 6", b.Unknown(), b.Dropped(), len(b.keys()))
	}
	if got := b.failures("a")["*"]; got != 2 {
		t.Errorf("a has %d failures, want 2", got)
	}
}

// A name that fails again makes room by another's record, never by its own.
func TestNoRecordMakesRoomForItself(t *testing.T) {
	b := newBench(t, most(3))
	b.fail(stranger("a", home))
	b.fail(stranger("b", home)) // a's network went
	b.fail(stranger("a", cafe))
	if diff := cmp.Diff(map[string]int{"*": 2, cafe + "/32": 1}, b.failures("a")); diff != "" {
		t.Errorf("failures of a (-want +got):\n%s", diff)
	}
}

// Names that exist by now are never dropped for the bound, whatever they were when they failed.
func TestExistingNamesAreNotDropped(t *testing.T) {
	var created atomic.Bool
	b := newBench(t, func(o *lockout.Options) {
		o.MaxUnknown = 4
		o.Exists = func(_ context.Context, nameHash string) (bool, error) {
			return nameHash == hash("b") || nameHash == hash("a") && created.Load(), nil
		}
	})
	b.fail(as("b", home))
	b.fail(stranger("a", home))
	created.Store(true)
	for i := range 20 {
		b.fail(stranger(fmt.Sprint("flood ", i), home))
	}
	b.wantNames("a", "b")
	if b.Unknown() != 4 || len(b.keys()) != 8 {
		t.Errorf("%d unknown and %d stored, want 4 and 8", b.Unknown(), len(b.keys()))
	}
	// The same where a failure, or a success, is the first to know.
	b.fail(stranger("c", home))
	b.fail(as("c", home))
	if b.Unknown() != 2 { // of the flood
		t.Errorf("%d unknown, want 2", b.Unknown())
	}
	b.fail(stranger("d", home))
	b.succeed(as("d", cafe))
	if b.Unknown() != 3 { // two of the flood, and d from home
		t.Errorf("%d unknown, want 3", b.Unknown())
	}
	if got := b.failures("c")["*"]; got != 2 {
		t.Errorf("c has %d failures, want 2", got)
	}
}

// A name whose user was deleted is one more that does not exist.
func TestDeletedUser(t *testing.T) {
	b := newBench(t, most(4))
	b.fail(as("a", home))
	b.fail(stranger("a", home))
	if b.Unknown() != 2 {
		t.Errorf("%d unknown, want 2", b.Unknown())
	}
	b.fail(stranger("b", home))
	b.fail(stranger("c", home))
	b.wantNames("b", "c")
}

func TestFill(t *testing.T) {
	h := &rangeHook{}
	b := newBench(t, func(o *lockout.Options) {
		h.Store = o.Store
		o.Store, o.MaxUnknown = h, 8
	})
	for _, name := range []string{"c", "a", "d", "b"} {
		b.fail(stranger(name, home))
		b.clock.Advance(time.Second)
	}
	b.fail(as("f", home))
	b.opts.MaxUnknown = 6
	b.restart()
	h.afterRange = func() { h.afterRange = nil; b.fail(stranger("a", home)) } // what was read of it is old
	if err := b.Fill(t.Context()); err != nil {
		t.Fatalf("fill: %v", err)
	}
	b.wantNames("a", "b", "d", "f")
	b.fail(stranger("e", home))
	b.wantNames("a", "b", "e", "f")
	if b.Unknown() != 6 || b.Dropped() != 4 {
		t.Errorf("%d unknown and %d dropped, want 6 and 4", b.Unknown(), b.Dropped())
	}
}

func TestFillBesideAttempts(t *testing.T) {
	b := newBench(t, most(40))
	for i := range 20 {
		b.fail(stranger(fmt.Sprint("old ", i), home))
	}
	b.restart()
	together(5, func(i int) {
		if i == 0 {
			if err := b.Fill(t.Context()); err != nil {
				t.Errorf("fill: %v", err)
			}
			return
		}
		for n := range 20 {
			b.fail(stranger(fmt.Sprint("new ", i, n), home))
		}
	})
	b.fail(stranger("last", home))
	if n := len(b.keys()); n > 40 || b.Unknown() > 40 {
		t.Errorf("%d stored and %d listed, want at most 40", n, b.Unknown())
	}
}

// Many at once neither drop too few nor drop one twice.
func TestBoundInParallel(t *testing.T) {
	b := newBench(t, func(o *lockout.Options) {
		o.MaxUnknown = 40 // 16 at once write 32
		o.Threshold, o.NameThreshold = 1000, 1000
	})
	together(16, func(i int) {
		for n := range 20 {
			b.fail(stranger(fmt.Sprint(i, " ", n%7*(i%3)), home))
		}
	})
	b.fail(stranger("last", home))
	if stored := len(b.keys()); stored > 40 || b.Unknown() != stored {
		t.Errorf("%d stored and %d listed, want at most 40 and the same", stored, b.Unknown())
	}
}

// commitHook is a store that calls afterCommit once, after a commit and before who made it learns of it.
type commitHook struct {
	db.Store
	afterCommit func()
}

func (h *commitHook) Commit(ctx context.Context, txn db.Txn) (db.Revision, error) {
	revision, err := h.Store.Commit(ctx, txn)
	if do := h.afterCommit; do != nil {
		h.afterCommit = nil
		do()
	}
	return revision, err
}

// One that was dropped then would be listed without being stored, and take the room of another.
func TestNothingIsDroppedThatWasJustWritten(t *testing.T) {
	h := &commitHook{}
	b := newBench(t, func(o *lockout.Options) {
		h.Store = o.Store
		o.Store, o.MaxUnknown = h, 2
	})
	b.fail(stranger("a", home))
	h.afterCommit = func() { b.fail(stranger("b", home)) }
	b.fail(stranger("a", home))
	b.wantNames("a", "b")
	if stored := len(b.keys()); b.Unknown() != stored {
		t.Errorf("%d stored and %d listed, want the same", stored, b.Unknown())
	}
	b.fail(stranger("c", home))
	b.fail(stranger("d", home))
	b.wantNames("d")
}

// A flood of names takes neither the disk nor the memory.
func TestFloodOfNames(t *testing.T) {
	const names, workers = 50_000, 250
	b := newBench(t, most(1000))
	before := heap()
	together(workers, func(w int) {
		for i := range names / workers {
			b.fail(stranger(fmt.Sprint(w, " ", i), home))
		}
	})
	grown := heap() - before
	if n := len(b.keys()); n > 1000 || b.Unknown() != n || b.Dropped() != uint64(2*names-n) {
		t.Errorf("%d stored, %d listed, %d dropped, want at most 1000, the same, and the rest of %d", n, b.Unknown(), b.Dropped(), 2*names)
	}
	if grown > 8<<20 {
		t.Errorf("the heap grew by %d KiB", grown>>10)
	}
	if b.Gates() != 0 {
		t.Errorf("%d gates are kept after use", b.Gates())
	}
}

// 50,000 listed names take little memory.
func TestMemoryOfTheList(t *testing.T) {
	const names = 50_000
	b := newBench(t, nil)
	together(50, func(w int) {
		for i := 0; i < names/50; {
			var txn db.Txn
			for ; i < names/50 && len(txn.Writes) < db.MaxWrites; i++ {
				value := fmt.Sprintf(`{"schema":1,"failures":1,"last_failure":%q}`, b.clock.Now().Format(time.RFC3339))
				txn.Writes = append(txn.Writes, db.Put("c/"+hash(fmt.Sprint(w, " ", i))+"/n/"+home+"/32", []byte(value)))
			}
			if err := b.commit(t.Context(), txn); err != nil {
				t.Errorf("commit: %v", err)
			}
		}
	})
	before := heap()
	if err := b.Fill(t.Context()); err != nil {
		t.Fatalf("fill: %v", err)
	}
	each := (heap() - before) / names
	if b.Unknown() != names || each > 400 {
		t.Errorf("%d listed, %d bytes each, want %d and at most 400", b.Unknown(), each, names)
	}
	runtime.KeepAlive(b)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What cannot be told about a name that should go fails closed: nothing is dropped, nothing counted, and
// the bound holds once it can be told.
func TestExistsFails(t *testing.T) {
	broken := errors.New("broken")
	var fault error
	b := newBench(t, func(o *lockout.Options) {
		o.MaxUnknown = 4
		o.Exists = func(context.Context, string) (bool, error) { return false, fault }
	})
	b.fail(stranger("a", home))
	b.fail(stranger("b", home))
	fault = broken
	try := b.begin(stranger("c", home))
	if err := try.Fail(t.Context(), b.commit); !errors.Is(err, broken) {
		t.Errorf("fail: %v, want %v", err, broken)
	}
	b.wantNames("a", "b")
	if b.Unknown() != 4 {
		t.Errorf("%d listed, want 4", b.Unknown())
	}
	fault = nil
	if err := try.Fail(t.Context(), b.commit); err != nil {
		t.Errorf("fail again: %v", err)
	}
	try.Done()
	if b.Unknown() != 4 || len(b.keys()) != 4 {
		t.Errorf("%d listed and %d stored, want 4 and 4", b.Unknown(), len(b.keys()))
	}
}

// A commit that fails drops nothing, and leaves the list as it was.
func TestDropThatIsNotCommitted(t *testing.T) {
	f := &dbtest.Faulty{}
	b := newBench(t, func(o *lockout.Options) {
		f = dbtest.NewFaulty(o.Store)
		o.Store, o.MaxUnknown = f, 4
	})
	b.fail(stranger("a", home))
	b.fail(stranger("b", home))
	f.FailCommits(db.ErrUnavailable, false)
	try := b.begin(stranger("c", home))
	if err := try.Fail(t.Context(), b.commit); !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("fail: %v", err)
	}
	try.Done()
	f.FailCommits(nil, false)
	if b.Unknown() != 4 || b.Dropped() != 0 {
		t.Errorf("%d listed and %d dropped, want 4 and 0", b.Unknown(), b.Dropped())
	}
	b.fail(stranger("d", home))
	b.fail(stranger("e", home))
	b.wantNames("d", "e")
}
