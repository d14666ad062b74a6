package probe

import (
	"encoding/base64"
	"slices"
	"strings"
)

// The tables of probes. Each row is what is sent, what must hold, and under which code a finding is told.

// bearer is the line of the good token.
func (r *run) bearer() string { return "Authorization: Bearer " + r.account.Token }

// goodProbe is a request that has to pass. Its path is the one that later ones are refused on.
func (r *run) goodProbe() probe {
	return probe{sent: "the good token", request: request{lines: []string{r.bearer()}}, holds: all(asAccount, namesNone, keepsToken), code: "identity-from-client"}
}

// nobodyProbe is a request without any token.
func (r *run) nobodyProbe() probe {
	return probe{sent: "no token", holds: r.nobody(), code: "open-without-token", always: true}
}

// nobody is what has to hold of requests without a token.
func (r *run) nobody() rule {
	if r.Policy.Anonymous || r.Policy.Report {
		return asNobody
	}
	return refused
}

// refusing is what has to hold of tokens that are no good.
func (r *run) refusing() rule {
	if r.Policy.Report {
		return asNobody
	}
	return refused
}

// tokenProbes are tokens that are none, or are said in a wrong way.
func (r *run) tokenProbes() []probe {
	good := r.bearer()
	token := r.account.Token
	parts := strings.SplitN(token, ".", 3)
	flipped := parts[0] + "." + parts[1] + "." + strings.Map(flip, parts[2])
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	var all []probe
	for _, bad := range []struct {
		sent, code string
		lines      []string
	}{
		{"a token that is none", "bad-token-passes", []string{"Authorization: Bearer x.y.z"}},
		{"the good token with another signature", "bad-token-passes", []string{"Authorization: Bearer " + flipped}},
		{"the good token's claims without a signature", "bad-token-passes", []string{"Authorization: Bearer " + unsigned}},
		{"two Authorization lines, the good one first", "two-tokens-pass", []string{good, "Authorization: Bearer x.y.z"}},
		{"two Authorization lines, the good one last", "two-tokens-pass", []string{"Authorization: Bearer x.y.z", good}},
		{"two tokens in one line", "two-tokens-pass", []string{good + ", Bearer x.y.z"}},
	} {
		all = append(all, probe{sent: bad.sent, request: request{lines: bad.lines}, holds: r.refusing(), code: bad.code, always: true})
	}
	return append(all, probe{sent: "another scheme", request: request{lines: []string{"Authorization: Basic ZXZpbDpldmls"}}, holds: r.nobody(), code: "bad-token-passes", always: true})
}

// flip changes every letter of a signature, and leaves it one in form.
func flip(c rune) rune {
	switch {
	case 'a' <= c && c <= 'z':
		return c - 'a' + 'A'
	case 'A' <= c && c <= 'Z':
		return c - 'A' + 'a'
	}
	return c
}

var (
	handshake = []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	toHTTP2   = []string{"Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"}
	preflight = []string{"Origin: https://doctor.example", "Access-Control-Request-Method: PUT"}
)

// requestProbes are requests without a token that proxies are known to make exceptions of.
func (r *run) requestProbes() []probe {
	var all []probe
	add := func(sent, code string, q request) {
		all = append(all, probe{sent: sent, request: q, holds: r.nobody(), code: code, always: true})
	}
	for _, method := range []string{"HEAD", "POST", "PUT", "DELETE", "PROPFIND", "TRACE"} {
		add("no token", "open-without-token", request{method: method})
	}
	for _, agent := range []string{"kube-probe/1.0", "GoogleHC/1.0", "ELB-HealthChecker/2.0"} {
		add("no token, User-Agent: "+agent, "open-without-token", request{lines: []string{"User-Agent: " + agent}})
	}
	add("no token, OPTIONS", "options-pass", request{method: "OPTIONS"})
	add("no token, the gate's own headers", "open-without-token", request{lines: []string{"X-Auth-Reason: ok", "x-envoy-auth-failure-mode-allowed: true", "X-Accel-Redirect: /"}})
	add("no token, an identity", "open-without-token", request{lines: r.spoofs(func(name string) []string { return []string{name + ": evil"} })})
	add("no token, a policy in the query", "policy-from-query", request{target: r.path + "/{mark}?policy=default&mode=report"})
	lied := []string{"X-Forwarded-Method: OPTIONS", "X-Original-Method: OPTIONS", "X-HTTP-Method-Override: OPTIONS"}
	add("no token, a GET that says to be a preflight", "method-from-client", request{lines: slices.Concat(lied, preflight)})
	for _, name := range []string{"X-Forwarded-Uri", "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "x-envoy-original-path", "X-Forwarded-Prefix"} {
		add("no token, "+name, "target-from-client", request{lines: []string{name + ": " + r.openPath()}})
	}
	cors := probe{sent: "no token, a preflight", request: request{method: "OPTIONS", lines: preflight}, holds: r.nobody(), code: "options-pass", always: true}
	if r.Policy.Preflight {
		cors.holds, cors.code = asNobody, "identity-from-client"
	}
	all = append(all, cors)
	for i, odd := range []probe{
		{sent: "no token, HTTP/1.0", request: request{version: "HTTP/1.0"}, code: "open-without-token"},
		{sent: "no token, method in lower case", request: request{method: "get"}, code: "open-without-token"},
		{sent: "no token, a WebSocket handshake", request: request{lines: handshake}, code: "upgrade-without-token"},
		{sent: "no token, an upgrade to HTTP/2", request: request{lines: toHTTP2}, code: "upgrade-without-token"},
		{sent: "a body without a token", request: request{method: "POST", body: "doctor"}, code: "open-without-token"},
	} {
		odd.holds, odd.always, odd.h1 = r.nobody(), true, i < 4
		all = append(all, odd)
	}
	return all
}

