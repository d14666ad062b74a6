package token_test

import (
	"maps"
	"strings"
	"testing"

	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/tokentest"
)

// forger makes what f must refuse.
func (f *fixture) forger() *tokentest.Forger {
	forger := &tokentest.Forger{
		Key:  tokentest.Key{Private: f.private, Algorithm: f.alg, ID: f.kid},
		JWKS: f.ring.JWKS(), Honest: honest, Lures: []string{"http://127.0.0.1:1/keys", "/dev/null"},
	}
	for _, alg := range algorithms {
		forger.Published = append(forger.Published, tokentest.KeyOf(alg))
	}
	return forger
}

// attacks returns the whole table for the algorithm of f. The same table seeds the fuzz target.
func attacks(f *fixture) []tokentest.Attack {
	forger := f.forger()
	list := forger.Attacks()
	maps.Copy(f.signed, forger.Signed())
	return list
}

func TestAttacks(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, a := range attacks(f) {
			t.Run(a.Name, func(t *testing.T) {
				got, why := f.verifier.Verify(a.Raw)
				if why != a.Want || got != (token.Verified{}) {
					t.Errorf("got %v and %+v, want %v and nothing", why, got, a.Want)
				}
			})
		}
	})
}

// TestThereAreEnoughAttacks: what is promised of the table.
func TestThereAreEnoughAttacks(t *testing.T) {
	distinct := map[string]bool{}
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, a := range attacks(f) {
			distinct[a.Raw] = true
		}
	})
	if len(distinct) < 2000 {
		t.Errorf("%d distinct tokens are tried, want 2000", len(distinct))
	}
	t.Logf("%d distinct tokens", len(distinct))
}

// TestStructureIsJudgedBeforeTheSignature: no library is given bytes that could be read in two ways.
func TestStructureIsJudgedBeforeTheSignature(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, a := range f.forger().JSON() {
			if _, why := f.verifier.Verify(broken(a.Raw)); why != reason.TokenMalformed && !strings.HasPrefix(a.Name, "claims {}") && a.Name != "many claims and no exp" {
				t.Errorf("%s: got %v, want %v", a.Name, why, reason.TokenMalformed)
			}
		}
	})
}

// TestAttacksBesideAWarmCache: a cached good token must not help any of its forgeries.
func TestAttacksBesideAWarmCache(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		good := f.sign(f.header(), honestClaims().String())
		for _, a := range attacks(f) {
			if _, why := f.verifier.Verify(good); why != reason.OK {
				t.Fatalf("the honest token after %q: %v", a.Name, why)
			}
			if _, why := f.verifier.Verify(a.Raw); why != a.Want {
				t.Errorf("%s: got %v, want %v", a.Name, why, a.Want)
			}
		}
	})
}
