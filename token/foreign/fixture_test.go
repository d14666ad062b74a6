package foreign_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/authz"
	"devicegate/db/dbtest"
	"devicegate/login"
	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/foreign"
	"devicegate/token/keysource"
)

const (
	start    = 1_800_000_000 // the clock of every gate, unix seconds
	ours     = "https://gate.example"
	audience = "gate"
	lifetime = 3600 // seconds, of every issuer
	device   = "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a"

	pemIss, idpIss, twinIss = "https://pem.example", "https://idp.example/realms/a", "https://twin.example"
	namesakeIss, awayIss    = "https://namesake.example", "https://away.example"
)

// clock is a clock that a test sets.
type clock struct{ unix atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.unix.Store(start)
	return c
}

func (c *clock) now() time.Time { return time.Unix(c.unix.Load(), 0) }

// members is an ordered JSON object of raw values, so that tests can say every wrong thing.
type members [][2]string

// with returns m with one value changed, or added at the end.
func (m members) with(name, value string) members {
	m = slices.Clone(m)
	for i := range m {
		if m[i][0] == name {
			m[i][1] = value
			return m
		}
	}
	return append(m, [2]string{name, value})
}

func (m members) without(name string) members {
	return slices.DeleteFunc(slices.Clone(m), func(p [2]string) bool { return p[0] == name })
}

