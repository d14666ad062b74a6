package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/api"
	"devicegate/token/foreign"
)

// stage is a user to act on, as TestEveryActLeavesAnEvent needs one.
type stage struct {
	*gate
	id      string
	device  tokens
	lockout string
}

func newStage(g *gate, name string) stage {
	s := stage{gate: g, id: g.addUser(name), device: g.signIn(name)}
	g.fail(5, name, "203.0.113.7")
	s.lockout = g.lockouts("?user=" + name)[0].ID
	return s
}

// acts are the writing operations of the administration: what is sent, and what the newest events then say,
// WHO standing for the actor and DEVICE for the user's device.
var acts = []struct {
	operation, body string
	events          []string
}{
	{"POST /admin/users", `{"name":"new"}`, []string{"new user_created IP WHO"}},
	{"PATCH /admin/users/:id", `{"roles":["staff"]}`, []string{"NAME roles_changed IP WHO"}},
	{"PATCH /admin/users/:id", `{"disabled":true}`, []string{"NAME user_disabled IP WHO", "inactive_account IP WHO"}},
	{"PATCH /admin/users/:id", `{"password":"` + secret2 + `"}`, []string{"password_changed IP WHO", "password_changed IP WHO"}},
	{"PATCH /admin/users/:id", `{"roles":["staff"],"disabled":true,"password":"` + secret2 + `"}`, []string{
		"NAME roles_changed IP WHO", "password_changed IP WHO", "NAME user_disabled IP WHO", "inactive_account IP WHO"}},
	{"DELETE /admin/users/:id", "", []string{"NAME user_deleted IP WHO", "revoked_by_admin IP WHO"}},
	{"POST /admin/users/:id/password-reset", "", []string{"NAME password_reset IP WHO"}},
	{"DELETE /admin/users/:id/devices", "", []string{"revoked_by_admin IP WHO"}},
	{"PATCH /admin/users/:id/devices/:device_uid", `{"name":"x"}`, []string{"device_changed IP WHO DEVICE"}},
	{"DELETE /admin/users/:id/devices/:device_uid", "", []string{"revoked_by_admin IP WHO DEVICE"}},
	{"PUT /admin/devices/:device_uid", `{"issuer":"django","user_id":"7"}`, []string{"django:7 user_created  service", "django:7 device_registered IP WHO DEVICE"}},
	{"POST /admin/devices", `{"issuer":"django","user_id":"7","device":"x"}`, []string{"django:7 user_created  service", "django:7 device_registered IP WHO DEVICE"}},
	{"POST /admin/devices/sweep", `{"older_than_seconds":0}`, []string{"expired IP WHO DEVICE"}},
	{"POST /admin/keys/rotate", `{}`, []string{"keys_rotated IP WHO"}},
	{"DELETE /admin/lockouts/:id", "", []string{"NAME lockout_cleared IP WHO"}},
}

// TestEveryActLeavesAnEvent: with who did it, over the socket and over admin.address.
func TestEveryActLeavesAnEvent(t *testing.T) {
	shown := map[string]bool{}
	for _, act := range acts {
		shown[act.operation] = true
		for _, entrance := range []string{overSocket, overAddress} {
			t.Run(act.operation+" over "+entrance, func(t *testing.T) {
				g := start(t, withIssuers(t))
				g.addAdmin("the boss")
				s := newStage(g, "alice")
				if strings.Contains(act.body, "issuer") { // a device and a user of its own
					s.id, s.device.UID = foreign.UserID("django:7").String(), foreign.DeviceUID("django", "x").String()
				}
				before := len(g.events(allActivity("?limit=500")))
				method, path, _ := strings.Cut(act.operation, " ")
				path = strings.NewReplacer("/lockouts/:id", "/lockouts/"+s.lockout, ":device_uid", s.device.UID, ":id", s.id).Replace(path)
				c, actor := call{method: method, path: path, body: act.body}, "socket"
				if entrance == overAddress {
					boss := g.signIn("the boss")
					before++
					c, actor = remotely(boss, c), "admin:the boss"
				}
				if path == "/admin/devices/sweep" { // nothing else is swept
					g.clock.forward(1e9)
					g.want(200, call{method: "GET", path: "/admin/users"})
				}
				c.header = http.Header{"X-Forwarded-For": {"192.0.2.1"}, "User-Agent": {"admin-ui/1"}}
				if a := g.do(c); a.status >= 300 {
					t.Fatalf("%s = %d %s", act.operation, a.status, a.body)
				}
				s.compareActs(act.events, actor, before)
			})
		}
	}
	for _, name := range api.Operations() {
		reads := strings.HasPrefix(name, "GET ") || name == "POST /admin/explain"
		if strings.Contains(name, " /admin/") && !reads && !shown[name] {
			t.Errorf("no event is demanded of %s", name)
		}
	}
}

func (s stage) compareActs(want []string, actor string, before int) {
	s.t.Helper()
	ip, agent := "", ""
	if actor != "socket" {
		ip, agent = "192.0.2.1", "admin-ui/1"
	}
	fill := strings.NewReplacer("NAME", "alice", "WHO", actor, "IP", ip)
	var filled []string
	for _, text := range want {
		filled = append(filled, fill.Replace(text))
	}
	all := s.events(allActivity("?limit=500"))
	var got []string
	for _, e := range all[:len(all)-before] {
		text := e.String()
		switch e.Device {
		case "":
		case s.device.UID:
			text += " DEVICE"
		default:
			continue // the sweep has found the admin's as well
		}
		got = append([]string{text}, got...)
		if e.UserAgent != agent && e.Actor != "service" || e.Outcome != "success" {
			s.t.Errorf("%s: user_agent %q, outcome %q", text, e.UserAgent, e.Outcome)
		}
		if e.User != s.id && e.Reason != "user_created" && e.Reason != "keys_rotated" {
			s.t.Errorf("%s is of the user %q, want %q", text, e.User, s.id)
		}
	}
	if diff := cmp.Diff(filled, got); diff != "" {
		s.t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestRefusedActsLeaveNone: an event tells of what was done.
func TestRefusedActsLeaveNone(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	d := g.signIn("alice")
	before := g.events(allActivity(""))
	for _, c := range []call{
		{method: "POST", path: "/admin/users", body: object("name", "Alice")},
		{method: "PATCH", path: "/admin/users/" + id, body: `{"roles":["UPPER"]}`},
		{method: "PATCH", path: "/admin/users/" + id, body: `{}`}, // which changes nothing
		{method: "PATCH", path: "/admin/users/" + id, body: `{"disabled":false,"roles":[]}`},
		endingOf(id, nowhere), changingOf(nowhere, d.UID, `{"name":"x"}`), clearing("x"),
		{method: "POST", path: "/admin/devices/sweep", body: `{"older_than_seconds":0,"dry_run":true}`},
		{method: "DELETE", path: "/admin/users/" + nowhere},
	} {
		g.do(c)
		if after := g.events(allActivity("")); len(after) != len(before) {
			t.Fatalf("%s %s %s left %v", c.method, c.path, c.body, after[0])
		}
	}
}
