package e2e_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// proxyIP is the address of the proxies, from which alone the gate takes checks.
const proxyIP = "127.0.0.1"

// complete is what each proxy sends over HTTP when all is well.
var complete = map[string][]string{
	"traefik": familyOf("traefik"),
	"nginx": {"GET /auth/nginx HTTP/1.1", "Host: gate", "X-Original-Method: GET", "X-Original-URL: http://app.example/{id}",
		"X-Forwarded-For: 203.0.113.9", asAlice},
	"caddy":      familyOf("caddy"),
	"haproxy":    familyOf("haproxy"),
	"envoy_http": {"GET /auth/envoy/default/{id} HTTP/1.1", "Host: app.example", "X-Forwarded-For: 203.0.113.9", asAlice},
}

// familyOf is what the proxies send that tell the gate of the request with X-Forwarded-*.
func familyOf(proxy string) []string {
	return []string{"GET /auth/" + proxy + " HTTP/1.1", "Host: gate", "X-Forwarded-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: app.example",
		"X-Forwarded-Uri: /{id}", "X-Forwarded-For: 203.0.113.9", asAlice}
}

func directCases() []testCase {
	all := []testCase{
		{number: 5, title: "asked directly: an allow is 200 exactly, without a body", want: only(outcome{200, "ok", false}, "traefik", "nginx", "envoy_http", "caddy", "haproxy"),
			send: func(t *testing.T, b *bench, id string) exchange { return b.ask(t, proxyIP, id, complete[b.name]) },
			check: func(t *testing.T, b *bench, x exchange) {
				if x.body != "" || x.header.Get("Cache-Control") != "no-store" {
					t.Errorf("body %q, Cache-Control %q; want an empty answer that nobody keeps", x.body, x.header.Get("Cache-Control"))
				}
			}},
		{number: 10, title: "asked directly: odd paths are never answered with a redirect", want: only(outcome{404, "", false}, "nginx"),
			send: neverRedirected},
		{number: 33, title: "asked directly, from an address that is not listed", want: everywhere(refused("peer_not_allowed")),
			send: func(t *testing.T, b *bench, id string) exchange {
				if b.grpc {
					return b.askGRPC(t, clientIP, checkRequest(b.fill("Bearer {alice}", id), "GET", "app.example", "/"+id))
				}
				return b.ask(t, clientIP, id, complete[b.name])
			}},
		{number: 70, title: "asked directly: no answer is without a status", want: only(refused("request_incomplete"), "envoy_grpc"), send: alwaysWithStatus},
		{number: 71, title: "asked directly, without an HTTP request (TCP filter)", want: only(refused("request_incomplete"), "envoy_grpc"),
			send: func(t *testing.T, b *bench, id string) exchange {
				return b.askGRPC(t, proxyIP, &auth.CheckRequest{Attributes: &auth.AttributeContext{}})
			}},
	}
	return append(all, incompleteCases()...)
}

// incompleteCases leaves each header out that the endpoint reads, sends it empty, and sends it twice.
func incompleteCases() []testCase {
	var all []testCase
	for _, name := range []string{"traefik", "nginx", "caddy", "haproxy"} {
		for _, header := range complete[name] {
			header, _, ok := strings.Cut(header, ": ")
			if !ok || !strings.HasPrefix(header, "X-") || header == "X-Forwarded-For" {
				continue
			}
			for _, change := range []struct {
				number int
				title  string
				lines  func(line string) []string
			}{
				{34, " missing", func(string) []string { return nil }},
				{34, " empty", func(string) []string { return []string{header + ":"} }},
				{35, " twice", func(line string) []string { return []string{line, line} }},
			} {
				all = append(all, testCase{number: change.number, title: "asked directly, " + header + change.title,
					want: only(refused("request_incomplete"), name),
					send: func(t *testing.T, b *bench, id string) exchange {
						var lines []string
						for _, line := range complete[b.name] {
							if strings.HasPrefix(line, header+":") {
								lines = append(lines, change.lines(line)...)
							} else {
								lines = append(lines, line)
							}
						}
						return b.ask(t, proxyIP, id, lines)
					}})
			}
		}
	}
	return all
}

