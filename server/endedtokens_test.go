package server_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/tokentest"
)

// admin does something over the socket.
func (g *attacked) admin(t *testing.T, method, path, body string) {
	t.Helper()
	if a := g.ask(t, "admin", method, path, body); a.status >= 300 {
		t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
}

// renew refreshes a session.
func (g *attacked) renew(t *testing.T, old session) (next session) {
	t.Helper()
	a := g.ask(t, "api", "POST", "/api/token/refresh", tokenBody("refresh", old.Refresh))
	if err := json.Unmarshal([]byte(a.body), &next); err != nil || a.status != 200 {
		t.Fatalf("refreshing: %d %s", a.status, a.body)
	}
	return next
}

// pair is both tokens of a session that has ended for a reason.
func pair(name string, s session, why reason.Reason) []presented {
	return []presented{
		{name: name + ", access", raw: s.Access, access: why},
		{name: name + ", refresh", raw: s.Refresh, access: reason.TokenMalformed, refresh: why.String()},
	}
}

// TestTokensThatWereGood: J4, J11 and J12. Tokens that this service or another made, and that count no longer
// or never counted here, are refused at every entrance.
func TestTokensThatWereGood(t *testing.T) {
	g, elsewhere := attack(t, settings(t)), attack(t, settings(t))
	all := []presented{
		{name: "another installation, access", raw: elsewhere.root.Access, access: reason.TokenUnverified},
		{name: "another installation, refresh", raw: elsewhere.root.Refresh, access: reason.TokenMalformed},
		{name: "a retired key", raw: g.root.Access, access: reason.TokenUnverified},
	}
	g.admin(t, "POST", "/admin/keys/rotate", `{"retire_now":true}`)
	g.root, g.other, g.third = g.renew(t, g.root), g.renew(t, g.other), g.renew(t, g.third)

	ended := g.signInAs(t, "bystander")
	g.admin(t, "DELETE", "/admin/users/"+g.bystander+"/devices/"+ended.UID, "")
	all = append(all, pair("a device that was ended", ended, reason.DeviceNotRecognized)...)

	id := g.addUser(t, "disabled", "admin")
	disabled := g.signInAs(t, "disabled")
	g.admin(t, "PATCH", "/admin/users/"+id, `{"disabled":true}`)
	all = append(all, pair("a user who is disabled", disabled, reason.InactiveAccount)...)

	id = g.addUser(t, "deleted", "admin")
	deleted := g.signInAs(t, "deleted")
	g.admin(t, "DELETE", "/admin/users/"+id, "")
	all = append(all, pair("a user who is deleted", deleted, reason.DeviceNotRecognized)...)

	g.addUser(t, "robbed", "admin")
	first := g.signInAs(t, "robbed")
	robbed := g.renew(t, g.renew(t, first))
	if a := g.ask(t, "api", "POST", "/api/token/refresh", tokenBody("refresh", first.Refresh)); a.status != 401 {
		t.Fatalf("an old refresh token, used again: %d %s", a.status, a.body)
	}
	all = append(all, pair("a device whose refresh token was used twice", robbed, reason.DeviceCompromised)...)

	g.addUser(t, "again", "admin")
	before := g.signInAs(t, "again")
	if a := g.ask(t, "api", "POST", "/api/token", `{"username":"again","password":"`+secret+`","refresh":"`+before.Refresh+`"}`); a.status != 200 || !strings.Contains(a.body, before.UID) {
		t.Fatalf("signing in again on the same device: %d %s", a.status, a.body)
	}
	all = append(all, pair("a device that was signed in on again", before, reason.DeviceNotRecognized)...)

	g.unmoved(t, func() { g.present(t, g.entrances(), all) })
	g.honest(t)
}

// TestTokensForSomethingElse: J11. A live refresh token is no access token, a live access token no refresh
// token, and neither is used up or ended by being tried.
func TestTokensForSomethingElse(t *testing.T) {
	g := attack(t, settings(t))
	forAccess := slices.DeleteFunc(g.entrances(), func(e entrance) bool { return e.inBody })
	forRefresh := slices.DeleteFunc(g.entrances(), func(e entrance) bool { return !e.refresh })
	g.unmoved(t, func() {
		g.present(t, forAccess, []presented{{name: "our refresh token", raw: g.other.Refresh, access: reason.TokenMalformed}})
		g.present(t, forRefresh, []presented{{name: "our access token", raw: g.other.Access}})
	})
	g.honest(t)
}

// TestTokensOfOtherDevices: J12. What our own key says of a device is not believed where the device is
// another user's, was never there, or was not signed in on so often.
func TestTokensOfOtherDevices(t *testing.T) {
	for _, alg := range tokentest.Algorithms {
		cfg := settings(t)
		cfg.Tokens.SigningKeyFile = keysOfTests(t, cfg, alg)
		g := attack(t, cfg)
		stranger := g.signInAs(t, "bystander")
		f := g.forger(t, alg, nil)
		claims := f.Honest.Claims()
		saying := func(name string, claims tokentest.Members) presented {
			return presented{name: string(alg) + ": " + name, raw: f.Sign(f.Header(), claims.String()), access: reason.DeviceNotRecognized}
		}
		id := func(s string) string { return `"` + s + `"` }
		all := []presented{
			saying("the device of another", claims.With("device_uid", id(stranger.UID))),
			saying("the device under another user", claims.With("sub", id(g.bystander)).With("user_id", id(g.bystander))),
			saying("a device that never was", claims.With("device_uid", id(uuid.NewString()))),
			saying("a user who never was", claims.With("sub", id(g.root.UID)).With("user_id", id(g.root.UID))),
			saying("a generation that is not there yet", claims.With("device_generation", "2")),
			saying("the user's id as the device's", claims.With("device_uid", id(g.user))),
		}
		g.unmoved(t, func() { g.present(t, g.entrances(), all) })
		g.honest(t)
	}
}

// TestRolesInTokensAreNotBelieved: nobody gets into the administration by what his token says of his roles.
func TestRolesInTokensAreNotBelieved(t *testing.T) {
	cfg := settings(t)
	cfg.Tokens.SigningKeyFile = keysOfTests(t, cfg, token.EdDSA)
	g := attack(t, cfg)
	f := g.forger(t, token.EdDSA, nil)
	f.Honest.User, f.Honest.Device = uuid.MustParse(g.bystander), uuid.MustParse(g.signInAs(t, "bystander").UID)
	raw := f.Sign(f.Header(), f.Honest.Claims().With("roles", `["admin"]`).With("username", `"root"`).String())
	g.unmoved(t, func() {
		for _, e := range g.callEntrances() {
			if !strings.Contains(e.name, "/admin/") {
				continue
			}
			g.log.take()
			got := e.send(t, raw, []string{"Bearer " + raw})
			e.refusal = func(presented) outcome { return outcome{status: 403, word: reason.RoleMissing.String()} }
			g.wantRefused(t, e, presented{name: "a role that only the token has", raw: raw}, got)
		}
	})
}
