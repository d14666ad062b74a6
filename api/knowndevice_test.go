package api_test

import (
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"devicegate/config"
)

const cookieName = "__Host-devicegate-device"

// overHTTPS is what a proxy adds to a request that came over https.
func overHTTPS(in call, cookies ...string) call {
	in.header = http.Header{"X-Forwarded-Proto": {"https"}}
	for _, value := range cookies {
		in.header.Add("Cookie", cookieName+"="+value)
	}
	return in
}

func (a answer) cookie(t *testing.T) string {
	t.Helper()
	value, rest, _ := strings.Cut(strings.TrimPrefix(a.header.Get("Set-Cookie"), cookieName+"="), "; ")
	if want := "Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Strict"; rest != want || len(value) != 86 {
		t.Fatalf("Set-Cookie = %q, want %s with 86 characters and %s", a.header["Set-Cookie"], cookieName, want)
	}
	return value
}

func TestDeviceCookie(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addUser("bob")
	in := signInOf("alice", secret)
	a := g.want(200, overHTTPS(in))
	first, cookie := decoded[tokens](a), a.cookie(t)
	g.want(200, changing(first, first, `{"name":"Mine"}`))
	before := g.view(first, first)

	a = g.want(200, overHTTPS(in, cookie))
	again := decoded[tokens](a)
	if after := g.view(again, again); again.UID != first.UID || after.Name != before.Name || after.CanDelete != before.CanDelete {
		t.Errorf("with its cookie the device came back as %+v, was %+v", after, before)
	}
	g.dead("device_not_recognized", first)
	g.live(again)

	// Each sign-in gives a new cookie, and the one before proves nothing.
	newer := a.cookie(t)
	for name, other := range map[string]call{
		"the cookie before":                overHTTPS(in, cookie),
		"two cookies":                      overHTTPS(in, newer, newer),
		"two cookies, the right one first": overHTTPS(in, newer, "planted"),
		"an empty one":                     overHTTPS(in, ""),
		"somebody else's":                  overHTTPS(signInOf("bob", secret), newer),
		"what is no cookie":                overHTTPS(in, strings.Repeat("x", 4000)),
	} {
		if got := decoded[tokens](g.want(200, other)); got.UID == first.UID {
			t.Errorf("%s proved the device", name)
		}
	}
	g.live(again)
	wrong := overHTTPS(in, newer)
	wrong.body = object("username", "alice", "password", "not the password")
	if a := g.refused(401, "no_active_account", wrong); a.header.Get("Set-Cookie") != "" {
		t.Error("a refused sign-in sets a cookie")
	}
	plain := in // over http a cookie still proves, but none is given
	plain.header = http.Header{"Cookie": {cookieName + "=" + newer}}
	a = g.want(200, plain)
	if got := decoded[tokens](a); got.UID != first.UID || a.header.Get("Set-Cookie") != "" {
		t.Errorf("over http: device %s, Set-Cookie %q", got.UID, a.header.Get("Set-Cookie"))
	}
}

