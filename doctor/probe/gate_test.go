package probe_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"devicegate/doctor/probe"
)

// TestSignInIsThrottled: a run waits when the gate asks it to, once, and leaves no account when it must not sign in.
func TestSignInIsThrottled(t *testing.T) {
	for _, c := range []struct {
		title, retry string
		refusals     int // before the gate lets it sign in
		ok           bool
		asked        int
	}{
		{"not at all", "", 0, true, 1},
		{"once", "1", 1, true, 2},
		{"again", "1", 2, false, 2},
		{"for long", "3600", 1, false, 1},
		{"without a time", "", 1, false, 1},
		{"in words", "soon", 1, false, 1},
	} {
		t.Run(c.title, func(t *testing.T) {
			t.Parallel()
			asked, accounts := 0, 0
			gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case r.URL.Path == "/api/token":
					if asked++; asked <= c.refusals {
						w.Header().Set("Retry-After", c.retry)
						w.WriteHeader(http.StatusTooManyRequests)
						return
					}
					_, _ = w.Write([]byte(`{"access":"a.b.c","device_uid":"d"}`))
				case r.Method == http.MethodPost:
					accounts++
					_, _ = w.Write([]byte(`{"id":"1","password":"p"}`))
				case r.Method == http.MethodDelete:
					accounts--
				default:
					_, _ = w.Write([]byte(`{"results":[]}`))
				}
			}))
			defer gate.Close()
			err := probe.SignIn(t.Context(), probe.Gate{Admin: toServer(gate), API: gate.Client(), Base: gate.URL, Now: time.Now}, netip.MustParseAddr("127.0.0.1"))
			if (err == nil) != c.ok || asked != c.asked || accounts != map[bool]int{true: 1}[c.ok] {
				t.Errorf("%v, asked %d times, %d accounts", err, asked, accounts)
			}
		})
	}
}

// TestSignInIsInterrupted: nobody waits for a minute who was told to stop.
func TestSignInIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/api/token") {
			cancel()
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = w.Write([]byte(`{"id":"1","results":[]}`))
	}))
	defer gate.Close()
	if err := probe.SignIn(ctx, probe.Gate{Admin: toServer(gate), API: gate.Client(), Base: gate.URL, Now: time.Now}, netip.MustParseAddr("127.0.0.1")); err == nil {
		t.Error("it signed in")
	}
}

// toServer sends whatever host is asked for to the server.
func toServer(s *httptest.Server) *http.Client {
	return &http.Client{Transport: rewritten{s}}
}

type rewritten struct{ to *httptest.Server }

func (h rewritten) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host = strings.TrimPrefix(h.to.URL, "http://")
	return h.to.Client().Transport.RoundTrip(r)
}
