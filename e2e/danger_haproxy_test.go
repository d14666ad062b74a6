package e2e_test

import "strings"

func haproxyWeakenings() []weakening {
	const file, script = "haproxy.cfg", "devicegate.lua"
	without := func(line string) []literal { return []literal{{file, line, ""}} }
	const refusal = "http-request deny deny_status 400 if { path "
	refuseNothing := []literal{{file, refusal, "http-request deny deny_status 400 if FALSE { path "}}
	const deny = "http-request deny deny_status 503 unless open or api or { var(txn.devicegate) -m str allow }"
	spoofed := func(header string) testCase {
		return testCase{headers: []string{asAlice, header + ": evil"}}
	}
	all := []weakening{
		{title: "identity removed on open routes", opens: "the client's `Remote-User`, on open routes", changes: without("http-request del-header Remote-User"), request: evilOnOpen, through: believed},
		{title: "odd header names on open routes", opens: "`Remote~User: evil`, on open routes", changes: without("option http-restrict-req-hdr-names delete"), request: aliasOnOpen, through: believed},
		{title: "odd header names on protected routes", opens: "`Remote~User: evil` beside the true `Remote-User`", changes: without("option http-restrict-req-hdr-names delete"), request: aliasToken, through: believed},
		{title: "identity set by the script", opens: "everybody with a token, as nobody", changes: []literal{{script, "identify(txn, answer.headers)", ""}}, request: testCase{headers: []string{asAlice}}, through: nameless},
		{title: "identity removed by the script too", opens: "the client's `Remote-User`, as if the gate had said it", request: evilToken, through: believed,
			changes: []literal{{file, "http-request del-header Remote-User", ""}, {script, "identify(txn, answer.headers)", ""}}},
		{title: "Connection", opens: "`Connection: Remote-User`, with which a proxy behind drops the gate's header", changes: without("http-request del-header Connection unless websocket"), request: takenBack, through: connectionNames},
		{title: "Connection of a handshake", opens: "the same in a WebSocket handshake", changes: without("http-request set-header Connection Upgrade   if websocket"), request: wsTakenBack, through: connectionNames},
		{title: "Upgrade", opens: "`Upgrade: h2c`: a client with a token then has a tunnel, in which nothing is checked", request: toHTTP2, through: tunnelled,
			changes: []literal{{file, "http-request del-header Upgrade    unless websocket", ""}, {file, "http-request del-header Connection unless websocket", ""}}},
		{title: "the client's address", opens: "a gate that believes the client's `X-Forwarded-For`", changes: without("http-request set-header X-Forwarded-For    %[src]"), request: spoofedFrom, through: elsewhere},
		{title: "the client's X-Forwarded-Host", opens: "a gate that believes the client's `X-Forwarded-Host`", changes: without("http-request set-header X-Forwarded-Host   %[req.fhdr(host)]"), request: otherHost, through: misled},
		{title: "the client's X-Forwarded-Prefix", opens: "the client's `X-Forwarded-Prefix`, to the backend", changes: without("http-request del-header X-Forwarded-Prefix"), request: spoofed("X-Forwarded-Prefix"), through: misinformed},
		{title: "the client's X-Forwarded-Port", opens: "the client's `X-Forwarded-Port`, to the backend", changes: without("http-request del-header X-Forwarded-Port"), request: spoofed("X-Forwarded-Port"), through: misinformed},
		{title: "the open route as it is written", opens: "`/OPEN/x`, which is not open to the backend", changes: []literal{{file, "acl open  path_beg /open/", "acl open  path_beg -i /open/"}}, request: path("/OPEN/{id}"), through: escaped},
		{title: "the strict route, decoded", opens: "every live device, to `/st%61ff`", changes: []literal{{file, "if { path,url_dec -m reg", "if { path -m reg"}}, through: reached,
			request: testCase{line: "GET /st%61ff/{id}", headers: []string{asAlice}}},
		{title: "the strict route, with doubled slashes", opens: "every live device, to `//staff`", changes: []literal{{file, "^/+staff", "^/staff"}}, through: reached,
			request: testCase{line: "GET //staff/{id}", headers: []string{asAlice}}},
		{title: "a broken escape, which cannot be decoded", opens: "every live device, to `/st%61ff/x%zz`: what cannot be decoded is no `/staff`", changes: []literal{{file, "|%([^0-9a-f]|.[^0-9a-f]|.?$)", ""}}, through: reached,
			request: testCase{line: "GET /st%61ff/{id}%zz", headers: []string{asAlice}}},
		{title: "the policy of a route", opens: "every live device, on the staff route", changes: []literal{{file, "haproxy?policy=staff", "haproxy?policy=default"}}, request: staffRoute, through: reached},
		{title: "the last deny, the gate broken", opens: "everybody, while the gate answers 5xx", changes: without(deny), fault: broken, through: reached},
		{title: "the last deny, the gate hanging", opens: "everybody, while the gate hangs", changes: without(deny), fault: hanging, through: reached},
		{title: "the last deny, the script failing", opens: "everybody, when the script fails", request: path("/{id}"), through: reached,
			changes: []literal{{file, deny, ""}, {script, "local answer =", "error('it failed') local answer ="}}},
		{title: "status 200 alone allows", opens: "everybody, while the gate answers 5xx", changes: []literal{{script, "answer.status == 200", "answer.status"}}, fault: broken, through: reached},
		{title: "a gate's refusal ends the request", opens: "everybody: the refusal is not sent, and the next rule is looked at", changes: []literal{{script, "txn:done(reply)", ""}, {file, deny, ""}}, request: path("/{id}"), through: reached},
		{title: "the time limit", opens: "nobody, but every request is held as long as the gate hangs", changes: []literal{{script, ", timeout = limit}", "}"}}, request: testCase{headers: []string{asAlice}}, fault: slow, through: reached},
	}
	for _, odd := range []struct{ title, path, opens string }{
		{"dot segments", "/open/../{id}", "`/open/../x`, open to HAProxy and `/x` to the backend"},
		{"dot segments with a parameter", "/open/..;/{id}", "`/open/..;/x`, open to HAProxy and `/x` to some backends"},
		{"encoded dots", "/open/%2e%2e/{id}", "`/open/%2e%2e/x`, open to HAProxy and `/x` to the backend"},
		{"encoded slash", "/open/..%2f{id}", "`/open/..%2fx`, open to HAProxy and `/x` to a backend that decodes it"},
		{"encoded backslash", "/open/..%5c{id}", "`/open/..%5cx`, in the same way"},
		{"encoded percent", "/open/%252e%252e/{id}", "`/open/%252e%252e/x`, open to HAProxy and `/x` to a backend that decodes twice"},
	} {
		all = append(all, weakening{title: odd.title, opens: odd.opens, changes: refuseNothing, request: path(odd.path), through: escaped})
	}
	return append(all, normalizing())
}

