package e2e_test

import (
	"net/http"
	"testing"
)

// told are the proxies that the gate cannot tell what to take away from a request: they need a line.
var told = []string{"nginx", "traefik", "caddy", "haproxy"}

// tokenLines are what "devicegate snippet" writes for a policy with authorization: remove, for the policy of /.
// Envoy takes the token away by the gate's answer alone.
var tokenLines = map[string][]literal{
	"nginx": {
		{"devicegate.conf", "location / {\n", "location / {\n        proxy_set_header Authorization \"\";\n"},
		{"devicegate.conf", "location /ws/ {\n", "location /ws/ {\n            proxy_set_header Authorization \"\";\n"},
	},
	"traefik": {
		{"dynamic.yaml", "middlewares: [check-default]", "middlewares: [check-default, no-token]"},
		{"dynamic.yaml", "    strip-identity:\n", "    no-token:\n      headers:\n        customRequestHeaders:\n          Authorization: \"\"\n    strip-identity:\n"},
	},
	"caddy":   {{"Caddyfile", "import check default\n", "import check default\n\t\trequest_header -Authorization\n"}},
	"haproxy": {{"haproxy.cfg", "\n    use_backend gate if api", "\n    http-request del-header Authorization if { var(txn.policy) -m str default } !open !api\n    use_backend gate if api"}},
}

// listedLines take it away as they do an identity header: it is listed among the headers of the gate's answer,
// which never has it.
var listedLines = map[string][]literal{
	"nginx": {
		{"devicegate.conf", "auth_request_set $gate_user ", "auth_request_set $gate_authorization $upstream_http_authorization;\n    auth_request_set $gate_user "},
		{"devicegate_protected.conf", "proxy_set_header Host ", "proxy_set_header Authorization $gate_authorization;\nproxy_set_header Host "},
	},
	"traefik": {{"dynamic.yaml", "        authResponseHeadersRegex:", "        authResponseHeaders: [Authorization]\n        authResponseHeadersRegex:"}},
	"caddy":   {{"Caddyfile", "copy_headers Remote-User", "copy_headers Authorization Remote-User"}},
}

// removalCases show what keeps the token from the backend, and what does not. (They are of the examples alone:
// what snippet writes for such a policy has the line already.)
func removalCases() []policyCase {
	plain := testCase{headers: []string{asAlice}}
	nested := testCase{line: "GET /ws/{id}", headers: []string{asAlice}}
	return []policyCase{
		{"{authorization: keep}", []testCase{
			{title: "the backend gets the token", headers: plain.headers, want: everywhere(passes()), check: keepsToken},
		}},
		{"{authorization: remove}", []testCase{
			{title: "without a line of the proxy the backend gets it all the same", headers: plain.headers, want: only(passes(), told...), check: keepsToken},
			{title: "the token is kept from the backend by the line that snippet writes", want: only(passes(), told...), send: andTheAPI(plain, tokenLines), check: seesNoToken},
			{title: "by that line in a nested location", want: only(passes(), "nginx"), send: with(nested, tokenLines), check: seesNoToken},
			{title: "by its name among the headers of the answer", want: only(passes(), "nginx", "traefik", "caddy"), send: andTheAPI(plain, listedLines), check: seesNoToken},
		}},
	}
}

// andTheAPI sends the case through a proxy with the changes, and asks the gate's API through it, which needs
// the token.
func andTheAPI(c testCase, changes map[string][]literal) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		changed := b.variant(t, changes[b.name]...)
		through := *b.gate
		through.via = changed.addr
		if status := through.call(t, http.MethodGet, "/trusted-devices", b.alice.Access, nil, nil); status != http.StatusOK {
			t.Errorf("the gate's API, through the changed proxy: status %d, want 200", status)
		}
		return changed.exchange(t, c.raw(b, id), id)
	}
}

// keepsToken: the backend gets the token as the client sent it.
func keepsToken(t *testing.T, b *bench, x exchange) {
	seesAlice(t, b, x)
	if got := x.seen[0].values("Authorization"); len(got) != 1 || got[0] != "Bearer "+b.alice.Access {
		t.Errorf("the backend was sent %d Authorization, want the client's", len(got))
	}
}
