package api_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type userDeviceView struct {
	UID       string `json:"device_uid"`
	Name      string
	CanUpdate bool   `json:"can_update_other_devices"`
	CanDelete bool   `json:"can_delete_other_devices"`
	IsCurrent bool   `json:"is_current"`
	User      string `json:"user_id"`
	UserName  string `json:"user_name"`
}

type devicePage struct {
	Results []userDeviceView
	Next    *string
}

func (g *gate) devicesOf(id string) []userDeviceView {
	g.t.Helper()
	return decoded[[]userDeviceView](g.want(200, call{method: "GET", path: "/admin/users/" + id + "/devices"}))
}

func endingOf(id, uid string) call {
	return call{method: "DELETE", path: "/admin/users/" + id + "/devices/" + uid}
}

func changingOf(id, uid, body string) call {
	return call{method: "PATCH", path: "/admin/users/" + id + "/devices/" + uid, body: body}
}

func TestDevicesOfAUser(t *testing.T) {
	g := start(t)
	alice, bob := g.addUser("alice"), g.addUser("bob")
	first, second, third, other := g.signIn("alice"), g.signIn("alice"), g.signIn("alice"), g.signIn("bob")
	var want []userDeviceView
	for _, d := range []tokens{third, second, first} {
		want = append(want, userDeviceView{UID: d.UID, Name: guessed, CanUpdate: true, CanDelete: true, User: alice, UserName: "alice"})
	}
	if diff := cmp.Diff(want, g.devicesOf(alice)); diff != "" {
		t.Errorf("alice's devices (-want +got):\n%s", diff)
	}
	for _, d := range want {
		got := decoded[userDeviceView](g.want(200, call{method: "GET", path: "/admin/devices/" + d.UID}))
		if got != d {
			t.Errorf("the device alone is %+v, in the list %+v", got, d)
		}
	}

	g.want(204, endingOf(alice, second.UID))
	g.dead("device_not_recognized", second)
	g.refused(404, "not_found", endingOf(alice, second.UID))
	g.refused(404, "not_found", call{method: "GET", path: "/admin/devices/" + second.UID})
	g.live(first)

	a := g.want(200, call{method: "DELETE", path: "/admin/users/" + alice + "/devices"})
	if got := decoded[counts](a); got.Revoked != 2 {
		t.Errorf("the end of all devices = %s, want 2", a.body)
	}
	g.dead("device_not_recognized", first)
	g.dead("device_not_recognized", third)
	if got := g.devicesOf(alice); len(got) != 0 {
		t.Errorf("afterwards alice has %+v", got)
	}
	if a := g.want(200, call{method: "DELETE", path: "/admin/users/" + alice + "/devices"}); decoded[counts](a).Revoked != 0 {
		t.Errorf("the end of none = %s", a.body)
	}
	g.live(other)
	g.live(g.signIn("alice")) // who is signed out may sign in again
	if got := g.devicesOf(bob); len(got) != 1 {
		t.Errorf("bob has %+v", got)
	}
}

// TestRightsOfADeviceByAnAdmin: the way back for a user whose devices have all lost theirs, and no rule
// between devices holds.
func TestRightsOfADeviceByAnAdmin(t *testing.T) {
	g := start(t)
	alice := g.addUser("alice")
	old, young := g.signIn("alice"), g.signIn("alice")
	for _, d := range []tokens{old, young} {
		got := decoded[userDeviceView](g.want(200, changingOf(alice, d.UID, `{"can_update_other_devices":false,"can_delete_other_devices":false}`)))
		if got.CanUpdate || got.CanDelete || got.User != alice {
			t.Errorf("PATCH answered %+v", got)
		}
	}
	g.refused(403, "device_lacks_delete_permission", ending(young, old))
	g.want(200, changingOf(alice, old.UID, `{"can_delete_other_devices":true}`))
	g.refused(403, "device_lacks_edit_permission", changing(young, old, `{"name":"x"}`))
	g.want(200, changingOf(alice, old.UID, `{"name":"Küche","can_update_other_devices":true}`))
	if got := g.view(old, old); got.Name != "Küche" || !got.CanUpdate || !got.CanDelete {
		t.Errorf("the device is %+v", got)
	}
	g.want(204, ending(young, old))
	for _, c := range []struct{ body, pointers string }{
		{`{"name":1}`, "/name"}, {`{"name":"a\nb"}`, "/name"}, {`{"can_update_other_devices":null}`, "/can_update_other_devices"},
		{`{"user_name":"bob"}`, "/user_name"}, {`{"is_admin":true}`, "/is_admin"},
	} {
		if a := g.refused(400, "invalid", changingOf(alice, old.UID, c.body)); a.pointers() != c.pointers {
			t.Errorf("PATCH %s points to %q, want %q", c.body, a.pointers(), c.pointers)
		}
	}
	g.want(200, changingOf(alice, old.UID, `{"name":"x","device_uid":"y","last_seen":1}`)) // as one's own devices
}

