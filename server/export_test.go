package server

import (
	"context"
	"net"

	"golang.org/x/sync/errgroup"
)

// FlushLog starts the next second of the log, so that every refusal has a line of its own however many a
// test causes.
func (s *Server) FlushLog() { s.journal.Flush() }

// ReloadCertificates looks at the files of certificates now.
func (s *Server) ReloadCertificates() { s.reloadCertificates() }

// KeepCertificates looks at them until ctx ends, every CertificateInterval.
func (s *Server) KeepCertificates(ctx context.Context) { s.keepCertificates(ctx) }

// Bounds that tests hold the service to.
const (
	CertificateInterval = certificateInterval
	HeaderTimeout       = headerTimeout
	MaxWatches          = maxWatches
)

// ServeOn serves one listener of checks as Run does, until ctx ends and what is under way has drained.
func (s *Server) ServeOn(ctx context.Context, name string, l net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	end := newEnding(ctx)
	if name == "checks.grpc" {
		s.serveGRPC(end, g, l)
	} else {
		s.serveHTTP(end, g, name, l, s.Checks())
	}
	s.begin(ctx, end)
	return g.Wait()
}

// Forget sweeps the devices whose time is over.
func (s *Server) Forget(ctx context.Context) error {
	for {
		if n, err := s.live.Load().login.Devices.Forget(ctx, sweepBatch); n == 0 || err != nil {
			return err
		}
	}
}

// ReloadKeys looks at the key file now.
func (s *Server) ReloadKeys() error { return s.keys.Reload() }

// Roomy returns l with the bounds of heads, and room of its own.
func Roomy(l net.Listener) net.Listener { return new(headroom).listener(l, true) }
