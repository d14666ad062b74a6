package token_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/reason"
	"devicegate/token"
)

const (
	rotation = 90 * 24 * time.Hour
	overlap  = (lifetime + leeway) * time.Second
)

// gate is one process on a store, its keys fed as the service does it.
type gate struct {
	clock    *clock
	store    db.Store
	options  token.Options
	ring     *token.Keyring
	issuer   *token.Issuer
	verifier *token.Verifier
}

// newGate opens a gate with a key rotation of 90 days; change may set other options.
func newGate(tb testing.TB, store db.Store, c *clock, change func(*token.Options)) *gate {
	tb.Helper()
	g := &gate{clock: c, store: store, options: options(c.now, rand.Reader)}
	g.options.Rotation = rotation
	if change != nil {
		change(&g.options)
	}
	g.reopen(tb)
	return g
}

// reopen is a restart: everything that was only in memory is gone.
func (g *gate) reopen(tb testing.TB) {
	tb.Helper()
	g.ring = must(token.OpenKeyring(tb.Context(), g.store, g.options))(tb)
	g.issuer = must(token.NewIssuer(defaultConfig(), g.ring, g.clock.now, rand.Reader))(tb)
	g.verifier = must(token.NewVerifier(defaultConfig(), g.ring, g.clock.now))(tb)
}

// follow feeds the ring from the store until the test ends.
func (g *gate) follow(tb testing.TB) {
	tb.Helper()
	ring := g.ring
	must(g.store.Watch(tb.Context(), ring.Revision(), func(b db.Batch) {
		if err := ring.Apply(b); err != nil {
			tb.Error(err)
		}
	}))(tb)
}

func startClock() *clock {
	c := &clock{}
	c.unix.Store(start)
	return c
}

func (c *clock) set(at time.Time)        { c.unix.Store(at.Unix()) }
func (c *clock) advance(d time.Duration) { c.unix.Add(int64(d / time.Second)) }

