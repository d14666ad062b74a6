package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"devicegate/certificate/certificatetest"
	"devicegate/password/passwordtest"
	"devicegate/server"
)

var secureListeners = []string{"checks.http", "checks.grpc", "api", "admin.address"}

// TestBadFilesAtTheStart: the error names the key and the file, and a command on the closed store does not look.
func TestBadFilesAtTheStart(t *testing.T) {
	for _, name := range secureListeners {
		cfg := secure(t)
		_, speaks := listenerOf(cfg.Config, name)
		*speaks = cfg.speaks()
		certificatetest.Write(t, speaks.KeyFile, cfg.proxy.KeyPEM)
		s, err := server.Open(t.Context(), cfg.Config, zerolog.Nop(), server.WithHasher(&passwordtest.Hasher{}))
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: Open took the key of another certificate", name)
			continue
		}
		for _, want := range []string{strings.TrimSuffix(name, ".address") + ".tls: ", speaks.CertFile, speaks.KeyFile, "does not match"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Open = %q, want %q in it", name, err, want)
			}
		}
		open(t, cfg.Config, server.Offline())
	}
}

// TestExpiryIsMeasured for every listener that speaks TLS, and is that of the certificate which is served.
func TestExpiryIsMeasured(t *testing.T) {
	cfg := secure(t)
	for _, name := range secureListeners[1:] {
		_, speaks := listenerOf(cfg.Config, name)
		*speaks = cfg.speaks()
	}
	s := start(t, cfg.Config)
	demand := func(what string, of *certificatetest.Pair) {
		var want []string
		for _, name := range secureListeners[1:] {
			want = append(want, fmt.Sprintf(`devicegate_certificate_expiry_timestamp_seconds{listener="%s"} %v`, name, float64(of.Cert.NotAfter.Unix())))
		}
		var got []string
		for line := range strings.Lines(s.ask(t, "operations", "GET", "/metrics", "").body) {
			if strings.HasPrefix(line, "devicegate_certificate_expiry") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	demand("at the start", cfg.pair)
	old := cfg.ca.Issue(t, "old", certificatetest.Expired)
	old.Write(t, cfg.dir)
	s.ReloadCertificates()
	demand("another certificate", old)
}

// TestCertificatesAreReplaced while checks run: none of them fails, and each listener serves the new one.
func TestCertificatesAreReplaced(t *testing.T) {
	cfg := secure(t)
	cfg.Checks.HTTP.TLS, cfg.Checks.GRPC.TLS = cfg.demands(), cfg.demands()
	s := start(t, cfg.Config)
	token := s.signIn(t)
	done := make(chan struct{})
	var checking sync.WaitGroup
	repeat := func(what string, check func() error) {
		checking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := check(); err != nil {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		})
	}
	for _, version := range versions {
		client := s.over(t, "checks.http", version, cfg.trusts(cfg.proxy))
		repeat(version, func() error {
			a, err := send(t, client, "GET", "/auth/traefik", "", asked(token)...)
			if err == nil && a.status != 200 {
				err = errors.New(a.body)
			}
			return err
		})
	}
	long := s.dialTLS(t, cfg.trusts(cfg.proxy))
	repeat("one long connection", func() error {
		code, err := checkOver(t, long, token)
		if err == nil && code != 0 {
			err = errors.New(code.String())
		}
		return err
	})
	var next *certificatetest.Pair
	for range 20 {
		next = cfg.ca.Issue(t, "next")
		certificatetest.Write(t, cfg.file("tls.crt"), next.CertPEM)
		s.ReloadCertificates() // half of it is there
		certificatetest.Write(t, cfg.file("tls.key"), next.KeyPEM)
		s.ReloadCertificates()
	}
	close(done)
	checking.Wait()
	for _, name := range []string{"checks.http", "checks.grpc"} {
		s.presents(t, name, cfg.trusts(cfg.proxy), next)
		quoted := fmt.Sprintf("%q", name)
		if got := len(s.log.with(`"listener":` + quoted + `,"expires"`)); got != 20 {
			t.Errorf("%s: %d lines about another certificate, want 20", name, got)
		}
		if got := len(s.log.with("reading the certificate of " + name + " again")); got != 20 {
			t.Errorf("%s: %d lines about half a change, want 20", name, got)
		}
	}
}

// presents demands the certificate that a new connection is served with.
func (s *service) presents(t *testing.T, listener string, trusts *tls.Config, want *certificatetest.Pair) {
	t.Helper()
	at := s.address(t, listener)
	conn, err := tls.Dial(at.Network, at.Addr, trusts)
	if err != nil {
		t.Fatalf("%s: %v", listener, err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0]; !got.Equal(want.Cert) {
		t.Errorf("%s serves the certificate of %s, want that of %s", listener, got.Subject, want.Cert.Subject)
	}
}

// TestCertificatesAreLookedAt by themselves, after the interval and not before.
func TestCertificatesAreLookedAt(t *testing.T) {
	cfg := secure(t)
	cfg.API.TLS = cfg.speaks()
	s := open(t, cfg.Config)
	cfg.ca.Issue(t, "next").Write(t, cfg.dir)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), server.CertificateInterval+time.Second)
		defer stop()
		go s.KeepCertificates(ctx)
		before, end := context.WithTimeout(t.Context(), server.CertificateInterval-time.Second)
		defer end()
		<-before.Done()
		if got := s.log.with("another certificate"); len(got) != 0 {
			t.Errorf("too early: %q", got)
		}
		<-ctx.Done()
		synctest.Wait()
		if got := s.log.with("another certificate"); len(got) != 1 {
			t.Errorf("after the interval: %q", got)
		}
	})
}

