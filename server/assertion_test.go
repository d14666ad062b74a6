package server_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"devicegate/config"
	"devicegate/password/passwordtest"
	"devicegate/reason"
	"devicegate/server"
	"devicegate/token"
	"devicegate/token/tokentest"
)

// asserting returns settings that make assertions.
func asserting(t *testing.T) *config.Config {
	cfg := settings(t)
	cfg.IdentityHeaders.Assertion = "Remote-Assertion"
	return cfg
}

// The longest name and roles that the contract allows, as they grow most in JSON: 1,000 bytes in headers.
var (
	longestName  = strings.Repeat(`"`, 150)
	longestRoles = func() (roles []string) {
		for i := range 32 {
			roles = append(roles, fmt.Sprintf("%0*d", 25+min(1, i/13), i))
		}
		return roles
	}()
	longestHost = strings.Repeat(strings.Repeat("h", 49)+".", 5) + "exa"
)

// TestLongestAnswer: whoever passes, and whatever of it the operator has made long, the whole answer stays below what proxies
// take, and the bound that the configuration puts on the issuer is no tighter than that.
func TestLongestAnswer(t *testing.T) {
	name := func(letter string) string { return strings.ToUpper(letter) + strings.Repeat(letter, 63) }
	for what, h := range map[string]config.IdentityHeaders{
		"usual names":   {User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device", Assertion: "Remote-Assertion"},
		"longest names": {User: name("u"), Roles: name("r"), Device: name("d"), Assertion: name("a")},
	} {
		for _, algorithm := range []string{"EdDSA", "ES256"} {
			t.Run(what+" "+algorithm, func(t *testing.T) {
				cfg := settings(t)
				cfg.IdentityHeaders, cfg.Tokens.Algorithm = h, algorithm
				cfg.Tokens.Issuer = longestIssuer(t, cfg)
				cfg.Policies = map[string]config.Policy{"default": {Authorization: config.PolicyRemove}}
				g := attack(t, cfg)
				longest := 0
				for _, target := range []string{"/auth/traefik", "/auth/nginx", "/auth/caddy", "/auth/haproxy", "/auth/envoy/default/x"} {
					head := g.answerToLongest(t, target)
					if !strings.Contains(head, "\r\n"+h.Assertion+": e") || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
						t.Fatalf("%s is answered %.300q", target, head)
					}
					longest = max(longest, len(head))
				}
				if longest >= 3900 || longest < 3890 {
					t.Errorf("the longest answer has %d bytes, want just under 3900", longest)
				}
				if n := g.rpcAnswerToLongest(t); n >= 3900 {
					t.Errorf("the longest answer over gRPC has %d bytes", n)
				}
			})
		}
	}
}

// longestIssuer returns the longest that the configuration takes.
func longestIssuer(t *testing.T, cfg *config.Config) string {
	t.Helper()
	c := *cfg
	for n := 256; n > 0; n-- {
		if c.Tokens.Issuer = strings.Repeat("i", n); c.Agree() == nil {
			return c.Tokens.Issuer
		}
	}
	t.Fatal("no issuer is taken")
	return ""
}

// longestToken signs in who has the longest identity.
func (g *attacked) longestToken(t *testing.T) string {
	t.Helper()
	quoted, err := json.Marshal(longestName)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(g.names(t), func(name string) bool { return name == longestName }) {
		g.addUser(t, longestName, longestRoles...)
	}
	a := g.ask(t, "api", "POST", "/api/token", `{"username":`+string(quoted)+`,"password":"`+secret+`"}`)
	var s session
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != 200 {
		t.Fatalf("signing in: %d %s", a.status, a.body)
	}
	return s.Access
}

func (g *attacked) names(t *testing.T) (names []string) {
	t.Helper()
	var users struct{ Results []struct{ Name string } }
	if err := json.Unmarshal([]byte(g.ask(t, "admin", "GET", "/admin/users", "").body), &users); err != nil {
		t.Fatal(err)
	}
	for _, u := range users.Results {
		names = append(names, u.Name)
	}
	return names
}

