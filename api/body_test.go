package api_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// withBody returns the calls that read a body, each with one that would be accepted.
func withBody(g *gate) []call {
	id := g.addUser("alice")
	own, other := g.signIn("alice"), g.signIn("alice")
	return []call{
		signInOf("alice", secret), refreshing(own.Refresh), verifying(own.Access), revoking("x"),
		{method: "PATCH", path: "/trusted-devices/" + other.UID, token: own.Access, body: `{"name":"x"}`},
		{method: "POST", path: "/admin/users", body: object("name", "bob")},
		{method: "PATCH", path: "/admin/users/" + id, body: `{"disabled":false}`},
		changingOf(id, other.UID, `{"name":"x"}`), sweeping("older_than_seconds", 3600),
	}
}

// withoutBody returns the calls that name no member.
func withoutBody(d tokens) []call {
	return []call{
		{method: "POST", path: "/trusted-devices/logout", token: d.Access},
		{method: "POST", path: "/trusted-devices/revoke-all", token: d.Access},
		{method: "DELETE", path: "/trusted-devices/00000000-0000-4000-8000-000000000000", token: d.Access},
	}
}

func TestBodiesThatAreNoJSON(t *testing.T) {
	g := start(t)
	calls := withBody(g)
	hashes := g.hashes()
	for _, c := range calls {
		for _, body := range []string{
			" ", "{", "}", `{"username":`, `{"username":"a",}`, `{'a':1}`, `{"a":1}{"b":2}`, `{"a":1} x`, "\ufeff" + c.body, `{"a":NaN}`,
			"{\"a\":\"\xff\"}", `{"a":"\ud800"}`, "<xml/>", "username=alice", strings.Repeat("[", MaxBody), strings.Repeat(`{"a":`, 3000),
		} {
			c.body = body
			g.refused(400, "parse_error", c)
		}
		for _, body := range []string{"[]", `"a"`, "1", "null", "true", "[" + `{}` + "]"} {
			c.body = body
			if a := g.refused(400, "invalid", c); a.pointers() != "" || len(a.body) > 400 {
				t.Errorf("%s %s with %s answered %s", c.method, c.path, body, a.body)
			}
		}
	}
	if got := g.hashes(); got != hashes {
		t.Errorf("%d hashes were computed for bodies that are refused", got-hashes)
	}
}

func (g *gate) hashes() int {
	hashed, verified, _ := g.hasher.Calls()
	return hashed + verified
}

func TestMembersThatAreRefused(t *testing.T) {
	g := start(t)
	id := g.addUser("alice")
	hashes := g.hashes()
	for _, c := range []struct{ method, path, body, pointers string }{
		{"POST", "/api/token", `{}`, "/password /username"},
		{"POST", "/api/token", `{"username":"alice"}`, "/password"},
		{"POST", "/api/token", `{"username":1,"password":["x"]}`, "/password /username"},
		{"POST", "/api/token", `{"username":null,"password":null,"device_name":null}`, "/device_name /password /username"},
		{"POST", "/api/token", `{"username":"alice","password":"x","Username":"bob","otp":"1","a/b~c":{}}`, "/Username /a~1b~0c /otp"},
		{"POST", "/api/token", `{"username":"alice","username":"bob","password":"x"}`, ""},
		{"POST", "/api/token", `{"username":"alice","user\u006eame":"bob","password":"x"}`, ""},
		{"POST", "/api/token", `{"username":"alice","password":"x","device_name":{"a":1,"a":2}}`, ""},
		{"POST", "/api/token/refresh", `{"refresh":true}`, "/refresh"},
		{"POST", "/api/token/refresh", `{"token":"x"}`, "/refresh /token"},
		{"POST", "/api/token/verify", `{"token":"x","refresh":"x"}`, "/refresh"},
		{"POST", "/api/token/revoke", `{"refresh":{}}`, "/refresh"},
		{"POST", "/admin/users", `{"roles":["a"]}`, "/name"},
		{"POST", "/admin/users", `{"name":"bob","roles":"staff"}`, "/roles"},
		{"POST", "/admin/users", `{"name":"bob","roles":[1]}`, "/roles"},
		{"POST", "/admin/users", `{"name":"bob","roles":["a",null]}`, "/roles"},
		{"POST", "/admin/users", `{"name":"bob","disabled":true}`, "/disabled"},
		{"POST", "/admin/users", `{"name":"bob","password":"short"}`, "/password"},
		{"PATCH", "/admin/users/" + id, `{"disabled":1}`, "/disabled"},
		{"PATCH", "/admin/users/" + id, `{"disabled":null}`, "/disabled"},
		{"PATCH", "/admin/users/" + id, `{"name":"mallory"}`, "/name"},
	} {
		a := g.refused(400, "invalid", call{method: c.method, path: c.path, body: c.body})
		if got := a.pointers(); got != c.pointers {
			t.Errorf("%s with %s points to %q, want %q", c.path, c.body, got, c.pointers)
		}
	}
	if got := g.hashes(); got != hashes {
		t.Errorf("%d hashes were computed for bodies that are refused", got-hashes)
	}
}