func (g *gate) tick(tb testing.TB) {
	tb.Helper()
	if err := g.ring.Tick(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// run lets d pass as it does for a service: with a tick every five minutes.
func (g *gate) run(tb testing.TB, d time.Duration) {
	tb.Helper()
	const step = 5 * time.Minute
	for ; d > step; d -= step {
		g.clock.advance(step)
		g.tick(tb)
	}
	g.clock.advance(d)
	g.tick(tb)
}

// age lets months pass in a few steps: the service was off, and the waits begin when it is back.
func (g *gate) age(tb testing.TB, d time.Duration) {
	tb.Helper()
	g.clock.advance(d)
	g.tick(tb)
}

func (g *gate) issue(tb testing.TB) string {
	tb.Helper()
	raw, _, err := g.issuer.Issue(subject())
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// states returns the states of the keys in the order in which they were made.
func (g *gate) states() string {
	var list []string
	for _, k := range g.ring.Keys() {
		list = append(list, string(k.State))
	}
	return strings.Join(list, " ")
}

func (g *gate) wantStates(tb testing.TB, when, want string) {
	tb.Helper()
	if got := g.states(); got != want {
		tb.Errorf("%s: the keys are %q, want %q", when, got, want)
	}
}

func (g *gate) wantVerdict(tb testing.TB, when, raw string, want reason.Reason) {
	tb.Helper()
	if _, why := g.verifier.Verify(raw); why != want {
		tb.Errorf("%s: got %v, want %v", when, why, want)
	}
}

// storedKey returns the record of the nth key as the store has it.
func storedKey(tb testing.TB, store db.Store, n int) map[string]any {
	tb.Helper()
	e := must(store.Get(tb.Context(), fmt.Sprintf("w/k/%08d", n)))(tb)
	var r map[string]any
	if err := json.Unmarshal(e.Value, &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// TestSchedule follows two keys through every step, to the second.
func TestSchedule(t *testing.T) {
	g := newGate(t, dbtest.New(t), startClock(), nil)
	g.follow(t)
	first := g.ring.Keys()[0]
	g.age(t, rotation-token.PublishAhead-time.Second)
	g.wantStates(t, "a second before the publication", "signing")
	g.age(t, time.Second)
	g.wantStates(t, "an hour before the key is old", "signing published")
	next := g.ring.Keys()[1]
	if want := startTime().Add(rotation); !next.SignsFrom.Equal(want) || !next.RetiresAt.IsZero() || next.ID == first.ID {
		t.Errorf("the next key is %+v, want it to sign from %v", next, want)
	}
	if jwks := string(g.ring.JWKS()); !strings.Contains(jwks, first.ID) || !strings.Contains(jwks, next.ID) {
		t.Errorf("the set %s lacks one of the keys", jwks)
	}
	g.run(t, token.PublishAhead-time.Second)
	g.wantStates(t, "a second before the hour is over", "signing published")
	raw, epoch := g.issue(t), g.ring.Epoch()
	g.wantVerdict(t, "the last token of the first key", raw, reason.OK)
	g.run(t, time.Second)
	g.wantStates(t, "when the hour is over", "published signing")
	g.wantVerdict(t, "the last token, with the next key signing", raw, reason.OK)
	if g.ring.Epoch() != epoch || !g.verifier.Cached(raw) {
		t.Error("a rotation emptied the cache")
	}
	if retires, want := g.ring.Keys()[0].RetiresAt, g.clock.now().Add(overlap+time.Minute); !retires.Equal(want) {
		t.Errorf("the first key retires at %v, want %v", retires, want)
	}
	private := fromRecord(t, storedKey(t, g.store, 1))
	g.run(t, overlap+time.Minute-time.Second)
	g.wantStates(t, "a second before no token can live", "published signing")
	g.run(t, time.Second)
	g.wantStates(t, "when no token can live", "retired signing")
	if g.ring.Epoch() != epoch+1 {
		t.Errorf("a key went and the epoch is %d, want %d", g.ring.Epoch(), epoch+1)
	}
	record := storedKey(t, g.store, 1)
	if record["kid"] != first.ID || record["private_jwk"] != nil || record["encrypted"] != nil {
		t.Errorf("the record of the retired key is %v, want its kid and no private part", record)
	}
	if strings.Contains(string(g.ring.JWKS()), first.ID) {
		t.Error("the retired key is published")
	}
	g.wantVerdict(t, "a token by the retired key", forge(private, first.ID, token.EdDSA, g.clock.now().Unix()), reason.TokenUnverified)
}

// forge is a token that is good but for its key.
func forge(key crypto.Signer, kid string, alg token.Algorithm, now int64) string {
	claims := honestClaims().With("iat", fmt.Sprint(now)).With("nbf", fmt.Sprint(now)).With("exp", fmt.Sprint(now+lifetime))
	return signWith(key, `{"alg":"`+string(alg)+`","kid":"`+kid+`","typ":"at+jwt"}`, claims.String())
}

// TestKilledBetweenSteps: what is due is done after any restart, and no wait is cut short by one.
func TestKilledBetweenSteps(t *testing.T) {
	g := newGate(t, dbtest.New(t), startClock(), nil)
	g.age(t, rotation)
	g.reopen(t)
	g.wantStates(t, "published, and killed", "signing published")
	g.clock.advance(token.PublishAhead) // nobody could read the JWKS meanwhile
	g.tick(t)
	g.reopen(t)
	g.wantStates(t, "an hour later", "signing published")
	g.tick(t)
	g.run(t, token.PublishAhead-time.Second)
	g.wantStates(t, "up for almost an hour", "signing published")
	g.run(t, time.Second)
	g.wantStates(t, "up for an hour", "published signing")
	g.reopen(t)
	g.wantStates(t, "killed while two verify", "published signing")
	g.age(t, overlap+time.Minute)
	g.wantStates(t, "just back", "published signing")
	g.run(t, overlap+time.Minute)
	g.wantStates(t, "when the clock has run for the overlap", "retired signing")
	g.reopen(t)
	g.wantStates(t, "killed at the end", "retired signing")
}

// TestASleepDoesNotSkipTheOverlap: the machine slept for months in each phase of a rotation.
func TestASleepDoesNotSkipTheOverlap(t *testing.T) {
	const months = 5 * 30 * 24 * time.Hour
	g := newGate(t, dbtest.New(t), startClock(), nil)
	g.tick(t)
	g.age(t, months)
	g.wantStates(t, "after a sleep past the rotation", "signing published")
	g.age(t, months)
	g.wantStates(t, "after a sleep past the first use", "signing published")
	g.run(t, token.PublishAhead)
	g.wantStates(t, "an hour awake", "published signing")
	raw := forge(fromRecord(t, storedKey(t, g.store, 1)), g.ring.Keys()[0].ID, token.EdDSA, g.clock.now().Unix())
	g.run(t, overlap)
	g.wantStates(t, "a minute before the retirement", "published signing")
	g.wantVerdict(t, "a token as old as it can be", raw, reason.TokenExpired)
	g.run(t, time.Minute)
	g.wantStates(t, "after the overlap", "retired signing")
}

// TestAClockThatJumps: forward and back again in each phase. A wait runs only while the clock does.
func TestAClockThatJumps(t *testing.T) {
	g := newGate(t, dbtest.New(t), startClock(), nil)
	if _, err := g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}); err != nil {
		t.Fatal(err)
	}
	g.tick(t)
	for _, jump := range []time.Duration{token.PublishAhead, 24 * time.Hour, -24 * time.Hour, -token.PublishAhead} {
		g.age(t, jump)
		g.wantStates(t, fmt.Sprintf("a jump of %v", jump), "signing published")
	}
	g.run(t, token.PublishAhead)
	g.wantStates(t, "an hour of a steady clock", "published signing")
	raw := forge(fromRecord(t, storedKey(t, g.store, 1)), g.ring.Keys()[0].ID, token.EdDSA, g.clock.now().Unix())
	g.age(t, 24*time.Hour)
	g.age(t, -24*time.Hour)
	g.wantStates(t, "a day forward and back", "published signing")
	g.wantVerdict(t, "a token of before the jump", raw, reason.OK)
	g.age(t, -30*time.Minute)
	g.run(t, 30*time.Minute)
	g.wantVerdict(t, "the clock was set back and came here again", raw, reason.OK)
	g.run(t, overlap+time.Minute)
	g.wantStates(t, "after the overlap", "retired signing")
}

// TestAClockThatWasYearsAhead: what it wrote does not hold up the rotation for years, but a machine
// that starts without the time changes nothing before its clock is set.
func TestAClockThatWasYearsAhead(t *testing.T) {
	c := startClock()
	g := newGate(t, dbtest.New(t), c, nil) // 2027
	g.age(t, rotation)
	c.set(time.Unix(1_000_000_000, 0)) // 2001
	g.reopen(t)
	g.run(t, 50*time.Minute)
	before := g.ring.Keys()
	c.set(startTime().Add(rotation))
	g.tick(t)
	if diff := cmp.Diff(before, g.ring.Keys()); diff != "" {
		t.Errorf("a clock that was not yet set changed the keys:\n%s", diff)
	}
	c.set(time.Unix(1_000_000_000, 0))
	g.run(t, 2*time.Hour+5*time.Minute)
	g.wantStates(t, "hours on a clock that is years behind the records", "published signing")
	if at := g.ring.Keys()[1].SignsFrom; at.After(c.now()) {
		t.Errorf("the key signs from %v, and it is %v", at, c.now())
	}
}

// TestAKeyThatSignsFromTheFuture: the clock was years ahead when the only key began to sign.
func TestAKeyThatSignsFromTheFuture(t *testing.T) {
	store, c := dbtest.New(t), startClock()
	newGate(t, store, c, nil)
	c.set(time.Unix(1_000_000_000, 0))
	g := newGate(t, store, c, nil)
	g.tick(t)
	g.run(t, token.PublishAhead-time.Minute)
	if at := g.ring.Keys()[0].SignsFrom; !at.Equal(startTime()) {
		t.Errorf("before the clock can be trusted the key signs from %v", at)
	}
	g.run(t, time.Minute)
	if at := g.ring.Keys()[0].SignsFrom; !at.Equal(c.now()) {
		t.Errorf("the key signs from %v, want %v: it would rotate years late", at, c.now())
	}
	g.age(t, rotation)
	g.wantStates(t, "a rotation later", "signing published")
}

// TestAKeyThatArrivesLate: the hour begins when this process can show the key to others.
func TestAKeyThatArrivesLate(t *testing.T) {
	store, c := newMemoryStore(), startClock()
	a, b := newGate(t, store, c, nil), newGate(t, store, c, nil)
	b.tick(t)
	must(a.ring.Rotate(t.Context(), c.now(), token.RotateOptions{}))(t)
	b.run(t, 2*token.PublishAhead)
	if err := b.ring.Apply(db.Batch{Revision: 2, Writes: []db.Write{db.Put("w/k/00000002", store.entries["w/k/00000002"].Value)}}); err != nil {
		t.Fatal(err)
	}
	b.run(t, token.PublishAhead-time.Second)
	b.wantStates(t, "almost an hour after the feed brought it", "signing published")
	b.run(t, time.Second)
	b.wantStates(t, "an hour after", "published signing")
}

// TestOtherChangesDoNotHoldUpAKey: its hour runs on while records beside it are written.
func TestOtherChangesDoNotHoldUpAKey(t *testing.T) {
	g := newGate(t, dbtest.New(t), startClock(), nil)
	g.follow(t)
	must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}))(t)
	g.tick(t)
	g.run(t, token.PublishAhead/2)
	first := must(g.store.Get(t.Context(), firstRecord))(t)
	dbtest.MustPut(t, g.store, firstRecord, string(first.Value))
	g.run(t, token.PublishAhead/2)
	g.wantStates(t, "after the hour", "published signing")
}

