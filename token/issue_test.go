package token_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/token"
)

func TestIssueWritesExactlyThis(t *testing.T) {
	f := newFixture(t, defaultConfig())
	raw, claims, err := f.issuer.Issue(subject())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(raw, ".")
	wantHeader := map[string]any{"alg": "EdDSA", "kid": f.kid, "typ": "at+jwt"}
	if diff := cmp.Diff(wantHeader, decode(t, parts[0])); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	wantClaims := map[string]any{
		"iss": issuerName, "sub": userID.String(), "aud": audienceName, "jti": claims.ID,
		"iat": float64(start), "nbf": float64(start), "exp": float64(start + lifetime),
		"device_uid": deviceID.String(), "roles": []any{"staff", "dev"}, "username": "ann",
		"token_type": "access", "user_id": userID.String(),
	}
	if diff := cmp.Diff(wantClaims, decode(t, parts[1])); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	_, other, err := f.issuer.Issue(subject())
	if err != nil || other.ID == claims.ID || other.ID == "" {
		t.Errorf("two tokens share the jti %q (%v)", other.ID, err)
	}
}

func decode(t *testing.T, part string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(part))(t), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestIssueWithoutRolesWritesAnEmptyList(t *testing.T) {
	f := newFixture(t, defaultConfig())
	s := subject()
	s.Roles = nil
	raw, _, err := f.issuer.Issue(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, strings.Split(raw, ".")[1])["roles"]; !cmp.Equal(got, []any{}) {
		t.Errorf("roles: got %v, want []", got)
	}
}

func TestClaimsDoNotShareTheSubjectsRoles(t *testing.T) {
	f := newFixture(t, defaultConfig())
	s := subject()
	_, claims, err := f.issuer.Issue(s)
	if err != nil {
		t.Fatal(err)
	}
	s.Roles[0] = "admin"
	if claims.Roles[0] != "staff" {
		t.Errorf("the caller's slice changed the claims: %v", claims.Roles)
	}
}

func TestIssueRefusesASubject(t *testing.T) {
	f := newFixture(t, defaultConfig())
	for name, spoil := range map[string]func(*token.Subject){
		"no user":       func(s *token.Subject) { s.User = uuid.Nil },
		"no device":     func(s *token.Subject) { s.Device = uuid.Nil },
		"no name":       func(s *token.Subject) { s.Username = "" },
		"empty role":    func(s *token.Subject) { s.Roles = []string{"a", ""} },
		"invalid UTF-8": func(s *token.Subject) { s.Username = "\xff" },
		"too long":      func(s *token.Subject) { s.Username = strings.Repeat("a", token.MaxSize) },
	} {
		t.Run(name, func(t *testing.T) {
			s := subject()
			spoil(&s)
			if raw, _, err := f.issuer.Issue(s); !errors.Is(err, token.ErrSubject) || raw != "" {
				t.Errorf("got %q, %v, want %v", raw, err, token.ErrSubject)
			}
		})
	}
}

func TestIssueFailsWithoutRandomness(t *testing.T) {
	f := newFixture(t, defaultConfig())
	empty := errors.New("no entropy")
	issuer := must(token.NewIssuer(defaultConfig(), f.ring, f.clock.now, iotest.ErrReader(empty)))(t)
	if raw, _, err := issuer.Issue(subject()); !errors.Is(err, empty) || raw != "" {
		t.Errorf("got %q, %v, want %v", raw, err, empty)
	}
}

func TestConfigIsRefused(t *testing.T) {
	f := newFixture(t, defaultConfig())
	for name, spoil := range map[string]func(*token.Config){
		"issuer":          func(c *token.Config) { c.Issuer = "" },
		"audience":        func(c *token.Config) { c.Audience = "" },
		"access lifetime": func(c *token.Config) { c.AccessLifetime = 0 },
		"lifetime":        func(c *token.Config) { c.AccessLifetime = 1500 * time.Millisecond },
		"leeway":          func(c *token.Config) { c.Leeway = -time.Second },
		"cache":           func(c *token.Config) { c.CacheBytes = -1 },
	} {
		cfg := defaultConfig()
		spoil(&cfg)
		if _, err := token.NewIssuer(cfg, f.ring, f.clock.now, rand.Reader); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("NewIssuer, %s: got %v", name, err)
		}
		if _, err := token.NewVerifier(cfg, f.ring, f.clock.now); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("NewVerifier, %s: got %v", name, err)
		}
	}
}