// TestManyMembersAreAnsweredBriefly: the answer to a body of nothing but faults is not much longer than it.
func TestManyMembersAreAnsweredBriefly(t *testing.T) {
	g := start(t)
	var members []string
	for i := range 1500 {
		members = append(members, fmt.Sprintf(`"%x":1`, i))
	}
	a := g.refused(400, "invalid", call{method: "POST", path: "/api/token", body: "{" + strings.Join(members, ",") + "}"})
	if len(a.body) > MaxBody {
		t.Errorf("the answer has %d bytes, want at most %d", len(a.body), MaxBody)
	}
	if !strings.Contains(string(a.body), "more") {
		t.Errorf("the answer does not say that there are more faults: %s", a.body)
	}
	a = g.refused(400, "invalid", call{method: "POST", path: "/api/token", body: object(strings.Repeat("ü", 7000), 1, "username", "a", "password", "b")})
	if len(a.body) > 1024 {
		t.Errorf("a long name is answered with %d bytes", len(a.body))
	}
	for range 100_000 - len(members) {
		members = append(members, `"x":1`)
	}
	g.refused(413, "too_large", call{method: "POST", path: "/api/token", body: "{" + strings.Join(members, ",") + "}",
		header: http.Header{"Expect": {"100-continue"}}}) // else the connection may end under the sender
}

func TestContentType(t *testing.T) {
	g := start(t)
	calls := withBody(g)
	hashes := g.hashes()
	for _, c := range calls {
		for _, types := range [][]string{nil, {""}, {"text/plain"}, {"application/x-www-form-urlencoded"}, {"application/json-patch+json"}, {"json"}, {"application/json, text/plain"}} {
			c.header = http.Header{"Content-Type": types}
			g.refused(415, "unsupported_media_type", c)
		}
	}
	if got := g.hashes(); got != hashes {
		t.Errorf("%d hashes were computed for bodies that are refused", got-hashes)
	}
}

// A packed body is refused before a byte of it is read, whatever it is packed with and also where it is not, and so is one whose
// coding nobody knows.
func TestPackedBodies(t *testing.T) {
	g := start(t)
	calls := withBody(g)
	d := g.signIn("alice")
	hashes := g.hashes()
	for _, coding := range [][]string{{"gzip"}, {"x-gzip"}, {"deflate"}, {"br"}, {"zstd"}, {"GZIP"}, {"identity, gzip"}, {"identity", "br"}, {"none"}, {" gzip "}} {
		for _, c := range slices.Concat(calls, withoutBody(d)) {
			plain := max(c.body, "{}")
			for _, c.body = range []string{plain, packed(plain)} {
				c.header = http.Header{"Content-Type": {"application/json"}, "Content-Encoding": coding}
				g.refused(415, "unsupported_media_type", c)
			}
		}
	}
	if got := g.hashes(); got != hashes {
		t.Errorf("%d hashes were computed for bodies that are refused", got-hashes)
	}
	verify := verifying(d.Access)
	for _, coding := range []string{"identity", "Identity", ""} {
		verify.header = http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {coding}}
		g.want(200, verify)
	}

	conn, err := net.Dial("tcp", g.server.Addresses()["api"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 415 {
		t.Errorf("the offer of a packed body = %d, want 415, and no 100", resp.StatusCode)
	}
}

// packed returns the text as gzip.
func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text)) // into memory
	_ = w.Close()
	return b.String()
}