// ask calls the gate's HTTP listener without a proxy, from an address. The reason is what the answer
// says.
func (b *bench) ask(t *testing.T, from, id string, lines []string) exchange {
	t.Helper()
	raw := b.fill(strings.Join(lines, "\r\n"), id) + "\r\n\r\n"
	x := exchange{id: id, response: sendRaw(t, from, b.gate.address["checks.http"], raw, patience)}
	reason := x.header.Get("X-Auth-Reason")
	if reason == "" && x.status == http.StatusOK {
		reason = "ok"
	}
	for name := range x.header { // an allow names the user here, to the proxy; see checkResponse
		if x.status == http.StatusOK && identityHeader.MatchString(name) {
			x.header.Del(name)
		}
	}
	x.decision = &decision{Adapter: b.name, Reason: reason}
	return x
}

// neverRedirected: nginx would turn a redirect into 500, and a router that cleans paths makes one of
// a doubled slash.
func neverRedirected(t *testing.T, b *bench, id string) exchange {
	var last exchange
	for _, path := range []string{"/auth/nginx/", "/auth//nginx", "//auth/nginx", "/auth/./nginx", "/auth/nginx/..", "/auth/nginx?policy=default", "/auth", "/nothing"} {
		last = b.ask(t, proxyIP, id, append([]string{"GET " + path + " HTTP/1.1"}, complete["nginx"][1:]...))
		if last.status/100 == 3 {
			t.Errorf("GET %s is answered with %d to %s", path, last.status, last.header.Get("Location"))
		}
	}
	return last
}

func checkRequest(authorization, method, host, path string) *auth.CheckRequest {
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{Request: &auth.AttributeContext_Request{
		Http: &auth.AttributeContext_HttpRequest{Method: method, Host: host, Path: path, Headers: map[string]string{"authorization": authorization}},
	}}}
}

// askGRPC calls the gate's gRPC listener without a proxy, from an address.
func (b *bench) askGRPC(t *testing.T, from string, in *auth.CheckRequest) exchange {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := grpc.NewClient(b.gate.address["checks.grpc"], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, err := auth.NewAuthorizationClient(conn).Check(t.Context(), in)
	if err != nil {
		t.Fatalf("a check is never answered with an error, which Envoy may let pass: %v", err)
	}
	if out.Status == nil || out.GetErrorResponse() != nil || (out.Status.Code == 0) != (out.GetOkResponse() != nil) {
		t.Errorf("Envoy may take this answer for an allow, or for a fault: %v", out)
	}
	x := exchange{response: response{status: http.StatusOK, header: http.Header{}}}
	if denied := out.GetDeniedResponse(); denied != nil {
		x.status, x.body = int(denied.GetStatus().GetCode()), denied.GetBody()
		for _, h := range denied.GetHeaders() {
			x.header.Add(h.GetHeader().GetKey(), valueOf(h.GetHeader()))
		}
	}
	x.decision = &decision{Adapter: b.name, Reason: x.header.Get("X-Auth-Reason")}
	return x
}

func valueOf(h *core.HeaderValue) string {
	if len(h.GetRawValue()) > 0 {
		return string(h.GetRawValue())
	}
	return h.GetValue()
}

// alwaysWithStatus asks with many faults; askGRPC looks at each answer.
func alwaysWithStatus(t *testing.T, b *bench, id string) exchange {
	good := b.fill("Bearer {alice}", id)
	for _, in := range []*auth.CheckRequest{
		checkRequest(good, "GET", "app.example", "/"+id),
		checkRequest("", "GET", "app.example", "/"+id),
		checkRequest("Bearer x", "GET", "app.example", "/"+id),
		checkRequest(good, "", "app.example", "/"+id),
		checkRequest(good, "GET", "", "/"+id),
		checkRequest(good, "CONNECT", "app.example", ""),
		{},
	} {
		b.askGRPC(t, proxyIP, in)
	}
	unknown := checkRequest(good, "GET", "app.example", "/"+id)
	unknown.Attributes.ContextExtensions = map[string]string{"policy": "nobody-made-it"}
	if x := b.askGRPC(t, proxyIP, unknown); x.decision.Reason != "policy_unknown" {
		t.Errorf("an unknown policy is answered with %q, want policy_unknown", x.decision.Reason)
	}
	return b.askGRPC(t, proxyIP, &auth.CheckRequest{})
}
