package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"devicegate/certificate/certificatetest"
	"devicegate/config"
)

// secured is a configuration in which listeners speak TLS.
type secured struct {
	*config.Config
	dir         string
	ca, clients *certificatetest.Pair
	pair        *certificatetest.Pair // what is served
	proxy       *certificatetest.Pair // what the clients' authority has signed
}

// secure writes a certificate and the authority of clients, for listeners that are still plain.
func secure(t *testing.T) *secured {
	t.Helper()
	c := &secured{Config: settings(t), ca: certificatetest.Authority(t, "servers"), clients: certificatetest.Authority(t, "clients")}
	c.Admin.Address = config.Address{Network: "tcp", Addr: "127.0.0.1:0"}
	c.dir = filepath.Dir(c.Store.Path)
	c.pair, c.proxy = c.ca.Issue(t, "gate"), c.clients.Issue(t, "proxy")
	c.pair.Write(t, c.dir)
	certificatetest.Write(t, c.file("clients.crt"), c.clients.CertPEM)
	return c
}

func (c *secured) file(name string) string { return filepath.Join(c.dir, name) }

// speaks returns what makes a listener speak TLS.
func (c *secured) speaks() config.TLS {
	return config.TLS{CertFile: c.file("tls.crt"), KeyFile: c.file("tls.key")}
}

// demands is speaks with a certificate demanded of clients.
func (c *secured) demands() config.TLS {
	s := c.speaks()
	s.ClientCAFile = c.file("clients.crt")
	return s
}

// trusts is the configuration of a client that shows a certificate, or none.
func (c *secured) trusts(shows *certificatetest.Pair) *tls.Config {
	client := &tls.Config{RootCAs: c.ca.Pool(), ServerName: "gate.example"}
	if shows != nil {
		client.Certificates = []tls.Certificate{shows.TLS()}
	}
	return client
}

var versions = []string{"HTTP/1.1", "HTTP/2.0"}

// over returns a client that connects to a listener by TLS, anew for every request.
func (s *service) over(t *testing.T, listener, version string, trusts *tls.Config) *http.Client {
	t.Helper()
	plain := s.client(t, listener).Transport.(*http.Transport)
	secure := &http.Transport{TLSClientConfig: trusts, DialContext: plain.DialContext, DisableKeepAlives: true, Protocols: &http.Protocols{}}
	secure.Protocols.SetHTTP1(version == "HTTP/1.1")
	secure.Protocols.SetHTTP2(version == "HTTP/2.0")
	return &http.Client{Transport: secure, Timeout: patience}
}

