package foreign_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"devicegate/reason"
	"devicegate/token"
)

// refreshClaims are those of an honest refresh token of v, which lives longer than any access token.
func refreshClaims(v voice) members {
	return v.claims.with("token_type", `"refresh"`).with("exp", fmt.Sprint(start+100*lifetime))
}

// wantRefresh fails the test unless raw is refused for why, with nothing else said.
func (g *gate) wantRefresh(t *testing.T, what, raw string, why reason.Reason) {
	t.Helper()
	got, id, is := g.issuers.Refresh(raw)
	if is != why || got != (token.Verified{}) || id != [sha256.Size]byte{} {
		t.Errorf("%s: %v, %x and %+v, want %v", what, is, id, got, why)
	}
}

// TestRefresh: a refresh token is one at the exchange, of an issuer that has it, and nowhere else.
func TestRefresh(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		raw := v.signClaims(refreshClaims(v))
		g.want(t, "at the check", raw, wrongType)
		if !g.config(v.name).Exchange {
			g.wantRefresh(t, "without exchange", raw, wrongType)
			return
		}
		access := g.want(t, "an access token at the check", v.honest(), reason.OK)
		got, id, why := g.issuers.Refresh(raw)
		if why != reason.OK || got.User != access.User || got.Device != access.Device || got.Foreign == nil || got.Foreign.Name != "ann" || id == [sha256.Size]byte{} {
			t.Errorf("%v, %x and %+v", why, id, got)
		}
		g.want(t, "at the check, after the exchange", raw, wrongType)
		if g.issuers.Cached(raw) {
			t.Error("it is in the cache of access tokens")
		}
		g.wantRefresh(t, "an access token that is in the cache", v.honest(), wrongType)
		for what, tt := range map[string]struct {
			claims members
			why    reason.Reason
		}{
			"exp":               {refreshClaims(v).with("exp", fmt.Sprint(start)).without("iat"), reason.TokenExpired},
			"iat ahead":         {refreshClaims(v).with("iat", fmt.Sprint(start+100)), reason.TokenNotYetValid},
			"no jti":            {refreshClaims(v).without("jti"), malformed},
			"an empty jti":      {refreshClaims(v).with("jti", `""`), malformed},
			"a jti of number":   {refreshClaims(v).with("jti", `7`), malformed},
			"no device":         {refreshClaims(v).without(v.names.DeviceUID), reason.DeviceUIDMissing},
			"a name of another": {refreshClaims(v).with(v.names.Username, `"pem:7"`), unverified},
			"no token_type":     {refreshClaims(v).without("token_type"), wrongType},
			"Bearer":            {refreshClaims(v).with("token_type", `"Bearer"`), wrongType},
			"Refresh":           {refreshClaims(v).with("token_type", `"Refresh"`), wrongType},
			"sliding":           {refreshClaims(v).with("token_type", `"sliding"`), wrongType},
			"our iss":           {refreshClaims(v).with("iss", `"`+ours+`"`), unverified},
			"an absent iss":     {refreshClaims(v).with("iss", `"`+awayIss+`"`), awayReason(v)},
			"another iss":       {refreshClaims(v).with("iss", `"`+namesakeIss+`"`), unverified},
		} {
			g.wantRefresh(t, what, v.signClaims(tt.claims), tt.why)
		}
		g.wantRefresh(t, "too long", v.signClaims(refreshClaims(v).with("x", `"`+strings.Repeat("x", token.MaxSize)+`"`)), malformed)
	})
	g := newGate(t)
	for what, raw := range map[string]string{"our own": g.mustIssue(t), "nothing": "", "junk": "a.b.c", "our own refresh token": "dgr_" + strings.Repeat("A", 43)} {
		g.wantRefresh(t, what, raw, unverified)
	}
}

// TestAttacksAtTheExchange: nothing of the table is a refresh token, but for the honest one in it.
func TestAttacksAtTheExchange(t *testing.T) {
	eachIssuer(t, func(t *testing.T, g *gate, v voice) {
		for _, a := range attacks(g, v) {
			honest := a.name == `token_type "refresh"` && g.config(v.name).Exchange
			if got, id, why := g.issuers.Refresh(a.raw); !honest && (why == reason.OK || why == reason.Undecided || got != (token.Verified{}) || id != [sha256.Size]byte{}) {
				t.Errorf("%s: %v, %x and %+v", a.name, why, id, got)
			}
		}
	})
}

// TestRefreshIDs: a token has one id however it is spelled, and no other token has it.
func TestRefreshIDs(t *testing.T) {
	g := newGate(t)
	seen := map[[sha256.Size]byte]string{}
	for _, name := range []string{"django", "idp ES256", "twin-b"} {
		v := voices()[name]
		for _, jti := range []string{"1", "2", "1 ", `\u0000`, `1\u0000`} {
			raw := v.signClaims(refreshClaims(v).with("jti", `"`+jti+`"`))
			again := v.signClaims(refreshClaims(v).with("jti", `"`+jti+`"`).with("x", "1"))
			_, id, why := g.issuers.Refresh(raw)
			_, same, alsoWhy := g.issuers.Refresh(again)
			if why != reason.OK || alsoWhy != reason.OK || id != same {
				t.Errorf("%s %s: %v and %v, %x and %x", name, jti, why, alsoWhy, id, same)
			}
			if seen[id] != "" {
				t.Errorf("%s %s is %s", name, jti, seen[id])
			}
			seen[id] = name + " " + jti
			if key, ok := v.key.(*ecdsa.PrivateKey); ok {
				twin := twinOf(key, raw)
				if _, other, why := g.issuers.Refresh(twin); twin == raw || why != reason.OK || other != id {
					t.Errorf("%s, (r, n-s): %v, %x and %x", jti, why, other, id)
				}
			}
		}
	}
}
