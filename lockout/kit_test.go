package lockout_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/lockout"
)

type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ms.Store(time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC).UnixMilli())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMilli(c.ms.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.ms.Add(d.Milliseconds()) }

// bench is counters over a real store with a clock that a test moves.
type bench struct {
	*lockout.Counters
	t     testing.TB
	store db.Store
	clock *clock
	opts  lockout.Options
}

// newBench opens counters with the service's defaults, changed by change.
func newBench(t testing.TB, change func(*lockout.Options)) *bench {
	t.Helper()
	b := &bench{t: t, store: dbtest.New(t), clock: newClock()}
	b.opts = lockout.Options{
		Store: b.store, Now: b.clock.Now, Threshold: 5, NameThreshold: 50,
		BaseDelay: time.Minute, MaxDelay: time.Hour, Window: 24 * time.Hour,
	}
	if change != nil {
		change(&b.opts)
	}
	b.store = b.opts.Store
	b.restart()
	return b
}

// restart forgets everything that is not stored.
func (b *bench) restart() {
	b.Counters = lockout.New(b.opts)
}

func hash(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// from is an attempt as alice, who exists, from an address; "" is unknown.
func from(ip string) lockout.Attempt { return as("alice", ip) }

func as(name, ip string) lockout.Attempt {
	a := lockout.Attempt{Name: name, NameHash: hash(name), Known: true}
	if ip != "" {
		a.IP = netip.MustParseAddr(ip)
	}
	return a
}

// stranger is an attempt as somebody who does not exist.
func stranger(name, ip string) lockout.Attempt {
	a := as(name, ip)
	a.Known = false
	return a
}

var phone = uuid.UUID{1: 7, 15: 9}

// known is from with alice's known device.
func known(ip string, device uuid.UUID) lockout.Attempt {
	a := from(ip)
	a.Device = device
	return a
}

func (b *bench) commit(ctx context.Context, txn db.Txn) error {
	_, err := b.store.Commit(ctx, txn)
	return err
}

func (b *bench) begin(a lockout.Attempt) *lockout.Try {
	b.t.Helper()
	try, err := b.Begin(b.t.Context(), a)
	if err != nil {
		b.t.Fatalf("begin %v: %v, want a try", a, err)
	}
	return try
}

// fail lets an attempt fail. It may be called from any goroutine.
func (b *bench) fail(a lockout.Attempt) {
	b.t.Helper()
	try, err := b.Begin(b.t.Context(), a)
	if err != nil {
		b.t.Errorf("begin %v: %v, want a try", a, err)
		return
	}
	defer try.Done()
	if err := try.Fail(b.t.Context(), b.commit); err != nil {
		b.t.Errorf("fail: %v", err)
	}
}

func (b *bench) succeed(a lockout.Attempt) db.Txn {
	b.t.Helper()
	try := b.begin(a)
	defer try.Done()
	txn, err := try.Succeed(b.t.Context())
	if err == nil {
		err = b.commit(b.t.Context(), txn)
	}
	if err != nil {
		b.t.Fatalf("succeed: %v", err)
	}
	return txn
}

// wantLocked fails unless the attempt is refused for exactly wait.
func (b *bench) wantLocked(a lockout.Attempt, wait time.Duration) {
	b.t.Helper()
	try, err := b.Begin(b.t.Context(), a)
	if err == nil {
		try.Done()
	}
	if locked := new(lockout.LockedError); !errors.As(err, &locked) || locked.RetryAfter != wait {
		b.t.Errorf("begin as %s from %v: %v, want locked for %v", a.Name, a.IP, err, wait)
	}
}

// list returns all counters that a query finds.
func (b *bench) list(q lockout.Query, limit int) (all []lockout.Lockout) {
	b.t.Helper()
	for after := ""; ; {
		found, next, err := b.List(b.t.Context(), q, after, limit)
		if err != nil || len(found) > limit {
			b.t.Fatalf("list after %q: %d found, %v", after, len(found), err)
		}
		all = append(all, found...)
		if after = next; next == "" {
			return all
		}
	}
}

// failures returns the counts of a name's counters by network, the device's by its uid, the name's own as "*".
func (b *bench) failures(name string) map[string]int {
	b.t.Helper()
	got := map[string]int{}
	for _, l := range b.list(lockout.Query{NameHash: hash(name), All: true}, 100) {
		key, _ := lockout.KeyOfID(l.ID)
		switch {
		case l.Device != uuid.UUID{}:
			got[l.Device.String()] = l.Failures
		case key == "c/"+hash(name)+"/":
			got["*"] = l.Failures
		default:
			got[l.Network] = l.Failures
		}
	}
	return got
}

// keys returns what is stored.
func (b *bench) keys() (keys []string) {
	b.t.Helper()
	_, err := db.Each(b.t.Context(), b.store, "c/", func(e db.Entry) error { keys = append(keys, e.Key); return nil })
	if err != nil {
		b.t.Fatalf("reading the keys: %v", err)
	}
	return keys
}

// together runs n calls of fn at once and waits for them.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

// guess counts how many of n parallel wrong guesses were let through; the rest must be refused as locked.
func (b *bench) guess(n int, attempt func(i int) lockout.Attempt) int {
	b.t.Helper()
	var begun atomic.Int64
	together(n, func(i int) {
		try, err := b.Begin(b.t.Context(), attempt(i))
		if err != nil {
			if locked := new(lockout.LockedError); !errors.As(err, &locked) || locked.RetryAfter <= 0 {
				b.t.Errorf("guess %d: %v, want locked", i, err)
			}
			return
		}
		defer try.Done()
		begun.Add(1)
		if err := try.Fail(b.t.Context(), b.commit); err != nil {
			b.t.Errorf("guess %d: counting it: %v", i, err)
		}
	})
	if n := b.Gates(); n != 0 {
		b.t.Errorf("%d gates are kept after use", n)
	}
	return int(begun.Load())
}