// MaxBody is the contract's 16 KiB.
const MaxBody = 16 << 10

func TestBodySize(t *testing.T) {
	g := start(t)
	calls := withBody(g)
	d := g.signIn("alice")
	padded := func(c call, size int) call {
		c.body += strings.Repeat(" ", size-len(c.body))
		return c
	}
	for _, c := range slices.Concat(calls, withoutBody(d)) {
		hashes := g.hashes()
		for _, chunked := range []bool{false, true} {
			c.chunked = chunked
			g.refused(413, "too_large", padded(c, MaxBody+1))
		}
		if got := g.hashes(); got != hashes {
			t.Errorf("%s %s: a hash was computed for a body that is refused", c.method, c.path)
		}
	}
	for _, c := range calls {
		if a := g.do(padded(c, MaxBody)); a.status >= 300 {
			t.Errorf("%s %s with exactly 16 KiB = %d %s", c.method, c.path, a.status, a.body)
		}
	}
}

// TestHugeBodyIsRefusedUnread: the answer is there before the first byte of the body.
func TestHugeBodyIsRefusedUnread(t *testing.T) {
	g := start(t)
	conn, err := net.Dial("tcp", g.server.Addresses()["api"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /api/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000000000\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("status %d, want 413", resp.StatusCode)
	}
}

// TestBodiesNobodyAskedFor: every call that names no member refuses a body, also GET and DELETE: whoever
// sends {"dry_run": true} must not believe that it was read.
func TestBodiesNobodyAskedFor(t *testing.T) {
	g := start(t)
	for n, part := range parts(g.page) {
		public := part.id == "jwks" || part.id == "openapi"
		if g.page.member(part.op, "requestBody") != nil || public {
			continue
		}
		cast := newCast(g, part, n)
		c := cast.call(part, nil)
		before := g.events(allActivity("?limit=500&user=" + cast.id))
		for _, c.chunked = range []bool{false, true} {
			c.body, c.header = `{"dry_run":true}`, nil
			if a := g.refused(400, "invalid", c); a.pointers() != "/dry_run" {
				t.Errorf("%s points to %q, want /dry_run", part.id, a.pointers())
			}
			c.body = "x"
			g.refused(400, "parse_error", c)
			c.body = strings.Repeat(" ", MaxBody+1)
			g.refused(413, "too_large", c)
			c.body, c.header = "{}", plainText
			g.refused(415, "unsupported_media_type", c)
		}
		if after := g.events(allActivity("?limit=500&user=" + cast.id)); len(after) != len(before) {
			t.Errorf("%s was refused for its body, and has done %v", part.id, after[0])
		}
		c.body, c.header = "{}", nil
		if a := g.do(c); a.status >= 300 {
			t.Errorf("%s with an empty object = %d %s", part.id, a.status, a.body)
		}
	}
}

func TestCallsWithoutMembers(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	d := g.signIn("alice")
	for _, c := range withoutBody(d) {
		for _, chunked := range []bool{false, true} {
			c.chunked = chunked
			c.body, c.header = `{"all":true}`, nil
			if a := g.refused(400, "invalid", c); a.pointers() != "/all" {
				t.Errorf("%s points to %q, want /all", c.path, a.pointers())
			}
			c.body = "x"
			g.refused(400, "parse_error", c)
			c.body, c.header = "{}", http.Header{"Content-Type": {"text/plain"}}
			g.refused(415, "unsupported_media_type", c)
		}
	}
	g.live(d)
	g.want(200, call{method: "POST", path: "/trusted-devices/revoke-all", token: d.Access, body: "{}"})
	g.want(204, call{method: "POST", path: "/trusted-devices/logout", token: d.Access, body: "{}", chunked: true})
}
