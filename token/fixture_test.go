package token_test

import (
	"context"
	"crypto"
	"encoding/json"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/token"
	"devicegate/token/tokentest"
)

const (
	issuerName   = "https://gate.example"
	audienceName = "gate"
	lifetime     = 15 * 60 // seconds
	leeway       = 5
	start        = 1_800_000_000 // the clock of every fixture, unix seconds
	firstRecord  = "w/k/00000001"
)

var (
	userID   = uuid.MustParse("0190a5d2-7c31-7bb1-a9e0-1f2e3d4c5b6a")
	deviceID = uuid.MustParse("5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a")
)

func defaultConfig() token.Config {
	return token.Config{
		Issuer: issuerName, Audience: audienceName,
		AccessLifetime: lifetime * time.Second, Leeway: leeway * time.Second, CacheBytes: 1 << 20,
	}
}

// clock is a clock that a test sets.
type clock struct{ unix atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(c.unix.Load(), 0) }

// fixture is one gate's tokens: real keys in a store in memory, an issuer and a verifier.
type fixture struct {
	clock    *clock
	store    *memoryStore
	ring     *token.Keyring
	issuer   *token.Issuer
	verifier *token.Verifier
	alg      token.Algorithm
	kid      string
	private  crypto.Signer
	signed   map[string]bool // every token that the private key has signed
}

func newFixture(tb testing.TB, cfg token.Config) *fixture {
	tb.Helper()
	f := &fixture{clock: &clock{}, store: newMemoryStore(), signed: map[string]bool{}}
	f.clock.unix.Store(start)
	random := rand.NewChaCha8([32]byte{1}) // the same key in every process, so that fuzzing's workers share their seeds
	f.open(tb, cfg, random)
	f.alg, f.private = token.EdDSA, fromRecord(tb, f.store.record(tb, firstRecord))
	f.kid = kidOf(f.private)
	return f
}

// open opens the ring and makes the issuer and the verifier on it.
func (f *fixture) open(tb testing.TB, cfg token.Config, random io.Reader) {
	tb.Helper()
	f.ring = must(token.OpenKeyring(context.Background(), f.store, options(f.clock.now, random)))(tb)
	f.issuer = must(token.NewIssuer(cfg, f.ring, f.clock.now, random))(tb)
	f.verifier = must(token.NewVerifier(cfg, f.ring, f.clock.now))(tb)
}

// options are those of a ring that rotates on command.
func options(now func() time.Time, random io.Reader) token.Options {
	return token.Options{Now: now, Rand: random, AccessLifetime: lifetime * time.Second, Leeway: leeway * time.Second}
}

// must returns v, or fails the test that it is then given.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func subject() token.Subject {
	return token.Subject{User: userID, Device: deviceID, Username: "ann", Roles: []string{"staff", "dev"}}
}

func (f *fixture) mustIssue(tb testing.TB) string {
	tb.Helper()
	raw, _, err := f.issuer.Issue(subject())
	if err != nil {
		tb.Fatal(err)
	}
	f.signed[raw] = true
	return raw
}

// header returns the header of an honest token as JSON.
func (f *fixture) header() string {
	return `{"alg":"` + string(f.alg) + `","kid":"` + f.kid + `","typ":"at+jwt"}`
}

// honest is what a good token says.
var honest = tokentest.Honest{
	Issuer: issuerName, Audience: audienceName, User: userID, Device: deviceID, Username: "ann",
	Now: start, Lifetime: lifetime, Leeway: leeway,
}

func honestClaims() tokentest.Members { return honest.Claims() }

// sign signs any header and claims with the gate's real key: only the key's holder could make these.
func (f *fixture) sign(header, claims string) string {
	raw := signWith(f.private, header, claims)
	f.signed[raw] = true
	return raw
}

// memoryStore is the part of db.Store that keys need, in memory.
type memoryStore struct {
	db.Store     // nil: a call of anything else fails the test
	mu           sync.Mutex
	entries      map[string]db.Entry
	revision     db.Revision
	beforeCommit func() // another process's turn
	failRange    error
	failCommit   error
}

func newMemoryStore() *memoryStore { return &memoryStore{entries: map[string]db.Entry{}} }

func (s *memoryStore) Range(_ context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failRange != nil {
		return nil, 0, s.failRange
	}
	var found []db.Entry
	for key, e := range s.entries {
		if key >= from && (to == "" || key < to) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b db.Entry) int { return strings.Compare(a.Key, b.Key) })
	return found[:min(limit, len(found))], s.revision, nil
}

func (s *memoryStore) Commit(_ context.Context, txn db.Txn) (db.Revision, error) {
	if turn := s.beforeCommit; turn != nil {
		s.beforeCommit = nil
		turn()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failCommit != nil {
		return 0, s.failCommit
	}
	for _, c := range txn.If {
		if s.entries[c.Key].Revision != c.Revision {
			return 0, db.ErrConflict
		}
	}
	s.revision++
	for _, w := range txn.Writes {
		s.entries[w.Key] = db.Entry{Key: w.Key, Value: w.Value, Revision: s.revision}
	}
	return s.revision, nil
}

// record returns a stored key as a JSON object that a test can change.
func (s *memoryStore) record(tb testing.TB, name string) map[string]any {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var r map[string]any
	if err := json.Unmarshal(s.entries[name].Value, &r); err != nil {
		tb.Fatalf("record %q: %v", name, err)
	}
	return r
}
