package server_test

import (
	"net/netip"
	"slices"
	"testing"
)

// TestPeersWaitForTheCertificates that let everybody ask: the listeners are plain until the next start.
func TestPeersWaitForTheCertificates(t *testing.T) {
	cfg := secure(t)
	cfg.Checks.AllowedPeers = nil
	s := start(t, cfg.Config)
	token := s.signIn(t)
	next := *cfg.Config
	next.Checks.HTTP.TLS, next.Checks.GRPC.TLS = cfg.demands(), cfg.demands()
	for _, everybody := range []string{"0.0.0.0/0", "::/0"} {
		next.Checks.AllowedPeers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix(everybody)}
		changed, waiting := s.reload(t, &next)
		if changed != nil || !slices.Contains(waiting, "checks.allowed_peers") {
			t.Errorf("%s: changed %q, waiting %q", everybody, changed, waiting)
		}
		s.demand(t, everybody, "/auth/traefik", token, "peer_not_allowed")
	}
	next.Checks.AllowedPeers = next.Checks.AllowedPeers[:1]
	s.reload(t, &next)
	s.demand(t, "a network", "/auth/traefik", token, "")
}
