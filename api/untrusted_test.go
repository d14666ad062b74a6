package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// A proxy of one's own that trusted_proxies lacks is told once in a while: everybody behind it would be one
// client. What strangers send is not, nor what a trusted proxy does.
func TestUntrustedProxyIsTold(t *testing.T) {
	for _, c := range []struct {
		peer, forwarded string
		told            bool
	}{
		{"10.0.0.5:1", "198.51.100.1", true}, {"[fd00::5]:1", "198.51.100.1", true},
		{"10.0.0.5:1", "", false}, {"127.0.0.1:1", "198.51.100.1", false}, {"203.0.113.9:1", "198.51.100.1", false},
	} {
		g := open(t)
		people := g.server.API()
		for range 3 {
			r := httptest.NewRequest("POST", "/api/token", strings.NewReader("{"))
			r.RemoteAddr = c.peer
			if c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
			}
			people.ServeHTTP(httptest.NewRecorder(), r)
			r = httptest.NewRequest("POST", "/api/token", strings.NewReader(object("username", "nobody", "password", secret)))
			r.Header.Set("Content-Type", "application/json")
			r.RemoteAddr = c.peer
			if c.forwarded != "" {
				r.Header.Set("X-Forwarded-For", c.forwarded)
			}
			people.ServeHTTP(httptest.NewRecorder(), r)
		}
		want := 0
		if c.told {
			want = 1
		}
		if got := strings.Count(g.log.String(), "trusted_proxies"); got != want {
			t.Errorf("%s with X-Forwarded-For %q: told %d times, want %d", c.peer, c.forwarded, got, want)
		}
	}
}
