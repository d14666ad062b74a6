package api_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"devicegate/config"
)

// writeKey writes a new Ed25519 key to a file.
func writeKey(t *testing.T) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

type keyView struct {
	KID, Algorithm, State, Source string
	Created                       *time.Time `json:"created_at"`
	SignsFrom                     *time.Time `json:"signs_from"`
	Retires                       *time.Time `json:"retires_at"`
}

func (g *gate) keys() []keyView {
	g.t.Helper()
	return decoded[struct{ Results []keyView }](g.want(200, call{method: "GET", path: "/admin/keys"})).Results
}

func (g *gate) rotate(body string) keyView {
	g.t.Helper()
	return decoded[keyView](g.want(200, call{method: "POST", path: "/admin/keys/rotate", body: body}))
}

// A rotation refuses nobody; one that retires the other keys refuses every access token out there, and no
// refresh token.
func TestRotateKeys(t *testing.T) {
	g := start(t)
	g.addUser("alice")
	old := g.signIn("alice")
	next := g.rotate(`{}`)
	if all := g.keys(); len(all) != 2 || all[0].State != "signing" || all[1] == (keyView{}) || all[1].KID != next.KID || next.State != "published" || next.SignsFrom == nil {
		t.Fatalf("after a rotation: %+v, %+v", next, all)
	}
	if again := g.rotate(`{}`); again.KID != next.KID || len(g.keys()) != 2 {
		t.Errorf("a second rotation while a key waits: %+v", again)
	}
	g.live(old)
	stolen := g.rotate(`{"retire_now":true}`)
	for _, k := range g.keys() {
		if want := map[bool]string{true: "signing", false: "retired"}[k.KID == stolen.KID]; k.State != want {
			t.Errorf("%+v, want it %s", k, want)
		}
	}
	g.refused(401, "token_not_valid", call{method: "GET", path: "/trusted-devices", token: old.Access})
	g.live(decoded[tokens](g.want(200, call{method: "POST", path: "/api/token/refresh", body: object("refresh", old.Refresh)})))
}

// The keys of a file sign alone, and say where they come from.
func TestKeysInAFile(t *testing.T) {
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256"} {
		g := start(t, func(c *config.Config) { c.Tokens.Algorithm = algorithm })
		g.addUser("alice")
		g.live(g.signIn("alice"))
		if all := g.keys(); len(all) != 1 || all[0].Algorithm != algorithm || all[0].Source != "store" {
			t.Errorf("%s: %+v", algorithm, all)
		}
	}
	g := start(t, func(c *config.Config) { c.Tokens.SigningKeyFile = writeKey(t) })
	g.addUser("alice")
	g.live(g.signIn("alice"))
	if all := g.keys(); len(all) != 1 || all[0].Source != "file" || all[0].Created != nil {
		t.Errorf("%+v", all)
	}
	g.refused(409, "conflict", call{method: "POST", path: "/admin/keys/rotate", body: `{}`})
}
