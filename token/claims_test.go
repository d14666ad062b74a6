package token_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/reason"
	"devicegate/token"
)

func TestClaims(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, tt := range f.forger().ClaimsCases() {
			t.Run(tt.Name, func(t *testing.T) {
				raw := f.sign(f.header(), tt.Claims.String())
				got, why := f.verifier.Verify(raw)
				if why != tt.Want {
					t.Errorf("got %v, want %v", why, tt.Want)
				}
				if why != reason.OK && got != (token.Verified{}) {
					t.Errorf("a refused token vouches for %+v", got)
				}
				if _, why := f.verifier.Verify(broken(raw)); why != reason.TokenUnverified {
					t.Errorf("with a broken signature: got %v, want %v whatever the claims say", why, reason.TokenUnverified)
				}
			})
		}
	})
}

// broken returns raw with another signature, as long as its own.
func broken(raw string) string {
	input, signature := raw[:strings.LastIndex(raw, ".")], raw[strings.LastIndex(raw, ".")+1:]
	size := max(64, base64.RawURLEncoding.DecodedLen(len(signature)))
	return input + "." + b64(strings.Repeat("\x01", size))
}

// TestClaimsOrder breaks ever more claims at once: the reason is that of the first in the order.
func TestClaimsOrder(t *testing.T) {
	f := newFixture(t, defaultConfig())
	header, claims := f.header(), honestClaims()
	steps := []struct {
		change func()
		want   reason.Reason
	}{
		{func() { claims = claims.With("user_id", `"x"`) }, reason.TokenMalformed},
		{func() { claims = claims.Without("device_uid") }, reason.DeviceUIDMissing},
		{func() { claims = claims.With("iat", "1") }, reason.TokenLivesTooLong},
		{func() { claims = claims.With("nbf", fmt.Sprint(start+60)) }, reason.TokenNotYetValid},
		{func() { claims = claims.With("exp", fmt.Sprint(start)) }, reason.TokenExpired},
		{func() { claims = claims.With("aud", `"other"`) }, reason.TokenWrongAudience},
		{func() { header = strings.Replace(header, "at+jwt", "JWT", 1) }, reason.TokenWrongType},
		{func() { claims = claims.With("iss", `"other"`) }, reason.TokenUnverified},
		{func() { claims = claims.With("jti", `1`) }, reason.TokenMalformed},
		{func() { header = strings.Replace(header, f.kid, "other", 1) }, reason.TokenUnverified},
	}
	for i, s := range steps {
		s.change()
		if _, why := f.verifier.Verify(f.sign(header, claims.String())); why != s.want {
			t.Errorf("step %d: got %v, want %v", i, why, s.want)
		}
	}
}

func TestIssuedTokenIsAccepted(t *testing.T) {
	f := newFixture(t, defaultConfig())
	raw, claims, err := f.issuer.Issue(subject())
	if err != nil {
		t.Fatal(err)
	}
	for _, visit := range []string{"miss", "hit"} {
		got, why := f.verifier.Verify(raw)
		want := token.Verified{User: userID, Device: deviceID, Generation: 1, IssuedAt: start, NotBefore: start, Expires: start + lifetime}
		if why != reason.OK || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", visit, got, why, want)
		}
	}
	want := token.Claims{
		ID: claims.ID, User: userID, Device: deviceID, Generation: 1, Username: "ann", Roles: []string{"staff", "dev"},
		IssuedAt: start, NotBefore: start, Expires: start + lifetime,
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
}

// A device that was signed in on again: its generation travels with the token, through the cache too.
func TestGeneration(t *testing.T) {
	f := newFixture(t, defaultConfig())
	s := subject()
	s.Generation = 7
	raw, claims, err := f.issuer.Issue(s)
	if err != nil || claims.Generation != 7 {
		t.Fatalf("Issue: generation %d, %v", claims.Generation, err)
	}
	for _, visit := range []string{"miss", "hit"} {
		if got, why := f.verifier.Verify(raw); why != reason.OK || got.Generation != 7 {
			t.Errorf("%s: got generation %d, %v", visit, got.Generation, why)
		}
	}
}
