package foreign_test

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"devicegate/authz"
	"devicegate/login"
	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/foreign"
)

// FuzzScan: any bytes are read or refused, and what is read has one spelling and tells nobody to do anything.
func FuzzScan(f *testing.F) {
	g := newGate(f)
	for _, name := range []string{"django", "idp EdDSA"} { // whose tokens are the same in every process
		v := voices()[name]
		f.Add(v.honest())
		for _, a := range goodVariants(v) {
			f.Add(v.sign(a.header, a.claims))
		}
		for _, a := range attacks(g, v) {
			if len(a.raw) <= token.MaxSize && !strings.Contains(a.name, "sign") {
				f.Add(a.raw)
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if len(raw) > token.MaxSize || !foreign.Scan(raw) { // the caller bounds it
			return
		}
		parts := strings.Split(raw, ".")
		if len(parts) != 3 {
			t.Fatalf("%d parts of %q", len(parts), raw)
		}
		var head, body map[string]json.RawMessage
		for i, part := range parts {
			decoded, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || b64(string(decoded)) != part || part == "" {
				t.Fatalf("part %d of %q has another spelling: %v", i, raw, err)
			}
			if into := map[int]*map[string]json.RawMessage{0: &head, 1: &body}[i]; into != nil && json.Unmarshal(decoded, into) != nil {
				t.Fatalf("part %d of %q is no object", i, raw)
			}
		}
		if alg := head["alg"]; len(alg) == 0 || alg[0] != '"' || body == nil {
			t.Errorf("%s, %s", head, body)
		}
		for name := range head {
			for _, order := range []string{"crit", "b64", "jwk", "jku", "x5u", "x5c", "cty", "zip", "enc"} {
				if strings.EqualFold(name, order) {
					t.Errorf("the header says %s", name)
				}
			}
			for _, read := range []string{"alg", "kid", "typ"} {
				if strings.EqualFold(name, read) && name != read {
					t.Errorf("the header says %s for %s", name, read)
				}
			}
		}
	})
}

// FuzzClaims: whatever an issuer signs is refused, or its user can be shown, has a device and is nobody else. A
// usual parser of JSON must see the same token.
func FuzzClaims(f *testing.F) {
	g := newGate(f)
	v := voices()["django"]
	for _, a := range goodVariants(v) {
		f.Add(a.claims)
	}
	for _, a := range slices.Concat(jsonAttacks(v), letterCaseAttacks(v), claimAttacks(g, v)) {
		if claims, err := base64.RawURLEncoding.DecodeString(strings.Split(a.raw+"..", ".")[1]); err == nil && len(claims) < 2000 {
			f.Add(string(claims))
		}
	}
	f.Fuzz(func(t *testing.T, claims string) {
		raw := v.sign(v.header(), claims)
		if _, _, why := g.issuers.Refresh(raw); why == reason.OK && !strings.Contains(claims, "refresh") && !strings.Contains(claims, `\u`) {
			t.Errorf("exchanged %q", claims)
		}
		got, why := g.verifier.Verify(raw)
		if again, twice := g.verifier.Verify(raw); twice != why || why != reason.OK && again != (token.Verified{}) {
			t.Errorf("%q: first %v, then %v and %+v", claims, why, twice, again)
		}
		if why != reason.OK {
			if got != (token.Verified{}) || why.Outcome() == reason.Allow || why == reason.Undecided {
				t.Errorf("%q: %v and %+v", claims, why, got)
			}
			return
		}
		checkAccepted(t, claims, got)
	})
}

// checkAccepted holds what was read of claims against encoding/json, and against what is promised of it.
func checkAccepted(t *testing.T, claims string, got token.Verified) {
	t.Helper()
	var said struct {
		Type     string   `json:"token_type"`
		Expires  *float64 `json:"exp"`
		User     any      `json:"user_id"`
		Device   string   `json:"device_uid"`
		Username string   `json:"username"`
		ID       *string  `json:"jti"`
	}
	if err := json.Unmarshal([]byte(claims), &said); err != nil || said.Type != "access" || said.Expires == nil || said.ID == nil || said.Device == "" {
		t.Fatalf("accepted %q: %v", claims, err)
	}
	id, _ := said.User.(string)
	if number, ok := said.User.(float64); ok {
		id = strconv.FormatFloat(number, 'f', -1, 64)
	}
	user := got.Foreign
	if user == nil || id == "" || user.Owner != "django:"+id || user.Issuer != "django" || got.User != foreign.UserID(user.Owner) {
		t.Fatalf("%q: %+v", claims, user)
	}
	if name := user.Name; name != said.Username && (said.Username != "" || name != user.Owner) {
		t.Errorf("%q: the name %q", claims, name)
	}
	if got.Expires <= start || got.Expires > start+lifetime+1 || got.Expires != int64(math.Floor(*said.Expires)) || got.Device == uuid.Nil || got.Generation != 1 {
		t.Errorf("%q: %+v", claims, got)
	}
	if login.CheckName(user.Name) != nil || login.CheckName(user.Owner) != nil || len(user.Roles) > 32 || len(authz.EncodeValue(user.Name))+len(strings.Join(user.Roles, ",")) > 1000 {
		t.Errorf("%q: %q with %q", claims, user.Name, user.Roles)
	}
	for _, role := range user.Roles {
		if role != "staff" && !strings.HasPrefix(role, "role-") {
			t.Errorf("%q: the role %q", claims, role)
		}
	}
}
