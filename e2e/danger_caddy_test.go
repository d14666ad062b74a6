package e2e_test

import (
	"net/http"
	"strings"
)

// weakPolicy: the gate took the policy from the client's query.
func weakPolicy(_ *bench, x exchange) bool { return x.decision.Reason != "role_missing" }

// nameless: a request that the gate let pass came to the backend without the user's name.
func nameless(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		if len(r.values("Remote-User")) == 0 {
			return true
		}
	}
	return false
}

// tunnelled: the backend was asked to leave HTTP/1.1 for something that no proxy looks into.
func tunnelled(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		if strings.Contains(strings.Join(r.values("Upgrade"), ","), "h2c") {
			return true
		}
	}
	return false
}

// misinformed: the backend got the client's word for what was asked.
func misinformed(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		for _, name := range []string{"X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix", "X-Forwarded-Port", "X-Forwarded-Host", "X-Forwarded-Proto"} {
			if strings.Contains(strings.Join(r.values(name), ","), "evil") {
				return true
			}
		}
	}
	return false
}

var (
	takenBack   = testCase{headers: []string{asAlice, "Connection: close, Remote-User"}}
	wsHandshake = testCase{line: "GET /ws/{id}", headers: []string{asAlice, "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}}
	wsTakenBack = testCase{line: "GET /ws/{id}", headers: []string{asAlice, "Upgrade: websocket", "Connection: Upgrade, Remote-User",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}}
	toHTTP2     = testCase{headers: []string{asAlice, "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"}}
	otherPolicy = testCase{line: "GET /staff/{id}?policy=default", headers: []string{asAlice}, want: everywhere(refused("role_missing"))}
)

func caddyWeakenings() []weakening {
	const file = "Caddyfile"
	refuseNothing := []literal{{file, "respond @odd 400", ""}}
	without := func(line string) []literal { return []literal{{file, line, ""}} }
	spoofed := func(header string) testCase {
		return testCase{headers: []string{asAlice, header + ": evil"}}
	}
	return []weakening{
		{title: "route, not handle", request: testCase{line: "GET /staff/{id}", headers: []string{"Authorization: Bearer {bob}"}}, through: nameless,
			changes: []literal{{file, "route /staff* {\n", "handle /staff* {\n\t\t\trequest_header -Remote*\n"}}},
		{title: "identity removed on open routes", changes: without("request_header -Remote*"), request: evilOnOpen, through: believed},
		{title: "aliases removed on open routes", changes: []literal{{file, "request_header -Remote*", "request_header -Remote-User"}}, request: aliasOnOpen, through: believed},
		{title: "aliases removed before the check", changes: without("request_header -Remote*"), request: aliasToken, through: believed},
		{title: "the gate's own name alone", changes: []literal{{file, "request_header -Remote*", ""}, {file, "copy_headers Remote-User Remote-Groups Remote-Device", ""}}, request: evilToken, through: believed},
		{title: "copy_headers", changes: without("copy_headers Remote-User Remote-Groups Remote-Device"), request: testCase{headers: []string{asAlice}}, through: nameless},
		{title: "Connection", changes: without("request_header @plain -Connection"), request: takenBack, through: nameless},
		{title: "Connection of a handshake", changes: without("request_header @websocket Connection Upgrade"), request: wsTakenBack, through: nameless},
		{title: "Connection, with WebSockets in mind", request: wsHandshake, changes: []literal{{file, "request_header @plain -Connection", "request_header -Connection"},
			{file, "request_header @websocket Connection Upgrade", ""}}, through: func(_ *bench, x exchange) bool { return x.status != http.StatusSwitchingProtocols }},
		{title: "Upgrade", request: toHTTP2, through: tunnelled,
			changes: []literal{{file, "request_header @plain -Connection", ""}, {file, "request_header @plain -Upgrade", ""}}},
		{title: "the question mark", changes: []literal{{file, "uri /auth/caddy?policy={args[0]}", "uri /auth/caddy"}}, request: otherPolicy, through: weakPolicy},
		{title: "response_header_timeout", changes: without("response_header_timeout 1s"), request: testCase{headers: []string{asAlice}}, fault: slow, through: reached},
		{title: "the client's X-Forwarded-Uri", changes: without("request_header -X-Forwarded-Uri"), request: spoofed("X-Forwarded-Uri"), through: misinformed},
		{title: "the client's X-Forwarded-Method", changes: without("request_header -X-Forwarded-Method"), request: spoofed("X-Forwarded-Method"), through: misinformed},
		{title: "the client's X-Forwarded-Prefix", changes: without("request_header -X-Forwarded-Prefix"), request: spoofed("X-Forwarded-Prefix"), through: misinformed},
		{title: "the client's X-Forwarded-Port", changes: without("request_header -X-Forwarded-Port"), request: spoofed("X-Forwarded-Port"), through: misinformed},
		{title: "dot segments", changes: refuseNothing, through: reached,
			request: testCase{line: "GET /staff/../open/{id}", headers: []string{asAlice}}},
		{title: "dot segments below the open route", changes: refuseNothing, request: path("/open/../{id}"), through: escaped},
		{title: "dot segments with a parameter", changes: refuseNothing, request: path("/open/..;/{id}"), through: escaped},
		{title: "encoded slash", changes: refuseNothing, request: path("/open/..%2f{id}"), through: escaped},
		{title: "encoded backslash", changes: refuseNothing, request: path("/open/..%5c{id}"), through: escaped},
		{title: "encoded percent", changes: refuseNothing, request: path("/open/%252e%252e/{id}"), through: escaped},
		{title: "the open route as it is written", changes: []literal{{file, "@open vars_regexp {http.request.uri} ^/open/", "@open path /open/*"}}, request: path("/OPEN/{id}"), through: escaped},
		{title: "the strict route without a slash", changes: []literal{{file, "route /staff* {", "route /staff/* {"}}, request: testCase{line: "GET /staff;x/{id}", headers: []string{asAlice}}, through: reached},
		{title: "the policy of a route", changes: []literal{{file, "import check staff", "import check default"}}, request: staffRoute, through: reached},
		{title: "the last check", changes: without("import check default"), request: path("/{id}"), through: reached},
		{title: "trust in nobody", changes: []literal{{file, "\tpersist_config off\n", "\tpersist_config off\n\tservers {\n\t\ttrusted_proxies static 0.0.0.0/0\n\t}\n"}}, request: otherHost, through: misled},
	}
}