// TestDeviceCookieOnlyOverHTTPS: a cookie that was seen on the way would prove the device to whoever saw it.
func TestDeviceCookieOnlyOverHTTPS(t *testing.T) {
	trusting := start(t)
	distrusting := start(t, func(c *config.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	for _, c := range []struct {
		name  string
		gate  *gate
		proto []string
		want  bool
	}{
		{"https, says our proxy", trusting, []string{"https"}, true},
		{"no word", trusting, nil, false},
		{"http", trusting, []string{"http"}, false},
		{"two words", trusting, []string{"https", "https"}, false},
		{"a list", trusting, []string{"https,http"}, false},
		{"a list, the other way", trusting, []string{"http, https"}, false},
		{"empty", trusting, []string{""}, false},
		{"https, says the client", distrusting, []string{"https"}, false},
	} {
		name := strings.Map(func(r rune) rune {
			if r == ' ' || r == ',' {
				return '-'
			}
			return r
		}, c.name)
		c.gate.addUser(name)
		in := signInOf(name, secret)
		in.header = http.Header{"X-Forwarded-Ssl": {"on"}, "Forwarded": {"proto=https"}}
		if c.proto != nil {
			in.header["X-Forwarded-Proto"] = c.proto
		}
		if got := c.gate.want(200, in).header.Get("Set-Cookie") != ""; got != c.want {
			t.Errorf("%s: a cookie was set: %v, want %v", c.name, got, c.want)
		}
	}
}

func proving(name, refresh string) call {
	return call{method: "POST", path: "/api/token", body: object("username", name, "password", secret, "refresh", refresh)}
}

func TestKnownByItsRefreshToken(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addUser("bob")
	elder, first := g.signIn("alice"), g.signIn("alice")
	g.want(200, changing(first, elder, `{"name":"Tablet","can_delete_other_devices":false}`))
	again := decoded[tokens](g.want(200, proving("alice", first.Refresh)))
	if got := g.view(again, again); again.UID != first.UID || got.Name != "Tablet" || got.CanDelete {
		t.Errorf("the device came back as %+v, want its name and without the right that it lacks", got)
	}
	g.dead("device_not_recognized", first)
	g.live(again)

	ended := g.signIn("alice")
	g.want(204, revoking(ended.Refresh))
	for name, c := range map[string]call{
		"somebody else's":   proving("bob", again.Refresh),
		"an ended device's": proving("alice", ended.Refresh),
		"an old one":        proving("alice", first.Refresh),
		"an access token":   proving("alice", again.Access),
		"none":              proving("alice", "x"),
	} {
		if got := decoded[tokens](g.want(200, c)); got.UID == again.UID || got.UID == ended.UID {
			t.Errorf("%s proved a device", name)
		}
	}
	g.live(again)

	named := call{method: "POST", path: "/api/token", body: object("username", "alice", "password", secret, "refresh", again.Refresh, "device_name", "Phone")}
	last := decoded[tokens](g.want(200, named))
	if got := g.view(last, last); got.UID != again.UID || got.Name != "Phone" {
		t.Errorf("the name that the app sends does not win: %+v", got)
	}
}

func TestKnownDevicesCanBeSwitchedOff(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Devices.ReuseKnownDevice = false })
	g.addUser("alice")
	first := g.signIn("alice")
	second := decoded[tokens](g.want(200, proving("alice", first.Refresh)))
	if second.UID == first.UID {
		t.Error("the device was kept")
	}
	g.live(first)
}

// TestMaxDevicesRefuses: only after the right password, and not for a device that is counted already.
func TestMaxDevicesRefuses(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Devices.MaxDevices, c.Devices.OnLimit = 2, config.RefuseSignIn })
	g.addUser("alice")
	first, second := g.signIn("alice"), g.signIn("alice")
	g.refused(403, "max_devices", signInOf("alice", secret))
	g.refused(401, "no_active_account", signInOf("alice", "not the password"))
	first = decoded[tokens](g.want(200, proving("alice", first.Refresh)))
	g.live(first)
	g.live(second)
	g.want(204, revoking(first.Refresh))
	g.live(g.signIn("alice"))
}

func TestRolesLowerTheLimit(t *testing.T) {
	for _, on := range []string{config.EvictLeastRecent, config.EvictOldest, config.RefuseSignIn} {
		g := start(t, func(c *config.Config) {
			c.Devices.MaxDevicesByRole, c.Devices.OnLimit = map[string]int{"staff": 1, "many": 9}, on
		})
		id := g.addUser("alice")
		first, second := g.signIn("alice"), g.signIn("alice")
		g.clock.forward(1e9)
		g.live(first) // so that second is the least recent
		a := g.want(200, call{method: "PATCH", path: "/admin/users/" + id, body: `{"roles":["many","staff"]}`})
		if got := decoded[userView](a); strings.Join(got.Roles, " ") != "many staff" {
			t.Errorf("PATCH answered %s", a.body)
		}
		g.dead("device_replaced", second)
		g.live(first)
		for _, body := range []string{`{"roles":["Staff"]}`, `{"roles":[1]}`, `{"roles":null}`} {
			if a := g.refused(400, "invalid", call{method: "PATCH", path: "/admin/users/" + id, body: body}); a.pointers() != "/roles" {
				t.Errorf("%s points to %q", body, a.pointers())
			}
		}
	}
}

// TestDeviceCookieOverASocket: whoever may open the socket is a proxy of ours, so its word counts.
func TestDeviceCookieOverASocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "api")
	g := start(t, func(c *config.Config) { c.API.Address = config.Address{Network: "unix", Addr: socket} })
	g.url, g.people = "http://api", transport("unix", socket)
	g.addUser("alice")
	g.want(200, overHTTPS(signInOf("alice", secret))).cookie(t)
	if got := g.want(200, signInOf("alice", secret)).header.Get("Set-Cookie"); got != "" {
		t.Errorf("without that word a cookie is set: %q", got)
	}
}
