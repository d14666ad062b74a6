package foreign_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/foreign"
)

// TestTwins: of two issuers with one iss and one kid each takes what its own key signed, by its own rules alone,
// whoever stands first.
func TestTwins(t *testing.T) {
	for _, turned := range []bool{false, true} {
		g := newGate(t)
		if turned {
			slices.Reverse(g.configs)
			g.open(t)
		}
		a, b := voices()["twin-a"], voices()["twin-b"]
		for _, v := range []voice{a, b} {
			if got := g.want(t, "honest", v.honest(), reason.OK); got.Foreign == nil || got.Foreign.Issuer != v.name {
				t.Errorf("a token of %s is taken for one of %+v", v.name, got.Foreign)
			}
		}
		g.want(t, "the audience of the one, the key of the other", a.signClaims(b.claims), wrongAudience)
		g.want(t, "the audience of the other, the key of the one", b.signClaims(a.claims), wrongAudience)
		g.want(t, "expired, by the one", a.signClaims(a.claims.with("exp", "1800000000").without("iat")), reason.TokenExpired)
		g.want(t, "expired, by the other", b.signClaims(b.claims.with("exp", "1800000000").without("iat")), reason.TokenExpired)
		stranger := a
		stranger.key = pool()["ed"]
		g.want(t, "by neither", stranger.honest(), unverified)
	}
}

// TestOneTwinAway: the reason of an issuer that verified a token is not covered up by one that has no keys, and a
// token that nobody could verify may be the absent one's.
func TestOneTwinAway(t *testing.T) {
	for _, turned := range []bool{false, true} {
		g := newGate(t)
		a, b := voices()["twin-a"], voices()["twin-b"]
		for i := range g.configs {
			if g.configs[i].Name == b.name {
				g.configs[i].Keys = g.config("away").Keys
			}
		}
		if turned {
			slices.Reverse(g.configs)
		}
		g.open(t)
		g.want(t, "of the one with keys", a.honest(), reason.OK)
		g.want(t, "of the one with keys, refused", a.signClaims(b.claims), wrongAudience)
		g.want(t, "of the other", b.honest(), noKeys)
	}
}

// TestSameKid: issuers whose keys have the same names lend each other none.
func TestSameKid(t *testing.T) {
	g := newGate(t)
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		idp, namesake := voices()["idp "+alg], voices()["namesake "+alg]
		if idp.kid != namesake.kid {
			t.Fatal("the kids differ")
		}
		g.want(t, "idp's key under the other's iss", idp.signClaims(namesake.claims), unverified)
		g.want(t, "the other's key under idp's iss", namesake.signClaims(idp.claims), unverified)
		for _, v := range []voice{idp, namesake} {
			if got := g.want(t, "honest", v.honest(), reason.OK); got.Foreign == nil || got.Foreign.Issuer != v.name {
				t.Errorf("a token of %s is taken for one of %+v", v.name, got.Foreign)
			}
		}
	}
}

// TestIssNotCompared: an issuer without iss takes its tokens whatever iss they have, but for those that are
// somebody's.
func TestIssNotCompared(t *testing.T) {
	g := newGate(t)
	v := voices()["django"]
	for iss, want := range map[string]reason.Reason{
		"": reason.OK, "django": reason.OK, "https://gate.example/": reason.OK, strings.ToUpper(ours): reason.OK,
		ours: unverified, idpIss: unverified, pemIss: unverified, twinIss: unverified, awayIss: unverified,
	} {
		g.want(t, "iss "+iss, v.signClaims(v.claims.with("iss", `"`+iss+`"`)), want)
	}
}

// TestUnreachable: an issuer whose keys cannot be had refuses its own tokens, says why, and nobody else notices.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { g.issuers.Run(ctx); close(done) }()
		for range 3 {
			away := voices()["idp EdDSA"]
			away.claims = away.claims.with("iss", `"`+awayIss+`"`)
			g.want(t, "away", away.honest(), noKeys)
			g.want(t, "away, of nobody's key", away.sign(strings.Replace(away.header(), "ed", "x", 1), away.claims.String()), noKeys)
			for _, alg := range []string{"none", "HS256", "RS512"} { // no key could make these good
				g.want(t, "away, alg "+alg, away.sign(away.headerWithAlgorithm(alg), away.claims.String()), unverified)
			}
			g.want(t, "away, without kid", away.sign(`{"alg":"EdDSA"}`, away.claims.String()), unverified)
			g.want(t, "our own", g.mustIssue(t), reason.OK)
			for _, v := range voices() {
				g.want(t, v.String(), v.honest(), reason.OK)
			}
			trouble := g.issuers.Trouble()
			if names := slices.Collect(maps.Keys(trouble)); !slices.Equal(names, []string{"away"}) || !strings.Contains(trouble["away"].Error(), "away.example") {
				t.Errorf("in trouble: %v", trouble)
			}
			<-time.After(10 * time.Minute)
			synctest.Wait()
		}
		stop()
		<-done
	})
}

