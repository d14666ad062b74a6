package password_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"devicegate/password"
)

// A stage is who comes while the one slot is taken, in this order: capitals are preferred. Then the
// slot is released, and everybody passes it on.
func TestOrderOfTheLanes(t *testing.T) {
	for _, c := range []struct{ name, stages, want string }{
		{"strangers in their order", "abcdef", "abcdef"},
		{"preferred in theirs", "ABCDEF", "ABCDEF"},
		{"preferred first", "aAbBcC", "ABCabc"},
		{"strangers are not kept out", "abcABCDEFGHIJKLMNOPQRST", "ABCDEFGHaIJKLMNOPbQRSTc"},
		{"nobody is passed where nobody waits", "ABCDEFGHIJ aK", "ABCDEFGHIJ Ka"},
		{"each turn begins anew", "aABCDE bFGHIJ", "ABCDEa FGHIJb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := password.NewSlots(1, 100, time.Hour)
				var got []string
				for stage := range strings.FieldsSeq(c.stages) {
					got = append(got, served(t, s, stage))
				}
				if got := strings.Join(got, " "); got != c.want {
					t.Errorf("served %q, want %q", got, c.want)
				}
			})
		})
	}
}

func served(t *testing.T, s password.Slots, stage string) string {
	mustAcquire(t, s)
	order := make(chan rune, len(stage))
	for _, who := range stage {
		go func() {
			if err := s.Acquire(laneOf(who)); err != nil {
				t.Errorf("%c: %v", who, err)
				return
			}
			order <- who
			s.Release()
		}()
		synctest.Wait()
	}
	s.Release()
	synctest.Wait()
	checkLoad(t, s, 0, 0)
	close(order)
	var b strings.Builder
	for who := range order {
		b.WriteRune(who)
	}
	return b.String()
}

func laneOf(who rune) context.Context {
	if unicode.IsUpper(who) {
		return password.Preferred(context.Background())
	}
	return context.Background()
}

func mustAcquire(t *testing.T, s password.Slots) {
	t.Helper()
	if err := s.Acquire(context.Background()); err != nil {
		t.Fatalf("Acquire: %v", err)
	}
}

func checkLoad(t *testing.T, s password.Slots, taken, waiting int) {
	t.Helper()
	if c, w := s.Load(); c != taken || w != waiting {
		t.Errorf("Load = %d, %d, want %d, %d", c, w, taken, waiting)
	}
}

// Whichever lane is full, the other has room, and the full one has none.
func TestLanesHaveTheirOwnBounds(t *testing.T) {
	for _, c := range []struct{ full, other rune }{{'a', 'A'}, {'A', 'a'}} {
		synctest.Test(t, func(t *testing.T) {
			const bound = 3
			s := password.NewSlots(1, bound, time.Hour)
			mustAcquire(t, s)
			ctx, cancel := context.WithCancel(laneOf(c.full))
			for range bound {
				go func() { _ = s.Acquire(ctx) }()
			}
			synctest.Wait()
			if err := s.Acquire(ctx); !errors.Is(err, password.ErrBusy) || ctx.Err() != nil {
				t.Errorf("%c beside its full lane: %v, want ErrBusy", c.full, err)
			}
			other := make(chan error, 1)
			go func() { other <- s.Acquire(laneOf(c.other)) }()
			synctest.Wait()
			checkLoad(t, s, 1, bound+1)
			cancel()
			synctest.Wait()
			checkLoad(t, s, 1, 1)
			s.Release()
			if err := <-other; err != nil {
				t.Errorf("%c beside the other's full lane: %v", c.other, err)
			}
			s.Release()
			checkLoad(t, s, 0, 0)
		})
	}
}

func TestAttemptAfterItsSlotWasTaken(t *testing.T) {
	for _, c := range []struct {
		name   string
		ended  func(context.Context) (context.Context, context.CancelFunc)
		key    byte
		err    error
		waited bool // by the computation's context too
	}{
		{"hangs up", context.WithCancel, 7, nil, true},
		{"hangs up, and has a deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Hour)
		}, 7, nil, true},
		{"its deadline passes", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			return ctx, func() { <-ctx.Done(); cancel() }
		}, 0, password.ErrBusy, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := password.NewSlots(1, 1, time.Hour)
				ctx, end := c.ended(context.Background())
				computed, waited := make(chan byte), false
				type answer struct {
					key byte
					err error
				}
				done := make(chan answer, 1)
				go func() {
					key, err := s.Run(ctx, func(ctx context.Context) byte {
						key := <-computed
						waited = ctx.Err() == nil
						return key
					})
					done <- answer{key, err}
				}()
				synctest.Wait()
				end()
				synctest.Wait()
				checkLoad(t, s, 1, 0) // also when nobody waits for it
				computed <- 7
				if got := <-done; got.key != c.key || !errors.Is(got.err, c.err) {
					t.Errorf("the attempt = %d, %v, want %d, %v", got.key, got.err, c.key, c.err)
				}
				synctest.Wait()
				if waited != c.waited {
					t.Errorf("the computation is told that somebody waits: %v, want %v", waited, c.waited)
				}
				checkLoad(t, s, 0, 0)
			})
		})
	}
}

// Who gives up at the moment it is handed a slot passes it on, to the next who waits.
func TestSlotOfWhoGivesUpIsNotLost(t *testing.T) {
	for range 500 { // which comes first is the scheduler's choice
		synctest.Test(t, func(t *testing.T) {
			s := password.NewSlots(1, 2, time.Hour)
			mustAcquire(t, s)
			ctx, cancel := context.WithCancel(context.Background())
			attempt := func(ctx context.Context, done chan<- error) {
				err := s.Acquire(ctx)
				if err == nil {
					s.Release()
				}
				done <- err
			}
			first, second := make(chan error, 1), make(chan error, 1)
			go attempt(ctx, first)
			synctest.Wait()
			go attempt(context.Background(), second)
			synctest.Wait()
			cancel()
			s.Release() // as a rule before the first has run
			if err := <-first; err != nil && !errors.Is(err, password.ErrBusy) {
				t.Errorf("the first: %v", err)
			}
			if err := <-second; err != nil {
				t.Errorf("the second: %v", err)
			}
			checkLoad(t, s, 0, 0)
		})
	}
}

// Whatever ends when, no slot is lost and none is had twice.
func TestSlotsAreExact(t *testing.T) {
	const number, callers, rounds = 3, 64, 300
	s := password.NewSlots(number, callers/4, 20*time.Microsecond)
	var held atomic.Int64
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for round := range rounds {
				ctx, cancel := context.WithCancel(laneOf([]rune("aA")[i%2]))
				if (i+round)%3 == 0 {
					go cancel()
				}
				if err := s.Acquire(ctx); err == nil {
					if n := held.Add(1); n > number {
						t.Errorf("%d slots are held, want at most %d", n, number)
					}
					runtime.Gosched()
					held.Add(-1)
					s.Release()
				} else if !errors.Is(err, password.ErrBusy) {
					t.Errorf("Acquire: %v, want ErrBusy", err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	checkLoad(t, s, 0, 0)
	for range number {
		mustAcquire(t, s)
	}
	if err := s.Acquire(context.Background()); !errors.Is(err, password.ErrBusy) {
		t.Errorf("one more than there are: %v, want ErrBusy", err)
	}
}
