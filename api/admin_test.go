package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

type userView struct {
	ID, Name string
	Roles    []string
	Disabled bool
	Password *string
}

type userPage struct {
	Results []userView
	Next    *string
}

func TestCreateUser(t *testing.T) {
	g := start(t)
	a := g.want(201, call{method: "POST", path: "/admin/users", body: object("name", "Ålice", "roles", []string{"staff", "admin", "staff"})})
	made := decoded[userView](a)
	if id, err := uuid.Parse(made.ID); err != nil || id.Version() != 7 {
		t.Errorf("id %q is no UUIDv7", made.ID)
	}
	if made.Password == nil || len(*made.Password) < 15 {
		t.Fatalf("without a password the answer is %s, want one that was made", a.body)
	}
	if got, want := a.header.Get("Location"), "/admin/users/"+made.ID; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	if diff := cmp.Diff([]string{"staff", "admin"}, made.Roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	g.want(200, signInOf("åLICE", *made.Password))
	read := g.want(200, call{method: "GET", path: "/admin/users/" + made.ID})
	if got := decoded[userView](read); got.Password != nil || got.Name != "Ålice" {
		t.Errorf("GET answered %s", read.body)
	}
	if !strings.Contains(string(read.body), `"last_sign_in_at":"2`) {
		t.Errorf("after a sign-in GET answered %s", read.body)
	}
	plain := g.want(201, call{method: "POST", path: "/admin/users", body: object("name", "bob", "password", secret)})
	if body := string(plain.body); !strings.Contains(body, `"roles":[]`) || !strings.Contains(body, `"last_sign_in_at":null`) || strings.Contains(body, "password") {
		t.Errorf("POST with a password answered %s", body)
	}
}

func TestUsersThatCannotBeMade(t *testing.T) {
	g := start(t)
	g.addUser("Straße")
	for _, name := range []string{"Straße", "STRASSE", "ｓｔｒａｓｓｅ"} {
		g.refused(409, "conflict", call{method: "POST", path: "/admin/users", body: object("name", name, "password", secret)})
	}
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprint("r", i)
	}
	hashes := g.hashes()
	for _, c := range []struct{ body, pointers string }{
		{object("name", ""), "/name"}, {object("name", " a"), "/name"}, {object("name", "a\u200b"), "/name"}, {object("name", strings.Repeat("x", 151)), "/name"},
		{object("name", strings.Repeat("\U0001F4F1", 150)), "/name"},
		{object("name", "bob", "roles", []string{"Staff"}), "/roles"}, {object("name", "bob", "roles", []string{"a,b"}), "/roles"},
		{object("name", "bob", "roles", many), "/roles"},
		{object("name", "bob", "password", strings.Repeat("x", 257)), "/password"},
	} {
		if a := g.refused(400, "invalid", call{method: "POST", path: "/admin/users", body: c.body}); a.pointers() != c.pointers {
			t.Errorf("%.60s points to %q, want %q", c.body, a.pointers(), c.pointers)
		}
	}
	if got := g.hashes(); got != hashes {
		t.Errorf("%d hashes were computed for accounts that are refused", got-hashes)
	}
	a := g.refused(400, "invalid", call{method: "POST", path: "/admin/users", body: object("name", "bob", "password", "fourteen chars")})
	for _, part := range []string{"15", "several words", "only proof"} {
		if !strings.Contains(string(a.body), part) {
			t.Errorf("a short password is refused without %q: %s", part, a.body)
		}
	}
}

// TestNamesWithWhatNobodySees: an account that looks like another's would be taken for it.
func TestNamesWithWhatNobodySees(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	for _, r := range "\u200b\ufe0f\u034f\u3164\u115f\uffa0\u180b\u2800\U000e0100\u17b4\u2065\ufff9\u180e\ue000" {
		for _, name := range []string{"alice" + string(r), "al" + string(r) + "ice", string(r) + "bob"} {
			a := g.refused(400, "invalid", call{method: "POST", path: "/admin/users", body: object("name", name, "password", secret)})
			if want := fmt.Sprintf("%U", r); a.pointers() != "/name" || !strings.Contains(string(a.body), want) {
				t.Errorf("%+q is refused with %s, want it to point to /name and to name %s", name, a.body, want)
			}
		}
		g.want(200, signInOf("al"+string(r)+"ice", secret)) // which means the one that is seen
	}
}

func TestListUsers(t *testing.T) {
	g := start(t)
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprint("user", i))
		g.addUser(names[i])
	}
	var got []string
	path := "/admin/users?limit=3"
	for pages := 1; ; pages++ {
		page := decoded[userPage](g.want(200, call{method: "GET", path: path}))
		for _, u := range page.Results {
			got = append(got, u.Name)
		}
		if page.Next == nil {
			if pages != 3 {
				t.Errorf("%d pages, want 3", pages)
			}
			break
		}
		path = "/admin/users?limit=3&cursor=" + *page.Next
	}
	if !slices.Equal(got, names) {
		t.Errorf("users = %v, want %v", got, names)
	}
	if page := decoded[userPage](g.want(200, call{method: "GET", path: "/admin/users?limit=7"})); page.Next != nil {
		t.Errorf("a full last page has the next %s", *page.Next)
	}
	if page := decoded[userPage](g.want(200, call{method: "GET", path: "/admin/users?name=USER3"})); len(page.Results) != 1 || page.Results[0].Name != "user3" {
		t.Errorf("by name: %+v", page)
	}
	none := g.want(200, call{method: "GET", path: "/admin/users?name=nobody"})
	if got := strings.TrimSpace(string(none.body)); got != `{"next":null,"results":[]}` {
		t.Errorf("nobody = %s", got)
	}
	for _, query := range []string{"limit=", "limit=0", "limit=0&name=alice", "limit=501", "limit=-1", "limit=x", "limit=1e2", "limit=99999999999999999999", "cursor=x", "cursor=" + strings.Repeat("a", 36)} {
		g.refused(400, "invalid", call{method: "GET", path: "/admin/users?" + query})
	}
}

func TestUsersThatAreNotThere(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	for _, id := range []string{"x", "00000000-0000-7000-8000-000000000000", strings.ToUpper(id) + "A", "{" + id + "}"} {
		g.refused(404, "not_found", call{method: "GET", path: "/admin/users/" + id})
		g.refused(404, "not_found", call{method: "PATCH", path: "/admin/users/" + id, body: `{"disabled":true}`})
	}
	got := decoded[userView](g.want(200, call{method: "PATCH", path: "/admin/users/" + id, body: `{}`}))
	if got.Disabled {
		t.Errorf("PATCH {} answered %+v", got)
	}
}
