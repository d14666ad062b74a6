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

// claimsCase is a set of claims that our key signed, and what becomes of it.
type claimsCase struct {
	name   string
	claims members
	want   reason.Reason
}

func claimsCases() []claimsCase {
	m := honestClaims()
	user, device := userID.String(), deviceID.String()
	tests := []claimsCase{
		{"honest", m, reason.OK},
		{"a claim of a later version", m.with("amr", `{"a":[{}]}`), reason.OK},
		{"roles empty", m.with("roles", `[]`), reason.OK},

		{"iss other", m.with("iss", `"https://other.example"`), reason.TokenUnverified},
		{"iss other case", m.with("iss", `"HTTPS://gate.example"`), reason.TokenUnverified},
		{"iss with slash", m.with("iss", `"`+issuerName+`/"`), reason.TokenUnverified},
		{"token_type refresh", m.with("token_type", `"refresh"`), reason.TokenWrongType},
		{"token_type other case", m.with("token_type", `"Access"`), reason.TokenWrongType},
		{"aud other", m.with("aud", `"gate2"`), reason.TokenWrongAudience},
		{"aud list", m.with("aud", `["`+audienceName+`"]`), reason.TokenMalformed},

		{"exp now-1", m.with("exp", fmt.Sprint(start-1)), reason.TokenExpired},
		{"exp now", m.with("exp", fmt.Sprint(start)), reason.TokenExpired},
		{"exp now+1", m.with("exp", fmt.Sprint(start+1)).with("iat", "1799999999").with("nbf", "1799999999"), reason.OK},
		{"nbf leeway-1", m.with("nbf", fmt.Sprint(start+leeway-1)), reason.OK},
		{"nbf leeway", m.with("nbf", fmt.Sprint(start+leeway)), reason.OK},
		{"nbf leeway+1", m.with("nbf", fmt.Sprint(start+leeway+1)), reason.TokenNotYetValid},
		{"iat leeway", m.with("iat", fmt.Sprint(start+leeway)), reason.OK},
		{"iat leeway+1", m.with("iat", fmt.Sprint(start+leeway+1)), reason.TokenNotYetValid},
		{"lives exactly the maximum", m.with("exp", fmt.Sprint(start+lifetime)), reason.OK},
		{"lives a second longer", m.with("exp", fmt.Sprint(start+lifetime+1)), reason.TokenLivesTooLong},
		{"lives for ever", m.with("exp", "9223372036854775807"), reason.TokenLivesTooLong},
		{"iat long ago", m.with("iat", "1"), reason.TokenLivesTooLong},
		{"nbf after exp, both within the leeway", m.with("exp", fmt.Sprint(start+1)).with("nbf", fmt.Sprint(start+2)), reason.TokenMalformed},
		{"iat after exp, both within the leeway", m.with("exp", fmt.Sprint(start+1)).with("iat", fmt.Sprint(start+2)), reason.TokenMalformed},

		{"device_uid missing", m.without("device_uid"), reason.DeviceUIDMissing},
		{"device_uid null", m.with("device_uid", `null`), reason.DeviceUIDMissing},
		{"device_uid empty", m.with("device_uid", `""`), reason.DeviceUIDMissing},
		{"device_uid under another case", m.without("device_uid").with("Device_UID", `"`+device+`"`), reason.DeviceUIDMissing},
		{"device_uid list", m.with("device_uid", `["`+device+`"]`), reason.TokenMalformed},
		{"device_uid number", m.with("device_uid", `7`), reason.TokenMalformed},
		{"device_uid upper case", m.with("device_uid", `"`+strings.ToUpper(device)+`"`), reason.TokenMalformed},
		{"device_uid without dashes", m.with("device_uid", `"`+strings.ReplaceAll(device, "-", "")+`"`), reason.TokenMalformed},
		{"device_uid in braces", m.with("device_uid", `"{`+device+`}"`), reason.TokenMalformed},
		{"device_uid urn", m.with("device_uid", `"urn:uuid:`+device+`"`), reason.TokenMalformed},
		{"device_generation number", m.with("device_generation", "7"), reason.OK},
		{"device_generation string", m.with("device_generation", `"7"`), reason.TokenMalformed},
		{"device_generation negative", m.with("device_generation", "-1"), reason.TokenMalformed},
		{"device_generation too large", m.with("device_generation", "4294967296"), reason.TokenMalformed},
		{"device_generation fraction", m.with("device_generation", "1.5"), reason.TokenMalformed},
		{"device_uid with space", m.with("device_uid", `" `+device+`"`), reason.TokenMalformed},
		{"device_uid confusable", m.with("device_uid", `"`+strings.Replace(device, "a", "а", 1)+`"`), reason.TokenMalformed},
		{"device_uid zero", m.with("device_uid", `"00000000-0000-0000-0000-000000000000"`), reason.TokenMalformed},
		{"sub is no UUID", m.with("sub", `"ann"`).with("user_id", `"ann"`), reason.TokenMalformed},
		{"sub upper case", m.with("sub", `"`+strings.ToUpper(user)+`"`).with("user_id", `"`+strings.ToUpper(user)+`"`), reason.TokenMalformed},
		{"sub with NUL", m.with("sub", `"`+user+`\u0000"`), reason.TokenMalformed},
		{"user_id other", m.with("user_id", `"`+device+`"`), reason.TokenMalformed},

		{"roles null", m.with("roles", `null`), reason.TokenMalformed},
		{"roles text", m.with("roles", `"staff"`), reason.TokenMalformed},
		{"roles numbers", m.with("roles", `[1]`), reason.TokenMalformed},
		{"username number", m.with("username", `1`), reason.TokenMalformed},
	}
	wrong := map[bool]string{true: "aud", false: "token_type"} // a complete set comes first in the order
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "roles", "username", "token_type", "user_id"} {
		tests = append(tests,
			claimsCase{name + " missing, and another claim wrong", m.with(wrong[name != "aud"], `"other"`).without(name), reason.TokenMalformed},
			claimsCase{name + " in capitals", m.without(name).with(strings.ToUpper(name), m.value(name)), reason.TokenMalformed})
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		for _, bad := range []string{
			`null`, `0`, `-1`, `-0`, `"1800000900"`, `"2027-01-15T08:15:00Z"`, `1800000900.5`, `1800000900.0`, `18000009e2`, `1.8E9`,
			`1e308`, `1e400`, `9223372036854775808`, `-9223372036854775809`, `18446744073709551616`, `true`, `[1800000900]`, `{}`,
		} {
			tests = append(tests, claimsCase{name + " " + bad, m.with(name, bad), reason.TokenMalformed})
		}
	}
	return tests
}