// send is ask with a client of its own.
func send(t *testing.T, client *http.Client, method, path, body string, header ...string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "https://gate.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// asked is what a proxy sends with a check.
func asked(token string) []string {
	return append(bearer(token), "X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "app.example", "X-Forwarded-Uri", "/x")
}

func TestChecksOverTLS(t *testing.T) {
	cfg := secure(t)
	cfg.Checks.HTTP.TLS = cfg.speaks()
	s := start(t, cfg.Config)
	token := s.signIn(t)
	for _, version := range versions {
		client := s.over(t, "checks.http", version, cfg.trusts(nil))
		a, err := send(t, client, "GET", "/auth/traefik", "", asked(token)...)
		if err != nil || a.status != 200 || a.header.Get("Remote-User") != "alice" {
			t.Errorf("%s: a good token: %v, %v", version, a, err)
		}
		if a, err = send(t, client, "GET", "/auth/traefik", "", asked(token+"x")...); err != nil || a.status != 401 {
			t.Errorf("%s: a bad token: %v, %v", version, a, err)
		}
		if a, err = send(t, client, "GET", "/auth/traefik", "", asked(token)[2:]...); err != nil || a.status != 401 {
			t.Errorf("%s: no token: %v, %v", version, a, err)
		}
		if status := star(t, client); status < 400 {
			t.Errorf("%s answers OPTIONS * with %d", version, status)
		}
	}
	if _, err := send(t, s.over(t, "checks.http", "HTTP/2.0", &tls.Config{ServerName: "gate.example"}), "GET", "/", ""); err == nil {
		t.Error("a client that does not know the authority is content")
	}
}

// star asks "OPTIONS *" with a token, which net/http would answer with 200 by itself.
func star(t *testing.T, client *http.Client) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "OPTIONS", "https://gate.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Path, req.URL.Opaque = "", "*"
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestProxiesShowCertificates: where a certificate is demanded no check is answered without one, whatever the
// address it comes from, and one does not stand for an address that may ask.
func TestProxiesShowCertificates(t *testing.T) {
	cfg := secure(t)
	cfg.Checks.HTTP.TLS = cfg.demands()
	cfg.Checks.AllowedPeers = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	s := start(t, cfg.Config)
	token := s.signIn(t)
	for _, version := range versions {
		for what, c := range map[string]struct {
			shows  *certificatetest.Pair
			served bool
		}{
			"a good certificate": {cfg.proxy, true}, "none": {nil, false}, "one of the servers": {cfg.pair, false},
			"an expired one": {cfg.clients.Issue(t, "proxy", certificatetest.Expired), false},
		} {
			a, err := send(t, s.over(t, "checks.http", version, cfg.trusts(c.shows)), "GET", "/auth/traefik", "", asked(token)...)
			if c.served != (err == nil && a.status == 200) || !c.served && err == nil {
				t.Errorf("%s, %s: %v, %v", version, what, a, err)
			}
		}
	}
	next := *cfg.Config
	next.Checks.AllowedPeers = nil
	s.reload(t, &next)
	a, err := send(t, s.over(t, "checks.http", "HTTP/2.0", cfg.trusts(cfg.proxy)), "GET", "/auth/traefik", "", asked(token)...)
	if err != nil || a.header.Get("X-Auth-Reason") != "peer_not_allowed" {
		t.Errorf("a certificate from an address that may not ask: %v, %v", a, err)
	}
}

// dialTLS connects to the gRPC checks, wherever they are.
func (s *service) dialTLS(t *testing.T, trusts *tls.Config) *grpc.ClientConn {
	t.Helper()
	at := s.address(t, "checks.grpc")
	conn, err := grpc.NewClient("passthrough:///gate.example", grpc.WithTransportCredentials(credentials.NewTLS(trusts)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, at.Network, at.Addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// checkOver asks as Envoy does.
func checkOver(t *testing.T, conn *grpc.ClientConn, token string) (codes.Code, error) {
	t.Helper()
	ask := &authv3.AttributeContext_HttpRequest{Method: "GET", Host: "app.example", Path: "/x"}
	asMap(ask, []string{"Bearer " + token})
	got, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), &authv3.CheckRequest{
		Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: ask}},
	})
	if err == nil && (got.GetStatus() == nil || (got.GetOkResponse() != nil) != (got.GetStatus().GetCode() == int32(codes.OK))) {
		t.Errorf("an answer that is neither: %v", got)
	}
	return codes.Code(got.GetStatus().GetCode()), err
}

func TestGRPCOverTLS(t *testing.T) {
	cfg := secure(t)
	cfg.Checks.GRPC.TLS = cfg.demands()
	s := start(t, cfg.Config)
	token := s.signIn(t)
	conn := s.dialTLS(t, cfg.trusts(cfg.proxy))
	for _, c := range []struct {
		token string
		want  codes.Code
	}{{token, codes.OK}, {token + "x", codes.Unauthenticated}, {"", codes.Unauthenticated}} {
		if got, err := checkOver(t, conn, c.token); err != nil || got != c.want {
			t.Errorf("a check with %.5q: %v, %v, want %v", c.token, got, err, c.want)
		}
	}
	health, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	for what, conn := range map[string]*grpc.ClientConn{
		"no certificate": s.dialTLS(t, cfg.trusts(nil)), "one of the servers": s.dialTLS(t, cfg.trusts(cfg.pair)), "no TLS": dialChecks(t, s),
	} {
		if got, err := checkOver(t, conn, token); status.Code(err) != codes.Unavailable {
			t.Errorf("a check with %s: %v, %v", what, got, err)
		}
		if got, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unavailable {
			t.Errorf("health with %s: %v, %v", what, got, err)
		}
	}
}

// TestDeviceCookieOverTLS: it comes where the request came over TLS, and not where it came in the clear.
func TestDeviceCookieOverTLS(t *testing.T) {
	cfg := secure(t)
	cfg.TrustedProxies = nil // whose word for https would do as well
	plain := start(t, cfg.Config)
	plain.signIn(t)
	const body = `{"username":"alice","password":"` + secret + `"}`
	if got := plain.ask(t, "api", "POST", "/api/token", body, "X-Forwarded-Proto", "https").header.Values("Set-Cookie"); got != nil {
		t.Errorf("in the clear: %q", got)
	}
	plain.stop()
	<-plain.ended
	_ = plain.Close()
	cfg.API.TLS = cfg.speaks()
	s := start(t, cfg.Config)
	for _, version := range versions {
		a, err := send(t, s.over(t, "api", version, cfg.trusts(nil)), "POST", "/api/token", body)
		if err != nil || a.status != 200 {
			t.Fatalf("%s: signing in: %v, %v", version, a, err)
		}
		cookie := a.header.Get("Set-Cookie")
		if !strings.HasPrefix(cookie, "__Host-devicegate-device=") || !strings.Contains(cookie, "Secure") {
			t.Errorf("%s: the cookie is %q", version, cookie)
		}
	}
}

// TestAdminOverTLS wants both: a certificate opens the door, and the token says who it is.
func TestAdminOverTLS(t *testing.T) {
	cfg := secure(t)
	cfg.Admin.TLS = cfg.demands()
	s := start(t, cfg.Config)
	user := s.signIn(t)
	if a := s.ask(t, "admin", "POST", "/admin/users", `{"name":"root","password":"`+secret+`","roles":["admin"]}`); a.status != 201 {
		t.Fatalf("making an admin: %d %s", a.status, a.body)
	}
	a := s.ask(t, "api", "POST", "/api/token", `{"username":"root","password":"`+secret+`"}`)
	_, rest, _ := strings.Cut(a.body, `"access":"`)
	root, _, _ := strings.Cut(rest, `"`)
	for _, version := range versions {
		for what, c := range map[string]struct {
			shows  *certificatetest.Pair
			header []string
			want   int // 0: no answer at all
		}{
			"both": {cfg.proxy, bearer(root), 200}, "a certificate alone": {cfg.proxy, nil, 401},
			"a certificate and a user's token": {cfg.proxy, bearer(user), 403}, "a token alone": {nil, bearer(root), 0}, "nothing": {nil, nil, 0},
		} {
			a, err := send(t, s.over(t, "admin.address", version, cfg.trusts(c.shows)), "GET", "/admin/users", "", c.header...)
			if a.status != c.want || (err == nil) != (c.want != 0) {
				t.Errorf("%s, %s: %d %s, %v, want %d", version, what, a.status, a.body, err, c.want)
			}
		}
	}
}

// TestPlainRequestToTLS is never answered with what allows.
func TestPlainRequestToTLS(t *testing.T) {
	cfg := secure(t)
	cfg.Checks.HTTP.TLS, cfg.Checks.GRPC.TLS, cfg.Admin.TLS = cfg.speaks(), cfg.speaks(), cfg.demands()
	s := start(t, cfg.Config)
	token := s.signIn(t)
	for _, listener := range []string{"checks.http", "checks.grpc", "admin.address"} {
		for what, request := range map[string]string{
			"HTTP/1.1":      "GET /auth/traefik HTTP/1.1\r\nHost: x\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\nX-Forwarded-Uri: /\r\nAuthorization: Bearer " + token + "\r\n\r\n",
			"OPTIONS *":     "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
			"HTTP/2":        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			"HTTP/2 by ask": "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		} {
			if got := shout(t, s.address(t, listener), request); got != 0 && got != 400 {
				t.Errorf("%s in the clear to %s: %d", what, listener, got)
			}
		}
	}
}

// shout sends bytes and returns the status of what comes back; 0 for nothing that is HTTP.
func shout(t *testing.T, at config.Address, request string) int {
	t.Helper()
	conn, err := net.Dial(at.Network, at.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		return 0
	}
	got, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		if os.IsTimeout(err) {
			t.Errorf("%.20q is left without an answer", request)
		}
		return 0
	}
	_ = got.Body.Close()
	return got.StatusCode
}

