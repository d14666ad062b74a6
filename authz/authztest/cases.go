package authztest

import (
	"fmt"
	"strings"

	"devicegate/reason"
)

// Case is one row of the table.
type Case struct {
	Name  string
	Setup Setup
	Ask   Question
	Want  reason.Reason
	Who   *Person // whose identity an allow carries; nil: nobody's

	Audience string        // of the assertion that an allow carries; empty: it carries none
	Stripped bool          // an allow takes the Authorization header away
	Would    reason.Reason // of an allow that only reports
}

// Authorization is one row of the table of Authorization headers. In Values, T stands for a good token.
type Authorization struct {
	Name   string
	Values []string
	Want   reason.Reason
}

// With returns the values with raw for the token.
func (a Authorization) With(raw string) []string {
	values := make([]string, len(a.Values))
	for i, v := range a.Values {
		values[i] = strings.ReplaceAll(v, "T", raw)
	}
	return values
}

// Authorizations is the contract's rule for the header, row by row. Nothing in it depends on white space
// at the ends, which HTTP takes away and gRPC does not.
var Authorizations = []Authorization{
	{"one good token", []string{"Bearer T"}, reason.OK},
	{"scheme in lower case", []string{"bearer T"}, reason.OK},
	{"scheme in upper case", []string{"BEARER T"}, reason.OK},
	{"scheme in mixed case", []string{"bEaReR T"}, reason.OK},

	{"no header", nil, reason.NoToken},
	{"an empty one", []string{""}, reason.NoToken},
	{"Basic", []string{"Basic dXNlcjpwYXNz"}, reason.NoToken},
	{"Digest", []string{`Digest username="x"`}, reason.NoToken},
	{"a token without a scheme", []string{"T"}, reason.NoToken},
	{"a scheme that begins like Bearer", []string{"BearerX T"}, reason.NoToken},
	{"a scheme that ends like Bearer", []string{"XBearer T"}, reason.NoToken},
	{"DPoP", []string{"DPoP T"}, reason.NoToken},

	{"two tokens", []string{"Bearer T", "Bearer T"}, reason.BadAuthorization},
	{"Basic before Bearer", []string{"Basic dXNlcjpwYXNz", "Bearer T"}, reason.BadAuthorization},
	{"Bearer before Basic", []string{"Bearer T", "Basic dXNlcjpwYXNz"}, reason.BadAuthorization},
	{"an empty one before", []string{"", "Bearer T"}, reason.BadAuthorization},
	{"an empty one behind", []string{"Bearer T", ""}, reason.BadAuthorization},
	{"two empty ones", []string{"", ""}, reason.BadAuthorization},
	{"two Basic ones", []string{"Basic a", "Basic b"}, reason.BadAuthorization},
	{"joined by a comma", []string{"Bearer T,Bearer T"}, reason.BadAuthorization},
	{"joined by comma and space", []string{"Bearer T, Bearer T"}, reason.BadAuthorization},
	{"a comma in front", []string{",Bearer T"}, reason.BadAuthorization},
	{"a comma at the end", []string{"Bearer T,"}, reason.BadAuthorization},
	{"a comma in Basic", []string{"Basic a,b"}, reason.BadAuthorization},
	{"only a comma", []string{","}, reason.BadAuthorization},

	{"the scheme alone", []string{"Bearer"}, reason.BadAuthorization},
	{"two spaces", []string{"Bearer  T"}, reason.BadAuthorization},
	{"a tab", []string{"Bearer\tT"}, reason.BadAuthorization},
	{"a space and a tab", []string{"Bearer \tT"}, reason.BadAuthorization},
	{"a colon", []string{"Bearer:T"}, reason.BadAuthorization},
	{"an equals sign", []string{"Bearer=T"}, reason.BadAuthorization},
	{"quoted", []string{`Bearer "T"`}, reason.BadAuthorization},
	{"a second word", []string{"Bearer T x"}, reason.BadAuthorization},
	{"a semicolon", []string{"Bearer T;x"}, reason.BadAuthorization},
	{"a percent sign", []string{"Bearer %54T"}, reason.BadAuthorization},
	{"a letter that is not ASCII", []string{"Bearer Té"}, reason.BadAuthorization},
	{"a no-break space", []string{"Bearer\u00a0T"}, reason.BadAuthorization},
	{"a full-width scheme", []string{"Ｂearer T"}, reason.NoToken},
	{"a letter behind the scheme", []string{"Bearerſ T"}, reason.BadAuthorization},

	{"all token bytes, no token", []string{"Bearer AZaz09-._~+/="}, reason.TokenMalformed},
	{"padding behind the token", []string{"Bearer T="}, reason.TokenMalformed},
	{"a fourth part", []string{"Bearer T.e30"}, reason.TokenMalformed},
	{"one letter", []string{"Bearer x"}, reason.TokenMalformed},
	{"the scheme twice, no space", []string{"Bearer BearerT"}, reason.TokenMalformed},
}

