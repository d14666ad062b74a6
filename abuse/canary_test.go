package abuse_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"devicegate/certificate/certificatetest"
)

// pieceLength is the longest piece of a secret, in bytes, that may be found where none belongs.
const pieceLength = 15

// canary is a service that was given secrets of every kind, and everything it wrote where none belongs.
type canary struct {
	*gate
	secrets map[string]string // by what they are
	names   map[string]string // of members: who sent one is told of it, nobody else
	written bytes.Buffer      // answers; what the process writes is in stdout and stderr
	admin   session
}

// keep remembers a secret and returns it.
func (c *canary) keep(what, secret string) string {
	c.secrets[what] = secret
	return secret
}

// random returns a secret of its own, which is kept.
func (c *canary) random(what string) string {
	return c.keep(what, strings.ToLower(rand.Text()+rand.Text()))
}

// startCanary starts a service that has a secret in each place that takes one, and says all that it ever would.
func startCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{secrets: map[string]string{}, names: map[string]string{}}
	dir := t.TempDir()
	ca := certificatetest.Authority(t, "servers")
	pair := ca.Issue(t, "gate")
	cert, key := pair.Write(t, dir)
	block, _ := pem.Decode(pair.KeyPEM)
	c.keep("the key of the certificate", base64.StdEncoding.EncodeToString(block.Bytes))

	_, signing, _ := ed25519.GenerateKey(rand.Reader)
	der, _ := x509.MarshalPKCS8PrivateKey(signing)
	c.keep("the signing key", base64.StdEncoding.EncodeToString(signing.Seed()))
	c.keep("the signing key in its file", base64.StdEncoding.EncodeToString(der[len(der)-ed25519.SeedSize:]))
	c.keep("the signing key's bytes", string(signing.Seed()))
	c.keep("the signing key in hex", hex.EncodeToString(signing.Seed()))
	sealing := make([]byte, 32)
	_, _ = rand.Read(sealing)
	c.keep("the encryption key", hex.EncodeToString(sealing))
	c.keep("the encryption key's bytes", string(sealing))
	more := settings{
		"log.level": "trace", "log.allowed_sample": 1, "admin.address": "127.0.0.1:0", "admin.tls.cert_file": cert, "admin.tls.key_file": key,
		"tokens.signing_key_file":   certificatetest.Write(t, dir+"/signing.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"store.encryption_key_file": certificatetest.Write(t, dir+"/sealing", []byte(c.secrets["the encryption key"])),
		"issuers": []map[string]any{{
			"name": "django", "algorithms": []string{"HS256"}, "accept_any_audience": true, "max_lifetime": "1h", "unknown_device": "register", "refresh": "exchange",
			"secret_file": certificatetest.Write(t, dir+"/secret", []byte(c.random("the issuer's secret"))),
		}},
	}
	for _, listener := range []string{"checks.http", "checks.grpc", "api"} {
		more[listener+".tls.cert_file"], more[listener+".tls.key_file"] = cert, key
	}
	c.gate = start(t, more, &tls.Config{RootCAs: ca.Pool(), ServerName: "gate.example"})
	c.keep("the password", passphrase)
	c.keepSession("anna", c.anna)
	c.addUser(t, "root", c.random("the admin's password"), "admin")
	c.admin = c.signIn(t, "root", c.secrets["the admin's password"])
	c.keepSession("root", c.admin)
	return c
}

// member returns the name of a member of a body, which a problem may point to.
func (c *canary) member(call string) string {
	c.names["a member's name, "+call] = rand.Text()
	return c.names["a member's name, "+call]
}

func (c *canary) keepSession(whose string, s session) session {
	c.keep("the access token of "+whose, s.Access)
	c.keep("the refresh token of "+whose, s.Refresh)
	return s
}

