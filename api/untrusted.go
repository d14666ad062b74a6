package api

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// warnEvery bounds the warnings about a proxy that is not trusted.
const warnEvery = 10 * time.Minute

// untrusted warns of a proxy that trusted_proxies lacks: everybody behind it counts as one client, with one
// rate and one lockout for all.
type untrusted struct{ last atomic.Int64 }

// note looks at one request. Only a private peer is taken for a proxy of one's own: from elsewhere the header
// is what anybody can send.
func (u *untrusted) note(s *server, peer netip.Addr, forwarded []string) {
	if len(forwarded) == 0 || !peer.IsPrivate() || s.Trusted.Contains(peer) {
		return
	}
	now := s.Now().Unix()
	last := u.last.Load()
	if now-last < int64(warnEvery/time.Second) || !u.last.CompareAndSwap(last, now) {
		return
	}
	s.Log.Warn().Str("peer", peer.String()).Msg("requests with X-Forwarded-For come from a peer that is not in trusted_proxies: " +
		"everybody behind it counts as one client for api.sign_in_rate and the lockout; if it is your proxy, add it")
}
