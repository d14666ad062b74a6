package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"devicegate/api"
	"devicegate/config"
)

// TestEveryOperation goes the way of a client once through all of them, under each spelling of the paths.
func TestEveryOperation(t *testing.T) {
	for _, base := range []string{"", "/gate"} {
		g := start(t, withIssuers(t), func(c *config.Config) { c.API.BasePath = base })
		for _, slash := range []string{"", "/"} {
			name := "alice" + strings.Repeat("2", len(slash))
			at := func(c call) call { c.path += slash; return c }
			a := g.want(201, call{method: "POST", path: "/admin/users" + slash, body: object("name", name, "password", secret)})
			id := decoded[struct{ ID string }](a).ID
			g.want(200, call{method: "GET", path: "/admin/users" + slash})
			g.want(200, call{method: "GET", path: "/admin/users/" + id + slash})
			g.want(200, call{method: "PATCH", path: "/admin/users/" + id + slash, body: `{"disabled":false}`})

			d := decoded[tokens](g.want(200, at(signInOf(name, secret))))
			other := decoded[tokens](g.want(200, at(signInOf(name, secret))))
			third := decoded[tokens](g.want(200, at(signInOf(name, secret))))
			d = decoded[tokens](g.want(200, at(refreshing(d.Refresh))))
			if a := g.want(200, at(verifying(d.Access))); string(a.body) != "{}\n" {
				t.Errorf("verify answered %q, want an empty object", a.body)
			}
			g.want(200, at(verifying(d.Refresh)))
			g.want(200, at(call{method: "GET", path: "/trusted-devices", token: d.Access}))
			g.want(200, at(call{method: "GET", path: "/login-activity", token: d.Access}))
			g.want(200, at(call{method: "GET", path: "/trusted-devices/" + other.UID, token: d.Access}))
			g.want(200, at(call{method: "PATCH", path: "/trusted-devices/" + other.UID, token: d.Access, body: `{"name":"x"}`}))
			g.want(204, at(call{method: "DELETE", path: "/trusted-devices/" + other.UID, token: d.Access}))
			g.want(204, at(revoking(third.Refresh)))
			g.want(204, at(call{method: "POST", path: "/api/password", token: d.Access, body: object("current_password", secret, "new_password", secret2)}))
			g.want(200, at(call{method: "POST", path: "/trusted-devices/revoke-all", token: d.Access}))
			g.want(204, at(call{method: "POST", path: "/trusted-devices/logout", token: d.Access}))
			reset := decoded[resetToken](g.want(200, call{method: "POST", path: "/admin/users/" + id + "/password-reset" + slash}))
			g.want(204, at(call{method: "POST", path: "/api/password/reset", body: object("reset_token", reset.Token, "new_password", secret)}))
			g.want(200, call{method: "POST", path: "/admin/devices/sweep" + slash, body: `{"older_than_seconds":0}`})
			g.administrate(id, name, slash, "")
			g.addAdmin("admin" + slash)
			g.administrate(id, name, slash, g.signIn("admin"+slash).Access)
			g.want(200, at(call{method: "GET", path: "/openapi.json"}))
			keys := g.want(200, at(call{method: "GET", path: "/.well-known/jwks.json"}))
			checkKeys(t, keys)
		}
		if base != "" {
			g.url = strings.TrimSuffix(g.url, base)
			if a := g.send(signInOf("alice", secret)); a.status != 404 || a.code() != "not_found" {
				t.Errorf("outside the base path the answer is %d %s, want 404", a.status, a.body)
			}
		}
	}
}

// administrate goes the way of an admin, over admin.address with token and over the socket without.
func (g *gate) administrate(id, name, slash, token string) {
	g.t.Helper()
	d, user := decoded[tokens](g.want(200, signInOf(name, secret))), "/admin/users/"+id
	g.want(401, signInOf(name, "not the password"))
	lockout := g.lockouts("?all=true&user=" + name)[0].ID
	made := decoded[userView](g.want(201, call{method: "POST", path: "/admin/users", body: object("name", "to be removed")}))
	for _, c := range []struct {
		status             int
		method, path, body string
	}{
		{200, "GET", "/admin/users", ""}, {200, "GET", user, ""}, {200, "PATCH", user, `{}`}, {200, "POST", user + "/password-reset", ""},
		{204, "DELETE", "/admin/users/" + made.ID, ""},
		{200, "GET", "/admin/devices", ""}, {200, "GET", "/admin/devices/" + d.UID, ""}, {200, "GET", user + "/devices", ""},
		{200, "PUT", "/admin/devices/" + uuid.NewString(), object("issuer", "django", "user_id", "7")},
		{200, "POST", "/admin/devices", object("issuer", "keycloak", "user_id", "7", "device", uuid.NewString())},
		{200, "PATCH", user + "/devices/" + d.UID, `{"name":"x"}`}, {204, "DELETE", user + "/devices/" + d.UID, ""},
		{200, "DELETE", user + "/devices", ""}, {200, "POST", "/admin/devices/sweep", `{"older_than_seconds":3600}`},
		{200, "POST", "/admin/explain", object("token", d.Access)},
		{200, "GET", "/admin/login-activity", ""}, {200, "GET", "/admin/lockouts", ""}, {204, "DELETE", "/admin/lockouts/" + lockout, ""},
	} {
		g.want(c.status, call{method: c.method, path: c.path + slash, body: c.body, token: token, remote: token != ""})
	}
}