// TestDevicesThatAreNotThere: another user's device below a user's id is none, nor is an id in another
// spelling.
func TestDevicesThatAreNotThere(t *testing.T) {
	g := start(t)
	alice, bob := g.addUser("alice"), g.addUser("bob")
	own, other := g.signIn("alice"), g.signIn("bob")
	for _, c := range []struct{ id, uid string }{
		{alice, other.UID}, {bob, own.UID}, {alice, nowhere}, {nowhere, own.UID}, {own.UID, own.UID}, {alice, "x"}, {"x", own.UID}, {alice, alice},
		{alice, "urn:uuid:" + own.UID}, {alice, "%7B" + own.UID + "%7D"}, {alice, own.UID + "0"},
	} {
		g.refused(404, "not_found", endingOf(c.id, c.uid))
		g.refused(404, "not_found", changingOf(c.id, c.uid, `{"name":"mine now"}`))
	}
	for _, id := range []string{nowhere, "x", own.UID, "sweep"} {
		g.refused(404, "not_found", call{method: "GET", path: "/admin/users/" + id + "/devices"})
		g.refused(404, "not_found", call{method: "DELETE", path: "/admin/users/" + id + "/devices"})
	}
	for _, uid := range []string{nowhere, "x", alice, "revoke-all", "urn:uuid:" + own.UID} {
		g.refused(404, "not_found", call{method: "GET", path: "/admin/devices/" + uid})
	}
	g.live(own)
	g.live(other)
	if got := g.view(own, own); got.Name != guessed {
		t.Errorf("the device is called %q", got.Name)
	}
}

// TestDevicesOfAllUsers: each is on exactly one page, with its user.
func TestDevicesOfAllUsers(t *testing.T) {
	g := start(t)
	want := map[string]string{}
	var ended tokens
	for i := range 5 {
		name := fmt.Sprint("user", i)
		g.addUser(name)
		for range i {
			want[g.signIn(name).UID] = name
		}
		if i == 3 {
			ended = g.signIn(name)
		}
	}
	g.want(204, revoking(ended.Refresh))
	for _, limit := range []int{1, 3, 10, 500} {
		got, pages := map[string]string{}, 0
		page := devicePage{Next: new(string)}
		var order []string
		for page.Next != nil {
			path := fmt.Sprintf("/admin/devices?limit=%d", limit)
			if *page.Next != "" {
				path += "&cursor=" + *page.Next
			}
			page = decoded[devicePage](g.want(200, call{method: "GET", path: path}))
			if pages++; len(page.Results) > limit || pages > 2*len(want)+2 {
				t.Fatalf("limit %d: page %d has %d devices", limit, pages, len(page.Results))
			}
			for _, d := range page.Results {
				if got[d.UID] != "" {
					t.Errorf("limit %d: %s is listed twice", limit, d.UID)
				}
				got[d.UID] = d.UserName
				order = append(order, d.UserName)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
		if len(slices.Compact(order)) != 4 {
			t.Errorf("limit %d: the devices are not listed user by user: %v", limit, order)
		}
	}
}

// TestLastUseIsShown: of the device that was used, not of its sign-in.
func TestLastUseIsShown(t *testing.T) {
	g := start(t)
	g.clock.stop()
	alice := g.addUser("alice")
	d := g.signIn("alice")
	g.clock.forward(90 * time.Second)
	g.checked(200, "", d.Access, "203.0.113.9")
	type use struct {
		Seen time.Time `json:"last_seen"`
		IP   string    `json:"last_ip"`
	}
	want := use{g.clock.Now().UTC(), "203.0.113.9"}
	for _, got := range []use{
		decoded[[]use](g.want(200, call{method: "GET", path: "/admin/users/" + alice + "/devices"}))[0],
		decoded[use](g.want(200, call{method: "GET", path: "/admin/devices/" + d.UID})),
		decoded[struct{ Results []use }](g.want(200, call{method: "GET", path: "/admin/devices"})).Results[0],
	} {
		if got != want {
			t.Errorf("used last %+v, want %+v", got, want)
		}
	}
}
