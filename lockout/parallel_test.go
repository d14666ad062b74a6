package lockout_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/lockout"
)

// However many guesses run in parallel, no more fail before the lock than the threshold says; after it, one.
func TestParallelGuesses(t *testing.T) {
	for _, c := range []struct {
		name    string
		attempt func(i int) lockout.Attempt
		before  int // guesses one by one
		want    int // let through at once after that
	}{
		{"one network", func(int) lockout.Attempt { return from(home) }, 0, 5},
		{"one network of which some failed", func(int) lockout.Attempt { return from(home) }, 3, 2},
		{"one /64", func(i int) lockout.Attempt { return from(fmt.Sprintf("2001:db8::%x", i)) }, 0, 5},
		{"many networks", func(i int) lockout.Attempt { return from(fmt.Sprintf("10.0.0.%d", i)) }, 0, 50},
		{"many networks, some of which failed", func(i int) lockout.Attempt { return from(fmt.Sprintf("10.0.0.%d", i)) }, 8, 42},
		{"a known device", func(i int) lockout.Attempt { return known(fmt.Sprintf("10.0.0.%d", i), phone) }, 0, 5},
		{"an unknown name", func(i int) lockout.Attempt { return stranger("x", home) }, 0, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "test.db")
			s := reopen(t, path, nil)
			b := newBench(t, func(o *lockout.Options) { o.Store = s })
			for i := range c.before {
				b.fail(c.attempt(i))
			}
			if got := b.guess(200, c.attempt); got != c.want {
				t.Errorf("%d guesses were let through, want %d", got, c.want)
			}
			s = reopen(t, path, s)
			b.store, b.opts.Store = s, s
			b.restart()
			if got := b.guess(200, c.attempt); got != 0 {
				t.Errorf("%d guesses were let through after a restart, want none", got)
			}
			b.clock.Advance(time.Minute)
			if got := b.guess(200, c.attempt); got != 1 {
				t.Errorf("%d guesses were let through after the lock, want 1", got)
			}
		})
	}
}

// reopen closes a store and opens it again.
func reopen(t *testing.T, path string, old *bolt.Store) *bolt.Store {
	t.Helper()
	if old != nil {
		if err := old.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() }) // closed before, where it was opened again
	return s
}

// A threshold above the number of retries loses no failure: failures of one name are written one by one.
func TestManyFailuresAtOnce(t *testing.T) {
	b := newBench(t, func(o *lockout.Options) { o.NameThreshold = 1000 })
	if got := b.guess(300, func(i int) lockout.Attempt { return from(fmt.Sprintf("10.0.%d.%d", i/256, i%256)) }); got != 300 {
		t.Errorf("%d guesses were let through, want 300", got)
	}
	if got := b.failures("alice")["*"]; got != 300 {
		t.Errorf("%d failures were counted, want 300", got)
	}
}

// hooked is a store that calls afterGet between a read and its return.
type hooked struct {
	db.Store
	afterGet func(key string)
}

func (h *hooked) Get(ctx context.Context, key string) (db.Entry, error) {
	e, err := h.Store.Get(ctx, key)
	if h.afterGet != nil {
		h.afterGet(key)
	}
	return e, err
}

// An attempt that fails between the reading of the record and the look at what runs is not overlooked, at no
// gate.
func TestFailureAmidBegin(t *testing.T) {
	for _, c := range []struct {
		name                     string
		threshold, nameThreshold int
		first, second            lockout.Attempt
		key                      string // the last that is read at the gate
		visit                    int    // the gate is the one where it is read for this time
	}{
		{"a device", 1, 50, known(home, phone), known(cafe, phone), "c/" + hash("alice") + "/d/" + phone.String(), 1},
		{"a network", 1, 50, from(home), from(home), "c/" + hash("alice") + "/", 1},
		{"a name", 5, 1, from(home), from(cafe), "c/" + hash("alice") + "/", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &hooked{}
			b := newBench(t, func(o *lockout.Options) {
				h.Store = o.Store
				o.Store, o.Threshold, o.NameThreshold = h, c.threshold, c.nameThreshold
			})
			first, visits := b.begin(c.first), 0
			h.afterGet = func(key string) {
				if key == c.key {
					visits++
				}
				if visits < c.visit {
					return
				}
				h.afterGet = nil
				if err := first.Fail(t.Context(), b.commit); err != nil {
					t.Errorf("fail: %v", err)
				}
				first.Done()
			}
			b.wantLocked(c.second, time.Minute)
		})
	}
}

// bubble runs fn where goroutines that wait for each other can be waited for.
func bubble(t *testing.T, change func(*lockout.Options), fn func(t *testing.T, b *bench)) {
	synctest.Test(t, func(t *testing.T) { fn(t, newBench(t, change)) })
}

func two(o *lockout.Options) { o.Threshold, o.NameThreshold = 2, 3 }

func TestWaitersGoOn(t *testing.T) {
	for _, c := range []struct {
		name string
		ends func(b *bench, try *lockout.Try) // one of the two attempts that run
		want int                              // of three waiters began
	}{
		{"after a success", func(b *bench, try *lockout.Try) {
			if _, err := try.Succeed(b.t.Context()); err != nil {
				b.t.Errorf("succeed: %v", err)
			}
			try.Done()
		}, 1},
		{"after an attempt that was given up", func(_ *bench, try *lockout.Try) { try.Done() }, 1},
		{"not after a failure", func(b *bench, try *lockout.Try) {
			if err := try.Fail(b.t.Context(), b.commit); err != nil {
				b.t.Errorf("fail: %v", err)
			}
			try.Done()
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, two, func(t *testing.T, b *bench) {
				first, second := b.begin(from(home)), b.begin(from(home))
				ctx, cancel := context.WithCancel(t.Context())
				var begun atomic.Int64
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						if try, err := b.Begin(ctx, from(home)); err == nil {
							begun.Add(1)
							<-ctx.Done()
							try.Done()
						}
					})
				}
				synctest.Wait()
				if n := begun.Load(); n != 0 {
					t.Errorf("%d attempts began beside as many as may fail", n)
				}
				c.ends(b, first)
				synctest.Wait()
				if n := int(begun.Load()); n != c.want {
					t.Errorf("%d waiters began, want %d", n, c.want)
				}
				cancel()
				wg.Wait()
				second.Done()
				if n := b.Gates(); n != 0 {
					t.Errorf("%d gates are kept after use", n)
				}
			})
		})
	}
}

