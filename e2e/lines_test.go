package e2e_test

import (
	"strings"
	"testing"
)

// A weakening takes one guard out of an example. Something gets through then: so the guard does
// something, and the request is one that tells.
type weakening struct {
	title   string
	changes []literal
	request testCase
	fault   fault
	through func(b *bench, x exchange) bool
	opens   string // what gets through then, in the words of docs/seam.md; empty: the page has the title alone
}

// TestEveryLineCounts plays each weakening on the proxy as it is shipped, where nothing gets
// through, and on the weakened one, where it must.
func TestEveryLineCounts(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := startBench(t, p)
			for _, w := range weakenings(p) {
				t.Run(w.title, func(t *testing.T) {
					weak := b.changed(t, w.changes...)
					weak.next += 1000
					b.relay.set(w.fault)
					defer b.relay.set(healthy)
					if x := w.play(t, b); w.through(b, x) {
						t.Errorf("through the example as it stands: %+v", x)
					}
					if x := w.play(t, weak); !w.through(weak, x) {
						t.Errorf("nothing gets through without the line, so it is either needless or untested: %+v", x)
					}
				})
			}
		})
	}
}

func (w weakening) play(t *testing.T, b *bench) exchange {
	t.Helper()
	id := b.id()
	x := b.exchange(t, w.request.raw(b, id), id)
	if w.request.want[b.name].reason != "" {
		d := b.gate.waitDecision(t, id)
		x.decision = &d
	}
	return x
}

func weakenings(p product) []weakening {
	switch p.name {
	case "nginx":
		return nginxWeakenings()
	case "traefik":
		return traefikWeakenings()
	case "caddy":
		return caddyWeakenings()
	case "haproxy":
		return haproxyWeakenings()
	}
	both := envoyWeakenings(p.name + ".yaml")
	if p.grpc {
		return append(both, envoyGRPCWeakenings()...)
	}
	return append(both, envoyHTTPWeakenings()...)
}

// What may get through.

// reached: the backend got the request.
func reached(_ *bench, x exchange) bool { return len(x.seen) > 0 }

// believed: the backend got an identity header of the client's.
func believed(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		for _, values := range identityOf(r) {
			if strings.Contains(strings.Join(values, " "), "evil") {
				return true
			}
		}
	}
	return false
}

// escaped: the backend got a path that is not below /open/ once it is decoded and cleaned.
func escaped(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		if r.target() != "/open/"+x.id {
			return true
		}
	}
	return false
}

// elsewhere: the gate took the client's word for its address.
func elsewhere(_ *bench, x exchange) bool { return x.decision.ClientIP != clientIP }

// misled: the gate took the client's word for the host.
func misled(_ *bench, x exchange) bool { return x.decision.Host != "app.example" }

// alone: the backend got the client's X-Forwarded-For without the true address behind it.
func alone(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		if !strings.HasSuffix(strings.Join(r.values("X-Forwarded-For"), ","), clientIP) {
			return true
		}
	}
	return false
}

var (
	evilOnOpen  = testCase{line: "GET /open/{id}", headers: []string{"Remote-User: evil"}}
	evilToken   = testCase{headers: []string{"Remote-User: evil", asAlice}}
	aliasOnOpen = testCase{line: "GET /open/{id}", headers: []string{"Remote~User: evil"}}
	aliasToken  = testCase{headers: []string{"Remote~User: evil", asAlice}}
	otherHost   = testCase{headers: []string{"X-Forwarded-Host: evil.example"}, want: everywhere(refused("no_token"))}
	spoofedFrom = testCase{headers: []string{"X-Forwarded-For: 203.0.113.9"}, want: everywhere(refused("no_token"))}
	staffRoute  = testCase{line: "GET /staff/{id}", headers: []string{asAlice}}
)

func path(p string) testCase { return testCase{line: "GET " + p} }

