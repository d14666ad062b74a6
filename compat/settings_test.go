package compat_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"
)

const tooSoon = "device_session_too_recent"

// TestSettings goes through TRUSTED_DEVICE and the settings of SimpleJWT that matter beside it.
func TestSettings(t *testing.T) {
	t.Run("DELETE_DELAY_MINUTES", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => delete_delay: 3m")
		owner, young := g.signIn("alice"), g.signIn("alice")
		g.advance(3*time.Minute - time.Millisecond)
		g.want(403, tooSoon, on("DELETE", owner, young, ""))
		g.advance(time.Millisecond)
		g.want(204, "", on("DELETE", owner, young, ""))
	})
	t.Run("UPDATE_DELAY_MINUTES", func(t *testing.T) {
		g := start(t, "update_delay: 1h => update_delay: 3m")
		owner, young := g.signIn("alice"), g.signIn("alice")
		g.advance(3*time.Minute - time.Millisecond)
		g.want(403, tooSoon, on("PATCH", owner, young, `{"name":"x"}`))
		g.advance(time.Millisecond)
		g.want(200, "", on("PATCH", owner, young, `{"name":"x"}`))
	})
	t.Run("ALLOW_GLOBAL_DELETE", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => allow_delete: false")
		a, b := g.signIn("alice"), g.signIn("alice")
		g.want(403, "device_self_modification", on("DELETE", a, a, ""))
		g.want(403, "device_deletion_disabled", on("DELETE", a, b, ""))
		g.want(403, "device_deletion_disabled", revokingAll(a)) // theirs goes through
		g.want(204, "", loggingOut(a))
	})
	t.Run("ALLOW_GLOBAL_UPDATE", func(t *testing.T) {
		g := start(t, "update_delay: 1h => allow_update: false")
		a, b := g.signIn("alice"), g.signIn("alice")
		g.want(403, "device_editing_disabled", on("PATCH", a, b, `{"name":"x"}`))
		g.want(200, "", on("PATCH", a, a, `{"name":"x"}`))
	})
	t.Run("MAX_DEVICES_PER_USER", maxDevices)
	t.Run("DEFAULT_CAN_UPDATE_OTHER_DEVICES", func(t *testing.T) {
		g := start(t, "update_delay: 1h => default_can_update_other_devices: false")
		a, b := g.signIn("alice"), g.signIn("alice")
		g.want(403, "device_lacks_edit_permission", on("PATCH", a, b, `{"name":"x"}`))
	})
	t.Run("DEFAULT_CAN_DELETE_OTHER_DEVICES", func(t *testing.T) {
		g := start(t, "delete_delay: 1d => default_can_delete_other_devices: false")
		a, b := g.signIn("alice"), g.signIn("alice")
		g.want(403, "device_lacks_delete_permission", on("DELETE", a, b, ""))
		g.want(403, "device_lacks_delete_permission", revokingAll(a))
	})
	t.Run("USE_X_FORWARDED_FOR", func(t *testing.T) {
		g := start(t)
		if ip := g.signInThrough(home, "6.6.6.6"); ip != home {
			t.Errorf("a peer that is no proxy of ours is believed: %s", ip)
		}
	})
	t.Run("TRUSTED_PROXY_DEPTH", func(t *testing.T) {
		g := start(t)
		for _, c := range []struct{ forwarded, want string }{
			{cafe, cafe}, {"6.6.6.6, " + cafe, cafe}, {cafe + ", 127.0.0.3", cafe}, {"junk", "127.0.0.1"},
		} {
			if ip := g.signInThrough("127.0.0.1", c.forwarded); ip != c.want {
				t.Errorf("X-Forwarded-For: %s is taken as %s, want %s", c.forwarded, ip, c.want)
			}
		}
	})
	t.Run("DETECT_CONCURRENT_SESSIONS", concurrentSessions)
	t.Run("CONCURRENT_SESSION_WINDOW_SECONDS", func(t *testing.T) {
		for after, want := range map[time.Duration]string{
			60 * time.Second: "device_compromised", 60*time.Second + time.Millisecond: "ok",
		} {
			g := start(t)
			a := g.signIn("alice")
			g.check(a.Access, home)
			g.advance(after)
			if got := g.check(a.Access, cafe); got != want {
				t.Errorf("%s later, from another address: %s, want %s", after, got, want)
			}
		}
	})
	t.Run("GEOLOCATION_BACKEND", func(t *testing.T) {
		asked := make(chan string, 4)
		provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.URL.Path
			_, _ = io.WriteString(w, `{"ip": "8.8.8.8", "city": "Mountain View", "region": "California", "country": "US", "country_code": "US", "country_name": "United States"}`)
		}))
		defer provider.Close()
		g := start(t, "api: {sign_in_rate => geo: {http_url: \""+provider.URL+"/{ip}/json/\"}\napi: {sign_in_rate")
		if a := g.signIn("alice"); g.device(a, a).Country != nil {
			t.Error("a country of a loopback address is shown")
		}
		signIn := func() (s session) {
			g.want(200, "", request{method: "POST", path: "/api/token", from: "8.8.8.8", body: `{"username":"alice","password":"` + secret + `"}`}).decode(&s)
			return s
		}
		a := signIn()
		if path := <-asked; path != "/8.8.8.8/json/" {
			t.Errorf("asked for %s", path)
		}
		for tries := 0; g.device(a, a).Country == nil; tries++ { // it is written beside the answers
			if tries == 100_000 {
				t.Fatal("the place is not shown")
			}
			runtime.Gosched()
		}
		if d := g.device(a, a); *d.Country != "US" || *d.City != "Mountain View" {
			t.Errorf("the device is in %v", d)
		}
		b := signIn()
		if d := g.device(b, b); d.Country == nil || len(asked) != 0 {
			t.Errorf("what was found is not kept: %d more questions", len(asked))
		}
	})
	t.Run("throttle", func(t *testing.T) {
		g := start(t, "100000/1s => 5/1m")
		for range 5 {
			g.signIn("alice")
		}
		r := g.want(429, "throttled", request{method: "POST", path: "/api/token", body: `{"username":"alice","password":"` + secret + `"}`})
		if r.header.Get("Retry-After") != "12" {
			t.Errorf("Retry-After: %s", r.header.Get("Retry-After"))
		}
	})
	t.Run("an unknown setting", func(t *testing.T) {
		if _, err := load(t, "devices: {delete_delay_minutes: 5}\n"); err == nil {
			t.Error("an unknown key is taken in silence")
		}
	})
}

