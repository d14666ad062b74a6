package foreign_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"devicegate/reason"
	"devicegate/token"
)

// timesCase is a token's times, and what it comes to at a time.
type timesCase struct {
	what   string
	claims func(v voice) members
	now    func(v voice) int64 // beside start
	want   reason.Reason
}

func timesCases() []timesCase {
	at := func(seconds int64) func(voice) int64 { return func(voice) int64 { return seconds } }
	honest := func(v voice) members { return v.claims }
	nbf := func(v voice) members { return v.claims.with("nbf", fmt.Sprint(start+2)).without("iat") }
	half := func(v voice) members { return v.claims.with("nbf", "1800000001.5").without("iat") }
	float := func(v voice) members { return v.claims.with("exp", "1800000300.9").with("iat", "1800000000.9") }
	bare := func(v voice) members { return v.claims.without("iat") }
	longest := func(v voice) members { return v.claims.with("exp", fmt.Sprint(start+lifetime)).without("iat") }
	longest2 := func(v voice) members { return v.claims.with("exp", fmt.Sprint(start+lifetime)) }
	before := func(n int64) func(voice) int64 { return func(v voice) int64 { return n - v.leeway } }
	return []timesCase{
		{"at its beginning", honest, at(0), reason.OK},
		{"the last second", honest, at(299), reason.OK},
		{"exp", honest, at(300), reason.TokenExpired},
		{"after exp", honest, at(301), reason.TokenExpired},
		{"exp with a fraction, the last second", float, at(299), reason.OK},
		{"exp with a fraction, when it begins", float, at(300), reason.TokenExpired},
		{"iat ahead, less than the leeway", honest, func(v voice) int64 { return min(0, 1-v.leeway) }, reason.OK},
		{"iat ahead, as much as the leeway", honest, before(0), reason.OK},
		{"iat ahead, more than the leeway", honest, before(-1), reason.TokenNotYetValid},
		{"iat with a fraction", float, before(0), reason.OK},
		{"nbf ahead, less than the leeway", nbf, before(3), reason.OK},
		{"nbf ahead, as much as the leeway", nbf, before(2), reason.OK},
		{"nbf ahead, more than the leeway", nbf, before(1), reason.TokenNotYetValid},
		{"nbf with a fraction, its second is over", half, before(2), reason.OK},
		{"nbf with a fraction, in its second", half, before(1), reason.TokenNotYetValid},
		{"without iat", bare, at(0), reason.OK},
		{"without iat, the clock set back", bare, at(300 - lifetime - 1), reason.TokenLivesTooLong},
		{"without iat, the clock set back a little less", bare, at(300 - lifetime), reason.OK},
		{"as long as it may, without iat", longest, at(0), reason.OK},
		{"a second longer, without iat", longest, at(-1), reason.TokenLivesTooLong},
		{"as long as it may", longest2, at(0), reason.OK},
		{"as long as it may, near its end", longest2, at(lifetime - 1), reason.OK},
	}
}

// TestHitIsAsStrictAsAMiss takes tokens through the clock, once warm and once cold.
func TestHitIsAsStrictAsAMiss(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		for _, tt := range timesCases() {
			raw := v.signClaims(tt.claims(v))
			g.clock.unix.Store(start + 2) // at which all of them are good
			warm := g.want(t, tt.what+", warming", raw, reason.OK)
			if !g.issuers.Cached(raw) {
				t.Fatalf("%s: it is not in the cache", tt.what)
			}
			g.clock.unix.Store(start + tt.now(v))
			hit := g.want(t, tt.what+", hit", raw, tt.want)
			miss, why, _ := ask(g.only(g.configs...), raw)
			if why != tt.want || hit != miss && (hit.Foreign == nil || miss.Foreign == nil || hit.User != miss.User) {
				t.Errorf("%s, miss: %v and %+v, want %v and %+v", tt.what, why, miss, tt.want, hit)
			}
			if tt.want == reason.OK && hit != warm {
				t.Errorf("%s: %+v, and before %+v", tt.what, hit, warm)
			}
			g.clock.unix.Store(start + 2)
			g.want(t, tt.what+", the clock set right", raw, reason.OK)
		}
	})
}

