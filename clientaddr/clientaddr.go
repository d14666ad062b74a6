// Package clientaddr finds the address of the client behind proxies, by the one walk that every
// listener uses. It fails towards the proxies: what cannot be trusted is never believed, so the
// worst a client can do is to be taken for the last hop that can be.
package clientaddr

import (
	"net"
	"net/netip"
	"strings"
)

// Trusted is the list of networks whose members are proxies of ours: their word about the hop before
// them counts. The zero value trusts nobody.
type Trusted []netip.Prefix

// Contains reports whether addr belongs to a proxy of ours. The zero Addr does not.
func (t Trusted) Contains(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range t {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// FromProxy returns the client of a check that a proxy asks over HTTP. The peer is the proxy itself,
// so the walk starts at the right-most entry of X-Forwarded-For; without one the peer is the client.
func (t Trusted) FromProxy(peer netip.Addr, forwarded []string) netip.Addr {
	return t.TraceFromProxy(peer, forwarded, nil)
}

// TraceFromProxy is FromProxy that tells each hop it looks at; each may be nil.
func (t Trusted) TraceFromProxy(peer netip.Addr, forwarded []string, each func(Hop)) netip.Addr {
	hops := split(forwarded)
	if len(hops) == 0 {
		return peer.Unmap()
	}
	return t.walk(netip.Addr{}, peer, hops, each)
}

// FromPeer returns the client of a request whose last hop is already known: the TCP peer of the API,
// or source.address of an Envoy check. Its X-Forwarded-For counts only if that hop is trusted.
func (t Trusted) FromPeer(start netip.Addr, forwarded []string) netip.Addr {
	return t.TraceFromPeer(start, forwarded, nil)
}

// TraceFromPeer is FromPeer that tells each entry it looks at; each may be nil.
func (t Trusted) TraceFromPeer(start netip.Addr, forwarded []string, each func(Hop)) netip.Addr {
	return t.walk(start, start, split(forwarded), each)
}

// Hop is an entry of X-Forwarded-For that a walk has looked at.
type Hop struct {
	Entry string     // as it was sent
	Addr  netip.Addr // zero where it is no address, which ends the walk
}

// walk goes from start over hops from right to left while the address at hand is trusted. last is
// returned when the very first entry is no address. An invalid start stands for "before the first hop".
func (t Trusted) walk(start, last netip.Addr, hops []string, each func(Hop)) netip.Addr {
	client, at := last.Unmap(), start
	for i := len(hops) - 1; i >= 0; i-- {
		if at.IsValid() && !t.Contains(at) {
			return client
		}
		next, ok := parse(hops[i])
		if each != nil {
			each(Hop{Entry: hops[i], Addr: next})
		}
		if !ok {
			return client // junk ends the walk at the last good hop
		}
		client, at = next, next
	}
	return client
}

// split makes one list of all X-Forwarded-For lines (RFC 9110 section 5.3).
func split(lines []string) []string {
	var hops []string
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		hops = append(hops, strings.Split(line, ",")...)
	}
	return hops
}

// parse reads one entry: an address, or an address with a port as some load balancers write it. A
// zone (fe80::1%eth0) means nothing outside its own link and is no address here.
func parse(entry string) (netip.Addr, bool) {
	entry = strings.TrimSpace(entry)
	addr, err := netip.ParseAddr(entry)
	if err != nil {
		ap, err := netip.ParseAddrPort(entry)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = ap.Addr()
	}
	if addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// OfConn returns the address of a connection's other end as net/http and gRPC write it. A unix socket
// has none: the zero Addr.
func OfConn(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}
