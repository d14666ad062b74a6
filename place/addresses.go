package place

import "net/netip"

// internet is the one block that IPv6 unicast addresses are given out from. All that lies outside is loopback,
// link-local, unique local, multicast, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard-only, segment routing
// or not given out at all.
var internet = netip.MustParsePrefix("2000::/3")

// special are the blocks of the IANA special-purpose address registries (RFC 6890) and of multicast, besides
// what lies outside internet. Anycast services such as AS112 are among them: nobody signs in from there.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),         // this network
	netip.MustParsePrefix("10.0.0.0/8"),        // private
	netip.MustParsePrefix("100.64.0.0/10"),     // shared, behind carrier-grade NAT
	netip.MustParsePrefix("127.0.0.0/8"),       // loopback
	netip.MustParsePrefix("169.254.0.0/16"),    // link-local
	netip.MustParsePrefix("172.16.0.0/12"),     // private
	netip.MustParsePrefix("192.0.0.0/24"),      // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),      // documentation
	netip.MustParsePrefix("192.31.196.0/24"),   // AS112
	netip.MustParsePrefix("192.52.193.0/24"),   // AMT
	netip.MustParsePrefix("192.88.99.0/24"),    // relays of 6to4
	netip.MustParsePrefix("192.168.0.0/16"),    // private
	netip.MustParsePrefix("192.175.48.0/24"),   // AS112
	netip.MustParsePrefix("198.18.0.0/15"),     // benchmarking
	netip.MustParsePrefix("198.51.100.0/24"),   // documentation
	netip.MustParsePrefix("203.0.113.0/24"),    // documentation
	netip.MustParsePrefix("224.0.0.0/4"),       // multicast
	netip.MustParsePrefix("240.0.0.0/4"),       // reserved, and the limited broadcast
	netip.MustParsePrefix("2001::/23"),         // protocol assignments: Teredo, benchmarking, ORCHID, DRIP
	netip.MustParsePrefix("2001:db8::/32"),     // documentation
	netip.MustParsePrefix("2002::/16"),         // 6to4
	netip.MustParsePrefix("2620:4f:8000::/48"), // AS112
	netip.MustParsePrefix("3fff::/20"),         // documentation
}

// public returns ip as it is looked up, and whether it may be looked up at all: it belongs to a place on the
// Internet. An IPv4 address in an IPv6 one counts as the IPv4 address in the mapped form (::ffff:0:0/96), in
// which a socket reports it. In 6to4, NAT64 and Teredo it is a word of the packet that nobody has proved,
// so these are special whatever they wrap. An address with a zone means something on its own link only: no prefix
// contains it, internet neither.
func public(ip netip.Addr) (netip.Addr, bool) {
	ip = ip.Unmap()
	if !ip.IsValid() || ip.Is6() && !internet.Contains(ip) {
		return netip.Addr{}, false
	}
	for _, block := range special {
		if block.Contains(ip) {
			return netip.Addr{}, false
		}
	}
	return ip, true
}
