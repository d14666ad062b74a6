package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"devicegate/activity"
)

func TestRefreshRotates(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	first := g.signIn("alice")
	second := decoded[tokens](g.want(200, refreshing(first.Refresh)))
	if second.UID != first.UID || second.Refresh == first.Refresh {
		t.Fatalf("refresh gave device %s and refresh token %q, want device %s and a new token", second.UID, second.Refresh, first.UID)
	}
	again := decoded[tokens](g.want(200, refreshing(first.Refresh)))
	if again.Refresh != second.Refresh {
		t.Errorf("the same token again, within the grace, has another successor")
	}
	g.live(second)
	g.clock.forward(31 * time.Second)
	g.refused(401, "token_not_valid", verifying(first.Refresh)) // asking is no use
	g.live(second)
	g.refused(401, "device_compromised", refreshing(first.Refresh))
	g.dead("device_compromised", second)
}

func TestAnOlderTokenEndsTheDeviceAtOnce(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	first := g.signIn("alice")
	second := decoded[tokens](g.want(200, refreshing(first.Refresh)))
	third := decoded[tokens](g.want(200, refreshing(second.Refresh)))
	g.refused(401, "device_compromised", refreshing(first.Refresh))
	g.dead("device_compromised", third)
}

// TestTokensThatAreNone: none of these says more than that, and none harms the device.
func TestTokensThatAreNone(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	changed := func(token string) string {
		swap := map[byte]string{'A': "B"}[token[20]]
		if swap == "" {
			swap = "A"
		}
		return token[:20] + swap + token[21:]
	}
	for _, token := range []string{
		"", "x", "dgr_", "dgr_AAAA", d.Refresh + "=", " " + d.Refresh, strings.ToUpper(d.Refresh), changed(d.Refresh),
		changed(d.Access), d.Access + ".", d.Access + "=", "a.b.c", "..", "\u0000",
	} {
		g.refused(401, "token_not_valid", refreshing(token))
		g.refused(401, "token_not_valid", verifying(token))
		g.want(204, revoking(token))
	}
	g.refused(401, "token_not_valid", refreshing(d.Access))
	g.want(204, revoking(d.Access))
	g.live(d)
}

func TestRevokeAnswersAlike(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d, other := g.signIn("alice"), g.signIn("alice")
	g.want(204, revoking(d.Refresh))
	g.dead("device_not_recognized", d)
	g.want(204, revoking(d.Refresh))
	g.live(other)
	// The token before the last is enough to sign out: whoever still holds it loses nothing by it.
	next := decoded[tokens](g.want(200, refreshing(other.Refresh)))
	g.want(204, revoking(other.Refresh))
	g.dead("device_not_recognized", next)
}

// TestRevokeBeforeTheIndexIsFilled: 204 for a device that then lives on would be a lie.
func TestRevokeBeforeTheIndexIsFilled(t *testing.T) {
	g := open(t)
	if err := g.server.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.url, g.people, g.admins = "http://api", inProcess{g.server.API()}, inProcess{g.server.Admin(activity.BySocket)}
	g.addUser("alice")
	d := g.signIn("alice")

	later := openOn(t, g)
	for _, c := range []call{revoking(d.Refresh), refreshing(d.Refresh), verifying(d.Access), verifying(d.Refresh),
		{method: "GET", path: "/trusted-devices", token: d.Access}, ownActivity(d, ""), {method: "GET", path: "/admin/devices/" + d.UID}} {
		later.refused(503, "starting", c)
	}
	later.refused(503, "starting", verifying("x")) // not ready comes before what the token is
	later.refused(503, "store_unavailable", signInOf("alice", secret))
	g.live(d)
}

func TestAuthorization(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	for _, c := range []struct {
		name   string
		values []string
		code   string
	}{
		{"none", nil, "not_authenticated"},
		{"empty", []string{""}, "not_authenticated"},
		{"another scheme", []string{"Basic YTpi"}, "not_authenticated"},
		{"no token", []string{"Bearer "}, "not_authenticated"},
		{"two spaces", []string{"Bearer  " + d.Access}, "not_authenticated"},
		{"two lines", []string{"Bearer " + d.Access, "Bearer " + d.Access}, "not_authenticated"},
		{"a comma", []string{"Bearer " + d.Access + ", Bearer x"}, "not_authenticated"},
		{"no JWT", []string{"Bearer abc"}, "token_not_valid"},
		{"a refresh token", []string{"Bearer " + d.Refresh}, "token_not_valid"},
		{"unsigned", []string{"Bearer " + d.Access[:strings.LastIndexByte(d.Access, '.')+1]}, "token_not_valid"},
	} {
		for _, op := range guarded(d.UID) {
			op.header = http.Header{"Authorization": c.values}
			a := g.do(op)
			want := `Bearer realm="devicegate"`
			if c.code == "token_not_valid" {
				want += `, error="invalid_token"`
			}
			if a.status != 401 || a.code() != c.code || a.header.Get("WWW-Authenticate") != want {
				t.Errorf("%s: %s %s = %d %s, WWW-Authenticate %q; want 401 %s, %q", c.name, op.method, op.path,
					a.status, a.body, a.header.Get("WWW-Authenticate"), c.code, want)
			}
		}
	}
	g.want(200, call{method: "GET", path: "/trusted-devices", header: http.Header{"Authorization": {"bEARER " + d.Access}}})
	g.live(d)
}

// guarded returns the calls that need a token.
func guarded(uid string) []call {
	return []call{
		{method: "GET", path: "/trusted-devices"}, {method: "POST", path: "/trusted-devices/logout"},
		{method: "POST", path: "/trusted-devices/revoke-all"}, {method: "GET", path: "/trusted-devices/" + uid},
		{method: "PATCH", path: "/trusted-devices/" + uid, body: `{"name":"x"}`}, {method: "DELETE", path: "/trusted-devices/" + uid},
		{method: "DELETE", path: "/trusted-devices/not-a-uid"}, {method: "GET", path: "/login-activity?limit=0"},
	}
}

func TestDisabledUser(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	d := g.signIn("alice")
	g.want(200, call{method: "PATCH", path: "/admin/users/" + id, body: `{"disabled":true}`})
	g.dead("inactive_account", d)
	g.want(200, call{method: "PATCH", path: "/admin/users/" + id, body: `{"disabled":false}`})
	g.dead("inactive_account", d) // enabling brings no device back
	g.live(g.signIn("alice"))
}