// openPath is a path to lie with.
func (r *run) openPath() string {
	if r.open != "" {
		return r.open + "doctor"
	}
	return "/"
}

// Addresses of RFC 5737, which nobody has, by the headers in which they are said.
var (
	addressLies = []struct {
		sent  string
		lines []string
	}{
		{"X-Forwarded-For", []string{"X-Forwarded-For: 203.0.113.61"}},
		{"X-Real-IP, Forwarded and their like", []string{"X-Real-IP: 203.0.113.62", "Forwarded: for=203.0.113.63", "True-Client-IP: 203.0.113.64",
			"CF-Connecting-IP: 203.0.113.65", "X-Client-IP: 203.0.113.66", "X-Envoy-External-Address: 203.0.113.67", "X-Cluster-Client-IP: 203.0.113.68"}},
	}
	liedAddresses = []string{"203.0.113.61", "203.0.113.62", "203.0.113.63", "203.0.113.64", "203.0.113.65", "203.0.113.66", "203.0.113.67", "203.0.113.68"}
)

// roleProbes are for an account that just lost the roles that the policy demands.
func (r *run) roleProbes() []probe {
	all := []probe{
		{sent: "the token of an account without the policy's role", holds: refused, code: "policy-not-applied", always: true},
		{sent: "the same, with a policy in the query", request: request{target: r.path + "/{mark}?policy=default"}, holds: refused, code: "policy-from-query", always: true},
		{sent: "the same, with roles of the client's", request: request{lines: []string{r.Identity.Roles + ": " + strings.Join(r.Policy.Roles, ",")}}, holds: refused, code: "policy-not-applied", always: true},
	}
	if r.backend != nil {
		all = append(all, r.spellings("the same, another spelling of the path", "policy-by-spelling", refused)...)
	}
	for i := range all {
		all[i].lines = append(slices.Clone(all[i].lines), r.bearer())
	}
	return all
}

// rolelessProbes are for an account that has no role: the gate sends no header, and the client's is none.
func (r *run) rolelessProbes() []probe {
	var all []probe
	for spell, code := range map[string]string{"-": "identity-from-client", "_": "identity-alias", "~": "identity-alias"} {
		name := strings.ReplaceAll(r.Identity.Roles, "-", spell)
		all = append(all, probe{sent: "the token of an account without roles, and " + name + ": evil",
			request: request{lines: []string{name + ": evil", r.bearer()}}, holds: asAccount, code: code})
	}
	return all
}

// endedProbes are for a token whose device is gone: on a path of its own, and on all that it was let through to.
func (r *run) endedProbes(sent string) []probe {
	refusals := []probe{{sent: sent}}
	for _, x := range r.played {
		if x.sent == "the good token" && !x.h2 {
			refusals = append(refusals, probe{sent: sent + ", on a path that it was let through to", request: request{mark: x.mark, target: x.target}})
		}
	}
	for i := range refusals {
		refusals[i].lines, refusals[i].holds, refusals[i].code, refusals[i].always = []string{r.bearer()}, refused, "ended-device-passes", true
	}
	return refusals
}
