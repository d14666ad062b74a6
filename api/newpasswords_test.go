package api_test

import (
	"strings"
	"testing"
)

// TestNewPasswords: wherever one is set it must be long, none of those that are tried first, and not the
// name of its user; and the sentence says which it is.
func TestNewPasswords(t *testing.T) {
	g := start(t)
	name := "Wolfeschlegelstein"
	id := g.addUser(name)
	own := g.signIn(name)
	reset := g.startReset(id).Token
	ways := map[string]struct {
		call    func(password string) call
		pointer string
	}{
		"create": {func(p string) call {
			return call{method: "POST", path: "/admin/users", body: object("name", name+"er", "password", p)}
		}, "/password"},
		"patch": {func(p string) call {
			return call{method: "PATCH", path: "/admin/users/" + id, body: object("password", p, "roles", []string{"staff"}, "disabled", true)}
		}, "/password"},
		"change": {func(p string) call { return changingPassword(own, secret, p) }, "/new_password"},
		"reset":  {func(p string) call { return resetting(reset, p) }, "/new_password"},
	}
	hashes := g.hashes()
	for way, one := range ways {
		for _, c := range []struct{ password, sentence string }{
			{"fourteen chars", "too short"},
			{"", "too short"},
			{strings.Repeat("long ", 60), "too long"},
			{"password1234567", "tried first"},
			{"PASSWORD-password", "tried first"},
			{"aaaaaaaaaaaaaaaaaaaa", "again and again"},
			{"wolfeschlegelsteiner", "the name of the account"},
			{"WolfeSchlegelSteiner 2024", "the name of the account"},
			{"devicegate devicegate", "of this service"},
		} {
			password := c.password
			if way != "create" { // whose name is another one
				password = strings.Replace(strings.Replace(password, "steiner", "stein", 1), "Steiner", "Stein", 1)
			}
			a := g.refused(400, "invalid", one.call(password))
			if a.pointers() != one.pointer || !strings.Contains(string(a.body), c.sentence) {
				t.Errorf("%s with %q answered %s, want %s at %s", way, password, a.body, c.sentence, one.pointer)
			}
			if password != "" && strings.Contains(string(a.body), password) {
				t.Errorf("%s: the answer repeats the password: %s", way, a.body)
			}
		}
	}
	if got := g.hashes(); got != hashes {
		t.Errorf("%d hashes were computed for passwords that are refused", got-hashes)
	}
	if got := decoded[userView](g.want(200, call{method: "GET", path: "/admin/users/" + id})); got.Disabled || len(got.Roles) > 0 {
		t.Errorf("a change that was refused for its password has made %+v", got)
	}
	g.live(own)
	g.want(200, signInOf(name, secret))

	const good = "wolfeschlegelstein and his seven goats" // it only contains the name
	for _, way := range []string{"create", "reset", "change", "patch"} {
		c := ways[way].call(good)
		if way == "change" {
			own = decoded[tokens](g.want(200, signInOf(name, good)))
			c = changingPassword(own, good, good+", again")
		}
		if a := g.do(c); a.status >= 300 {
			t.Errorf("%s with a good one = %d %s", way, a.status, a.body)
		}
	}
}

// TestUpdateIsAllOrNothing: roles, password and disabling are one transaction.
func TestUpdateIsAllOrNothing(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	d := g.signIn("alice")
	path := "/admin/users/" + id
	for _, c := range []struct{ body, pointers string }{
		{object("roles", []string{"UPPER"}, "password", secret2, "disabled", true), "/roles"},
		{object("roles", []string{"staff"}, "password", "short", "disabled", true), "/password"},
		{object("roles", []string{"staff"}, "password", secret2, "disabled", "yes"), "/disabled"},
		{object("roles", []string{"staff"}, "password", secret2, "name", "bob"), "/name"},
	} {
		if a := g.refused(400, "invalid", call{method: "PATCH", path: path, body: c.body}); a.pointers() != c.pointers {
			t.Errorf("%s points to %q, want %q", c.body, a.pointers(), c.pointers)
		}
		if got := decoded[userView](g.want(200, call{method: "GET", path: path})); got.Disabled || len(got.Roles) > 0 {
			t.Errorf("%s was refused and has made %+v", c.body, got)
		}
		g.live(d)
	}
	all := object("roles", []string{"staff"}, "password", secret2, "disabled", true)
	got := decoded[userView](g.want(200, call{method: "PATCH", path: path, body: all}))
	if !got.Disabled || strings.Join(got.Roles, " ") != "staff" {
		t.Errorf("PATCH answered %+v", got)
	}
	g.dead("inactive_account", d)
	g.setUser(id, `{"disabled":false}`)
	g.want(200, signInOf("alice", secret2))
}

func TestDeleteUser(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	g.addUser("bob")
	d, other := g.signIn("alice"), g.signIn("bob")
	reset := g.startReset(id).Token
	path := "/admin/users/" + id
	g.want(204, call{method: "DELETE", path: path})
	g.dead("device_not_recognized", d)
	g.live(other)
	g.refused(401, "no_active_account", signInOf("alice", secret))
	g.refused(401, "token_not_valid", resetting(reset, secret2))
	for _, c := range []call{{method: "GET", path: path}, {method: "DELETE", path: path}, {method: "PATCH", path: path, body: `{}`},
		{method: "GET", path: path + "/devices"}, {method: "DELETE", path: path + "/devices"}, {method: "POST", path: path + "/password-reset"},
		{method: "GET", path: "/admin/devices/" + d.UID}, {method: "DELETE", path: "/admin/users/" + strings.ToUpper(id)}} {
		g.refused(404, "not_found", c)
	}
	if again := g.addUser("alice"); again == id {
		t.Error("the name anew has the old id")
	}
	if got := g.devices(g.signIn("alice").Access); len(got) != 1 {
		t.Errorf("whoever has the name now sees %d devices", len(got))
	}
	g.dead("device_not_recognized", d)
}