// The failure that locks refuses all who wait.
func TestWaitersAreRefusedByTheLock(t *testing.T) {
	bubble(t, two, func(t *testing.T, b *bench) {
		tries := []*lockout.Try{b.begin(from(home)), b.begin(from(home))}
		var refused atomic.Int64
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				locked := new(lockout.LockedError)
				if try, err := b.Begin(t.Context(), from(home)); errors.As(err, &locked) {
					refused.Add(1)
				} else {
					t.Errorf("a waiter got %v, %v, want locked", try, err)
				}
			})
		}
		synctest.Wait()
		for _, try := range tries {
			if err := try.Fail(t.Context(), b.commit); err != nil {
				t.Errorf("fail: %v", err)
			}
			try.Done()
			try.Done() // once more does nothing
		}
		wg.Wait()
		if refused.Load() != 50 || b.Gates() != 0 {
			t.Errorf("%d waiters were refused and %d gates are kept, want 50 and none", refused.Load(), b.Gates())
		}
	})
}

// A context that ends while an attempt waits, at either gate, ends the wait and gives back what it held.
func TestWaitEnds(t *testing.T) {
	bubble(t, two, func(t *testing.T, b *bench) {
		running := []*lockout.Try{b.begin(from("10.0.0.1")), b.begin(from("10.0.0.2")), b.begin(from("10.0.0.3"))}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range 6 { // two networks: waiting at the name's gate and, behind these, at the network's
			wg.Go(func() {
				if try, err := b.Begin(ctx, from(fmt.Sprintf("10.0.1.%d", i%2))); !errors.Is(err, context.Canceled) {
					t.Errorf("a waiter got %v, %v, want that the context ended", try, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		wg.Wait()
		for _, try := range running {
			try.Done()
		}
		if n := b.Gates(); n != 0 {
			t.Errorf("%d gates are kept after use", n)
		}
		if _, err := b.Begin(ctx, from(home)); !errors.Is(err, context.Canceled) {
			t.Errorf("begin with a context that has ended: %v", err)
		}
		tries := []*lockout.Try{b.begin(from("10.0.1.1")), b.begin(from("10.0.1.1"))} // both places were given back
		for _, try := range tries {
			try.Done()
		}
	})
}

// At most so many wait at one counter; the next is refused at once, others are not.
func TestCrowded(t *testing.T) {
	bubble(t, two, func(t *testing.T, b *bench) {
		running := []*lockout.Try{b.begin(from(home)), b.begin(from(home))}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range lockout.MaxWaiters {
			wg.Go(func() {
				if _, err := b.Begin(ctx, from(home)); !errors.Is(err, context.Canceled) {
					t.Errorf("a waiter got %v, want that the context ended", err)
				}
			})
		}
		synctest.Wait()
		if _, err := b.Begin(t.Context(), from(home)); !errors.Is(err, lockout.ErrCrowded) {
			t.Errorf("one waiter too many got %v, want %v", err, lockout.ErrCrowded)
		}
		b.begin(from(cafe)).Done()
		b.begin(known(home, phone)).Done()
		cancel()
		wg.Wait()
		for _, try := range running {
			try.Done()
		}
		b.begin(from(home)).Done()
	})
}

// What an admin removes lets those go on who waited for it.
func TestClearWakesWaiters(t *testing.T) {
	for name, clears := range map[string]func(b *bench) error{
		"one counter": func(b *bench) error {
			for _, l := range b.list(lockout.Query{All: true}, 10) {
				if err := b.Clear(b.t.Context(), l.ID, b.commit); err != nil {
					return err
				}
			}
			return nil
		},
		"a name": func(b *bench) error { return b.ClearName(b.t.Context(), hash("alice")) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, two, func(t *testing.T, b *bench) {
				b.fail(from(home))
				running := b.begin(from(home)) // the last that may fail
				began := make(chan struct{})
				go func() {
					defer close(began)
					try, err := b.Begin(t.Context(), from(home))
					if err != nil {
						t.Errorf("a waiter got %v, want to go on", err)
						return
					}
					try.Done()
				}()
				synctest.Wait()
				if err := clears(b); err != nil {
					t.Errorf("clear: %v", err)
				}
				<-began
				running.Done()
			})
		})
	}
}

// Names cost nothing, so nothing may be kept for one that is not in use.
func TestNoGateIsKept(t *testing.T) {
	const names, workers = 40_000, 8
	b := newBench(t, nil)
	var most atomic.Int64
	together(workers, func(w int) {
		for i := range names / workers {
			try, err := b.Begin(t.Context(), stranger(fmt.Sprint("name ", w, i), home))
			if err != nil {
				t.Errorf("begin: %v", err)
				return
			}
			most.Store(max(most.Load(), int64(b.Gates())))
			try.Done()
		}
	})
	if most.Load() > 2*workers || b.Gates() != 0 {
		t.Errorf("up to %d gates at a time and %d left, want at most %d and none", most.Load(), b.Gates(), 2*workers)
	}
}
