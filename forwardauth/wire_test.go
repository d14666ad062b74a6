package forwardauth_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/forwardauth"
)

// proxy is how one proxy writes a check.
type proxy struct {
	adapter authz.Adapter
	route   string
	// complete are the headers, beside Authorization and X-Forwarded-For, in the order they are sent.
	complete func(q authztest.Question) []string
}

func forwardedFamily(q authztest.Question) []string {
	return []string{"X-Forwarded-Method: " + q.Method, "X-Forwarded-Proto: https", "X-Forwarded-Host: " + q.Host, "X-Forwarded-Uri: " + q.Path}
}

func originalFamily(q authztest.Question) []string {
	return []string{"X-Original-Method: " + q.Method, "X-Original-URL: https://" + q.Host + q.Path}
}

var (
	traefik = proxy{authz.Traefik, "/auth/traefik", forwardedFamily}
	caddy   = proxy{authz.Caddy, "/auth/caddy", forwardedFamily}
	haproxy = proxy{authz.HAProxy, "/auth/haproxy", forwardedFamily}
	nginx   = proxy{authz.Nginx, "/auth/nginx", originalFamily}
	// Envoy has no headers of its own: the request line and Host are the client's.
	envoyHTTP = proxy{authz.EnvoyHTTP, "/auth/envoy", nil}

	proxies = []proxy{traefik, caddy, haproxy, nginx, envoyHTTP}
)

// request writes a question as the proxy does.
func (p proxy) request(q authztest.Question) string {
	if p.adapter == authz.EnvoyHTTP {
		return p.envoyRequest(q)
	}
	target := p.route
	if q.Policy != "" {
		target += "?policy=" + q.Policy
	}
	lines := p.complete(q)
	if q.Incomplete {
		lines = lines[1:]
	}
	return raw("GET "+target, append(lines, rest(q)...)...)
}

func (p proxy) envoyRequest(q authztest.Question) string {
	policy := q.Policy
	if policy == "" {
		policy = "default"
	}
	line := q.Method + " " + p.route + "/" + policy + q.Path
	if q.Incomplete { // a request of HTTP/1.0 need not have a Host
		return line + " HTTP/1.0\r\n" + strings.Join(append(rest(q), "", ""), "\r\n")
	}
	return line + " HTTP/1.1\r\nHost: " + q.Host + "\r\nConnection: close\r\n" + strings.Join(append(rest(q), "", ""), "\r\n")
}

// rest writes what every proxy passes on from the client.
func rest(q authztest.Question) []string {
	lines := []string{"Remote-User: evil-canary", "Remote-Groups: admin-canary", "X-Request-Id: id-canary"}
	for _, v := range q.Authorization {
		lines = append(lines, "Authorization: "+v)
	}
	for _, v := range q.Origin {
		lines = append(lines, "Origin: "+v)
	}
	for _, v := range q.Preflight {
		lines = append(lines, "Access-Control-Request-Method: "+v)
	}
	for _, v := range q.ForwardedFor {
		lines = append(lines, "X-Forwarded-For: "+v)
	}
	return lines
}

// raw writes a request of HTTP/1.1 with these header lines, to be answered on a connection of its own.
func raw(methodAndTarget string, lines ...string) string {
	return methodAndTarget + " HTTP/1.1\r\nHost: gate.internal\r\nConnection: close\r\n" + strings.Join(append(slices.Clone(lines), "", ""), "\r\n")
}

// serve starts a check listener as the service does and returns its address.
func serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.DisableGeneralOptionsHandler = true
	server.Config.MaxHeaderBytes = 256 << 10
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// gateHandler is the handler of a gate in which nothing may panic.
func gateHandler(t testing.TB, d forwardauth.Decider) http.Handler {
	return forwardauth.Handler(d, func(p any) { t.Errorf("a check panicked: %v", p) })
}

// send writes a raw request over TCP and reads the answer up to the end of the connection.
func send(t testing.TB, address, request string) authztest.Answer {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return exchange(t, conn, request)
}

func exchange(t testing.TB, conn net.Conn, request string) authztest.Answer {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("reading the answer to %.80q: %v", request, err)
	}
	return parse(t, request, answer)
}

func parse(t testing.TB, request string, answer []byte) authztest.Answer {
	t.Helper()
	method, _, _ := strings.Cut(request, " ")
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("the answer %.200q to %.80q: %v", answer, request, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	a := authztest.Answer{Status: r.StatusCode, Header: r.Header, Body: string(body), Size: len(head)}
	if r.StatusCode == http.StatusOK && r.Header.Get("Content-Length") != "0" {
		t.Errorf("Content-Length of an allow is %q, want 0", r.Header.Get("Content-Length"))
	}
	if remove := a.Header["X-Envoy-Auth-Headers-To-Remove"]; len(remove) > 0 {
		a.Remove = strings.Split(strings.Join(remove, ","), ",")
		a.Header.Del("X-Envoy-Auth-Headers-To-Remove")
	}
	for _, hopByHop := range []string{"Connection", "Date"} { // net/http's own
		a.Header.Del(hopByHop)
	}
	return a
}

// table is the proxy as the shared table sees it.
func (p proxy) table() authztest.Adapter {
	return authztest.Adapter{
		Name: p.adapter, Envelope: []string{"Cache-Control", "Content-Length"}, Removes: p.adapter == authz.EnvoyHTTP,
		Start: func(t *testing.T, gate *authztest.Gate) authztest.Ask {
			address := serve(t, gateHandler(t, gate))
			return func(t *testing.T, q authztest.Question) authztest.Answer { return send(t, address, p.request(q)) }
		},
	}
}

func (p proxy) String() string { return fmt.Sprint(p.adapter) }
