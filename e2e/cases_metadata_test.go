package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

func metadataCases() []testCase {
	original := []string{"X-Original-URL: http://app.example/open/x", "X-Original-Method: OPTIONS", "X-Original-URI: /open/x", "X-Rewrite-URL: /open/x"}
	forwarded := []string{"X-Forwarded-Uri: /open/x", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: evil.example", "X-Forwarded-Prefix: /open",
		"X-Forwarded-Proto: gopher", "X-Forwarded-Port: 1"}
	address := []string{"X-Forwarded-For: 203.0.113.9, 127.0.0.1", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 203.0.113.9",
		"Forwarded: for=203.0.113.9", "True-Client-IP: 203.0.113.9"}
	handshake := []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	with := func(headers []string, more ...string) []string {
		return append(append([]string(nil), headers...), more...)
	}
	return []testCase{
		{number: 30, title: "the client's X-Original-*, with a token", headers: with(original, asAlice), want: everywhere(passes()), check: gateSawTruth},
		{number: 30, title: "the client's X-Original-*, without a token", headers: original, want: everywhere(refused("no_token")), check: gateSawTruth},
		{number: 31, title: "the client's X-Forwarded-*, with a token", headers: with(forwarded, asAlice), want: everywhere(passes()), check: gateSawTruth},
		{number: 31, title: "the client's X-Forwarded-*, without a token", headers: forwarded, want: everywhere(refused("no_token")), check: gateSawTruth},
		{number: 32, title: "the backend sees rebuilt X-Forwarded-* only", headers: with(forwarded, asAlice), want: only(passes(), "traefik", "caddy", "haproxy"), check: rebuilt},
		{number: 41, title: "the client's X-Forwarded-For, X-Real-IP, Forwarded", headers: with(address, asAlice), want: everywhere(passes()), check: gateSawTruth},
		{number: 41, title: "the same without a token", headers: address, want: everywhere(refused("no_token")), check: gateSawTruth},
		{number: 56, title: "a GET that says it is OPTIONS", headers: []string{"X-Forwarded-Method: OPTIONS", "X-Original-Method: OPTIONS",
			"X-HTTP-Method-Override: OPTIONS", "Origin: https://app.example", "Access-Control-Request-Method: GET"},
			want: everywhere(refused("no_token")), check: gateSawTruth},
		{number: 57, title: "a WebSocket handshake without a token", line: "GET /ws/{id}", headers: handshake, want: everywhere(refused("no_token"))},
		{number: 57, title: "a WebSocket handshake with a token", line: "GET /ws/{id}", headers: with(handshake, asAlice),
			want:  everywhere(outcome{http.StatusSwitchingProtocols, "ok", true}),
			check: seesAlice},
		{number: 57, title: "a handshake that takes the gate's headers back", line: "GET /ws/{id}", headers: []string{"Upgrade: websocket", "Connection: Upgrade, Remote-User",
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", asAlice},
			want:  everywhere(outcome{http.StatusSwitchingProtocols, "ok", true}),
			check: seesAlice},
		{number: 57, title: "an upgrade to HTTP/2, in which nothing would be checked", line: "GET /ws/{id}", headers: []string{"Upgrade: h2c",
			"Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", asAlice},
			want: everywhere(passes()), check: seesAlice},
	}
}

// gateSawTruth: method, host, path and address that the gate decided on are those of the request.
func gateSawTruth(t *testing.T, b *bench, x exchange) {
	t.Helper()
	d := x.decision
	if d.Method != http.MethodGet || d.Host != "app.example" || d.Path != "/"+x.id || d.ClientIP != clientIP {
		t.Errorf("the gate was told %s %s%s from %s, want GET app.example/%s from %s", d.Method, d.Host, d.Path, d.ClientIP, x.id, clientIP)
	}
}

// rebuilt: none of the client's values is left.
func rebuilt(t *testing.T, b *bench, x exchange) {
	for _, h := range x.seen[0].headers {
		if name, value, _ := strings.Cut(h, ":"); strings.HasPrefix(strings.ToLower(name), "x-forwarded-") &&
			(strings.Contains(value, "open") || strings.Contains(value, "OPTIONS") || strings.Contains(value, "evil") || strings.Contains(value, "gopher")) {
			t.Errorf("the backend was sent the client's %s", h)
		}
	}
}
