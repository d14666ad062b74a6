package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"

	"devicegate/api"
	"devicegate/authz"
	"devicegate/login"
	"devicegate/reason"
)

// presented is a token that must be refused.
type presented struct {
	name, raw string
	access    reason.Reason // why it is no access token
	refresh   string        // the code where a refresh token is wanted; empty for token_not_valid
}

// entrance is one call that takes a token. send presents it: as the Authorization values of the request
// (which is what the calls do that ask who the caller is), or as the token in the body.
type entrance struct {
	name    string
	inBody  bool
	send    func(t *testing.T, token string, authorization []string) outcome
	refusal func(p presented) outcome
	most    int // bytes of a token that it reads at all, 0: any; TestLargeCheckIsRefused has what is larger
	lines   int // of log for each refusal
	// good is what an honest token is answered; refresh says that it must be a refresh token.
	good    int
	refresh bool
}

// outcome is what came of a call: an HTTP status, or what the proxy makes of a gRPC answer, and the word
// for the reason. text is all that was answered.
type outcome struct {
	status int
	word   string
	text   string
}

func (o outcome) String() string { return fmt.Sprint(o.status, " ", o.word) }

// inHeader returns why a token in the Authorization header is refused: authz.Bearer's word comes first,
// because what cannot stand in such a header is refused before anybody looks at the token. Handlers are
// given it all the same: nothing of net/http's client filters it here.
func inHeader(p presented) reason.Reason {
	if _, why := authz.Bearer([]string{"Bearer " + p.raw}); why != reason.OK {
		return why
	}
	return p.access
}

// code is the API's word for a reason.
func code(why reason.Reason) string {
	switch {
	case why == reason.NoToken, why == reason.BadAuthorization:
		return "not_authenticated"
	case strings.HasPrefix(why.String(), "token_"):
		return "token_not_valid"
	}
	return why.String()
}

func refusedCheck(p presented) outcome { return outcome{status: 401, word: inHeader(p).String()} }

func refusedCall(p presented) outcome { return outcome{status: 401, word: code(inHeader(p))} }

// refusedBody is the refusal of a token in a body.
func refusedBody(p presented, o outcome) outcome {
	if len(tokenBody("token", p.raw)) > api.MaxBody {
		return outcome{status: 413, word: "too_large"}
	}
	return o
}

func refusedVerify(p presented) outcome {
	if login.IsRefreshToken(p.raw) {
		return refusedRefresh(p)
	}
	return refusedBody(p, outcome{status: 401, word: code(p.access)})
}

func refusedRefresh(p presented) outcome {
	if p.refresh == "" {
		p.refresh = "token_not_valid"
	}
	return refusedBody(p, outcome{status: 401, word: p.refresh})
}

// refusedRevoke: RFC 7009 has no refusal. That nothing is revoked is seen in the list of devices.
func refusedRevoke(p presented) outcome { return refusedBody(p, outcome{status: 204}) }

func tokenBody(member, token string) string {
	b, err := json.Marshal(map[string]string{member: token})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// entrances returns every call that takes a token, in an order in which an honest one gets through all.
func (g *attacked) entrances() []entrance {
	return append(g.checkEntrances(), g.callEntrances()...)
}

func (g *attacked) checkEntrances() []entrance {
	var all []entrance
	for _, path := range []string{"/auth/traefik", "/auth/nginx", "/auth/caddy", "/auth/haproxy", "/auth/envoy/default/x"} {
		all = append(all, entrance{name: path, refusal: refusedCheck, lines: 1, good: 200, send: func(_ *testing.T, _ string, authorization []string) outcome {
			w := do(g.checks, "GET", path, "", authorization)
			return outcome{w.Code, w.Header().Get("X-Auth-Reason"), w.Body.String() + fmt.Sprint(w.Header())}
		}})
	}
	for name, put := range map[string]func(*authv3.AttributeContext_HttpRequest, []string){"gRPC headers": asMap, "gRPC header_map": asList} {
		all = append(all, entrance{name: name, refusal: refusedCheck, lines: 1, good: 200, most: 1 << 20, send: func(t *testing.T, _ string, authorization []string) outcome {
			ask := &authv3.AttributeContext_HttpRequest{Method: "GET", Host: "app.example", Path: "/x"}
			put(ask, authorization)
			return g.checkGRPC(t, ask)
		}})
	}
	return all
}

// asMap writes headers as Envoy does by default. What is there twice is there under another case as well:
// Envoy itself would join it with a comma.
func asMap(ask *authv3.AttributeContext_HttpRequest, authorization []string) {
	ask.Headers = map[string]string{":path": "/x"}
	for i, value := range authorization {
		ask.Headers[[]string{"authorization", "Authorization", "AUTHORIZATION"}[i]] = value
	}
}

// asList writes headers as Envoy does with encode_raw_headers.
func asList(ask *authv3.AttributeContext_HttpRequest, authorization []string) {
	ask.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: ":path", RawValue: []byte("/x")}}}
	for _, value := range authorization {
		ask.HeaderMap.Headers = append(ask.HeaderMap.Headers, &corev3.HeaderValue{Key: "authorization", RawValue: []byte(value)})
	}
}