// answerToLongest returns the head of the answer as it goes over the wire.
func (g *attacked) answerToLongest(t *testing.T, target string) string {
	t.Helper()
	at := g.address(t, "checks.http")
	conn, err := net.Dial(at.Network, at.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"+
		"X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: %[2]s\r\nX-Forwarded-Uri: /x\r\n"+
		"X-Original-Method: GET\r\nX-Original-URL: https://%[2]s/x\r\n\r\n", target, longestHost, g.longestToken(t))
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	if len(body) > 0 && bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		t.Errorf("%s has a body: %.100q", target, body)
	}
	return string(head) + "\r\n\r\n"
}

// rpcAnswerToLongest returns how long the headers are, written as those over HTTP.
func (g *attacked) rpcAnswerToLongest(t *testing.T) (n int) {
	t.Helper()
	check := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
		Method: "GET", Host: longestHost, Path: "/x", Headers: map[string]string{"authorization": "Bearer " + g.longestToken(t)},
	}}}}
	got, err := g.rpc.Check(t.Context(), check)
	if err != nil || len(got.GetOkResponse().GetHeaders()) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, o := range got.GetOkResponse().GetHeaders() {
		n += len(o.GetHeader().GetKey()) + len(o.GetHeader().GetValue()) + len(": \r\n")
	}
	return n + len(strings.Join(got.GetOkResponse().GetHeadersToRemove(), ","))
}

