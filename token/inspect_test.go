package token_test

import (
	"strings"
	"testing"
	"unicode"

	"devicegate/reason"
	"devicegate/token"
)

// causes are the reasons that cover several causes: one of them must always be told.
var causes = map[reason.Reason]bool{reason.TokenMalformed: true, reason.TokenUnverified: true, reason.TokenWrongType: true, reason.KeysUnavailable: true}

// TestInspectSaysWhatVerifyDoes: over the table of attacks and that of claims, with the cause where the reason has
// several, without a trace, and without giving the token or a letter that a terminal obeys.
func TestInspectSaysWhatVerifyDoes(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		raws := map[string]string{"honest": f.sign(f.header(), honestClaims().String()), "too long": strings.Repeat("x", token.MaxSize+1), "empty": ""}
		for _, a := range attacks(f) {
			raws[a.Name] = a.Raw
		}
		for _, c := range f.forger().ClaimsCases() {
			raws["claims: "+c.Name] = f.sign(f.header(), c.Claims.String())
		}
		for name, raw := range raws {
			known := f.verifier.Cached(raw) // by another name
			said := f.verifier.Inspect(raw)
			if f.verifier.Cached(raw) != known {
				t.Fatalf("%s: it is in the cache after it was inspected", name)
			}
			did, why := f.verifier.Verify(raw)
			if said.Reason != why || said.Verified != did {
				t.Errorf("%s: inspected as %v, %+v; verified as %v, %+v", name, said.Reason, said.Verified, why, did)
			}
			if causes[why] && said.Cause == "" {
				t.Errorf("%s: no cause is told of %v", name, why)
			}
			if said.Signed && !f.signed[raw] || why == reason.OK && !said.Signed {
				t.Errorf("%s: that it is signed is said to be %t", name, said.Signed)
			}
			checkFacts(t, name, raw, said.Facts)
		}
	})
}

// checkFacts: bounded, on one line, and without a part of the token.
func checkFacts(t *testing.T, name, raw string, facts []token.Fact) {
	t.Helper()
	for _, f := range facts {
		text := f.Found + f.Wanted
		if len(f.Found) > 250 || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%s: the fact %+v is not fit to be shown", name, f)
		}
		for _, part := range strings.Split(raw, ".") {
			if len(part) > 20 && strings.Contains(text, part) {
				t.Errorf("%s: the fact %+v has a part of the token", name, f)
			}
		}
	}
}

// TestInspectTellsTheKey: which key it is, and what became of it.
func TestInspectTellsTheKey(t *testing.T) {
	f := newFixture(t, defaultConfig())
	kid := func(raw string) string {
		for _, fact := range f.verifier.Inspect(raw).Facts {
			if fact.Name == "kid" {
				return fact.Found + " / " + fact.Wanted
			}
		}
		return "none"
	}
	raw := f.sign(f.header(), honestClaims().String())
	for name, c := range map[string]struct{ raw, want string }{
		"ours":    {raw, f.kid + ", signing, of the store / "},
		"unknown": {f.sign(strings.Replace(f.header(), f.kid, "other", 1), honestClaims().String()), "other, which is unknown / one of this gate"},
		"none":    {f.sign(`{"alg":"EdDSA","typ":"at+jwt"}`, honestClaims().String()), " / one of this gate"},
	} {
		if got := kid(c.raw); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if _, err := f.ring.Rotate(t.Context(), f.clock.now(), token.RotateOptions{RetireOthers: true}); err != nil {
		t.Fatal(err)
	}
	if got, want := kid(raw), f.kid+", retired, of the store / one that is not retired"; got != want {
		t.Errorf("retired: %q, want %q", got, want)
	}
}
