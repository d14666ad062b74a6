package keysource_test

import (
	"context"
	"crypto/x509"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"devicegate/token/keysource"
)

// runUntil runs a source on a real network until a line that holds part was said.
func runUntil(t *testing.T, o keysource.Options, part string) *keysource.Source {
	t.Helper()
	heard := &log{heard: make(chan string)}
	o.Algorithms, o.Log = []string{"EdDSA"}, heard.add
	s := mustOpen(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	for line := range heard.heard {
		if strings.Contains(line, part) {
			break
		}
	}
	cancel()
	<-done
	return s
}

func server(t *testing.T, start func(http.Handler) *httptest.Server, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := start(handler)
	s.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	return s
}

// TestRequest: what is asked, over a real connection and with the transport of production.
func TestRequest(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	from := server(t, httptest.NewServer, func(rw http.ResponseWriter, r *http.Request) {
		seen.Store(r)
		http.SetCookie(rw, &http.Cookie{Name: "a", Value: "b"})
		serves(jwks(jwk("ed", "ed")))(rw, r)
	})
	s := runUntil(t, keysource.Options{JWKSURL: from.URL + "/keys?tenant=7"}, "1 in use")
	if !good(s, "EdDSA", "ed") || s.Trouble() != nil {
		t.Errorf("trouble: %v", s.Trouble())
	}
	r := seen.Load()
	if r.Method != http.MethodGet || r.RequestURI != "/keys?tenant=7" || r.Header.Get("User-Agent") != "devicegate" || !strings.Contains(r.Header.Get("Accept"), "application/json") {
		t.Errorf("asked %s %s %v", r.Method, r.RequestURI, r.Header)
	}
	if !r.Close {
		t.Error("a connection is kept for five minutes")
	}
	for _, name := range []string{"Cookie", "Accept-Encoding", "Authorization", "Referer"} {
		if r.Header.Get(name) != "" {
			t.Errorf("%s is sent", name)
		}
	}
}

// TestRedirectIsNotFollowed: the other server is never asked.
func TestRedirectIsNotFollowed(t *testing.T) {
	var asked atomic.Int32
	other := server(t, httptest.NewServer, func(rw http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		serves(jwks(jwk("ed", "ed")))(rw, r)
	})
	from := server(t, httptest.NewServer, func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, other.URL, http.StatusFound)
	})
	s := runUntil(t, keysource.Options{JWKSURL: from.URL}, "redirects are not followed")
	if asked.Load() != 0 || !s.Set().Empty() || s.Trouble() == nil {
		t.Errorf("the other server was asked %d times", asked.Load())
	}
}

// TestTLS: a certificate that nobody vouches for is refused.
func TestTLS(t *testing.T) {
	from := server(t, httptest.NewTLSServer, serves(jwks(jwk("ed", "ed"))))
	if s := runUntil(t, keysource.Options{JWKSURL: from.URL}, "certificate"); !s.Set().Empty() {
		t.Error("keys from a server that nobody vouches for")
	}
	trusting := keysource.NewTransport()
	trusting.TLSClientConfig = from.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.TLSClientConfig.RootCAs = x509.NewCertPool()
	trusting.TLSClientConfig.RootCAs.AddCert(from.Certificate())
	if s := runUntil(t, keysource.Options{JWKSURL: from.URL, Transport: trusting}, "1 in use"); !good(s, "EdDSA", "ed") {
		t.Errorf("trouble: %v", s.Trouble())
	}
}

// TestNobodyThere: a refused connection is told without the query.
func TestNobodyThere(t *testing.T) {
	from := httptest.NewServer(nil)
	from.Close()
	s := runUntil(t, keysource.Options{JWKSURL: from.URL + "?" + secretQuery}, "refused")
	if text := s.Trouble().Error(); strings.Contains(text, "hunter2") || !strings.Contains(text, from.URL) {
		t.Errorf("trouble: %v", text)
	}
}

// TestRunEnds: also while a server does not answer.
func TestRunEnds(t *testing.T) {
	asked := make(chan struct{}, 1)
	from := server(t, httptest.NewServer, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	var heard log
	s := mustOpen(t, keysource.Options{Algorithms: []string{"EdDSA"}, JWKSURL: from.URL, Log: heard.add})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	<-asked
	cancel()
	<-done
	if heard.count("") != 0 {
		t.Errorf("the end of Run was told as a failure:\n%s", &heard)
	}
}
