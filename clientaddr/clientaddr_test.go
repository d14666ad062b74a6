package clientaddr_test

import (
	"net/netip"
	"testing"

	"devicegate/clientaddr"
)

var trusted = clientaddr.Trusted{
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("fd00::/8"),
}

// spoofs is the table of what clients and proxies put into X-Forwarded-For. The client is
// 203.0.113.9 behind trusted 10.0.0.2, and 6.6.6.6 is what it would like to be taken for.
var spoofs = []struct {
	name      string
	forwarded []string
	proxy     string // FromProxy with peer 10.0.0.1
	peer      string // FromPeer with start 10.0.0.1
}{
	{"none", nil, "10.0.0.1", "10.0.0.1"},
	{"empty line", []string{""}, "10.0.0.1", "10.0.0.1"},
	{"one honest entry", []string{"203.0.113.9"}, "203.0.113.9", "203.0.113.9"},
	{"left-most spoofed", []string{"6.6.6.6, 203.0.113.9"}, "203.0.113.9", "203.0.113.9"},
	{"spoofed in a line of its own", []string{"6.6.6.6", "203.0.113.9"}, "203.0.113.9", "203.0.113.9"},
	{"spoofed as a trusted hop", []string{"10.9.9.9, 203.0.113.9"}, "203.0.113.9", "203.0.113.9"},
	{"through a second trusted proxy", []string{"6.6.6.6, 203.0.113.9, 10.0.0.2"}, "203.0.113.9", "203.0.113.9"},
	{"all trusted: the left-most", []string{"10.0.0.7, 10.0.0.2"}, "10.0.0.7", "10.0.0.7"},
	{"junk at the right ends the walk", []string{"203.0.113.9, junk"}, "10.0.0.1", "10.0.0.1"},
	{"junk in the middle", []string{"6.6.6.6, <b>, 10.0.0.2"}, "10.0.0.2", "10.0.0.2"},
	{"empty entry", []string{"6.6.6.6,,10.0.0.2"}, "10.0.0.2", "10.0.0.2"},
	{"unknown", []string{"unknown"}, "10.0.0.1", "10.0.0.1"},
	{"with port", []string{"203.0.113.9:4711"}, "203.0.113.9", "203.0.113.9"},
	{"IPv6", []string{"2001:db8::9"}, "2001:db8::9", "2001:db8::9"},
	{"IPv6 with port", []string{"[2001:db8::9]:4711"}, "2001:db8::9", "2001:db8::9"},
	{"IPv6 zone", []string{"fe80::1%eth0"}, "10.0.0.1", "10.0.0.1"},
	{"IPv4-mapped", []string{"6.6.6.6, ::ffff:203.0.113.9"}, "203.0.113.9", "203.0.113.9"},
	{"IPv4-mapped trusted hop", []string{"203.0.113.9, ::ffff:10.0.0.2"}, "203.0.113.9", "203.0.113.9"},
	{"leading zeros are no address", []string{"6.6.6.6, 010.0.0.2"}, "10.0.0.1", "10.0.0.1"},
	{"spaces", []string{" 203.0.113.9 \t"}, "203.0.113.9", "203.0.113.9"},
}

func TestSpoofs(t *testing.T) {
	self := netip.MustParseAddr("10.0.0.1")
	for _, c := range spoofs {
		t.Run(c.name, func(t *testing.T) {
			if got := trusted.FromProxy(self, c.forwarded).String(); got != c.proxy {
				t.Errorf("FromProxy(%q) = %s, want %s", c.forwarded, got, c.proxy)
			}
			if got := trusted.FromPeer(self, c.forwarded).String(); got != c.peer {
				t.Errorf("FromPeer(%q) = %s, want %s", c.forwarded, got, c.peer)
			}
		})
	}
}

// The API and Envoy know the last hop themselves: what an untrusted one says of others is not read.
func TestFromPeerUntrusted(t *testing.T) {
	stranger := netip.MustParseAddr("198.51.100.4")
	if got := trusted.FromPeer(stranger, []string{"6.6.6.6"}); got != stranger {
		t.Errorf("an untrusted peer chose its address: got %s", got)
	}
}

// For a check the peer has been let in by checks.allowed_peers, and its right-most entry is the hop it
// saw itself, whether or not it is listed in trusted_proxies.
func TestFromProxyPeerNeedNotBeTrusted(t *testing.T) {
	stranger := netip.MustParseAddr("198.51.100.4")
	got := trusted.FromProxy(stranger, []string{"6.6.6.6, 203.0.113.9"})
	if want := netip.MustParseAddr("203.0.113.9"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOfConn(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1", "[::1]:80": "::1", "[::ffff:10.1.2.3]:80": "10.1.2.3",
		"@": "invalid IP", "": "invalid IP", "/run/x.sock": "invalid IP",
	} {
		if got := clientaddr.OfConn(in).String(); got != want {
			t.Errorf("OfConn(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzFromProxy(f *testing.F) {
	for _, c := range spoofs {
		for _, line := range c.forwarded {
			f.Add(line)
		}
	}
	self := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, line string) {
		if got := trusted.FromProxy(self, []string{line}); !got.IsValid() || got.Zone() != "" {
			t.Errorf("FromProxy(%q) = %v", line, got)
		}
	})
}

// TestTrace tells the entries that were looked at, the nearest first, and comes to the same client.
func TestTrace(t *testing.T) {
	self := netip.MustParseAddr("10.0.0.1")
	for _, c := range spoofs {
		var seen []string
		got := trusted.TraceFromProxy(self, c.forwarded, func(h clientaddr.Hop) {
			seen = append(seen, h.Entry)
			if h.Addr.IsValid() && h.Addr.Zone() != "" {
				t.Errorf("%s: %v", c.name, h)
			}
		})
		if got.String() != c.proxy {
			t.Errorf("%s: %s, want %s", c.name, got, c.proxy)
		}
		if c.name == "through a second trusted proxy" && (len(seen) != 2 || seen[0] != " 10.0.0.2" || seen[1] != " 203.0.113.9") {
			t.Errorf("%s: looked at %q", c.name, seen)
		}
	}
}
