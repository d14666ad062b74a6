package probe_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"devicegate/doctor"
	"devicegate/doctor/probe"
)

func TestFold(t *testing.T) {
	for _, name := range []string{"Remote-User", "REMOTE_USER", "remote.user", "Remote~User ", "remote|user"} {
		if got := probe.Fold(name); got != "remote-user" {
			t.Errorf("Fold(%q) = %q", name, got)
		}
	}
	for _, name := range []string{"RemoteUser", "Remote--User", "X-Remote-User"} {
		if probe.Fold(name) == "remote-user" {
			t.Errorf("%q is taken for Remote-User", name)
		}
	}
}

// The backend has to get each name once, in one spelling, with the gate's value.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name, want string
		headers    []string
		code, saw  string // saw: a part of it
	}{
		{"Remote-User", "alice", []string{"Host: a", "remote-user: alice"}, "", ""},
		{"Remote-Groups", "a,b", []string{"Remote-Groups: b,a"}, "", ""},
		{"Remote-User", "", []string{"Host: a"}, "", ""},
		{"Remote-User", "", []string{"Remote-User:"}, "", ""},
		{"Remote-User", "alice", []string{"Host: a"}, "identity-missing", "no Remote-User"},
		{"Remote-User", "alice", []string{"Remote-User:"}, "", "Remote-User:"},
		{"Remote-User", "alice", []string{"Remote-User: evil"}, "", "evil"},
		{"Remote-User", "alice", []string{"Remote-User: alice", "Remote_User: evil"}, "", "Remote_User: evil"},
		{"Remote-User", "alice", []string{"Remote-User: alice", "Remote-User: alice"}, "", "alice"},
		{"Remote-User", "alice", []string{"Remote-User: alice, evil"}, "", "evil"},
		{"Remote-User", "alice", []string{"Remote-User: alice", "Remote-User:"}, "", "Remote-User:"},
		{"Remote-User", "", []string{"REMOTE.USER: evil"}, "", "evil"},
		{"Remote-Assertion", "*", []string{"Remote-Assertion: a.b.c"}, "", ""},
		{"Remote-Assertion", "*", []string{"Remote-Assertion: evil"}, "", "evil"},
	} {
		code, saw := probe.Compare(c.name, c.want, c.headers...)
		if code != c.code || (saw == "") != (c.saw == "") || !strings.Contains(saw, c.saw) {
			t.Errorf("Compare(%s, %q, %q) = %q, %q, want %q and %q", c.name, c.want, c.headers, code, saw, c.code, c.saw)
		}
	}
}

func TestBelow(t *testing.T) {
	for _, target := range []string{"/open/x", "/open/x/y", "/open/x?../%2f", "/open/"} {
		if !probe.Below(target, "/open/") {
			t.Errorf("%s is below /open/", target)
		}
	}
	for _, target := range []string{"/open", "/openx/y", "/OPEN/x", "/x", "//open/x", "/open/../x", "/open/%2e%2e/x", "/open/..;/x", "/open/;x", `/open/..\x`, "/open/#/../x", "/open/%2fx"} {
		if probe.Below(target, "/open/") {
			t.Errorf("%s may be read as something that is not below /open/", target)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		server   string
		adapters []string
		want     string
	}{
		{"nginx/1.22.1", nil, "nginx"}, {"Caddy", nil, "caddy"}, {"istio-envoy", nil, "envoy"}, {"", nil, ""}, {"cloudflare", nil, ""},
		{"nginx", []string{"traefik"}, "traefik"}, {"", []string{"envoy_grpc"}, "envoy"}, {"", []string{"envoy_grpc", "envoy_http"}, "envoy"},
		{"Caddy", []string{"traefik", "caddy"}, "caddy"},
	} {
		if got := probe.KindOf(c.server, c.adapters...); got != c.want {
			t.Errorf("KindOf(%q, %v) = %q, want %q", c.server, c.adapters, got, c.want)
		}
	}
}

// With other traffic beside the probes nobody knows whose a counted refusal was.
func TestCounted(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after string
		want          string
	}{
		{"one refusal", line("no_token", 4), line("no_token", 5), "no_token"},
		{"two of them", line("no_token", 4), line("no_token", 6), ""},
		{"two reasons", line("no_token", 4) + line("role_missing", 1), line("no_token", 5) + line("role_missing", 2), ""},
		{"nothing moved", line("no_token", 4), line("no_token", 4), ""},
		{"no counters", "", "", ""},
	} {
		text := c.before
		operations := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
		g := probe.Gate{Operations: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", operations.Listener.Addr().String())
		}}}}
		if got := g.Counted(t.Context(), func() { text = c.after }); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		operations.Close()
	}
}