func nginxWeakenings() []weakening {
	const server, protected, open, check = "devicegate.conf", "devicegate_protected.conf", "devicegate_open.conf", "devicegate_check.conf"
	refuseNothing := []literal{{server, "return 400;", ""}}
	notFound := func(_ *bench, x exchange) bool { return x.status != 404 }
	return []weakening{
		{title: "internal", changes: []literal{{check, "internal;", ""}}, request: path("/_devicegate/default?{id}"), through: notFound},
		{title: "identity set", changes: []literal{{protected, "proxy_set_header Remote-User   $gate_user;", ""}}, request: evilToken, through: believed},
		{title: "identity in the nested location", request: testCase{line: "GET /ws/{id}", headers: evilToken.headers}, through: believed,
			changes: []literal{{server, "include devicegate_protected.conf;\n            proxy_set_header", "proxy_set_header"}}},
		{title: "identity emptied on open locations", changes: []literal{{open, "proxy_set_header Remote-User   '';", ""}}, request: evilOnOpen, through: believed},
		{title: "dot segments", changes: refuseNothing, request: path("/staff/../open/{id}"), through: escaped},
		{title: "dot segments after a number sign", changes: refuseNothing, request: path("/open/#/../../{id}"), through: escaped},
		{title: "dot segments with a parameter", changes: refuseNothing, request: path("/open/..;/{id}"), through: escaped},
		{title: "encoded slash", changes: refuseNothing, request: path("/staff/..%2fopen/{id}"), through: escaped},
		{title: "encoded backslash", changes: refuseNothing, request: path("/open/..%5c{id}"), through: escaped},
		{title: "encoded percent", changes: refuseNothing, request: path("/open/%252e%252e/{id}"), through: escaped},
		{title: "odd header names", changes: []literal{{server, "listen ", "ignore_invalid_headers off; listen "}}, request: aliasOnOpen, through: believed},
		{title: "X-Accel-Redirect", changes: []literal{{check, "proxy_ignore_headers    X-Accel-Redirect;", ""}}, fault: redirecting, through: reached},
		{title: "$host", changes: []literal{{check, "$scheme://$host$request_uri", "$scheme://$http_host$request_uri"}},
			request: testCase{line: "GET http://app.example/{id}", headers: []string{"Host: evil.example"}, want: only(refused("no_token"), "nginx")},
			through: misled},
		{title: "the client's address", changes: []literal{{check, "X-Forwarded-For   $remote_addr", "X-Nothing $remote_addr"}}, request: spoofedFrom, through: elsewhere},
		{title: "the policy of a location", changes: []literal{{server, "auth_request /_devicegate/staff;", ""}}, request: staffRoute, through: reached},
	}
}

func traefikWeakenings() []weakening {
	const entry, routes = "traefik.yaml", "dynamic.yaml"
	const regex = "authResponseHeadersRegex: (?i)^remote[^a-z0-9]*(user|groups|device)$"
	keep := literal{entry, "aliasHeadersStrategy: delete", "aliasHeadersStrategy: keep"}
	return []weakening{
		{title: "aliases on open routes", changes: []literal{keep}, request: aliasOnOpen, through: believed},
		{title: "aliases on protected routes", request: aliasToken, through: believed,
			changes: []literal{keep, {routes, regex, "authResponseHeaders: [Remote-User, Remote-Groups, Remote-Device]"}}},
		{title: "the client's own name", changes: []literal{{routes, regex, ""}}, request: evilToken, through: believed},
		{title: "encoded slash", changes: []literal{{entry, "allowEncodedSlash: false", "allowEncodedSlash: true"}}, request: path("/open/..%2f{id}"), through: escaped},
		{title: "encoded backslash", changes: []literal{{entry, "allowEncodedBackSlash: false", "allowEncodedBackSlash: true"}}, request: path("/open/..%5c{id}"), through: escaped},
		{title: "encoded percent", changes: []literal{{entry, "allowEncodedPercent: false", "allowEncodedPercent: true"}}, request: path("/open/%252e%252e/{id}"), through: escaped},
		{title: "encoded semicolon", changes: []literal{{entry, "allowEncodedSemicolon: false", "allowEncodedSemicolon: true"}}, request: path("/open/..%3b/{id}"), through: escaped},
		{title: "a dot segment with a parameter", changes: []literal{{routes, "priority: 100", "priority: 1"}}, request: path("/open/..;/{id}"), through: escaped},
		{title: "identity stripped on open routers", changes: []literal{{routes, `Remote-User: ""`, ""}}, request: evilOnOpen, through: believed},
		{title: "an entry point that trusts nobody", changes: []literal{{entry, "    http:\n", "    forwardedHeaders: {insecure: true}\n    http:\n"}}, request: otherHost, through: misled},
		{title: "the policy of a router", changes: []literal{{routes, "middlewares: [check-staff]", "middlewares: [check-default]"}}, request: staffRoute, through: reached},
	}
}

