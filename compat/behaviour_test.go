package compat_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

type claims struct {
	TokenType string `json:"token_type"`
	UserID    string `json:"user_id"`
	DeviceUID string `json:"device_uid"`
	JTI       string `json:"jti"`
	Exp, Iat  int64
}

func claimsOf(t *testing.T, token string) (c claims) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &c)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBehaviour shows what theirs does between the lines, here.
func TestBehaviour(t *testing.T) {
	t.Run("a bad Authorization header at sign-in is ignored", func(t *testing.T) {
		q := signingIn("alice")
		q.token = "x.y.z"
		start(t).want(200, "", q)
	})
	t.Run("forms are refused", func(t *testing.T) {
		start(t).want(415, "unsupported_media_type", request{method: "POST", path: "/api/token", body: "username=alice",
			header: []string{"Content-Type", "application/x-www-form-urlencoded"}})
	})
	t.Run("last_seen moves with checks", func(t *testing.T) {
		g := start(t, "action: revoke => action: note")
		a := g.signIn("alice")
		g.advance(time.Minute)
		g.check(a.Access, cafe)
		g.advance(time.Second)
		b := g.signIn("alice")
		if d := g.device(b, a); d.LastIP != cafe || d.IP != home || !d.LastSeen.Equal(g.now.Add(-time.Second)) {
			t.Errorf("the device is shown as %+v", d)
		}
	})
	t.Run("a change by another device is no use", func(t *testing.T) {
		g := start(t, "update_delay: 1h => update_delay: 0s")
		a, b := g.signIn("alice"), g.signIn("alice")
		before := g.device(a, b).LastSeen
		g.advance(time.Minute)
		g.want(200, "", on("PATCH", a, b, `{"name":"x"}`))
		if got := g.device(a, b).LastSeen; !got.Equal(before) {
			t.Errorf("last_seen moved from %s to %s", before, got)
		}
	})
	t.Run("verify leaves no trace", func(t *testing.T) {
		g := start(t)
		a, b := g.signIn("alice"), g.signIn("alice")
		before := g.device(b, a)
		g.advance(time.Minute)
		g.want(200, "", verifying(a.Access))
		g.want(200, "", verifying(a.Refresh))
		if after := g.device(b, a); after != before {
			t.Errorf("the device was %+v and is %+v", before, after)
		}
	})
	t.Run("a change of address at refresh", func(t *testing.T) {
		g := start(t)
		a := g.signIn("alice")
		g.want(200, "", refreshing(a))
		q := refreshing(a)
		q.from = cafe
		g.want(401, "device_compromised", q)
	})
	t.Run("another user's device is not there", func(t *testing.T) {
		g := start(t)
		g.addUser("bob")
		a, b := g.signIn("alice"), g.signIn("bob")
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			body := ""
			if method == "PATCH" {
				body = `{"name":"x"}`
			}
			g.want(404, "not_found", on(method, b, a, body))
		}
		if all := g.devices(b); len(all) != 1 || !all[0].IsCurrent || all[0].UID != b.UID {
			t.Errorf("bob's devices are %+v", all)
		}
	})
	t.Run("every sign-in is a new device", func(t *testing.T) {
		g := start(t)
		a, q := g.signIn("alice"), signingIn("alice")
		q.body = strings.Replace(q.body, "}", `,"refresh":"`+a.Refresh+`"}`, 1)
		if again := sessionOf(g.want(200, "", q)); again.UID == a.UID {
			t.Error("the device was kept with reuse_known_device: false")
		}
		g = start(t, "reuse_known_device: false => reuse_known_device: true")
		a = g.signIn("alice")
		q.body = `{"username":"alice","password":"` + secret + `","refresh":"` + a.Refresh + `"}`
		if again := sessionOf(g.want(200, "", q)); again.UID != a.UID {
			t.Error("the device that proved itself was not kept")
		}
		g.want(401, "device_not_recognized", listing(a))
	})
	t.Run("the newest comes first", func(t *testing.T) {
		g := start(t)
		a, b := g.signIn("alice"), g.signIn("alice")
		if all := g.devices(a); len(all) != 2 || all[0].UID != b.UID || all[1].UID != a.UID {
			t.Errorf("the list is %+v", all)
		}
	})
	t.Run("stale devices are swept", func(t *testing.T) {
		g := start(t)
		stale := g.signIn("alice")
		g.advance(2 * time.Hour)
		fresh := g.signIn("alice")
		for _, dry := range []string{"true", "false"} {
			if n := len(g.devices(fresh)); n != 2 {
				t.Fatalf("%d devices before the sweep with dry_run %s, want 2", n, dry)
			}
			g.want(200, "", request{method: "POST", path: "/admin/devices/sweep", body: `{"older_than_seconds":3600,"dry_run":` + dry + `}`})
		}
		g.want(401, "device_not_recognized", refreshing(stale))
		g.want(200, "", listing(fresh))
	})
}

