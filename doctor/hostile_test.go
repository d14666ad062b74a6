package doctor_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"devicegate/doctor"
)

// TestHostileFiles: what is large or says the same again and again is judged soon, or is told to be left out. Each took
// minutes or gigabytes before there was a bound.
func TestHostileFiles(t *testing.T) {
	var chains strings.Builder
	for i := range 20 {
		fmt.Fprintf(&chains, "    m%d: {chain: {middlewares: [m%d, m%d, m%d, m%d]}}\n", i, i+1, i+1, i+1, i+1)
	}
	const question = " http-request lua.g http://g/auth/haproxy\n"
	for title, c := range map[string]struct{ name, text, want string }{
		"many servers":        {"nginx.conf", "http {\n" + strings.Repeat("server { auth_request /x; location / { proxy_pass http://a; } location = /x { internal; proxy_pass http://g/auth/nginx; } }\n", 1500) + "}", "nginx-check-timeout"},
		"many expressions":    {"nginx.conf", "http { server { auth_request /x;\n" + strings.Repeat("location ~ ^/(a+)+b$ { proxy_pass http://a; }\n", 2000) + "} }", "nginx-check-unknown"},
		"chains of chains":    {"traefik.yaml", "http:\n  routers: {r: {rule: Host(`a`), service: a, middlewares: [m0]}}\n  middlewares:\n" + chains.String(), "asks-nobody"},
		"rules of HAProxy":    {"haproxy.cfg", "frontend f\n" + strings.Repeat(question, 6000), "include-missing"},
		"ways of a site":      {"Caddyfile", "a.example {\n route {\n" + strings.Repeat("  request_header -X\n", 5000) + "  forward_auth g {\n   uri /auth/caddy?\n  }\n" + strings.Repeat("  reverse_proxy a:80\n", 500) + " }\n}\n", "include-missing"},
		"defaults in circles": {"haproxy.cfg", "defaults a from b\ndefaults b from a\nfrontend f from a\n" + question, "haproxy-no-final-deny"},
		"half a condition":    {"haproxy.cfg", "frontend f\n" + question + " http-request deny if !{ var(txn.g)\n http-request deny unless { var(txn.g }\n use_backend\n", "haproxy-identity-not-removed"},
		"bytes and ends":      {"nginx.conf", "\ufeffhttp {\r\n server {\r\n auth_request /x;\r\n satisfy any;\r\n } }\r\n", "nginx-satisfy-any"},
	} {
		t.Run(title, func(t *testing.T) {
			if report := doctor.Files([]string{write(t, map[string]string{c.name: c.text})}, doctor.Options{}); !slices.Contains(codes(report), c.want) {
				t.Errorf("%d findings, none of them %s", len(report.Findings), c.want)
			}
		})
	}
}