func TestClaims(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for _, tt := range claimsCases() {
			t.Run(tt.name, func(t *testing.T) {
				raw := f.sign(f.header(), tt.claims.String())
				got, why := f.verifier.Verify(raw)
				if why != tt.want {
					t.Errorf("got %v, want %v", why, tt.want)
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

// claimAttacks: J10 to J12, the cases that are refused.
func claimAttacks(f *fixture) []attack {
	var list []attack
	for _, c := range claimsCases() {
		if c.want != reason.OK {
			list = append(list, attack{"claims: " + c.name, f.sign(f.header(), c.claims.String()), c.want})
		}
	}
	return list
}

func (m members) value(name string) string {
	for _, p := range m {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
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
		{func() { claims = claims.with("user_id", `"x"`) }, reason.TokenMalformed},
		{func() { claims = claims.without("device_uid") }, reason.DeviceUIDMissing},
		{func() { claims = claims.with("iat", "1") }, reason.TokenLivesTooLong},
		{func() { claims = claims.with("nbf", fmt.Sprint(start+60)) }, reason.TokenNotYetValid},
		{func() { claims = claims.with("exp", fmt.Sprint(start)) }, reason.TokenExpired},
		{func() { claims = claims.with("aud", `"other"`) }, reason.TokenWrongAudience},
		{func() { header = strings.Replace(header, "at+jwt", "JWT", 1) }, reason.TokenWrongType},
		{func() { claims = claims.with("iss", `"other"`) }, reason.TokenUnverified},
		{func() { claims = claims.with("jti", `1`) }, reason.TokenMalformed},
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