// TestLongLivedTokensKeepTheirKey: longer than the clock has to run without a jump.
func TestLongLivedTokensKeepTheirKey(t *testing.T) {
	const day = 24 * time.Hour
	g := newGate(t, dbtest.New(t), startClock(), func(o *token.Options) { o.AccessLifetime = day })
	must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{Now: true}))(t)
	g.tick(t)
	g.run(t, day+leeway*time.Second+time.Minute-time.Second)
	g.wantStates(t, "while a token can live", "published signing")
	g.run(t, time.Second)
	g.wantStates(t, "when none can", "retired signing")
}

// TestAStaleProcessNotices: no feed told it that a key went, but what it writes itself does.
func TestAStaleProcessNotices(t *testing.T) {
	store, c := newMemoryStore(), startClock()
	a := newGate(t, store, c, nil)
	must(a.ring.Rotate(t.Context(), c.now(), token.RotateOptions{Now: true}))(t)
	stale := newGate(t, store, c, nil)
	a.tick(t)
	a.run(t, overlap+time.Minute)
	a.wantStates(t, "the other", "retired signing")
	stale.age(t, rotation)
	stale.wantStates(t, "its first try", "retired signing")
	stale.tick(t)
	stale.wantStates(t, "its next", "retired signing published")
}

// TestRotate: what each form of the command does at once.
func TestRotate(t *testing.T) {
	for _, tt := range []struct {
		options         token.RotateOptions
		states, waiting string // with no key waiting, with one
		dead            bool
	}{
		{token.RotateOptions{}, "signing published", "signing published", false},
		{token.RotateOptions{Now: true}, "published signing", "published signing", false},
		{token.RotateOptions{RetireOthers: true}, "retired signing", "retired retired signing", true},
		{token.RotateOptions{Now: true, RetireOthers: true}, "retired signing", "retired retired signing", true},
	} {
		t.Run(fmt.Sprintf("%+v", tt.options), func(t *testing.T) {
			g := newGate(t, dbtest.New(t), startClock(), func(o *token.Options) { o.Rotation = 0 })
			raw := g.issue(t)
			g.wantVerdict(t, "before", raw, reason.OK)
			made := must(g.ring.Rotate(t.Context(), g.clock.now(), tt.options))(t)
			g.wantStates(t, "after", tt.states)
			if keys := g.ring.Keys(); made != keys[len(keys)-1] || made.Source != token.FromStore {
				t.Errorf("the command returned %+v and made %+v", made, keys[len(keys)-1])
			}
			want := map[bool]reason.Reason{true: reason.TokenUnverified, false: reason.OK}[tt.dead]
			g.wantVerdict(t, "a token of before", raw, want)
			g.wantVerdict(t, "a token of after", g.issue(t), reason.OK)
			other := newGate(t, g.store, g.clock, nil)
			other.wantStates(t, "another process", tt.states)

			g = newGate(t, dbtest.New(t), startClock(), nil)
			waits := must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}))(t)
			again := must(g.ring.Rotate(t.Context(), g.clock.now(), tt.options))(t)
			g.wantStates(t, "with a key that waited", tt.waiting)
			if (again.ID == waits.ID) == tt.dead {
				t.Errorf("the key that waited is %s, the new one %s", waits.ID, again.ID)
			}
		})
	}
}

