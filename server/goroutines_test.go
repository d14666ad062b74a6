package server_test

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

var goroutine = regexp.MustCompile(`^goroutine (\d+) `)

// goroutines returns what each goroutine of the process does, by its number.
func goroutines() map[string]string {
	text := make([]byte, 16<<20)
	text = text[:runtime.Stack(text, true)]
	all := map[string]string{}
	for stack := range strings.SplitSeq(string(text), "\n\n") {
		if number := goroutine.FindStringSubmatch(stack); number != nil {
			all[number[1]] = stack
		}
	}
	return all
}

// wantNoMoreThan waits until no goroutine is left that was not there before.
func wantNoMoreThan(t *testing.T, before map[string]string) {
	t.Helper()
	var left []string
	defer func() {
		for _, stack := range left {
			t.Logf("left behind:\n%s", stack)
		}
	}()
	eventually(t, "all goroutines of the service have ended", func() bool {
		left = nil
		for number, stack := range goroutines() {
			if _, was := before[number]; !was {
				left = append(left, stack)
			}
		}
		return len(left) == 0
	})
}

// TestNoGoroutineIsLeft: V11. A service that was opened, used over every listener, reloaded and closed leaves nothing behind,
// though clients have connections open, and a call under way that has no end of its own.
func TestNoGoroutineIsLeft(t *testing.T) {
	before := goroutines()
	cfg := withDjango(t, settings(t))
	cfg.Admin.Address = cfg.API.Address // a free port as well
	s := start(t, cfg)
	token := s.signIn(t)
	s.demand(t, "a check", "/auth/traefik", token, "")
	s.demand(t, "a check of a foreign token", "/auth/traefik", djangoToken("7", "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a"), "")
	for _, listener := range []string{"operations", "api", "admin", "admin.address"} {
		s.ask(t, listener, "GET", "/readyz", "")
	}
	s.reload(t, withDjango(t, cfg))
	for _, name := range []string{"operations", "api", "admin", "admin.address", "checks.http"} {
		idle := s.client(t, name)
		idle.Transport.(*http.Transport).DisableKeepAlives = false // the connection stays, until the service hangs up
		got, err := idle.Get("http://x/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, got.Body)
		_ = got.Body.Close()
	}
	conn, err := grpc.NewClient(s.address(t, "checks.grpc").Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), &authv3.CheckRequest{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	<-s.ended
	if err := s.Close(); err != nil || s.err != nil {
		t.Errorf("Run = %v, Close = %v", s.err, err)
	}
	cancel()
	_ = conn.Close() // the client's own goroutines are not the service's
	wantNoMoreThan(t, before)
}

// TestGoroutinesAreSeen shows that one that is left behind would be.
func TestGoroutinesAreSeen(t *testing.T) {
	before, end := goroutines(), make(chan struct{})
	go func() { <-end }()
	extra := 0
	for number := range goroutines() {
		if _, was := before[number]; !was {
			extra++
		}
	}
	if extra != 1 {
		t.Errorf("%d new goroutines are seen, want 1", extra)
	}
	close(end)
	wantNoMoreThan(t, before)
}
