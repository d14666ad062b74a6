package lockout_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/lockout"
)

// What cannot be read refuses.
func TestUnreadableCounters(t *testing.T) {
	good := func(b *bench) string {
		return fmt.Sprintf(`{"schema":1,"failures":1,"last_failure":%q}`, b.clock.Now().Format(time.RFC3339))
	}
	for name, value := range map[string]string{
		"no JSON": "nonsense", "nothing": "", "no schema": `{"failures":1,"last_failure":"2031-05-06T07:08:09Z"}`,
		"a newer schema": `{"schema":2,"failures":1,"last_failure":"2031-05-06T07:08:09Z"}`,
		"no failures":    `{"schema":1,"last_failure":"2031-05-06T07:08:09Z"}`,
		"a credit":       `{"schema":1,"failures":-1000,"last_failure":"2031-05-06T07:08:09Z"}`,
		"too many":       `{"schema":1,"failures":2147483648,"last_failure":"2031-05-06T07:08:09Z"}`,
		"no time":        `{"schema":1,"failures":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, at := range []string{"", "n/" + home + "/32"} {
				b := newBench(t, nil)
				running := b.begin(from(home))
				dbtest.MustPut(t, b.store, "c/"+hash("alice")+"/", good(b))
				dbtest.MustPut(t, b.store, "c/"+hash("alice")+"/n/"+home+"/32", good(b))
				dbtest.MustPut(t, b.store, "c/"+hash("alice")+"/"+at, value)
				if _, err := b.Begin(t.Context(), from(home)); err == nil {
					t.Error("an attempt began")
				}
				if err := running.Fail(t.Context(), b.commit); err == nil {
					t.Error("a failure was counted")
				}
				if _, err := running.Succeed(t.Context()); err == nil {
					t.Error("a success was reset")
				}
				running.Done()
				if err := b.Fill(t.Context()); err == nil {
					t.Error("fill did not tell of it")
				}
				if b.Gates() != 0 {
					t.Errorf("%d gates are kept after use", b.Gates())
				}
				if err := b.ClearName(t.Context(), hash("alice")); err != nil {
					t.Errorf("clear: %v", err)
				}
				b.begin(from(home)).Done()
			}
		})
	}
}

func TestClosedStore(t *testing.T) {
	b := newBench(t, nil)
	try := b.begin(stranger("x", home))
	b.fail(from(home))
	id := b.list(lockout.Query{All: true}, 10)[0].ID
	if err := b.store.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	ctx := t.Context()
	for name, err := range map[string]error{
		"begin":      func() error { _, err := b.Begin(ctx, from(home)); return err }(),
		"fail":       try.Fail(ctx, b.commit),
		"succeed":    func() error { _, err := try.Succeed(ctx); return err }(),
		"fill":       b.Fill(ctx),
		"list":       func() error { _, _, err := b.List(ctx, lockout.Query{}, "", 1); return err }(),
		"clear":      b.Clear(ctx, id, b.commit),
		"clear name": b.ClearName(ctx, hash("x")),
		"sweep":      func() error { _, _, err := b.Sweep(ctx, 1); return err }(),
	} {
		if !errors.Is(err, db.ErrUnavailable) {
			t.Errorf("%s: %v, want %v", name, err, db.ErrUnavailable)
		}
	}
	try.Done()
	if b.Gates() != 0 {
		t.Errorf("%d gates are kept after use", b.Gates())
	}
}

// A failure that cannot be committed is an error, and is not taken for counted.
func TestFailThatIsNotCommitted(t *testing.T) {
	for _, fault := range []error{db.ErrUnavailable, db.ErrUnknown, db.ErrConflict} {
		f := &dbtest.Faulty{}
		b := newBench(t, func(o *lockout.Options) {
			f = dbtest.NewFaulty(o.Store)
			o.Store = f
		})
		try := b.begin(from(home))
		f.FailCommits(fault, false)
		want := fault
		if errors.Is(fault, db.ErrConflict) {
			want = db.ErrUnavailable // it was tried often enough
		}
		if err := try.Fail(t.Context(), b.commit); !errors.Is(err, want) {
			t.Errorf("fail: %v, want %v", err, want)
		}
		f.FailCommits(nil, false)
		for range 3 { // counts once
			if err := try.Fail(t.Context(), b.commit); err != nil {
				t.Errorf("fail again: %v", err)
			}
		}
		try.Done()
		if err := try.Fail(t.Context(), b.commit); err == nil {
			t.Error("a failure was taken after Done")
		}
		if _, err := try.Succeed(t.Context()); err == nil {
			t.Error("a success was taken after Done")
		}
		counts("alice", map[string]int{"*": 1, home + "/32": 1})(b)
	}
}

// commit is called again with what was read anew, and no more than 100 times.
func TestConflicts(t *testing.T) {
	b := newBench(t, nil)
	fails(2, from(home))(b)
	try := b.begin(from(home))
	calls := 0
	err := try.Fail(t.Context(), func(ctx context.Context, txn db.Txn) error {
		if calls++; calls == 1 { // the admin was faster
			if err := b.ClearName(ctx, hash("alice")); err != nil {
				t.Errorf("clear: %v", err)
			}
		}
		return b.commit(ctx, txn)
	})
	if err != nil || calls != 2 {
		t.Errorf("fail: %v after %d calls, want 2", err, calls)
	}
	try.Done()
	counts("alice", map[string]int{"*": 1, home + "/32": 1})(b)

	try, calls = b.begin(from(home)), 0
	err = try.Fail(t.Context(), func(context.Context, db.Txn) error { calls++; return db.ErrConflict })
	if !errors.Is(err, db.ErrUnavailable) || calls != 100 {
		t.Errorf("fail: %v after %d calls, want a conflict after 100", err, calls)
	}
	txn, err := try.Succeed(t.Context())
	b.fail(from(cafe))
	if err := errors.Join(err, b.commit(t.Context(), txn)); !errors.Is(err, db.ErrConflict) {
		t.Errorf("a reset of what has changed: %v, want %v", err, db.ErrConflict)
	}
	if txn, err = try.Succeed(t.Context()); err != nil || b.commit(t.Context(), txn) != nil {
		t.Errorf("succeed again: %v", err)
	}
	try.Done()
	counts("alice", map[string]int{"*": 1, cafe + "/32": 1})(b)
}

// Who hangs up before the answer is counted all the same.
func TestFailAfterTheEndOfTheContext(t *testing.T) {
	b := newBench(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	try, err := b.Begin(ctx, from(home))
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	cancel()
	if err := try.Fail(ctx, b.commit); err != nil {
		t.Errorf("fail: %v", err)
	}
	try.Done()
	counts("alice", map[string]int{"*": 1, home + "/32": 1})(b)
}

// Transactions are as small as they were promised, and empty where there is nothing to do.
func TestSizeOfTransactions(t *testing.T) {
	b := newBench(t, func(o *lockout.Options) {
		o.MaxUnknown = 2
		o.Exempt = append(o.Exempt, netip.MustParsePrefix("192.0.2.0/24"))
	})
	size := func(a lockout.Attempt) (got [2]int) {
		try := b.begin(a)
		defer try.Done()
		err := try.Fail(t.Context(), func(ctx context.Context, txn db.Txn) error {
			got = [2]int{len(txn.If), len(txn.Writes)}
			return b.commit(ctx, txn)
		})
		if err != nil {
			t.Errorf("fail: %v", err)
		}
		return got
	}
	b.succeedEmpty(from(home))
	b.succeedEmpty(known(home, phone))
	got := [][2]int{
		size(from(home)), size(known(home, phone)), size(stranger("x", home)), size(stranger("x", home)), size(stranger("y", home)), size(from(other)),
	}
	if diff := cmp.Diff([][2]int{{2, 2}, {1, 1}, {2, 2}, {2, 2}, {4, 4}, {0, 0}}, got); diff != "" {
		t.Errorf("conditions and writes (-want +got):\n%s", diff)
	}
	b.succeedEmpty(from(other))
	if txn := b.succeed(from(home)); len(txn.If) != 2 || len(txn.Writes) != 2 {
		t.Errorf("a success: got %v, want 2 conditions and 2 writes", txn)
	}
	b.succeedEmpty(from(home))
	if txn := b.succeed(known(home, phone)); len(txn.If) != 1 || len(txn.Writes) != 1 {
		t.Errorf("a success of a known device: got %v, want 1 condition and 1 write", txn)
	}
}

func (b *bench) succeedEmpty(a lockout.Attempt) {
	b.t.Helper()
	if txn := b.succeed(a); len(txn.If)+len(txn.Writes) != 0 {
		b.t.Errorf("a success with nothing to reset: got %v, want nothing", txn)
	}
}
