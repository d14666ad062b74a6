package verify_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
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

	"devicegate/config"
	"devicegate/password/passwordtest"
	"devicegate/server"
	"devicegate/token"
	"devicegate/token/tokentest"
)

const (
	secret   = "correct horse battery staple"
	issuer   = "https://gate.example"
	ownHost  = "app.example"
	another  = "other.example"
	userName = `Zoë, "100%"`
	patience = 30 * time.Second // for anything on this machine
)

// gate is a real one, whose clock can be set back and which is reached over real listeners.
type gate struct {
	*server.Server
	t      *testing.T
	config *config.Config
	behind atomic.Int64 // seconds
}

// startGate starts one whose access tokens have the name of a backend as their audience, which is the closest that they
// can get to an assertion. Its key of alg is one that the test has too.
func startGate(t *testing.T, alg token.Algorithm) *gate {
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
	cfg.IdentityHeaders.Assertion = "Remote-Assertion"
	cfg.Tokens.Issuer, cfg.Tokens.Audience, cfg.Tokens.SigningKeyFile = issuer, ownHost, filepath.Join(dir, "key.pem")
	der, err := x509.MarshalPKCS8PrivateKey(tokentest.PrivateKey(alg))
	if err == nil {
		err = os.WriteFile(cfg.Tokens.SigningKeyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, config: &cfg}
	g.Server, err = server.Open(t.Context(), &cfg, zerolog.Nop(), server.WithHasher(&passwordtest.Hasher{}),
		server.WithClock(func() time.Time { return time.Now().Add(-time.Duration(g.behind.Load()) * time.Second) }))
	if err != nil {
		t.Fatal(err)
	}
	g.serve()
	g.call("admin", "POST", "/admin/users", map[string]any{"name": userName, "password": secret, "roles": []string{"staff", "dev"}}, nil, nil)
	return g
}

// serve runs the gate until the test ends, and waits until it is ready.
func (g *gate) serve() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- g.Run(ctx, func() { close(ready) }) }()
	g.t.Cleanup(func() {
		cancel()
		<-ended
		_ = g.Close()
	})
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		g.t.Fatalf("Run = %v", err)
	}
}

// call asks a listener and reads the answer into to, unless it is nil. It fails the test where the answer is no success.
func (g *gate) call(listener, method, path string, body any, header http.Header, to any) http.Header {
	g.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://gate"+path, bytes.NewReader(content))
	if err != nil {
		g.t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: g.dial(listener)}}
	resp, err := client.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		g.t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, answer, err)
	}
	if to != nil {
		if err := json.Unmarshal(answer, to); err != nil {
			g.t.Fatal(err)
		}
	}
	return resp.Header
}

func (g *gate) dial(listener string) func(ctx context.Context, _, _ string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		at := g.Addresses()[listener]
		if path, unix := strings.CutPrefix(at, "unix:"); unix {
			return d.DialContext(ctx, "unix", path)
		}
		return d.DialContext(ctx, "tcp", at)
	}
}

// session is what a sign-in answers.
type session struct {
	Access string
	UID    string `json:"device_uid"`
}

func (g *gate) signIn() (s session) {
	g.t.Helper()
	g.call("api", "POST", "/api/token", map[string]any{"username": userName, "password": secret}, nil, &s)
	return s
}

// assertion asks as nginx does for a request to a host, and returns what nginx would hand on.
func (g *gate) assertion(access, host string) string {
	g.t.Helper()
	header := g.call("checks.http", "GET", "/auth/nginx", nil, http.Header{
		"Authorization": {"Bearer " + access}, "X-Original-Method": {"GET"}, "X-Original-Url": {"https://" + host + "/report?x=1"},
	}, nil)
	raw := header.Get("Remote-Assertion")
	if raw == "" {
		g.t.Fatalf("an allow without an assertion: %v", header)
	}
	return raw
}

// keys returns the URL of the gate's keys, and the keys.
func (g *gate) keys() (url, content string) {
	g.t.Helper()
	url = "http://" + g.Addresses()["api"] + "/.well-known/jwks.json"
	var set json.RawMessage
	g.call("api", "GET", "/.well-known/jwks.json", nil, nil, &set)
	return url, string(set)
}
