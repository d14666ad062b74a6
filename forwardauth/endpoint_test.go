package forwardauth_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/authz"
	"devicegate/reason"
)

// spy is a decider that keeps what it was asked and answers with what it is told to.
type spy struct {
	mu     sync.Mutex
	asked  []authz.Request
	answer authz.Decision
}

func (s *spy) Decide(_ context.Context, req authz.Request) authz.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, req)
	return s.answer
}

// last returns the request that was asked since the last call, or nil.
func (s *spy) last() *authz.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.asked) == 0 {
		return nil
	}
	req := s.asked[len(s.asked)-1]
	s.asked = nil
	return &req
}

// without returns lines but for the one of a header.
func without(lines []string, name string) []string {
	var left []string
	for _, l := range lines {
		if !strings.HasPrefix(l, name+":") {
			left = append(left, l)
		}
	}
	return slices.Clip(left)
}

// A header of the "reads" column that is missing, empty or there twice: somebody on the way took it off
// (Connection: X-Forwarded-Uri) or added a second one.
func TestMetadata(t *testing.T) {
	s := &spy{answer: authz.Decision{Reason: reason.RequestIncomplete}}
	address := serve(t, gateHandler(t, s))
	families := map[string]struct {
		routes []string
		lines  []string
	}{
		"forwarded": {[]string{"/auth/traefik", "/auth/caddy", "/auth/haproxy"}, []string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: app.example", "X-Forwarded-Uri: /x"}},
		"original":  {[]string{"/auth/nginx"}, []string{"X-Original-Method: GET", "X-Original-URL: https://app.example/x"}},
	}
	complete := func(route string, lines []string) bool {
		t.Helper()
		send(t, address, raw("GET "+route, lines...))
		return s.last().Complete
	}
	for name, f := range families {
		for other, g := range families {
			for _, route := range f.routes {
				if got, want := complete(route, g.lines), name == other; got != want {
					t.Errorf("%s with the headers of the %s family: complete %t, want %t", route, other, got, want)
				}
			}
		}
		for _, route := range f.routes {
			for _, line := range f.lines {
				header, _, _ := strings.Cut(line, ":")
				rest := without(f.lines, header)
				for what, lines := range map[string][]string{
					"missing": rest, "empty": append(rest, header+":"), "blank": append(rest, header+": \t "),
					"twice": append(rest, line, line), "twice, one empty": append(rest, line, header+":"),
					"in lower case as well": append(rest, line, strings.ToLower(line)),
				} {
					if complete(route, lines) {
						t.Errorf("%s is complete although %s is %s", route, header, what)
					}
				}
				if !complete(route, append(rest, strings.ToLower(line), strings.ReplaceAll(header, "-", "_")+": /evil")) {
					t.Errorf("%s: an alias of %s spoils the request", route, header)
				}
			}
		}
	}
}

// What an adapter hands over for the log comes from its own family alone: the other one is the client's.
func TestLocates(t *testing.T) {
	s := &spy{}
	address := serve(t, gateHandler(t, s))
	both := []string{
		"X-Forwarded-Method: PUT", "X-Forwarded-Proto: https", "X-Forwarded-Host: f.example", "X-Forwarded-Uri: /f?x=1",
		"X-Original-Method: PATCH", "X-Original-URL: https://o.example/o?x=1", "X-Original-URI: /evil", "X-Http-Method-Override: DELETE",
		"X-Envoy-Original-Path: /evil", "X-Rewrite-URL: /evil", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6",
		"X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.0.0.1", "X-Request-Id: r-1", "Authorization: Bearer a", "authorization: Bearer b",
	}
	for target, want := range map[string]authz.Request{
		"GET /auth/traefik?policy=staff": {Adapter: authz.Traefik, Policy: "staff", Method: "PUT", Host: "f.example", Path: "/f?x=1"},
		"PUT /auth/caddy":                {Adapter: authz.Caddy, Policy: "default", Method: "PUT", Host: "f.example", Path: "/f?x=1"},
		"HEAD /auth/haproxy":             {Adapter: authz.HAProxy, Policy: "default", Method: "PUT", Host: "f.example", Path: "/f?x=1"},
		"GET /auth/nginx?policy=default": {Adapter: authz.Nginx, Policy: "default", Method: "PATCH", Host: "o.example", Path: "/o?x=1"},
		"LINK /auth/envoy/staff/e?x=1":   {Adapter: authz.EnvoyHTTP, Policy: "staff", Method: "LINK", Host: "gate.internal", Path: "/e?x=1"},
	} {
		want.Complete, want.RequestID = true, "r-1"
		want.ForwardedFor, want.Authorization = []string{"203.0.113.9", "10.0.0.1"}, []string{"Bearer a", "Bearer b"}
		send(t, address, raw(target, both...))
		got := s.last()
		if !got.Peer.IsLoopback() || got.Local {
			t.Errorf("%s: peer %v, local %t", target, got.Peer, got.Local)
		}
		want.Peer = got.Peer
		if diff := cmp.Diff(flat(want), flat(*got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
}

// flat is a request without types that cmp does not look into.
func flat(r authz.Request) map[string]any {
	return map[string]any{
		"adapter": r.Adapter, "peer": r.Peer.String(), "local": r.Local, "complete": r.Complete, "policy": r.Policy, "authorization": r.Authorization,
		"source": r.Source.String(), "forwarded": r.ForwardedFor, "method": r.Method, "host": r.Host, "path": r.Path, "id": r.RequestID,
	}
}

// policies is what an address that names a policy comes to; "" is none that can be known.
var policies = map[string]string{
	"": "default", "?": "default", "?policy=default": "default", "?policy=staff": "staff", "?policy=a.b_c-1": "a.b_c-1",
	"?policy=": "", "?policy": "", "?Policy=staff": "", "?policy=staff&policy=staff": "", "?policy=staff&policy=default": "",
	"?policy=staff&x=1": "", "?x=1&policy=staff": "", "?x=1": "", "?policy=staff&": "", "?&policy=staff": "", "?&": "",
	"?policy=staff;x": "", "?policy=st%61ff": "", "?p%6flicy=staff": "", "?policy=staff%00": "", "?policy=staff+": "",
	"?policy=staff?x=1": "", "?policy=staff?policy=default": "", "??policy=staff": "", "?policy==staff": "", "?policy=staff#x": "",
	"?policy[]=staff": "", "?rd=https://evil.example&policy=staff": "",
}

func TestPolicyOfQuery(t *testing.T) {
	s := &spy{}
	address := serve(t, gateHandler(t, s))
	for query, want := range policies {
		for _, p := range []proxy{traefik, caddy, haproxy, nginx} {
			send(t, address, raw("GET "+p.route+query))
			if got := s.last(); got.Policy != want {
				t.Errorf("%s%s names %q, want %q", p, query, got.Policy, want)
			}
		}
	}
}

// segments is what Envoy's path_prefix together with a client's path and query comes to. All behind the
// segment is the client's: it must choose no policy, and none may be named where the operator named none.
var segments = map[string]string{
	"/auth/envoy/staff": "staff", "/auth/envoy/staff/": "staff", "/auth/envoy/default/x": "default",
	"/auth/envoy": "", "/auth/envoy/": "", "/auth/envoy?policy=default": "", "/auth/envoy/?policy=default": "", "/auth/envoy//x": "", "/auth/envoy//staff": "",
	"/auth/envoy/staff?policy=default": "staff", "/auth/envoy/staff/?policy=default&policy=nope": "staff", "/auth/envoy/staff?": "staff",
	"/auth/envoy/staff/../default/x": "staff", "/auth/envoy/staff/%2e%2e/default/x": "staff", "/auth/envoy/staff/..;/default": "staff",
	"/auth/envoy/staff//auth/envoy/default": "staff", "/auth/envoy/staff/auth/traefik": "staff", "/auth/envoy/staff/%00": "staff",
	// Not one of these is a policy that a configuration can have.
	"/auth/envoy/st%61ff/x": "st%61ff", "/auth/envoy/staff%2f/x": "staff%2f", "/auth/envoy/staff;x/y": "staff;x", "/auth/envoy/staff*": "staff*",
	"/auth/envoy/staff#/x": "staff#", "/auth/envoy/../traefik": "..", "/auth/envoy/STAFF/x": "STAFF", `/auth/envoy/staff\x`: `staff\x`,
}

func TestPolicyOfSegment(t *testing.T) {
	s := &spy{}
	address := serve(t, gateHandler(t, s))
	for target, want := range segments {
		send(t, address, raw("GET "+target))
		got := s.last()
		if got == nil || got.Adapter != authz.EnvoyHTTP || got.Policy != want {
			t.Errorf("%s names %+v, want policy %q", target, got, want)
		}
	}
}

// Everything else is no check, and no answer to it may allow.
func TestNotFound(t *testing.T) {
	s := &spy{answer: authz.Decision{Reason: reason.OK}}
	address := serve(t, gateHandler(t, s))
	for _, line := range []string{
		"GET /", "GET /auth", "GET /auth/", "GET /auth/traefik/", "GET /auth/traefik/x", "GET //auth/traefik", "GET /auth//traefik", "GET /auth/./traefik",
		"GET /auth/../auth/traefik", "GET /auth/Traefik", "GET /auth/tr%61efik", "GET /auth/nginx;x", "GET /auth/envoyx", "GET /auth/envoyx/staff",
		"GET /auth/envoy%2fstaff", "GET /auth/envoy;/staff", "GET /auth/apache", "GET /healthz", "GET /metrics", "GET /api/token", "POST /trusted-devices/logout",
		"GET http://gate.internal/auth/traefik", "GET http://gate.internal/auth/envoy/staff/x", "OPTIONS *", "CONNECT app.example:443", "PRI /",
	} {
		got := send(t, address, raw(line, "Authorization: Bearer canary", "X-Forwarded-Method: GET"))
		if asked := s.last(); asked != nil {
			t.Errorf("%s was taken for a check: %+v", line, asked)
		}
		if got.Status != http.StatusNotFound || got.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(got.Body, `"code":"not_found"`) {
			t.Errorf("%s: %d %v %s", line, got.Status, got.Header, got.Body)
		}
		if strings.Contains(got.Body, "canary") || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v %s", line, got.Header, got.Body)
		}
	}
}

// Envoy asks with the client's method, whatever that is, and the answer is the same.
func TestAnyMethod(t *testing.T) {
	s := &spy{answer: authz.Decision{Reason: reason.NoToken}}
	address := serve(t, gateHandler(t, s))
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "get", "Get", "X", "!"} {
		got := send(t, address, raw(method+" /auth/envoy/staff/x"))
		if asked := s.last(); asked == nil || asked.Method != method || !asked.Complete || got.Status != http.StatusUnauthorized {
			t.Errorf("%s: asked %+v, answered %d", method, asked, got.Status)
		}
	}
}

// What HTTP itself does not allow never gets as far as a decision, and is refused.
func TestBrokenRequests(t *testing.T) {
	s := &spy{answer: authz.Decision{Reason: reason.OK}}
	address := serve(t, gateHandler(t, s))
	for what, request := range map[string]string{
		"two hosts":              "GET /auth/envoy/staff/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"no host":                "GET /auth/envoy/staff/ HTTP/1.1\r\n\r\n",
		"bad escape":             raw("GET /auth/envoy/staff/%zz"),
		"a space in a name":      raw("GET /auth/traefik", "X-Forwarded-Uri : /x"),
		"a NUL in a value":       raw("GET /auth/traefik", "X-Forwarded-Uri: /\x00"),
		"a method that is none":  raw("G@T /auth/envoy/staff/"),
		"two lengths":            raw("POST /auth/traefik", "Content-Length: 1", "Content-Length: 2"),
		"an unknown expectation": raw("GET /auth/traefik", "Expect: miracles"),
		"headers without end":    raw("GET /auth/traefik", "X-Big: "+strings.Repeat("x", 300<<10)),
	} {
		got := send(t, address, request)
		if asked := s.last(); asked != nil || got.Status < 400 || got.Status >= 500 {
			t.Errorf("%s: asked %+v, answered %d", what, asked, got.Status)
		}
	}
}
