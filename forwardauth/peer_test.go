package forwardauth_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/forwardauth"
	"devicegate/reason"
)

// Peers by what net/http says of them. One that cannot be read is let in nowhere.
func TestPeer(t *testing.T) {
	for remote, want := range map[string]string{
		"127.0.0.1:4711": "127.0.0.1", "[::ffff:127.0.0.1]:4711": "127.0.0.1", "[::1]:4711": "::1", "[fe80::1%eth0]:4711": "fe80::1%eth0",
		"": "invalid IP", "@": "invalid IP", "pipe": "invalid IP",
	} {
		s := &spy{}
		r := httptest.NewRequest("GET", "/auth/traefik", nil)
		r.RemoteAddr = remote
		gateHandler(t, s).ServeHTTP(httptest.NewRecorder(), r)
		if got := s.last(); got.Peer.String() != want || got.Local {
			t.Errorf("RemoteAddr %q: peer %v, local %t, want %s", remote, got.Peer, got.Local, want)
		}
	}
}

// A unix socket's permissions have let the peer in, whatever its own end is named: here like an address
// that may not ask.
func TestUnixSocketMayAsk(t *testing.T) {
	w := authztest.NewWorld(t)
	gate := w.Gate(authztest.Setup{Peers: authztest.Elsewhere})
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: gateHandler(t, gate)}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	t.Chdir(t.TempDir())
	for _, name := range []string{"", "198.51.100.7:80", "not an address"} {
		var local *net.UnixAddr
		if name != "" {
			local = &net.UnixAddr{Net: "unix", Name: name}
		}
		conn, err := net.DialUnix("unix", local, &net.UnixAddr{Net: "unix", Name: path})
		if err != nil {
			t.Fatal(err)
		}
		request := traefik.request(authztest.Question{Authorization: []string{"Bearer " + w.Anna.Token}}.Filled())
		if got := exchange(t, conn, request); got.Status != http.StatusOK {
			t.Errorf("a peer named %q was answered %d %v", name, got.Status, got.Header)
		}
	}
	for _, line := range gate.Log.Lines(t) {
		if line["client_ip"] != "" {
			t.Errorf("the log names the client %q", line["client_ip"])
		}
	}
}

// broken panics while it decides.
type broken struct{ value any }

func (b broken) Decide(context.Context, authz.Request) authz.Decision { panic(b.value) }

// A connection that breaks off is an error to a proxy, and an error is what failure_mode_allow lets pass.
func TestPanicIsRefused(t *testing.T) {
	for _, p := range proxies {
		for _, value := range []any{"secret-canary", http.ErrAbortHandler} {
			reported := make(chan any, 1)
			address := serve(t, forwardauth.Handler(broken{value}, func(p any) { reported <- p }))
			got := send(t, address, p.request(authztest.Question{}.Filled()))
			if got.Status != http.StatusForbidden || got.Header.Get("X-Auth-Reason") != reason.Undecided.String() {
				t.Errorf("%s: a panic was answered %d %v", p, got.Status, got.Header)
			}
			if strings.Contains(got.Body, "canary") {
				t.Errorf("%s: the answer tells what panicked: %s", p, got.Body)
			}
			if told := <-reported; told != value {
				t.Errorf("%s: reported %v, want %v", p, told, value)
			}
		}
	}
}

// The log line names what the proxy was asked for, in the proxy's own words.
func TestLogLine(t *testing.T) {
	w := authztest.NewWorld(t)
	for _, p := range proxies {
		gate := w.Gate(authztest.Setup{})
		address := serve(t, gateHandler(t, gate))
		q := authztest.Question{
			Policy: "staff", Method: "PROPFIND", Authorization: []string{"Bearer " + w.Anna.Token},
			ForwardedFor: []string{"6.6.6.6, 203.0.113.9"},
		}
		send(t, address, p.request(q.Filled()))
		line := gate.Log.Lines(t)[0]
		for name, want := range map[string]any{
			"policy": "staff", "user": "anna", "device_uid": w.Anna.Device.String(), "client_ip": "203.0.113.9", "method": "PROPFIND",
			"host": authztest.DefaultHost, "path": "/path-canary", "request_id": "id-canary",
		} {
			if line[name] != want {
				t.Errorf("%s: %s is %q, want %q", p, name, line[name], want)
			}
		}
	}
}
