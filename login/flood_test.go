package login_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/lockout"
	"devicegate/login"
)

// floodNames is how many names the flood makes up; scripts/test asks for a million.
var floodNames = flag.Int64("flood", 10_000, "how many names TestFlood makes up")

// What a flood may leave behind, with the defaults of the configuration.
const (
	floodClients = 256
	floodHeap    = 160 << 20 // bytes in use by the process
	floodFile    = 1 << 30   // bytes of the store
)

// A flood of made-up names, from everywhere and as fast as the store takes them, with a hash that costs
// nothing: time and memory stay bounded, it pushes out nothing of a real user's history, and the owner signs in
// all the while, also under his own name's flood.
func TestFlood(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	g := open(t, filepath.Join(dir, "test.db"), noLimit, c, newRandomness(1))
	t.Cleanup(g.close)
	g.counters = lockout.New(lockout.Options{
		Store: g.store, Now: c.Now, Threshold: 5, NameThreshold: 50, BaseDelay: time.Minute, MaxDelay: time.Hour,
		Window: 24 * time.Hour, Exists: g.Users.Exists,
	})
	g.journal.deaf = true
	service, err := login.Open(t.Context(), g.with(g.hasher))
	if err != nil {
		t.Fatal(err)
	}
	g.Service = service
	u := g.user(t, "owner")
	own := g.signInAs(t, "owner", "", "")

	var made atomic.Int64
	var flood sync.WaitGroup
	for range floodClients {
		flood.Go(func() {
			for n := made.Add(1); n <= *floodNames; n = made.Add(1) {
				name := fmt.Sprint("made up ", n)
				if n%100 == 0 {
					name = "owner" // of these all but a few are locked
				}
				if err := g.floodOnce(name, n); err != nil {
					t.Errorf("attempt %d: %v", n, err)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { flood.Wait(); close(over) }()
	signIns := g.signInAllTheWhile(t, own.Cookie, over)

	g.wantBounded(t, filepath.Join(dir, "test.db"))
	ok := 0
	for before, more := (uuid.UUID{}), true; more; {
		events, next, err := g.log.List(t.Context(), activity.Query{User: &u.ID, Outcome: activity.Success}, before, 500)
		if err != nil {
			t.Fatal(err)
		}
		ok, before, more = ok+len(events), next, next != uuid.UUID{}
	}
	if kept := min(signIns+2, 500); ok < kept { // the account was made, and he signed in once before
		t.Errorf("the owner signed in %d times; %d events of his are left, want %d", signIns, ok, kept)
	}
	t.Logf("%d attempts, %d sign-ins of the owner meanwhile", made.Load(), signIns)
}

// floodOnce is one attempt, from a network of its own.
func (g *gate) floodOnce(name string, n int64) error {
	var ip [4]byte
	binary.BigEndian.PutUint32(ip[:], 0x0b000000+uint32(n))
	_, err := g.SignIn(context.Background(), login.SignIn{
		Name: name, Password: "wrong", Client: login.Client{IP: netip.AddrFrom4(ip), UserAgent: "flood/1"},
	})
	var wait *login.WaitError
	if errors.Is(err, login.ErrNoActiveAccount) || name == "owner" && errors.As(err, &wait) {
		return nil
	}
	return fmt.Errorf("%q is answered with %w", name, err)
}

// signInAllTheWhile signs the owner in on his device again and again, until over, and returns how often.
func (g *gate) signInAllTheWhile(t *testing.T, cookie string, over <-chan struct{}) int {
	for n := 0; ; n++ {
		select {
		case <-over:
			return n
		default:
		}
		s, err := g.SignIn(t.Context(), login.SignIn{Name: "owner", Password: secret, Client: client, Cookie: cookie, Secure: true})
		if err != nil {
			t.Errorf("the owner, after %d sign-ins: %v", n, err)
			<-over
			return n
		}
		cookie = s.Cookie
	}
}

func (g *gate) wantBounded(t *testing.T, file string) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapInuse > floodHeap {
		t.Errorf("%d MiB are in use, at most %d are allowed", m.HeapInuse>>20, floodHeap>>20)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > floodFile {
		t.Errorf("the store has %d MiB, at most %d are allowed", info.Size()>>20, floodFile>>20)
	}
	if n := g.counters.Unknown(); n > 100_000 {
		t.Errorf("%d counters of names that do not exist", n)
	}
	unknown, failures, kept := g.log.Counts()
	if unknown > 100_000+1_000 || failures > 500+1_000 {
		t.Errorf("events: %d of no user, %d failures, %d others", unknown, failures, kept)
	}
	t.Logf("heap %d MiB, store %d MiB, counters %d, events %d/%d/%d", m.HeapInuse>>20, info.Size()>>20, g.counters.Unknown(), unknown, failures, kept)
}
