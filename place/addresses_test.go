package place_test

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"

	"devicegate/place"
)

// addresses is the table of what may be looked up.
var addresses = []struct {
	name, ip string
	public   bool
}{
	{"this network", "0.0.0.1", false},
	{"unspecified", "0.0.0.0", false},
	{"private 10", "10.0.0.1", false},
	{"the last of private 10", "10.255.255.255", false},
	{"behind private 10", "11.0.0.1", true},
	{"before CGNAT", "100.63.255.255", true},
	{"CGNAT", "100.64.0.1", false},
	{"the last of CGNAT", "100.127.255.255", false},
	{"behind CGNAT", "100.128.0.1", true},
	{"loopback", "127.0.0.1", false},
	{"loopback, another", "127.255.0.9", false},
	{"link-local, the cloud's metadata", "169.254.169.254", false},
	{"before private 172", "172.15.255.255", true},
	{"private 172", "172.16.0.1", false},
	{"the last of private 172", "172.31.255.255", false},
	{"behind private 172", "172.32.0.1", true},
	{"protocol assignments", "192.0.0.8", false},
	{"documentation 1", "192.0.2.1", false},
	{"behind documentation 1", "192.0.3.1", true},
	{"AS112", "192.31.196.1", false},
	{"AMT", "192.52.193.1", false},
	{"6to4 relay", "192.88.99.1", false},
	{"private 192", "192.168.1.1", false},
	{"behind private 192", "192.169.0.1", true},
	{"AS112 direct", "192.175.48.1", false},
	{"before benchmarking", "198.17.255.255", true},
	{"benchmarking", "198.18.0.1", false},
	{"the last of benchmarking", "198.19.255.255", false},
	{"documentation 2", "198.51.100.1", false},
	{"documentation 3", "203.0.113.1", false},
	{"the last before multicast", "223.255.255.255", true},
	{"multicast", "224.0.0.1", false},
	{"multicast for documentation", "233.252.0.1", false},
	{"reserved", "240.0.0.1", false},
	{"limited broadcast", "255.255.255.255", false},
	{"IPv4", "81.2.69.142", true},

	{"IPv6 unspecified", "::", false},
	{"IPv6 loopback", "::1", false},
	{"mapped", "::ffff:81.2.69.142", true},
	{"mapped private", "::ffff:10.0.0.1", false},
	{"mapped CGNAT", "::ffff:100.64.0.1", false},
	{"IPv4-compatible", "::81.2.69.142", false},
	{"translated", "::ffff:0:81.2.69.142", false},
	{"NAT64", "64:ff9b::81.2.69.142", false},
	{"NAT64 of a private one", "64:ff9b::10.0.0.1", false},
	{"NAT64 of a network's own", "64:ff9b:1::1", false},
	{"discard-only", "100::1", false},
	{"dummy", "100:0:0:1::1", false},
	{"before the Internet", "1fff:ffff::1", false},
	{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", false},
	{"port control anycast", "2001:1::1", false},
	{"IPv6 benchmarking", "2001:2::1", false},
	{"AMT over IPv6", "2001:3::1", false},
	{"AS112 over IPv6", "2001:4:112::1", false},
	{"ORCHID", "2001:10::1", false},
	{"ORCHIDv2", "2001:20::1", false},
	{"DRIP", "2001:30::1", false},
	{"behind protocol assignments", "2001:200::1", true},
	{"IPv6 documentation", "2001:db8::1", false},
	{"behind IPv6 documentation", "2001:db9::1", true},
	{"6to4", "2002:5102:458e::1", false},
	{"6to4 of a private one", "2002:0a00:0001::1", false},
	{"AS112 direct over IPv6", "2620:4f:8000::1", false},
	{"IPv6", "2a02:cf40::1", true},
	{"IPv6 with a zone", "2a02:cf40::1%eth0", false},
	{"the new IPv6 documentation", "3fff::1", false},
	{"the last of it", "3fff:fff::1", false},
	{"segment routing", "5f00::1", false},
	{"behind the Internet", "4000::1", false},
	{"unique local", "fd00::1", false},
	{"unique local, the other half", "fc00::1", false},
	{"IPv6 link-local", "fe80::1", false},
	{"IPv6 link-local with a zone", "fe80::1%eth0", false},
	{"site-local", "fec0::1", false},
	{"IPv6 multicast", "ff02::1", false},
}

// everywhere is a database that has a place for every address, special or not.
func everywhere(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "everywhere.mmdb")
	mustWrite(t, path, mmdb(t, mmdbwriter.Options{IncludeReservedNetworks: true, DisableIPv4Aliasing: true},
		networks{"::/1": cityRecord(berlin), "8000::/1": cityRecord(berlin)}))
	return path
}

func TestSpecialAddressesAreNotLookedUp(t *testing.T) {
	f, _, _ := mustOpen(t, place.Options{MMDBFile: everywhere(t)})
	for _, c := range addresses {
		if _, got := f.Find(netip.MustParseAddr(c.ip)); got != c.public {
			t.Errorf("%s: Find(%s) = %t, want %t", c.name, c.ip, got, c.public)
		}
	}
	wantPlace(t, f, netip.Addr{}, place.Place{})
}

// TestSpecialAddressesAreNotAsked asks about every address of the table, one after the other: what reaches the
// provider are the public ones. The last address is public, so that nothing is under way when it is over.
func TestSpecialAddressesAreNotAsked(t *testing.T) {
	asked := make(chan string, len(addresses)+1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.PathValue("ip")
		answerBerlin(w, r)
	})
	f, _, _ := mustOpen(t, place.Options{HTTPURL: s})
	answered := make(chan place.Place)
	f.Ask(netip.Addr{}, func(place.Place) { t.Error("the zero Addr was answered") })
	for _, c := range addresses {
		ip := netip.MustParseAddr(c.ip)
		if !c.public {
			f.Ask(ip, func(place.Place) { t.Errorf("%s (%s) was answered", c.name, c.ip) })
			continue
		}
		f.Ask(ip, func(p place.Place) { answered <- p })
		must(t, answered)
	}
	f.Close()
	close(asked)
	for ip := range asked {
		if _, ok := f.Find(netip.MustParseAddr(ip)); !ok {
			t.Errorf("the provider was asked about %s", ip)
		}
	}
}
