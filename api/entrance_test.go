package api_test

import (
	"net/http"
	"strings"
	"testing"

	"devicegate/api"
)

// remotely is the call over admin.address, with the token of a device.
func remotely(by tokens, c call) call {
	c.remote, c.token = true, by.Access
	return c
}

// adminCalls returns every operation of the administration, about the user with that id and his device.
func adminCalls(id, uid string) (all []call) {
	for _, name := range api.Operations() {
		method, path, _ := strings.Cut(name, " ")
		if !strings.HasPrefix(path, "/admin/") {
			continue
		}
		path = strings.Replace(path, "/lockouts/:id", "/lockouts/x", 1)
		c := call{method: method, path: strings.NewReplacer(":device_uid", uid, ":id", id).Replace(path)}
		switch {
		case strings.HasSuffix(path, "/sweep"):
			c.body = `{"older_than_seconds":0}`
		case name == "POST /admin/users":
			c.body = `{"name":"mallory"}`
		case method == "PUT":
			c.body = `{"issuer":"django","user_id":"7"}`
		case name == "POST /admin/devices":
			c.body = `{"issuer":"django","user_id":"7","device":"x"}`
		case method == "PATCH", strings.HasSuffix(path, "/rotate"), strings.HasSuffix(path, "/explain"):
			c.body = `{}`
		}
		all = append(all, c)
	}
	return all
}

// TestWhoIsNoAdmin: every call of the administration asks who it is before anything else, and nothing
// happens to anybody.
func TestWhoIsNoAdmin(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	g.addAdmin("admin")
	d := g.signIn("alice")
	boss := g.signIn("admin")
	ended := g.signIn("admin")
	g.want(204, revoking(ended.Refresh))
	g.setUser(id, `{"roles":["staff","admins","root"]}`)
	before := g.events(allActivity(""))
	for _, c := range append(adminCalls(id, d.UID), adminCalls("x", "y")...) {
		for _, who := range []struct {
			header string
			status int
			code   string
		}{
			{"", 401, "not_authenticated"},
			{"Basic YWRtaW46eA==", 401, "not_authenticated"},
			{"Bearer " + boss.Access + ", Bearer " + boss.Access, 401, "not_authenticated"},
			{"Bearer x", 401, "token_not_valid"},
			{"Bearer " + boss.Refresh, 401, "token_not_valid"},
			{"Bearer " + ended.Access, 401, "device_not_recognized"},
			{"Bearer " + d.Access, 403, "role_missing"},
		} {
			c.remote, c.header = true, http.Header{"Authorization": {who.header}, "Cookie": {"access=" + boss.Access}}
			if c.body != "" {
				c.header.Set("Content-Type", "application/json")
			}
			a := g.refused(who.status, who.code, c)
			if got := a.header.Get("WWW-Authenticate") != ""; got != (who.status == 401) {
				t.Errorf("%d %s has WWW-Authenticate: %v", a.status, who.code, got)
			}
		}
	}
	if after := g.events(allActivity("")); len(after) != len(before) {
		t.Errorf("these have happened all the same: %v", after[:len(after)-len(before)])
	}
	g.live(d)
}

// TestAdminsCountAsTheyAreNow: neither role nor life of an admin is taken from his token.
func TestAdminsCountAsTheyAreNow(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	d := g.signIn("alice")
	for _, list := range []string{"/admin/users", "/admin/devices", "/admin/users/" + id + "/devices", "/admin/login-activity", "/admin/lockouts"} {
		c := remotely(d, call{method: "GET", path: list})
		g.refused(403, "role_missing", c)
		g.setUser(id, `{"roles":["staff","admin"]}`)
		g.want(200, c)
		g.setUser(id, `{"roles":["staff"]}`)
		g.refused(403, "role_missing", c)
	}
	list := call{method: "GET", path: "/admin/users"}
	g.setUser(id, `{"roles":["admin"]}`)
	g.want(200, remotely(d, list))
	g.want(204, endingOf(id, d.UID))
	g.refused(401, "device_not_recognized", remotely(d, list))
	d = g.signIn("alice")
	g.want(200, remotely(d, list))
	g.setUser(id, `{"disabled":true}`)
	g.refused(401, "inactive_account", remotely(d, list))
	g.setUser(id, `{"disabled":false}`)
	g.refused(401, "inactive_account", remotely(d, list)) // enabling brings no device back
	d = g.signIn("alice")
	g.want(200, remotely(d, list))
	g.want(204, call{method: "DELETE", path: "/admin/users/" + id})
	g.refused(401, "device_not_recognized", remotely(d, list))
}

