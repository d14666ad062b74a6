package token_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"devicegate/db"
	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/tokentest"
)

// TestHitIsAsStrictAsAMiss takes one token through the clock with a warm cache and with none.
func TestHitIsAsStrictAsAMiss(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		cold := defaultConfig()
		cold.CacheBytes = 1
		uncached := must(token.NewVerifier(cold, f.ring, f.clock.now))(t)
		raw := f.sign(f.header(), honestClaims().With("nbf", fmt.Sprint(start+2)).String())
		if _, why := f.verifier.Verify(raw); why != reason.OK {
			t.Fatalf("warming the cache: %v", why)
		}
		for _, step := range []struct {
			now  int64
			want reason.Reason
		}{
			{start + lifetime - 1, reason.OK},
			{start + lifetime, reason.TokenExpired},
			{start + lifetime + 1, reason.TokenExpired},
			{start - leeway + 2, reason.OK},
			{start - leeway + 1, reason.TokenNotYetValid}, // by nbf
			{start - leeway - 1, reason.TokenNotYetValid}, // by both
			{start, reason.OK},
		} {
			f.clock.unix.Store(step.now)
			hit, warm := f.verifier.Verify(raw)
			miss, bare := uncached.Verify(raw)
			if warm != step.want || bare != step.want || hit != miss {
				t.Errorf("now %+d: hit %v %+v, miss %v %+v, want %v", step.now-start, warm, hit, bare, miss, step.want)
			}
		}
	})
}

func TestHitChecksIssuedAt(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		raw := f.sign(f.header(), honestClaims().With("nbf", "1799999000").String())
		if _, why := f.verifier.Verify(raw); why != reason.OK {
			t.Fatal(why)
		}
		f.clock.unix.Store(start - leeway - 1) // the clock was set back
		if _, why := f.verifier.Verify(raw); why != reason.TokenNotYetValid {
			t.Errorf("got %v, want %v", why, reason.TokenNotYetValid)
		}
	})
}

// TestHitChecksKeys: a token is as dead as its key, however warm it is; and a key that comes leaves
// the cache as it is.
func TestHitChecksKeys(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		raw := f.mustIssue(t)
		before := f.ring.Epoch()
		for range 2 {
			if _, why := f.verifier.Verify(raw); why != reason.OK {
				t.Fatal(why)
			}
		}
		name := fmt.Sprintf("w/k/%08d", 1+slices.Index(algorithms, f.alg))
		published := with(f.store.record(t, name), "state", "published")
		mustApply(t, f.ring, 10, put(t, "w/k/00000004", secondKey(t)), put(t, name, published))
		if _, why := f.verifier.Verify(raw); why != reason.OK || !f.verifier.Cached(raw) {
			t.Errorf("the key still verifies: got %v, in the cache: %v", why, f.verifier.Cached(raw))
		}
		mustApply(t, f.ring, 11, put(t, name, with(published, "state", "retired")))
		if _, why := f.verifier.Verify(raw); why != reason.TokenUnverified {
			t.Errorf("the key is retired: got %v, want %v", why, reason.TokenUnverified)
		}
		if after := f.ring.Epoch(); after != before+1 {
			t.Errorf("a key that came and one that went took the epoch from %d to %d", before, after)
		}
	})
}

func TestCacheServesOneConfigurationOnly(t *testing.T) {
	f := newFixture(t, defaultConfig())
	raw := f.mustIssue(t)
	cfg := defaultConfig()
	cfg.Audience = "another"
	other := must(token.NewVerifier(cfg, f.ring, f.clock.now))(t)
	for range 2 {
		if _, why := f.verifier.Verify(raw); why != reason.OK {
			t.Fatal(why)
		}
		if _, why := other.Verify(raw); why != reason.TokenWrongAudience {
			t.Errorf("got %v, want %v", why, reason.TokenWrongAudience)
		}
	}
}

