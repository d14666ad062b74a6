package api_test

import (
	"net/http"
	"testing"

	"devicegate/config"
)

const appPage = "https://app.example.com"

// TestCrossOrigin: a page of a named origin may read every answer and send a token; one of any other may not.
func TestCrossOrigin(t *testing.T) {
	g := start(t, func(c *config.Config) { c.API.CORSAllowedOrigins = []string{appPage, "http://localhost:3000"} })
	g.addUser("alice")
	const mayRead, withCookies = "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"
	for _, c := range []struct {
		title, origin, allowed string
		call                   call
		status                 int
	}{
		{"a sign-in", appPage, appPage, signInOf("alice", secret), 200},
		{"a refused sign-in", appPage, appPage, signInOf("alice", "not "+secret), 401},
		{"no token", appPage, appPage, call{method: "GET", path: "/trusted-devices"}, 401},
		{"nothing there", appPage, appPage, call{method: "GET", path: "/none"}, 404},
		{"another origin", "http://localhost:3000", "http://localhost:3000", signInOf("alice", secret), 200},
		{"a stranger", "https://app.example.com.evil.example", "", signInOf("alice", secret), 200},
		{"another scheme", "http://app.example.com", "", signInOf("alice", secret), 200},
		{"another letter case", "https://APP.example.com", "", signInOf("alice", secret), 200},
		{"another port", appPage + ":8443", "", signInOf("alice", secret), 200},
		{"a page of nobody", "null", "", signInOf("alice", secret), 200},
		{"no page", "", "", signInOf("alice", secret), 200},
	} {
		c.call.header = http.Header{"Content-Type": {"application/json"}}
		if c.origin != "" {
			c.call.header.Set("Origin", c.origin)
		}
		a := g.send(c.call)
		if a.status != c.status || a.header.Get(mayRead) != c.allowed || (a.header.Get(withCookies) == "true") != (c.allowed != "") || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %d, %s may read, cookies %q, Vary %q", c.title, a.status, a.header.Get(mayRead), a.header.Get(withCookies), a.header.Get("Vary"))
		}
	}
}

// TestCrossOriginPreflight: what a page may send is said to a named origin alone, and nothing is done for it.
func TestCrossOriginPreflight(t *testing.T) {
	const method, headers = "PATCH", "authorization,content-type"
	for _, c := range []struct {
		title, origin, method, headers string
		origins                        []string
		allowed                        bool
	}{
		{"a named origin", appPage, method, headers, []string{appPage}, true},
		{"a stranger", "https://evil.example", method, headers, []string{appPage}, false},
		{"a method that the API does not have", appPage, "PUT", headers, []string{appPage}, false},
		{"a header that it does not read", appPage, method, "authorization,x-forwarded-for", []string{appPage}, false},
		{"no page", "", method, headers, []string{appPage}, false},
		{"no origin is named", appPage, method, headers, nil, false},
		{"no origin is named, and none is sent", "", method, headers, nil, false},
	} {
		g := start(t, func(cfg *config.Config) { cfg.API.CORSAllowedOrigins = c.origins })
		h := http.Header{"Access-Control-Request-Method": {c.method}, "Access-Control-Request-Headers": {c.headers}}
		if c.origin != "" {
			h.Set("Origin", c.origin)
		}
		a := g.send(call{method: "OPTIONS", path: "/trusted-devices/x", header: h})
		want := map[string]string{"Allow-Origin": "", "Allow-Credentials": "", "Allow-Methods": "", "Allow-Headers": "", "Max-Age": ""}
		if c.allowed {
			want = map[string]string{"Allow-Origin": appPage, "Allow-Credentials": "true", "Allow-Methods": method, "Allow-Headers": headers, "Max-Age": "600"}
		}
		for name, value := range want {
			if got := a.header.Get("Access-Control-" + name); got != value {
				t.Errorf("%s: Access-Control-%s is %q, want %q", c.title, name, got, value)
			}
		}
		if a.status != 204 {
			t.Errorf("%s: answered %d", c.title, a.status)
		}
	}
}

// TestAdministrationIsNoPagesBusiness: no origin reads what /admin answers.
func TestAdministrationIsNoPagesBusiness(t *testing.T) {
	g := start(t, func(c *config.Config) { c.API.CORSAllowedOrigins = []string{appPage} })
	for _, remote := range []bool{false, true} {
		a := g.send(call{method: "GET", path: "/admin/users", remote: remote, header: http.Header{"Origin": {appPage}}})
		if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("remote %v: %s may read the administration", remote, got)
		}
	}
}