func maxDevices(t *testing.T) {
	g := start(t, "delete_delay: 1d => max_devices: 2")
	first := g.signIn("alice")
	g.advance(time.Second)
	second := g.signIn("alice")
	g.advance(time.Second)
	g.want(200, "", listing(first)) // the older one was used last
	g.advance(time.Second)
	g.signIn("alice")
	if got := g.check(second.Access, home) + " " + g.check(first.Access, home); got != "device_replaced ok" {
		t.Errorf("after a third sign-in: %s, want the least recently used to be put out", got)
	}
	if n := len(g.devices(first)); n != 2 {
		t.Errorf("%d devices, want 2", n)
	}
}

func concurrentSessions(t *testing.T) {
	for action, want := range map[string]string{"off": "ok", "note": "ok", "revoke": "device_compromised"} {
		g := start(t, "action: revoke => action: "+action)
		a := g.signIn("alice")
		g.check(a.Access, home)
		if got := g.check(a.Access, cafe); got != want {
			t.Errorf("%s: from another address: %s, want %s", action, got, want)
		}
	}
	g := start(t, "window: 60s => window: 60s, exempt: [192.0.2.0/24]")
	a := g.signIn("alice")
	for _, from := range []string{home, "2001:db8::1", "2001:db8::2", home, "192.0.2.7", cafe} { // families, a /64, exempt
		if got := g.check(a.Access, from); got != "ok" {
			t.Errorf("a change that never counts, to %s: %s", from, got)
		}
		g.advance(time.Second)
	}
}

// signInThrough returns the address that the service takes the client's to be.
func (g *service) signInThrough(peer, forwarded string) string {
	q := signingIn("alice")
	q.from, q.header = peer, []string{"X-Forwarded-For", forwarded}
	s := sessionOf(g.want(200, "", q))
	return g.device(s, s).IP
}

// TestTokens goes through the settings of SimpleJWT.
func TestTokens(t *testing.T) {
	t.Run("ACCESS_TOKEN_LIFETIME", func(t *testing.T) {
		g := start(t)
		a := g.signIn("alice")
		g.advance(5 * time.Minute)
		g.want(401, "token_not_valid", listing(a))
		g.want(200, "", listing(g.fresh(a)))
	})
	t.Run("REFRESH_TOKEN_LIFETIME", func(t *testing.T) {
		g := start(t)
		a := g.signIn("alice")
		g.advance(7*24*time.Hour - time.Second)
		g.fresh(a) // moves the end
		g.advance(time.Hour)
		g.fresh(a)
		g.advance(7 * 24 * time.Hour)
		g.want(401, "device_not_recognized", refreshing(a))
	})
	t.Run("ROTATE_REFRESH_TOKENS", func(t *testing.T) {
		g := start(t)
		a := g.signIn("alice")
		if again := g.fresh(a); again.Refresh != a.Refresh || again.UID != a.UID {
			t.Error("without rotation the refresh token changed")
		}
		g = start(t, "refresh_rotation: false => refresh_rotation: true")
		a = g.signIn("alice")
		if again := g.fresh(a); again.Refresh == a.Refresh || again.UID != a.UID {
			t.Error("with rotation the refresh token stayed, or the device did not")
		}
	})
	t.Run("BLACKLIST_AFTER_ROTATION", func(t *testing.T) {
		g := start(t, "refresh_rotation: false => refresh_rotation: true")
		a := g.signIn("alice")
		next := g.fresh(a)
		g.advance(31 * time.Second)
		g.want(401, "device_compromised", refreshing(a))
		g.want(401, "device_compromised", listing(next)) // theirs stays alive
	})
	t.Run("ALGORITHM", func(t *testing.T) {
		var set struct{ Keys []struct{ Alg, D string } }
		start(t).want(200, "", request{method: "GET", path: "/.well-known/jwks.json"}).decode(&set)
		if len(set.Keys) == 0 || set.Keys[0].Alg != "EdDSA" || set.Keys[0].D != "" {
			t.Errorf("the keys are %+v, want public EdDSA keys", set.Keys)
		}
	})
	t.Run("claims", func(t *testing.T) {
		g := start(t)
		a := g.signIn("alice")
		c := claimsOf(t, a.Access)
		if c.TokenType != "access" || c.UserID != g.users["alice"] || c.DeviceUID != a.UID || c.JTI == "" || c.Exp-c.Iat != 300 {
			t.Errorf("the claims are %+v", c)
		}
	})
}