// normalizing stands for the refusal of dot segments with normalize-uri, in an order that looks as good
// as the right one: what is decoded last has not been looked at.
func normalizing() weakening {
	const file = "haproxy.cfg"
	return weakening{title: "dot segments refused, and not cleaned in the wrong order", opens: "`/open/%2e%2e/x`, which is decoded after it was looked at", request: path("/open/%2e%2e/{id}"), through: escaped,
		changes: []literal{
			{file, "global\n", "global\n    expose-experimental-directives\n"},
			{file, "http-request deny deny_status 400 if { path ", "http-request normalize-uri path-strip-dotdot full\n" +
				"    http-request normalize-uri percent-decode-unreserved\n    http-request deny deny_status 400 if FALSE { path "},
		}}
}

// connectionNames: the backend was told that an identity header is for one hop only.
func connectionNames(_ *bench, x exchange) bool {
	for _, r := range x.seen {
		if strings.Contains(strings.Join(r.values("Connection"), ","), "Remote-User") {
			return true
		}
	}
	return false
}

// haproxyDangers are those that the lines of the example have nothing to do with.
func haproxyDangers() []danger {
	const file = "haproxy.cfg"
	return []danger{
		{weakening: weakening{title: "http-request allow before the check", request: testCase{line: "OPTIONS /{id}"}, through: reached,
			changes: []literal{{file, "    http-request lua.devicegate http://127.0.0.1:9280/auth/haproxy?policy=default", "    http-request allow if METH_OPTIONS\n    http-request lua.devicegate http://127.0.0.1:9280/auth/haproxy?policy=default"}}},
			what: "everybody, with that method: `allow` ends the rules, the last deny included"},
	}
}
