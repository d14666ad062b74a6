package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"devicegate/certificate"
	"devicegate/config"
)

// openCertificates reads the certificates of the listeners that speak TLS.
func (s *Server) openCertificates() error {
	s.certificates = map[string]*certificate.Source{}
	if s.offline {
		return nil
	}
	c := s.config
	for _, on := range []struct {
		name, key string
		tls       config.TLS
		protos    []string
	}{
		{"checks.http", "checks.http.tls", c.Checks.HTTP.TLS, []string{"h2", "http/1.1"}},
		{"checks.grpc", "checks.grpc.tls", c.Checks.GRPC.TLS, []string{"h2"}},
		{"api", "api.tls", c.API.TLS, []string{"h2", "http/1.1"}},
		{"admin.address", "admin.tls", c.Admin.TLS, []string{"h2", "http/1.1"}},
	} {
		if !on.tls.On() {
			continue
		}
		source, err := certificate.Open(certificate.Files{Cert: on.tls.CertFile, Key: on.tls.KeyFile, ClientCA: on.tls.ClientCAFile}, on.protos...)
		if err != nil {
			return fmt.Errorf("%s: %w", on.key, err)
		}
		if now := s.now(); source.Expires().Before(now) {
			s.log.Warn().Str("listener", on.name).Time("expired", source.Expires()).Msg("the certificate of this listener has expired: callers that check it will not ask")
		}
		s.certificates[on.name] = source
	}
	return nil
}

// tlsOf returns what a listener is served with; nil: it is plain.
func (s *Server) tlsOf(name string) *tls.Config {
	if source := s.certificates[name]; source != nil {
		return source.Config()
	}
	return nil
}

// registerCertificates counts down to the day on which somebody forgot to renew one.
func (s *Server) registerCertificates() {
	for name, source := range s.certificates {
		s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "devicegate_certificate_expiry_timestamp_seconds", Help: "When the certificate of a listener expires.",
			ConstLabels: prometheus.Labels{"listener": name},
		}, func() float64 { return float64(source.Expires().Unix()) }))
	}
}

// certificateInterval is how often the files of certificates are looked at.
const certificateInterval = 30 * time.Second

// keepCertificates takes over certificates that changed.
func (s *Server) keepCertificates(ctx context.Context) {
	tick := time.NewTicker(certificateInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.reloadCertificates()
		}
	}
}

func (s *Server) reloadCertificates() {
	for name, source := range s.certificates {
		changed, err := source.Reload()
		switch {
		case err != nil:
			s.lost("reading the certificate of "+name+" again: the one from before stays", err)
		case changed:
			s.log.Info().Str("listener", name).Time("expires", source.Expires()).Msg("another certificate is served")
		}
	}
}
