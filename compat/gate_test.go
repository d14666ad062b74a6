package compat_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"devicegate/password/passwordtest"
	"devicegate/server"
)

// gate is the whole service with its listeners and a store in a file, as "devicegate serve" runs it.
type gate struct {
	t       *testing.T
	text    string        // its configuration
	ahead   *atomic.Int64 // how far its clock is ahead of Django's, in nanoseconds
	address map[string]string
	admin   *http.Client // speaks to the admin socket
	stop    func()
}

// gateSettings are those of every gate here. The clients of Django know no seniority.
const gateSettings = `
checks: {http: {address: "127.0.0.1:0"}, grpc: {address: ""}}
api: {address: "127.0.0.1:0"}
operations: {address: ""}
devices: {seniority_delay: 0s}
`

// startGate runs a gate with issuers, which is the text of that list.
func startGate(t *testing.T, issuers string) *gate {
	t.Helper()
	folder, err := os.MkdirTemp("", "dg") // short, because the path of a socket has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	store := filepath.Join(folder, "g.db")
	g := &gate{t: t, ahead: &atomic.Int64{}, text: "store: {path: " + store + "}" + gateSettings + "issuers:\n" + issuers}
	g.admin = &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", store+".sock")
		}}}
	g.start()
	t.Cleanup(func() { g.stop() })
	return g
}

// start runs the service on what is in its store.
func (g *gate) start() {
	g.t.Helper()
	cfg, err := load(g.t, g.text)
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := server.Open(g.t.Context(), cfg, zerolog.Nop(), server.WithHasher(&passwordtest.Hasher{}), server.WithClock(g.now))
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Run(ctx, func() { close(ready) }) }()
	stopped := false
	g.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			g.t.Errorf("the gate ended with: %v", err)
		}
		if err := s.Close(); err != nil {
			g.t.Errorf("closing the gate: %v", err)
		}
	}
	select {
	case <-ready:
		g.address = s.Addresses()
	case err := <-ended:
		g.t.Fatalf("the gate ended at once: %v", err)
	case <-time.After(patience):
		g.t.Fatal("the gate did not get ready")
	}
}

// restart ends the service and runs it again on the same store.
func (g *gate) restart() {
	g.t.Helper()
	g.stop()
	g.start()
}

// in returns the gate for a subtest that runs beside others.
func (g *gate) in(t *testing.T) *gate {
	theirs := *g
	theirs.t = t
	return &theirs
}

func (g *gate) now() time.Time          { return time.Now().Add(time.Duration(g.ahead.Load())) }
func (g *gate) advance(d time.Duration) { g.ahead.Add(int64(d)) }

// want sends to the API, or to the admin socket, and demands status and code.
func (g *gate) want(status int, code string, q request) response {
	g.t.Helper()
	client, url := http.DefaultClient, "http://"+g.address["api"]
	if strings.HasPrefix(q.path, "/admin") {
		client, url = g.admin, "http://gate"
	}
	r := overHTTP(g.t, client, url, q)
	if r.status != status || r.code() != code {
		g.t.Fatalf("%s %s %s = %d %s, want %d %q", q.method, q.path, q.body, r.status, r.body, status, code)
	}
	return r
}

// check asks as a proxy does for a client that shows the token.
func (g *gate) check(token string) response {
	g.t.Helper()
	return overHTTP(g.t, http.DefaultClient, "http://"+g.address["checks.http"], request{
		method: "GET", path: "/auth/traefik", token: token, header: []string{
			"X-Forwarded-For", home, "X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https",
			"X-Forwarded-Host", "app.example", "X-Forwarded-Uri", "/",
		}})
}

// letsIn demands that a token passes, as whom and with which device.
func (g *gate) letsIn(token, user, device string) {
	g.t.Helper()
	r := g.check(token)
	if r.status != 200 || r.header.Get("Remote-User") != user || r.header.Get("Remote-Device") != device {
		g.t.Fatalf("a check of %s is answered %d %s, %s %s, want 200, %s %s", payload(g.t, token), r.status, r.header.Get("X-Auth-Reason"),
			r.header.Get("Remote-User"), r.header.Get("Remote-Device"), user, device)
	}
}

// shutsOut demands that a token is refused with 401 for a reason, and that nobody is named.
func (g *gate) shutsOut(token, reason string) {
	g.t.Helper()
	r := g.check(token)
	if got := r.header.Get("X-Auth-Reason"); r.status != 401 || got != reason {
		g.t.Fatalf("a check is answered %d %s, want 401 %s", r.status, got, reason)
	}
	for _, name := range []string{"Remote-User", "Remote-Groups", "Remote-Device"} {
		if value := r.header.Get(name); value != "" {
			g.t.Errorf("a refusal has %s: %s", name, value)
		}
	}
}

// registering is the call of an admin who lets a device in.
func registering(uid, body string) request {
	return request{method: "PUT", path: "/admin/devices/" + uid, body: body}
}

// overHTTP sends q and reads the whole answer.
func overHTTP(t *testing.T, client *http.Client, url string, q request) response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, q.method, url+q.path, strings.NewReader(q.body))
	if err != nil {
		t.Fatal(err)
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	for i := 0; i < len(q.header); i += 2 {
		r.Header.Set(q.header[i], q.header[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{answer.StatusCode, answer.Header, body}
}
