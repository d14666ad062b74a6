package foreign_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/identity"
	"devicegate/login"
	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/foreign"
	"devicegate/token/keysource"
)

// TestHonestTokens: what each issuer's token says is what the gate sees, on a miss and on a hit.
func TestHonestTokens(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		raw := v.honest()
		userID, session := "f3a9-ann", "session-1"
		if v.oneKey() {
			userID, session = "7", device
		}
		owner := v.name + ":" + userID
		want := token.Verified{
			User: foreign.UserID(owner), Device: foreign.DeviceUID(v.name, session), Generation: 1, IssuedAt: start, Expires: start + 300,
			Foreign: &identity.Foreign{
				Issuer: v.name, Owner: owner, Name: "ann", Roles: []string{"staff"}, Lifetime: lifetime * time.Second,
				Keys: [2]identity.NameKey{login.ForeignNameKey("ann"), login.ForeignNameKey(owner)}, Register: g.config(v.name).Register,
			},
		}
		for _, when := range []string{"miss", "hit"} {
			got := g.want(t, when, raw, reason.OK)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
			if !g.issuers.Cached(raw) {
				t.Errorf("%s: it is not in the cache", when)
			}
		}
		own := g.mustIssue(t)
		if v := g.want(t, "our own token beside it", own, reason.OK); v.Foreign != nil || g.issuers.Cached(own) {
			t.Errorf("our own token is taken for a foreign one: %+v", v)
		}
	})
}

// TestEveryAlgorithm: each algorithm of the contract accepts what was honestly signed in it, and nothing that
// was signed, or is said to be signed, in any other with the same key.
func TestEveryAlgorithm(t *testing.T) {
	for _, alg := range everyAlgorithm {
		c := foreign.Config{Name: "one", Issuer: "https://one.example", Audience: audience, MaxLifetime: lifetime * time.Second, Claims: idpNames}
		v := voice{name: "one", alg: alg, kid: "k", key: pool()[keyFor(alg)], claims: idpClaims(c.Issuer), names: idpNames}
		keys := keysource.Options{Name: "one", Algorithms: []string{alg}}
		if alg[:2] == "HS" {
			v.claims = v.claims.with("token_type", `"access"`)
			keys.SecretFile = fileOf(t, string(pool()["secret"].([]byte)))
		} else {
			keys.JWKSFile = fileOf(t, jwks(jwk(keyFor(alg), "k")))
		}
		g := &gate{clock: newClock()}
		c.Keys = must(keysource.Open(keys))
		g.configs = []foreign.Config{c}
		g.open(t)
		g.want(t, alg, v.honest(), reason.OK)
		for _, other := range everyAlgorithm {
			if other == alg {
				continue
			}
			named := strings.Replace(v.header(), alg, other, 1)
			g.want(t, alg+" under the name "+other, v.sign(named, v.claims.String()), unverified)
			if keyFor(other) != keyFor(alg) {
				continue
			}
			swapped := v
			swapped.alg = other
			g.want(t, other+" with the key of "+alg, swapped.honest(), unverified)
			g.want(t, other+" under the name "+alg, swapped.sign(v.header(), v.claims.String()), unverified)
		}
	}
}

// accepted is a header and claims that are good, however odd.
type accepted struct{ name, header, claims string }

// goodVariants are the liberties that other issuers take.
func goodVariants(v voice) []accepted {
	m, head := v.claims, strings.TrimSuffix(v.header(), "}")
	list := []accepted{
		{"a header with members that mean nothing", head + `,"x":1,"iss":"x","sub":{},"nonce":"n","x5t":"AAAA","x5t#S256":"AAAA","url":"http://127.0.0.1:1/","ver":[1]}`, m.String()},
		{"white space in both", strings.ReplaceAll(v.header(), ",", " ,\n\t"), strings.ReplaceAll(m.String(), `":`, "\" :\r\n ")},
		{"no typ", strings.Replace(v.header(), `,"typ":"JWT"`, "", 1), m.String()},
		{"typ at+jwt", strings.Replace(v.header(), `JWT`, "at+jwt", 1), m.String()},
		{"typ application/AT+JWT", strings.Replace(v.header(), `JWT`, "application/AT+JWT", 1), m.String()},
		{"nesting up to the bound", v.header(), m.with("x", strings.Repeat("[", foreign.MaxNesting-1)+strings.Repeat("]", foreign.MaxNesting-1)).String()},
		{"numbers that nobody reads", v.header(), m.with("x", `[1e400,9007199254740993,-0.0]`).String()},
		{"no iat", v.header(), m.without("iat").String()},
		{"no username", v.header(), m.without(v.names.Username).String()},
		{"an empty username", v.header(), m.with(v.names.Username, `""`).String()},
		{"a username with a colon", v.header(), m.with(v.names.Username, `"ann:7"`).String()},
		{"a username that ends as an issuer does", v.header(), m.with(v.names.Username, `"xdjango:7"`).String()},
		{"a username that begins as an issuer does", v.header(), m.with(v.names.Username, `"django7"`).String()},
		{"a username of 150 code points", v.header(), m.with(v.names.Username, `"`+strings.Repeat("é", 150)+`"`).String()},
		{"a device claim of 512 bytes", v.header(), m.with(v.names.DeviceUID, `"`+strings.Repeat("d", 512)+`"`).String()},
		{"no roles", v.header(), v.withRoles(`[]`).String()},
		{"roles missing", v.header(), m.without(v.names.Roles).without("realm_access").String()},
	}
	if v.oneKey() {
		for _, kid := range []string{`""`, `"x"`, `"../../etc/passwd"`, `"ed"`, `"\u0000"`} { // the one key is not chosen by anybody
			list = append(list, accepted{"kid " + kid, head + `,"kid":` + kid + "}", m.String()})
		}
		return append(list,
			accepted{"typ of anything", strings.Replace(v.header(), `JWT`, "logout+jwt", 1), m.String()},
			accepted{"the id as a number", v.header(), m.with("user_id", "7").String()})
	}
	return append(list,
		accepted{"no jti", v.header(), m.without("jti").String()},
		accepted{"token_type access", v.header(), m.with("token_type", `"access"`).String()},
		accepted{"token_type Bearer", v.header(), m.with("token_type", `"Bearer"`).String()},
		accepted{"no claim typ", v.header(), m.without("typ").String()},
		accepted{"aud as text", v.header(), m.with("aud", `"`+v.audience+`"`).String()},
	)
}