func TestRotateMakesNoEndOfKeys(t *testing.T) {
	g := newGate(t, dbtest.New(t), startClock(), nil)
	var err error
	for range 20 {
		if _, err = g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{Now: true}); err != nil {
			break
		}
	}
	if n := len(g.ring.Keys()); !errors.Is(err, token.ErrTooManyKeys) || n != 16 {
		t.Errorf("%d keys and %v, want 16 and %v", n, err, token.ErrTooManyKeys)
	}
	if _, err := g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{RetireOthers: true}); err != nil {
		t.Errorf("retiring them all: %v", err)
	}
	g.tick(t)
	if want := strings.Repeat("retired ", 16) + "signing"; g.states() != want {
		t.Errorf("the keys are %q", g.states())
	}
}

// TestAChangeOfTheAlgorithmIsARotation: the new one is published first, and tokens of the old live on.
func TestAChangeOfTheAlgorithmIsARotation(t *testing.T) {
	store, c := dbtest.New(t), startClock()
	g := newGate(t, store, c, nil)
	for i, alg := range []token.Algorithm{token.ES256, token.RS256, token.EdDSA} {
		raw := g.issue(t)
		g.options.Algorithm, g.options.Rotation = alg, 0 // also where only a command rotates
		g.reopen(t)
		g.tick(t)
		key := g.ring.Keys()[i+1]
		if key.Algorithm != alg || key.State != token.Published {
			t.Fatalf("to %s: the new key is %+v", alg, key)
		}
		g.wantVerdict(t, "a token of the old algorithm", raw, reason.OK)
		g.run(t, token.PublishAhead)
		g.wantVerdict(t, "a token of the new algorithm", g.issue(t), reason.OK)
		if got := decode(t, strings.Split(g.issue(t), ".")[0])["alg"]; got != string(alg) {
			t.Errorf("signed with %v, want %v", got, alg)
		}
		g.run(t, overlap+time.Minute)
	}
	g.wantStates(t, "at the end", "retired retired retired signing")
}

