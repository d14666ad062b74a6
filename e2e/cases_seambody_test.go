package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// bodyToGate makes a proxy send the body to the gate, up to ten bytes.
func bodyToGate(partial string) map[string][]literal {
	envoy := func(file string) []literal {
		return []literal{{file, "transport_api_version: V3", "transport_api_version: V3\n                      with_request_body: {max_request_bytes: 10, allow_partial_message: " + partial + "}"}}
	}
	return map[string][]literal{
		"traefik":    {{"dynamic.yaml", "trustForwardHeader: true", "trustForwardHeader: true\n        forwardBody: true\n        maxBodySize: 10"}},
		"envoy_http": envoy("envoy_http.yaml"),
		"envoy_grpc": envoy("envoy_grpc.yaml"),
	}
}

// seamBodyRows are about answers and bodies that the gate and the examples do not have, but others
// may come to.
func seamBodyRows() []seamRow {
	post := testCase{line: "POST /{id}", headers: []string{asAlice, "Content-Length: 20"}, body: strings.Repeat("x", 20)}
	return append(append(append(
		rows("5", testCase{title: "a gate that answered 204", send: whenGateSays(says("204 No Content")),
			want: only(isOpen(), "nginx", "traefik", "caddy").except(byProxy(204), "envoy_http").except(byProxy(503), "haproxy")}),
		rows("7", testCase{title: "a gate with two challenges", want: only(byProxy(401), "nginx", "traefik", "envoy_http", "caddy").except(byProxy(503), "haproxy"),
			send: whenGateSays(says("401 Unauthorized", `WWW-Authenticate: Bearer realm="a"`, `WWW-Authenticate: Basic realm="b"`)), check: challenges})...),
		rows("9", testCase{title: "a gate that answered 429", send: whenGateSays(says("429 Too Many Requests", "Retry-After: 7")),
			want: only(byProxy(429), "traefik", "envoy_http", "caddy").except(byProxy(500), "nginx").except(byProxy(503), "haproxy")})...),
		append(rows("15",
			testCase{title: "a body larger than what the proxy may send along", send: with(post, bodyToGate("false")),
				want: only(byProxy(401), "traefik").except(byProxy(413), envoys...)},
			testCase{title: "a part of the body sent along", send: with(post, bodyToGate("true")), want: only(passes(), envoys...), check: seesAlice}),
			rows("65",
				testCase{title: "a gate that answered with 4 KB of headers", send: whenGateSays(says("200 OK", "Remote-User: "+strings.Repeat("x", 4200))),
					want: only(byProxy(500), "nginx")},
				testCase{title: "a gate that answered with a redirect", send: whenGateSays(says("302 Found", "Location: /open/")),
					want: only(byProxy(500), "nginx").except(byProxy(302), "traefik", "envoy_http", "caddy").except(byProxy(503), "haproxy")})...)...)
}

// challenges: nginx 1.22 passes on the first alone. HAProxy's script shows no refusal that names no reason.
func challenges(t *testing.T, b *bench, x exchange) {
	if b.name == "haproxy" {
		return
	}
	got := x.header.Values("WWW-Authenticate")
	if len(got) == 0 || got[0] != `Bearer realm="a"` || b.name != "nginx" && len(got) != 2 {
		t.Errorf("WWW-Authenticate = %q", got)
	}
}

// seamFailureRows are requests that make a check fail, or might.
func seamFailureRows() []seamRow {
	return append(rows("B12",
		testCase{title: "a header that is not UTF-8, without a token", headers: []string{"X-Odd: \xff\xfe"}, want: everywhere(refused("no_token"))},
		testCase{title: "a header that is not UTF-8, with a token", headers: []string{"X-Odd: \xff\xfe", asAlice}, want: everywhere(passes()), check: seesAlice},
		testCase{title: "a token that is not UTF-8", headers: []string{"Authorization: Bearer \xff\xfe"}, want: everywhere(refused("bad_authorization"))},
	), rows("73",
		testCase{title: "x-envoy-auth-failure-mode-allowed from the client, without a token",
			headers: []string{"X-Envoy-Auth-Failure-Mode-Allowed: true"}, want: everywhere(refused("no_token"))},
		testCase{title: "x-envoy-auth-failure-mode-allowed from the client, the gate down",
			headers: []string{"X-Envoy-Auth-Failure-Mode-Allowed: true", asAlice}, fault: down, want: only(byProxy(http.StatusServiceUnavailable), envoys...)},
	)...)
}

// seamSizeRows: what one proxy or the gate finds too large is never let through.
func seamSizeRows() []seamRow {
	var many []string
	for range 300 {
		many = append(many, "X-Filler: x")
	}
	bearer := func(n int) []string { return []string{"Authorization: Bearer " + strings.Repeat("x", n)} }
	cookie := func(n int) []string { return []string{"Cookie: a=" + strings.Repeat("x", n), asAlice} }
	return rows("B19",
		testCase{title: "a token of 4 KB that is none", headers: bearer(4000), want: everywhere(refused("token_malformed"))},
		testCase{title: "a token of 60 KB that is none", headers: bearer(60_000), want: everywhere(refused("token_malformed")).except(byProxy(400), "nginx", "haproxy").except(byProxy(431), "caddy")},
		testCase{title: "a cookie of 7 KB, with a token", headers: cookie(7000), want: everywhere(passes()), check: seesAlice},
		testCase{title: "a cookie of 58 KB, with a token", headers: cookie(58_000), want: everywhere(passes()).except(byProxy(400), "nginx", "haproxy").except(byProxy(431), "caddy")},
		testCase{title: "a cookie of 300 KB, with a token", headers: cookie(300_000), want: everywhere(byProxy(431)).except(byProxy(400), "nginx", "haproxy")},
		testCase{title: "300 headers, with a token", headers: append(many, asAlice), want: everywhere(passes()).except(byProxy(431), envoys...).except(byProxy(400), "haproxy")},
		testCase{title: "300 headers, without a token", headers: many, want: everywhere(refused("no_token")).except(byProxy(431), envoys...).except(byProxy(400), "haproxy")},
	)
}