func envoyWeakenings(file string) []weakening {
	return []weakening{
		{title: "identity removed before the check", changes: []literal{{file, "- remove: remote-user\n", "- remove: x-nothing\n"}}, request: evilOnOpen, through: believed},
		{title: "odd header names", changes: []literal{{file, `regex: "[a-z0-9:-]*[^a-z0-9:-].*"`, `regex: "nothing"`}}, request: aliasToken, through: believed},
		{title: "normalize_path", changes: []literal{{file, "normalize_path: true", "normalize_path: false"}}, request: path("/open/../{id}"), through: escaped},
		{title: "merge_slashes", changes: []literal{{file, "merge_slashes: true", "merge_slashes: false"}}, through: reached,
			request: testCase{line: "GET //staff/{id}", headers: []string{asAlice}}},
		{title: "escaped slashes", changes: []literal{{file, "REJECT_REQUEST", "KEEP_UNCHANGED"}}, request: path("/open/..%2f{id}"), through: escaped},
		{title: "the route that refuses", changes: []literal{{file, "regex: '(?i).*(", "regex: '(?i)nothing("}}, request: path("/open/%252e%252e/{id}"), through: escaped},
		{title: "the route that refuses, with a parameter", changes: []literal{{file, "regex: '(?i).*(", "regex: '(?i)nothing("}}, request: path("/open/%2e%2e;/{id}"), through: escaped},
		{title: "failure_mode_allow, the gate down", changes: []literal{{file, "failure_mode_allow: false", "failure_mode_allow: true"}}, fault: down, through: reached},
		{title: "use_remote_address", changes: []literal{{file, "use_remote_address: true", "use_remote_address: false"}}, through: alone,
			request: testCase{line: "GET /open/{id}", headers: []string{"X-Forwarded-For: 203.0.113.9"}}},
	}
}

func envoyGRPCWeakenings() []weakening {
	const file = "envoy_grpc.yaml"
	return []weakening{
		{title: "the policy of a route", changes: []literal{{file, "{policy: staff}", "{policy: default}"}}, request: staffRoute, through: reached},
	}
}

func envoyHTTPWeakenings() []weakening {
	const file = "envoy_http.yaml"
	return []weakening{
		{title: "the policy of a route", changes: []literal{{file, "path_prefix: /auth/envoy/staff", "path_prefix: /auth/envoy/default"}}, request: staffRoute, through: reached},
		{title: "allowed_upstream_headers", request: evilToken, through: believed,
			changes: []literal{{file, "- remove: remote-user\n", "- remove: x-nothing\n"}, {file, "{exact: remote-user}", "{exact: x-nothing}"}}},
		{title: "allowed_client_headers", changes: []literal{{file, "allowed_client_headers:", "allowed_client_headers_on_success:"}}, fault: redirecting,
			through: func(_ *bench, x exchange) bool { return x.header.Get("X-Accel-Redirect") != "" }},
		{title: "allowed_headers", changes: []literal{{file, "[{exact: x-forwarded-for}, ", "["}}, request: spoofedFrom, through: elsewhere},
	}
}
