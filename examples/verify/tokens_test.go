package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"devicegate/config"
	"devicegate/token"
	"devicegate/token/tokentest"
)

// tokens are what is presented to the examples.
type tokens struct {
	good      string // for ownHost
	says      map[string]any
	ofAnother string            // for another
	bad       map[string]string // what must be refused, by what it is
}

// tokens makes them: with a real gate what a gate can make, with its key or others what it cannot.
func (g *gate) tokens(alg token.Algorithm) tokens {
	g.t.Helper()
	bad := map[string]string{}

	g.behind.Store(int64(token.AssertionLifetime/time.Second) + 6) // and the examples let clocks differ by 5 s
	bad["stale"] = g.assertion(g.signIn().Access, ownHost)
	g.behind.Store(0)

	session := g.signIn()
	elsewhere := *g.config
	elsewhere.Tokens.Issuer = "https://another-gate.example"
	g.reload(&elsewhere)
	bad["of another issuer with the same key"] = g.assertion(g.signIn().Access, ownHost)
	g.reload(g.config)

	all := tokens{good: g.assertion(session.Access, ownHost), ofAnother: g.assertion(session.Access, another), bad: bad}
	claims := decode(g, all.good, 1)
	all.says = map[string]any{"sub": claims["sub"], "username": userName, "device_uid": session.UID, "roles": []any{"staff", "dev"}}
	bad["for a foreign audience"] = all.ofAnother
	bad["an access token whose audience is this backend"] = session.Access
	g.spoofed(alg, all.good, session.Access, bad)
	return all
}

// spoofed adds what no gate has made.
func (g *gate) spoofed(alg token.Algorithm, good, access string, bad map[string]string) {
	parts := strings.Split(good, ".")
	header, payload, key := plain(g, parts[0]), plain(g, parts[1]), tokentest.KeyOf(alg)
	with := func(part, old, changed string) string {
		if !strings.Contains(part, old) {
			g.t.Fatalf("%s does not hold %s", part, old)
		}
		return strings.Replace(part, old, changed, 1)
	}
	_, jwks := g.keys()

	bad["spoofed: signed by another key"] = tokentest.SignToken(newKey(g, alg), header, payload)
	bad["spoofed: another name under the same signature"] = parts[0] + "." + tokentest.B64(with(payload, "staff", "admin")) + "." + parts[2]
	bad["spoofed: the signature of an access token"] = parts[0] + "." + parts[1] + access[strings.LastIndex(access, "."):]
	bad["alg none"] = tokentest.B64(`{"alg":"none","typ":"assertion+jwt"}`) + "." + parts[1] + "."
	bad["alg none, with the kid"] = tokentest.B64(with(header, `"`+string(alg)+`"`, `"none"`)) + "." + parts[1] + "."
	bad["alg none, with the signature"] = tokentest.B64(with(header, `"`+string(alg)+`"`, `"none"`)) + "." + parts[1] + "." + parts[2]
	bad["the public keys as the secret of a MAC"] = mac(with(header, `"`+string(alg)+`"`, `"HS256"`), payload, jwks)
	bad["an unknown kid"] = tokentest.SignToken(key.Private, with(header, key.ID, "x"), payload)
	bad["no kid"] = tokentest.SignToken(key.Private, with(header, `"kid":"`+key.ID+`",`, ""), payload)
	bad["of the gate's key under another type"] = tokentest.SignToken(key.Private, with(header, "assertion+jwt", "JWT"), payload)
	bad["of the gate's key without a type"] = tokentest.SignToken(key.Private, with(header, `,"typ":"assertion+jwt"`, ""), payload)
	bad["of the gate's key without an end"] = tokentest.SignToken(key.Private, header, with(payload, `"exp"`, `"x"`))
	bad["of the gate's key without an audience"] = tokentest.SignToken(key.Private, header, with(payload, `"aud"`, `"x"`))
	bad["of the gate's key without an issuer"] = tokentest.SignToken(key.Private, header, with(payload, `"iss"`, `"x"`))
	bad["an access token as JSON, behind a header that says assertion"] = asJSON(good, access)
	bad["two of them"] = good + ", " + good
	bad["a bearer"] = "Bearer " + good
	bad["cut"] = good[:len(good)-2]
	bad["empty"] = ""
	bad["no token"] = "x"
}

// newKey returns a key that no gate has.
func newKey(g *gate, alg token.Algorithm) (key crypto.Signer) {
	g.t.Helper()
	var err error
	if alg == token.ES256 {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		g.t.Fatal(err)
	}
	return key
}

// asJSON is the JSON serialization of two signatures over one payload (RFC 7515 section 7.2.1): a reader that takes the type
// from the first, which is spoilt, and believes the second, takes an access token for an assertion.
func asJSON(assertion, access string) string {
	first, second := strings.Split(assertion, "."), strings.Split(access, ".")
	text, err := json.Marshal(map[string]any{"payload": second[1], "signatures": []map[string]string{
		{"protected": first[0], "signature": first[2]}, {"protected": second[0], "signature": second[2]},
	}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

func mac(header, payload, secret string) string {
	signed := tokentest.B64(header) + "." + tokentest.B64(payload)
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprint(h, signed)
	return signed + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// reload takes another configuration.
func (g *gate) reload(cfg *config.Config) {
	g.t.Helper()
	if _, _, err := g.Reload(g.t.Context(), cfg); err != nil {
		g.t.Fatal(err)
	}
}

func plain(g *gate, part string) string {
	g.t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

func decode(g *gate, raw string, part int) (members map[string]any) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(plain(g, strings.Split(raw, ".")[part])), &members); err != nil {
		g.t.Fatal(err)
	}
	return members
}