// checkGRPC asks over a real connection. An answer that Envoy could take for anything but a plain allow or
// a plain denial has no status.
func (g *attacked) checkGRPC(t *testing.T, ask *authv3.AttributeContext_HttpRequest) outcome {
	check := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: ask}}}
	got, err := g.rpc.Check(t.Context(), check)
	if err != nil {
		return outcome{word: "a gRPC error: " + err.Error()}
	}
	o := outcome{text: got.String()}
	denied := got.GetDeniedResponse()
	for _, h := range denied.GetHeaders() {
		if h.GetHeader().GetKey() == "x-auth-reason" {
			o.word = h.GetHeader().GetValue()
		}
	}
	switch status := codes.Code(got.GetStatus().GetCode()); {
	case got.GetStatus() != nil && status == codes.OK && got.GetOkResponse() != nil:
		o.status = 200
	case status == codes.Unauthenticated && denied.GetStatus().GetCode() == 401:
		o.status = 401
	}
	return o
}

// callEntrances are the calls of the API and of the administration over TCP.
func (g *attacked) callEntrances() []entrance {
	signedIn := func(h http.Handler, method, path, body string, good int) entrance {
		return entrance{name: method + " " + path, refusal: refusedCall, good: good, send: func(_ *testing.T, _ string, authorization []string) outcome {
			return called(do(h, method, path, body, authorization))
		}}
	}
	inBody := func(path, member string, good int, refresh bool, refusal func(presented) outcome) entrance {
		return entrance{name: path, inBody: true, refusal: refusal, good: good, refresh: refresh, send: func(_ *testing.T, token string, _ []string) outcome {
			return called(do(g.people, "POST", path, tokenBody(member, token), nil))
		}}
	}
	return []entrance{
		inBody("/api/token/verify", "token", 200, false, refusedVerify),
		inBody("/api/token/refresh", "refresh", 200, true, refusedRefresh),
		signedIn(g.people, "GET", "/trusted-devices", "", 200),
		signedIn(g.people, "GET", "/trusted-devices/"+g.other.UID, "", 200),
		signedIn(g.people, "GET", "/login-activity", "", 200),
		signedIn(g.admins, "GET", "/admin/users", "", 200),
		signedIn(g.admins, "POST", "/admin/users", `{"name":"mallory"}`, 201),
		signedIn(g.admins, "DELETE", "/admin/users/"+g.bystander, "", 204),
		signedIn(g.people, "PATCH", "/trusted-devices/"+g.other.UID, `{"name":"mine now"}`, 200),
		signedIn(g.people, "DELETE", "/trusted-devices/"+g.other.UID, "", 204),
		inBody("/api/token/revoke", "refresh", 204, true, refusedRevoke),
		signedIn(g.people, "POST", "/trusted-devices/revoke-all", "", 200),
		signedIn(g.people, "POST", "/api/password", `{"current_password":"`+secret+`","new_password":"`+secret+` two"}`, 204),
		signedIn(g.people, "POST", "/trusted-devices/logout", "", 204),
	}
}

// do asks a handler, with header values as they are.
func do(h http.Handler, method, path, body string, authorization []string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:9"
	for name, value := range map[string]string{
		"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example", "X-Forwarded-Uri": "/x",
		"X-Original-Method": "GET", "X-Original-Url": "https://app.example/x",
	} {
		r.Header[name] = []string{value}
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if authorization != nil {
		r.Header["Authorization"] = authorization
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// called reads an answer of the API.
func called(w *httptest.ResponseRecorder) outcome {
	o := outcome{status: w.Code, text: w.Body.String() + fmt.Sprint(w.Header())}
	var problem struct{ Code string }
	if w.Code >= 400 && json.Unmarshal(w.Body.Bytes(), &problem) == nil {
		o.word = problem.Code
	}
	return o
}
