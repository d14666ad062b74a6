package api_test

import (
	"strings"
	"testing"
	"time"
)

func (g *gate) startReset(id string) resetToken {
	g.t.Helper()
	return decoded[resetToken](g.want(200, call{method: "POST", path: "/admin/users/" + id + "/password-reset"}))
}

func resetting(token, password string) call {
	return call{method: "POST", path: "/api/password/reset", body: object("reset_token", token, "new_password", password)}
}

func changingPassword(by tokens, current, next string) call {
	return call{method: "POST", path: "/api/password", token: by.Access, body: object("current_password", current, "new_password", next)}
}

func TestChangePassword(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addUser("bob")
	own, other, stranger := g.signIn("alice"), g.signIn("alice"), g.signIn("bob")
	for _, c := range []struct{ current, next, pointer string }{
		{"not the password", secret2, "/current_password"},
		{secret, "short", "/new_password"},
		{secret, strings.Repeat("x", 257), "/new_password"},
	} {
		if a := g.refused(400, "invalid", changingPassword(own, c.current, c.next)); a.pointers() != c.pointer {
			t.Errorf("%+v: pointers %q", c, a.pointers())
		}
	}
	g.live(other)
	g.want(204, changingPassword(own, secret, secret2))
	g.live(own)
	g.live(stranger)
	g.dead("device_not_recognized", other)
	g.refused(401, "no_active_account", signInOf("alice", secret))
	g.want(200, signInOf("alice", secret2))
	g.live(decoded[tokens](g.want(200, refreshing(own.Refresh))))
}

func TestResetPassword(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	d := g.signIn("alice")
	earlier, token := g.startReset(id), g.startReset(id)
	if left := time.Until(token.Expires); left <= 0 || left > time.Hour || !strings.HasPrefix(token.Token, "dgp_") {
		t.Errorf("the reset token is %+v, want one for an hour", token)
	}
	for _, none := range []string{earlier.Token, "", "x", "dgp_", token.Token[:len(token.Token)-1], token.Token + "A", d.Refresh, d.Access} {
		g.refused(401, "token_not_valid", resetting(none, secret2))
		g.refused(401, "token_not_valid", resetting(none, "short")) // it does not tell which passwords would do
	}
	if a := g.refused(400, "invalid", resetting(token.Token, "short")); a.pointers() != "/new_password" {
		t.Errorf("a short password points to %q", a.pointers())
	}
	g.live(d)
	g.want(204, resetting(token.Token, secret2)) // the refused try did not use it up
	g.dead("device_not_recognized", d)
	g.refused(401, "token_not_valid", resetting(token.Token, secret))
	g.refused(401, "no_active_account", signInOf("alice", secret))
	g.want(200, signInOf("alice", secret2))

	late := g.startReset(id)
	g.clock.forward(time.Hour)
	g.refused(401, "token_not_valid", resetting(late.Token, secret))
}

// TestResetOfADisabledUser sets the password and lets nobody in.
func TestResetOfADisabledUser(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	token := g.startReset(id)
	g.setUser(id, `{"disabled":true}`)
	g.want(204, resetting(token.Token, secret2))
	g.refused(401, "no_active_account", signInOf("alice", secret2))
	g.setUser(id, `{"disabled":false}`)
	g.want(200, signInOf("alice", secret2))
	g.refused(404, "not_found", call{method: "POST", path: "/admin/users/" + nowhere + "/password-reset"})
	g.refused(404, "not_found", call{method: "POST", path: "/admin/users/x/password-reset"})
}

func TestAdminSetsPassword(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	d := g.signIn("alice")
	path := "/admin/users/" + id
	if a := g.refused(400, "invalid", call{method: "PATCH", path: path, body: `{"password":"short","roles":["staff"]}`}); a.pointers() != "/password" {
		t.Errorf("a short password points to %q", a.pointers())
	}
	if got := decoded[userView](g.want(200, call{method: "GET", path: path})); len(got.Roles) != 0 {
		t.Errorf("a change that was refused has set the roles %v", got.Roles)
	}
	g.live(d)
	a := g.want(200, call{method: "PATCH", path: path, body: object("password", secret2)})
	if strings.Contains(string(a.body), "password") {
		t.Errorf("the answer tells the password: %s", a.body)
	}
	g.dead("device_not_recognized", d)
	g.refused(401, "no_active_account", signInOf("alice", secret))
	g.want(200, signInOf("alice", secret2))
}
