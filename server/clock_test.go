package server_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"devicegate/server"
)

// TestLoggedOutWhateverTheClockSays: L11. What logged out is dead at every time that the clock is set to, also after the
// record of its end was swept away under a clock that was ahead, and after a restart under one that is behind.
func TestLoggedOutWhateverTheClockSays(t *testing.T) {
	const day = 24 * time.Hour
	var ahead atomic.Int64
	ahead.Store(int64(time.Minute))
	clock := server.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	cfg := settings(t)
	s := start(t, cfg, clock)
	s.signIn(t)
	var gone, live session
	for _, to := range []*session{&gone, &live} {
		a := s.ask(t, "api", "POST", "/api/token", `{"username":"alice","password":"`+secret+`"}`)
		if err := json.Unmarshal([]byte(a.body), to); err != nil || a.status != 200 {
			t.Fatalf("signing in: %d %s", a.status, a.body)
		}
		s.demand(t, "before", "/auth/traefik", to.Access, "") // from now on it is in the cache of verified tokens
	}
	ahead.Add(int64(time.Minute))
	if a := s.ask(t, "api", "POST", "/trusted-devices/logout", "", "Authorization", "Bearer "+gone.Access); a.status != 204 {
		t.Fatalf("logging out: %d %s", a.status, a.body)
	}
	dead := func(when string) {
		t.Helper()
		for _, path := range []string{"/auth/traefik", "/auth/nginx", "/auth/envoy/default/x"} {
			if a := s.check(t, path, gone.Access); a.status != 401 {
				t.Errorf("%s: %s = %d", when, path, a.status)
			}
		}
		for path, body := range map[string]string{
			"/api/token/refresh": tokenBody("refresh", gone.Refresh), "/api/token/verify": tokenBody("token", gone.Refresh),
		} {
			if a := s.ask(t, "api", "POST", path, body); a.status != 401 {
				t.Errorf("%s: %s = %d %s", when, path, a.status, a.body)
			}
		}
		if a := s.ask(t, "api", "GET", "/trusted-devices", "", "Authorization", "Bearer "+gone.Access); a.status != 401 {
			t.Errorf("%s: its devices = %d", when, a.status)
		}
	}
	everywhen := func(what string) {
		t.Helper()
		for name, at := range map[string]time.Duration{
			"now": 2 * time.Minute, "a moment before the logout": 2*time.Minute - time.Millisecond, "when it was signed in": time.Minute,
			"an hour back": -time.Hour, "ten years back": -3650 * day, "an hour ahead": time.Hour, "ten years ahead": 3650 * day,
		} {
			ahead.Store(int64(at))
			dead(what + ", " + name)
		}
		ahead.Store(int64(time.Minute))
	}
	everywhen("after the logout")
	s.demand(t, "beside it", "/auth/traefik", live.Access, "")

	ahead.Store(int64(time.Hour)) // nobody's end is remembered longer than the tokens live
	if err := s.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	everywhen("after its record was swept")

	s.stop()
	<-s.ended
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = start(t, cfg, clock)
	s.demand(t, "beside it, after a restart", "/auth/traefik", live.Access, "")
	everywhen("after a restart")
}
