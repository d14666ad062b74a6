package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"devicegate/config"
)

// from is a call as a proxy passes it on for a client.
func from(ip string, c call) call {
	c.header = http.Header{"X-Forwarded-For": {ip}}
	return c
}

// check asks as Traefik does, for a client at ip, and returns the status and the reason.
func (g *gate) check(token, ip string) (int, string) {
	g.t.Helper()
	r := httptest.NewRequest("GET", "/auth/traefik", nil)
	r.RemoteAddr = "127.0.0.1:1"
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https",
		"X-Forwarded-Host": "app.example", "X-Forwarded-Uri": "/", "X-Forwarded-For": ip,
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	g.server.Checks().ServeHTTP(w, r)
	return w.Code, w.Header().Get("X-Auth-Reason")
}

func (g *gate) checked(want int, why, token, ip string) {
	g.t.Helper()
	if status, reason := g.check(token, ip); status != want || reason != why {
		g.t.Errorf("a check from %s = %d %q, want %d %q", ip, status, reason, want, why)
	}
}

// TestChecksMoveWhatIsSeen: of the device that was used, without a sign-in or a refresh.
func TestChecksMoveWhatIsSeen(t *testing.T) {
	g := start(t)
	g.clock.stop()
	g.addUser("alice")
	watcher := g.signIn("alice")
	d := decoded[tokens](g.want(200, from("203.0.113.7", signInOf("alice", secret))))
	type seen struct {
		IP       string    `json:"ip_address"`
		LastIP   string    `json:"last_ip"`
		LastSeen time.Time `json:"last_seen"`
	}
	look := func() seen {
		t.Helper()
		return decoded[seen](g.want(200, call{method: "GET", path: "/trusted-devices/" + d.UID, token: watcher.Access}))
	}
	signedIn := look()
	g.clock.forward(90 * time.Second)
	g.checked(200, "", d.Access, "203.0.113.9")
	want := seen{"203.0.113.7", "203.0.113.9", signedIn.LastSeen.Add(90 * time.Second)}
	if got := look(); got != want {
		t.Errorf("after a check %+v, want %+v", got, want)
	}
	g.clock.forward(time.Minute)
	g.want(200, verifying(d.Access)) // to ask is no use
	g.checked(401, "token_malformed", "x", "203.0.113.10")
	if got := look(); got != want {
		t.Errorf("after verify %+v, want %+v", got, want)
	}
	g.want(200, from("203.0.113.11", refreshing(d.Refresh)))
	if got := look(); got != (seen{"203.0.113.7", "203.0.113.11", signedIn.LastSeen.Add(150 * time.Second)}) {
		t.Errorf("after a refresh %+v", got)
	}
}

// TestAddressThatMovesTooFast: two addresses within the window end the device, for the checks and for
// the API alike, and whoever asks first.
func TestAddressThatMovesTooFast(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Devices.IPChange.Action = config.IPChangeRevoke })
	g.addUser("alice")
	for name, use := range map[string]func(tokens){
		"a check": func(d tokens) { g.checked(401, "device_compromised", d.Access, "203.0.113.9") },
		"the API": func(d tokens) {
			g.refused(401, "device_compromised", from("203.0.113.9", call{method: "GET", path: "/trusted-devices", token: d.Access}))
		},
		"a refresh": func(d tokens) { g.refused(401, "device_compromised", from("203.0.113.9", refreshing(d.Refresh))) },
	} {
		t.Run(name, func(t *testing.T) {
			d := decoded[tokens](g.want(200, from("203.0.113.7", signInOf("alice", secret))))
			g.checked(200, "", d.Access, "203.0.113.7")
			use(d)
			g.checked(401, "device_compromised", d.Access, "203.0.113.7")
			g.dead("device_compromised", d)
		})
	}
}

func TestAddressThatMovesSlowly(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Devices.IPChange.Action = config.IPChangeRevoke })
	g.clock.stop()
	g.addUser("alice")
	d := decoded[tokens](g.want(200, from("203.0.113.7", signInOf("alice", secret))))
	g.checked(200, "", d.Access, "203.0.113.7")
	g.checked(200, "", d.Access, "2001:db8::1") // the other family
	g.checked(200, "", d.Access, "2001:db8::2") // within a /64
	g.clock.forward(time.Minute + time.Millisecond)
	g.checked(200, "", d.Access, "2001:db8:1::1")
	g.clock.forward(time.Minute)
	g.checked(401, "device_compromised", d.Access, "2001:db8:2::1") // exactly the window
}

func TestNamesFromUserAgents(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	for _, c := range []struct{ agent, sent, want string }{
		{firefox, "", "Firefox on Linux"},
		{firefox, "Alice's laptop", "Alice's laptop"},
		{"acme-app/7 (nobody knows it)", "", "acme-app/7 (nobody knows it)"},
	} {
		in := call{method: "POST", path: "/api/token", body: object("username", "alice", "password", secret, "device_name", c.sent),
			header: http.Header{"User-Agent": {c.agent}}}
		d := decoded[tokens](g.want(200, in))
		if got := g.view(d, d); got.Name != c.want || got.UserAgent != c.agent {
			t.Errorf("%.40s with the name %q: %+v, want %q", c.agent, c.sent, got, c.want)
		}
	}
}
