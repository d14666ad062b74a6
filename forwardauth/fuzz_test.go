package forwardauth_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"devicegate/authz"
	"devicegate/reason"
)

// Only these targets may name a policy that a configuration can have.
var (
	byQuery   = regexp.MustCompile(`^/auth/(traefik|nginx|caddy|haproxy)(\?|\?policy=([a-z0-9][a-z0-9._-]*))?$`)
	bySegment = regexp.MustCompile(`^/auth/envoy/([a-z0-9][a-z0-9._-]*)([/?]|$)`)
	aPolicy   = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
)

// FuzzTarget: no target but those of the contract reaches a policy, and each reaches the one it names.
func FuzzTarget(f *testing.F) {
	for query := range policies {
		f.Add("/auth/traefik" + query)
		f.Add("/auth/nginx" + query)
	}
	for target := range segments {
		f.Add(target)
	}
	f.Add("*")
	f.Add("http://gate/auth/traefik")
	f.Fuzz(func(t *testing.T, target string) {
		s := &spy{answer: authz.Decision{Reason: reason.NoToken}}
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = target
		w := httptest.NewRecorder()
		gateHandler(t, s).ServeHTTP(w, r)
		asked := s.last()
		if asked == nil {
			if w.Code != http.StatusNotFound {
				t.Errorf("%q was asked of nobody and answered %d", target, w.Code)
			}
			return
		}
		want := ""
		if m := byQuery.FindStringSubmatch(target); m != nil {
			want = m[3]
			if m[2] == "" || m[2] == "?" {
				want = "default"
			}
		} else if m := bySegment.FindStringSubmatch(target); m != nil {
			want = m[1]
		}
		if got := asked.Policy; got != want && (want != "" || aPolicy.MatchString(got)) {
			t.Errorf("%q names %q, want %q", target, got, want)
		}
	})
}

// FuzzHeaders: no value of the headers that describe the request can do more than spoil it, and none of
// it comes back.
func FuzzHeaders(f *testing.F) {
	for _, v := range []string{"/x", "", "https://app.example/x?y#z", "://", "http://", "\x80", "/%zz", "https://a@b:1/x", "<script>", "*"} {
		f.Add(v, v)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, route := range []string{"/auth/traefik", "/auth/nginx"} {
			s := &spy{answer: authz.Decision{Reason: reason.NoToken}}
			r := httptest.NewRequest("GET", "/", nil)
			r.RequestURI = route
			for _, name := range []string{"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Original-Method"} {
				r.Header[name] = []string{one}
			}
			r.Header["X-Forwarded-Uri"], r.Header["X-Original-Url"] = []string{two}, []string{two}
			w := httptest.NewRecorder()
			gateHandler(t, s).ServeHTTP(w, r)
			if asked := s.last(); asked.Complete != (one != "" && two != "") || asked.Policy != authz.DefaultPolicy {
				t.Errorf("%s with %q and %q: %+v", route, one, two, asked)
			}
			if len(two) > 20 && strings.Contains(w.Body.String(), two) {
				t.Errorf("the answer repeats %q", two)
			}
		}
	})
}