func bearer(raw string) Question { return Question{Authorization: []string{"Bearer " + raw}} }

// Cases returns the table for a world.
func (w *World) Cases() []Case {
	staff := bearer(w.Anna.Token)
	staff.Policy = "staff"
	roleless := bearer(w.Bob.Token)
	roleless.Policy = "staff"
	unknown := bearer(w.Anna.Token)
	unknown.Policy = "nope"
	incomplete := bearer(w.Anna.Token)
	incomplete.Incomplete = true
	state := func(r reason.Reason) Setup { return Setup{Forced: r, HasForced: true} }

	cases := []Case{
		{Name: "a live device", Ask: bearer(w.Anna.Token), Want: reason.OK, Who: &w.Anna},
		{Name: "a user without roles", Ask: bearer(w.Bob.Token), Want: reason.OK, Who: &w.Bob},
		{Name: "a name that must be encoded", Ask: bearer(w.Zoe.Token), Want: reason.OK, Who: &w.Zoe},
		{Name: "the longest identity", Ask: bearer(w.Longest.Token), Want: reason.OK, Who: &w.Longest},
		{Name: "the role that the policy demands", Ask: staff, Want: reason.OK, Who: &w.Anna},

		{Name: "expired", Ask: bearer(w.Tokens.Expired), Want: reason.TokenExpired},
		{Name: "not valid yet", Ask: bearer(w.Tokens.NotYet), Want: reason.TokenNotYetValid},
		{Name: "lives too long", Ask: bearer(w.Tokens.TooLong), Want: reason.TokenLivesTooLong},
		{Name: "another audience", Ask: bearer(w.Tokens.Audience), Want: reason.TokenWrongAudience},
		{Name: "another issuer", Ask: bearer(w.Tokens.Issuer), Want: reason.TokenUnverified},
		{Name: "another token's signature", Ask: bearer(w.Tokens.Signature), Want: reason.TokenUnverified},
		{Name: "a cut token", Ask: bearer(w.Tokens.Cut), Want: reason.TokenMalformed},
		{Name: "a device that never was", Ask: bearer(w.Tokens.NoDevice), Want: reason.DeviceNotRecognized},
		{Name: "another user's device", Ask: bearer(w.Tokens.Swapped), Want: reason.DeviceNotRecognized},
		{Name: "logged out", Ask: bearer(w.Ended.Token), Want: reason.DeviceNotRecognized},
		{Name: "replaced", Ask: bearer(w.Replaced.Token), Want: reason.DeviceReplaced},
		{Name: "misused", Ask: bearer(w.Misused.Token), Want: reason.DeviceCompromised},
		{Name: "a disabled user", Ask: bearer(w.Disabled.Token), Want: reason.InactiveAccount},

		{Name: "a peer that may not ask", Setup: Setup{Peers: Elsewhere}, Ask: bearer(w.Anna.Token), Want: reason.PeerNotAllowed},
		{Name: "incomplete", Ask: incomplete, Want: reason.RequestIncomplete},
		{Name: "an unknown policy", Ask: unknown, Want: reason.PolicyUnknown},
		{Name: "no such role", Ask: roleless, Want: reason.RoleMissing},
		{Name: "starting", Setup: state(reason.Starting), Ask: bearer(w.Anna.Token), Want: reason.Starting},
		{Name: "the store is gone", Setup: state(reason.StoreUnavailable), Ask: bearer(w.Anna.Token), Want: reason.StoreUnavailable},
		{Name: "the keys are gone", Setup: state(reason.KeysUnavailable), Ask: bearer(w.Anna.Token), Want: reason.KeysUnavailable},
	}
	cases = append(cases, w.authorizations()...)
	cases = append(cases, w.requests()...)
	cases = append(append(cases, w.policies()...), w.assertions()...)
	return append(cases, w.neighbours()...)
}