// claimsOf returns what an assertion says.
func claimsOf(t *testing.T, raw string) map[string]any {
	t.Helper()
	_, rest, _ := strings.Cut(raw, ".")
	payload, _, _ := strings.Cut(rest, ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	var claims map[string]any
	if err == nil {
		err = json.Unmarshal(plain, &claims)
	}
	if err != nil {
		t.Fatalf("%q is no assertion: %v", raw, err)
	}
	return claims
}

// TestAssertionIsNoCredential: an assertion of an admin, who is let pass to a host of the same name as the audience of
// access tokens, is refused at every call that takes a token.
func TestAssertionIsNoCredential(t *testing.T) {
	cfg := asserting(t)
	cfg.Tokens.Audience = "app.example"
	g := attack(t, cfg)
	raw := g.check(t, "/auth/traefik", g.root.Access).header.Get("Remote-Assertion")
	if claims := claimsOf(t, raw); claims["aud"] != cfg.Tokens.Audience || claims["username"] != "root" {
		t.Fatalf("the assertion says %v", claims)
	}
	g.unmoved(t, func() {
		g.present(t, g.entrances(), []presented{{name: "an assertion", raw: raw, access: reason.TokenMalformed}})
	})
	g.honest(t)
}

// TestReloadOfAssertions: they come and go with the configuration, and follow the issuer.
func TestReloadOfAssertions(t *testing.T) {
	cfg := settings(t)
	s := start(t, cfg)
	access := s.signIn(t)
	get := func(header string) string { return s.check(t, "/auth/traefik", access).header.Get(header) }
	if raw := get("Remote-Assertion"); raw != "" {
		t.Errorf("an assertion that nobody asked for: %q", raw)
	}
	on := *cfg
	on.IdentityHeaders.Assertion = "Remote-Assertion"
	changed, waiting := s.reload(t, &on)
	if diff := cmp.Diff([]string{"identity_headers.assertion"}, changed); diff != "" || waiting != nil {
		t.Errorf("changed (-want +got):\n%swaiting: %q", diff, waiting)
	}
	first := get("Remote-Assertion")
	if claims := claimsOf(t, first); claims["aud"] != "app.example" || claims["username"] != "alice" {
		t.Errorf("the assertion says %v", claims)
	}
	named := on
	named.IdentityHeaders.Assertion = "Remote-Proofed"
	s.reload(t, &named)
	if again := get("Remote-Proofed"); claimsOf(t, again)["username"] != "alice" || get("Remote-Assertion") != "" {
		t.Errorf("under another name it is %q", again)
	}
	policies := named
	policies.Policies = map[string]config.Policy{"default": {}, "other": {}}
	before := get("Remote-Proofed")
	s.reload(t, &policies)
	if after := get("Remote-Proofed"); after != before && claimsOf(t, after)["iat"] == claimsOf(t, before)["iat"] {
		t.Error("a reload that changes nothing about assertions has forgotten them")
	}
	s.reload(t, cfg)
	if raw := get("Remote-Assertion"); raw != "" {
		t.Errorf("switched off, there is still %q", raw)
	}
}

// TestReloadOfTheIssuerOfAssertions: none with the old one is handed out any more.
func TestReloadOfTheIssuerOfAssertions(t *testing.T) {
	cfg := asserting(t)
	s := start(t, withDjango(t, cfg))
	theirs := djangoToken("7", "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a")
	issuer := func() any {
		return claimsOf(t, s.check(t, "/auth/traefik", theirs).header.Get("Remote-Assertion"))["iss"]
	}
	if got := issuer(); got != "devicegate" {
		t.Errorf("the issuer is %v", got)
	}
	other := withDjango(t, cfg)
	other.Tokens.Issuer = "https://gate.example"
	s.reload(t, other)
	if got := issuer(); got != "https://gate.example" {
		t.Errorf("the issuer is %v after the reload", got)
	}
	long := *other
	long.Tokens.Issuer = strings.Repeat("i", 174)
	if _, _, err := s.Reload(t.Context(), &long); err == nil || !strings.Contains(err.Error(), "room for 173") {
		t.Errorf("Reload with a long issuer = %v", err)
	}
}

// TestAssertionsWithLongSignatures: a key file that begins with an RSA key stops the start. One that comes later, which
// nobody is asked about, refuses only those whose assertions do not fit.
func TestAssertionsWithLongSignatures(t *testing.T) {
	cfg := asserting(t)
	cfg.Tokens.SigningKeyFile = keysOfTests(t, cfg, token.RS256)
	_, err := server.Open(t.Context(), cfg, zerolog.Nop(), server.WithHasher(&passwordtest.Hasher{}))
	if err == nil || !strings.Contains(err.Error(), "identity_headers.assertion") || !strings.Contains(err.Error(), "signing_key_file") {
		t.Errorf("Open = %v", err)
	}
	offline, err := server.Open(t.Context(), cfg, zerolog.Nop(), server.WithHasher(&passwordtest.Hasher{}), server.Offline())
	if err != nil {
		t.Fatalf("a command on the closed file is refused: %v", err)
	}
	if err := offline.Close(); err != nil {
		t.Fatal(err)
	}

	keysOfTests(t, cfg, token.EdDSA)
	g := attack(t, cfg)
	long := g.longestToken(t)
	if a := g.check(t, "/auth/traefik", long); a.status != 200 || a.header.Get("Remote-Assertion") == "" {
		t.Errorf("the longest name with a short signature: %d %v", a.status, a.header)
	}
	if err := os.WriteFile(cfg.Tokens.SigningKeyFile, []byte(keyBlock(t, token.RS256)+keyBlock(t, token.EdDSA)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.ReloadKeys(); err != nil {
		t.Fatal(err)
	}
	short := g.check(t, "/auth/traefik", g.root.Access)
	if kid := tokentest.KeyOf(token.RS256).ID; short.status != 200 || !strings.Contains(headerOf(t, short.header.Get("Remote-Assertion")), kid) {
		t.Errorf("a short name with a long signature: %d %v", short.status, short.header)
	}
	if a := g.check(t, "/auth/traefik?policy=default", long); a.status != 200 {
		t.Errorf("the longest name to a short host: %d %v", a.status, a.header)
	}
	if head := g.answerToLongest(t, "/auth/traefik"); !strings.HasPrefix(head, "HTTP/1.1 503 ") || !strings.Contains(head, "keys_unavailable") {
		t.Errorf("the longest of all with a long signature: %.200q", head)
	}
}

// headerOf returns the header of a token, as JSON.
func headerOf(t *testing.T, raw string) string {
	t.Helper()
	part, _, _ := strings.Cut(raw, ".")
	plain, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return string(plain)
}
