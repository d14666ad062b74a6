package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

const asAlice = "Authorization: Bearer {alice}"

func basicCases() []testCase {
	all := []testCase{
		{number: 1, title: "a valid token passes", headers: []string{asAlice}, want: everywhere(passes()), check: seesAlice},
		{number: 1, title: "a valid token on the staff route, role held", line: "GET /staff/{id}",
			headers: []string{"Authorization: Bearer {bob}"}, want: everywhere(passes()),
			check: func(t *testing.T, b *bench, x exchange) { seesOnly(t, x, "bob", b.bob.Device, "staff") }},
		{number: 1, title: "a valid token on the staff route, role missing", line: "GET /staff/{id}",
			headers: []string{asAlice}, want: everywhere(refused("role_missing"))},
		{number: 1, title: "a valid token on the open route", line: "GET /open/{id}", headers: []string{asAlice},
			want: everywhere(isOpen()), check: seesNobody},
		{number: 2, title: "no credential", want: everywhere(refused("no_token"))},
		{number: 2, title: "no credential on the open route", line: "GET /open/{id}", want: everywhere(isOpen()), check: seesNobody},
		{number: 8, title: "the body of a refusal", want: everywhere(refused("no_token")), check: refusalBody},
		{number: 13, title: "a body of 10 MB is the backend's alone", line: "POST /{id}",
			headers: []string{asAlice, "Content-Length: 10000000"}, body: strings.Repeat("x", 10_000_000),
			want: everywhere(passes()), check: bodyIsTheBackends},
		{number: 13, title: "a body of 10 MB without a token", line: "POST /{id}",
			headers: []string{"Content-Length: 10000000"}, body: strings.Repeat("x", 10_000_000),
			want: everywhere(refused("no_token"))},
		{number: 16, title: "chunked, with a token", line: "POST /{id}", headers: []string{asAlice, "Transfer-Encoding: chunked"},
			body: "5\r\nhello\r\n0\r\n\r\n", want: everywhere(passes()), check: bodyOf(5)},
		{number: 16, title: "chunked, without a token", line: "POST /{id}", headers: []string{"Transfer-Encoding: chunked"},
			body: "5\r\nhello\r\n0\r\n\r\n", want: everywhere(refused("no_token"))},
		{number: 16, title: "Expect: 100-continue, with a token", line: "POST /{id}",
			headers: []string{asAlice, "Content-Length: 5", "Expect: 100-continue"}, body: "hello",
			want: everywhere(passes()), check: bodyOf(5)},
		{number: 16, title: "Expect: 100-continue, without a token", line: "POST /{id}",
			headers: []string{"Content-Length: 5", "Expect: 100-continue"}, body: "hello",
			want: everywhere(refused("no_token"))},
	}
	all = append(all, methodCases()...)
	return append(all, userAgentCases()...)
}

// refusalBody: all but nginx, which writes a page of its own, pass the gate's answer on.
func refusalBody(t *testing.T, b *bench, x exchange) {
	wantType, wantText := "application/problem+json", `"no_token"`
	if b.name == "nginx" {
		wantType, wantText = "text/html", "<center>nginx"
	}
	if got := x.header.Get("Content-Type"); got != wantType {
		t.Errorf("Content-Type = %q, want %s", got, wantType)
	}
	if !strings.Contains(x.body, wantText) {
		t.Errorf("body = %q, want it to contain %s", x.body, wantText)
	}
}

// bodyIsTheBackends: the whole body arrives there, and none of it at the gate.
func bodyIsTheBackends(t *testing.T, b *bench, x exchange) {
	bodyOf(10_000_000)(t, b, x)
	if x.askedLen > 10_000 || strings.Contains(x.asked, "xxxxxxxx") {
		t.Errorf("the gate was sent %d bytes, want a head only", x.askedLen)
	}
	if b.name == "nginx" && strings.Contains(strings.ToLower(x.asked), "content-length") {
		t.Errorf("the gate was told the length of a body that it is not sent:\n%s", x.asked)
	}
}

func bodyOf(n int64) func(*testing.T, *bench, exchange) {
	return func(t *testing.T, b *bench, x exchange) {
		seesAlice(t, b, x)
		if x.seen[0].body != n {
			t.Errorf("the backend got %d bytes of body, want %d", x.seen[0].body, n)
		}
	}
}

func methodCases() []testCase {
	var all []testCase
	for _, method := range []string{"HEAD", "PUT", "DELETE", "PATCH", "PROPFIND", "OPTIONS"} {
		all = append(all,
			testCase{number: 11, title: method + " with a token", line: method + " /{id}", headers: []string{asAlice},
				want: everywhere(passes()), check: gateSaw(method)},
			testCase{number: 11, title: method + " without a token", line: method + " /{id}",
				want: everywhere(refused("no_token")), check: gateSaw(method)})
	}
	return all
}

// gateSaw: the gate knows the client's method, whatever the proxy calls it with.
func gateSaw(method string) func(*testing.T, *bench, exchange) {
	return func(t *testing.T, b *bench, x exchange) {
		if x.decision.Method != method {
			t.Errorf("the gate logged the method %s, want %s", x.decision.Method, method)
		}
		calledWith := http.MethodGet // by all but Envoy
		if b.name == "envoy_http" {
			calledWith = method
		}
		if !b.grpc && !strings.HasPrefix(x.asked, calledWith+" /auth/") {
			t.Errorf("the gate was asked with %q, want %s", strings.SplitN(x.asked, "\r\n", 2)[0], calledWith)
		}
	}
}

// userAgentCases: no caller is let off for what it calls itself.
func userAgentCases() []testCase {
	var all []testCase
	for _, header := range []string{"X-Nothing: no User-Agent", "User-Agent: kube-probe/1.0", "User-Agent: GoogleHC/1.0"} {
		all = append(all,
			testCase{number: 18, title: header + ", without a token", headers: []string{header}, want: everywhere(refused("no_token"))},
			testCase{number: 18, title: header + ", with a token", headers: []string{header, asAlice}, want: everywhere(passes()), check: seesAlice})
	}
	return all
}