func (w *World) authorizations() []Case {
	cases := make([]Case, len(Authorizations))
	for i, a := range Authorizations {
		cases[i] = Case{Name: "Authorization: " + a.Name, Ask: Question{Authorization: a.With(w.Anna.Token)}, Want: a.Want, Who: &w.Anna}
	}
	return cases
}

// requests are ways to write a request that change nothing: the gate matches no paths, no methods and no
// hosts.
func (w *World) requests() []Case {
	var cases []Case
	add := func(what string, q Question) {
		q.Authorization = bearer(w.Anna.Token).Authorization
		cases = append(cases, Case{Name: what, Ask: q, Want: reason.OK, Who: &w.Anna})
		q.Authorization = nil
		cases = append(cases, Case{Name: what + ", no token", Ask: q, Want: reason.NoToken})
	}
	for _, m := range []string{"HEAD", "POST", "OPTIONS", "PROPFIND", "get", "M-SEARCH", "X!#$%&'*+-.^_`|~1", strings.Repeat("A", 100)} {
		add("method "+m[:min(len(m), 20)], Question{Method: m})
	}
	for _, p := range []string{
		"/", "//", "/public/../admin", "/%2e%2e/admin", "/a%2fb", "/a/..;/b", "/a;b=c", "/a?policy=nope", "/?", "/a?b?c", "/%E5%AD%97",
		"/auth/traefik", "/\u5b57", "/" + strings.Repeat("a/", 1500),
	} {
		add("path "+p[:min(len(p), 20)], Question{Path: p})
	}
	for _, h := range []string{"APP.Example:8443", "app.example.", "[::1]:80", "127.0.0.1"} {
		add("host "+h, Question{Host: h})
	}
	for _, f := range [][]string{{"203.0.113.9"}, {"203.0.113.9", "10.0.0.1"}, {""}, {"<script>"}} {
		add(fmt.Sprintf("X-Forwarded-For %q", f), Question{ForwardedFor: f})
	}
	return cases
}

// neighbours are questions that fail several demands: the earlier one of the contract's order names the
// reason. The first rows fail two neighbours each, the last ones demands that lie further apart.
func (w *World) neighbours() []Case {
	away := Setup{Peers: Elsewhere}
	starting := Setup{Forced: reason.Starting, HasForced: true}
	both := Setup{Peers: Elsewhere, Forced: reason.Starting, HasForced: true}
	none, ended := Question{}, "Bearer "+w.Ended.Token
	all := Question{Incomplete: true, Policy: "nope"}
	return []Case{
		{Name: "order: peer before metadata", Setup: away, Ask: Question{Incomplete: true}, Want: reason.PeerNotAllowed},
		{Name: "order: metadata before policy", Ask: all, Want: reason.RequestIncomplete},
		{Name: "order: policy before ready", Setup: starting, Ask: Question{Policy: "nope"}, Want: reason.PolicyUnknown},
		{Name: "order: ready before Authorization", Setup: starting, Ask: none, Want: reason.Starting},
		{Name: "order: Authorization before token", Ask: Question{Authorization: []string{"Bearer  " + w.Tokens.Expired}}, Want: reason.BadAuthorization},
		{Name: "order: token before device", Ask: bearer(w.Tokens.ExpiredEnded), Want: reason.TokenExpired},
		{Name: "order: device before user", Ask: bearer(w.Both.Token), Want: reason.DeviceNotRecognized},
		{Name: "order: user before the policy's demands", Ask: Question{Policy: "staff", Authorization: []string{"Bearer " + w.Disabled.Token}}, Want: reason.InactiveAccount},

		{Name: "order: peer before all", Setup: both, Ask: all, Want: reason.PeerNotAllowed},
		{Name: "order: metadata before all", Setup: starting, Ask: all, Want: reason.RequestIncomplete},
		{Name: "order: ready before a device", Setup: starting, Ask: Question{Policy: "staff", Authorization: []string{ended}}, Want: reason.Starting},
		{Name: "order: device before the policy's demands", Ask: Question{Policy: "staff", Authorization: []string{ended}}, Want: reason.DeviceNotRecognized},
	}
}
