package server_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"devicegate/config"
	"devicegate/db"
	"devicegate/db/dbtest"
	"devicegate/server"
)

// slow is a store whose first full read of the index waits for go.
type slow struct {
	db.Store
	reached, release chan struct{}
}

func (s *slow) Range(ctx context.Context, from, to string, limit int) ([]db.Entry, db.Revision, error) {
	if strings.HasPrefix(from, db.WatchedPrefix) {
		select {
		case s.reached <- struct{}{}:
			<-s.release
		default:
		}
	}
	return s.Store.Range(ctx, from, to, limit)
}

// TestStartingRefuses: the listeners are open before the index is filled, and let nobody pass.
func TestStartingRefuses(t *testing.T) {
	store := &slow{Store: dbtest.New(t), reached: make(chan struct{}), release: make(chan struct{})}
	cfg := settings(t)
	opened := make(chan *service, 1)
	go func() { opened <- open(t, cfg, server.WithStore(store)) }()
	var s *service
	for s == nil { // Open reads the signing keys, which are watched as well
		select {
		case s = <-opened:
		case <-store.reached:
			store.release <- struct{}{}
		}
	}
	s.run(t)
	<-store.reached
	eventually(t, "all listeners are open", func() bool { return len(s.Addresses()) == 5 })
	if a := s.check(t, "/auth/traefik", "x"); a.status != 503 || a.header.Get("X-Auth-Reason") != "starting" {
		t.Errorf("a check while starting = %d %s, want 503 starting", a.status, a.header.Get("X-Auth-Reason"))
	}
	wantHealth(t, s, 503, "starting", healthpb.HealthCheckResponse_NOT_SERVING)
	close(store.release)
	<-s.ready
	wantHealth(t, s, 200, "ready", healthpb.HealthCheckResponse_SERVING)
	if a := s.check(t, "/auth/traefik", s.signIn(t)); a.status != 200 {
		t.Errorf("a check when ready = %d, want 200", a.status)
	}
}

// TestFeedBroke: the gate refuses everybody, in each adapter's own way, and says so where it is asked.
func TestFeedBroke(t *testing.T) {
	store := dbtest.NewFaulty(dbtest.New(t))
	s := start(t, settings(t), server.WithStore(store))
	token := s.signIn(t)
	store.BreakFeeds(errors.New("the feed broke"))
	eventually(t, "the service is not ready", func() bool { return s.Ready() != nil })
	for path, status := range map[string]int{"/auth/traefik": 503, "/auth/caddy": 503, "/auth/haproxy": 503, "/auth/nginx": 503, "/auth/envoy/default/x": 403} {
		a := s.check(t, path, token)
		if a.status != status || a.header.Get("X-Auth-Reason") != "store_unavailable" || a.header.Get("Remote-User") != "" {
			t.Errorf("%s = %d %s, want %d store_unavailable without identity", path, a.status, a.header.Get("X-Auth-Reason"), status)
		}
	}
	wantHealth(t, s, 503, "store_unavailable", healthpb.HealthCheckResponse_NOT_SERVING)
	if a := s.ask(t, "operations", "GET", "/healthz", ""); a.status != 200 {
		t.Errorf("/healthz = %d, want 200: the process lives", a.status)
	}
	if len(s.log.with("can no longer be trusted")) != 1 {
		t.Errorf("the log does not say once that the store is no longer trusted: %v", s.log.with("store"))
	}
}

// TestStoreFailedIsNotReady also where the feed still stands.
func TestStoreFailedIsNotReady(t *testing.T) {
	store := dbtest.NewFaulty(dbtest.New(t))
	s := start(t, settings(t), server.WithStore(store))
	store.FailHealth(errors.New("the last sync failed"))
	wantHealth(t, s, 503, "the last sync failed", healthpb.HealthCheckResponse_NOT_SERVING)
	store.FailHealth(nil)
	wantHealth(t, s, 200, "ready", healthpb.HealthCheckResponse_SERVING)
}

