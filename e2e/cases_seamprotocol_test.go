package e2e_test

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func seamProtocolRows() []seamRow {
	return slices.Concat(
		rows("58",
			testCase{title: "a gRPC client without a token", want: only(outcome{200, "no_token", false}, envoys...), send: callGRPC("", codes.Unauthenticated)},
			testCase{title: "a gRPC client without the role, on the staff route", want: only(outcome{200, "role_missing", false}, envoys...),
				send: callGRPC("/staff", codes.PermissionDenied)},
			testCase{title: "a gRPC client, the gate down", want: only(byProxy(200), envoys...), fault: down, send: callGRPC("", codes.Unavailable)}),
		rows("B18",
			testCase{title: "CONNECT without a token", line: "CONNECT app.example:443", headers: []string{"Host: app.example:443"},
				want: only(byProxy(400), "nginx").except(byProxy(501), "traefik").except(byProxy(404), envoys...)},
			testCase{title: "CONNECT with a token", line: "CONNECT app.example:443", headers: []string{"Host: app.example:443", asAlice},
				want: only(byProxy(400), "nginx").except(byProxy(501), "traefik").except(byProxy(404), envoys...)},
			testCase{title: "Upgrade: h2c on the open route", line: "GET /open/{id}", headers: h2c, want: everywhere(isOpen()), check: notTunnelled},
			testCase{title: "Upgrade: h2c, with a token", line: "GET /ws/{id}", headers: append(slices.Clone(h2c), asAlice),
				want: everywhere(passes()), check: notTunnelled},
			testCase{title: "OPTIONS * without a token", line: "OPTIONS *", want: only(byProxy(400), "nginx").except(byProxy(200), "traefik", "caddy").except(byProxy(404), envoys...)},
			testCase{title: "CONNECT without a token, put to the gate", want: only(refused("no_token"), "caddy").except(refused("request_incomplete"), "haproxy"),
				send: putToGate("CONNECT", testCase{line: "CONNECT app.example:443", headers: []string{"Host: app.example:443"}})},
			testCase{title: "CONNECT with a token, put to the gate", want: only(passes(), "caddy").except(refused("request_incomplete"), "haproxy"),
				send: putToGate("CONNECT", testCase{line: "CONNECT app.example:443", headers: []string{"Host: app.example:443", asAlice}}), check: noTunnel},
			testCase{title: "CONNECT with a token, the method refused", want: only(byProxy(405), "caddy"),
				send: with(testCase{line: "CONNECT app.example:443", headers: []string{"Host: app.example:443", asAlice}}, map[string][]literal{
					"caddy": {{"Caddyfile", "\troute {\n", "\troute {\n\t\t@connect method CONNECT\n\t\trespond @connect 405\n"}}})},
			testCase{title: "OPTIONS * without a token, put to the gate", want: only(refused("request_incomplete"), "haproxy"),
				send: putToGate("OPTIONS", testCase{line: "OPTIONS *"})}),
	)
}

// h2c asks the backend to go on in HTTP/2 on the connection that the proxy opened: what is said in it
// no proxy checks any more.
var h2c = []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"}

func notTunnelled(t *testing.T, b *bench, x exchange) {
	for _, r := range x.seen {
		if got := r.values("Upgrade"); len(got) > 0 {
			t.Errorf("the backend was asked to upgrade to %q", got)
		}
	}
}

// putToGate sends a request whose target has no path that could hold the case's word, and finds the
// decision by the method.
func putToGate(method string, c testCase) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		var found []decision
		known := func() int {
			found = slices.DeleteFunc(b.gate.decisions(""), func(d decision) bool { return d.Method != method })
			return len(found)
		}
		before := known()
		x := b.exchange(t, c.raw(b, id), id)
		if !eventually(patience, func() bool { return known() > before }) {
			t.Fatalf("the gate logged no check of a %s: %+v", method, x)
		}
		x.decision = &found[len(found)-1]
		return x
	}
}

// noTunnel: the backend was asked in alice's name, and what it answered was an answer, with a body: no bytes
// go to and fro behind it.
func noTunnel(t *testing.T, b *bench, x exchange) {
	if x.status != http.StatusOK {
		return
	}
	seesAlice(t, b, x)
	if x.body == "" {
		t.Errorf("CONNECT was answered without a body: %+v", x.response)
	}
}

