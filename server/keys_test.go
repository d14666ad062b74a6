package server_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"devicegate/password/passwordtest"
	"devicegate/server"
)

// At a thousand checks a second, and sign-ins beside them, a rotation refuses nobody: each check is offered at
// its moment, whatever became of the one before.
func TestRotationRefusesNobody(t *testing.T) {
	s := start(t, settings(t))
	token, checks := s.signIn(t), s.Checks()
	const offered = 3000
	var under sync.WaitGroup
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := range offered {
		<-tick.C
		under.Go(func() {
			if w := inProcessCheck(checks, token); w.Code != http.StatusOK {
				t.Errorf("check %d while keys are rotated: %d %v", i, w.Code, w.Header())
			}
		})
		if i%150 == 0 {
			under.Go(func() { s.rotateAndSignIn(t) })
		}
	}
	under.Wait()
}

func (s *service) rotateAndSignIn(t *testing.T) {
	if a := s.ask(t, "admin", "POST", "/admin/keys/rotate", `{}`); a.status != http.StatusOK {
		t.Errorf("rotate: %d %s", a.status, a.body)
	}
	a := s.ask(t, "api", "POST", "/api/token", `{"username":"alice","password":"`+secret+`"}`, "X-Forwarded-For", "198.51.100.9")
	if a.status != http.StatusOK && a.status != http.StatusTooManyRequests {
		t.Errorf("a sign-in while keys are rotated: %d %s", a.status, a.body)
	}
}

// With an encryption key no private key stands in the file in clear, and without it, or with another, the
// store does not open.
func TestEncryptionKey(t *testing.T) {
	cfg := settings(t)
	dir := filepath.Dir(cfg.Store.Path)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg.Store.EncryptionKeyFile = write("key", "wmVbCwQq8i0mXcU5sE1b2m3H0kq9r4xJt7u8v6yZl5A=\n")
	s := open(t, cfg)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(cfg.Store.Path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), `"d":"`) || !strings.Contains(string(b), `"kid"`) {
		t.Error("a private key stands in the file in clear")
	}
	for what, file := range map[string]string{
		"none": "", "another": write("other", "Jt7u8v6yZl5AwmVbCwQq8i0mXcU5sE1b2m3H0kq9r4w=\n"), "a short one": write("short", "abc"), "one that is missing": filepath.Join(dir, "missing"),
	} {
		other := *cfg
		other.Store.EncryptionKeyFile = file
		_, err := server.Open(t.Context(), &other, zerolog.Nop(), server.WithHasher(&passwordtest.Hasher{}))
		if err == nil || !strings.Contains(err.Error(), "encryption_key_file") {
			t.Errorf("with %s: %v", what, err)
		}
	}
	if err := open(t, cfg).Close(); err != nil {
		t.Errorf("with the right one: %v", err)
	}
}

// The public keys are those that sign, of each algorithm, and may be kept for a while.
func TestPublicKeys(t *testing.T) {
	for algorithm, kind := range map[string]string{"EdDSA": "OKP", "ES256": "EC", "RS256": "RSA"} {
		cfg := settings(t)
		cfg.Tokens.Algorithm = algorithm
		s := start(t, cfg)
		a := s.ask(t, "api", "GET", "/.well-known/jwks.json", "")
		var set struct {
			Keys []map[string]any
		}
		if err := json.Unmarshal([]byte(a.body), &set); err != nil || len(set.Keys) != 1 || set.Keys[0]["kty"] != kind || set.Keys[0]["alg"] != algorithm || set.Keys[0]["d"] != nil {
			t.Errorf("%s: %s, %v", algorithm, a.body, err)
		}
		if got := a.header.Get("Cache-Control"); got != "public, max-age=300" {
			t.Errorf("Cache-Control: %s", got)
		}
		if got := s.check(t, "/auth/traefik", s.signIn(t)); got.status != http.StatusOK {
			t.Errorf("%s: a check is answered %d", algorithm, got.status)
		}
	}
}
