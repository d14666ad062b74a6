package envoy_test

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/reason"
)

// spy is a decider that keeps what it was asked last and lets everything pass.
type spy struct {
	mu   sync.Mutex
	last *authz.Request
}

func (s *spy) Decide(_ context.Context, req authz.Request) authz.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = &req
	return authz.Decision{Reason: reason.OK}
}

// ask puts a check through the wire and returns what the decider was asked.
func ask(t *testing.T, check *authv3.CheckRequest) authz.Request {
	t.Helper()
	s := &spy{}
	mustCheck(t, serve(t, s, nil), check)
	s.mu.Lock()
	defer s.mu.Unlock()
	return *s.last
}

// whole is a check that lacks nothing, changed by change.
func whole(change func(*authv3.AttributeContext, *authv3.AttributeContext_HttpRequest)) *authv3.CheckRequest {
	check := asMap.request(authztest.Question{Method: "GET", Host: "app.example", Path: "/x?y=1"})
	change(check.Attributes, check.Attributes.Request.Http)
	return check
}

// Checks that are no HTTP request (TCP policies of a mesh ask like that), or not a whole one.
func TestIncomplete(t *testing.T) {
	type attributes = authv3.AttributeContext
	type request = authv3.AttributeContext_HttpRequest
	if !ask(t, whole(func(*attributes, *request) {})).Complete {
		t.Error("a whole request is not complete")
	}
	for what, check := range map[string]*authv3.CheckRequest{
		"nothing at all":  {},
		"no attributes":   {Attributes: nil},
		"no request":      whole(func(a *attributes, _ *request) { a.Request = nil }),
		"no http":         whole(func(a *attributes, _ *request) { a.Request.Http = nil }),
		"an empty http":   whole(func(a *attributes, _ *request) { a.Request.Http = &request{} }),
		"TCP":             {Attributes: &attributes{Source: &authv3.AttributeContext_Peer{Address: socket("203.0.113.9"), Principal: "spiffe://x"}, Destination: &authv3.AttributeContext_Peer{Address: socket("10.0.0.1")}}},
		"no method":       whole(func(_ *attributes, r *request) { r.Method = "" }),
		"no host":         whole(func(_ *attributes, r *request) { r.Host = "" }),
		"no path":         whole(func(_ *attributes, r *request) { r.Path = "" }),
		"both forms":      whole(func(_ *attributes, r *request) { asRaw.write(r, "authorization", "Bearer x") }),
		"both, one empty": whole(func(_ *attributes, r *request) { asValue.write(r, "", "") }),
	} {
		if req := ask(t, check); req.Complete || req.Adapter != authz.EnvoyGRPC {
			t.Errorf("%s: %+v is complete", what, req)
		}
	}
}

// Only context_extensions names a policy: no header can, and an empty name is not the default.
func TestPolicy(t *testing.T) {
	for want, extensions := range map[string]map[string]string{
		"default": nil, "staff": {"policy": "staff"}, "": {"policy": ""}, "nope": {"policy": "nope", "Policy": "staff"},
	} {
		check := whole(func(a *authv3.AttributeContext, r *authv3.AttributeContext_HttpRequest) {
			a.ContextExtensions = extensions
			r.Path, r.Query = "/auth/envoy/staff?policy=staff", "policy=staff"
			r.Headers["policy"], r.Headers["x-policy"] = "staff", "staff"
		})
		if got := ask(t, check).Policy; got != want {
			t.Errorf("context_extensions %v names %q, want %q", extensions, got, want)
		}
	}
	other := ask(t, whole(func(a *authv3.AttributeContext, _ *authv3.AttributeContext_HttpRequest) {
		a.ContextExtensions = map[string]string{"virtual_host": "x"}
	}))
	if other.Policy != "default" {
		t.Errorf("an extension of another name: policy %q", other.Policy)
	}
}

