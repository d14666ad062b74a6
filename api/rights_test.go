package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"devicegate/config"
)

func (g *gate) setUser(id, change string) {
	g.t.Helper()
	g.want(200, call{method: "PATCH", path: "/admin/users/" + id, body: change})
}

func changing(target, by tokens, body string) call {
	return call{method: "PATCH", path: "/trusted-devices/" + target.UID, token: by.Access, body: body}
}

func ending(target, by tokens) call {
	return call{method: "DELETE", path: "/trusted-devices/" + target.UID, token: by.Access}
}

func (g *gate) view(d, by tokens) deviceView {
	g.t.Helper()
	return decoded[deviceView](g.want(200, call{method: "GET", path: "/trusted-devices/" + d.UID, token: by.Access}))
}

func TestRightsAreTakenAndGiven(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	first, second, third := g.signIn("alice"), g.signIn("alice"), g.signIn("alice")
	all := call{method: "POST", path: "/trusted-devices/revoke-all", token: second.Access}

	got := decoded[deviceView](g.want(200, changing(second, first, `{"name":"Tablet","can_delete_other_devices":false}`)))
	if got.Name != "Tablet" || got.CanDelete || !got.CanUpdate {
		t.Errorf("PATCH answered %+v", got)
	}
	g.refused(403, "device_lacks_delete_permission", ending(third, second))
	g.refused(403, "device_lacks_delete_permission", all)
	g.refused(403, "device_permission_escalation", changing(third, second, `{"can_delete_other_devices":true}`))
	g.want(200, changing(third, second, `{"can_delete_other_devices":false}`)) // to take what one lacks is no gain

	g.want(200, changing(second, first, `{"can_update_other_devices":false}`))
	g.refused(403, "device_lacks_edit_permission", changing(third, second, `{"name":"x"}`))
	g.want(200, changing(second, second, `{"name":"Mine"}`))
	if got := g.view(second, first); got.Name != "Mine" || got.CanUpdate || got.CanDelete {
		t.Errorf("the device is %+v, want the name of its own and no right", got)
	}
	g.live(third)

	// The way back: a device that has the right, or a fresh sign-in.
	g.want(200, changing(second, first, `{"can_update_other_devices":true,"can_delete_other_devices":true}`))
	g.want(204, ending(third, second))
	fourth := g.signIn("alice")
	if got := g.view(fourth, fourth); !got.CanDelete || !got.CanUpdate {
		t.Errorf("a fresh sign-in is %+v, want both rights", got)
	}
}

// TestOnesOwnRights: a right in it refuses the whole change.
func TestOnesOwnRights(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	own := g.signIn("alice")
	for _, right := range []string{"can_update_other_devices", "can_delete_other_devices"} {
		for _, value := range []bool{true, false} {
			g.refused(403, "device_self_modification", changing(own, own, object("name", "x", right, value)))
		}
	}
	if got := g.view(own, own); got.Name != guessed || !got.CanUpdate || !got.CanDelete {
		t.Errorf("after refused changes the device is %+v", got)
	}
	g.refused(400, "invalid", changing(own, own, `{"can_update_other_devices":"yes"}`))
	g.refused(400, "invalid", changing(own, own, `{"can_update_other_devices":null}`))
}

func TestDefaultRights(t *testing.T) {
	g := start(t, func(c *config.Config) {
		c.Devices.DefaultCanUpdateOthers, c.Devices.DefaultCanDeleteOthers = false, false
	})
	g.addUser("alice")
	own, other := g.signIn("alice"), g.signIn("alice")
	if got := g.view(own, own); got.CanUpdate || got.CanDelete {
		t.Errorf("a new device is %+v, want no right", got)
	}
	g.refused(403, "device_lacks_delete_permission", ending(other, own))
	g.refused(403, "device_lacks_edit_permission", changing(other, own, `{"name":"x"}`))
}

