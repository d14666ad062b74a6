package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/activity"
)

type eventView struct {
	ID, Kind, Outcome, Reason, IP, Actor string
	Time                                 time.Time
	NameTried                            string `json:"name_tried"`
	User                                 string `json:"user_id"`
	Device                               string `json:"device_uid"`
	UserAgent                            string `json:"user_agent"`
	NewNetwork                           bool   `json:"new_network"`
}

// String is what tables of events are compared by.
func (e eventView) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.NameTried, e.Reason, e.IP, e.Actor))
}

type eventPage struct {
	Results []eventView
	Next    *string
}

func ownActivity(by tokens, query string) call {
	return call{method: "GET", path: "/login-activity" + query, token: by.Access}
}

func allActivity(query string) call {
	return call{method: "GET", path: "/admin/login-activity" + query}
}

// events returns what all pages of a listing have.
func (g *gate) events(c call) (all []eventView) {
	g.t.Helper()
	path := c.path
	for {
		page := decoded[eventPage](g.want(200, c))
		all = append(all, page.Results...)
		if page.Next == nil {
			return all
		}
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		c.path = path + separator + "cursor=" + *page.Next
	}
}

func texts(events []eventView) []string {
	all := make([]string, 0, len(events))
	for _, e := range events {
		all = append(all, e.String())
	}
	return all
}

// TestOwnActivity: all of it, nothing of anybody else, and no admin's name, which is one to sign in with.
func TestOwnActivity(t *testing.T) {
	g := start(t)
	alice, bob := g.addUser("alice"), g.addUser("bob")
	g.addAdmin("the boss")
	boss := g.signIn("the boss")
	g.want(200, from("198.51.100.1", signInOf("bob", secret)))
	g.want(401, from("198.51.100.1", signInOf("bob", "not the password")))
	first := decoded[tokens](g.want(200, from("203.0.113.7", signInOf("alice", secret))))
	second := decoded[tokens](g.want(200, from("203.0.113.7", signInOf("ALICE", secret))))
	g.want(401, from("203.0.113.8", signInOf("alice", "not the password")))
	g.want(204, from("203.0.113.7", ending(second, first)))
	byBoss := func(method, path, body string) call {
		return from("192.0.2.1", call{method: method, path: path, body: body, token: boss.Access, remote: true})
	}
	g.want(200, byBoss("PATCH", "/admin/users/"+alice, `{"roles":["staff"]}`))
	g.want(200, byBoss("PATCH", "/admin/users/"+alice+"/devices/"+first.UID, `{"name":"Tablet"}`))
	g.want(200, byBoss("PATCH", "/admin/users/"+bob, `{"roles":["staff"]}`))
	g.setUser(alice, `{"roles":[]}`)
	closed := *g // as the commands do it, on the closed file
	closed.admins = inProcess{g.server.Admin(activity.ByFile)}
	closed.setUser(alice, `{"roles":["lab"]}`)

	a := g.want(200, ownActivity(first, ""))
	for _, foreign := range []string{"boss", "socket", "bob", bob, "198.51.100.1", "admin:", "192.0.2.1", `"file"`} {
		if strings.Contains(string(a.body), foreign) {
			t.Errorf("alice is told of %q: %s", foreign, a.body)
		}
	}
	got := decoded[eventPage](a)
	if diff := cmp.Diff([]string{
		"alice roles_changed  admin",
		"alice roles_changed  admin",
		"device_changed  admin",
		"alice roles_changed  admin",
		"revoked_by_device 203.0.113.7 device:" + first.UID,
		"alice wrong_password 203.0.113.8",
		"ALICE ok 203.0.113.7",
		"alice ok 203.0.113.7",
		"alice user_created  admin",
	}, texts(got.Results)); diff != "" || got.Next != nil {
		t.Errorf("alice's activity (-want +got):\n%s", diff)
	}
	for _, e := range got.Results {
		if e.User != alice {
			t.Errorf("alice sees an event of %q: %v", e.User, e)
		}
	}
	// An admin is told who it was.
	if admins := texts(g.events(allActivity("?reason=roles_changed&user=alice"))); !slices.Equal(admins, []string{
		"alice roles_changed  file", "alice roles_changed  socket", "alice roles_changed 192.0.2.1 admin:the boss"}) {
		t.Errorf("the admins see %q", admins)
	}
}

