package api_test

import (
	"bytes"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/config"
	"devicegate/password"
)

func TestSignInMakesADevice(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	a := g.want(200, call{method: "POST", path: "/api/token", body: object("username", "ALICE", "password", secret, "device_name", "Phone"),
		header: http.Header{"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {strings.Repeat("x", 600)}}})
	got := decoded[struct {
		Access, Refresh, Device_UID, Token_Type string
		Expires_In                              int
	}](a)
	if got.Token_Type != "Bearer" || got.Expires_In != 900 {
		t.Errorf("token_type %q, expires_in %d, want Bearer, 900", got.Token_Type, got.Expires_In)
	}
	if id, err := uuid.Parse(got.Device_UID); err != nil || id.Version() != 4 || id.String() != got.Device_UID {
		t.Errorf("device_uid %q is not a dashed lower-case UUIDv4", got.Device_UID)
	}
	devices := g.devices(got.Access)
	want := []deviceView{{UID: got.Device_UID, Name: "Phone", UserAgent: strings.Repeat("x", 512), IP: "127.0.0.1", LastIP: "127.0.0.1", CanUpdate: true, CanDelete: true, IsCurrent: true}}
	if diff := cmp.Diff(want, devices); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}

// TestNobodyLearnsWhoExists: wrong password, unknown name and disabled account are one answer, byte by
// byte, for the same work.
func TestNobodyLearnsWhoExists(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	gone := g.addUser("gone")
	g.want(200, call{method: "PATCH", path: "/admin/users/" + gone, body: `{"disabled":true}`})
	var first answer
	for i, c := range []call{
		signInOf("alice", "not the password of alice"),
		signInOf("nobody", secret),
		signInOf("gone", secret),
		signInOf("gone", "not the password of gone"),
		signInOf("", secret),
		signInOf("alice", ""),
		signInOf(strings.Repeat("ﷺ", 2000), secret),
	} {
		_, before, _ := g.hasher.Calls()
		a := g.refused(401, "no_active_account", c)
		if _, after, _ := g.hasher.Calls(); after != before+1 {
			t.Errorf("%.60s: %d hashes were computed, want 1", c.body, after-before)
		}
		a.header.Del("Date")
		if i == 0 {
			first = a
			continue
		}
		if diff := cmp.Diff(first.header, a.header); diff != "" || !bytes.Equal(first.body, a.body) {
			t.Errorf("%.60s: answered %s, want %s; headers differ by %s", c.body, a.body, first.body, diff)
		}
	}
}

func TestDeviceName(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"", true}, {"Küche \U0001F4F1", true}, {strings.Repeat("ü", 255), true},
		{strings.Repeat("ü", 256), false}, {"a\nb", false}, {"a\x00b", false}, {"a\u2028b", false}, {"a\u0085b", false},
	} {
		_, before, _ := g.hasher.Calls()
		in := call{method: "POST", path: "/api/token", body: object("username", "alice", "password", secret, "device_name", c.name)}
		if c.ok {
			g.want(200, in)
			continue
		}
		if a := g.refused(400, "invalid", in); a.pointers() != "/device_name" {
			t.Errorf("device_name %.20q: pointers %q", c.name, a.pointers())
		}
		if _, after, _ := g.hasher.Calls(); after != before {
			t.Errorf("device_name %.20q: a hash was computed first", c.name)
		}
	}
}

// TestLimitPutsTheLeastRecentOut: and every call says so in the check's word.
func TestLimitPutsTheLeastRecentOut(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Devices.MaxDevices = 1 })
	g.addUser("alice")
	g.addUser("bob")
	first, other := g.signIn("alice"), g.signIn("bob")
	second := g.signIn("alice")
	g.dead("device_replaced", first)
	g.live(second)
	g.live(other)
}

func TestIPAddressIsFoundByTheWalk(t *testing.T) {
	trusting := start(t, func(c *config.Config) {
		c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix("10.0.0.0/8"))
	})
	distrusting := start(t, func(c *config.Config) { c.TrustedProxies = nil })
	trusting.addUser("alice")
	distrusting.addUser("alice")
	for _, c := range []struct {
		name      string
		gate      *gate
		forwarded []string
		want      string
	}{
		{"no header", trusting, nil, "127.0.0.1"},
		{"one client", trusting, []string{"203.0.113.7"}, "203.0.113.7"},
		{"what the client wrote is left of what the proxy wrote", trusting, []string{"198.51.100.1, 203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
		{"several lines are one list", trusting, []string{"198.51.100.1", "203.0.113.7", "10.1.2.3"}, "203.0.113.7"},
		{"junk ends the walk", trusting, []string{"203.0.113.7, unknown, 10.1.2.3"}, "10.1.2.3"},
		{"all trusted", trusting, []string{"10.9.9.9, 10.1.2.3"}, "10.9.9.9"},
		{"an untrusted peer is the client", distrusting, []string{"203.0.113.7"}, "127.0.0.1"},
	} {
		header := http.Header{"X-Real-Ip": {"192.0.2.66"}, "Forwarded": {"for=192.0.2.66"}}
		if c.forwarded != nil {
			header["X-Forwarded-For"] = c.forwarded
		}
		in := signInOf("alice", secret)
		in.header = header
		got := decoded[tokens](c.gate.want(200, in))
		if ip := c.gate.devices(got.Access)[0].IP; ip != c.want {
			t.Errorf("%s: ip_address = %q, want %q", c.name, ip, c.want)
		}
		in = refreshing(got.Refresh)
		in.header = http.Header{"X-Forwarded-For": {"203.0.113.99"}}
		c.gate.want(200, in)
		look := call{method: "GET", path: "/trusted-devices/" + got.UID, token: got.Access, header: in.header}
		d := decoded[deviceView](c.gate.want(200, look)) // asking is a use as well, so it comes from there
		if wantLast := map[bool]string{true: "203.0.113.99", false: "127.0.0.1"}[c.gate == trusting]; d.IP != c.want || d.LastIP != wantLast {
			t.Errorf("%s: after a refresh ip_address = %q, last_ip = %q, want %q, %q", c.name, d.IP, d.LastIP, c.want, wantLast)
		}
	}
}

func TestBusy(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.hasher.Err = password.ErrBusy
	a := g.refused(503, "busy", signInOf("alice", secret))
	if got := a.header.Get("Retry-After"); got != "5" {
		t.Errorf("Retry-After = %q, want 5", got)
	}
	g.refused(503, "busy", call{method: "POST", path: "/admin/users", body: object("name", "bob", "password", secret)})
}

func TestExpiredAccessTokenIsRefreshed(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	g.clock.forward(15 * time.Minute)
	g.refused(401, "token_not_valid", call{method: "GET", path: "/trusted-devices", token: d.Access})
	g.refused(401, "token_not_valid", verifying(d.Access))
	next := decoded[tokens](g.want(200, refreshing(d.Refresh)))
	g.live(next)
	g.clock.forward(30 * 24 * time.Hour)
	g.refused(401, "device_not_recognized", refreshing(next.Refresh))
}
