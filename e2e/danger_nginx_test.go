package e2e_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func nginxDangers() []danger {
	const server, check = "devicegate.conf", "devicegate_check.conf"
	root := func(more string) []literal {
		return []literal{{server, "location / {\n", "location / {\n        " + more + "\n"}}
	}
	checking := func(more string) []literal {
		return []literal{{check, "proxy_http_version      1.1;", "proxy_http_version 1.1;\n" + more}}
	}
	nobody := testCase{}
	options := testCase{line: "OPTIONS /{id}"}
	underscore := testCase{headers: []string{"Remote_User: evil", asAlice}}
	unnamed := literal{server, "location /_devicegate/ {", "location /_nothing/ {"}
	return []danger{
		{weakening: weakening{title: "satisfy any", changes: root("satisfy any; allow all;"), request: nobody, through: reached},
			what: "everybody whose address is allowed, without a token: the check is not asked"},
		{weakening: weakening{title: "return in a protected location", changes: root(`return 200 "the page";`), request: nobody, through: answered},
			what: "everybody: `return` answers before the check"},
		{weakening: weakening{title: "if OPTIONS return 204", changes: root("if ($request_method = OPTIONS) { return 204; }"), request: options, through: answered},
			what: "an answer to OPTIONS without a token (the backend is not reached)"},
		{weakening: weakening{title: "a header of its own in a nested location", request: evilToken, through: believed,
			changes: []literal{{server, "location / {\n", "location ~ ^/id {\n            proxy_set_header X-Any thing;\n            proxy_pass http://127.0.0.1:9000;\n        }\n    location / {\n"}}},
			what: "the client's `Remote-User`: any `proxy_set_header` at a level drops those that would be inherited"},
		{weakening: weakening{title: "proxy_intercept_errors with error_page in the check", request: nobody, through: reached,
			changes: []literal{{check, "proxy_intercept_errors  off;", "proxy_intercept_errors on;\nerror_page 401 =200 /open/error;"}}},
			what: "everybody: the refusal becomes the page, and the page's 200 an allow"},
		{weakening: weakening{title: "X-Accel-Redirect obeyed", request: nobody, through: reached,
			changes: []literal{{check, "proxy_ignore_headers    X-Accel-Redirect;", ""}}}, answer: says("403 Forbidden", "X-Accel-Redirect: /open/x"),
			what: "everybody, if the gate's refusal names an open path in `X-Accel-Redirect`. The gate never does"},
		{weakening: weakening{title: "underscores_in_headers on", request: underscore, through: believed,
			changes: []literal{{server, "listen 8080;", "underscores_in_headers on; listen 8080;"}}},
			what: "`Remote_User: evil` beside the true `Remote-User`"},
		{weakening: weakening{title: "ignore_invalid_headers off", request: aliasToken, through: believed,
			changes: []literal{{server, "listen 8080;", "ignore_invalid_headers off; listen 8080;"}}},
			what: "`Remote~User` and twelve more beside the true `Remote-User`"},
		{weakening: weakening{title: "no proxy_read_timeout", request: testCase{send: withinThreeSeconds}, fault: hanging,
			changes: []literal{{check, "proxy_read_timeout      1s;", ""}}, through: func(_ *bench, x exchange) bool { return x.status == 0 }},
			what: "nobody, but every request is held for a minute while the gate hangs"},
		{weakening: weakening{title: "no Content-Length \"\" in the check", changes: []literal{{check, `proxy_set_header Content-Length    "";`, ""}},
			request: testCase{line: "POST /{id}", headers: []string{asAlice, "Content-Length: 5"}, body: "hello"},
			through: func(_ *bench, x exchange) bool { return strings.Contains(x.asked, "Content-Length: 5") }},
			what: "nobody, but the gate is told of a body that never comes, and the connection to it cannot be used again"},
		{weakening: weakening{title: "proxy_cache by path, against Cache-Control", request: testCase{send: aliceThenNobody}, through: reached,
			changes: append([]literal{cacheOn[0]}, checking("proxy_cache checks;\nproxy_cache_valid 200 1m;\nproxy_cache_key $request_uri;\nproxy_ignore_headers Cache-Control;")...)},
			what: "whoever asks for what somebody else was let in to, in his name"},
		{weakening: weakening{title: "any upgrade passed on", request: testCase{line: "GET /ws/{id}", headers: append([]string{asAlice}, h2c...)}, through: tunnelled,
			changes: []literal{{server, "Upgrade    $gate_upgrade;", "Upgrade    $http_upgrade;"}, {server, "map $gate_upgrade $gate_connection", "map $http_upgrade $gate_connection"}}},
			what: "`Upgrade: h2c`: a client with a token then has a tunnel in which it asks for any path in any name, unchecked"},
		{weakening: weakening{title: "mirror", request: testCase{send: untilClosed}, through: believed,
			changes: []literal{{server, "location / {\n", "location = /_mirror {\n        internal;\n        proxy_pass http://127.0.0.1:9000$request_uri;\n    }\n    location / {\n        mirror /_mirror;\n"}}},
			what: "the copy of an allowed request, with the client's `Remote-User`: copies are not checked, and inherit no header"},
		{weakening: weakening{title: "auth_request with a name that no location has", request: nobody, through: reached,
			changes: []literal{{server, "auth_request /_devicegate/default;", "auth_request /_devicegate/defualt;"}}},
			safe: true, what: "nobody, not even with a token: `location /_devicegate/` refuses what no other location takes"},
		{weakening: weakening{title: "the same without location /_devicegate/", request: nobody, through: reached,
			changes: []literal{{server, "auth_request /_devicegate/default;", "auth_request /_devicegate/defualt;"}, unnamed}},
			what: "everybody: the question goes to `location /`, unchecked, and the backend's 200 is the allow"},
		{weakening: weakening{title: "a policy in auth_request's own query, without location /_devicegate/", request: nobody, through: reached,
			changes: []literal{{server, "auth_request /_devicegate/default;", "auth_request /_devicegate/default?policy=default;"}, unnamed}},
			what: "everybody, in the same way: the question mark becomes a part of the name"},
		{weakening: weakening{title: "proxy_pass_request_headers off in the check", request: testCase{headers: []string{asAlice}}, through: reached, changes: checking("proxy_pass_request_headers off;")},
			closed: true, what: "nobody, not even with a token: the gate is not shown it. With `proxy_set_header Authorization $http_authorization` it is a sound choice"},
		{weakening: weakening{title: "proxy_pass_request_headers off in the protected location", request: evilToken, through: believed, changes: root("proxy_pass_request_headers off;")},
			safe: true, what: "no header of the client's; the identity, which nginx sets itself, stays"},
	}
}

// withinThreeSeconds is longer than the check may take in the example, and shorter than nginx waits
// by default.
func withinThreeSeconds(t *testing.T, b *bench, id string) exchange {
	return exchange{id: id, response: sendRaw(t, clientIP, b.addr, testCase{headers: []string{asAlice}}.raw(b, id), 3*time.Second)}
}

// untilClosed reads to the end of the connection, which nginx closes once the copies are sent too.
func untilClosed(t *testing.T, b *bench, id string) exchange {
	before := b.backend.count()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}, Timeout: patience}
	conn, err := dialer.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, testCase{headers: append([]string{"Connection: close"}, evilToken.headers...)}.raw(b, id))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("nginx does not close the connection: %v", err)
	}
	return exchange{id: id, seen: b.backend.since(before)}
}

// aliceThenNobody asks twice for one path, with a token and without.
func aliceThenNobody(t *testing.T, b *bench, id string) exchange {
	if x := b.as(t, b.alice.Access, id); x.status != http.StatusOK {
		t.Fatalf("with a token: status %d", x.status)
	}
	return b.exchange(t, testCase{}.raw(b, id), id)
}
