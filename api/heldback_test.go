package api_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// heldBack is a body whose sender holds it back: when it is asked for, something happens before it comes.
type heldBack struct {
	io.Reader
	meanwhile func() // once
}

func (h *heldBack) Read(b []byte) (int, error) {
	if meanwhile := h.meanwhile; meanwhile != nil {
		h.meanwhile = nil
		meanwhile()
	}
	return h.Reader.Read(b)
}

// atOnce is g without its listeners: what happens while a body is held back happens in the middle of its call.
func (g *gate) atOnce() *gate {
	direct := *g
	direct.people, direct.remote = inProcess{g.server.API()}, inProcess{g.server.RemoteAdmin()}
	return &direct
}

// losses end what lets a user call, and say how he is then refused.
var losses = []struct {
	name   string
	do     func(g *gate, id, uid string)
	status int
	code   string
}{
	{"device", func(g *gate, id, uid string) { g.want(204, endingOf(id, uid)) }, 401, "device_not_recognized"},
	{"password", func(g *gate, id, _ string) { g.setUser(id, object("password", secret2)) }, 401, "device_not_recognized"},
	{"account", func(g *gate, id, _ string) { g.setUser(id, `{"disabled":true}`) }, 401, "inactive_account"},
	{"name", func(g *gate, id, _ string) { g.want(204, call{method: "DELETE", path: "/admin/users/" + id}) }, 401, "device_not_recognized"},
	{"role", func(g *gate, id, _ string) { g.setUser(id, `{"roles":[]}`) }, 403, "role_missing"}, // an admin's
}

// TestAdminWhoHoldsHisBodyBack is let in by what he is when it has come, whatever he was when he began.
func TestAdminWhoHoldsHisBodyBack(t *testing.T) {
	for _, loss := range losses {
		t.Run(loss.name, func(t *testing.T) {
			g := start(t).atOnce()
			id := g.addUser("alice")
			d := g.signIn("alice")
			for i, c := range adminCalls(id, d.UID) {
				name := fmt.Sprint("admin ", i)
				own := g.addAdmin(name)
				boss := g.signIn(name)
				if c.body == "" {
					c.body = "{}"
				}
				c.meanwhile = func() { loss.do(g, own, boss.UID) }
				g.refused(loss.status, loss.code, remotely(boss, c))
				for _, e := range g.events(allActivity("?limit=500")) {
					if e.Actor == "admin:"+name {
						t.Errorf("%s %s was refused, and has done %v", c.method, c.path, e)
					}
				}
			}
			g.live(d)
		})
	}
}

// TestWhoHoldsHisBodyBack is shown nothing after his end.
func TestWhoHoldsHisBodyBack(t *testing.T) {
	for _, loss := range losses[:len(losses)-1] {
		t.Run(loss.name, func(t *testing.T) {
			g := start(t).atOnce()
			for i, path := range []string{"/login-activity", "/trusted-devices", "/trusted-devices/:own"} {
				name := fmt.Sprint("user ", i)
				id := g.addUser(name)
				own := g.signIn(name)
				g.refused(loss.status, loss.code, call{
					method: "GET", path: strings.Replace(path, ":own", own.UID, 1), token: own.Access, body: "{}",
					meanwhile: func() { loss.do(g, id, own.UID) },
				})
			}
		})
	}
}

// TestTwoAdminsRemoveEachOther: the second is none any more when his own change comes to be made, so that one
// enabled admin stays. It comes late because its body does, or because of what is read for it.
func TestTwoAdminsRemoveEachOther(t *testing.T) {
	for _, body := range []string{`{"roles":[]}`, `{"disabled":true}`} {
		for _, late := range []string{"body", "account"} {
			t.Run(body+" with a late "+late, func(t *testing.T) {
				g := start(t).atOnce()
				first, second := g.addAdmin("first"), g.addAdmin("second")
				byFirst, bySecond := g.signIn("first"), g.signIn("second")
				removes := func() {
					g.reads.failGets(func(string) error { return nil }) // once
					g.want(200, remotely(byFirst, call{method: "PATCH", path: "/admin/users/" + second, body: `{"roles":[]}`}))
				}
				c := remotely(bySecond, call{method: "PATCH", path: "/admin/users/" + first, body: body})
				if late == "body" {
					c.meanwhile = removes
				} else {
					g.reads.failGets(func(key string) error {
						if key == "u/"+first {
							removes()
						}
						return nil
					})
				}
				g.refused(403, "role_missing", c)
				got := decoded[userView](g.want(200, call{method: "GET", path: "/admin/users/" + first}))
				if got.Disabled || strings.Join(got.Roles, " ") != "admin" {
					t.Errorf("the first is %+v, want an enabled admin", got)
				}
				g.live(byFirst)
			})
		}
	}
}
