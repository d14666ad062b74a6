package token_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"devicegate/reason"
	"devicegate/token"
)

// TestOneSpellingPerToken: of a hundred thousand random relatives of a good token only the token
// itself is accepted.
func TestOneSpellingPerToken(t *testing.T) {
	cfg := defaultConfig()
	cfg.CacheBytes = 1 // no cache: every relative is looked at
	f := newFixture(t, cfg)
	good, other := f.mustIssue(t), f.mustIssue(t)
	r := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range mutants {
		raw := mutate(r, good, other)
		_, why := f.verifier.Verify(raw)
		if why == reason.OK && raw != good && raw != other {
			t.Fatalf("accepted %q\nbeside   %q", raw, good)
		}
		if why == reason.OK {
			accepted++
		}
	}
	if accepted == 0 {
		t.Error("no mutation left the token whole: the test compares nothing")
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
	fix := newFixture(f, defaultConfig())
	f.Add(fix.mustIssue(f))
	for _, a := range attacks(f, fix) {
		if len(a.raw) <= 2*token.MaxSize {
			f.Add(a.raw)
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