// TestPagesStayStable: what happens between two pages neither repeats an event nor hides one.
func TestPagesStayStable(t *testing.T) {
	g := start(t)
	g.clock.stop() // all in one millisecond
	g.addUser("alice")
	own := g.signIn("alice")
	for range 4 {
		g.want(401, signInOf("alice", "not the password"))
		g.signIn("alice")
	}
	for name, list := range map[string]call{"one's own": ownActivity(own, "?limit=500"), "all": allActivity("?limit=500&user=alice")} {
		t.Run(name, func(t *testing.T) {
			want := g.events(list)
			var got []eventView
			page := eventPage{Next: new(string)}
			for n := 0; page.Next != nil; n++ {
				c := list
				c.path = strings.Replace(c.path, "limit=500", "limit=2", 1)
				if *page.Next != "" {
					c.path += "&cursor=" + *page.Next
				}
				page = decoded[eventPage](g.want(200, c))
				if len(page.Results) > 2 || n > len(want) {
					t.Fatalf("page %d has %d events", n, len(page.Results))
				}
				got = append(got, page.Results...)
				g.signIn("alice")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the pages (-before they were read +read):\n%s", diff)
			}
		})
	}
}

func TestActivityQueriesThatAreRefused(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	own := g.signIn("alice")
	both := []string{"limit=0", "limit=501", "limit=-1", "limit=x", "limit=", "limit=1.5",
		"cursor=x", "cursor=" + strings.ToUpper(id), "cursor=%7B" + id + "%7D", "cursor=" + id + "0"}
	admins := []string{
		"user=", "outcome=maybe", "outcome=", "outcome=SUCCESS", "network=", "network=x", "network=203.0.113.0/33", "network=203.0.113", "network=fe80::1%25eth0",
		"network=203.0.113.7/24/1", "since=", "since=yesterday", "since=2026-03-01", "since=2026-03-01T08:00:00", "since=1772352000", "until=", "until=24h",
		"since=2026-03-01T08:00:00Z&until=x",
	}
	refuse := func(c call, query string) {
		t.Helper()
		name, _, _ := strings.Cut(query[strings.LastIndex(query, "&")+1:], "=")
		a := g.refused(400, "invalid", c)
		if !strings.Contains(string(a.body), `"The query parameter `+name+" ") || a.pointers() != "" {
			t.Errorf("%s is refused with %s, want a sentence about %s", query, a.body, name)
		}
	}
	for _, query := range both {
		refuse(ownActivity(own, "?"+query), query)
	}
	for _, query := range slices.Concat(both, admins) {
		refuse(allActivity("?"+query), query)
	}
	for _, query := range []string{"network=", "network=x", "all=", "all=1", "all=TRUE", "limit=0", "limit=", "cursor=x"} {
		refuse(call{method: "GET", path: "/admin/lockouts?" + query}, query)
	}
	for _, query := range []string{"limit=0", "limit=", "cursor=x", "cursor=" + id, "cursor=" + id + ".", "cursor=" + id + ".x", "cursor=." + id, "cursor=" + id + "." + id + "." + id} {
		refuse(call{method: "GET", path: "/admin/devices?" + query}, query)
	}
}

