package compat_test

import (
	"net/http"
	"testing"
	"time"
)

// deletedHere: who was put out here stays out, whatever Django goes on to sign.
func deletedHere(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register")
	owner, thief := d.signIn(t, "", "alice"), d.signIn(t, "", "alice")
	g.letsIn(owner.Access, "django:1", owner.UID)
	g.letsIn(thief.Access, "django:1", thief.UID)
	g.want(204, "", on("DELETE", owner, thief, ""))
	refused := func() {
		t.Helper()
		g.shutsOut(thief.Access, "device_not_recognized")
		g.shutsOut(d.fresh(t, thief).Access, "device_not_recognized") // Django knows nothing of it
		g.want(401, "device_not_recognized", listing(thief))
		g.letsIn(owner.Access, "django:1", owner.UID)
	}
	refused()
	g.restart()
	refused()
	g.want(409, "conflict", registering(thief.UID, `{"issuer":"django","user_id":"1"}`))
	d.want(t, 200, listing(thief)) // nor does Django shut it out itself

	// When all of these tokens are dead, Django still makes new ones for the device.
	g.advance(23 * time.Hour)
	g.restart()
	g.want(409, "conflict", registering(thief.UID, `{"issuer":"django","user_id":"1"}`))
}

// logoutHere: the same for who goes himself.
func logoutHere(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register", "refresh: exchange")
	a, b, c := d.signIn(t, "", "alice"), d.signIn(t, "", "alice"), d.signIn(t, "", "alice")
	g.letsIn(a.Access, "django:1", a.UID)
	g.want(204, "", loggingOut(a))
	g.shutsOut(d.fresh(t, a).Access, "device_not_recognized")
	// By its refresh token, of a device that nobody has seen here.
	g.want(204, "", request{method: "POST", path: "/api/token/revoke", body: `{"refresh":"` + b.Refresh + `"}`})
	g.shutsOut(b.Access, "device_not_recognized")
	g.letsIn(c.Access, "django:1", c.UID)
}

// removedHere: with unknown_device: register the user may come back, but no device that he had.
func removedHere(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register")
	old := d.signIn(t, "", "bob")
	g.letsIn(old.Access, "django:2", old.UID)
	g.want(204, "", request{method: "DELETE", path: "/admin/users/" + g.userID(old, "django:2")})
	g.shutsOut(old.Access, "device_not_recognized")
	// He may come once his old devices are marked: by the sweep within a minute, or by this call at once.
	g.want(409, "conflict", registering(old.UID, `{"issuer":"django","user_id":"2"}`))
	again := d.signIn(t, "", "bob")
	g.letsIn(again.Access, "django:2", again.UID)
	g.shutsOut(d.fresh(t, old).Access, "device_not_recognized")
	g.restart()
	g.shutsOut(d.fresh(t, old).Access, "device_not_recognized")
	g.letsIn(again.Access, "django:2", again.UID)
}

// The limits: the gate asks Django nothing, so that what Django has ended passes here until its token is dead.
// Whoever wants somebody out at once ends his devices here, or disables his account.

// signedOutThere: a refresh token on Django's blacklist is still exchanged, for as long as it lives.
func signedOutThere(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register", "refresh: exchange")
	s := d.signIn(t, "", "bob")
	d.want(t, 200, request{method: "POST", path: "/api/token/blacklist", body: `{"refresh":"` + s.Refresh + `"}`})
	d.want(t, 401, refreshing(s))
	g.letsIn(s.Access, "django:2", s.UID) // the limit
	g.advance(5*time.Minute + time.Second)
	g.shutsOut(s.Access, "token_expired")
	ours := sessionOf(g.want(200, "", refreshing(s))) // the limit, and no small one
	g.letsIn(ours.Access, "django:2", s.UID)
	g.want(204, "", loggingOut(ours))
	g.want(401, "device_not_recognized", refreshing(s))
}

// deletedThere: a device that Django no longer has.
func deletedThere(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register")
	owner, s := d.signIn(t, "", "bob"), d.signIn(t, "", "bob")
	g.letsIn(owner.Access, "django:2", owner.UID)
	d.want(t, 204, on("DELETE", owner, s, ""))
	d.want(t, 401, listing(s))
	g.letsIn(s.Access, "django:2", s.UID) // the limit
	g.want(204, "", on("DELETE", owner, s, ""))
	g.shutsOut(s.Access, "device_not_recognized")
}

// disabledThere: a user whose is_active is off.
func disabledThere(t *testing.T, d *issuer) {
	g := d.gate(t, "unknown_device: register")
	s := d.signIn(t, "", "carol")
	g.letsIn(s.Access, "django:3", s.UID)
	d.want(t, 200, request{method: "POST", path: "/users/carol/active/off"})
	if r := d.want(t, 401, listing(s)); r.code() != "user_inactive" {
		t.Errorf("Django says %s", r.body)
	}
	d.want(t, 401, refreshing(s))
	g.letsIn(s.Access, "django:3", s.UID) // the limit
	g.changeUser(s, "django:3", `{"disabled":true}`)
	g.shutsOut(s.Access, "inactive_account")
	g.restart()
	g.shutsOut(s.Access, "inactive_account")

	// Enabled again on both sides, the old device stays out, and a new one comes in.
	d.want(t, 200, request{method: "POST", path: "/users/carol/active/on"})
	g.changeUser(s, "django:3", `{"disabled":false}`)
	g.shutsOut(d.fresh(t, s).Access, "inactive_account")
	again := d.signIn(t, "", "carol")
	g.letsIn(again.Access, "django:3", again.UID)
}

// changeUser changes the account that a user of Django has here.
func (g *gate) changeUser(s session, name, body string) {
	g.t.Helper()
	g.want(200, "", request{method: "PATCH", path: "/admin/users/" + g.userID(s, name), body: body})
}

// userID returns the id of that account. It is stored a moment after the first check, and before the session's API
// call is answered.
func (g *gate) userID(s session, name string) string {
	g.t.Helper()
	overHTTP(g.t, http.DefaultClient, "http://"+g.address["api"], listing(s))
	var all struct {
		Results []struct{ ID, Name string }
	}
	g.want(200, "", request{method: "GET", path: "/admin/users"}).decode(&all)
	for _, u := range all.Results {
		if u.Name == name {
			return u.ID
		}
	}
	g.t.Fatalf("%s has no account here: %+v", name, all)
	return ""
}