// TestACommandReplacesAWaitingKeyOfTheOldAlgorithm: it never signed, so it needs no overlap.
func TestACommandReplacesAWaitingKeyOfTheOldAlgorithm(t *testing.T) {
	g := newGate(t, dbtest.New(t), startClock(), nil)
	must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}))(t)
	g.options.Algorithm = token.ES256
	g.reopen(t)
	key := must(g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}))(t)
	g.wantStates(t, "after", "signing retired published")
	if key.Algorithm != token.ES256 {
		t.Errorf("the new key is %+v", key)
	}
}

// TestTwoProcessesRotateOnce: ticks and commands of two processes meet on one store, fed and not.
func TestTwoProcessesRotateOnce(t *testing.T) {
	for round := range 24 {
		fed, immediately := round%2 == 0, round/2%2 == 0
		store, c := dbtest.New(t), startClock()
		a, b := newGate(t, store, c, nil), newGate(t, store, c, nil)
		gates := []*gate{a, b}
		want := "signing published"
		if immediately {
			want = "published signing"
		}
		c.advance(rotation)
		var wg sync.WaitGroup
		for i, g := range gates {
			if fed {
				g.follow(t)
			}
			wg.Go(func() {
				if err := g.ring.Tick(context.Background()); err != nil {
					t.Error(err)
				}
			})
			if immediately && i > 0 { // a second such command is a second rotation
				continue
			}
			wg.Go(func() {
				if _, err := g.ring.Rotate(context.Background(), c.now(), token.RotateOptions{Now: immediately}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		fresh := newGate(t, store, c, nil)
		fresh.wantStates(t, fmt.Sprintf("round %d", round), want)
		for _, g := range gates {
			if diff := cmp.Diff(fresh.ring.Keys(), g.ring.Keys()); fed && diff != "" {
				t.Errorf("round %d: a process knows other keys:\n%s", round, diff)
			}
		}
	}
}

// TestTheLoserTakesOverWhatTheWinnerDid: the other process commits between reading and writing, and
// no feed tells of it.
func TestTheLoserTakesOverWhatTheWinnerDid(t *testing.T) {
	rotate := func(o token.RotateOptions) func(*gate) error {
		return func(g *gate) error {
			_, err := g.ring.Rotate(context.Background(), g.clock.now(), o)
			return err
		}
	}
	tick := func(g *gate) error { return g.ring.Tick(context.Background()) }
	all := token.RotateOptions{RetireOthers: true}
	for name, tt := range map[string]struct {
		winner, loser func(*gate) error
		want          string
	}{
		"tick, tick":              {tick, tick, "signing published"},
		"tick, rotate":            {tick, rotate(token.RotateOptions{}), "signing published"},
		"rotate, tick":            {rotate(token.RotateOptions{}), tick, "signing published"},
		"rotate, rotate":          {rotate(token.RotateOptions{}), rotate(token.RotateOptions{}), "signing published"},
		"now, now":                {rotate(token.RotateOptions{Now: true}), rotate(token.RotateOptions{Now: true}), "published signing"},
		"now, tick":               {rotate(token.RotateOptions{Now: true}), tick, "published signing"},
		"tick, now":               {tick, rotate(token.RotateOptions{Now: true}), "published signing"},
		"retire all, tick":        {rotate(all), tick, "retired signing"},
		"rotate, retire all":      {rotate(token.RotateOptions{}), rotate(all), "retired retired signing"},
		"retire all, retire all":  {rotate(all), rotate(all), "retired retired signing"},
		"retire all, rotate once": {rotate(all), rotate(token.RotateOptions{}), "retired signing published"},
	} {
		t.Run(name, func(t *testing.T) {
			store, c := newMemoryStore(), startClock()
			winner, loser := newGate(t, store, c, nil), newGate(t, store, c, nil)
			c.advance(rotation)
			store.beforeCommit = func() {
				if err := tt.winner(winner); err != nil {
					t.Errorf("the winner: %v", err)
				}
			}
			if err := tt.loser(loser); err != nil {
				t.Errorf("the loser: %v", err)
			}
			loser.wantStates(t, "the loser", tt.want)
			newGate(t, store, c, nil).wantStates(t, "the store", tt.want)
			loser.wantVerdict(t, "a token by the winner", newGate(t, store, c, nil).issue(t), reason.OK)
		})
	}
}

// TestYear lets a year pass in steps of ten minutes beside goroutines that check. No token is refused
// while it should live, and none is accepted that should not: not by its time, and not by its key.
func TestYear(t *testing.T) {
	const (
		step  = 10 * time.Minute
		lives = 3 * time.Hour
	)
	cfg := defaultConfig()
	cfg.AccessLifetime = lives
	store, c := newMemoryStore(), startClock()
	g := newGate(t, store, c, func(o *token.Options) { o.AccessLifetime = lives })
	g.issuer = must(token.NewIssuer(cfg, g.ring, c.now, rand.Reader))(t)
	g.verifier = must(token.NewVerifier(cfg, g.ring, c.now))(t)

	type issued struct {
		raw     string
		expires int64
	}
	var mu sync.RWMutex
	var tokens []issued        // of the last hours
	var forged []string        // good but for their retired key, and for ever
	work := make(chan int, 64) // a few checks for each step of the clock, which runs on meanwhile
	var checked [8]int
	var wg sync.WaitGroup
	for worker := range checked {
		wg.Go(func() {
			for i := range work {
				mu.RLock()
				if len(forged) > 0 && i%7 == 0 {
					if _, why := g.verifier.Verify(forged[i%len(forged)]); why == reason.OK {
						t.Error("a token by a retired key was accepted")
					}
				}
				if len(tokens) == 0 {
					mu.RUnlock()
					continue
				}
				one := tokens[i%len(tokens)]
				mu.RUnlock()
				before := c.unix.Load()
				_, why := g.verifier.Verify(one.raw)
				after := c.unix.Load()
				if after < one.expires && why != reason.OK {
					t.Errorf("refused with %v, %d s before it ends", why, one.expires-after)
				}
				if before >= one.expires && why == reason.OK {
					t.Errorf("accepted %d s after it ended", before-one.expires)
				}
				checked[worker]++
			}
		})
	}
	private := map[string]crypto.Signer{}
	signers := map[string]bool{}
	for i := range int(365 * 24 * time.Hour / step) {
		c.advance(step)
		g.tick(t)
		work <- i
		now := c.unix.Load()
		if i%15 == 0 {
			raw := g.issue(t)
			mu.Lock()
			tokens = append(tokens[max(0, len(tokens)-2):], issued{raw, now + int64(lives/time.Second)})
			mu.Unlock()
		}
		if i%720 != 0 {
			continue
		}
		for n, k := range g.ring.Keys() {
			record := store.record(t, fmt.Sprintf("w/k/%08d", n+1))
			if k.State != token.Retired {
				private[k.ID] = fromRecord(t, record)
			} else if private[k.ID] != nil {
				mu.Lock()
				forged = append(forged, forge(private[k.ID], k.ID, token.EdDSA, now), forge(private[k.ID], k.ID, token.EdDSA, now+lifetime))
				if len(forged) > 50 {
					forged = forged[2:]
				}
				mu.Unlock()
			}
			if k.State == token.Signing {
				signers[k.ID] = true
			}
		}
	}
	close(work)
	wg.Wait()
	if len(signers) != 5 { // days 0, 90, 180, 270 and 360
		t.Errorf("%d keys signed in a year, want 5", len(signers))
	}
	g.wantStates(t, "after a year", "retired retired retired retired signing")
	for worker, n := range checked {
		if n == 0 {
			t.Errorf("goroutine %d checked nothing", worker)
		}
	}
}

// TestRotationFailsWithTheStore: nothing changes, and the next tick does what is due.
func TestRotationFailsWithTheStore(t *testing.T) {
	store := dbtest.NewFaulty(dbtest.New(t))
	g := newGate(t, store, startClock(), nil)
	for _, fault := range []error{db.ErrUnavailable, db.ErrUnknown} {
		store.FailCommits(fault, false)
		g.clock.advance(rotation)
		if err := g.ring.Tick(t.Context()); !errors.Is(err, fault) {
			t.Errorf("Tick: got %v, want %v", err, fault)
		}
		if _, err := g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}); !errors.Is(err, fault) {
			t.Errorf("Rotate: got %v, want %v", err, fault)
		}
		g.wantStates(t, "after a failure", "signing")
		g.wantVerdict(t, "after a failure", g.issue(t), reason.OK)
	}
	store.FailCommits(db.ErrConflict, false)
	if _, err := g.ring.Rotate(t.Context(), g.clock.now(), token.RotateOptions{}); !errors.Is(err, db.ErrConflict) {
		t.Errorf("endless conflicts: got %v", err)
	}
	store.FailCommits(nil, false)
	g.tick(t)
	g.wantStates(t, "when the store is back", "signing published")
}

// TestDamagedKeysAreNotRotated: what cannot be read whole is not written over.
func TestDamagedKeysAreNotRotated(t *testing.T) {
	f := newFixture(t, defaultConfig())
	if err := f.ring.Apply(db.Batch{Revision: 2, Writes: []db.Write{db.Put(firstRecord, []byte("{}"))}}); err == nil {
		t.Fatal("damaged keys were taken")
	}
	if err := f.ring.Tick(t.Context()); !errors.Is(err, token.ErrNoKeys) {
		t.Errorf("Tick: got %v, want %v", err, token.ErrNoKeys)
	}
	if _, err := f.ring.Rotate(t.Context(), f.clock.now(), token.RotateOptions{RetireOthers: true}); !errors.Is(err, token.ErrNoKeys) {
		t.Errorf("Rotate: got %v, want %v", err, token.ErrNoKeys)
	}
}

// TestFirstSchema: records of the first release are read, and rotate like others.
func TestFirstSchema(t *testing.T) {
	store, c := dbtest.New(t), startClock()
	first := func(key crypto.Signer, state token.State) []byte {
		r := recordOf(token.EdDSA, key, state)
		r["schema"] = 1
		delete(r, "signs_from")
		delete(r, "retires_at")
		return must(json.Marshal(r))(t)
	}
	dbtest.MustPut(t, store, "w/k/00000001", string(first(anotherKey(token.EdDSA), token.Retired)))
	dbtest.MustPut(t, store, "w/k/00000002", string(first(anotherKey(token.EdDSA), token.Published)))
	dbtest.MustPut(t, store, "w/k/00000003", string(first(testEd25519(), token.Signing)))
	const lives = 2 * time.Hour // over an hour, so that its time to retire must be set
	g := newGate(t, store, c, func(o *token.Options) { o.AccessLifetime = lives })
	g.wantVerdict(t, "a token of its time", forge(testEd25519(), kidOf(testEd25519()), token.EdDSA, start), reason.OK)
	g.tick(t)
	if r := storedKey(t, store, 1); r["private_jwk"] != nil || r["schema"] != 2.0 {
		t.Errorf("the retired key is %v, want it without a private part", r)
	}
	g.wantStates(t, "read", "retired published signing")
	end := lives + leeway*time.Second + time.Minute
	g.run(t, end-time.Second)
	g.wantStates(t, "one that was only published, while a token may live", "retired published signing")
	g.run(t, time.Second)
	g.wantStates(t, "one that was only published", "retired retired signing")
	g.age(t, rotation)
	g.run(t, token.PublishAhead)
	g.run(t, end)
	g.wantStates(t, "rotated", "retired retired retired signing")
}

func TestOptionsAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*token.Options){
		"algorithm":       func(o *token.Options) { o.Algorithm = "HS256" },
		"access lifetime": func(o *token.Options) { o.AccessLifetime = 0 },
		"leeway":          func(o *token.Options) { o.Leeway = -time.Second },
		"key rotation":    func(o *token.Options) { o.Rotation = -time.Second },
		"rotation":        func(o *token.Options) { o.Rotation = token.PublishAhead + overlap },
		"31 bytes":        func(o *token.Options) { o.EncryptionKey = make([]byte, 31) },
	} {
		o := options(startTime, rand.Reader)
		spoil(&o)
		store := newMemoryStore()
		if _, err := token.OpenKeyring(t.Context(), store, o); err == nil || !strings.Contains(err.Error(), name) || len(store.entries) > 0 {
			t.Errorf("%s: got %v, want it named, and %d keys were made", name, err, len(store.entries))
		}
	}
}

