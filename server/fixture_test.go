package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"devicegate/config"
	"devicegate/password/passwordtest"
	"devicegate/server"
)

const secret = "correct horse battery staple"

// patience is how long anything on this machine may take before a test gives up on it.
const patience = 20 * time.Second

// settings returns a configuration whose listeners take free ports.
func settings(t *testing.T) *config.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "dg") // short: the kernel bounds the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(dir, "db")
	for _, address := range []*config.Address{&cfg.API.Address, &cfg.Checks.HTTP.Address, &cfg.Checks.GRPC.Address, &cfg.Operations.Address} {
		*address = config.Address{Network: "tcp", Addr: "127.0.0.1:0"}
	}
	return &cfg
}

// service is a server under test.
type service struct {
	*server.Server
	log   *lines
	ready chan struct{} // closed when it is
	stop  context.CancelFunc
	ended chan struct{} // closed when Run has returned err
	err   error
}

// open puts a server together; the test's end closes it.
func open(t *testing.T, cfg *config.Config, options ...server.Option) *service {
	t.Helper()
	s := &service{log: &lines{}, ready: make(chan struct{}), ended: make(chan struct{})}
	var err error
	s.Server, err = server.Open(t.Context(), cfg, zerolog.New(s.log),
		append([]server.Option{server.WithHasher(&passwordtest.Hasher{}), server.WithVersion("v1.2.3")}, options...)...)
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// run starts the server; the test's end stops it.
func (s *service) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() {
		s.err = s.Run(ctx, func() { close(s.ready) })
		close(s.ended)
	}()
	t.Cleanup(func() { s.stop(); <-s.ended })
}

// start opens and runs a server, and waits until it is ready.
func start(t *testing.T, cfg *config.Config, options ...server.Option) *service {
	t.Helper()
	s := open(t, cfg, options...)
	s.run(t)
	select {
	case <-s.ready:
	case <-s.ended:
		t.Fatalf("Run = %v", s.err)
	}
	return s
}

// address returns the address of a listener.
func (s *service) address(t *testing.T, name string) config.Address {
	t.Helper()
	at, ok := s.Addresses()[name]
	if !ok {
		t.Fatalf("there is no listener %s in %v", name, s.Addresses())
	}
	if path, unix := strings.CutPrefix(at, "unix:"); unix {
		return config.Address{Network: "unix", Addr: path}
	}
	return config.Address{Network: "tcp", Addr: at}
}

// client returns a client that connects to a listener whatever the URL says.
func (s *service) client(t *testing.T, name string) *http.Client {
	t.Helper()
	at := s.address(t, name)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, at.Network, at.Addr)
	}}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends one request to a listener; a body is JSON.
func (s *service) ask(t *testing.T, listener, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://x"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client(t, listener).Do(req)
	if err != nil {
		t.Fatalf("%s %s at %s: %v", method, path, listener, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// signIn makes a user and returns an access token.
func (s *service) signIn(t *testing.T) string {
	t.Helper()
	if a := s.ask(t, "admin", "POST", "/admin/users", `{"name":"alice","password":"`+secret+`"}`); a.status != 201 {
		t.Fatalf("making a user: %d %s", a.status, a.body)
	}
	a := s.ask(t, "api", "POST", "/api/token", `{"username":"alice","password":"`+secret+`"}`)
	var tokens struct{ Access string }
	if err := json.Unmarshal([]byte(a.body), &tokens); err != nil || a.status != 200 {
		t.Fatalf("signing in: %d %s", a.status, a.body)
	}
	return tokens.Access
}

// check asks the gate as Traefik does.
func (s *service) check(t *testing.T, path, token string) answer {
	t.Helper()
	return s.ask(t, "checks.http", "GET", path, "", "Authorization", "Bearer "+token,
		"X-Forwarded-Method", "GET", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "app.example", "X-Forwarded-Uri", "/x",
		"X-Original-Method", "GET", "X-Original-URL", "https://app.example/x")
}

// eventually polls until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to this: %s", what)
		}
		<-tick.C
	}
}

// lines collects the log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// with returns the lines that contain text.
func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}