// TestWeakPoints shows what their known faults are here.
func TestWeakPoints(t *testing.T) {
	t.Run("a forged expired token ends nothing", func(t *testing.T) {
		g := start(t)
		a := g.signIn("alice")
		part := base64.RawURLEncoding.EncodeToString
		forged := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(`{"token_type":"access","exp":1,"user_id":"1","device_uid":"`+a.UID+`"}`)) + ".AAAA"
		g.want(401, "token_not_valid", listing(session{Access: forged}))
		g.want(200, "", listing(a))
	})
	t.Run("an intruder does not shut out the owner", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => delete_delay: 0s", "seniority_delay: 0s => seniority_delay: 24h")
		owner := g.signIn("alice")
		g.advance(48 * time.Hour)
		owner = g.fresh(owner)
		intruder := g.signIn("alice")
		if r := g.want(403, "device_too_new", on("DELETE", intruder, owner, "")); r.header.Get("Retry-After") != "86400" {
			t.Errorf("Retry-After = %q, want a day", r.header.Get("Retry-After"))
		}
		g.want(403, "device_too_new", on("PATCH", intruder, owner, `{"can_delete_other_devices":false}`))
		g.want(403, "device_too_new", request{method: "POST", path: "/api/password", token: intruder.Access,
			body: `{"current_password":"` + secret + `","new_password":"a new one that is long"}`})
		g.want(200, "", revokingAll(intruder))
		g.want(200, "", listing(owner))
		g.want(204, "", on("DELETE", owner, intruder, ""))
		g.want(401, "device_not_recognized", listing(intruder))
	})
	t.Run("revoke-all keeps to the rules", func(t *testing.T) {
		g := start(t)
		a, b := g.signIn("alice"), g.signIn("alice")
		var n struct {
			Revoked int `json:"revoked_count"`
			Kept    int `json:"kept_count"`
		}
		g.want(200, "", revokingAll(a)).decode(&n)
		if n.Revoked != 0 || n.Kept != 1 {
			t.Errorf("revoke-all = %+v, want the device that is too recent to be kept", n)
		}
		g.want(200, "", listing(b))
	})
	t.Run("reuse of a refresh token ends the device", func(t *testing.T) {
		g := start(t, "refresh_rotation: false => refresh_rotation: true")
		a := g.signIn("alice")
		newest := g.fresh(g.fresh(a))
		g.want(401, "device_compromised", refreshing(a))
		g.want(401, "device_compromised", refreshing(newest))
	})
	t.Run("a password change ends the others", func(t *testing.T) {
		g := start(t)
		a, b := g.signIn("alice"), g.signIn("alice")
		g.want(204, "", request{method: "POST", path: "/api/password", token: a.Access,
			body: `{"current_password":"` + secret + `","new_password":"a new one that is long"}`})
		g.want(401, "device_not_recognized", listing(b))
		g.want(200, "", listing(a))
	})
	t.Run("rights that every device lost come back", func(t *testing.T) {
		g := start(t, "update_delay: 1h => update_delay: 0s", "delete_delay: 1d => delete_delay: 0s")
		a, b := g.signIn("alice"), g.signIn("alice")
		g.want(200, "", on("PATCH", a, b, `{"can_update_other_devices":false,"can_delete_other_devices":false}`))
		c := g.signIn("alice")
		g.want(200, "", on("PATCH", c, a, `{"can_update_other_devices":false,"can_delete_other_devices":false}`))
		g.want(403, "device_lacks_delete_permission", on("DELETE", a, b, ""))
		g.want(204, "", on("DELETE", g.signIn("alice"), a, ""))
	})
	t.Run("one's own name", func(t *testing.T) {
		g := start(t)
		a := g.signIn("alice")
		g.want(200, "", on("PATCH", a, a, `{"name":"My phone"}`))
		if d := g.device(a, a); d.Name != "My phone" {
			t.Errorf("the name is %q", d.Name)
		}
	})
}

// TestConcurrentLogins is what preventconcurrentlogins is for.
func TestConcurrentLogins(t *testing.T) {
	t.Run("one login at a time", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => max_devices: 1")
		a := g.signIn("alice")
		b := g.signIn("alice")
		if got := g.check(a.Access, home) + " " + g.check(b.Access, home); got != "device_replaced ok" { // before b was used
			t.Errorf("after the second sign-in: %s", got)
		}
		g.want(401, "device_replaced", listing(a))
		g.want(401, "device_replaced", refreshing(a))
		g.want(200, "", listing(b))
	})
	t.Run("for staff only", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => max_devices_by_role: {staff: 1}")
		g.addUser("bob", "staff")
		a, b := g.signIn("alice"), g.signIn("bob")
		g.signIn("alice")
		g.signIn("bob")
		if got := g.check(a.Access, home) + " " + g.check(b.Access, home); got != "ok device_replaced" {
			t.Errorf("a customer and a member of staff after a second sign-in: %s", got)
		}
	})
	t.Run("a role counts at once", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => max_devices_by_role: {staff: 1}")
		first := g.signIn("alice")
		g.advance(time.Second)
		last := g.signIn("alice")
		g.changeUser("alice", `{"roles":["staff"]}`)
		if got := g.check(first.Access, home) + " " + g.check(last.Access, home); got != "device_replaced ok" {
			t.Errorf("after the promotion: %s", got)
		}
	})
	t.Run("refuse the new one", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => max_devices: 1", "reuse_known_device: false => on_limit: refuse")
		a := g.signIn("alice")
		g.want(403, "max_devices", signingIn("alice"))
		g.want(200, "", listing(a))
		g.want(204, "", loggingOut(a))
		g.signIn("alice")
	})
}