func checkKeys(t *testing.T, a answer) {
	t.Helper()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(a.body, &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("the key set is %s (%v), want keys of string members", a.body, err)
	}
	for _, key := range set.Keys {
		if key["d"] != "" || key["kid"] == "" || key["kty"] != "OKP" || key["x"] == "" {
			t.Errorf("the key set has %v, want a public key of type OKP with a kid", key)
		}
	}
	if got := a.header.Get("Cache-Control"); got != "public, max-age=300" {
		t.Errorf("Cache-Control of the key set = %q", got)
	}
}

func TestUnknownRoutes(t *testing.T) {
	g := start(t)
	for _, path := range []string{
		"/", "/api", "/api/", "/api/tokens", "/api/token//", "//api/token", "/API/TOKEN", "/api/token/refresh/x", "/trusted-devices/a/b",
		"/admin", "/admin/users", "/healthz", "/metrics", "/auth/traefik", "/api/../api/token", "/api/%2e%2e/api/token", "/openapi.yaml", "/%00",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "BREW"} {
			c := call{method: method, path: path}
			a := g.sendToAPI(c)
			if a.status != 404 || a.code() != "not_found" || a.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s = %d %s %s, want 404 not_found as a problem", method, path, a.status, a.header.Get("Content-Type"), a.body)
			}
		}
	}
}

// TestEachListenerAnswersItsOwn: what is answered on one listener is not there on the others, whoever asks.
func TestEachListenerAnswersItsOwn(t *testing.T) {
	g := start(t)
	g.addAdmin("admin")
	token := g.signIn("admin").Access
	for _, name := range api.Operations() {
		method, path, _ := strings.Cut(name, " ")
		path = strings.NewReplacer(":device_uid", nowhere, ":id", nowhere).Replace(path)
		others := map[string]http.RoundTripper{"the API": g.people}
		if !strings.HasPrefix(path, "/admin/") {
			others = map[string]http.RoundTripper{"the admin socket": g.admins, "admin.address": g.remote}
		}
		for listener, there := range others {
			for _, slash := range []string{"", "/"} {
				other := *g
				other.people, other.admins = there, there
				a := other.send(call{method: method, path: path + slash, token: token})
				if a.status != 404 || a.code() != "not_found" {
					t.Errorf("%s on %s = %d %s, want 404", name, listener, a.status, a.body)
				}
			}
		}
	}
}

// sendToAPI sends a call to the API whatever its path is.
func (g *gate) sendToAPI(c call) answer {
	g.t.Helper()
	there := *g
	there.admins, there.people = g.people, g.people
	return there.send(c)
}

func TestMethods(t *testing.T) {
	g := start(t)
	for path, allowed := range map[string][]string{
		"/api/token": {"POST"}, "/api/token/refresh": {"POST"}, "/api/token/verify": {"POST"}, "/api/token/revoke/": {"POST"},
		"/trusted-devices/logout": {"POST"}, "/trusted-devices/revoke-all/": {"POST"},
		"/trusted-devices": {"GET"}, "/trusted-devices/x": {"DELETE", "GET", "PATCH"}, "/openapi.json": {"GET"}, "/.well-known/jwks.json": {"GET"},
		"/api/password": {"POST"}, "/api/password/reset/": {"POST"},
		"/login-activity/": {"GET"}, "/admin/users": {"GET", "POST"}, "/admin/users/x/": {"DELETE", "GET", "PATCH"},
		"/admin/users/x/password-reset": {"POST"}, "/admin/users/x/devices": {"DELETE", "GET"}, "/admin/users/x/devices/y": {"DELETE", "PATCH"},
		"/admin/devices": {"GET", "POST"}, "/admin/devices/sweep": {"POST"}, "/admin/devices/sweep/": {"POST"}, "/admin/devices/x": {"GET", "PUT"},
		"/admin/login-activity": {"GET"}, "/admin/lockouts/": {"GET"}, "/admin/lockouts/x": {"DELETE"},
		"/admin/explain": {"POST"}, "/admin/explain/": {"POST"},
	} {
		g.answersOnly(allowed, path, false)
		if strings.HasPrefix(path, "/admin/") {
			g.answersOnly(allowed, path, true)
		}
	}
}

// answersOnly demands 405 with the right Allow for every other method.
func (g *gate) answersOnly(allowed []string, path string, remote bool) {
	g.t.Helper()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW", "OPTIONS"} {
		if slices.Contains(allowed, method) {
			continue
		}
		a := g.do(call{method: method, path: path, remote: remote})
		status, code := 405, "method_not_allowed"
		switch method {
		case "HEAD":
			code = "" // the body is left out
		case "OPTIONS":
			status, code = 204, ""
		}
		if a.status != status || a.code() != code {
			g.t.Errorf("%s %s = %d %s, want %d %s", method, path, a.status, a.body, status, code)
		}
		if got := methodsIn(a.header); !slices.Equal(got, allowed) {
			g.t.Errorf("%s %s: Allow names %v, want %v", method, path, got, allowed)
		}
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			g.t.Errorf("%s %s lets other origins read it", method, path)
		}
	}
}

// methodsIn returns the methods of Allow without OPTIONS, in order.
func methodsIn(h http.Header) []string {
	var all []string
	for _, m := range strings.Split(h.Get("Allow"), ",") {
		if m = strings.TrimSpace(m); m != "OPTIONS" && m != "" {
			all = append(all, m)
		}
	}
	slices.Sort(all)
	return all
}