// TestFullCacheStaysRight: a cache of one set, far more tokens than slots, each answer its own.
func TestFullCacheStaysRight(t *testing.T) {
	cfg := defaultConfig()
	cfg.CacheBytes = 1000
	f := newFixture(t, cfg)
	tokens := map[string]string{}
	for i := range 64 {
		device := fmt.Sprintf("5b0c7f7e-9d43-4c0a-8a5e-%012d", i+1)
		tokens[f.sign(f.header(), honestClaims().With("device_uid", `"`+device+`"`).String())] = device
	}
	for range 3 {
		for raw, device := range tokens {
			if got, why := f.verifier.Verify(raw); why != reason.OK || got.Device.String() != device {
				t.Fatalf("got %v, device %v, want %v", why, got.Device, device)
			}
		}
	}
}

// warmFixture is a gate whose cache has 8 slots in one set, all taken by tokens that were hit, but
// for the one of index once. The one of index dying dies after ten seconds.
func warmFixture(t *testing.T, once, dying int) (*fixture, []string) {
	t.Helper()
	cfg := defaultConfig()
	cfg.CacheBytes = 1000
	f := newFixture(t, cfg)
	warm := make([]string, 8)
	for i := range warm {
		expires := int64(start + lifetime)
		if i == dying {
			expires = start + 10
		}
		warm[i] = f.signID(fmt.Sprint("warm ", i), expires)
		f.verifier.Verify(warm[i])
		if i != once {
			f.verifier.Verify(warm[i])
		}
	}
	if n := f.cached(warm); n != len(warm) {
		t.Fatalf("%d of %d tokens are in the cache", n, len(warm))
	}
	return f, warm
}

func (f *fixture) signID(id string, expires int64) string {
	return f.sign(f.header(), honestClaims().With("jti", `"`+id+`"`).With("exp", fmt.Sprint(expires)).String())
}

func (f *fixture) cached(tokens []string) (n int) {
	for _, raw := range tokens {
		if f.verifier.Cached(raw) {
			n++
		}
	}
	return n
}

// TestRefusedTokensEvictNothing: V8, a flood of tokens that are refused, well signed ones among them.
func TestRefusedTokensEvictNothing(t *testing.T) {
	f, warm := warmFixture(t, -1, -1)
	for i := range 50 {
		id := honestClaims().With("jti", fmt.Sprintf(`"%d"`, i))
		for _, refused := range []tokentest.Members{id.With("exp", fmt.Sprint(start)), id.With("aud", `"other"`), id.With("exp", "9999999999"), id.Without("device_uid")} {
			f.verifier.Verify(f.sign(f.header(), refused.String()))
		}
		f.verifier.Verify(broken(f.sign(f.header(), id.String())))
		f.verifier.Verify(warm[0] + strings.Repeat("=", i+1))
	}
	if n := f.cached(warm); n != len(warm) {
		t.Errorf("%d of %d good tokens are left in the cache", n, len(warm))
	}
}

// TestOneUsersTokensDoNotEvictTheOthers: V8, many good tokens of one user, each shown once.
func TestOneUsersTokensDoNotEvictTheOthers(t *testing.T) {
	for once := -1; once < 8; once++ {
		f, warm := warmFixture(t, once, -1)
		for i := range 50 {
			f.verifier.Verify(f.signID(fmt.Sprint("flood ", i), start+lifetime))
		}
		if n := f.cached(warm); n != len(warm)-1 || (once >= 0 && f.verifier.Cached(warm[once])) {
			t.Errorf("%d of %d good tokens are left in the cache, want all but %d", n, len(warm), once)
		}
	}
}

func TestDeadTokensAreEvictedFirst(t *testing.T) {
	for dying := range 8 {
		f, warm := warmFixture(t, -1, dying)
		f.clock.unix.Store(start + 10)
		f.verifier.Verify(f.mustIssue(t))
		if n := f.cached(warm); n != len(warm)-1 || f.verifier.Cached(warm[dying]) {
			t.Errorf("%d of %d tokens are left, want all but the dead one", n, len(warm))
		}
	}
}