// TestTooNew: to the boundary, and Retry-After in whole seconds that are never too few.
func TestTooNew(t *testing.T) {
	g := start(t, func(c *config.Config) {
		// Nothing but seniority ends anything here, however far the clock goes.
		c.Devices.SeniorityDelay, c.Tokens.AccessLifetime = time.Hour, 24*time.Hour
	})
	g.clock.stop()
	g.addUser("alice")
	older := g.signIn("alice")
	young := g.signIn("alice")
	acts := []call{ending(older, young), changing(older, young, `{"name":"x"}`),
		{method: "POST", path: "/api/password", token: young.Access, body: object("current_password", secret, "new_password", secret2)}}
	for _, c := range []struct {
		forward           time.Duration
		retryAfter, words string
	}{
		{0, "3600", "1 hour"},
		{time.Millisecond, "3600", "1 hour"},
		{time.Second - time.Millisecond, "3599", "1 hour"},
		{59*time.Minute - time.Second, "60", "1 minute"},
		{time.Minute - time.Millisecond, "1", "1 minute"},
	} {
		g.clock.forward(c.forward)
		for _, act := range acts {
			a := g.refused(403, "device_too_new", act)
			if got := a.header.Get("Retry-After"); got != c.retryAfter || !strings.Contains(string(a.body), "again in "+c.words+",") {
				t.Errorf("%s %s: Retry-After %q, body %s; want %s, %s", act.method, act.path, got, a.body, c.retryAfter, c.words)
			}
		}
		if got := g.revokeAll(young); got != (counts{0, 1}) {
			t.Errorf("revoke-all = %+v, want 0 revoked, 1 kept", got)
		}
	}
	_, verified, _ := g.hasher.Calls()
	if verified != 2 {
		t.Errorf("%d passwords were verified, want those of the sign-ins alone: who is too new is not told whether he knows it", verified)
	}
	g.clock.forward(time.Millisecond)
	g.want(200, acts[1])
	g.want(204, acts[2])
	g.dead("device_not_recognized", older)
	g.live(young)
}

// TestAnIntruder: he knows the password, and the owner's device is still the stronger one.
func TestAnIntruder(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	owner, intruder := g.signIn("alice"), g.signIn("alice")
	for _, c := range []call{
		ending(owner, intruder), changing(owner, intruder, `{"can_delete_other_devices":false}`),
		{method: "POST", path: "/api/password", token: intruder.Access, body: object("current_password", secret, "new_password", secret2)},
	} {
		g.refused(403, "device_too_new", c)
	}
	g.want(204, ending(intruder, owner))
	g.dead("device_not_recognized", intruder)
	g.live(owner)
}

func TestDelays(t *testing.T) {
	g := start(t, func(c *config.Config) {
		c.Devices.DeleteDelay, c.Devices.UpdateDelay, c.Tokens.AccessLifetime = 33*time.Hour+25*time.Minute, time.Hour, 24*time.Hour
	})
	g.clock.stop()
	g.addUser("alice")
	own, other := g.signIn("alice"), g.signIn("alice")
	demand := func(c call, retryAfter, words string) {
		t.Helper()
		a := g.refused(403, "device_session_too_recent", c)
		if got := a.header.Get("Retry-After"); got != retryAfter || !strings.Contains(string(a.body), "after "+words+" from creation") {
			t.Errorf("Retry-After %q, body %s; want %s, %s", got, a.body, retryAfter, words)
		}
	}
	rename := changing(other, own, `{"name":"x"}`)
	demand(rename, "3600", "1 hour")
	demand(ending(other, own), fmt.Sprint(33*3600+25*60), "1 day, 9 hours, 25 minutes")
	if got := g.revokeAll(own); got != (counts{0, 1}) {
		t.Errorf("revoke-all = %+v, want 0 revoked, 1 kept", got)
	}
	g.want(200, changing(own, own, `{"name":"mine"}`))
	g.clock.forward(time.Hour - time.Millisecond)
	demand(rename, "1", "1 hour")
	g.clock.forward(time.Millisecond)
	g.want(200, rename)
	g.clock.forward(32*time.Hour + 25*time.Minute - time.Millisecond)
	own = decoded[tokens](g.want(200, refreshing(own.Refresh)))
	demand(ending(other, own), "1", "1 day, 9 hours, 25 minutes")
	g.clock.forward(time.Millisecond)
	g.want(204, ending(other, own))
}

func TestSwitches(t *testing.T) {
	g := start(t, func(c *config.Config) { c.Devices.AllowDelete, c.Devices.AllowUpdate = false, false })
	g.addUser("alice")
	own, other := g.signIn("alice"), g.signIn("alice")
	all := call{method: "POST", path: "/trusted-devices/revoke-all", token: own.Access}
	g.refused(403, "device_deletion_disabled", ending(other, own))
	g.refused(403, "device_deletion_disabled", all)
	g.refused(403, "device_editing_disabled", changing(other, own, `{"name":"x"}`))
	g.refused(403, "device_self_modification", ending(own, own)) // oneself comes first
	g.want(200, changing(own, own, `{"name":"mine"}`))
	g.want(204, call{method: "POST", path: "/api/password", token: own.Access, body: object("current_password", secret, "new_password", secret2)})
	g.dead("device_not_recognized", other)
	g.refused(403, "device_deletion_disabled", all) // also when there is nobody else
	g.want(204, call{method: "POST", path: "/trusted-devices/logout", token: own.Access})
}
