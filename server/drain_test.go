package server_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
)

// TestDrainUnderLoad: V6. While checks come in as fast as they are answered, over HTTP and over gRPC, the service is stopped:
// each check that was decided is answered, whole and right, and no caller is told anything else than that the connection
// is gone.
func TestDrainUnderLoad(t *testing.T) {
	const callers, before = 8, 300
	cfg := settings(t)
	cfg.Log.AllowedSample = 1 // each decision has a line
	s := start(t, cfg)
	token := s.signIn(t)
	var answered [2]atomic.Int64 // over HTTP, over gRPC
	enough := make(chan struct{})
	var once sync.Once
	count := func(transport int) {
		if answered[transport].Add(1) >= before && answered[1-transport].Load() >= before {
			once.Do(func() { close(enough) })
		}
	}
	var all sync.WaitGroup
	for range callers {
		client := s.client(t, "checks.http")
		transport := client.Transport.(*http.Transport)
		// One connection each: one that was never used would be waited for.
		transport.DisableKeepAlives, transport.MaxConnsPerHost = false, 1
		all.Go(func() {
			for overHTTP(t, client, token) {
				count(0)
			}
		})
		conn := dialChecks(t, s)
		conn.Connect()
		all.Go(func() {
			for overGRPC(t, authv3.NewAuthorizationClient(conn), token) {
				count(1)
			}
		})
	}
	<-enough
	s.stop()
	all.Wait()
	<-s.ended
	if s.err != nil {
		t.Errorf("Run = %v", s.err)
	}
	for i, adapter := range []string{"traefik", "envoy_grpc"} {
		decided := int64(len(s.log.with(fmt.Sprintf(`"adapter":%q`, adapter))))
		if got := answered[i].Load(); got != decided {
			t.Errorf("%s: %d checks were decided and %d answered", adapter, decided, got)
		}
	}
	if cut := s.log.with("shutdown_timeout"); len(cut) > 0 {
		t.Errorf("the log says %v", cut)
	}
}

// overHTTP asks once. It returns false when the connection is gone; any other answer than an allow is a fault.
func overHTTP(t *testing.T, client *http.Client, token string) bool {
	r, err := http.NewRequest("GET", "http://x/auth/traefik", nil)
	if err != nil {
		t.Error(err)
		return false
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for name, value := range map[string]string{"Method": "GET", "Proto": "https", "Host": "app.example", "Uri": "/x"} {
		r.Header.Set("X-Forwarded-"+name, value)
	}
	got, err := client.Do(r)
	if err != nil {
		return false
	}
	defer got.Body.Close()
	if _, err := io.Copy(io.Discard, got.Body); err != nil || got.StatusCode != 200 {
		t.Errorf("a check over HTTP = %d, %v", got.StatusCode, err)
	}
	return true
}

// overGRPC is overHTTP over gRPC.
func overGRPC(t *testing.T, client authv3.AuthorizationClient, token string) bool {
	got, err := client.Check(context.Background(), &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
			SocketAddress: &corev3.SocketAddress{Address: "192.0.2.1"},
		}}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Host: "app.example", Path: "/x", Headers: map[string]string{"authorization": "Bearer " + token},
		}},
	}})
	if err != nil {
		return false
	}
	if code := codes.Code(got.GetStatus().GetCode()); code != codes.OK {
		t.Errorf("a check over gRPC = %v", got)
	}
	return true
}