// TestTokensNobodyShowsMakeRoom: a full set of once-hit tokens does not shut out new ones.
func TestTokensNobodyShowsMakeRoom(t *testing.T) {
	f, _ := warmFixture(t, -1, -1)
	fresh := []string{f.mustIssue(t), f.mustIssue(t), f.mustIssue(t)}
	for _, raw := range fresh {
		f.verifier.Verify(raw)
		f.verifier.Verify(raw)
	}
	if n := f.cached(fresh); n != len(fresh) {
		t.Errorf("%d of %d tokens in use are in the cache", n, len(fresh))
	}
}

// TestTwoMissesTakeOneSlot: checks of one token that miss together both put it.
func TestTwoMissesTakeOneSlot(t *testing.T) {
	f, warm := warmFixture(t, -1, -1)
	facts, _ := f.verifier.Verify(warm[0])
	for range 8 {
		f.verifier.Remember(warm[0], facts)
	}
	if n := f.cached(warm); n != len(warm) {
		t.Errorf("%d of %d good tokens are left in the cache", n, len(warm))
	}
}

func TestCacheKeepsItsBound(t *testing.T) {
	for size, want := range map[int][2]int{
		1: {0, 0}, 1000: {700, 1000}, 1 << 20: {1<<20 - 1000, 1 << 20}, 0: {token.DefaultCacheBytes - 1000, token.DefaultCacheBytes},
	} {
		cfg := defaultConfig()
		cfg.CacheBytes = size
		if got := newFixture(t, cfg).verifier.CacheBytes(); got < want[0] || got > want[1] {
			t.Errorf("a bound of %d bytes: %d bytes, want %d to %d", size, got, want[0], want[1])
		}
	}
}

// TestConcurrentChecks lets checks, issuing and key changes meet; the race detector judges.
func TestConcurrentChecks(t *testing.T) {
	cfg := defaultConfig()
	cfg.CacheBytes = 2000
	f := newFixture(t, cfg)
	tokens := make([]string, 40)
	for i := range tokens {
		tokens[i] = f.mustIssue(t)
	}
	first := f.store.record(t, firstRecord)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, raw := range tokens {
				if _, why := f.verifier.Verify(raw); why != reason.OK {
					t.Errorf("got %v", why)
				}
				f.verifier.Verify(broken(raw))
				f.ring.JWKS()
			}
		})
	}
	for i := range 20 {
		if err := f.ring.Apply(db.Batch{Revision: db.Revision(2 + i), Writes: []db.Write{put(t, firstRecord, first)}}); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// TestJunkIsCheap: what a stranger can send costs a few small allocations before it is refused.
func TestJunkIsCheap(t *testing.T) {
	f := newFixture(t, defaultConfig())
	for name, raw := range map[string]string{
		"one part":   strings.Repeat("a", token.MaxSize),
		"dots":       strings.Repeat(".", token.MaxSize),
		"too long":   strings.Repeat("a", 1<<20),
		"deep":       b64(strings.Repeat(`{"a":`, 1000)) + ".AA.AA",
		"no JSON":    strings.Repeat("AAAA", 1000) + ".AAAA.AAAA",
		"unknown me": b64(`{"crit":["`+strings.Repeat("a", 4000)+`"]}`) + ".AA.AA",
	} {
		if n := testing.AllocsPerRun(100, func() { f.verifier.Verify(raw) }); n > 12 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		raw := f.mustIssue(t)
		f.verifier.Verify(raw)
		if n := testing.AllocsPerRun(100, func() { f.verifier.Verify(raw) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// secondKey returns the record of a new key that signs.
func secondKey(t *testing.T) map[string]any {
	t.Helper()
	store := newMemoryStore()
	mustOpen(t, store)
	return store.record(t, firstRecord)
}

func with(record map[string]any, name string, value any) map[string]any {
	record[name] = value
	return record
}

func put(t testing.TB, name string, record map[string]any) db.Write {
	t.Helper()
	return db.Put(name, must(json.Marshal(record))(t))
}

func mustApply(t *testing.T, ring *token.Keyring, revision db.Revision, writes ...db.Write) {
	t.Helper()
	if err := ring.Apply(db.Batch{Revision: revision, Writes: writes}); err != nil {
		t.Fatal(err)
	}
}