// wantHealth demands /readyz at once, and that gRPC health comes to the same for both names.
func wantHealth(t *testing.T, s *service, status int, word string, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	if a := s.ask(t, "operations", "GET", "/readyz", ""); a.status != status || !strings.Contains(a.body, word) {
		t.Errorf("/readyz = %d %s, want %d and the word %q", a.status, a.body, status, word)
	}
	conn, err := grpc.NewClient("passthrough:///"+s.address(t, "checks.grpc").Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, name := range []string{"", "envoy.service.auth.v3.Authorization"} {
		eventually(t, "gRPC health of "+name+" is "+want.String(), func() bool {
			got, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
			return err == nil && got.Status == want
		})
	}
}

func TestOperationsAnswersNothingElse(t *testing.T) {
	s := start(t, settings(t))
	for _, path := range []string{"/", "/api/token", "/admin/users", "/auth/traefik", "/debug/pprof/", "/readyz/"} {
		if a := s.ask(t, "operations", "GET", path, ""); a.status != 404 || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s = %d %s, want 404 as a problem", path, a.status, a.body)
		}
	}
	for _, name := range []string{"api", "checks.http"} {
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/admin/users"} {
			if a := s.ask(t, name, "GET", path, ""); a.status != 404 {
				t.Errorf("%s answers %s with %d, want 404", name, path, a.status)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	s := start(t, settings(t))
	token := s.signIn(t)
	s.check(t, "/auth/traefik", token)
	s.check(t, "/auth/nginx", "x")
	s.ask(t, "api", "POST", "/api/token", `{"username":"nobody","password":"wrong"}`)
	a := s.ask(t, "operations", "GET", "/metrics", "")
	if a.status != http.StatusOK {
		t.Fatalf("/metrics = %d", a.status)
	}
	for _, line := range []string{
		`devicegate_checks_total{adapter="traefik",outcome="allow",reason="ok"} 1`,
		`devicegate_checks_total{adapter="nginx",outcome="unauthenticated",reason="token_malformed"} 1`,
		`devicegate_checks_total{adapter="envoy_grpc",outcome="deny",reason="policy_unknown"} 0`,
		`devicegate_check_duration_seconds_count{adapter="traefik"} 1`,
		`devicegate_sign_ins_total{outcome="success",reason="ok"} 1`,
		`devicegate_sign_ins_total{outcome="failure",reason="unknown_user"} 1`,
		`devicegate_sign_ins_total{outcome="failure",reason="wrong_password"} 0`,
		`devicegate_devices 1`,
	} {
		if !strings.Contains(a.body, "\n"+line+"\n") {
			t.Errorf("the metrics lack the line %s", line)
		}
	}
	if !strings.Contains(a.body, `devicegate_build_info{go="go`) || !strings.Contains(a.body, `version="v1.2.3"} 1`) {
		t.Error("the metrics lack devicegate_build_info with go and version")
	}
	if strings.Contains(a.body, "alice") || strings.Contains(a.body, "nobody") {
		t.Error("the metrics name users")
	}
}

// TestAddressesThatAreOff: a service that only answers checks, or only people.
func TestAddressesThatAreOff(t *testing.T) {
	cfg := settings(t)
	cfg.API.Address, cfg.Checks.GRPC.Address, cfg.Operations.Address = config.Address{}, config.Address{}, config.Address{}
	s := start(t, cfg)
	if got := s.Addresses(); len(got) != 2 || got["admin"] == "" || got["checks.http"] == "" {
		t.Errorf("listeners = %v, want admin and checks.http", got)
	}
	if a := s.check(t, "/auth/traefik", "x"); a.status != 401 {
		t.Errorf("a check = %d, want 401", a.status)
	}
	s.stop()
	<-s.ended
	if s.err != nil {
		t.Errorf("Run = %v, want nil", s.err)
	}
}
