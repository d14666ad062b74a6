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
	for _, c := range []struct {
		title, origin string
		asks          bool // for a method, as every preflight does
		origins       []string
		allowed       bool
	}{
		{"a named origin", appPage, true, []string{appPage}, true},
		{"a stranger", "https://evil.example", true, []string{appPage}, false},
		{"no preflight", appPage, false, []string{appPage}, false},
		{"no page", "", true, []string{appPage}, false},
		{"no origin is named", appPage, true, nil, false},
		{"no origin is named, and none is sent", "", true, nil, false},
	} {
		g := start(t, func(cfg *config.Config) { cfg.API.CORSAllowedOrigins = c.origins })
		h := http.Header{"Access-Control-Request-Headers": {"authorization,content-type,x-else"}}
		if c.origin != "" {
			h.Set("Origin", c.origin)
		}
		if c.asks {
			h.Set("Access-Control-Request-Method", "PATCH")
		}
		a := g.send(call{method: "OPTIONS", path: "/trusted-devices/x", header: h})
		want := http.Header{}
		if c.allowed {
			want = http.Header{"Access-Control-Allow-Origin": {appPage}, "Access-Control-Allow-Credentials": {"true"}, "Access-Control-Allow-Methods": {"GET,POST,PATCH,DELETE"},
				"Access-Control-Allow-Headers": {"Authorization,Content-Type"}, "Access-Control-Max-Age": {"600"}}
		}
		for _, name := range []string{"Origin", "Credentials", "Methods", "Headers"} {
			name = "Access-Control-Allow-" + name
			if a.header.Get(name) != want.Get(name) {
				t.Errorf("%s: %s is %q, want %q", c.title, name, a.header.Get(name), want.Get(name))
			}
		}
		if a.status != 204 || a.header.Get("Access-Control-Max-Age") != want.Get("Access-Control-Max-Age") {
			t.Errorf("%s: answered %d, remembered for %q", c.title, a.status, a.header.Get("Access-Control-Max-Age"))
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
