package server_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/uuid"

	"devicegate/config"
	"devicegate/reason"
	"devicegate/server"
	"devicegate/token"
	"devicegate/token/tokentest"
)

// clockStart is where the clock of an attacked gate stands: a token that is dead at an edge in time is dead
// there and not a second before.
var clockStart = time.Unix(1_800_000_000, 0)

// session is what a sign-in answers.
type session struct {
	Access, Refresh string
	UID             string `json:"device_uid"`
}

// attacked is a gate with an admin who is signed in on three devices: whoever passes for him may do
// anything at every entrance.
type attacked struct {
	*service
	checks, people, admins http.Handler
	rpc                    authv3.AuthorizationClient

	root, other, third session // the devices, in the order in which they were signed in
	user, bystander    string  // ids
	faults             int
}

// attack starts a gate and signs the admin in.
func attack(t *testing.T, cfg *config.Config) *attacked {
	t.Helper()
	cfg.API.SignInRate = config.Rate{Count: 1000, Per: time.Second}
	s := start(t, cfg, server.WithClock(func() time.Time { return clockStart }))
	g := &attacked{service: s, checks: s.Checks(), people: s.API(), admins: s.RemoteAdmin()}
	g.rpc = authv3.NewAuthorizationClient(dialChecks(t, s))
	g.user = g.addUser(t, "root", "admin")
	g.bystander = g.addUser(t, "bystander")
	g.root, g.other, g.third = g.signInAs(t, "root"), g.signInAs(t, "root"), g.signInAs(t, "root")
	return g
}

func (g *attacked) addUser(t *testing.T, name string, roles ...string) (id string) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "password": secret, "roles": append([]string{}, roles...)})
	if err != nil {
		t.Fatal(err)
	}
	a := g.ask(t, "admin", "POST", "/admin/users", string(body))
	var user struct{ ID string }
	if err := json.Unmarshal([]byte(a.body), &user); err != nil || a.status != 201 {
		t.Fatalf("making a user: %d %s", a.status, a.body)
	}
	return user.ID
}

func (g *attacked) signInAs(t *testing.T, name string) (s session) {
	t.Helper()
	a := g.ask(t, "api", "POST", "/api/token", `{"username":"`+name+`","password":"`+secret+`"}`)
	if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.status != 200 {
		t.Fatalf("signing in: %d %s", a.status, a.body)
	}
	return s
}

// keysOfTests writes a key file in which alg's key signs and those of the others verify.
func keysOfTests(t *testing.T, cfg *config.Config, alg token.Algorithm) string {
	t.Helper()
	blocks := keyBlock(t, alg)
	for _, other := range tokentest.Algorithms {
		if other != alg {
			blocks += keyBlock(t, other)
		}
	}
	path := filepath.Join(filepath.Dir(cfg.Store.Path), "keys.pem")
	if err := os.WriteFile(path, []byte(blocks), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func keyBlock(t *testing.T, alg token.Algorithm) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(tokentest.PrivateKey(alg))
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// forger makes tokens around the one of the admin's first device.
func (g *attacked) forger(t *testing.T, alg token.Algorithm, lures []string) *tokentest.Forger {
	t.Helper()
	f := &tokentest.Forger{
		Key:  tokentest.KeyOf(alg),
		JWKS: []byte(g.ask(t, "api", "GET", "/.well-known/jwks.json", "").body),
		Honest: tokentest.Honest{
			Issuer: "devicegate", Audience: "devicegate", User: uuid.MustParse(g.user), Device: uuid.MustParse(g.root.UID), Username: "root",
			Now: clockStart.Unix(), Lifetime: 15 * 60, Leeway: 5,
		},
		Lures: lures,
	}
	for _, alg := range tokentest.Algorithms {
		f.Published = append(f.Published, tokentest.KeyOf(alg))
	}
	return f
}

// unmoved fails when accounts, devices, what happened to them or who has to wait are others after act.
func (g *attacked) unmoved(t *testing.T, act func()) {
	t.Helper()
	before := g.state(t)
	act()
	if after := g.state(t); after != before {
		t.Errorf("this was before:\n%s\nand this is after:\n%s", before, after)
	}
}

func (g *attacked) state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, path := range []string{"/admin/users", "/admin/devices", "/admin/login-activity", "/admin/lockouts", "/admin/keys"} {
		a := g.ask(t, "admin", "GET", path, "")
		if a.status != 200 {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		all.WriteString(path + " " + a.body + "\n")
	}
	return all.String()
}

// honest goes through every entrance with good tokens: what was refused was so for the token alone.
func (g *attacked) honest(t *testing.T) {
	t.Helper()
	for _, e := range g.entrances() {
		good := g.root.Access
		if e.refresh {
			good = g.third.Refresh
		}
		got := e.send(t, good, []string{"Bearer " + good})
		if got.status != e.good || got.word != "" {
			t.Errorf("the honest token at %s: %v, want %d", e.name, got, e.good)
		}
		if e.name == "/api/token/revoke" {
			if why := g.check(t, "/auth/traefik", g.third.Access).header.Get("X-Auth-Reason"); why != reason.DeviceNotRecognized.String() {
				t.Errorf("the device of a revoked token: %q", why)
			}
		}
	}
}

// take returns what was logged since the last call.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}
