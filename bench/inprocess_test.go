package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/rs/zerolog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/peer"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/config"
	"devicegate/envoy"
	passwords "devicegate/password"
	"devicegate/reason"
	"devicegate/server"
)

// These benchmarks take the transport away: what is left is ours to make cheaper. Profile them with
// -cpuprofile.

func openGate(b *testing.B) (*server.Server, device) {
	b.Helper()
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(b.TempDir(), "devicegate.db")
	cfg.Log.AllowedSample = 1_000_000
	s, err := server.Open(b.Context(), &cfg, zerolog.Nop(), server.WithHasher(passwords.Inline(passwords.Default)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	if err := s.Fill(b.Context()); err != nil {
		b.Fatal(err)
	}
	body := `{"name":"user-0","roles":["staff"],"password":"` + password + `"}`
	req := httptest.NewRequest(http.MethodPost, "/admin/users", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if s.Admin(activity.BySocket).ServeHTTP(w, req); w.Code != http.StatusCreated {
		b.Fatal(w.Code, w.Body)
	}
	people := httptest.NewServer(s.API())
	b.Cleanup(people.Close)
	d, err := newPerson(strings.TrimPrefix(people.URL, "http://"), "user-0").signIn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return s, d
}

// captured is a registrar that keeps the service instead of serving it.
type captured struct{ authv3.AuthorizationServer }

func (c *captured) RegisterService(_ *grpc.ServiceDesc, service any) {
	c.AuthorizationServer = service.(authv3.AuthorizationServer)
}

// allowAll decides in no time: what it costs to decide is in BenchmarkHTTPCheck.
type allowAll struct{}

func (allowAll) Decide(context.Context, authz.Request) authz.Decision {
	return authz.Decision{Reason: reason.OK, Identity: authz.Identity{Set: []authz.Header{
		{Name: "Remote-User", Value: "user-0"}, {Name: "Remote-Groups", Value: "staff"}, {Name: "Remote-Device", Value: requestID},
	}}}
}

// BenchmarkGRPCCheck is translation alone: bytes to a decision's question, and an answer to bytes.
func BenchmarkGRPCCheck(b *testing.B) {
	d := device{UID: requestID, Token: strings.Repeat("t", 600)}
	bodies, err := checkBodies([]device{d})
	if err != nil {
		b.Fatal(err)
	}
	var service captured
	envoy.Register(&service, envoy.Options{Decider: allowAll{}, DefaultPolicy: func() string { return authz.DefaultPolicy }, Panicked: func(p any) { b.Error(p) }})
	codec := envoy.NewCodec()
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}})
	data := mem.BufferSlice{mem.SliceBuffer(bodies[d.UID])}
	run := func(name string, decode, check, encode bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			req, answer := new(authv3.CheckRequest), new(authv3.CheckResponse)
			if err := codec.Unmarshal(data, req); err != nil {
				b.Fatal(err)
			}
			if answer, _ = service.Check(ctx, req); answer.GetOkResponse() == nil {
				b.Fatal(answer)
			}
			for b.Loop() {
				if decode {
					req = new(authv3.CheckRequest)
					_ = codec.Unmarshal(data, req)
				}
				if check {
					answer, _ = service.Check(ctx, req)
				}
				if encode {
					out, err := codec.Marshal(answer)
					if err != nil {
						b.Fatal(err)
					}
					out.Free()
				}
			}
		})
	}
	run("decode", true, false, false)
	run("check", false, true, false)
	run("encode", false, false, true)
	run("all", true, true, true)
}

// BenchmarkHTTPCheck is a whole check of a token that was seen before, without net/http's server.
func BenchmarkHTTPCheck(b *testing.B) {
	s, d := openGate(b)
	handler := s.Checks()
	req := httptest.NewRequest(http.MethodGet, "/auth/traefik", nil)
	req.RemoteAddr = "127.0.0.1:40000"
	req.Header = http.Header{
		"X-Forwarded-Method": {"GET"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {host},
		"X-Forwarded-Uri": {path}, "X-Forwarded-For": {client}, "Authorization": {"Bearer " + d.Token},
		"User-Agent": {userAgent}, "X-Request-Id": {requestID},
	}
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, req); w.Code != http.StatusOK {
		b.Fatal(w.Code, w.Header())
	}
	b.ReportAllocs()
	header := http.Header{}
	for b.Loop() {
		clear(header)
		handler.ServeHTTP(discard{header}, req)
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