func line(reason string, n int) string {
	return fmt.Sprintf("devicegate_checks_total{adapter=\"nginx\",outcome=\"deny\",reason=%q} %d\n", reason, n)
}

// TestToldToTheClient: no answer says whom the gate takes the client for, and no finding repeats what stands for somebody.
func TestToldToTheClient(t *testing.T) {
	i := probe.Identity{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device", Assertion: "Remote-Assertion"}
	const jwt = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln"
	for _, c := range []struct{ name, value, want string }{
		{"Remote-User", "doctor-1", `identity-shown: the client got "Remote-User: doctor-1"`},
		{"Remote_device", "uid-1", `identity-shown: the client got "Remote_device: uid-1"`},
		{"Remote-User", "doctor-1 " + jwt, `identity-shown: the client got "Remote-User: doctor-1 (a token)"`},
		{"Remote-User", "somebody else", ""},
		{"Server", "doctor-1", ""},
		{"Remote-Assertion", jwt, `identity-shown: the client got "Remote-Assertion" with a value`},
		{"Remote-Assertion", "", ""},
	} {
		if got := probe.ToldTo(i, c.name, c.value); got != c.want {
			t.Errorf("%s: %s: %q, want %q", c.name, c.value, got, c.want)
		}
	}
	if got := probe.ToldTo(probe.Identity{User: "Remote-User"}, "Server", "x"); got != "" {
		t.Errorf("without an assertion: %q", got)
	}
}

// Every code is explained, has a fix, and fits on a line; a fix is for a proxy that is known.
func TestFaults(t *testing.T) {
	v := probe.Via{URL: &url.URL{Scheme: "https", Host: "app.example"}, Host: "app.example", Policy: probe.Policy{Roles: []string{"staff"}, Preflight: true},
		Identity: probe.Identity{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device", Assertion: "Remote-Assertion"}}
	codes, probes := probe.Tables(v)
	faults := probe.Faults()
	for code := range codes {
		if faults[code] == nil {
			t.Errorf("%s is explained nowhere", code)
		}
	}
	for code, texts := range faults {
		for i, text := range texts {
			kind, _, _ := strings.Cut(text, ": ")
			if text == "" || len(text) > 500 || i > 1 && !slices.Contains(doctor.Proxies, kind) {
				t.Errorf("%s says %q", code, text)
			}
		}
	}
	if most := probe.MaxRequests - 20 - 26; probes > most || probes < 250 {
		t.Errorf("a run with everything sends %d probes, which is to be between 250 and %d", probes, most)
	}
}

// What goes out over HTTP/2 is what comes out of HTTP/1.1, odd names included.
func TestExchange(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Seen", strings.Join([]string{r.Proto, r.Method, r.RequestURI, r.Host, r.Header.Get("Remote~user")}, " "))
		w.WriteHeader(http.StatusTeapot)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of connections that only look who is there
	server.StartTLS()
	defer server.Close()
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	v := probe.Via{URL: at, Host: "app.example", TLS: server.Client().Transport.(*http.Transport).TLSClientConfig, Timeout: 10 * time.Second, Log: &strings.Builder{}}
	for version, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		status, header, err := probe.Exchange(v, h2, probe.Request{Method: "POST", Target: "/x?y", Body: "body", Lines: []string{"Remote~User: evil"}})
		if want := version + " POST /x?y app.example evil"; err != nil || status != http.StatusTeapot || header.Get("X-Seen") != want {
			t.Errorf("over %s: status %d, %q, want %q (%v)", version, status, header.Get("X-Seen"), want, err)
		}
	}
}