// TestWarningsOfPlainListeners: one for each that other machines can reach and that does not speak TLS.
func TestWarningsOfPlainListeners(t *testing.T) {
	for _, name := range []string{"checks.http", "checks.grpc", "api", "admin.address"} {
		for _, plain := range []bool{true, false} {
			cfg := secure(t)
			address, speaks := listenerOf(cfg.Config, name)
			address.Addr = "0.0.0.0:0"
			want := 1
			if !plain {
				*speaks, want = cfg.speaks(), 0
			}
			warnings := start(t, cfg.Config).log.with(`"level":"warn"`)
			if len(warnings) != want || want > 0 && !strings.Contains(warnings[0], fmt.Sprintf(`"listener":%q`, name)) {
				t.Errorf("%s, plain %v: warnings %q", name, plain, warnings)
			}
		}
	}
}

// listenerOf returns the keys of a listener.
func listenerOf(cfg *config.Config, name string) (*config.Address, *config.TLS) {
	switch name {
	case "checks.http":
		return &cfg.Checks.HTTP.Address, &cfg.Checks.HTTP.TLS
	case "checks.grpc":
		return &cfg.Checks.GRPC.Address, &cfg.Checks.GRPC.TLS
	case "api":
		return &cfg.API.Address, &cfg.API.TLS
	}
	return &cfg.Admin.Address, &cfg.Admin.TLS
}

// TestTLSOnUnixSockets: a proxy that speaks TLS whatever the address is served.
func TestTLSOnUnixSockets(t *testing.T) {
	cfg := secure(t)
	for _, name := range []string{"checks.http", "checks.grpc"} {
		address, speaks := listenerOf(cfg.Config, name)
		*address, *speaks = config.Address{Network: "unix", Addr: cfg.file(name)}, cfg.demands()
	}
	s := start(t, cfg.Config)
	token := s.signIn(t)
	for _, version := range versions {
		if a, err := send(t, s.over(t, "checks.http", version, cfg.trusts(cfg.proxy)), "GET", "/auth/traefik", "", asked(token)...); err != nil || a.status != 200 {
			t.Errorf("%s: %v, %v", version, a, err)
		}
	}
	if _, err := send(t, s.over(t, "checks.http", "HTTP/1.1", cfg.trusts(nil)), "GET", "/auth/traefik", "", asked(token)...); err == nil {
		t.Error("the socket takes a client without a certificate")
	}
	if got, err := checkOver(t, s.dialTLS(t, cfg.trusts(cfg.proxy)), token); err != nil || got != codes.OK {
		t.Errorf("gRPC: %v, %v", got, err)
	}
	if got := shout(t, s.address(t, "checks.http"), "GET /auth/traefik HTTP/1.1\r\nHost: x\r\n\r\n"); got != 400 {
		t.Errorf("in the clear: %d", got)
	}
}