// TestNobodysTokens: what claims our iss, or no name that anybody has, is not answered for here.
func TestNobodysTokens(t *testing.T) {
	g := newGate(t)
	v := voices()["idp EdDSA"]
	named := g.only(g.config("idp"), g.config("pem"))
	for what, raw := range map[string]string{
		"our own": g.mustIssue(t), "our iss, another's key": v.signClaims(v.claims.with("iss", `"`+ours+`"`)), "junk": "a.b.c", "nothing": "",
		"iss of nobody": v.signClaims(v.claims.with("iss", `"x"`)), "no iss": v.signClaims(v.claims.without("iss")), "iss number": v.signClaims(v.claims.with("iss", `7`)),
	} {
		if got, why, theirs := ask(named, raw); theirs || why != reason.Undecided || got != (token.Verified{}) {
			t.Errorf("%s: %v, %v, %+v", what, why, theirs, got)
		}
	}
	if _, why, theirs := ask(g.only(), v.honest()); theirs || why != reason.Undecided {
		t.Errorf("with no issuers: %v, %v", why, theirs)
	}
}

// TestUserIDs: an id is the same as text and as a number, and another one with each issuer.
func TestUserIDs(t *testing.T) {
	g := newGate(t)
	v := voices()["django"]
	user := func(v voice, id string) token.Verified {
		return g.want(t, v.name+" "+id, v.signClaims(v.claims.with("user_id", id)), reason.OK)
	}
	text, number := user(v, `"7"`), user(v, `7`)
	if text.User != number.User || text.Foreign.Owner != "django:7" || number.Foreign.Owner != "django:7" || text.User == uuid.Nil {
		t.Errorf("7 as text and as a number: %v and %v", text.Foreign.Owner, number.Foreign.Owner)
	}
	seen := map[uuid.UUID]string{}
	for _, id := range []string{`7`, `0`, `9007199254740992`, `"07"`, `"7.0"`, `"-7"`, `"a"`, `"A"`, `"7:7"`, `"pem:7"`, `"a b"`} {
		for _, v := range []voice{v, voices()["pem"]} {
			got := user(v, id)
			if who := v.name + " " + id; seen[got.User] != "" {
				t.Errorf("%s is %s", who, seen[got.User])
			} else {
				seen[got.User] = who
			}
			if got.User != foreign.UserID(foreign.Owner(v.name, strings.Trim(id, `"`))) {
				t.Errorf("%s: %v", id, got.User)
			}
		}
	}
}

// TestParseUserID: the ids that there are.
func TestParseUserID(t *testing.T) {
	for value, want := range map[string]string{
		`"7"`: "7", `7`: "7", `0`: "0", `"\u0037"`: "7", `"a b"`: "a b", `9007199254740992`: "9007199254740992", `"9007199254740993"`: "9007199254740993",
		`9007199254740993`: "", `7.0`: "", `7e0`: "", `-7`: "", `-0`: "", `1e400`: "", `""`: "", `null`: "", `true`: "", `{}`: "", `[7]`: "", `["7"]`: "",
	} {
		if id, ok := foreign.ParseUserID([]byte(value)); ok != (want != "") || ok && id != want {
			t.Errorf("%s: %q, %v, want %q", value, id, ok, want)
		}
	}
}

// TestDeviceUIDs: a UUID is itself in every spelling, and anything else is the same device each time, of one issuer.
func TestDeviceUIDs(t *testing.T) {
	bare := strings.ReplaceAll(device, "-", "")
	for _, spelling := range []string{device, strings.ToUpper(device), bare, strings.ToUpper(bare), strings.ToUpper(device[:9]) + device[9:]} {
		if got := foreign.DeviceUID("django", spelling); got.String() != device {
			t.Errorf("%s is %s", spelling, got)
		}
	}
	seen := map[uuid.UUID]string{}
	for _, claim := range []string{
		"session-1", "Session-1", "session-1 ", "{" + device + "}", "urn:uuid:" + device, device + "0", device[1:], strings.Replace(device, "-", "_", 4), strings.Replace(device, "a", "а", 1),
		bare[:31], bare[:31] + "g", strings.Repeat("d", 512), "\u0000", " ", "a:b",
	} {
		for _, issuer := range []string{"django", "idp"} {
			got := foreign.DeviceUID(issuer, claim)
			if got != foreign.DeviceUID(issuer, claim) || got.Version() != 5 || got == uuid.Nil || got.String() == device {
				t.Errorf("%s of %s is %s", claim, issuer, got)
			}
			if who := issuer + " " + claim; seen[got] != "" {
				t.Errorf("%s is %s", who, seen[got])
			} else {
				seen[got] = who
			}
		}
	}
	// What is written in every store.
	if got := foreign.DeviceUID("idp", "session-1").String(); got != "815b9e95-90f6-5472-8de7-ea472cddb3c5" {
		t.Errorf("the ids of devices have changed: %s", got)
	}
	if got := foreign.UserID("django:7").String(); got != "0f08f1d1-6205-5be8-852c-0814a933187a" {
		t.Errorf("the ids of users have changed: %s", got)
	}
}

// TestDeviceClaims: the same through a token.
func TestDeviceClaims(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		for claim, want := range map[string]uuid.UUID{
			device: uuid.MustParse(device), strings.ToUpper(strings.ReplaceAll(device, "-", "")): uuid.MustParse(device), "s:1": foreign.DeviceUID(v.name, "s:1"),
		} {
			if got := g.want(t, claim, v.signClaims(v.claims.with(v.names.DeviceUID, `"`+claim+`"`)), reason.OK); got.Device != want {
				t.Errorf("%s: %s, want %s", claim, got.Device, want)
			}
		}
	})
}
