package server_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"devicegate/server"
)

func dialChecks(t *testing.T, s *service) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.address(t, "checks.grpc").Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A check that carries a large body is refused like any other, and the log says why. gRPC's own bound would answer it with
// an error, which an Envoy with failure_mode_allow takes for "allow".
func TestLargeCheckIsRefused(t *testing.T) {
	s := start(t, settings(t))
	client := authv3.NewAuthorizationClient(dialChecks(t, s))
	for size, want := range map[int]codes.Code{900 << 10: codes.Unauthenticated, 1 << 20: codes.PermissionDenied, 9 << 20: codes.PermissionDenied, 70 << 20: codes.PermissionDenied} {
		check := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{
			Http: &authv3.AttributeContext_HttpRequest{
				Method: "POST", Host: "app.example", Path: "/x", Headers: map[string]string{":path": "/x"},
				Body: strings.Repeat("b", size),
			},
		}}}
		answer, err := client.Check(t.Context(), check)
		if err != nil {
			t.Errorf("a check of %d bytes ends in a gRPC error: %v", size, err)
			continue
		}
		if got := codes.Code(answer.GetStatus().GetCode()); got != want || answer.GetDeniedResponse() == nil {
			t.Errorf("a check of %d bytes: got %v, want %v", size, answer, want)
		}
	}
	if lines := s.log.with("with_request_body"); len(lines) != 1 {
		t.Errorf("the log says %d times why, want once for all: %q", len(lines), lines)
	}
}

// Only those who may ask may watch: a watch costs memory for as long as its client likes.
func TestStrangersDoNotWatchHealth(t *testing.T) {
	cfg := settings(t)
	cfg.Checks.AllowedPeers = []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")}
	s := start(t, cfg)
	health := healthpb.NewHealthClient(dialChecks(t, s))
	watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil {
		_, err = watch.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a watch from a peer that may not ask: %v", err)
	}
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a single question about health: %v", err)
	}
}

// Those who watch are bounded, and whoever asks once is answered beside them.
func TestWatchesAreBounded(t *testing.T) {
	s := start(t, settings(t))
	health := healthpb.NewHealthClient(dialChecks(t, s))
	var refused int
	for range server.MaxWatches + 3 {
		watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		switch status.Code(err) {
		case codes.OK:
		case codes.ResourceExhausted:
			refused++
		default:
			t.Fatal(err)
		}
	}
	if refused != 3 {
		t.Errorf("%d of %d watches were refused, want 3", refused, server.MaxWatches+3)
	}
	if _, err := health.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a single question about health: %v", err)
	}
}

// A watcher hears that the service stops, and does not hold the stop up.
func TestWatcherDoesNotHoldTheStop(t *testing.T) {
	cfg := settings(t)
	s := start(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch, err := healthpb.NewHealthClient(dialChecks(t, s)).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("first word: %v, %v", first, err)
	}
	s.stop()
	for err == nil {
		_, err = watch.Recv()
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
		t.Fatal("the service waits for its watcher")
	}
	if lines := s.log.with("cut off"); s.err != nil || len(lines) > 0 {
		t.Errorf("Run = %v, log %q", s.err, lines)
	}
}