// Every Authorization value reaches the decision, in whatever letter case and form, so that none can hide
// behind another.
func TestAuthorizationValues(t *testing.T) {
	type header = corev3.HeaderValue
	for what, c := range map[string]struct {
		headers map[string]string
		list    []*header
		want    []string
	}{
		"none":                   {want: nil},
		"map":                    {headers: map[string]string{"authorization": "Bearer a"}, want: []string{"Bearer a"}},
		"map, empty":             {headers: map[string]string{"authorization": ""}, want: []string{""}},
		"map, joined":            {headers: map[string]string{"authorization": "Bearer a,Bearer b"}, want: []string{"Bearer a,Bearer b"}},
		"map, two letter cases":  {headers: map[string]string{"authorization": "Bearer a", "Authorization": "Bearer a"}, want: []string{"Bearer a", "Bearer a"}},
		"map, others":            {headers: map[string]string{"proxy-authorization": "x", "authorization_": "x", "x-authorization": "x", " authorization": "x"}, want: nil},
		"list, raw":              {list: []*header{{Key: "authorization", RawValue: []byte("Bearer a")}}, want: []string{"Bearer a"}},
		"list, value":            {list: []*header{{Key: "authorization", Value: "Bearer a"}}, want: []string{"Bearer a"}},
		"list, raw before value": {list: []*header{{Key: "authorization", Value: "Bearer evil", RawValue: []byte("Bearer a")}}, want: []string{"Bearer a"}},
		"list, twice":            {list: []*header{{Key: "authorization", Value: "Bearer a"}, {Key: "AUTHORIZATION", RawValue: []byte("Bearer b")}}, want: []string{"Bearer a", "Bearer b"}},
		"list, an empty one too": {list: []*header{{Key: "authorization"}, {Key: "authorization", Value: "Bearer a"}}, want: []string{"", "Bearer a"}},
		"list, not UTF-8":        {list: []*header{{Key: "authorization", RawValue: []byte("Bearer \x80")}}, want: []string{"Bearer \x80"}},
	} {
		check := whole(func(_ *authv3.AttributeContext, r *authv3.AttributeContext_HttpRequest) {
			r.Headers, r.HeaderMap = c.headers, nil
			if c.list != nil {
				r.HeaderMap = &corev3.HeaderMap{Headers: c.list}
			}
		})
		req := ask(t, check)
		if diff := cmp.Diff(c.want, req.Authorization); diff != "" || !req.Complete {
			t.Errorf("%s: complete %t (-want +got):\n%s", what, req.Complete, diff)
		}
	}
}

// What the log is told: Envoy's own peer, all of X-Forwarded-For, and the request id that travels on.
func TestForTheLog(t *testing.T) {
	for what, f := range map[string]form{"map": asMap, "raw": asRaw, "value": asValue} {
		check := whole(func(_ *authv3.AttributeContext, r *authv3.AttributeContext_HttpRequest) {
			r.Headers = nil
			f.write(r, "X-Forwarded-For", "6.6.6.6, 203.0.113.9", "x-request-id", "r-1", "x-envoy-original-path", "/evil", "x-real-ip", "6.6.6.6")
		})
		req := ask(t, check)
		got := []string{req.Method, req.Host, req.Path, req.RequestID, req.Source.String(), strings.Join(req.ForwardedFor, "|")}
		if diff := cmp.Diff([]string{"GET", "app.example", "/x?y=1", "r-1", "203.0.113.9", "6.6.6.6, 203.0.113.9"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	for text, want := range map[string]string{"::ffff:203.0.113.9": "203.0.113.9", "@/run/x": "invalid IP", "": "invalid IP", "2001:db8::9": "2001:db8::9"} {
		req := ask(t, whole(func(a *authv3.AttributeContext, _ *authv3.AttributeContext_HttpRequest) {
			a.Source.Address = socket(text)
		}))
		if req.Source.String() != want {
			t.Errorf("source.address %q is taken for %s, want %s", text, req.Source, want)
		}
	}
}

// A unix socket's permissions have let the peer in; source.address is what Envoy saw and counts for the
// log alone.
func TestUnixSocketMayAsk(t *testing.T) {
	w := authztest.NewWorld(t)
	gate := w.Gate(authztest.Setup{Peers: authztest.Elsewhere})
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	start(t, l, gate, nil)
	question := authztest.Question{Authorization: []string{"Bearer " + w.Anna.Token}}
	if got := read(t, mustCheck(t, dial(t, "unix:"+path), asMap.request(question.Filled()))); got.Status != 200 {
		t.Errorf("answered %d %v", got.Status, got.Header)
	}
	if ip := gate.Log.Lines(t)[0]["client_ip"]; ip != "203.0.113.9" {
		t.Errorf("the log names the client %v", ip)
	}
}
