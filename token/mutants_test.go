package token_test

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"devicegate/reason"
	"devicegate/token"
)

// mutants is how many relatives of good tokens TestMutants tries, in all. The long run is
//
//	go test -run '^TestMutants$' -mutants 10000000 -timeout 0 ./token
var mutants = flag.Int("mutants", 100_000, "how many relatives of good tokens are tried")

// TestMutants: of very many random relatives of a good token of each algorithm none is accepted; only
// the token itself is.
func TestMutants(t *testing.T) {
	cfg := defaultConfig()
	cfg.CacheBytes = 1 // no cache: every relative is looked at
	eachAlgorithm(t, cfg, func(t *testing.T, f *fixture) {
		good, other := f.mustIssue(t), f.mustIssue(t)
		workers := runtime.GOMAXPROCS(0)
		share := *mutants / len(algorithms) / workers
		var wg sync.WaitGroup
		for worker := range workers {
			r := rand.New(rand.NewPCG(uint64(worker), 2))
			wg.Go(func() { tryMutants(t, f, r, good, other, share+1) })
		}
		wg.Wait()
	})
}

// tryMutants tries n relatives of good that are not good itself. Where the changes cancelled out the
// token must be accepted, else the test would compare nothing.
func tryMutants(t *testing.T, f *fixture, r *rand.Rand, good, other string, n int) {
	whole := 0
	for tried := 0; tried < n; {
		raw := mutate(r, good, other)
		_, why := f.verifier.Verify(raw)
		if raw == good || raw == other {
			whole++
			if why != reason.OK {
				t.Errorf("a good token: %v", why)
				return
			}
			continue
		}
		tried++
		if why == reason.OK {
			t.Errorf("accepted %q\nbeside   %q", raw, good)
			return
		}
	}
	if whole == 0 {
		t.Error("no mutation left the token whole")
	}
}

// mutate returns good changed once or twice; now and then the changes cancel out.
func mutate(r *rand.Rand, good, other string) string {
	b := []byte(good)
	for range 1 + r.IntN(2) {
		switch at := r.IntN(len(b)); r.IntN(7) {
		case 0:
			b[at] = byte(r.IntN(256))
		case 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b = slices.Insert(b, at, byte(r.IntN(256)))
		case 3:
			b = slices.Insert(b, at, []byte("\r\n\t =.%+/-_A")[r.IntN(12)])
		case 4:
			b = slices.Delete(b, at, at+1)
		case 5:
			to := r.IntN(len(b))
			b[at], b[to] = b[to], b[at]
		case 6:
			b = []byte(swapPart(r, string(b), other))
		}
	}
	return string(b)
}

// swapPart puts a part of another good token, or another part of the same, in the place of one.
func swapPart(r *rand.Rand, raw, other string) string {
	parts := strings.Split(raw, ".")
	donors := append(strings.Split(other, "."), parts...)
	parts[r.IntN(len(parts))] = donors[r.IntN(len(donors))]
	return strings.Join(parts, ".")
}

// FuzzVerify: any bytes get a reason that refuses, the same one twice, and only what was issued is
// accepted. The attack table is the seed.
func FuzzVerify(f *testing.F) {
	fix := newTrio(f, defaultConfig(), token.EdDSA)
	for _, alg := range algorithms {
		fix.alg, fix.private, fix.kid = alg, testKey(alg), kidOf(testKey(alg))
		f.Add(fix.sign(fix.header(), honestClaims().String()))
		for i, a := range attacks(fix) {
			if len(a.Raw) <= 2*token.MaxSize && (alg == token.EdDSA || i%5 == 0) { // most differ in the signature alone
				f.Add(a.Raw)
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, why := fix.verifier.Verify(raw)
		accepted := why.Outcome() == reason.Allow || got != (token.Verified{})
		if accepted && !fix.signed[raw] {
			t.Errorf("accepted %q: %v, %+v", raw, why, got)
		}
		if _, again := fix.verifier.Verify(raw); again != why {
			t.Errorf("%q: first %v, then %v", raw, why, again)
		}
	})
}
