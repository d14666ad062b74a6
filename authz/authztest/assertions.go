package authztest

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/reason"
)

// assertions are the rows of a gate that makes signed identities: for who passes as himself to a host that can be one,
// and for nobody else.
func (w *World) assertions() []Case {
	on, broken := Setup{Assertions: true}, Setup{Assertions: true, Unsigned: true}
	longestHost := strings.Repeat("host-canary.", 21) + "h"
	to := func(host, token string) Question {
		q := bearer(token)
		q.Host = host
		return q
	}
	by := func(policy, token string) Question {
		q := Question{Policy: policy}
		if token != "" {
			q.Authorization = []string{"Bearer " + token}
		}
		return q
	}
	preflight := Question{Policy: "preflight", Method: "OPTIONS", Origin: []string{"https://a.example"}, Preflight: []string{"PUT"}, ForwardedFor: []string{"203.0.113.9"}}
	signed := func(name string, q Question, who *Person, audience string) Case {
		return Case{Name: "assertion: " + name, Setup: on, Ask: q, Want: reason.OK, Who: who, Audience: audience}
	}
	stripped := signed("and the token does not reach the backend", by("stripped", w.Anna.Token), &w.Anna, DefaultHost)
	stripped.Stripped = true
	return []Case{
		signed("a live device", bearer(w.Anna.Token), &w.Anna, DefaultHost),
		signed("a user without roles", bearer(w.Bob.Token), &w.Bob, DefaultHost),
		signed("a name that headers cannot carry", bearer(w.Zoe.Token), &w.Zoe, DefaultHost),
		signed("the longest identity and host", to(longestHost, w.Longest.Token), &w.Longest, longestHost),
		signed("a host in capitals with a port and a dot", to("Host-CANARY.example.:8443", w.Anna.Token), &w.Anna, DefaultHost),
		signed("an IPv6 address", to("[2001:DB8::0:1]:8443", w.Anna.Token), &w.Anna, "2001:db8::1"),
		signed("somebody, where nobody is enough", by("public", w.Anna.Token), &w.Anna, DefaultHost),
		stripped,

		signed("a host that is none", to("host-canary..example", w.Anna.Token), &w.Anna, ""),
		signed("a host that is too long", to("h"+longestHost, w.Bob.Token), &w.Bob, ""),
		{Name: "assertion: nobody", Setup: on, Ask: by("public", ""), Want: reason.Anonymous},
		{Name: "assertion: a preflight", Setup: on, Ask: preflight, Want: reason.CORSPreflight},
		{Name: "assertion: a policy that reports", Setup: on, Ask: by("trial", w.Anna.Token), Want: reason.Report, Would: reason.OK},
		{Name: "assertion: a bad token", Setup: on, Ask: bearer(w.Tokens.Signature), Want: reason.TokenUnverified},
		{Name: "assertion: a role is missing", Setup: on, Ask: by("staff", w.Bob.Token), Want: reason.RoleMissing},

		{Name: "assertion: none can be made", Setup: broken, Ask: bearer(w.Anna.Token), Want: reason.KeysUnavailable},
		{Name: "assertion: none can be made, where the policy reports", Setup: broken, Ask: by("trial", w.Anna.Token), Want: reason.Report, Would: reason.KeysUnavailable},
		{Name: "assertion: none can be made, and nobody asks for one", Setup: broken, Ask: by("public", ""), Want: reason.Anonymous},
	}
}

// checkAssertion: it says what the other headers say, for the host that was asked for, under a key of the gate.
func (w *World) checkAssertion(t *testing.T, c Case, raw string) {
	t.Helper()
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.Fatalf("the assertion is %q", raw)
	}
	var keys struct{ Keys []struct{ Kid, X string } }
	must(t, json.Unmarshal(w.keys.JWKS(), &keys))
	wantHeader := map[string]any{"alg": "EdDSA", "kid": keys.Keys[0].Kid, "typ": "assertion+jwt"}
	if diff := cmp.Diff(wantHeader, members(t, decode(t, parts[0]))); diff != "" {
		t.Errorf("header of the assertion (-want +got):\n%s", diff)
	}
	if !ed25519.Verify(decode(t, keys.Keys[0].X), []byte(parts[0]+"."+parts[1]), decode(t, parts[2])) {
		t.Error("the assertion is not signed by the key of the gate")
	}
	roles := []any{}
	for _, role := range c.Who.User.Roles {
		roles = append(roles, role)
	}
	at := now.Add(c.Setup.Later).Unix()
	wantClaims := map[string]any{
		"iss": config().Issuer, "sub": c.Who.User.ID.String(), "aud": c.Audience, "iat": float64(at), "exp": float64(at + 60),
		"device_uid": c.Who.Device.String(), "username": c.Who.User.Name, "roles": roles,
	}
	if diff := cmp.Diff(wantClaims, members(t, decode(t, parts[1]))); diff != "" {
		t.Errorf("claims of the assertion (-want +got):\n%s", diff)
	}
}

func decode(t *testing.T, part string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	must(t, err)
	return b
}

func members(t *testing.T, object []byte) (m map[string]any) {
	t.Helper()
	must(t, json.Unmarshal(object, &m))
	return m
}