// TestAnyOrderOfEvents: whatever two processes, the clock and the operator do, one key signs, a kid
// that went never comes back, and what a process issues every process accepts.
func TestAnyOrderOfEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store, c := newMemoryStore(), startClock()
		gates := []*gate{newGate(t, store, c, nil), newGate(t, store, c, nil)}
		gone, last := map[string]bool{}, map[string]int{}
		for range rapid.IntRange(1, 25).Draw(rt, "events") {
			g := gates[rapid.IntRange(0, 1).Draw(rt, "process")]
			switch rapid.IntRange(0, 7).Draw(rt, "event") {
			case 0:
				must(g.ring.Rotate(t.Context(), c.now(), token.RotateOptions{}))(t)
			case 1:
				_, err := g.ring.Rotate(t.Context(), c.now(), token.RotateOptions{Now: true})
				if err != nil && !errors.Is(err, token.ErrTooManyKeys) {
					rt.Fatal(err)
				}
			case 2:
				must(g.ring.Rotate(t.Context(), c.now(), token.RotateOptions{RetireOthers: true}))(t)
			case 3:
				c.advance(time.Duration(rapid.IntRange(-86400, 86400).Draw(rt, "jump")) * time.Second)
			case 4:
				c.advance(rotation)
			case 5:
				g.run(t, time.Duration(rapid.IntRange(1, 7200).Draw(rt, "passes"))*time.Second)
			case 6:
				g.options.Algorithm = []token.Algorithm{token.EdDSA, token.ES256}[rapid.IntRange(0, 1).Draw(rt, "algorithm")]
				g.reopen(t)
			case 7:
				g.tick(t)
				g.tick(t) // after a conflict the first only reads
			}
			now := newGate(t, store, c, nil)
			seen, signs := map[string]bool{}, 0
			rank := map[token.State]int{token.Published: 1, token.Signing: 2, token.Retired: 4}
			for _, k := range now.ring.Keys() {
				seen[k.ID] = true
				at := rank[k.State]
				if k.State == token.Published && !k.RetiresAt.IsZero() {
					at = 3
				}
				if at < last[k.ID] || gone[k.ID] && k.State != token.Retired {
					rt.Fatalf("the key %s went back to %s", k.ID, k.State)
				}
				last[k.ID] = at
				if k.State == token.Signing {
					signs++
				}
				gone[k.ID] = gone[k.ID] || k.State == token.Retired
			}
			for kid := range last {
				if !seen[kid] {
					rt.Fatalf("the record of %s is gone: its kid could come back", kid)
				}
			}
			if signs != 1 {
				rt.Fatalf("%d keys sign", signs)
			}
			if _, why := now.verifier.Verify(now.issue(t)); why != reason.OK {
				rt.Fatalf("an honest token: %v", why)
			}
		}
	})
}