// callGRPC makes a gRPC call through the proxy and compares the status that the client gets.
func callGRPC(route string, want codes.Code) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		before := b.backend.count()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}}
		conn, err := grpc.NewClient(b.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx := t.Context()
		if route != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+b.alice.Access)
		}
		var last metadata.MD // the answer is trailers alone
		err = conn.Invoke(ctx, route+"/"+id+"/Call", &auth.CheckRequest{}, &auth.CheckResponse{}, grpc.Trailer(&last))
		if got := status.Code(err); got != want {
			t.Errorf("the client's status is %v (%v), want %v", got, err, want)
		}
		x := exchange{id: id, response: response{status: http.StatusOK, header: http.Header{}}, seen: b.backend.since(before)}
		for name, values := range last {
			x.header[http.CanonicalHeaderKey(name)] = values
		}
		return x
	}
}

// differsHTTP2 is what comes out otherwise over HTTP/2 than over HTTP/1.1.
var differsHTTP2 = map[string]answers{
	// The stream, or the connection, ends where over HTTP/1.1 the proxy says why.
	"a token of 60 KB that is none":          only(byProxy(0), "nginx", "caddy", "haproxy"),
	"a cookie of 58 KB, with a token":        only(byProxy(0), "nginx", "caddy", "haproxy"),
	"a cookie of 300 KB, with a token":       only(byProxy(0), "nginx", "envoy_http", "envoy_grpc", "caddy", "haproxy"),
	"path /open/%zz/../../{id}":              only(byProxy(0), "traefik", "caddy"),
	"path /%zz/{id}":                         only(byProxy(0), "traefik", "caddy"),
	"path /st%61ff/{id}%zz keeps its policy": only(byProxy(0), "traefik", "caddy"),
	"path /open/#/../../{id}":                only(byProxy(0), "haproxy"),
	"path /staff/..#/{id} keeps its policy":  only(byProxy(0), "haproxy"),
	"path /staff/.%2e#{id} keeps its policy": only(byProxy(0), "haproxy"),
	// Over HTTP/1.1 Envoy's parser refuses these by itself.
	"a method in small letters, without a token": only(refused("no_token"), envoys...),
	"path /<80>{id}":               only(refused("no_token"), envoys...),
	"300 headers, with a token":    only(byProxy(0), "envoy_http", "envoy_grpc", "haproxy"),
	"300 headers, without a token": only(byProxy(0), "envoy_http", "envoy_grpc", "haproxy"),
}

// http2Rows are requests that only HTTP/2 can say, or says in another way.
func http2Rows() []seamRow {
	return slices.Concat(
		rows("59",
			testCase{title: "host beside another :authority, with a token", headers: []string{"Host: app.example", "Host: evil.example", asAlice},
				want: everywhere(passes()).except(byProxy(400), "nginx").except(byProxy(0), "caddy"), check: oneHost},
			testCase{title: "host beside another :authority, without a token", headers: []string{"Host: app.example", "Host: evil.example"},
				want: everywhere(refused("no_token")).except(byProxy(400), "nginx").except(byProxy(0), "caddy"), check: oneHost},
			testCase{title: "cookies in crumbs", headers: []string{"Cookie: a=1", "Cookie: b=2", asAlice}, want: everywhere(passes()), check: joinedCookies}),
		rows("37", testCase{title: "a connection field, which HTTP/2 forbids", headers: []string{"Connection: authorization", asAlice}, want: only(byProxy(400), "traefik").except(byProxy(0), envoys...).except(passes(), "nginx").except(byProxy(400), "caddy").except(byProxy(0), "haproxy")}),
		rows("B11", testCase{title: "two authorization fields", headers: []string{asAlice, asAlice}, want: everywhere(refused("bad_authorization")).except(byProxy(400), "nginx")}),
		rows("B18", testCase{title: "a path that does not begin with a slash", line: "GET {id}", want: everywhere(byProxy(0)).except(byProxy(400), "nginx")},
			testCase{title: "CONNECT with a path", line: "CONNECT /{id}", want: everywhere(byProxy(0)).except(byProxy(405), "nginx")}),
	)
}

// oneHost: gate and backend were told the same host.
func oneHost(t *testing.T, b *bench, x exchange) {
	if x.decision != nil && x.decision.Host != "app.example" {
		t.Errorf("the gate was told the host %q", x.decision.Host)
	}
	for _, r := range x.seen {
		if got := r.values("Host"); len(got) != 1 || got[0] != "app.example" {
			t.Errorf("the backend was told the host %q", got)
		}
	}
}

func joinedCookies(t *testing.T, b *bench, x exchange) {
	seesAlice(t, b, x)
	if got := strings.Join(x.seen[0].values("Cookie"), "; "); got != "a=1; b=2" {
		t.Errorf("the backend got the cookies %q", got)
	}
}
