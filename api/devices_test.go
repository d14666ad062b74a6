package api_test

import (
	"slices"
	"strings"
	"testing"
)

func TestListIsNewestFirst(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addUser("bob")
	g.signIn("bob")
	var want []string
	var last tokens
	for range 5 { // in the same millisecond, perhaps: the order is that of the commits
		last = g.signIn("alice")
		want = append([]string{last.UID}, want...)
	}
	var got []string
	for _, d := range g.devices(last.Access) {
		got = append(got, d.UID)
		if d.IsCurrent != (d.UID == last.UID) {
			t.Errorf("is_current = %v for %s, and this device is %s", d.IsCurrent, d.UID, last.UID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("devices = %v, want %v", got, want)
	}
}

func TestNameADevice(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	own, other := g.signIn("alice"), g.signIn("alice")
	for _, d := range []tokens{own, other} {
		path := "/trusted-devices/" + d.UID
		got := decoded[deviceView](g.want(200, call{method: "PATCH", path: path, token: own.Access, body: `{"name":"Küche"}`}))
		if got.Name != "Küche" || got.UID != d.UID || got.IsCurrent != (d.UID == own.UID) {
			t.Errorf("PATCH answered %+v", got)
		}
		// What GET shows may come back with the change, and does nothing.
		got = decoded[deviceView](g.want(200, call{method: "PATCH", path: path, token: own.Access, body: `{"device_uid":"x","user_agent":null,
			"ip_address":"192.0.2.1","last_ip":"192.0.2.1","country":1,"region":{},"city":[],"last_seen":"x","created_at":"x","expires_at":"x","is_current":false}`}))
		if got.Name != "Küche" || got.UID != d.UID || got.IP != "127.0.0.1" || got.IsCurrent != (d.UID == own.UID) {
			t.Errorf("PATCH of read-only members answered %+v", got)
		}
		for _, c := range []struct{ body, pointers string }{
			{`{"name":1}`, "/name"},
			{`{"name":null}`, "/name"},
			{object("name", strings.Repeat("x", 256)), "/name"},
			{object("name", "a\nb"), "/name"},
			{`{"name":"x","nome":"y","refresh":{}}`, "/nome /refresh"},
		} {
			a := g.refused(400, "invalid", call{method: "PATCH", path: path, token: own.Access, body: c.body})
			if a.pointers() != c.pointers {
				t.Errorf("PATCH %.40s points to %q, want %q", c.body, a.pointers(), c.pointers)
			}
		}
		got = decoded[deviceView](g.want(200, call{method: "GET", path: path, token: own.Access}))
		if got.Name != "Küche" {
			t.Errorf("after refused changes the name is %q", got.Name)
		}
	}
}

func TestEndADevice(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	own, other := g.signIn("alice"), g.signIn("alice")
	g.refused(403, "device_self_modification", call{method: "DELETE", path: "/trusted-devices/" + own.UID, token: own.Access})
	g.live(own)
	g.want(204, call{method: "DELETE", path: "/trusted-devices/" + other.UID, token: own.Access})
	g.dead("device_not_recognized", other)
	g.refused(404, "not_found", call{method: "DELETE", path: "/trusted-devices/" + other.UID, token: own.Access})
	g.live(own)
}

func TestLogout(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	own, other := g.signIn("alice"), g.signIn("alice")
	g.want(204, call{method: "POST", path: "/trusted-devices/logout", token: own.Access})
	g.dead("device_not_recognized", own)
	g.refused(401, "device_not_recognized", call{method: "POST", path: "/trusted-devices/logout", token: own.Access})
	g.live(other)
}

func TestRevokeAll(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addUser("bob")
	stranger, own := g.signIn("bob"), g.signIn("alice")
	var others []tokens
	for range 12 { // more than one transaction ends
		others = append(others, g.signIn("alice"))
	}
	// The newest is too new to end any of them, and says so in numbers: its rights are whole.
	if got := g.revokeAll(others[11]); got != (counts{0, 12}) {
		t.Errorf("revoke-all of the newest = %+v, want 0 revoked, 12 kept", got)
	}
	// One in the middle ends the younger ones only.
	if got := g.revokeAll(others[5]); got != (counts{6, 6}) {
		t.Errorf("revoke-all of the seventh = %+v, want 6 revoked, 6 kept", got)
	}
	if got := g.revokeAll(own); got != (counts{6, 0}) {
		t.Errorf("revoke-all of the oldest = %+v, want 6 revoked, 0 kept", got)
	}
	if got := g.revokeAll(own); got != (counts{0, 0}) {
		t.Errorf("revoke-all again = %+v, want 0, 0", got)
	}
	g.dead("device_not_recognized", others[0])
	g.dead("device_not_recognized", others[11])
	g.live(own)
	g.live(stranger)
}

type counts struct {
	Revoked int `json:"revoked_count"`
	Kept    int `json:"kept_count"`
}

func (g *gate) revokeAll(by tokens) counts {
	g.t.Helper()
	return decoded[counts](g.want(200, call{method: "POST", path: "/trusted-devices/revoke-all", token: by.Access}))
}

// TestWhatIsNotThere: a device of another user is not told from one that never was, and stays.
func TestWhatIsNotThere(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	g.addUser("bob")
	own, foreign := g.signIn("alice"), g.signIn("bob")
	var first []byte
	for _, uid := range []string{
		foreign.UID, "00000000-0000-4000-8000-000000000000", strings.ToUpper(own.UID), strings.ReplaceAll(own.UID, "-", ""),
		"{" + own.UID + "}", "urn:uuid:" + own.UID, own.UID[:35], own.UID + "0", "x", "%2e%2e", "%00", own.UID + "%2f", "%" + "61" + own.UID[1:],
		strings.Repeat("a", 4000),
	} {
		for _, c := range []call{{method: "GET"}, {method: "PATCH", body: `{"name":"x"}`}, {method: "DELETE"}} {
			c.path, c.token = "/trusted-devices/"+uid, own.Access
			a := g.refused(404, "not_found", c)
			if first == nil {
				first = a.body
			}
			if string(a.body) != string(first) {
				t.Errorf("%s %s answered %s, want %s", c.method, uid, a.body, first)
			}
		}
	}
	g.live(foreign)
	g.live(own)
	if got := g.devices(foreign.Access); len(got) != 1 || got[0].Name != guessed {
		t.Errorf("the other user's devices are %+v", got)
	}
}