func TestActivityFilters(t *testing.T) {
	g := start(t)
	g.clock.stop()
	alice, bob := g.addUser("Ålice"), g.addUser("bob")
	begin := g.clock.Now()
	at := func(minute int) string {
		return begin.Add(time.Duration(minute) * time.Minute).UTC().Format(time.RFC3339)
	}
	for _, try := range []struct{ name, password, ip string }{ // each a minute after the one before
		{"Ålice", secret, "203.0.113.7"},
		{"Ålice", "wrong one", "203.0.113.7"},
		{"bob", secret, "198.51.100.1"},
		{"nobody", secret, "2001:db8::1"},
		{"Ålice", "wrong one", "198.51.100.9"},
	} {
		g.clock.forward(time.Minute)
		g.do(from(try.ip, signInOf(try.name, try.password)))
	}
	const (
		made    = "Ålice user_created  socket"
		madeBob = "bob user_created  socket"
		in      = "Ålice ok 203.0.113.7"
		wrong   = "Ålice wrong_password 203.0.113.7"
		bobIn   = "bob ok 198.51.100.1"
		unknown = "nobody unknown_user 2001:db8::1"
		wrong2  = "Ålice wrong_password 198.51.100.9"
	)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"", []string{wrong2, unknown, bobIn, wrong, in, madeBob, made}},
		{"user=" + alice, []string{wrong2, wrong, in, made}},
		{"user=" + url.QueryEscape("ålice"), []string{wrong2, wrong, in, made}},
		{"user=" + url.QueryEscape("A\u030aＬＩＣＥ"), []string{wrong2, wrong, in, made}},
		{"user=" + bob, []string{bobIn, madeBob}},
		{"user=" + nowhere, nil}, // of somebody who may be gone
		{"outcome=failure", []string{wrong2, unknown, wrong}},
		{"outcome=success", []string{bobIn, in, madeBob, made}},
		{"reason=wrong_password", []string{wrong2, wrong}},
		{"reason=unknown_user", []string{unknown}},
		{"reason=no_such_reason", nil},
		{"network=203.0.113.0/24", []string{wrong, in}},
		{"network=203.0.113.7/24", []string{wrong, in}}, // the host's part does not count
		{"network=203.0.113.7", []string{wrong, in}},
		{"network=203.0.113.8", nil},
		{"network=::ffff:203.0.113.7", []string{wrong, in}},
		{"network=::ffff:203.0.113.0/120", []string{wrong, in}},
		{"network=2001:db8::/32", []string{unknown}},
		{"network=2001:db8::1", []string{unknown}},
		{"network=0.0.0.0/0", []string{wrong2, bobIn, wrong, in}},
		{"since=" + at(3), []string{wrong2, unknown, bobIn}},
		{"until=" + at(3), []string{wrong, in, madeBob, made}},
		{"since=" + at(2) + "&until=" + at(4), []string{bobIn, wrong}},
		{"since=" + at(4) + "&until=" + at(2), nil},
		{"since=0001-01-01T00:00:00Z", []string{wrong2, unknown, bobIn, wrong, in, madeBob, made}},
		{"until=0001-01-01T00:00:00Z", nil},
		{"until=1969-12-31T23:59:59Z", nil},
		{"since=9999-12-31T23:59:59Z", nil},
		{"until=9999-12-31T23:59:59Z&outcome=failure", []string{wrong2, unknown, wrong}},
		{"user=" + alice + "&outcome=failure&reason=wrong_password&network=203.0.113.0/24&since=" + at(1) + "&until=" + at(5), []string{wrong}},
		{"user=" + alice + "&outcome=success&reason=wrong_password", nil},
	} {
		for _, limit := range []string{"", "&limit=1"} { // page by page it is the same
			if diff := cmp.Diff(c.want, texts(g.events(allActivity("?"+c.query+limit))), equateEmpty); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", c.query, limit, diff)
			}
		}
	}
	a := g.refused(404, "not_found", allActivity("?user=nobody")) // who is told of an empty page believes that nothing happened
	if strings.Contains(string(a.body), "results") {
		t.Errorf("an unknown name is answered with %s", a.body)
	}
}

var equateEmpty = cmp.Transformer("equateEmpty", func(in []string) string { return strings.Join(in, "\n") })

// TestActivityOutlivesItsUser: by his id it is found as long as it is kept.
func TestActivityOutlivesItsUser(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	g.signIn("alice")
	g.want(204, call{method: "DELETE", path: "/admin/users/" + id})
	if diff := cmp.Diff([]string{"revoked_by_admin  socket", "alice user_deleted  socket", "alice ok 127.0.0.1", "alice user_created  socket"},
		texts(g.events(allActivity("?user="+id)))); diff != "" {
		t.Errorf("after the end of the user (-want +got):\n%s", diff)
	}
	g.refused(404, "not_found", allActivity("?user=alice"))
}
