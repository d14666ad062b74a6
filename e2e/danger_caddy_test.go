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
		{title: "route, not handle", opens: "everybody with a token, as nobody: in a `handle` Caddy sorts, and what strips the client's name strips the gate's", request: testCase{line: "GET /staff/{id}", headers: []string{"Authorization: Bearer {bob}"}}, through: nameless,
			changes: []literal{{file, "route /staff* {\n", "handle /staff* {\n\t\t\trequest_header -Remote*\n"}}},
		{title: "identity removed on open routes", opens: "the client's `Remote-User`, on open routes", changes: without("request_header -Remote-User"), request: evilOnOpen, through: believed},
		{title: "aliases removed on open routes", opens: "`Remote~User: evil`, on open routes", changes: without("request_header -*~*"), request: aliasOnOpen, through: believed},
		{title: "aliases removed before the check", opens: "`Remote~User: evil` beside the true `Remote-User`", changes: without("request_header -*~*"), request: aliasToken, through: believed},
		{title: "the gate's own name alone", opens: "the client's `Remote-User`, as if the gate had said it", changes: []literal{{file, "request_header -Remote-User", ""}, {file, "copy_headers Remote-User Remote-Groups Remote-Device", ""}}, request: evilToken, through: believed},
		{title: "copy_headers", opens: "everybody with a token, as nobody", changes: without("copy_headers Remote-User Remote-Groups Remote-Device"), request: testCase{headers: []string{asAlice}}, through: nameless},
		{title: "Connection", opens: "a request without the gate's `Remote-User`: `Connection: Remote-User` takes it away", changes: without("request_header @plain -Connection"), request: takenBack, through: nameless},
		{title: "Connection of a handshake", opens: "the same in a WebSocket handshake", changes: without("request_header @websocket Connection Upgrade"), request: wsTakenBack, through: nameless},
		{title: "Connection, with WebSockets in mind", opens: "no WebSocket: `Connection` is deleted without exception", request: wsHandshake, changes: []literal{{file, "request_header @plain -Connection", "request_header -Connection"},
			{file, "request_header @websocket Connection Upgrade", ""}}, through: func(_ *bench, x exchange) bool { return x.status != http.StatusSwitchingProtocols }},
		{title: "Upgrade", opens: "`Upgrade: h2c`: a client with a token then has a tunnel, in which nothing is checked", request: toHTTP2, through: tunnelled,
			changes: []literal{{file, "request_header @plain -Connection", ""}, {file, "request_header @plain -Upgrade", ""}}},
		{title: "the question mark", opens: "every live device, on every route: the query of the client comes to the gate, and `?policy=default` with it", changes: []literal{{file, "uri /auth/caddy?policy={args[0]}", "uri /auth/caddy"}}, request: otherPolicy, through: weakPolicy},
		{title: "response_header_timeout", opens: "nobody, but every request is held as long as the gate hangs", changes: without("response_header_timeout 1s"), request: testCase{headers: []string{asAlice}}, fault: slow, through: reached},
		{title: "the client's X-Forwarded-Uri", opens: "the client's word for the path, to the backend", changes: without("request_header -X-Forwarded-Uri"), request: spoofed("X-Forwarded-Uri"), through: misinformed},
		{title: "the client's X-Forwarded-Method", opens: "the client's word for the method, to the backend", changes: without("request_header -X-Forwarded-Method"), request: spoofed("X-Forwarded-Method"), through: misinformed},
		{title: "the client's X-Forwarded-Prefix", opens: "the client's `X-Forwarded-Prefix`, to the backend", changes: without("request_header -X-Forwarded-Prefix"), request: spoofed("X-Forwarded-Prefix"), through: misinformed},
		{title: "the client's X-Forwarded-Port", opens: "the client's `X-Forwarded-Port`, to the backend", changes: without("request_header -X-Forwarded-Port"), request: spoofed("X-Forwarded-Port"), through: misinformed},
		{title: "dot segments", opens: "`/staff/../open/x`, which is `default` to Caddy and `/staff` to a backend that looks at its beginning", changes: refuseNothing, through: reached,
			request: testCase{line: "GET /staff/../open/{id}", headers: []string{asAlice}}},
		{title: "dot segments below the open route", opens: "`/open/../x`, open to Caddy and `/x` to the backend", changes: refuseNothing, request: path("/open/../{id}"), through: escaped},
		{title: "dot segments with a parameter", opens: "`/open/..;/x`, open to Caddy and `/x` to some backends", changes: refuseNothing, request: path("/open/..;/{id}"), through: escaped},
		{title: "encoded slash", opens: "`/open/..%2fx`, open to Caddy and `/x` to a backend that decodes it", changes: refuseNothing, request: path("/open/..%2f{id}"), through: escaped},
		{title: "encoded backslash", opens: "`/open/..%5cx`, in the same way", changes: refuseNothing, request: path("/open/..%5c{id}"), through: escaped},
		{title: "encoded percent", opens: "`/open/%252e%252e/x`, open to Caddy and `/x` to a backend that decodes twice", changes: refuseNothing, request: path("/open/%252e%252e/{id}"), through: escaped},
		{title: "the open route as it is written", opens: "`/OPEN/x`, and what becomes `/open/` when it is decoded and cleaned", changes: []literal{{file, "@open vars_regexp {http.request.uri} ^/open/", "@open path /open/*"}}, request: path("/OPEN/{id}"), through: escaped},
		{title: "the strict route without a slash", opens: "every live device, to `/staff;x`", changes: []literal{{file, "route /staff* {", "route /staff/* {"}}, request: testCase{line: "GET /staff;x/{id}", headers: []string{asAlice}}, through: reached},
		{title: "the policy of a route", opens: "every live device, on the staff route", changes: []literal{{file, "import check staff", "import check default"}}, request: staffRoute, through: reached},
		{title: "the last check", opens: "everybody, wherever no route asks", changes: without("import check default"), request: path("/{id}"), through: reached},
		{title: "trust in nobody", opens: "a gate that believes the client's `X-Forwarded-Host` and `-For`", changes: []literal{{file, "\tpersist_config off\n", "\tpersist_config off\n\tservers {\n\t\ttrusted_proxies static 0.0.0.0/0\n\t}\n"}}, request: otherHost, through: misled},
	}
}

// caddyDangers are those that the lines of the example have nothing to do with.
func caddyDangers() []danger {
	const file = "Caddyfile"
	return []danger{
		{weakening: weakening{title: "handle_errors with the application", request: testCase{headers: []string{asAlice}}, fault: down, through: reached,
			changes: []literal{{file, ":9000\n\t}\n}\n", ":9000\n\t}\n\thandle_errors {\n\t\treverse_proxy 127.0.0.1:9000\n\t}\n}\n"}}},
			what: "everybody, while the gate is down: the error page is the application"},
		{weakening: weakening{title: "respond to OPTIONS before the check", request: testCase{line: "OPTIONS /{id}"}, through: answered,
			changes: []literal{{file, "\t\timport check default\n", "\t\t@options method OPTIONS\n\t\trespond @options 204\n\t\timport check default\n"}}},
			what: "an answer to OPTIONS without a token (the backend is not reached)"},
	}
}