// TestJWKSOfEachAlgorithm: the public members and nothing else.
func TestJWKSOfEachAlgorithm(t *testing.T) {
	f := newTrio(t, defaultConfig(), token.ES256)
	var got struct{ Keys []map[string]any }
	if err := json.Unmarshal(f.ring.JWKS(), &got); err != nil {
		t.Fatal(err)
	}
	var want []map[string]any
	for _, alg := range algorithms {
		var jwk map[string]any
		if err := json.Unmarshal([]byte(publicJWK(testKey(alg))), &jwk); err != nil {
			t.Fatal(err)
		}
		jwk["kid"], jwk["alg"], jwk["use"] = kidOf(testKey(alg)), string(alg), "sig"
		want = append(want, jwk)
	}
	if diff := cmp.Diff(want, got.Keys); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSignaturesOfOursAreLow: half of all that ECDSA makes are not, so a hundred show it.
func TestSignaturesOfOursAreLow(t *testing.T) {
	f := newTrio(t, defaultConfig(), token.ES256)
	for range 100 {
		raw := f.mustIssue(t)
		signature := must(base64.RawURLEncoding.DecodeString(raw[strings.LastIndex(raw, ".")+1:]))(t)
		if signature[32] >= 0x80 {
			t.Fatalf("s begins with %x", signature[32])
		}
		if _, why := f.verifier.Verify(raw); why != reason.OK {
			t.Fatal(why)
		}
	}
}