// foreign signs a token of the issuer's.
func (c *canary) foreign(t *testing.T, what, purpose string) string {
	signed := encoded(t, map[string]any{"alg": "HS256", "typ": "JWT"}) + "." + encoded(t, map[string]any{
		"token_type": purpose, "user_id": 7, "username": "zoe", "device_uid": "6ba7b810-9dad-41d1-80b4-00c04fd430c8", "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	mac := hmac.New(sha256.New, []byte(c.secrets["the issuer's secret"]))
	mac.Write([]byte(signed))
	return c.keep(what, signed+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}

// ask sends a request with a JSON body, or raw where it is a string, and keeps of the answer what holds no secret by right:
// the whole of a refusal, else the headers but for the cookie.
func (c *canary) ask(t *testing.T, listener, method, path string, body any, headers ...string) reply {
	t.Helper()
	text, raw := body.(string)
	if !raw && body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	r, err := http.NewRequest(method, "http://gate.example"+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	got, err := do(c.client(listener, false), r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	shown := got.header.Clone()
	for _, cookie := range shown["Set-Cookie"] {
		value, _, _ := strings.Cut(strings.SplitN(cookie, "=", 2)[1], ";")
		c.keep("a cookie", value)
	}
	shown.Del("Set-Cookie")
	fmt.Fprintln(&c.written, got.status, shown)
	if got.status >= 400 {
		fmt.Fprintln(&c.written, got.body)
	}
	return got
}

// TestCanary: V9. Everything that the service writes is searched for every secret that it has, makes or is shown, and for
// every piece of one. The name that is tried, the user agent, and method, host and path of a check are written as they
// were sent, as the contract has it; secrets in those are the sender's to keep out.
func TestCanary(t *testing.T) {
	t.Parallel()
	c := startCanary(t)
	c.useAll(t)
	c.abuseAll(t)
	c.checkAll(t)
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/nothing?token=" + c.anna.Access} {
		fmt.Fprintln(&c.written, c.ask(t, "operations", "GET", path, nil).body)
	}
	for _, path := range []string{"/admin/login-activity?limit=500", "/admin/users", "/admin/lockouts"} {
		for _, listener := range []string{"admin", "admin.address"} {
			fmt.Fprintln(&c.written, c.ask(t, listener, "GET", path, nil, "Authorization", "Bearer "+c.admin.Access).must(t, 200, path).body)
		}
	}
	text := c.stdout.String() + c.stderr.String() + c.written.String()
	for _, must := range []string{"wrong_password", "token_unverified", "TLS handshake error", "django:7", "sign_in", "devicegate_checks_total"} {
		if !strings.Contains(text, must) {
			t.Errorf("%q is not in what was written: the search looks at the wrong text", must)
		}
	}
	search(t, text, c.secrets)
	search(t, c.stdout.String()+c.stderr.String(), c.names)
	if len(c.secrets) < 40 {
		t.Errorf("only %d secrets are searched for", len(c.secrets))
	}
	t.Logf("%d secrets, %d bytes searched", len(c.secrets), len(text))
}

// search looks for pieces of the secrets. The first part of a token is no secret: it is the same for all.
func search(t *testing.T, text string, secrets map[string]string) {
	t.Helper()
	pieces := make(map[string]bool, len(text))
	for i := 0; i+pieceLength < len(text); i++ {
		pieces[text[i:i+pieceLength+1]] = true
	}
	for what, secret := range secrets {
		if len(secret) <= pieceLength {
			t.Errorf("%s is too short to be found: %q", what, secret)
		}
		for i := 0; i+pieceLength < len(secret); i++ {
			piece := secret[i : i+pieceLength+1]
			if !pieces[piece] {
				continue
			}
			at := strings.Index(text, piece)
			t.Errorf("of %s %q was written: ...%s...", what, piece, text[max(0, at-200):min(len(text), at+200)])
			break
		}
	}
}

// TestSearchFinds shows that the search would find a piece.
func TestSearchFinds(t *testing.T) {
	t.Parallel()
	secret := rand.Text()
	for _, text := range []string{secret, "x" + secret[:16] + "y", secret[len(secret)-16:]} {
		found := &testing.T{}
		search(found, text, map[string]string{"it": secret})
		if !found.Failed() {
			t.Errorf("a piece of %q in %q is not found", secret, text)
		}
	}
	missed := &testing.T{}
	if search(missed, secret[:15], map[string]string{"it": secret}); missed.Failed() {
		t.Error("15 bytes are found, which is no piece")
	}
}

// useAll uses every call of the API as people do.
func (c *canary) useAll(t *testing.T) {
	t.Helper()
	bearer := []string{"Authorization", "Bearer " + c.anna.Access}
	in := unlessBusy(func() reply {
		return c.ask(t, "api", "POST", "/api/token", map[string]string{"username": "anna", "password": passphrase})
	}).must(t, 200, "signing in")
	cookie := in.header.Get("Set-Cookie")
	var s session
	in.into(t, &s)
	c.keepSession("the second device", s)
	c.ask(t, "api", "POST", "/api/token", map[string]string{"username": "anna", "password": passphrase, "refresh": s.Refresh}, "Cookie", strings.SplitN(cookie, ";", 2)[0]).
		must(t, 200, "a known device").into(t, &s)
	c.keepSession("the known device", s)
	var next session
	c.ask(t, "api", "POST", "/api/token/refresh", map[string]string{"refresh": s.Refresh}).must(t, 200, "refreshing").into(t, &next)
	c.keepSession("the refreshed device", next)
	c.ask(t, "api", "POST", "/api/token/verify", map[string]string{"token": next.Refresh}).must(t, 200, "verifying")
	c.ask(t, "api", "GET", "/trusted-devices", nil, bearer...).must(t, 200, "the devices")
	c.ask(t, "api", "GET", "/login-activity", nil, bearer...).must(t, 200, "the activity")
	c.ask(t, "api", "POST", "/api/token/revoke", map[string]string{"refresh": next.Refresh}).must(t, 204, "revoking")
	var old session
	c.ask(t, "api", "POST", "/api/token/refresh", map[string]string{"refresh": c.foreign(t, "the issuer's refresh token", "refresh")}).must(t, 200, "exchanging").into(t, &old)
	c.keepSession("the exchanged device", old)

	id := c.addUser(t, "bert", c.random("bert's first password"))
	var reset struct {
		Token string `json:"reset_token"`
	}
	c.ask(t, "admin", "POST", "/admin/users/"+id+"/password-reset", nil).must(t, 200, "a reset token").into(t, &reset)
	c.ask(t, "api", "POST", "/api/password/reset", map[string]string{"reset_token": c.keep("the reset token", reset.Token), "new_password": c.random("bert's second password")}).
		must(t, 204, "a reset")
	bert := c.keepSession("bert", c.signIn(t, "bert", c.secrets["bert's second password"]))
	c.ask(t, "api", "POST", "/api/password", map[string]string{"current_password": c.secrets["bert's second password"], "new_password": c.random("bert's third password")},
		"Authorization", "Bearer "+bert.Access).must(t, 204, "another password")
	var made struct{ Password string }
	c.ask(t, "admin", "POST", "/admin/users", map[string]any{"name": "carl"}).must(t, 201, "a generated password").into(t, &made)
	c.keep("carl's generated password", made.Password)
}

// abuseAll sends secrets where they do not belong, to every call of the API and of the administration.
func (c *canary) abuseAll(t *testing.T) {
	t.Helper()
	calls := []string{"POST /api/token", "POST /api/token/refresh", "POST /api/token/verify", "POST /api/token/revoke", "POST /api/password", "POST /api/password/reset",
		"GET /trusted-devices", "PATCH /trusted-devices/" + c.anna.Device, "DELETE /trusted-devices/", "POST /trusted-devices/logout", "GET /login-activity",
		"POST /admin/users", "GET /admin/users/", "GET /admin/login-activity", "GET /nothing"}
	for i, call := range calls {
		method, path, _ := strings.Cut(call, " ")
		secret := func(what string) string { return c.random(fmt.Sprintf("%s, %s", what, call)) }
		bodies := []any{
			map[string]any{"username": "anna", "password": secret("a wrong password"), "refresh": secret("no refresh token"), "token": secret("no token"),
				"current_password": secret("no password"), "new_password": secret("a new password"), "reset_token": secret("no reset token")},
			map[string]any{"username": map[string]any{"a": secret("an object for a name")}, "password": []any{secret("a list for a password")}},
			map[string]any{c.member(call): secret("a member")},
			`{"password":"` + secret("a text without an end"), `"` + secret("a text for an object") + `"`, secret("no JSON at all"),
			`{"password":"` + secret("a bad escape") + `\x"}`, `{"password":"a","password":"` + secret("a second member") + `"}`,
		}
		for _, listener := range []string{"api", "admin", "admin.address"} {
			for _, body := range bodies {
				c.ask(t, listener, method, path+"?token="+secret("a query")+"&limit="+secret("a limit"), body,
					"Authorization", "Bearer "+secret("a bearer"), "Cookie", "__Host-devicegate-device="+secret("a false cookie"), "Referer", "https://x/?t="+secret("a referer"),
					"X-Api-Key", secret("another header"), "X-Forwarded-For", secret("an address"))
			}
			c.ask(t, listener, method, path, bodies[i%3], "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("anna:"+secret("basic"))))
			c.ask(t, listener, method, path, bodies[i%3], "Authorization", secret("a scheme"))
		}
	}
	c.ask(t, "api", "POST", "/api/token", map[string]string{"username": "anna", "password": c.random("one more wrong password")})
	for _, path := range []string{"/trusted-devices/", "/api/", "/"} {
		c.ask(t, "api", "GET", path+c.random("a path "+path), nil, "Authorization", "Bearer "+c.anna.Access)
	}
	plain, err := (&gate{address: c.address}).dial("api")
	if err != nil {
		t.Fatal(err)
	}
	crowd{plain}.begin(t, "GET /?token="+c.random("a request without TLS")+" HTTP/1.1\r\nAuthorization: Bearer "+c.anna.Access+"\r\n\r\n")
}

// begin says something over the first connection and waits until it is hung up on.
func (all crowd) begin(t *testing.T, text string) {
	t.Helper()
	if err := say(text)(all[0]); err != nil {
		t.Fatal(err)
	}
	all.hungUp(t)
	all.hangUp()
}

// checkAll asks checks with good and bad tokens of every kind, in every adapter.
func (c *canary) checkAll(t *testing.T) {
	t.Helper()
	parts := strings.Split(c.anna.Access, ".")
	tokens := map[string]int{
		c.anna.Access: 200, c.foreign(t, "the issuer's access token", "access"): 200, c.anna.Refresh: 401,
		c.keep("a token with another signature", parts[0]+"."+parts[1]+"."+signature(1)): 401,
		c.random("a token of nothing"): 401, c.foreign(t, "the issuer's token for another purpose", "sliding"): 401,
	}
	rpc := c.overGRPC(t)
	for token, want := range tokens {
		for _, adapter := range []string{"traefik", "nginx", "caddy", "haproxy", "envoy/default"} {
			uri := "/orders/1?token=" + url.QueryEscape(token) + "&" + c.random("a query, "+adapter+token)
			headers := []string{"Authorization", "Bearer " + token, "Cookie", "session=" + c.random("a cookie, "+adapter+token), "X-Original-Method", "GET",
				"X-Original-Url", "https://app.example" + uri, "Referer", "https://app.example" + uri, "Proxy-Authorization", "Basic " + c.random("a proxy's, "+adapter+token)}
			for name, value := range forwarded {
				if name == "X-Forwarded-Uri" {
					value = uri
				}
				headers = append(headers, name, value)
			}
			c.ask(t, "checks.http", "GET", "/auth/"+adapter, nil, headers...).must(t, want, adapter)
			c.ask(t, "checks.http", "GET", "/auth/"+adapter+"?token="+c.random("a query of the check itself, "+adapter+token), nil, headers...)
			c.ask(t, "checks.http", "GET", "/auth/"+adapter, nil, append(headers, "Authorization", "Bearer "+c.random("a second token, "+adapter+token))...)
		}
		if allow, err := rpc(token); err != nil || allow != (want == 200) {
			t.Errorf("over gRPC: allow %v, %v; want %d", allow, err, want)
		}
	}
	conn := c.dialH2(t, "checks.grpc")
	for i, body := range [][]byte{
		checkRequest(c.random("a bearer over gRPC")), checkRequest("", field(7, "token="+c.random("a query over gRPC"))),
		checkRequest("", field(11, c.random("a body over gRPC"))), checkRequest("", header("cookie", "a="+c.random("a cookie over gRPC"))),
		checkRequest("", header("authorization", c.random("a scheme over gRPC"))), []byte(c.random("no message over gRPC")),
	} {
		conn.call(uint32(1+2*i), message(body), "authorization", "Bearer "+c.random(fmt.Sprint("a bearer of the call itself ", i)))
		if err := conn.flush(); err != nil {
			t.Fatal(err)
		}
		c.written.Write(conn.finished(uint32(1 + 2*i)))
	}
}
