package authz_test

import (
	"net/netip"
	"strings"
	"testing"

	"devicegate/authz"
)

// audiences is what hosts of requests come to in an assertion; "" is none.
var audiences = map[string]string{
	"app.example": "app.example", "APP.Example": "app.example", "app.example:8443": "app.example", "app.example.": "app.example", "app.example.:443": "app.example",
	"app.example:": "app.example", "localhost": "localhost", "a": "a", "my_app": "my_app", "_dmarc.example": "_dmarc.example", "xn--bcher-kva.example": "xn--bcher-kva.example",
	"3com.example": "3com.example", "1.2.3.4.example": "1.2.3.4.example", "x--y.example": "x--y.example", "0xa.example": "0xa.example",
	"127.0.0.1": "127.0.0.1", "127.0.0.1:80": "127.0.0.1", "127.0.0.1.": "127.0.0.1",
	"[::1]": "::1", "[::1]:8443": "::1", "[::1]:": "::1", "[2001:DB8:0:0::1]": "2001:db8::1", "[::ffff:10.0.0.1]": "::ffff:10.0.0.1",
	strings.Repeat("a", 63) + ".example": strings.Repeat("a", 63) + ".example", longestHost: longestHost, longestHost + ".:65535": longestHost,

	"": "", ".": "", "..": "", "app.example..": "", ".app.example": "", "app..example": "", ":80": "", "app.example:80:80": "", "app.example:http": "", "app.example:123456": "",
	"app.example:-1": "", "app.example: 80": "", " app.example": "", "app.example ": "", "app example": "", "app.example\t": "", "app.example\x00": "", "app.example\r\nx": "",
	"-app.example": "", "app-.example": "", "app.-example": "", "-": "", "a,b": "", "app.example, evil.example": "", "user@app.example": "", "user:pw@app.example": "",
	"https://app.example": "", "app.example/x": "", "app.example?x": "", "app.example#x": "", `app.example\x`: "", "app%2eexample": "", "bücher.example": "", "\u212aelvin.example": "",
	"app。example": "", "*": "", "*.example": "", `"app.example"`: "", "app.example;x": "", "app.example|x": "", "{app}": "", "app\xffexample": "",
	"127.1": "", "2130706433": "", "0x7f.1": "", "0x7f000001": "", "0x": "", "app.0x": "", "127.0.0.01": "", "0177.0.0.1": "", "256.0.0.1": "", "1.2.3.4.5": "", "app.1": "",
	"::1": "", "[::1": "", "::1]": "", "[]": "", "[127.0.0.1]": "", "[app.example]": "", "[::1%25eth0]": "", "[fe80::1%eth0]": "", "[::1]x": "", "[::1]:x": "", "[::1]:80:80": "", "[[::1]]": "",
	strings.Repeat("a", 64) + ".example": "", "a" + longestHost: "", longestHost + "a": "",
}

// longestHost is a name of 253 bytes.
var longestHost = strings.Repeat(strings.Repeat("h", 49)+".", 5) + "exa"

func TestAudience(t *testing.T) {
	for host, want := range audiences {
		if got := authz.Audience(host); got != want {
			t.Errorf("the audience of %q is %q, want %q", host, got, want)
		}
	}
}

// FuzzAudience: whatever a client names, what comes out is a host name or an address in one spelling, or nothing.
func FuzzAudience(f *testing.F) {
	for host := range audiences {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got := authz.Audience(host)
		if got == "" {
			return
		}
		if strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") != "" || len(got) > 253 {
			t.Fatalf("the audience of %q is %q", host, got)
		}
		again := got
		if strings.Contains(got, ":") {
			again = "[" + got + "]"
			if addr, err := netip.ParseAddr(got); err != nil || addr.String() != got {
				t.Errorf("the audience of %q is %q, which is no address: %v", host, got, err)
			}
		}
		for _, same := range []string{again, again + ":1", strings.ToUpper(again)} {
			if second := authz.Audience(same); second != got {
				t.Errorf("the audience of %q is %q, and that of %q is %q", host, got, same, second)
			}
		}
	})
}
