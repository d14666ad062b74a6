package lockout

import "net/netip"

// Network returns the network that an address is counted by: an IPv4 address alone, the /64 of an IPv6
// address, because one customer has all of it; "" where the address is unknown. An IPv4-mapped address is
// IPv4, and a zone is dropped: one client has one spelling.
func Network(ip netip.Addr) string {
	if p := network(ip); p.IsValid() {
		return p.String()
	}
	return ""
}

func network(ip netip.Addr) netip.Prefix {
	bits := 64
	if ip = plain(ip); ip.Is4() {
		bits = 32
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// plain returns the one spelling of an address that prefixes are compared with: netip finds a mapped
// address or one with a zone in no prefix.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

// plainPrefix is plain for networks that were configured or asked for.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
	}
	return p.Masked()
}