func TestGoodVariants(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		for _, a := range goodVariants(v) {
			got := g.want(t, a.name, v.sign(a.header, a.claims), reason.OK)
			if got.Foreign == nil || got.Foreign.Issuer != v.name || got.Device.String() == "" || got.Foreign.Name == "" {
				t.Errorf("%s: %+v", a.name, got)
			}
		}
	})
}

// TestNamesAndRoles: what is said of the user for what the token says.
func TestNamesAndRoles(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		user := strings.Trim(v.claims.value(v.names.UserID), `"`)
		for _, tt := range []struct {
			what   string
			claims members
			name   string
			roles  []string
		}{
			{"no username", v.claims.without(v.names.Username), v.name + ":" + user, []string{"staff"}},
			{"an empty username", v.claims.with(v.names.Username, `""`), v.name + ":" + user, []string{"staff"}},
			{"the name that he has without one", v.claims.with(v.names.Username, `"`+v.name+":"+user+`"`), v.name + ":" + user, []string{"staff"}},
			{"a name in capitals", v.claims.with(v.names.Username, `"Ann É"`), "Ann É", []string{"staff"}},
			{"roles as text", v.withRoles(`"r1  editors\tr2 editors-too"`), "ann", []string{"role-01", "staff", "role-02"}},
			{"one of ours for two of theirs", v.withRoles(`["editors","editors-too","editors"]`), "ann", []string{"staff"}},
			{"admin, and what is mapped to it", v.withRoles(`["admin","boss","Admin","administrator"]`), "ann", nil},
			{"admin as text", v.withRoles(`"admin boss"`), "ann", nil},
			{"what is mapped to nothing", v.withRoles(`["nothing","","staff","EDITORS","editors "]`), "ann", nil},
			{"as many as a user may have", v.withRoles(rolesOf(32)), "ann", ourRoles(32)},
		} {
			got := g.want(t, tt.what, v.signClaims(tt.claims), reason.OK)
			if f := got.Foreign; f == nil || f.Name != tt.name || !slices.Equal(f.Roles, tt.roles) || f.Keys[0] != login.ForeignNameKey(tt.name) {
				t.Errorf("%s: %+v", tt.what, got.Foreign)
			}
		}
	})
}

// rolesOf is a list of n roles of theirs, and ourRoles what they are mapped to.
func rolesOf(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = `"r` + fmt.Sprint(i) + `"`
	}
	return "[" + strings.Join(list, ",") + "]"
}

func ourRoles(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = roleMap()["r"+fmt.Sprint(i)]
	}
	return list
}

// TestIdentityFitsHeaders: the name, percent-encoded, and the roles are bounded together, exactly.
func TestIdentityFitsHeaders(t *testing.T) {
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		name := strings.Repeat("é", 148) // 6 bytes each, and 14 roles are 111 bytes with their commas
		fits := v.withRoles(rolesOf(14)).with(v.names.Username, `"`+name+`x"`)
		g.want(t, "1000 bytes", v.signClaims(fits), reason.OK)
		g.want(t, "1001 bytes", v.signClaims(fits.with(v.names.Username, `"`+name+`xx"`)), malformed)
	})
}

// TestNestedClaims: a name with dots is first a member of that name, then the way into objects; nothing on the
// way may be another thing than an object.
func TestNestedClaims(t *testing.T) {
	g := newGate(t)
	v := voices()["idp EdDSA"]
	both := v.claims.with("realm_access.roles", `["r1"]`)
	if got := g.want(t, "both", v.signClaims(both), reason.OK); !slices.Equal(got.Foreign.Roles, []string{"role-01"}) {
		t.Errorf("of both the nested one is read: %v", got.Foreign.Roles)
	}
	for _, access := range []string{`"roles"`, `["editors"]`, `7`, `null`, `{}`, `{"roles.x":["editors"]}`, `{"a":{"roles":["editors"]}}`} {
		if got := g.want(t, access, v.signClaims(v.claims.with("realm_access", access)), reason.OK); got.Foreign != nil && got.Foreign.Roles != nil {
			t.Errorf("%s: roles %v", access, got.Foreign.Roles)
		}
	}
	for _, access := range []string{`{"Roles":["editors"]}`, `{"roles":[],"ROLES":["editors"]}`, `{"roleſ":["editors"],"roles":[]}`} {
		g.want(t, access, v.signClaims(v.claims.with("realm_access", access)), malformed)
	}
}