// TestReloadOfOtherTLSFiles: they wait for a start, and what they change is not served before.
func TestReloadOfOtherTLSFiles(t *testing.T) {
	cfg := secure(t)
	for _, name := range secureListeners {
		_, speaks := listenerOf(cfg.Config, name)
		*speaks = cfg.speaks()
	}
	s := start(t, cfg.Config)
	dir, err := os.MkdirTemp(cfg.dir, "next")
	if err != nil {
		t.Fatal(err)
	}
	next := *cfg.Config
	cert, key := cfg.ca.Issue(t, "next").Write(t, dir)
	for _, name := range secureListeners {
		_, speaks := listenerOf(&next, name)
		speaks.CertFile, speaks.KeyFile = cert, key
		if name != "api" {
			speaks.ClientCAFile = cfg.file("clients.crt")
		}
	}
	changed, waiting := s.reload(t, &next)
	want := []string{
		"checks.http.tls.cert_file", "checks.http.tls.key_file", "checks.http.tls.client_ca_file",
		"checks.grpc.tls.cert_file", "checks.grpc.tls.key_file", "checks.grpc.tls.client_ca_file",
		"api.tls.cert_file", "api.tls.key_file", "admin.tls.cert_file", "admin.tls.key_file", "admin.tls.client_ca_file",
	}
	if diff := cmp.Diff(want, waiting); diff != "" || changed != nil {
		t.Errorf("waiting (-want +got):\n%schanged: %q", diff, changed)
	}
	s.ReloadCertificates()
	for _, name := range secureListeners {
		s.presents(t, name, cfg.trusts(nil), cfg.pair)
	}
}

// hurried is a listener on whose connections the time of a handshake is over once enough is closed.
type hurried struct {
	net.Listener
	enough <-chan struct{}
	given  chan time.Duration // how long a handshake may take
}

func (l *hurried) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &hurriedConn{Conn: c, of: l}, nil
}

type hurriedConn struct {
	net.Conn
	of   *hurried
	once sync.Once
}

func (c *hurriedConn) SetDeadline(t time.Time) error {
	defer c.note(t)
	return c.Conn.SetDeadline(t)
}

func (c *hurriedConn) SetReadDeadline(t time.Time) error {
	defer c.note(t)
	return c.Conn.SetReadDeadline(t)
}

func (c *hurriedConn) note(t time.Time) {
	c.once.Do(func() {
		c.of.given <- time.Until(t)
		go func() {
			<-c.of.enough
			_ = c.Conn.SetDeadline(time.Unix(1, 0))
		}()
	})
}

// TestHandshakeThatNeverComes is given the time of a request's header and no more, and a stop does not wait longer.
func TestHandshakeThatNeverComes(t *testing.T) {
	for _, name := range []string{"checks.http", "checks.grpc"} {
		cfg := secure(t)
		cfg.ShutdownTimeout = patience
		_, speaks := listenerOf(cfg.Config, name)
		*speaks = cfg.speaks()
		s := open(t, cfg.Config)
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		enough := make(chan struct{})
		l := &hurried{Listener: inner, enough: enough, given: make(chan time.Duration, 1)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.ServeOn(ctx, name, l) }()
		silent, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-l.given:
			if got > server.HeaderTimeout || got < 0 {
				t.Errorf("%s: a handshake may take %v", name, got)
			}
		case <-time.After(patience):
			t.Fatalf("%s: a handshake may take for ever", name)
		}
		stop()
		close(enough)
		_ = silent.SetDeadline(time.Now().Add(patience))
		if n, err := io.Copy(io.Discard, silent); n > 0 || os.IsTimeout(err) {
			t.Errorf("%s: the connection without a handshake: %d bytes, %v", name, n, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := s.log.with("cut off"); len(got) > 0 {
			t.Errorf("%s: the stop waited: %q", name, got)
		}
		_ = silent.Close()
	}
}

// TestSilentConnectionDoesNotHoldTheStop: where the time to drain is shorter, it is that.
func TestSilentConnectionDoesNotHoldTheStop(t *testing.T) {
	cfg := secure(t)
	cfg.ShutdownTimeout = 20 * time.Millisecond
	cfg.Checks.HTTP.TLS, cfg.API.TLS, cfg.Admin.TLS = cfg.speaks(), cfg.speaks(), cfg.demands()
	s := start(t, cfg.Config)
	for _, name := range []string{"checks.http", "api", "admin.address"} {
		at := s.address(t, name)
		conn, err := net.Dial(at.Network, at.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s.presents(t, name, cfg.trusts(cfg.proxy), cfg.pair) // so the silent one before it was taken as well
	}
	stopped := time.Now()
	s.stop()
	<-s.ended
	if took := time.Since(stopped); s.err != nil || took >= server.HeaderTimeout {
		t.Errorf("Run = %v after %v", s.err, took)
	}
}
