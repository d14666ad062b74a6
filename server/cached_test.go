package server_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"devicegate/server"
)

// TestCachedTokens: what the cache remembers of a token is no stronger than the token. Each step follows a check that
// let it pass a moment before.
func TestCachedTokens(t *testing.T) {
	var ahead atomic.Int64 // how far the clock is
	s := start(t, withDjango(t, settings(t)), server.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }))
	ours, theirs := s.signIn(t), djangoToken("7", "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a")
	warm := func(token string) {
		t.Helper()
		for range 3 {
			s.demand(t, "a token that is good", "/auth/traefik", token, "")
		}
	}
	warm(ours)
	warm(theirs)

	alice, django := s.idOf(t, "alice"), s.idOf(t, "django:7")
	s.patch(t, alice, `{"roles":["staff"]}`)
	if a := s.check(t, "/auth/traefik", ours); a.header.Get("Remote-Groups") != "staff" {
		t.Errorf("after its user's roles changed: %v", a.header)
	}
	s.patch(t, alice, `{"roles":[]}`)
	if a := s.check(t, "/auth/traefik", ours); a.header.Get("Remote-Groups") != "" {
		t.Errorf("after its user's roles went: %v", a.header)
	}
	for token, id := range map[string]string{ours: alice, theirs: django} {
		warm(token)
		s.patch(t, id, `{"disabled":true}`)
		s.demand(t, "after its user was disabled", "/auth/traefik", token, "inactive_account")
		s.patch(t, id, `{"disabled":false}`)
		s.demand(t, "after its user was enabled again", "/auth/traefik", token, "inactive_account")
	}

	// Its device is forgotten, and the slot that it had in the index is the next device's (device TestSlotReuse). That
	// the clock is set back then makes the token as young as it was.
	ahead.Store(int64(time.Hour))
	if err := s.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := s.ask(t, "api", "POST", "/api/token", `{"username":"alice","password":"`+secret+`"}`); a.status != 200 {
		t.Fatalf("signing in: %d %s", a.status, a.body)
	}
	ahead.Store(0)
	s.demand(t, "after its device's slot was used again", "/auth/traefik", ours, "device_not_recognized")
}

func (s *service) patch(t *testing.T, id, body string) {
	t.Helper()
	if a := s.ask(t, "admin", "PATCH", "/admin/users/"+id, body); a.status != 200 {
		t.Fatalf("PATCH %s: %d %s", body, a.status, a.body)
	}
}

// idOf returns the id of a user.
func (s *service) idOf(t *testing.T, name string) string {
	t.Helper()
	a := s.ask(t, "admin", "GET", "/admin/users", "")
	var page struct{ Results []struct{ ID, Name string } }
	if err := json.Unmarshal([]byte(a.body), &page); err != nil {
		t.Fatal(err)
	}
	for _, u := range page.Results {
		if strings.EqualFold(u.Name, name) {
			return u.ID
		}
	}
	t.Fatalf("there is no %s in %s", name, a.body)
	return ""
}
