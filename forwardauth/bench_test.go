package forwardauth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"devicegate/authz/authztest"
	"devicegate/forwardauth"
)

// discard is a ResponseWriter that costs nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkAllow is the whole way of an allowed check but for net/http: handler, decision, log, metrics.
func BenchmarkAllow(b *testing.B) { benchmarkAllow(b, authztest.Setup{Sample: 1 << 62}) }

// BenchmarkAllowAsserted is the same with an assertion that was made before.
func BenchmarkAllowAsserted(b *testing.B) {
	benchmarkAllow(b, authztest.Setup{Sample: 1 << 62, Assertions: true})
}

func benchmarkAllow(b *testing.B, setup authztest.Setup) {
	w := authztest.NewWorld(b)
	handler := forwardauth.Handler(w.Gate(setup), func(p any) { b.Error(p) })
	r := httptest.NewRequest("GET", "/auth/traefik", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	r.Header = http.Header{
		"X-Forwarded-Method": {"GET"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"app.example"}, "X-Forwarded-Uri": {"/x"},
		"X-Forwarded-For": {"203.0.113.9"}, "Authorization": {"Bearer " + w.Anna.Token},
	}
	answer := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(answer.header)
		handler.ServeHTTP(answer, r)
	}
	if answer.status != http.StatusOK {
		b.Fatalf("answered %d", answer.status)
	}
}