// TestTheSocketAsksNobody: a token sent along changes nothing.
func TestTheSocketAsksNobody(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	for _, token := range []string{"", "x", d.Access} {
		g.want(200, call{method: "GET", path: "/admin/users", token: token})
	}
}

// TestLastAdmin: he cannot disable, demote or remove himself; the socket can, and another admin can.
func TestLastAdmin(t *testing.T) {
	for name, act := range map[string]struct{ method, body string }{
		"disables":              {"PATCH", `{"disabled":true}`},
		"demotes":               {"PATCH", `{"roles":["staff"]}`},
		"demotes, among others": {"PATCH", object("roles", []string{}, "password", secret2, "disabled", false)},
		"removes":               {"DELETE", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t)
			g.addUser("alice")
			id := g.addAdmin("first")
			path := "/admin/users/" + id
			first := g.signIn("first")
			himself := remotely(first, call{method: act.method, path: path, body: act.body})
			last := func() {
				t.Helper()
				g.refused(409, "conflict", himself)
				if got := decoded[userView](g.want(200, call{method: "GET", path: path})); got.Disabled || strings.Join(got.Roles, " ") != "admin" {
					t.Errorf("after a refusal he is %+v", got)
				}
				g.live(first)
				g.signIn("first") // his password is the same
			}
			last()
			other := g.addAdmin("second")
			g.setUser(other, `{"disabled":true}`)
			last() // one who is disabled is none
			g.want(200, remotely(first, call{method: "PATCH", path: path, body: `{"roles":["admin","staff"],"disabled":false}`}))
			g.want(200, remotely(first, call{method: "PATCH", path: path, body: `{"roles":["admin"]}`}))
			g.setUser(other, `{"disabled":false}`)

			second := g.signIn("second")
			if a := g.do(remotely(second, himself)); a.status >= 300 {
				t.Fatalf("the other admin: %d %s", a.status, a.body)
			}
			himself.path, himself.token = "/admin/users/"+other, second.Access
			g.refused(409, "conflict", himself)
			himself.remote, himself.token = false, "" // over the socket
			if a := g.do(himself); a.status >= 300 {
				t.Errorf("over the socket: %d %s", a.status, a.body)
			}
		})
	}
}

// TestCurrentDeviceOfAnAdmin: he sees which one he works from, and may end it.
func TestCurrentDeviceOfAnAdmin(t *testing.T) {
	g := start(t)
	id := g.addAdmin("admin")
	own, other := g.signIn("admin"), g.signIn("admin")
	for _, path := range []string{"/admin/devices/" + own.UID, "/admin/devices/" + other.UID} {
		c := call{method: "GET", path: path}
		if got := decoded[userDeviceView](g.want(200, remotely(own, c))); got.IsCurrent != (got.UID == own.UID) {
			t.Errorf("is_current = %v for %s, and this device is %s", got.IsCurrent, got.UID, own.UID)
		}
		if got := decoded[userDeviceView](g.want(200, c)); got.IsCurrent {
			t.Errorf("over the socket %s is the current device", got.UID)
		}
	}
	g.want(204, remotely(own, endingOf(id, own.UID)))
	g.dead("device_not_recognized", own)
	g.live(other)
}