// TestHitChecksKeys: a token is as dead as its key, however warm it is, and a key that comes leaves the cache as
// it is.
func TestHitChecksKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { g.issuers.Run(ctx); close(done) }()
		publish := func(keys ...map[string]any) {
			t.Helper()
			write(t, g.idpKeys, jwks(keys...))
			<-time.After(time.Minute)
			synctest.Wait()
		}
		staying, going := voices()["idp EdDSA"], voices()["idp ES256"]
		bystander := voices()["django"].honest()
		stays, goes := staying.honest(), going.honest()
		for _, raw := range []string{stays, goes, bystander} {
			g.want(t, "warming", raw, reason.OK)
		}
		publish(jwk("rsa", "rsa"), jwk("p256", "p256"), jwk("p384", "p384"), jwk("p521", "p521"), jwk("ed", "ed"), jwk("ed2", "new"))
		warm := g.issuers.CacheLen()
		g.want(t, "beside a new key", goes, reason.OK)
		arrived := staying
		arrived.kid, arrived.key = "new", pool()["ed2"]
		g.want(t, "by the new key", arrived.honest(), reason.OK)
		if n := g.issuers.CacheLen(); n != warm+1 {
			t.Errorf("%d verdicts, before the new key %d", n, warm)
		}

		publish(jwk("ed", "ed"), jwk("p256b", "p256"))
		g.want(t, "the key has changed", goes, unverified)
		g.want(t, "the key has gone", arrived.honest(), unverified)
		g.want(t, "the key has stayed", stays, reason.OK)
		g.want(t, "another issuer's", bystander, reason.OK)
		publish(jwk("ed", "ed"), jwk("p256", "p256"))
		g.want(t, "the key is back", goes, reason.OK)
		stop()
		<-done
	})
}

// TestVerdictsStayWithTheirConfiguration: what one gate has found good another one judges for itself.
func TestVerdictsStayWithTheirConfiguration(t *testing.T) {
	g := newGate(t)
	v := voices()["idp ES256"]
	raw := v.honest()
	stricter, other := g.config("idp"), g.config("idp")
	stricter.Audience = "another"
	other.Name = "other"
	strict, renamed := g.only(stricter), g.only(other)
	for range 3 {
		g.want(t, "the first", raw, reason.OK)
		if _, why, _ := ask(strict, raw); why != wrongAudience {
			t.Errorf("of another audience: %v", why)
		}
		if got, why, _ := ask(renamed, raw); why != reason.OK || got.Foreign.Issuer != "other" {
			t.Errorf("of another name: %v, %+v", why, got.Foreign)
		}
	}
}

// TestLargeIdentitiesAreNotKept: the cache is bounded in bytes too.
func TestLargeIdentitiesAreNotKept(t *testing.T) {
	g := newGate(t)
	v := voices()["idp EdDSA"]
	for what, tt := range map[string]struct {
		claims members
		kept   bool
	}{
		"usual":              {v.claims, true},
		"many roles":         {v.withRoles(rolesOf(32)), true}, // 224 bytes of roles, 15 of names
		"many roles, a name": {v.withRoles(rolesOf(32)).with("preferred_username", `"`+strings.Repeat("a", 50)+`"`), false},
		"a long name":        {v.claims.with("preferred_username", `"`+strings.Repeat("é", 140)+`"`), false},
	} {
		raw := v.signClaims(tt.claims)
		for range 2 {
			g.want(t, what, raw, reason.OK)
		}
		if kept := g.issuers.Cached(raw); kept != tt.kept {
			t.Errorf("%s: kept: %v", what, kept)
		}
	}
}

// TestConcurrentChecks lets checks of good and bad tokens meet; the race detector judges.
func TestConcurrentChecks(t *testing.T) {
	g := newGate(t)
	var tokens []string
	for _, v := range voices() {
		tokens = append(tokens, v.honest(), v.signClaims(v.claims.with("jti", `"2"`)))
	}
	tokens = append(tokens, g.mustIssue(t))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				for _, raw := range tokens {
					if _, why := g.verifier.Verify(raw); why != reason.OK {
						t.Errorf("got %v", why)
					}
					if _, why := g.verifier.Verify(raw[:len(raw)-4] + "AAAA"); why == reason.OK {
						t.Error("a broken one was accepted")
					}
				}
				g.issuers.Trouble()
			}
		})
	}
	wg.Wait()
}

// TestJunkIsCheap: what a stranger can send costs little before it is refused.
func TestJunkIsCheap(t *testing.T) {
	g := newGate(t)
	many := strings.Repeat(`"a":0,`, 900) + `"a":0`
	for name, raw := range map[string]string{
		"one part":       strings.Repeat("a", token.MaxSize),
		"dots":           strings.Repeat(".", token.MaxSize),
		"too long":       strings.Repeat("a", 1<<20),
		"deep":           b64(strings.Repeat(`{"a":`, 1000)) + ".AA.AA",
		"no JSON":        strings.Repeat("AAAA", 1000) + ".AAAA.AAAA",
		"a crit":         b64(`{"crit":["`+strings.Repeat("a", 4000)+`"]}`) + ".AA.AA",
		"members twice":  b64("{"+many+"}") + ".AA.AA",
		"of nobody":      b64(`{"alg":"RS256","typ":"JWT","kid":"x"}`) + "." + b64(`{"iss":"https://nobody.example"}`) + ".AAAA",
		"of no such key": b64(`{"alg":"RS256","typ":"JWT","kid":"x"}`) + "." + b64(`{"iss":"`+idpIss+`"}`) + ".AAAA",
	} {
		if n := testing.AllocsPerRun(100, func() { g.verifier.Verify(raw) }); n > 60 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