func (m members) value(name string) string {
	for _, p := range m {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

func (m members) String() string {
	parts := make([]string, len(m))
	for i, p := range m {
		parts[i] = `"` + p[0] + `":` + p[1]
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// voice is an issuer as it speaks in one algorithm.
type voice struct {
	name     string // of the issuer, as it is configured
	alg, kid string // kid "" where the issuer has one key
	key      any    // a signer, or the bytes of a secret
	claims   members
	names    foreign.Claims // of the claims that are read
	leeway   int64
	audience string // "" where any is good
}

func (v voice) oneKey() bool { return v.kid == "" }

func (v voice) String() string { return v.name + " " + v.alg }

// header returns the header of an honest token.
func (v voice) header() string {
	if v.oneKey() {
		return `{"alg":"` + v.alg + `","typ":"JWT"}`
	}
	return `{"alg":"` + v.alg + `","kid":"` + v.kid + `","typ":"JWT"}`
}

// sign signs any header and claims with the issuer's real key: only its holder could make these.
func (v voice) sign(header, claims string) string {
	input := b64(header) + "." + b64(claims)
	return input + "." + b64(signature(v.alg, v.key, input))
}

func (v voice) signClaims(m members) string { return v.sign(v.header(), m.String()) }

func (v voice) honest() string { return v.signClaims(v.claims) }

// withRoles returns the honest claims with other roles, wherever they are.
func (v voice) withRoles(value string) members {
	if outer, inner, dotted := strings.Cut(v.names.Roles, "."); dotted {
		return v.claims.with(outer, `{"`+inner+`":`+value+`}`)
	}
	return v.claims.with(v.names.Roles, value)
}

var (
	djangoNames = foreign.Claims{UserID: "user_id", Username: "username", Roles: "groups", DeviceUID: "device_uid"}
	idpNames    = foreign.Claims{UserID: "sub", Username: "preferred_username", Roles: "realm_access.roles", DeviceUID: "sid"}
)

func djangoClaims() members {
	return members{
		{"token_type", `"access"`}, {"exp", `1800000300`}, {"iat", `1800000000`}, {"jti", `"4f1c"`},
		{"user_id", `"7"`}, {"username", `"ann"`}, {"groups", `["editors","x"]`}, {"device_uid", `"` + device + `"`},
	}
}

func idpClaims(iss string) members {
	return members{
		{"exp", `1800000300`}, {"iat", `1800000000`}, {"jti", `"onrtac:1"`}, {"iss", `"` + iss + `"`}, {"aud", `["account","` + audience + `"]`},
		{"sub", `"f3a9-ann"`}, {"typ", `"Bearer"`}, {"azp", `"shop"`}, {"sid", `"session-1"`}, {"scope", `"openid"`},
		{"realm_access", `{"roles":["offline_access","editors"]}`}, {"preferred_username", `"ann"`},
	}
}

// voices returns every issuer in every algorithm that it signs in.
func voices() map[string]voice {
	key := pool()
	django := voice{name: "django", alg: "HS256", key: key["secret"], claims: djangoClaims(), names: djangoNames}
	pem := voice{
		name: "pem", alg: "RS256", key: key["rsa2"], names: djangoNames, audience: audience,
		claims: djangoClaims().with("iss", `"`+pemIss+`"`).with("aud", `"`+audience+`"`),
	}
	twin := voice{name: "twin-a", alg: "EdDSA", kid: "k1", key: key["ed2"], claims: idpClaims(twinIss), names: idpNames, audience: audience}
	other := twin
	other.name, other.key = "twin-b", key["ed3"]
	other.claims, other.audience = twin.claims.with("aud", `"gate-b"`), "gate-b"
	list := map[string]voice{"django": django, "pem": pem, "twin-a": twin, "twin-b": other}
	for _, alg := range idpAlgorithms {
		list["idp "+alg] = voice{
			name: "idp", alg: alg, kid: keyFor(alg), key: key[keyFor(alg)], claims: idpClaims(idpIss), names: idpNames, leeway: 5, audience: audience,
		}
	}
	for alg, name := range map[string]string{"EdDSA": "ed4", "RS256": "rsa3", "ES256": "p256b"} {
		list["namesake "+alg] = voice{
			name: "namesake", alg: alg, kid: keyFor(alg), key: key[name], claims: idpClaims(namesakeIss), names: idpNames, audience: audience,
		}
	}
	return list
}

var idpAlgorithms = []string{"RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"}

// eachVoice runs test once for every issuer and algorithm.
func eachVoice(t *testing.T, test func(t *testing.T, g *gate, v voice)) {
	t.Helper()
	all := voices()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) { test(t, newGate(t), all[name]) })
	}
}

// issuersOf returns one voice of each issuer, in its cheapest algorithm: for what an issuer does and its signatures
// do not matter to.
func issuersOf(all map[string]voice) map[string]voice {
	few := map[string]voice{}
	for _, name := range []string{"django", "pem", "twin-a", "twin-b", "idp EdDSA", "namesake ES256"} {
		few[name] = all[name]
	}
	return few
}

// eachIssuer runs test once for every issuer.
func eachIssuer(t *testing.T, test func(t *testing.T, g *gate, v voice)) {
	t.Helper()
	few := issuersOf(voices())
	for _, name := range slices.Sorted(maps.Keys(few)) {
		t.Run(name, func(t *testing.T) { test(t, newGate(t), few[name]) })
	}
}

// gate is one gate: our own tokens, and those of the issuers beside them.
type gate struct {
	clock    *clock
	ring     *token.Keyring
	own      *token.Issuer
	configs  []foreign.Config
	issuers  *foreign.Issuers
	verifier *token.Verifier
	idpKeys  string // the file of idp's key set
}

func newGate(tb testing.TB) *gate {
	tb.Helper()
	g := &gate{clock: newClock()}
	g.configs = g.everyIssuer(tb)
	g.open(tb)
	return g
}

// open makes the verifiers of the issuers that are configured.
func (g *gate) open(tb testing.TB) {
	tb.Helper()
	g.issuers = g.only(g.configs...)
	cfg := token.Config{Issuer: ours, Audience: audience, AccessLifetime: 15 * time.Minute, Leeway: 5 * time.Second, Others: g.issuers}
	random := rand.NewChaCha8([32]byte{1}) // the same key of ours at every gate
	g.ring = must(token.OpenKeyring(context.Background(), dbtest.New(tb), token.Options{
		Now: g.clock.now, Rand: random, AccessLifetime: cfg.AccessLifetime, Leeway: cfg.Leeway,
	}))
	g.own = must(token.NewIssuer(cfg, g.ring, g.clock.now, random))
	g.verifier = must(token.NewVerifier(cfg, g.ring, g.clock.now))
}

// only returns the issuers that configs say, with the rules for names that a service has.
func (g *gate) only(configs ...foreign.Config) *foreign.Issuers {
	return must(foreign.New(foreign.Options{Ours: ours, Issuers: configs, Now: g.clock.now, Names: foreign.Names{
		Check: login.CheckName, Fold: login.FoldName, Key: login.ForeignNameKey, Header: authz.EncodeValue,
	}}))
}

func (g *gate) config(name string) foreign.Config {
	return g.configs[slices.IndexFunc(g.configs, func(c foreign.Config) bool { return c.Name == name })]
}

// roleMap maps more roles than a user may have, and one to a role that nobody may have.
func roleMap() map[string]string {
	m := map[string]string{"editors": "staff", "editors-too": "staff", "boss": "admin", "nothing": ""}
	for i := range 40 {
		m[fmt.Sprintf("r%d", i)] = fmt.Sprintf("role-%02d", i)
	}
	return m
}

// everyIssuer configures all the issuers that voices speak for, and one whose keys cannot be had.
func (g *gate) everyIssuer(tb testing.TB) []foreign.Config {
	common := foreign.Config{Audience: audience, MaxLifetime: lifetime * time.Second, Claims: idpNames, Roles: roleMap()}
	configure := func(name, iss string, change func(c *foreign.Config), keys keysource.Options) foreign.Config {
		c := common
		c.Name, c.Issuer, keys.Name, keys.Now = name, iss, name, g.clock.now
		if change != nil {
			change(&c)
		}
		c.Keys = must(keysource.Open(keys))
		return c
	}
	set := func(keys ...map[string]any) keysource.Options {
		return keysource.Options{Algorithms: idpAlgorithms, JWKSFile: fileOf(tb, jwks(keys...))}
	}
	idp := set(jwk("rsa", "rsa"), jwk("p256", "p256"), jwk("p384", "p384"), jwk("p521", "p521"), jwk("ed", "ed"))
	g.idpKeys = idp.JWKSFile
	return []foreign.Config{
		configure("django", "", func(c *foreign.Config) { c.Claims, c.Audience, c.Exchange, c.Register = djangoNames, "", true, 3 },
			keysource.Options{Algorithms: []string{"HS256"}, SecretFile: fileOf(tb, string(pool()["secret"].([]byte))+"\n")}),
		configure("pem", pemIss, func(c *foreign.Config) { c.Claims = djangoNames },
			keysource.Options{Algorithms: []string{"RS256"}, PublicKeyFile: fileOf(tb, publicPEM(pool()["rsa2"]))}),
		configure("idp", idpIss, func(c *foreign.Config) { c.Leeway, c.Exchange = 5*time.Second, true }, idp),
		configure("twin-a", twinIss, nil, set(jwk("ed2", "k1"))),
		configure("twin-b", twinIss, func(c *foreign.Config) { c.Audience, c.Exchange = "gate-b", true }, set(jwk("ed3", "k1"))),
		configure("namesake", namesakeIss, nil, set(jwk("rsa3", "rsa"), jwk("p256b", "p256"), jwk("ed4", "ed"))),
		configure("away", awayIss, nil, keysource.Options{Algorithms: idpAlgorithms, JWKSURL: "https://away.example/keys", Transport: unreachable{}}),
	}
}

// unreachable is a network that leads nowhere.
type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("no route to host")
}

func write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

func fileOf(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "keys")
	write(tb, path, content)
	return path
}

// ask asks issuers alone, as a gate does.
func ask(s *foreign.Issuers, raw string) (token.Verified, reason.Reason, bool) {
	return s.Verify(raw, sha256.Sum256([]byte(raw)))
}

// want fails the test unless raw gets the reason why, and nothing else where it is refused.
func (g *gate) want(t *testing.T, what, raw string, why reason.Reason) token.Verified {
	t.Helper()
	got, is := g.verifier.Verify(raw)
	if is != why || is != reason.OK && got != (token.Verified{}) {
		t.Errorf("%s: %v and %+v, want %v", what, is, got, why)
	}
	return got
}

// mustIssue returns a token of ours.
func (g *gate) mustIssue(tb testing.TB) string {
	tb.Helper()
	raw, _, err := g.own.Issue(token.Subject{User: uuid.MustParse("0190a5d2-7c31-7bb1-a9e0-1f2e3d4c5b6a"), Device: uuid.MustParse(device), Username: "ann", Roles: []string{"staff"}})
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}
